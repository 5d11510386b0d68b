"""What the encoder makes of a sentence, in words."""

from __future__ import annotations

from fasttext2style.guidance.offline.encoder import OfflineEncoder


def explained(encoder: OfflineEncoder, sentence: str) -> list[str]:
    """Lines for a person: what moves what, what the look is taken for, and how surely."""
    lines = [encoder.explain(sentence)]
    if look := encoder.parts(sentence).look:
        understood = encoder.understood([look])[0]
        nearest = ", ".join(f"{name} {cosine:.2f}" for name, cosine in understood.nearest)
        lines.append(f"nearest known things: {nearest}")
        lines.append(f"estimated chance that {look!r} is understood: {understood.confidence:.0%}")
    return lines
