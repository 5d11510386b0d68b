"""The loop: render, edit, train, in rounds, with everything kept.

    rounds = EditRounds(edit, views, editor, "turn the bear into a panda", config, folder)
    rounds.start()                    # or resume()
    while not rounds.done:
        losses, info = rounds.losses()
        sum(losses.values()).backward(); ...step the optimizers...
        rounds.end_step()

It is one loop for all sources (Instruct-NeRF2NeRF, Instruct-GS2GS, FastText2ObjectStyle's Algorithms 3 and 4,
instruct-gs): they differ in `Schedule`, `EditConfig` and `LossConfig`. Where Algorithm 4 edits each batch just before
it is trained on, all views of a round are edited first here. Algorithms 3 and 4 have an "RGB loss" beside L1; it is
read as L2.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from fasttext2style.editors.editor import ImageEditor, OnStep
from fasttext2style.evaluation.timing import Stopwatch, peak_memory_gib
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import Round, RoundsFolder
from fasttext2style.rounds.losses import PerceptualLoss, gaussian_losses, picture_losses
from fasttext2style.rounds.modes import MODES, ModeName
from fasttext2style.rounds.page import write_page
from fasttext2style.rounds.records import Measured, fingerprint, measure, used_versions, views_kept, write_weights
from fasttext2style.rounds.removal import keep_seeds
from fasttext2style.rounds.schedule import choose_views, derived_seed
from fasttext2style.rounds.snapshot import (
    load_object,
    load_optimizers,
    load_random_states,
    load_tensors,
    save_scene,
    save_snapshot,
)
from fasttext2style.rounds.targets import Target, Targets, edit_views
from fasttext2style.rounds.views import SceneViews
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler
from fasttext2style.styling.views import ViewSampler


class EditRounds:
    """Rounds of one instruction on one object.

    Args:
        edit: the object, as it was before any round.
        views: of the capture.
        editor: what edits pictures.
        instruction: such as "turn the bear into a panda".
        mode: restyle, replace or remove.
        seed: draws views, batches and noise.
        perceptual: LPIPS, if it is to be had.
        text: the loss of a sentence beside the pictures, weighted by `losses.text_weight`.
        on_edit_step: called with (done, total) denoising steps.
    """

    def __init__(
        self,
        edit: EditableObject,
        views: SceneViews,
        editor: ImageEditor,
        instruction: str,
        mode: ModeName,
        config: RoundsConfig,
        folder: RoundsFolder,
        seed: int = 0,
        perceptual: PerceptualLoss | None = None,
        text: ObjectStyler | None = None,
        on_edit_step: OnStep | None = None,
    ) -> None:
        self.edit, self.views, self.editor, self.instruction = edit, views, editor, instruction
        self.mode_name: ModeName = mode
        self.mode = MODES[mode]
        self.config, self.folder, self.seed = config, folder, seed
        self.perceptual, self.text, self.on_edit_step = perceptual, text, on_edit_step
        on_cuda = edit.scene.device.type == "cuda"
        self.plan = config.schedule.resolved(len(views.shown), on_cuda)
        self.targets = Targets(views, config.schedule.train_on)
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {}
        self.outside = edit.outside()
        self.anchor = edit.gaussians(()).copy()
        self.round, self.step, self.round_length = 1, 0, self.plan.steps_per_round
        self._scene = fingerprint(edit.scene)
        self._views_kept = views_kept(config.keep, views.shown)
        self._residuals: dict[int, float] = {}
        self._edits_so_far = 0
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
            save_scene(folder / "scene.safetensors", self.edit.scene, self.edit.merged_weights())
        self.folder.finish(0, {"snapshot": "scene.safetensors", "scene": self._scene, "versions": used_versions()})
        self._remove()

    def resume(self, refinement_steps: int = 0) -> None:
        """Take up the last complete round: its object, its pictures and its place in the schedule.

        `refinement_steps` above 0 go on with that round, on the same edited views, instead of beginning the next.

        Raises:
            ValueError: no complete round, a damaged one, or one of another scene.
        """
        rounds = self.folder.rounds()
        if not rounds:
            raise ValueError(f"{self.folder.path} holds no complete round to resume from.")
        last = rounds[-1]
        if last.manifest["scene"] != self._scene:
            raise ValueError(f"{last.folder} belongs to another scene than the one that was loaded.")
        self._snapshot = load_tensors(last.snapshot)
        load_random_states(self._snapshot)
        if last.number == 0:
            self._remove()
        else:
            self._restore(last, rounds)
            self._write_page()
        if refinement_steps:
            self.refine(refinement_steps)

    def refine(self, steps: int) -> None:
        """Go on with the last complete round for so many steps, on the same edited views.

        Raises:
            ValueError: there is none.
        """
        last = self.folder.rounds()[-1]
        if last.number == 0:
            raise ValueError(f"There is no edited round to refine yet in {self.folder.path}.")
        self.round, self.step = last.number, last.manifest["steps_done"]
        self.round_length = self.step + steps
        self._manifest = last.manifest
        self.re_anchor()
        self.targets.begin_round()
        self.targets.asked(last.manifest["round_views"])
        self._watch, self._round_started = Stopwatch(), time.perf_counter()
        self._begin_pass()

    def _remove(self) -> None:
        if self.mode.removes:
            holes = self.views.original_masks.float().to(self.edit.weights.device) / 255
            keep_seeds(self.edit, self.views.cameras, holes)

    def _restore(self, last: Round, rounds: list[Round]) -> None:
        load_object(self._snapshot, self.edit)
        for view, number in last.manifest["edited_in"].items():
            view, edited = int(view), rounds[number]
            self.targets.set(view, Target(edited.picture("edited", view), edited.picture("mask", view)), number)
        self.targets.asked(last.manifest["round_views"])
        self._residuals = {int(view): value for view, value in last.manifest["residuals"].items()}
        self._edits_so_far = last.manifest["edits_so_far"]
        self.round = last.number + 1
        self.re_anchor()

    def attach(self, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        """The optimizers of the object's groups, by name; a resumed run gives them their moments back."""
        self.optimizers = optimizers
        load_optimizers(self._snapshot, self.edit, optimizers)
        self._snapshot = {}

    # --- steps ------------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """No round is left."""
        return self.steps_left == 0

    @property
    def steps_left(self) -> int:
        """Training steps until the last planned round has ended."""
        if self.round_length != self.plan.steps_per_round:
            return self.round_length - self.step
        return max(0, (self.plan.rounds - self.round + 1) * self.plan.steps_per_round - self.step)

    @property
    def grows(self) -> bool:
        """Whether this step may add Gaussians."""
        return self.mode.grows and not self.plan.refines_at(self.step)

    def losses(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weighted losses of the next step, and the rasterizer's info; begins a round and edits views when due.

        In the info the object's Gaussians come first, then all others.
        """
        if self.step == 0:
            self._begin_round()
        if self.plan.edits_at(self.step):
            self._edit()
        elif self.step == self.plan.steps:
            self._measure()  # what the round reached without refinement
        views = self._train_views[self._sampler.next()]
        now = self.edit.gaussians(self.mode.train)
        images, info = self.views.render_crops(Gaussians.concatenated([now, self.outside]), views)
        targets, masks = self.targets.crops(views)
        originals = self.views.crops(self.views.originals[views], views)
        config = self.config.losses
        losses = picture_losses(config, images, targets, originals, masks, self.perceptual)
        losses |= gaussian_losses(
            now, self.anchor, self.mode.train, config.consistency_weight, self.mode.geometry_anchor
        )
        if self.text is not None:
            losses |= {f"text_{name}": config.text_weight * loss for name, loss in self.text.losses()[0].items()}
        return losses, info

    def re_anchor(self) -> None:
        """After densification: new Gaussians have no older value."""
        self.anchor = self.edit.gaussians(()).copy()
        if self.text is not None and self.edit.has_grown:
            self.text.re_anchor()

    def end_step(self) -> Round | None:
        """After the optimizers' step; the round, when this was its last one."""
        self.step += 1
        return None if self.step < self.round_length else self.end_round()

    def end_round(self) -> Round:
        """Write the round down and go on to the next one; called by hand, it ends a round before its last step."""
        measured = self._measure()
        for view in self._views_kept & measured.after.keys():
            self.folder.write_picture(self.round, "after", view, measured.after[view])
        self._residuals = measured.residuals
        folder = self.folder.folder(self.round)
        snapshot = folder / f"snapshot_{self.step:06d}.safetensors"
        with self.folder.writing(folder):
            save_snapshot(snapshot, self.edit, self.optimizers)
            write_weights(folder / "weights.npy", self.edit)
        finished = self._write_manifest(snapshot.name)
        for older in set(folder.glob("snapshot_*.safetensors")) - {snapshot}:
            older.unlink()
        self._write_page()
        self.round, self.step, self.round_length = self.round + 1, 0, self.plan.steps_per_round
        return finished

    # --- one round --------------------------------------------------------------------------------------------------

    def _begin_round(self) -> None:
        self.folder.begin(self.round)
        self.targets.begin_round()
        self.re_anchor()
        self._manifest = {"edits": [], "metrics": {}, "seconds": {}}
        self._watch, self._round_started = Stopwatch(), time.perf_counter()
        if self.config.schedule.reset_adam:
            for optimizer in self.optimizers.values():
                optimizer.state.clear()

    def _edit(self) -> None:
        """Choose views, have them edited, keep the pictures, train on them."""
        chosen = choose_views(
            self.config.schedule.choice,
            self.plan.views,
            self._edits_so_far,
            self.views.coverage,
            self.views.cameras.directions.cpu(),
            self._residuals,
            self.seed,
        )
        # What is to fill the hole is not there yet: the editor sees the hole itself.
        hidden = self.mode.removes and self.round == 1
        scene = self.outside if hidden else self.edit.merged()
        weights = self.edit.weights.new_zeros(len(scene)) if hidden else self.edit.merged_weights()
        seed = derived_seed(self.seed, self.round, self.step)
        with self._watch.phase("editing"):
            result = edit_views(
                self.editor,
                self.config.edit,
                self.instruction,
                self.mode_name,
                self.views,
                chosen,
                scene,
                weights,
                seed,
                self.on_edit_step,
            )
        self._edits_so_far += 1
        for index, view in enumerate(chosen):
            if view in self._views_kept:
                self.folder.write_picture(self.round, "before", view, result.before[index])
            if view not in result.failed:
                image = self.folder.write_picture(self.round, "edited", view, result.edited[index])
                mask = self.folder.write_picture(self.round, "mask", view, result.masks[index])
                self.targets.set(view, Target(image, mask), self.round)
        self.targets.asked(chosen)
        self._manifest["edits"].append(
            {"step": self.step, "views": chosen, "seed": seed, "failed": result.failed, "editor": result.info}
        )
        self._begin_pass()

    def _begin_pass(self) -> None:
        """Batches of the views that are trained on now; everything random of a pass comes from its own seed."""
        seed = derived_seed(self.seed, self.round, self.step, 1)
        self._train_views = torch.tensor(self.targets.train_views)
        self._sampler = ViewSampler(len(self._train_views), self.plan.batch, seed)
        if self.text is not None:
            self.text.sampler = ViewSampler(len(self.text.views), self.text.sampler.batch, seed)
            self.text.generator.manual_seed(seed)

    def _measure(self) -> Measured:
        """The numbers of this moment go into the manifest: as trained, or as refined afterwards."""
        measured = measure(self.edit, self.views, self.targets, self.perceptual)
        name = "refined" if self.step > self.plan.steps else "trained"
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
            | {
                "instruction": self.instruction,
                "mode": self.mode_name,
                "seed": self.seed,
                "editor": self.editor.name,
                "settings": asdict(self.config),
                "plan": asdict(self.plan),
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
