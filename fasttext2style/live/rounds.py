"""Rounds of edits in a session: each round is a step of its history, and the next one goes on where it ended.

What belongs to rounds (pictures, numbers, snapshots, the page that shows them side by side) lies in a folder of its own
for each object and instruction: live_rounds/01_make_it_red/rounds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fasttext2style.editors.editor import OnStep
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.live.action import Action, Order
from fasttext2style.live.asked_color import told_color
from fasttext2style.live.edit import LiveEdit
from fasttext2style.live.objects import belonging
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import KeepConfig, Round, RoundsFolder
from fasttext2style.rounds.growth import RoundGrowth
from fasttext2style.styling.as_step import object_before, thumbnail
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.steps import MakeOptimizers, ObjectSteps, with_enough_memory

NewRounds = Callable[[str, EditableObject, RoundsFolder, OnStep], EditRounds]
"""(instruction, object, where its rounds are kept, called with (done, total) steps of an edit) -> rounds, not begun.

Raises:
    ValueError: no view shows the object.
"""

GALLERY = ("turn it into gold", "turn it into ice", "make it red", "make it blue", "turn it into wood")
"""Instructions that every editor knows, the packaged one, too."""
QUALITIES = {"quick": 0.5, "normal": 1.0, "fine": 2.0}
"""Quality -> length of a round, relative to what the schedule says."""


def rounds_action(rounds: LiveRounds, load_encoder: Callable[[], TextImageEncoder] | None = None) -> Action:
    """Rounds of edits, as the panel offers them; and with an encoder, surroundings."""

    def job(refines: bool) -> Callable[[Order], EditRound]:
        return lambda order: EditRound(rounds, order.prompt.strip(), order.quality, refines)

    return Action(
        {"Next round": job(False), "Train on": job(True)},
        example="turn the bear into gold",
        gallery=GALLERY,
        qualities={name: f"{factor:g} times the steps" for name, factor in QUALITIES.items()},
        load_encoder=load_encoder,
    )


@dataclass(frozen=True)
class EditRound:
    """Render, edit, train once; or train a little more on the pictures of the last edit."""

    rounds: LiveRounds
    instruction: str
    quality: str = "normal"
    refines: bool = False
    once: bool = True

    @property
    def title(self) -> str:
        return f"{'Train on' if self.refines else 'Round'}: {self.instruction.strip() or '(no instruction)'}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        if not self.instruction.strip():
            raise ValueError(
                'There is no instruction yet. Type what should be done, such as "turn the bear into gold".'
            )
        if scene.selection.count == 0:
            raise ValueError("Nothing is selected yet. Click on the object, or name it, then press Next round.")
        return self.rounds.run(scene, progress, self.instruction.strip(), QUALITIES[self.quality], self.refines)


class LiveRounds:
    """The rounds of a session; goes on with those that are in force, or begins anew.

    Args:
        new_rounds: the rounds of an instruction on an object.
        make_optimizers: for the object's parameters.
        folder: of the run.
        growth: densification, where the mode of the rounds has any.
        keep: what is kept of each round.
    """

    def __init__(
        self,
        new_rounds: NewRounds,
        make_optimizers: MakeOptimizers,
        folder: Path,
        growth: GrowthConfig | None = None,
        keep: KeepConfig | None = None,
    ) -> None:
        self.new_rounds, self.make_optimizers, self.folder = new_rounds, make_optimizers, folder
        self.growth, self.keep = growth or GrowthConfig(), keep or KeepConfig()
        self._series: _Series | None = None

    def run(self, scene: LiveScene, progress: Progress, instruction: str, length: float, refines: bool) -> str:
        """One round, or a refinement of the last one, as a step of the history.

        Raises:
            ValueError: nothing to refine, views or an editor that fail, a full disk. The scene is as it was before.
        """
        owner, series = belonging(scene), self._series
        if series is None or not series.goes_on(instruction):
            if refines:
                raise ValueError(
                    "There is no round of this instruction on this object to refine yet. Press Next round."
                )
            self._drop_series()
            series = _Series(self, scene, instruction)
        series.begin(progress)
        started = time.perf_counter()
        try:
            finished = series.round(length, refines)
            if finished is None:
                if series.rounds.round == 1:
                    self._take_back(series)
                else:
                    scene.move(lambda state: state)  # "before" is again what it was
                return "Stopped before the first step: nothing has changed."
            metrics = list(finished.manifest["metrics"].values())[-1]
            scene.history.record(
                series.live.delta(),
                instruction,
                prompt=instruction,
                settings={
                    "round": finished.number,
                    "refined": refines,
                    "steps": finished.manifest["steps_done"],
                    "editor": series.rounds.tools.editor.name,
                    "mode": series.rounds.task.mode,
                    "object": scene.selection.origin,
                    "pictures": str(finished.folder),
                }
                | owner,
                seed=series.rounds.task.seed,
                seconds=round(time.perf_counter() - started, 2),
                metrics={f"psnr_{where}": metrics[where]["psnr"] for where in ("inside", "outside")
                         if "psnr" in metrics[where]},
                thumbnail=thumbnail(scene.gaussians, series.best_view),
            )  # fmt: skip
        except ValueError as error:
            self._take_back(series)
            raise ValueError(f"{error} The scene is unchanged.") from error
        except BaseException:
            self._take_back(series)
            raise
        self._series = series
        series.applied = list(scene.history.applied)
        scene.tell("history")
        missed = told_color(instruction, series.live.edit.gaussians(()).detach(), series.live.edit.weights)
        return _told(finished, instruction, refines) + missed

    def _take_back(self, series: _Series) -> None:
        """Rounds that failed are not gone on with."""
        series.live.take_back()
        series.close()
        self._series = None

    def _drop_series(self) -> None:
        if self._series is not None:
            self._series.close()
        self._series = None


def _told(finished: Round, instruction: str, refines: bool) -> str:
    failed = sum(len(edit["failed"]) for edit in finished.manifest["edits"])
    views = f"; {failed} views could not be edited, see {finished.folder / 'manifest.json'}" if failed else ""
    done = f"Round {finished.number} {'trained on' if refines else 'done'}: {instruction}"
    return f"{done} (Show Train Cams shows the edited views){views}."


class _StoppedWhileEditing(Exception):
    """Somebody pressed Stop before the first training step."""


class _Series:
    """Rounds of one instruction on one object, one after the other."""

    def __init__(self, owner: LiveRounds, scene: LiveScene, instruction: str) -> None:
        self.owner, self.scene, self.instruction = owner, scene, instruction
        edit = EditableObject(scene.gaussians, scene.selection, copy_scene=False)
        before = object_before(scene.state, edit)  # first, for what is removed goes when its rounds are made
        folder = _new_folder(owner.folder, instruction) / "rounds"
        books = RoundsFolder(folder, owner.keep, go_on="press Next round again.")
        self.rounds = owner.new_rounds(instruction, edit, books, self._after_denoising_step)
        self.best_view = scene.cameras[int(self.rounds.views.coverage.argmax())]
        self.plan = self.rounds.plan
        self.rounds.start()
        self.live = LiveEdit(scene, edit, before)
        self.optimizers = owner.make_optimizers(edit.parameters, 1.0, self.rounds.mode.geometry_rate)
        self.rounds.attach(self.optimizers)
        growth = RoundGrowth(owner.growth, self.rounds, edit, self.optimizers)
        self.steps = ObjectSteps(edit, self.optimizers, growth, self._grown)
        self.applied: list = []
        """The history when the last round had ended."""

    def goes_on(self, instruction: str) -> bool:
        """Nothing but these rounds happened to the scene since the last one."""
        return instruction == self.instruction and list(self.scene.history.applied) == self.applied

    def begin(self, progress: Progress) -> None:
        """The scene as it is now is what the next round can be taken back to."""
        self.progress = progress
        if self.rounds.round > 1:  # the first one has its own already
            self.live = LiveEdit(self.scene, self.live.edit, self.scene.state.at(self.live.ids))

    def round(self, length: float, refines: bool) -> Round | None:
        """Edit and train, or only train; None if stopped before the first step, with the scene untouched."""
        if len(self.live.edit) != len(self.live.ids):  # most of what is removed goes at once
            self.live.replace_object()
        steps = max(1, round(self.plan.steps * length))
        if refines:
            self.rounds.refine(steps)
        else:
            self.rounds.plan_round(steps)
        try:
            return self._steps(self.rounds.steps_left_in_round)
        except _StoppedWhileEditing:
            return None

    def _steps(self, total: int) -> Round:
        self.progress.report(0, total)
        finished, done = None, 0
        while finished is None:
            if self.progress.stopping and done > 0:
                return self.rounds.end_round()
            finished = self._step()
            done += 1
            if done == 1:  # the first step waited for the editor: time is counted from here
                self.progress.report(0, total)
            self.progress.report(done, total)
        return finished

    def _step(self) -> Round | None:
        rounds = self.rounds
        if rounds.begin_step():
            self.scene.pictures = {view: rounds.targets[view].image for view in rounds.targets.round_views}
            self.scene.tell("pictures")
        with_enough_memory(
            lambda: self.steps.take(*rounds.losses(), rounds.step), self.optimizers.values(), rounds.halve
        )
        self.live.write()
        return rounds.end_step()

    def _grown(self) -> None:
        self.rounds.subject.re_anchor()
        self.live.replace_object()

    def _after_denoising_step(self, done: int, total: int) -> None:
        self.progress.report(done, total, "editing")
        if self.progress.stopping and self.rounds.step == 0:
            raise _StoppedWhileEditing

    def close(self) -> None:
        """No more rounds: let go of what only they need."""
        self.steps.close()
        self.optimizers.clear()


def _new_folder(folder: Path, instruction: str) -> Path:
    name = re.sub(r"[^a-z0-9]+", "_", instruction.lower()).strip("_")[:40]
    parent = folder / "live_rounds"
    numbers = (path.name.partition("_")[0] for path in parent.glob("[0-9]*_*"))
    number = 1 + max((int(given) for given in numbers if re.fullmatch("[0-9]{1,9}", given)), default=0)
    return parent / f"{number:02d}_{name}"
