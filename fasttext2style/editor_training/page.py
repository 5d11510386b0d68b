"""A training on one page for any browser: no server, no script; curves as SVG, sample sheets linked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.policy import Rollouts
from fasttext2style.evaluation.report import labelled_rows, write_png
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.trust.text import in_html, in_url

WIDTH, HEIGHT, MARGIN = 330, 190, 46
MEASURES = ("outside_change", "inside_change", "asked", "clip_t", "attention_iou")
"""Of the held-out cases, shown beside the reward and its parts."""
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --train: #2a78d6; --held: #d6732a; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
p.about { margin-top: .2rem; opacity: .75; }
.curves { display: flex; flex-wrap: wrap; gap: 1.5rem; } figure { margin: 0; } figcaption { font-size: .85rem; }
svg text { font-size: 11px; fill: currentColor; opacity: .8; } svg .axis { stroke: var(--line); }
svg polyline { fill: none; stroke-width: 2; } .train { stroke: var(--train); } .held { stroke: var(--held); }
.key-train { color: var(--train); } .key-held { color: var(--held); }
img { max-width: 100%; }
"""


def write_sample_sheet(path: Path, cases: EditCases, rollouts: Rollouts, columns: int = 6) -> None:
    """Held-out pictures before and after, and where the network looked, laid over them in red."""
    rows = {"before": cases.images, "edited": rollouts.edited}
    if rollouts.attention is not None:
        rows["attention of content words"] = overlaid(cases.images, rollouts.attention)
    if cases.targets is not None:
        rows["target"] = cases.targets
    write_png(path, labelled_rows(rows, columns))


def overlaid(
    images: Float[Tensor, "cases height width 3"], attention: Float[Tensor, "cases h w"]
) -> Float[Tensor, "cases height width 3"]:
    """Grey pictures, red where attention is strong: each map between its own least and largest value."""
    low, high = (one(attention.flatten(1), dim=1) for one in (torch.amin, torch.amax))
    shares = (attention - low[:, None, None]) / (high - low).clamp_min(1e-12)[:, None, None]
    shares = F.interpolate(shares[:, None], images.shape[1:3], mode="bilinear").movedim(1, -1).to(images)
    grey = images.mean(-1, keepdim=True).expand_as(images)
    return torch.lerp(0.6 * grey + 0.2, images.new_tensor([0.9, 0.1, 0.05]).expand_as(images), 0.7 * shares)


def write_training_page(path: Path, title: str, about: str, epochs: Sequence[dict[str, Any]]) -> None:
    """The page of all epochs so far, beside the folder samples/."""
    curves = "".join(_curve(name, *lines) for name, *lines in _lines(epochs))
    sheets = sorted((path.parent / "samples").glob("epoch_*.png"))
    pictures = "".join(
        f'<h2>Epoch {int(sheet.stem[6:])}</h2><img alt="Held-out samples" src="{in_url(f"samples/{sheet.name}")}">'
        for sheet in sheets
        if sheet.stem[6:].isdigit()
    )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'none'; object-src 'none'\">"
        f'<meta name="viewport" content="width=device-width"><title>{in_html(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{in_html(title)}</h1>"
        f'<p class="about">{in_html(about)}</p>'
        '<p><span class="key-train">— sampled while learning</span> &nbsp; '
        '<span class="key-held">— held-out cases, same noise every time</span></p>'
        f'<div class="curves">{curves}</div>{pictures}</body></html>\n'
    )
    with atomic_write(path) as stream:
        stream.write(page.encode())


Line = list[tuple[int, float]]


def _lines(epochs: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Line, Line]]:
    """Of each curve: its name, points of training and points of held-out cases."""

    def line(*path: str) -> Line:
        points = []
        for record in epochs:
            value: Any = record
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, int | float) and math.isfinite(value):
                points.append((record["epoch"], float(value)))
        return points

    yield "reward", line("reward"), line("held_out", "reward")
    names = {
        name for record in epochs for name in (*record.get("parts", ()), *record.get("held_out", {}).get("parts", ()))
    }
    for name in sorted(names):
        yield name, line("parts", name), line("held_out", "parts", name)
    for name in MEASURES:
        yield name.replace("_", " "), [], line("held_out", "measures", name)


def _curve(name: str, train: Line, held: Line) -> str:
    points = train + held
    if not points:
        return ""
    last, values = max(epoch for epoch, _ in points), [value for _, value in points]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5e-3, high + 0.5e-3

    def placed(line: Line) -> str:
        return " ".join(
            f"{MARGIN + (WIDTH - MARGIN - 8) * epoch / max(1, last):.1f},"
            f"{8 + (HEIGHT - 30) * (high - value) / (high - low):.1f}"
            for epoch, value in line
        )

    return (
        f'<figure><figcaption>{in_html(name)}</figcaption><svg width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{in_html(name)}"><path class="axis" fill="none" d="M{MARGIN} 8V{HEIGHT - 22}H{WIDTH - 8}"/>'
        f'<text x="2" y="14">{high:.4g}</text><text x="2" y="{HEIGHT - 24}">{low:.4g}</text>'
        f'<text x="{MARGIN}" y="{HEIGHT - 6}">epoch 0</text><text x="{WIDTH - 24}" y="{HEIGHT - 6}">{last}</text>'
        f'<polyline class="train" points="{placed(train)}"/><polyline class="held" points="{placed(held)}"/>'
        "</svg></figure>"
    )
