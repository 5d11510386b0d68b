"""What a loss of a text may look at, and how a name becomes one: `text_losses.py` has the formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.text_losses import absolute_cosine, directional, nll_with_negatives
from fasttext2style.plug_ins import PlugIns

PLUG_INS = PlugIns("text loss")


@dataclass(frozen=True)
class Compared:
    """A batch of patches beside the texts, all as embeddings of unit norm."""

    images: Float[Tensor, "patches embedding"]
    """Patches of the object as it is now; the only tensor here that gradients flow to."""
    texts: Float[Tensor, "texts embedding"]
    """The prompt first, then its negatives, then what the encoder calls junk."""
    source_text: Float[Tensor, " embedding"]
    """What the original shows, in words."""
    temperature: float
    """Divides cosines before a softmax."""
    embed_originals: Callable[[], Tensor]
    """Use `originals`."""

    @property
    def prompt(self) -> Float[Tensor, " embedding"]:
        return self.texts[0]

    @cached_property
    def originals(self) -> Float[Tensor, "patches embedding"]:
        """The same patches of the untouched object; embedded when first asked for, for that costs as much as a step."""
        return self.embed_originals()


class TextLoss(Protocol):
    """A function of what is compared to a scalar, averaged over patches; styling makes it smaller."""

    def __call__(self, compared: Compared, /) -> Tensor: ...


TEXT_LOSSES: dict[str, TextLoss] = {
    "nll": lambda seen: nll_with_negatives(seen.images, seen.texts, seen.temperature),
    "cosine": lambda seen: absolute_cosine(seen.images, seen.prompt),
    "directional": lambda seen: directional(seen.images, seen.originals, seen.prompt, seen.source_text),
}


class NamedLoss(NamedTuple):
    """One part of what is minimised."""

    name: str
    """In reports: "text" for the paper's two, else as it was asked for."""
    weight: Literal["text_weight", "directional_weight"]
    """Field of the settings that says how much it counts."""
    loss: TextLoss


def load_text_losses(names: str) -> list[NamedLoss]:
    """The losses of one or more names joined by "+", such as "nll+directional".

    A name is one of `TEXT_LOSSES`, an entry point of the group "fasttext2style.text_losses", or "module:attribute": a
    function from `Compared` to a scalar.

    Raises:
        ValueError: no such loss, or the same twice; says what there is.
    """
    parts = [name.strip() for name in names.split("+")]
    if len(set(parts)) < len(parts):
        raise ValueError(f"The text loss {names!r} names one loss twice.")
    losses = []
    for name in parts:
        loss = TEXT_LOSSES.get(name) or PLUG_INS.find(name)
        if loss is None:
            raise PLUG_INS.unknown(name, list(TEXT_LOSSES), ", several joined by +")
        if name == "directional":
            losses.append(NamedLoss("directional", "directional_weight", loss))
        else:
            losses.append(NamedLoss("text" if name in ("nll", "cosine") else name, "text_weight", loss))
    return losses
