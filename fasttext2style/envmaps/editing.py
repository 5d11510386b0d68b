"""A panorama edited from start to end, with progress, a picture of the way, and a few lines of what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import add
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.around import environment_of, keep_environment
from fasttext2style.envmaps.files import checked_bands, read_panorama, write_bands
from fasttext2style.envmaps.formats import SUFFIXES, read_head
from fasttext2style.envmaps.light_edit import LightEdit
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.seam import Seam
from fasttext2style.envmaps.tones import to_display
from fasttext2style.evaluation.report import labelled_rows, write_png
from fasttext2style.history.history import History
from fasttext2style.history.steps import Step
from fasttext2style.scene.files.atomic import check_place
from fasttext2style.terminal.console import say, warn
from fasttext2style.terminal.progress import PhaseProgress

Begin = Callable[[Tensor], LightEdit]
"""Begins an edit of a panorama [height, width, 3]."""
_SHOWN_ROWS = 192
_PICTURES_BETWEEN = 3
_MANY_ROWS = 2048
"""From here on one waits for the file."""


class Way:
    """The picture of an edit: the panorama at first, on the way, and at the end; written anew as it grows."""

    def __init__(self, path: Path, edit: LightEdit) -> None:
        self.path, self.edit = path, edit
        self._rows: dict[str, Tensor] = {}
        steps = edit.steps
        self._at = {round(steps * part / (_PICTURES_BETWEEN + 1)) for part in range(1, _PICTURES_BETWEEN + 1)}
        self.add("before")

    def add(self, label: str, strength: float = 1.0) -> None:
        """Add a row and write the picture.

        Raises:
            ValueError: it cannot be written.
        """
        picture = resized(self.edit.seen(strength), _SHOWN_ROWS).clamp(0, 1)
        self._rows[label] = picture[None]
        try:
            write_png(self.path, labelled_rows(self._rows, columns=1))
        except OSError as error:
            raise ValueError(f"{self.path} could not be written ({error.strerror or error})") from error

    def step_done(self) -> None:
        if self.edit.steps_done in self._at and self.edit.steps_done < self.edit.steps:
            self.add(f"after {self.edit.steps_done} of {self.edit.steps} steps")


def edit_file(
    source: Path,
    output: Path,
    begin: Begin,
    rows: int,
    strength: float = 1.0,
    repair: bool = False,
) -> None:
    """Edit the panorama of a file, write another one of its size, and a picture of the way beside it.

    It is lit and written in bands: it may be larger than memory.

    Args:
        rows: at most so many of it are read for the edit.

    Raises:
        ValueError: no panorama, an edit that cannot begin or go on, or something that cannot be written; `output` is
            then what it was.
    """
    check_strength(strength)
    head = read_head(source)
    edit = begin(read_panorama(source, at_most=rows, repair=repair))
    way = Way(output.with_name(f"{output.stem}_steps.png"), edit)
    say(f"The way there, in pictures: {way.path}")
    metrics, _ = run_edit(edit, way, strength)
    before, after, parts = Seam(), Seam(), []

    def edited() -> Iterator[Tensor]:
        above = 0
        for band in checked_bands(head, repair):
            before.add(to_display(band, edit.exposure_stops))
            parts.append(edit.apply(band, strength, above, head.height))
            after.add(to_display(band, edit.exposure_stops))
            yield band
            above += len(band)

    if head.height > _MANY_ROWS:
        say(f"Lighting and writing {head.width} x {head.height} pixels: half a minute or more")
    try:
        write_bands(output, head.height, edited())
    except OSError as error:
        raise ValueError(f"{output} could not be written ({error})") from error
    say(edit.summary(metrics))
    say(f"{reduce(add, parts)}.")
    seams = f"{before.ratio:.2f} before, {after.ratio:.2f} after"
    say(f"Step across the border over the mean step between columns: {seams}.")
    say(f"Edited panorama: {output}")


def edit_surroundings(
    history: History,
    color: Float[Tensor, "3"],
    begin: Begin,
    strength: float = 1.0,
) -> Step:
    """Edit what is around a scene, as a step of its history.

    Args:
        color: of the scene's background, as for `environment_of`.

    Raises:
        ValueError: nothing is around it, an edit that cannot begin or go on, or the step cannot be written.
    """
    check_strength(strength)
    edit = begin(present(history, color))
    metrics, seconds = run_edit(edit, None, strength)
    panorama = present(history, color)
    light = edit.apply(panorama, strength)
    step = record_edit(history, edit, panorama, metrics, seconds, strength)
    say(edit.summary(metrics))
    say(f"{light}.")
    return step


def present(history: History, color: Float[Tensor, "3"]) -> Float[Tensor, "height width 3"]:
    """A copy of what is around a scene now.

    Raises:
        ValueError: nothing is.
    """
    panorama = environment_of(history, color)
    if panorama is None:
        raise ValueError("There is nothing around the scene yet: put a panorama there first (ft2s envmap set RUN FILE)")
    return panorama.clone()


def record_edit(
    history: History,
    edit: LightEdit,
    panorama: Float[Tensor, "height width 3"],
    metrics: Mapping[str, float],
    seconds: float,
    strength: float = 1.0,
) -> Step:
    """Keep an edited panorama as a step: what is around the scene from now on.

    Raises:
        ValueError: it changed nothing, or cannot be written.
    """
    how = edit.provenance()
    seed = how.pop("seed")
    by = {name: how.pop(name) for name in ("encoder", "editor") if name in how}
    about = {"edit": edit.prompt, "strength": strength, **by}
    return keep_environment(
        history,
        panorama,
        edit.prompt,
        about,
        prompt=edit.prompt,
        settings=how,
        seed=seed,
        seconds=round(seconds, 2),
        metrics=metrics,
    )


def run_edit(edit: LightEdit, way: Way | None, strength: float) -> tuple[dict[str, float], float]:
    """All steps of an edit on the terminal; returns what came of it, and how many seconds it took.

    Raises:
        ValueError: it cannot go on, or the picture cannot be written.
    """
    if edit.warning:
        warn(edit.warning)
    started = time.monotonic()
    with PhaseProgress("Editing", edit.steps) as progress:
        for number in range(edit.steps):
            progress.update(number, edit.step())
            if way is not None:
                way.step_done()
    if way is not None:
        way.add("after", strength)
    return edit.metrics(strength), time.monotonic() - started


def check_output(output: Path) -> None:
    """Raises ValueError for an ending that is no panorama's, or a folder that is not there."""
    if output.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{output} should end in one of {', '.join(SUFFIXES)}, which says the format")
    if not output.absolute().parent.is_dir():
        raise ValueError(f"{output} cannot be written: there is no folder {output.absolute().parent}")
    check_place(output)


def check_strength(strength: float) -> None:
    """Raises ValueError unless it lies between 0 and 1."""
    if not 0 <= strength <= 1:
        raise ValueError(f"--strength lies between 0 (as it was) and 1 (as edited), got {strength}")
