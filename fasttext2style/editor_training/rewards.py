"""What is good about an edit: rewards, each a small function of the same arguments, and weighted sums of them by name.

Pictures are [samples, height, width, 3], sRGB in [0, 1]. A reward is larger for better edits; what the paper calls a
loss keeps its sign here and gets a negative weight: its total is attention + alpha * mae with alpha = -1, and is
maximised (section 3.1 of InstructRL4Pix speaks of losses and of a reward for the same number).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.plug_ins import PlugIns

PLUG_INS = PlugIns("reward")
PAPER = ("attention=1", "mae=-1")
"""InstructRL4Pix, equation 6 with alpha = -1."""


@dataclass(frozen=True)
class Edits:
    """Edited pictures, and all that a reward may want to know about them."""

    images: Float[Tensor, "samples height width 3"]
    """Before."""
    edited: Float[Tensor, "samples height width 3"]
    masks: Float[Tensor, "samples height width 1"]
    captions: tuple[str, ...]
    """What they should show."""
    attention: Float[Tensor, "samples h w"] | None = None
    """Where the network looked for the instruction's content words; None if no reward asked for it."""
    encoder: TextImageEncoder | None = None
    """None if no reward asked for it."""
    tau: float = 0.05
    """Mean absolute error up to which `mae` takes no notice. The paper gives no number; pictures in [0, 1]."""


RewardFunction = Callable[[Edits], Float[Tensor, " samples"]]


def attention(edits: Edits) -> Float[Tensor, " samples"]:
    """Cosine between the attention map and the mask, brought to the map's size by areas (equation 4).

    The paper's a1 stands for both maps; here a1 is the network's, a2 the mask's. 1 where they are proportional; a map
    that is the same everywhere gets the root of the mask's share: 0.5 for a hard mask of a quarter.
    """
    assert edits.attention is not None, "the policy reads attention when a reward asks for it"
    masks = F.interpolate(edits.masks.movedim(-1, 1), edits.attention.shape[1:], mode="area")
    return F.cosine_similarity(edits.attention.flatten(1), masks.flatten(1).to(edits.attention), dim=1)


def mae(edits: Edits) -> Float[Tensor, " samples"]:
    """Mean absolute error between the pictures before and after, 0 up to `tau` (the paper's "clip loss", equation 5).

    It falls when anything changes less, the object, too. A hard gate, as in the paper: 0.05 counts 0, 0.051 itself.
    """
    error = _difference(edits).flatten(1).mean(1)
    return torch.where(error > edits.tau, error, torch.zeros_like(error))


def outside(edits: Edits) -> Float[Tensor, " samples"]:
    """Mean absolute change where the mask is 0, pixels of the mask's edge by their share. 0 if all stayed."""
    return _mean_where(_difference(edits), 1 - edits.masks[..., 0])


def inside(edits: Edits) -> Float[Tensor, " samples"]:
    """Mean absolute change inside the mask."""
    return _mean_where(_difference(edits), edits.masks[..., 0])


def text(edits: Edits) -> Float[Tensor, " samples"]:
    """Cosine between the caption and the picture with the edit inside the mask only, by the encoder.

    What happens outside is not looked at: it could be made to fit the caption, too.
    """
    assert edits.encoder is not None, "an encoder is loaded when a reward asks for it"
    composed = torch.lerp(edits.images, edits.edited, edits.masks)
    captions = list(dict.fromkeys(edits.captions))
    texts = edits.encoder.embed_texts(captions)[[captions.index(caption) for caption in edits.captions]]
    return (edits.encoder.embed_images(composed) * texts.to(composed.device)).sum(-1)


REWARDS: dict[str, RewardFunction] = {
    "attention": attention,
    "mae": mae,
    "outside": outside,
    "inside": inside,
    "text": text,
}
DIFFERENTIABLE = frozenset({"mae", "outside", "inside", "text"})
"""To the edited pixels. `mae` is so beyond its gate."""


BY_PIXEL: dict[str, Callable[[Edits], Float[Tensor, "samples height width"]]] = {
    "outside": lambda edits: 1 - edits.masks[..., 0],
    "inside": lambda edits: edits.masks[..., 0],
}
"""Rewards that are means of the change of single pixels, with the weights of that mean."""


class Reward:
    """A weighted sum of rewards: "attention=1 mae=-1", or your own: "my_module:function=0.5".

    Raises:
        ValueError: no such reward, none at all, or a weight that is no number.
    """

    def __init__(self, terms: Sequence[str]) -> None:
        self.weights: dict[str, float] = {}
        self._functions: dict[str, RewardFunction] = {}
        for term in terms:
            name, _, weight = term.rpartition("=") if "=" in term else (term, "", "1")
            try:
                self.weights[name] = float(weight)
            except ValueError:
                raise ValueError(f"A reward is NAME=WEIGHT, such as outside=-2; got {term!r}") from None
            if not math.isfinite(self.weights[name]):
                raise ValueError(f"A reward's weight is a number, got {term!r}")
            self._functions[name] = _reward(name)
        if not any(self.weights.values()):
            raise ValueError(
                f"No reward was given: name some of {', '.join(REWARDS)}, such as --reward {' '.join(PAPER)}"
            )

    def parts(self, edits: Edits) -> dict[str, Float[Tensor, " samples"]]:
        """Each reward by itself, before its weight.

        Raises:
            ValueError: a reward that is not one finite number per sample; says which.
        """
        found = {}
        for name, function in self._functions.items():
            values = function(edits)
            if not isinstance(values, Tensor) or values.shape != (len(edits.images),):
                shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
                raise ValueError(f"The reward {name} should be one number for each of {len(edits.images)}; got {shape}")
            if not bool(values.isfinite().all()):
                raise ValueError(f"The reward {name} is NaN or infinite; it cannot be learned from")
            found[name] = values
        return found

    def total(self, parts: dict[str, Float[Tensor, " samples"]]) -> Float[Tensor, " samples"]:
        """The weighted sum."""
        return torch.stack([self.weights[name] * values.float() for name, values in parts.items()]).sum(0)

    def by_place(self, edits: Edits, height: int, width: int) -> Float[Tensor, "samples h w"]:
        """What each place of [height, width] latents adds to the total: over all places it sums up to it."""
        total = torch.zeros_like(edits.images[..., 0])
        for name, weight in self.weights.items():
            weights = BY_PIXEL[name](edits)
            whole = weights.flatten(1).sum(1).clamp_min(1e-8)[:, None, None]
            total += weight * _difference(edits) * weights / whole
        share = total[0].numel() / (height * width)
        return F.interpolate(total[:, None], (height, width), mode="area")[:, 0] * share

    def check_places(self) -> None:
        """Raises ValueError for a reward that no single place has."""
        if others := [name for name in self.weights if name not in BY_PIXEL]:
            raise ValueError(
                f"Credit by place needs rewards that are means over pixels ({', '.join(BY_PIXEL)}), and "
                f"{', '.join(others)} is none: take --credit sample."
            )

    def asks_for(self, name: str) -> bool:
        """Whether this reward is among the terms; one of somebody's own may want anything."""
        return name in self.weights or any(term not in REWARDS for term in self.weights)

    @property
    def is_differentiable(self) -> bool:
        return set(self.weights) <= DIFFERENTIABLE


def _reward(name: str) -> RewardFunction:
    if name in REWARDS:
        return REWARDS[name]
    found = PLUG_INS.find(name)
    if found is None:
        raise PLUG_INS.unknown(name, list(REWARDS))
    return found


def _difference(edits: Edits) -> Float[Tensor, "samples height width"]:
    return (edits.edited - edits.images).abs().mean(-1)


def _mean_where(
    values: Float[Tensor, "samples height width"], weights: Float[Tensor, "samples height width"]
) -> Float[Tensor, " samples"]:
    return (values * weights).flatten(1).sum(1) / weights.flatten(1).sum(1).clamp_min(1e-8)
