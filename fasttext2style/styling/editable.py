"""The object of a scene as parameters of its own: what is outside cannot change, and costs nothing.

Only the selected rows become parameters, so a step over an object of 80,000 Gaussians costs the same in a scene of two
million, and everything else stays as it was by construction. Rows with a weight between 0 and 1 are held back by
`styling.gate.UpdateGate`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fasttext2style.scene.gaussians import SPLATFACTO_NAMES, Gaussians
from fasttext2style.selection.selection import Selection


class EditableObject:
    """Selected Gaussians as optimizer parameters, under splatfacto's names (`gaussians.SPLATFACTO_NAMES`).

    `parameters` are before activation: "scales" are logarithms, "opacities" logits [object, 1]. They may be replaced
    entry by entry (densification does); `weights` then has to follow.

    Args:
        scene: all Gaussians.
        selection: the object among them.
        copy_scene: keep the whole scene as it was, for hosts that write the object back into the very tensors of
            `scene`. Without it only the object's rows are copied, and `self.scene` follows the host.
    """

    def __init__(self, scene: Gaussians, selection: Selection, copy_scene: bool = True) -> None:
        selection.check_matches(len(scene))
        selection.check_usable()
        values = {f.name: getattr(scene, f.name).detach() for f in fields(scene)}
        self.scene = Gaussians(**{name: value.clone() if copy_scene else value for name, value in values.items()})
        self.rows = selection.mask.to(scene.device).nonzero()[:, 0]
        self.original = self.scene.subset(self.rows)
        self.weights: Float[Tensor, " object"] = selection.weights.to(scene.device)[self.rows].clone()
        self.parameters: dict[str, nn.Parameter] = {
            name: nn.Parameter(value.clone()) for name, value in self.original.to_splatfacto().items()
        }

    def __len__(self) -> int:
        return len(self.parameters["means"])

    @property
    def has_grown(self) -> bool:
        """Gaussians were added or removed: rows no longer stand for rows of the scene."""
        return self._grown

    _grown = False

    def mark_grown(self, weights: Float[Tensor, " object"]) -> None:
        """After densification: the weights of the Gaussians that there are now."""
        if len(weights) != len(self):
            raise ValueError(f"The object has {len(self):,} Gaussians now, got {len(weights):,} weights")
        self.weights, self._grown = weights, True

    def gaussians(self, trainable: Collection[str] = SPLATFACTO_NAMES) -> Gaussians:
        """The object as it is now; groups that are not `trainable` come detached, so they get no gradient."""
        return Gaussians.from_columns(
            {name: value if name in trainable else value.detach() for name, value in self.parameters.items()}
        )

    def outside(self) -> Gaussians:
        """The Gaussians that no edit touches, in the scene's order."""
        keep = torch.ones(len(self.scene), dtype=torch.bool, device=self.scene.device)
        keep[self.rows] = False
        return self.scene.subset(keep)

    def let_go_of_scene(self) -> None:
        """For hosts that put a grown object into the scene themselves: its old tensors need not be kept alive."""
        self.scene = self.scene.subset(torch.zeros(0, dtype=torch.long, device=self.scene.device))

    @torch.no_grad()
    def merged(self) -> Gaussians:
        """The whole scene with the object as it is now, detached.

        In the scene's order; once the object has grown, what is outside comes first, then the object.
        """
        now = self.gaussians(trainable=()).detach()
        if self.has_grown:
            return Gaussians.concatenated([self.outside(), now])
        values = {f.name: getattr(self.scene, f.name).clone() for f in fields(self.scene)}
        for name, value in values.items():
            value[self.rows] = getattr(now, name)
        return replace(self.scene, **values)

    def merged_weights(self) -> Float[Tensor, " gaussians"]:
        """Selection weights in the order of `merged`."""
        if self.has_grown:
            return torch.cat([self.weights.new_zeros(len(self.scene) - len(self.rows)), self.weights])
        weights = self.weights.new_zeros(len(self.scene))
        weights[self.rows] = self.weights
        return weights
