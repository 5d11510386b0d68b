"""Edits of views by one process and by workers of Ray: views per second, and what Ray costs a view.

    OMP_NUM_THREADS=1 python examples/benchmarks/workers.py

Each row edits the same views with the same number of threads a worker; results are compared bit by bit. "nothing" is an
editor that gives its pictures back: what it takes is what handing them out and taking them in costs. Then what the
process of the run itself does for a view, edits apart, at the size of a capture. Prints tables and writes workers.json;
workers_on_paper.py reckons with such numbers for more workers than there are.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from fasttext2style.editors.editor import EditRequest, EditResult, ImageEditor
from fasttext2style.editors.load import load_editor
from fasttext2style.editors.local_edit import feathered
from fasttext2style.evaluation.halo import widened
from fasttext2style.evaluation.report import versions
from fasttext2style.rounds.folder import KeepConfig, RoundsFolder
from fasttext2style.rounds.packed import Packed
from fasttext2style.rounds.views import to_bytes
from fasttext2style.rounds.workers import Workers, hire_editors, workers_of
from fasttext2style.workers.choice import WorkersChoice


class Nothing:
    """Gives the pictures back."""

    name, capabilities, batch_size = "nothing", frozenset({"mask"}), 8

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        return EditResult(request.images)

    def close(self) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--views", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20, help="denoising steps of the packaged editor")
    parser.add_argument("--size", type=int, nargs=2, default=[128, 128], help="width, height for the packaged editor")
    parser.add_argument("--capture", type=int, nargs=2, default=[1600, 1066], help="width, height for the other rows")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("outputs/workers"))
    options = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", 1))
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)

    rows = []
    tiny = partial(load_editor, "tiny", batch_size=options.batch)
    kinds: list[tuple[Callable[[str], ImageEditor], list[int], int]] = [
        (tiny, options.size, options.views),
        (lambda device: Nothing(), options.capture, 8),
    ]
    for load, size, views in kinds:
        rows += table(load, size, views, options)
    print("| editor | pictures | workers | views a second | ms a view | start |\n|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['editor']} | {row['width']}x{row['height']} | {row['workers']}, {row['where']} "
            f"| {row['views_per_second']:.2f} | {1000 / row['views_per_second']:.1f} | {row['start_seconds']:.0f} s |"
        )
    here = costs_of_a_view(*options.capture)
    print("Of the run itself, ms a view:", ", ".join(f"{name} {1000 * value:.0f}" for name, value in here.items()))
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"threads": threads, "cores": os.cpu_count(), "rows": rows, "seconds_of_a_view": here}
    (options.out / "workers.json").write_text(json.dumps(report | {"versions": versions() | _ray()}, indent=1) + "\n")


def table(load: Callable[[str], ImageEditor], size: list[int], views: int, options: argparse.Namespace) -> list[dict]:
    """In this process, and for each number of workers on Ray; one worker on Ray shows what Ray alone costs."""
    width, height = size
    requests = pieces(width, height, views, options.batch, options.steps)
    rows, expected = [], None
    for count in (0, *options.workers):
        started = time.perf_counter()
        if count == 0:
            workers: Workers = workers_of(load(options.device))
        else:
            workers = hire_editors(WorkersChoice(count), load, options.device, "it")
        start = time.perf_counter() - started
        try:
            answers = edited(workers, requests, views)  # warms up
            assert expected is None or options.device != "cpu" or torch.equal(answers, expected), "other bits"
            expected = answers
            seconds = min(timed(workers, requests, views) for _ in range(options.repeats))
        finally:
            workers.close()
        rows.append(
            {
                "editor": workers.name,
                "width": width,
                "height": height,
                "workers": count or 1,
                "where": "Ray" if count else "in process",
                "views_per_second": round(views / seconds, 3),
                "start_seconds": round(start, 1),
            }
        )
    return rows


def pieces(width: int, height: int, views: int, batch: int, steps: int = 20) -> list[EditRequest]:
    """As rounds make them: the renders as floats, what is made of 8 bits beside them."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(batch, height, width, 1)
    mask[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
    originals = torch.randint(0, 256, (batch, height, width, 3), generator=generator, dtype=torch.uint8).float() / 255
    return [
        EditRequest(
            torch.rand(batch, height, width, 3, generator=generator),
            "make it red",
            condition=originals.clone(),
            mask=mask,
            detail=originals,
            steps=steps,
            view_ids=tuple(range(start, start + batch)),
        )
        for start in range(0, views, batch)
    ]


def edited(workers: Workers, requests: list[EditRequest], views: int) -> torch.Tensor:
    answers = dict(workers.edit_all(iter(requests), views))
    return torch.cat([to_bytes(answers[place].images) for place in sorted(answers)])


def timed(workers: Workers, requests: list[EditRequest], views: int) -> float:
    started = time.perf_counter()
    edited(workers, requests, views)
    return time.perf_counter() - started


def costs_of_a_view(width: int, height: int) -> dict[str, float]:
    """Seconds that the process of the run spends on a view beside rendering it: it does so for one after the other."""
    (request,) = pieces(width, height, 1, 1)
    assert request.condition is not None and request.mask is not None
    photograph, mask = to_bytes(request.condition)[0], to_bytes(request.mask)[0]
    with tempfile.TemporaryDirectory() as folder:
        books = RoundsFolder(Path(folder), KeepConfig())
        books.begin(1)
        jobs = {
            "mask": lambda: widened(mask[..., 0], round(0.05 * height)),
            "a feather of 0.05": lambda: feathered(mask[..., 0].float(), 0.05),
            "into 8 bits": lambda: to_bytes(request.images),
            "packing": lambda: Packed.of(request),
            "writing": lambda: [
                books.write_picture(1, kind, 0, value)
                for kind, value in (("before", photograph), ("edited", photograph), ("mask", mask))
            ],
        }
        return {name: round(min(_seconds(job) for _ in range(3)), 4) for name, job in jobs.items()}


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def _ray() -> dict[str, str]:
    import ray

    return {"ray": ray.__version__}


if __name__ == "__main__":
    main()
