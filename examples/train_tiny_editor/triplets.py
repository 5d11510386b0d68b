"""Pictures before and after an edit, and the look that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from encoder_parts import Brush, mix
from paint import LOOKS, Paints, original
from stages import Stages, shape_stages, toy_stages
from torch import Tensor

SCENE_SHARE = 0.65
"""How many of the pictures show the toy scene; the others single shapes."""


@dataclass(frozen=True)
class Triplets:
    before: Tensor
    """[count, 3, size, size], sRGB in [0, 1]."""
    after: Tensor
    """[count, 3, size, size]: the same with the object in the look that is asked for."""
    looks: Tensor
    """[count], indices into `LOOKS`."""
    coverage: Tensor
    """[count, 1, size, size]: where the object is."""


class TripletMaker:
    """A store of stages and endless triplets on them. All follows from the seed and the order of calls."""

    def __init__(self, seed: int, size: int, stages: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.scenes = toy_stages(stages // 2, size, self.generator)
        self.shapes = shape_stages(stages - stages // 2, size, self.generator)
        self.paints = Paints(seed=0)

    def take(self, count: int) -> Triplets:
        """Half of the objects begin as they are, a third in another look, the rest on the way from one to another."""
        in_scene = round(SCENE_SHARE * count)
        stages = Stages.concatenated([self._some(self.scenes, in_scene), self._some(self.shapes, count - in_scene)])
        looks, others, further = (torch.randint(len(LOOKS), (count,), generator=self.generator) for _ in range(3))
        after, other = self.paints.paint(stages, looks), self.paints.paint(stages, others)
        brush = Brush(self.generator, count, after.shape[-1])
        kind = brush.number(0, 1)
        before = torch.where(kind < 0.5, original(stages), other)
        patchy = ((brush.noise(3, 2) - brush.number(0.2, 0.8)) / 0.2 + 0.5).clamp(0, 1)
        share = torch.where(brush.number(0, 1) < 0.5, patchy, brush.number(0, 1))
        # The further look is often the one that is asked for: an edit that was begun before.
        further = torch.where(torch.rand(count, generator=self.generator) < 0.4, looks, further)
        halfway = mix(original(stages), self.paints.paint(stages, further), share)
        before = torch.where(kind > 0.82, halfway, before)
        return Triplets(before, after, looks, stages.coverage)

    def _some(self, stages: Stages, count: int) -> Stages:
        return stages.pick(torch.randint(len(stages), (count,), generator=self.generator))
