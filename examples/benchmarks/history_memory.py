"""Memory and time of a history: a scene of a million Gaussians, ten edits, then undo, drop, blend and redo of them.

    python examples/benchmarks/history_memory.py
    python examples/benchmarks/history_memory.py --grow

The bar: the peak stays under three times the scene's own size. Each edit recolours another tenth of the scene (--share)
or, with --grow, replaces it by Gaussians of new identities. Deltas lie on disk. Prints one table row, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fasttext2style.evaluation.report import versions
from fasttext2style.evaluation.timing import peak_host_bytes
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.scene.gaussians import Gaussians


def million_gaussians(count: int) -> SceneState:
    """Noise: nothing is rendered here."""
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 3), (count, 15, 3))
    return SceneState.from_gaussians(Gaussians(*(torch.randn(shape) for shape in shapes)), torch.ones(count))


def one_edit(history: History, state: SceneState, number: int, share: float, grow: bool) -> SceneState:
    """An edit as a session does it: the object as tensors of its own, the step kept, the scene written."""
    count = int(share * len(state))
    first = number * count % max(1, len(state) - count + 1)
    rows = torch.arange(first, first + count)
    if grow:
        delta = Delta.of_growth(
            state.at(state.ids[rows]), SceneState(state.at(state.ids[rows]).columns, history.fresh_ids(state, count))
        )
    else:
        before = {name: state.columns[name][rows] for name in ("features_dc", "features_rest")}
        delta = Delta.of_rows(state.ids[rows], before, {name: value + 0.1 for name, value in before.items()})
    history.record(delta, f"edit {number}")
    return delta.moved(state, 0.0, 1.0)


def measure(count: int, steps: int, share: float, grow: bool, folder: Path) -> dict[str, float]:
    """Sizes in megabytes, the slowest of each action in seconds of CPU time (other jobs may run beside)."""
    libraries = peak_host_bytes()
    state = million_gaussians(count)
    scene_size = sum(column.numel() * column.element_size() for column in state.columns.values())
    history = History.open(folder)
    seconds: dict[str, float] = {}

    def timed(name: str, action: Callable[..., SceneState], *arguments: Any) -> SceneState:
        started = time.process_time()
        result = action(*arguments)
        seconds[name] = max(seconds.get(name, 0.0), time.process_time() - started)
        return result

    for number in range(steps):
        state = timed("record", one_edit, history, state, number, share, grow)
    for _ in range(steps):
        state = timed("undo", history.undo, state)
    for _ in range(steps):
        state = timed("redo", history.redo, state)
    if not grow:
        state = timed("blend", history.blend, steps, 0.5, state)
    state = timed("drop", history.drop, steps, state)
    on_disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "scene_megabytes": scene_size / 1e6,
        "peak_beside_libraries_megabytes": (peak_host_bytes() - libraries) / 1e6,
        "peak_in_scenes": (peak_host_bytes() - libraries) / scene_size,
        "disk_megabytes": on_disk / 1e6,
        **{f"{name}_seconds": value for name, value in seconds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.1, help="of the scene that each edit changes")
    parser.add_argument("--grow", action="store_true", help="edits replace their Gaussians by new ones")
    parser.add_argument("--out", type=Path, default=Path("history_memory.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measure(options.gaussians, options.steps, options.share, options.grow, Path(folder) / "history")
    print("| Gaussians | steps | scene | peak | in scenes | on disk | slowest record / undo / redo, CPU time |")
    print(
        f"| {options.gaussians:,} | {options.steps} x {options.share:.0%}{' grown' if options.grow else ''} | "
        f"{row['scene_megabytes']:.0f} MB | {row['peak_beside_libraries_megabytes']:.0f} MB | "
        f"{row['peak_in_scenes']:.2f} | {row['disk_megabytes']:.0f} MB | {row['record_seconds']:.2f} / "
        f"{row['undo_seconds']:.2f} / {row['redo_seconds']:.2f} s |"
    )
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    options.out.write_text(json.dumps(row | {"settings": settings, "versions": versions()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
