"""How many rounds of which views and steps: one description that covers all sources.

A round is: views are rendered and edited, then the object trains towards the edited views, then all is written down.

| source | rounds | steps | views | edit_every | train_on |
|---|---|---|---|---|---|
| instruct-gs | 10 | 2,500 | all or some | at the start | the round's |
| Instruct-GS2GS | 3 | 2,500 | all | at the start | the round's |
| Instruct-NeRF2NeRF | 15 | 1,000 | 1 | 10 steps | all, photographs at first |
| FastText2ObjectStyle, Algorithm 4 | 4 | 20 epochs, batch 64 | all | at the start | the round's |
| FastText2ObjectStyle, Algorithm 3 | 4 | 251 | 1 | 1 step | the newest |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

OFF_AXIS_SHARE = 0.2
"""Share of a subset that is drawn from the views which show less of the object, for stability (instruct-gs)."""


@dataclass
class Schedule:
    """Rounds, their steps and their views."""

    rounds: int = 3
    """Rounds of render, edit, train. instruct-gs plans 10; edits that agree with each other need few."""
    steps: int = 0
    """Training steps of a round. 0 chooses: 100 on a CPU, 2,500 on CUDA (instruct-gs)."""
    epochs: int = 0
    """Length of a round in passes over its views instead of steps: Algorithm 4's edit_freq."""
    refinement_steps: int = 0
    """Further steps of each round on the same edited views, without growing (instruct-gs, GS-only refinement)."""
    views: int = 0
    """Views edited at a time; 0 takes all that show the object."""
    edit_every: int = 0
    """Edit the next `views` views after every so many steps of a round, too (Instruct-NeRF2NeRF: 1 view every 10
    steps); 0 edits at the start of a round only."""
    choice: Literal["turn", "order", "coverage", "residual"] = "residual"
    """Which views, when not all. "turn": each once before any comes again, in a random order. "order": that of the
    capture, again and again (Instruct-NeRF2NeRF). "coverage": those that show much of the object from different sides,
    and a few others. "residual": half of them those that the last round fitted worst, the others as "coverage"."""
    train_on: Literal["newest", "round", "latest", "dataset"] = "round"
    """Towards which pictures a round trains. "newest": the views edited last (Algorithm 3). "round": all that were
    edited in it. "latest": every view that was ever edited, as it was edited last. "dataset": these, and photographs
    of views not edited yet (Instruct-NeRF2NeRF)."""
    batch: int = 0
    """Views per training step. 0 chooses: 2 on a CPU, 4 on CUDA; of patches 16."""
    patch: int = 0
    """Train on square patches of this side in pixels, at random places of random views, `batch` of them a step
    (Instruct-NeRF2NeRF: 16 of 32); 0 trains on the box around the object. Rays that a radiance field renders cost
    alike wherever they are, so there only this is offered."""
    overlap: float = 0.0
    """Edit the next round's views during this last share of a round's steps, 0 to 1: `--workers` do so while this
    process trains. The views are as they were when that share began, so the targets lag behind by as much; 0 waits for
    the round's end. Only where edits begin rounds (edit_every 0)."""
    reset_adam: bool = True
    """Begin each round with fresh moments: a jump of the targets under moments that have converged makes steps of
    several times the learning rate. False where few targets change at a time."""

    def check(self) -> None:
        """Raises ValueError for settings that contradict each other."""
        if self.rounds < 1:
            raise ValueError(f"There must be at least 1 round, got {self.rounds}.")
        if self.steps and self.epochs:
            raise ValueError(
                f"A round lasts {self.steps} steps or {self.epochs} epochs, not both: set one of schedule.steps and "
                "schedule.epochs to 0."
            )
        negative = [name for name in ("steps", "epochs", "refinement_steps", "views", "edit_every", "batch", "patch")
                    if getattr(self, name) < 0]  # fmt: skip
        if negative:
            raise ValueError(f"schedule.{negative[0]} must be 0 or more, got {getattr(self, negative[0])}.")
        if not 0 <= self.overlap <= 1:
            raise ValueError(f"schedule.overlap is a share of a round's steps, 0 to 1, got {self.overlap}.")
        if self.overlap and self.edit_every:
            raise ValueError(
                f"schedule.overlap {self.overlap} is for rounds that edit at their start alone; these edit every "
                f"{self.edit_every} steps: set one of schedule.overlap and schedule.edit_every to 0."
            )
        if self.edit_every and not self.views:
            raise ValueError(
                "schedule.edit_every edits some views at a time: say how many with schedule.views (1, for example)."
            )

    def resolved(self, shown_views: int, on_cuda: bool) -> Plan:
        """The numbers that the zeros stand for.

        `shown_views` is the number of views that show the object. 20 epochs over 251 views in batches of 64 are
        20 * ceil(251 / 64) = 80 steps.
        """
        self.check()
        views = min(self.views or shown_views, shown_views)
        usual = 16 if self.patch else 4 if on_cuda else 2
        # A view may have several patches of a batch.
        batch = self.batch or usual if self.patch else min(self.batch or usual, shown_views)
        steps = self.steps or (2500 if on_cuda else 100)
        if self.epochs:
            only_edited = self.train_on == "newest" or (self.train_on == "round" and not self.edit_every)
            trained_on = views if only_edited else shown_views
            steps = self.epochs * math.ceil(trained_on / min(batch, trained_on))
        return Plan(self.rounds, steps, self.refinement_steps, views, self.edit_every, batch, self.overlap)


@dataclass(frozen=True)
class Plan:
    """A schedule in numbers, none of them left open. Rounds count from 1, steps of a round from 0."""

    rounds: int
    steps: int
    refinement_steps: int
    views: int
    edit_every: int
    batch: int
    overlap: float = 0.0

    @property
    def steps_per_round(self) -> int:
        return self.steps + self.refinement_steps

    @property
    def total_steps(self) -> int:
        return self.rounds * self.steps_per_round

    def edits_at(self, step: int) -> bool:
        """Whether views are edited before this step of a round."""
        if step == 0:
            return True
        return self.edit_every > 0 and step < self.steps and step % self.edit_every == 0

    def looks_ahead_at(self, step: int) -> bool:
        """Whether the next round's views are seen, and begin to be edited, before this step of a round."""
        return self.overlap > 0 and step == self.steps_per_round - math.ceil(self.overlap * self.steps_per_round)

    def refines_at(self, step: int) -> bool:
        """Whether this step of a round belongs to its refinement."""
        return step >= self.steps


def derived_seed(*numbers: int) -> int:
    """A seed for one purpose from the run's seed, the round's number, and so on: [0, 2^63).

    Nothing random passes from one round to the next but through seeds, so a resumed round draws what it would have.
    """
    # How many comes first: SeedSequence takes (1,) and (1, 0) for the same.
    words = np.random.SeedSequence((len(numbers), *numbers)).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


def choose_views(
    how: str,
    count: int,
    turn: int,
    coverage: Float[Tensor, " views"],
    directions: Float[Tensor, "views 3"],
    residuals: Mapping[int, float],
    seed: int,
) -> list[int]:
    """Which views are edited next; all different, none of coverage 0.

    Args:
        how: Schedule.choice.
        count: as many, or all there are.
        turn: how often views were chosen before in this run, in batches of `count`; "turn" and "order" continue from
            there.
        coverage: share of each picture that the object takes.
        directions: unit vectors along which the cameras look.
        residuals: view -> how far it was from its target at the end of the last round.
        seed: of the run.
    """
    shown = [view for view, share in enumerate(coverage.tolist()) if share > 0]
    if count >= len(shown):
        return shown
    if how == "turn":
        return _next_in_turn(shown, count, turn, seed)
    if how == "order":
        return [shown[(turn * count + place) % len(shown)] for place in range(count)]
    worst = sorted((view for view in residuals if view in shown), key=lambda view: -residuals[view])
    # Half of them: the same views again and again would leave the others behind.
    first = worst[: math.ceil(count / 2)] if how == "residual" else []
    return _spread(shown, count, coverage, directions, first)


def _next_in_turn(shown: Sequence[int], count: int, turn: int, seed: int) -> list[int]:
    """Positions turn * count ... of an endless row of shuffled epochs, without a view twice in one answer."""
    chosen: list[int] = []
    position = turn * count
    while len(chosen) < count:
        epoch, place = divmod(position, len(shown))
        generator = torch.Generator().manual_seed(derived_seed(seed, epoch))
        view = shown[int(torch.randperm(len(shown), generator=generator)[place])]
        if view not in chosen:
            chosen.append(view)
        position += 1
    return chosen


def _spread(
    shown: Sequence[int],
    count: int,
    coverage: Float[Tensor, " views"],
    directions: Float[Tensor, "views 3"],
    first: Sequence[int],
) -> list[int]:
    """After `first`, greedily the view of most coverage times angle to those chosen; the last fifth by angle alone."""
    chosen = list(first) or [max(shown, key=lambda view: float(coverage[view]))]
    while len(chosen) < count:
        # 1 - cosine to the nearest chosen view: 0 for one looked at already, 2 for the opposite side.
        apart = 1 - (directions @ directions[chosen].T).max(dim=1).values
        by_angle_alone = len(chosen) >= math.ceil(count * (1 - OFF_AXIS_SHARE))
        score = apart + 1e-3 if by_angle_alone else (apart + 1e-3) * coverage
        chosen.append(max((view for view in shown if view not in chosen), key=lambda view: float(score[view])))
    return chosen
