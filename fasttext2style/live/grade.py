"""The object's colours by sliders: seen while they move, one step of the history when they come to rest."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.live.objects import belonging
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.styling.as_step import object_view, thumbnail
from fasttext2style.styling.grade import graded
from fasttext2style.styling.grade_settings import Grade


@dataclass(frozen=True)
class ApplyGrade:
    """Show the object with these colours; `LiveScene.settle` makes a step of it.

    As long as nothing else is done, a grade replaces the one before it: sliders say how the object differs from what it
    was before the first of them was moved.
    """

    grade: Grade
    title: str = "Colors"
    replaces_waiting: bool = True
    goes_on: bool = True
    """What is on its way need not be settled before this."""

    def run(self, scene: LiveScene, progress: Progress) -> str:
        grading(scene).show(self.grade)
        return "Colors changed." if not self.grade.is_neutral else "The sliders are reset."


def grading(scene: LiveScene) -> Grading:
    """The grade on its way, which a later one replaces; begun if there is none.

    Raises:
        ValueError: nothing is selected, what is selected is hidden, or what was on its way cannot be written.
    """
    if scene.selection.count == 0:
        raise ValueError("Nothing is selected yet. Click on the object first.")
    if not isinstance(scene.unsettled, Grading):
        scene.settle()  # of another slider
        scene.unsettled = Grading(scene)
    return scene.unsettled


@torch.no_grad()
def record_grade(history: History, state: SceneState, weights: Float[Tensor, " gaussians"], grade: Grade) -> SceneState:
    """Change the colours of what these weights select, as a step; returns the scene, with the same tensors.

    Raises:
        ValueError: settings outside of their limits, nothing that would change, or the step cannot be written.
    """
    rows = (weights > 0).nonzero()[:, 0]
    if len(rows) == 0:
        raise ValueError("Nothing is selected: give --object-file, or select the object in a live session")
    before = state.at(state.ids[rows])
    columns = graded(before.gaussians(), weights[rows].to(before.selection), grade)
    delta = Delta.of_rows(before.ids, {name: before.columns[name] for name in columns}, columns)
    history.record(delta, "colors", settings={"grade": asdict(grade)})
    for name, column in columns.items():
        state.columns[name].index_copy_(0, rows, column)
    return state


def grade_of(scene: LiveScene) -> Grade:
    """What the sliders stand for: the grade that the next one replaces."""
    if isinstance(scene.unsettled, Grading):
        return scene.unsettled.grade
    last = scene.history.last_move
    settings = scene.history.step(last.step).settings if last is not None and last.new == 1 else {}
    try:  # of a file that anybody may have written
        said = settings["grade"]
        return Grade(**said | {"tint_color": tuple(said["tint_color"])}).check()
    except (KeyError, TypeError, ValueError):
        return Grade()


class Grading:
    """A grade on its way into the history."""

    def __init__(self, scene: LiveScene) -> None:
        self.scene, self.grade = scene, grade_of(scene)
        self._sentence = ""
        self.belonging = belonging(scene)
        if not self.grade.is_neutral:  # the last step is a grade, which goes when a new one comes
            last = scene.history.last_move
            self._sentence = "" if last is None else scene.history.step(last.step).prompt
            scene.move(scene.history.undo)
        chosen = (scene.state.selection > 0).nonzero()[:, 0]
        self.before = scene.state.at(scene.state.ids[chosen])
        self.rows, self.started = chosen, time.monotonic()
        scene.is_edited(self.before.ids, self.before)
        self._changed: set[str] = set()

    @torch.no_grad()
    def show(self, grade: Grade, sentence: str = "") -> None:
        """Let the object look like this, which a sentence asked for; it is told as long as the colour is that."""
        color = (grade.tint, grade.tint_color, grade.hue_degrees)
        if sentence or color != (self.grade.tint, self.grade.tint_color, self.grade.hue_degrees):
            self._sentence = sentence
        columns = graded(self.before.gaussians(), self.before.selection, grade)
        with self.scene.lock:
            for name in self._changed | columns.keys():
                self.scene.state.columns[name].index_copy_(0, self.rows, columns.get(name, self.before.columns[name]))
        self._changed |= columns.keys()
        self.grade = grade
        self.last = time.monotonic()
        self.scene.host.show_before(self.rows, self.before.columns)
        self.scene.tell("scene")

    def settle(self) -> None:
        """Make it a step, if it changes anything.

        Raises:
            ValueError: the step cannot be written; then the object looks as before.
        """
        scene, now = self.scene, self._now()
        names = sorted(self._changed)
        delta = Delta.of_rows(
            self.before.ids, {it: self.before.columns[it] for it in names}, {it: now.columns[it] for it in names}
        )
        if delta.is_empty:
            scene.tell("history")  # there is nothing to undo here any more
            return
        view = object_view(self.before.gaussians(), scene.cameras)
        try:
            scene.history.record(
                delta,
                "colors",
                prompt=self._sentence,
                settings={"grade": asdict(self.grade)} | self.belonging,
                seconds=round(time.monotonic() - self.started, 1),
                thumbnail=thumbnail(scene.gaussians, view),
            )
        except ValueError:
            self.show(Grade())
            raise
        scene.tell("history")

    def _now(self) -> SceneState:
        return self.scene.state.at(self.before.ids)
