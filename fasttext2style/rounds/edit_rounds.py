"""The loop: render, edit, train, in rounds, with everything kept.

    rounds = EditRounds(subject, views, tools, Task("turn the bear into a panda"), config, folder)
    rounds.start()                    # or resume()
    rounds.attach(optimizers)
    while not rounds.done:
        rounds.begin_step()           # edits views when that is due
        losses, info = rounds.losses()
        sum(losses.values()).backward(); ...step the optimizers...
        rounds.end_step()             # writes the round down when it has ended

It is one loop for all sources (Instruct-NeRF2NeRF, Instruct-GS2GS, FastText2ObjectStyle's Algorithms 3 and 4,
instruct-gs): they differ in `Schedule`, `EditConfig` and `LossConfig`. Where Algorithm 4 edits each batch just before
it is trained on, all views of a round are edited first here. Algorithms 3 and 4 have an "RGB loss" beside L1; it is
read as L2.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fasttext2style.editors.editor import OnStep
from fasttext2style.evaluation.timing import Stopwatch, peak_memory_gib
from fasttext2style.rounds.ahead import EditsAhead
from fasttext2style.rounds.batches import Batches
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import Kind, Round, RoundsFolder
from fasttext2style.rounds.losses import picture_losses
from fasttext2style.rounds.modes import MODES, Task
from fasttext2style.rounds.page import write_page
from fasttext2style.rounds.records import Measured, measure, used_versions, views_kept
from fasttext2style.rounds.schedule import choose_views, derived_seed
from fasttext2style.rounds.snapshot import (
    load_optimizers,
    load_random_states,
    load_tensors,
    random_states,
    save_snapshot,
    save_tensors,
)
from fasttext2style.rounds.subject import Subject
from fasttext2style.rounds.targets import EditedViews, Target, Targets, ViewEditor
from fasttext2style.rounds.tools import Tools
from fasttext2style.rounds.views import SceneViews

WRITTEN_AT_ONCE = 16
"""Views whose pictures are written together: some 15 MB each at 1600 x 1066 until they are."""


class EditRounds:
    """Rounds of one instruction on one subject. Rounds count from 1, steps of a round from 0.

    Args:
        subject: what is edited, as it was before any round.
        views: of the capture.
        tools: what edits and compares pictures.
        task: what is to be done.
        config: how.
        folder: where everything is kept.
        on_edit_step: called with (done, total) denoising steps.
    """

    def __init__(
        self,
        subject: Subject,
        views: SceneViews,
        tools: Tools,
        task: Task,
        config: RoundsConfig,
        folder: RoundsFolder,
        on_edit_step: OnStep | None = None,
    ) -> None:
        self.subject, self.views, self.tools, self.task = subject, views, tools, task
        self.config, self.folder = config, folder
        self.mode = MODES[task.mode]
        self.plan = config.schedule.resolved(len(views.shown), views.cameras.device.type == "cuda")
        self.targets = Targets(views, config.schedule.train_on, self._read_target)
        self.round, self.step = 1, 0
        self._round_plan, self._refines_only = self.plan, False
        self._round_length = self.plan.steps_per_round
        self._editor = ViewEditor(tools.editor, config.edit, task, subject, views)
        self._ahead = EditsAhead(self._editor, subject, folder, task.seed, on_edit_step)
        self._on_edit_step = on_edit_step
        self._optimizers: Mapping[str, torch.optim.Optimizer] = {}
        self._scene = subject.fingerprint()
        self._views_kept = views_kept(config.keep, views.shown)
        self._residuals: dict[int, float] = {}
        self._renders: list[tuple[Kind, int, Tensor]] = []
        """Pictures before and after a round that are to be written yet."""
        self._edits_so_far, self._most_views = 0, self.plan.batch
        self._manifest: dict[str, Any] = {}
        self._snapshot: dict[str, Tensor] = {}
        self._watch, self._round_started = Stopwatch(), time.perf_counter()

    # --- beginning --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Write down the scene as it is, as round 0; the first step begins round 1.

        Raises:
            ValueError: the disk is full.
        """
        folder = self.folder.begin(0)
        with self.folder.writing(folder):
            save_tensors(folder / "scene.safetensors", self.subject.original_state() | random_states())
        self.folder.finish(0, {"snapshot": "scene.safetensors", "scene": self._scene, "versions": used_versions()})

    def resume(self, refinement_steps: int = 0) -> None:
        """Restore the last complete round: the subject, its pictures and its place in the schedule.

        With `refinement_steps` that round is trained further, on the same edited views, instead of beginning the next.

        Raises:
            ValueError: no complete round, a damaged one, or one of another scene.
        """
        rounds = self.folder.rounds()
        if not rounds:
            raise ValueError(f"{self.folder.path} holds no complete round to resume from.")
        last = rounds[-1]
        last.check_complete()
        if last.manifest["scene"] != self._scene:
            raise ValueError(f"{last.folder} belongs to another scene than the one that was loaded.")
        self._snapshot = load_tensors(last.snapshot)
        if last.number > 0:
            last.check_views(len(self.views.cameras))
            if not refinement_steps:
                self._ahead.begin_again(last)
            self._restore(last)
            self._write_page()
        load_random_states(self._snapshot)
        if refinement_steps:
            self.refine(refinement_steps)

    def refine(self, steps: int) -> None:
        """Train the last complete round for this many more steps, on the same edited views.

        Raises:
            ValueError: there is none.
        """
        last = self.folder.rounds()[-1]
        if last.number == 0:
            raise ValueError(f"There is no edited round to refine yet in {self.folder.path}.")
        done = last.manifest["steps_done"]
        self.round, self.step, self._refines_only = last.number, done, True
        # Steps count as refinement from where the round, or an earlier refinement of it, took over from training.
        self._round_plan = replace(self.plan, steps=min(last.manifest["plan"]["steps"], done), overlap=0.0)
        self._round_length = done + steps
        self._manifest = last.manifest
        self._manifest.pop("ahead", None)  # further training leaves it behind
        self._ahead.drop()
        self.subject.re_anchor()
        self.targets.begin_round()
        self.targets.asked(last.manifest["round_views"])
        self._watch, self._round_started = Stopwatch(), time.perf_counter()
        self._begin_pass()

    def plan_round(self, steps: int) -> None:
        """Give the next round this many training steps, whatever the schedule says; called between rounds."""
        self._round_plan = replace(self.plan, steps=steps, overlap=0.0)  # who asks for rounds may not ask for another
        self._round_length = self._round_plan.steps_per_round

    def _read_target(self, view: int, number: int) -> Target:
        """What a round kept of a view.

        Raises:
            ValueError: it is missing or damaged.
        """
        kept = Round(number, self.folder.folder(number), {})
        return Target(kept.picture("edited", view), kept.picture("mask", view))

    def _restore(self, last: Round) -> None:
        self.subject.load_state(self._snapshot)
        for view, number in last.manifest["edited_in"].items():
            self.targets.set(int(view), self._read_target(int(view), number), number)
        self.targets.asked(last.manifest["round_views"])
        self._residuals = {int(view): value for view, value in last.manifest["residuals"].items()}
        self._edits_so_far = last.manifest["edits_so_far"]
        self.round = last.number + 1

    def attach(self, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        """The optimizers of the subject's groups, by name; a resumed run gives them their moments back."""
        self._optimizers = optimizers
        load_optimizers(self._snapshot, self.subject.parameters, optimizers)
        self._snapshot = {}

    # --- steps ------------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """No round is left."""
        return self.steps_left == 0

    @property
    def steps_left(self) -> int:
        """Training steps until the last planned round, or the refinement that was asked for, has ended."""
        if self._refines_only:
            return self.steps_left_in_round
        later = (self.plan.rounds - self.round) * self.plan.steps_per_round
        return max(0, later + self.steps_left_in_round)

    @property
    def steps_left_in_round(self) -> int:
        """Training steps until this round ends."""
        return self._round_length - self.step

    @property
    def training_steps(self) -> int:
        """Of this round, without its refinement."""
        return self._round_plan.steps

    @property
    def refines(self) -> bool:
        """This step belongs to its round's refinement."""
        return self._round_plan.refines_at(self.step)

    def begin_step(self) -> bool:
        """Prepare the next step: begin a round or its refinement, edit views when due, choose those of the step.

        Returns:
            Whether views were edited: `targets` has new pictures.

        Raises:
            ValueError: the editor failed on every view, or the disk is full.
        """
        if self.step == 0:
            self._begin_round()
        edits = self._round_plan.edits_at(self.step)
        if edits:
            self._edit()
        elif self.step == self._round_plan.steps:
            self._measure()  # what the round reached without refinement
        if self._round_plan.looks_ahead_at(self.step) and self.round < self.plan.rounds:
            with self._watch.phase("editing"):
                self._manifest["ahead"] = self._ahead.begin(self.round, self.step, self._choose())
        self._ahead.look()
        self._batch, self._boxes = self._batches.next()
        return edits

    def losses(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weighted losses of the step that was begun, and what the renderer tells. Changes nothing."""
        views, boxes = self._batch, self._boxes
        patches = boxes if self.config.schedule.patch else None
        images, info = self.subject.render_boxes(views, boxes)
        targets, masks = self.targets.crops(views, patches)
        originals = self.views.original_crops(views, patches)
        losses = picture_losses(self.config.losses, images, targets, originals, masks, self.tools.perceptual)
        return losses | self.subject.losses(), info

    def halve(self) -> int:
        """Half as many views a step from now on, also in the step that was begun; tells how many they were."""
        before = len(self._batch)
        self._most_views = max(1, before // 2)
        self._batch, self._boxes = self._batch[: self._most_views], self._boxes[: self._most_views]
        self._batches.batch = self._most_views
        return before

    def end_step(self) -> Round | None:
        """After the optimizers' step; the round, when this was its last one."""
        self.step += 1
        return self.end_round() if self.steps_left_in_round == 0 else None

    def end_round(self) -> Round:
        """Write the round down and go on to the next one; called by hand, it ends a round before its last step."""
        with self._watch.phase("measuring"):
            measured = self._measure(partial(self._keep_render, "after"))
            self._write_renders(at_least=0)
        self._residuals = measured.residuals
        folder = self.folder.folder(self.round)
        snapshot = folder / f"snapshot_{self.step:06d}.safetensors"
        with self.folder.writing(folder):
            save_snapshot(snapshot, self.subject, self._optimizers)
            self.subject.write_files(folder)
        measured.metrics["outside"] |= self.subject.kept_metrics(self.folder.rounds()[0].snapshot)
        finished = self._write_manifest(snapshot.name)
        finished.remove_older_snapshots()
        self._write_page()
        self.round, self.step, self._refines_only = self.round + 1, 0, False
        self._round_plan, self._round_length = self.plan, self.plan.steps_per_round
        return finished

    # --- one round --------------------------------------------------------------------------------------------------

    def _begin_round(self) -> None:
        self.folder.begin(self.round)
        self.targets.begin_round()
        self.subject.re_anchor()
        self._manifest, self._renders = {"edits": [], "metrics": {}, "seconds": {}}, []
        self._watch, self._round_started = Stopwatch(), time.perf_counter()
        if self.config.schedule.reset_adam:
            for optimizer in self._optimizers.values():
                optimizer.state.clear()

    def _edit(self) -> None:
        """Choose views, have them edited, keep the pictures, train on them."""
        ahead = self._ahead.take()
        chosen = ahead.views if ahead else self._choose()
        seed = derived_seed(self.task.seed, self.round, self.step)
        keep_before = partial(self._keep_render, "before")
        with self._watch.phase("editing"):
            self.targets.let_go(chosen)
            if ahead is None:
                result = self._editor.edit(chosen, self.round, seed, self._on_edit_step, keep_before)
            else:
                result = ahead.result(keep_before)
            self._write_renders(at_least=0)
        self._edits_so_far += 1
        with self._watch.phase("writing"):
            for start in range(0, len(chosen), WRITTEN_AT_ONCE):
                self._keep_edited(result, range(start, min(start + WRITTEN_AT_ONCE, len(chosen))))
        self.targets.asked(chosen)
        self._manifest["edits"].append(
            {"step": self.step, "views": chosen, "seed": seed, "failed": result.failed, "editor": result.info}
        )
        self._begin_pass()

    def _choose(self) -> list[int]:
        return choose_views(
            self.config.schedule.choice,
            self.plan.views,
            self._edits_so_far,
            self.views.coverage,
            self.views.cameras.directions.cpu(),
            self._residuals,
            self.task.seed,
        )

    def _keep_edited(self, result: EditedViews, some: range) -> None:
        """The pictures of some views; those that were edited are trained towards as they will be read."""
        pictures: list[tuple[Kind, int, Tensor]] = []
        for index in some:
            view = result.views[index]
            if view not in result.failed:
                pictures.append(("edited", view, result.edited[index]))
                pictures.append(("mask", view, result.masks[index]))
        read = self.folder.write_pictures(self.round, pictures)
        kept = {(kind, view): picture for (kind, view, _), picture in zip(pictures, read)}
        for kind, view in kept:
            if kind == "edited":
                self.targets.set(view, Target(kept["edited", view], kept["mask", view]), self.round)

    def _begin_pass(self) -> None:
        """Batches of the views that are trained on now; everything random of a pass comes from its own seed."""
        seed = derived_seed(self.task.seed, self.round, self.step, 1)
        train_views, batch = torch.tensor(self.targets.train_views), min(self.plan.batch, self._most_views)
        self._batches = Batches(train_views, self.views, batch, self.config.schedule.patch, seed)
        self.subject.draw_from(seed)

    def _keep_render(self, kind: Kind, view: int, picture: Tensor) -> None:
        if view in self._views_kept:
            self._renders.append((kind, view, picture))
            self._write_renders(at_least=WRITTEN_AT_ONCE)

    def _write_renders(self, at_least: int) -> None:
        if len(self._renders) >= at_least:
            pictures, self._renders = self._renders, []
            self.folder.write_pictures(self.round, pictures)

    def _measure(self, on_picture: Callable[[int, Tensor], object] = lambda view, picture: None) -> Measured:
        """The numbers of this moment go into the manifest: as trained, or as refined afterwards."""
        measured = measure(self.subject, self.views, self.targets, self.tools.perceptual, on_picture)
        name = "refined" if self.step > self._round_plan.steps else "trained"
        self._manifest["metrics"][name] = measured.metrics
        return measured

    def _write_manifest(self, snapshot: str) -> Round:
        memory = peak_memory_gib()
        seconds = self._watch.seconds | {"all": time.perf_counter() - self._round_started}
        for name, value in seconds.items():
            self._manifest["seconds"][name] = round(self._manifest["seconds"].get(name, 0.0) + value, 3)
        return self.folder.finish(
            self.round,
            self._manifest
            | asdict(self.task)
            | {
                "editor": self.tools.editor.name,
                "settings": asdict(self.config),
                "plan": asdict(self._round_plan),
                "steps_done": self.step,
                "edits_so_far": self._edits_so_far,
                "edited_in": self.targets.edited_in,
                "round_views": self.targets.round_views,
                "residuals": self._residuals,
                "snapshot": snapshot,
                "scene": self._scene,
                "peak_memory_gib": memory.get("cuda", memory["host"]),
                "versions": used_versions(),
            },
        )

    def _write_page(self) -> None:
        path = self.folder.path / "index.html"
        with self.folder.writing(path):
            write_page(path, self.folder.rounds())
