"""One picture of all trials: each from two sides, with its number in the history, its time, and how near it came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from fasttext2style.evaluation.report import to_uint8, write_png, write_report
from fasttext2style.history.state import SceneState
from fasttext2style.history.steps import Step
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.rasterize import render
from fasttext2style.styling.views import object_views
from fasttext2style.sweeps.keeping import in_force, numbers_of_edits, second_judge_of
from fasttext2style.sweeps.sweep import Sweep
from fasttext2style.trust.text import one_line

SIDES = 2
SIZE = 192
"""Of a picture, in pixels."""
MARGIN, LINE, GAP = 1.5, 17, 8
"""How much is seen around the object; heights of a line of text and between tiles, in pixels."""
MOST_COLUMNS = 4
_LINES = 3


@dataclass(frozen=True)
class _Tile:
    pictures: UInt8[np.ndarray, "height width 3"]
    lines: tuple[str, ...]


def contact_sheet(sweep: Sweep) -> UInt8[np.ndarray, "height width 3"]:
    """Of what the history holds now, in the order of the sentences; the first tile is the object as it is.

    Raises:
        ValueError: a step of the history is damaged, or no view shows the object.
    """
    thing = sweep.state.gaussians().subset(sweep.state.selection > 0)
    views = object_views(thing, sweep.cameras, SIZE, MARGIN)
    views = views[[side * len(views) // SIDES for side in range(SIDES)]]  # first and last may be neighbours on a circle
    numbers = numbers_of_edits(sweep.history)
    how = sweep.studio.how
    tiles = [_Tile(_seen(sweep.state, views), ("as it is", f"{how.steps} steps each, encoder {how.encoder}"))]
    blank = np.full_like(tiles[0].pictures, 235)
    for trial in sweep.trials:
        step, title = sweep.steps.get(trial.number), f"{one_line(trial.prompt)}{sweep.seed_of(trial)}"
        if step is None:
            tiles.append(_Tile(blank, (title, sweep.failed.get(trial.number, "not tried yet"))))
            continue
        with in_force(sweep.state, sweep.history.delta(step.id)) as shown:
            pictures = _seen(shown, views)
        tiles.append(_Tile(pictures, (f"{numbers[step.id]}  {title}", *_facts(step))))
    return _laid_out(tiles)


def report_of(sweep: Sweep) -> dict[str, Any]:
    """The same in numbers."""
    numbers, entries = numbers_of_edits(sweep.history), []
    for trial in sweep.trials:
        entry: dict[str, Any] = {"prompt": trial.prompt, "seed": trial.seed}
        step = sweep.steps.get(trial.number)
        if step is not None:
            entry |= {"edit": numbers[step.id], "seconds": step.seconds, **step.metrics}
            entry |= {"second_judge": second_judge_of(step)} if second_judge_of(step) else {}
        else:
            entry["failed"] = sweep.failed.get(trial.number, "not tried yet")
        entries.append(entry)
    how = sweep.studio.how
    return {"encoder": how.encoder, "steps": how.steps, "object": sweep.origin, "sentences": entries}


def _facts(step: Step) -> tuple[str, str]:
    """Time and similarity; what the second judge says."""

    def change(name: str) -> str:
        pair = [step.metrics.get(f"{name}_{when}") for when in ("before", "after")]
        return "" if None in pair else f"{pair[0]:.3f} to {pair[1]:.3f}"

    judged, judge = change("judged"), one_line(second_judge_of(step), 40)
    return (
        f"{step.seconds:.0f} s   similarity {change('similarity')}",
        f"second judge ({judge}) {judged}" if judged else "",
    )


@torch.no_grad()
def _seen(state: SceneState, views: Cameras) -> UInt8[np.ndarray, "height width 3"]:
    return np.concatenate(list(to_uint8(render(state.gaussians(), views)[0])), axis=1)


def _laid_out(tiles: list[_Tile]) -> UInt8[np.ndarray, "height width 3"]:
    height, width = tiles[0].pictures.shape[:2]
    columns = min(MOST_COLUMNS, max(2, round(len(tiles) ** 0.5)))
    across, down = width + GAP, height + _LINES * LINE + 2 * GAP
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * across + GAP, rows * down + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, tile in enumerate(tiles):
        left, top = GAP + place % columns * across, GAP + place // columns * down
        sheet.paste(Image.fromarray(tile.pictures), (left, top))
        for line, text in enumerate(tile.lines):
            font = ImageFont.load_default(size=14 if line == 0 else 12)
            fill = "black" if line == 0 else "#444444"
            draw.text((left, top + height + 3 + line * LINE), _fitting(text, font, width), fill=fill, font=font)
    return np.asarray(sheet)


def _fitting(text: str, font: Any, width: int) -> str:
    """Cut where the tile ends."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def write_sheet(sweep: Sweep, path: Path) -> None:
    """The picture, and beside it the numbers as JSON.

    Raises:
        OSError: they cannot be written.
    """
    write_png(path, contact_sheet(sweep))
    write_report(path.with_suffix(".json"), report_of(sweep))
