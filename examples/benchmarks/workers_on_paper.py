"""What a round costs with more GPUs than there are here: the real hand-out of pieces, on a clock that is only counted.

    python examples/benchmarks/workers_on_paper.py

`workers/pieces.py` deals out the pieces of a round to workers whose edits take as long as was measured on one GPU, give
or take, while the run's process renders, packs and fetches one piece after the other over one network card. Some
workers die and load their editor again. Prints one row per number of workers, with what each part of a round takes,
what everybody waits for, and what a round takes where rounds overlap wholly (workers edit the next one's views, the
run's process trains and looks after them between steps); writes workers_on_paper.json. The numbers put in have their
sources beside them; whoever has others gives them as options.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from fasttext2style.editors.editor import EditRequest, EditResult, OnStep
from fasttext2style.evaluation.report import versions
from fasttext2style.rounds.workers import edit_pieces
from fasttext2style.workers.pieces import Failed

EDIT_SECONDS = {1: 0.72, 4: 0.26, 16: 0.22}
"""Of a view, by views at once: InstructPix2Pix's size, fp16, 512x512, 20 steps, one H200 (docs/measurements.md)."""


STEPS = 2500
"""Of a round's training."""


@dataclass
class Costs:
    """Seconds, and bytes, of a view of 1600x1066."""

    render: float = 0.03
    """Of the run's process, one view after the other: render on its GPU and fetch it. Assumed: a step of rounds with
    four boxes and their gradients takes 38 ms on an H200."""
    prepare: float = 0.10
    """Its mask, 8 bits, packing: 78 ms measured by workers.py on one core; into shared memory, assumed."""
    take_in: float = 0.03
    """Its answer out of shared memory, assumed, and into 8 bits, measured."""
    write: float = 0.37
    """Its three .png, measured by workers.py; when all are edited, one after the other."""
    bytes_there: float = 1600 * 1066 * (12 + 3 + 1)
    """The render as floats, the original and the mask in 8 bits."""
    bytes_back: float = 1600 * 1066 * 12
    network: float = 1.25e9
    """Bytes a second of the head's network card, each way: 10 Gbit/s. Workers on the head's own machine need none."""
    here: int = 8
    """Workers on the head's own machine."""
    train: float = STEPS * 0.038
    """Of a round: steps of four boxes, H200."""
    after: float = 0.25
    """Of a view, when the round ends: rendered, compared, one .png written. Assumed, from the above."""
    slower: float = 1.0
    """An editor that takes so many times as long as that of EDIT_SECONDS."""
    spread: float = 0.10
    """Edits take as long as they take, give or take this share (log-normal)."""
    deaths: float = 0.001
    """Share of pieces whose worker dies."""
    load: float = 60.0
    """A new worker's Python, libraries and editor. Rounds after the first find theirs loaded."""


class CountedCrew:
    """A `Crew` on a clock: `now` is the run's process, which does one thing at a time; workers end when they end."""

    def __init__(self, count: int, costs: Costs, batch: int, seed: int) -> None:
        self.count, self.costs, self.now = count, costs, 0.0
        self._random = random.Random(seed)
        self._edit = edit_seconds(batch) * costs.slower
        self._free_at = [0.0] * count
        self._begun: dict[int, tuple[float, EditResult | Failed]] = {}
        self._wires = {"there": 0.0, "back": 0.0}
        self.busy, self.waited, self.deaths = 0.0, 0.0, 0

    def hand_in(self, request: EditRequest) -> EditRequest:
        self.now += len(request.images) * (self.costs.render + self.costs.prepare)
        return request

    def handed_in(self, piece: EditRequest) -> EditRequest:
        return piece

    def free(self) -> list[int]:
        ready = [worker for worker in range(self.count) if worker not in self._begun]
        return [worker for worker in ready if self._free_at[worker] <= self.now]

    def begin(self, worker: int, piece: EditRequest, rows: list[int], on_step: OnStep | None) -> None:
        costs, views = self.costs, len(rows)
        arrived = self._over("there", worker, self.now, views * costs.bytes_there)
        seconds = views * self._edit * math.exp(self._random.gauss(0, costs.spread))
        outcome: EditResult | Failed = EditResult(piece.images[rows])
        ends = arrived + seconds
        if self._random.random() < costs.deaths:
            ends, outcome, self.deaths = arrived + seconds * self._random.random(), Failed("died"), self.deaths + 1
            self._free_at[worker] = ends + costs.load
        else:
            self.busy += seconds
            ends = self._over("back", worker, ends, views * costs.bytes_back)
        self._begun[worker] = (ends, outcome)

    def wait(self, patient: bool = True) -> list[tuple[int, EditResult | Failed]]:
        if not self._begun:
            if not patient:
                return []
            later = min(self._free_at)
            self.waited += max(0.0, later - self.now)
            self.now = max(self.now, later)
            return []
        worker = min(self._begun, key=lambda one: self._begun[one][0])
        if not patient and self._begun[worker][0] > self.now:
            return []
        ends, outcome = self._begun.pop(worker)
        self.waited += max(0.0, ends - self.now)
        self.now = max(self.now, ends)
        if isinstance(outcome, EditResult):
            self.now += len(outcome.images) * self.costs.take_in
            self._free_at[worker] = ends
        return [(worker, outcome)]

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _over(self, way: str, worker: int, since: float, size: float) -> float:
        """When it has gone over the one network card that all share, which takes one thing after the other."""
        if worker < self.costs.here:
            return since
        self._wires[way] = max(self._wires[way], since) + size / self.costs.network
        return self._wires[way]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--views", type=int, default=300)
    parser.add_argument("--batch", type=int, default=0, help="0: at most 8, and so that everybody has something to do")
    parser.add_argument("--seeds", type=int, default=20)
    for name, value in asdict(Costs()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--out", type=Path, default=Path("outputs/workers_on_paper"))
    options = parser.parse_args()
    costs = Costs(**{name: getattr(options, name) for name in asdict(Costs())})
    rows = [average(options.views, count, options.batch, costs, options.seeds) for count in options.workers]
    alone = rows[0]
    print(f"A round of {options.views} views, seconds")
    print(
        "| workers | batch | editing | workers busy | run busy | writes | trains | end | all | overlapping | faster |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['workers']} | {row['batch']} | {row['editing']:.1f} | {row['busy']:.0%} | {row['own']:.0%} "
            f"| {row['writing']:.0f} | {row['training']:.0f} | {row['end']:.0f} | {row['all']:.0f} "
            f"| {row['all_overlapping']:.0f} "
            f"| {alone['editing'] / row['editing']:.1f} times the editing, {alone['all'] / row['all']:.2f} the round |"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"views": options.views, "costs": asdict(costs), "edit_seconds": EDIT_SECONDS, "rows": rows}
    (options.out / "workers_on_paper.json").write_text(json.dumps(report | {"versions": versions()}, indent=1) + "\n")


def average(views: int, count: int, batch: int, costs: Costs, seeds: int) -> dict[str, Any]:
    """One round, over some seeds."""
    batch = batch or max(1, min(8, -(-views // count)))
    editing, busy, own, deaths, both = 0.0, 0.0, 0.0, 0, 0.0
    for seed in range(seeds):
        crew = edited(views, count, batch, costs, seed)
        editing += crew.now / seeds
        busy += crew.busy / (count * crew.now) / seeds
        own += 1 / seeds - crew.waited / crew.now / seeds
        deaths += crew.deaths
        both += edited(views, count, batch, costs, seed, STEPS).now / seeds
    parts = {"writing": views * costs.write, "training": costs.train, "end": views * costs.after}
    return {
        "workers": count,
        "batch": batch,
        "editing": editing,
        "busy": busy,
        "own": own,
        "deaths_a_round": deaths / seeds,
        **parts,
        "all": editing + sum(parts.values()),
        # The run's own GPU is the only worker there is, or one of them is not.
        "all_overlapping": editing + sum(parts.values()) if count == 1 else both + parts["writing"] + parts["end"],
    }


def edited(views: int, count: int, batch: int, costs: Costs, seed: int, steps: int = 0) -> CountedCrew:
    """A crew that has edited all views once; beside so many training steps of the run's process, which looks after it
    between them."""

    def requests() -> Iterator[EditRequest]:
        for start in range(0, views, batch):
            ids = tuple(range(start, min(start + batch, views)))
            yield EditRequest(torch.zeros(len(ids), 1, 1, 3), "make it red", view_ids=ids)

    crew = CountedCrew(count, costs, batch, seed)
    waits, answers = steps == 0, {}
    with closing(edit_pieces(crew, requests(), views, is_patient=lambda: waits)) as looks:
        for _ in range(steps):
            for ended in looks:
                if ended is None:
                    break
                answers[ended[0]] = ended[1]
            crew.now += costs.train / steps
        waits = True
        answers |= dict(ended for ended in looks if ended is not None)
    assert sum(len(answer.images) for answer in answers.values()) == views
    return crew


def edit_seconds(batch: int) -> float:
    """Of a view among `batch`: between what was measured, along straight lines over the logarithm."""
    known = sorted(EDIT_SECONDS.items())
    if batch >= known[-1][0]:
        return known[-1][1]
    for (low, slow), (high, fast) in pairwise(known):
        if low <= batch <= high:
            share = math.log(batch / low) / math.log(high / low)
            return slow + share * (fast - slow)
    raise ValueError(f"A batch has at least {known[0][0]} view, got {batch}.")


if __name__ == "__main__":
    main()
