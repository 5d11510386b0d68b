"""Method `fasttext2style-nerf`: the host's pipeline around `rounds`, or around nerfacto's own training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.pipelines.base_pipeline import VanillaPipelineConfig
from torch import Tensor

from fasttext2style.editors.editor import OnStep
from fasttext2style.evaluation.field_results import write_field_results
from fasttext2style.evaluation.image_metrics import mean_psnr
from fasttext2style.evaluation.timing import Stopwatch
from fasttext2style.plugin.host.datamanager import SceneDatamanager, SceneDatamanagerConfig
from fasttext2style.plugin.nerf.field import NerfactoField, pictures
from fasttext2style.plugin.nerf.masks import MaskConfig
from fasttext2style.plugin.nerf.model import NerfModel, NerfModelConfig
from fasttext2style.plugin.rounds.editing import EditingConfig
from fasttext2style.plugin.rounds.loop import RoundsLoop
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.field_subject import FieldSubject
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.modes import MODES, Task
from fasttext2style.rounds.records import round_in_words
from fasttext2style.rounds.schedule import derived_seed
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.rounds.tools import Tools
from fasttext2style.terminal.console import say


@dataclass
class NerfPipelineConfig(EditingConfig, VanillaPipelineConfig):
    """Settings of rounds on a NeRF. In the mode restyle pictures keep their fine light and dark; in replace they may
    change a little beyond the masks."""

    _target: type = field(default_factory=lambda: NerfPipeline)
    datamanager: SceneDatamanagerConfig = field(default_factory=SceneDatamanagerConfig)
    """Photographs and cameras."""
    model: NerfModelConfig = field(default_factory=NerfModelConfig)
    """nerfacto. With --load-dir its settings are those of that run."""
    masks: MaskConfig = field(default_factory=MaskConfig)
    """What of each view is edited."""
    rays: int = 4096
    """Rays a step while the NeRF is trained on the photographs, before any edit."""
    seed: int = 0
    """Draws views, patches, samples along rays, and noise."""

    @property
    def prompt(self) -> str:
        """The instruction; empty: a NeRF is trained, and nothing edited."""
        return (self.model.prompt or "").strip()

    def check(self) -> None:
        """Raises ValueError for settings out of range or that contradict each other; loads nothing."""
        self.masks.check(self.datamanager.object_masks)
        if self.rays < 1:
            raise ValueError(f"--pipeline.rays must be 1 or more, got {self.rays}.")
        if not self.prompt:
            return
        self.check_editing()
        if MODES[self.mode].removes:
            raise ValueError("The mode remove takes Gaussians away, and a NeRF has none: --mode restyle or replace.")
        if not self.rounds.schedule.patch:
            raise ValueError("A NeRF trains on patches: --pipeline.rounds.schedule.patch must be 1 or more, got 0.")
        if self.rounds.losses.text_weight:
            raise ValueError("losses.text_weight is for objects made of Gaussians: leave it 0.")


class NerfPipeline(RoundsLoop):
    """Holds the NeRF; after `begin_rounds`, edits it in rounds; else trains it on the photographs."""

    config: NerfPipelineConfig
    datamanager: SceneDatamanager
    subject: FieldSubject
    watch: Stopwatch
    has_begun = False

    @property
    def model(self) -> NerfModel:
        return cast(NerfModel, self._model)

    def begin_rounds(
        self, tools: Tools, folder: Path, resumes: bool, refinement_steps: int = 0, on_edit_step: OnStep | None = None
    ) -> None:
        """Prepare the rounds of a run in `folder`, or resume them.

        Raises:
            ValueError: masks that cannot be had, or rounds that cannot be resumed.
        """
        config, data = self.config, self.datamanager
        self.folder, self.has_begun = folder, True
        books = RoundsFolder(folder / "rounds", config.rounds.keep)
        self.nerf = NerfactoField(self.model, data.cameras("train"))
        if resumes:
            original = load_tensors(books.rounds()[0].snapshot)
            self.nerf.load_state(original)
            masks = original.get("masks")
        else:
            with self.watch.phase("masks"):
                masks = config.masks.masks(data, "train")
        margin = MODES[config.mode].mask_margin
        self.subject = FieldSubject(self.nerf, data.cameras("train"), data.photographs(), masks, margin)
        task = Task(config.prompt, config.mode, config.seed)
        with self.watch.phase("renders before"):
            views = self.subject.views()
        self.rounds = EditRounds(self.subject, views, tools, task, config.rounds, books, on_edit_step)
        if resumes:
            self.rounds.resume(refinement_steps)
        else:
            self.rounds.start()

    def get_train_loss_dict(self, step: int) -> tuple[dict, dict[str, Tensor], dict[str, Any]]:
        if not self.has_begun:
            seed = derived_seed(self.config.seed, step)
            losses, metrics = self.nerf.photograph_losses(self.photographs, self.config.rays, seed)
            return {}, losses, metrics
        self.begin_step()
        losses, _ = self.rounds.losses()
        return {}, losses, {"round": float(self.rounds.round)}

    def begin_training(self) -> None:
        """On the photographs, without an edit."""
        self.nerf = NerfactoField(self.model, self.datamanager.cameras("train"))
        self.photographs = self.datamanager.photographs()

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        own = self.model.get_training_callbacks(attributes)
        if not self.has_begun:
            place = TrainingCallbackLocation.AFTER_TRAIN
            return [*own, TrainingCallback([place], lambda step: self._tell_quality())]
        assert attributes.optimizers is not None, "nerfstudio builds optimizers before it asks for callbacks"
        trainer: Any = attributes.trainer
        self.rounds.attach(self._by_parameter(attributes.optimizers.optimizers))

        def after_step(step: int) -> None:
            self.subject.end_step()
            finished = self.rounds.end_step()
            if finished is not None:
                trainer.save_checkpoint(step)
                say(round_in_words(finished, self.rounds.plan.rounds))

        def after_train(step: int) -> None:
            self._write_results(trainer)

        return [
            *own,
            TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN_ITERATION], after_step),
            TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN], after_train),
        ]

    def _by_parameter(self, optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, torch.optim.Optimizer]:
        """Weight -> the optimizer of its group: moments are kept weight by weight."""
        owners = {
            id(value): optimizer
            for optimizer in optimizers.values()
            for group in optimizer.param_groups
            for value in group["params"]
        }
        return {name: owners[id(value)] for name, value in self.nerf.parameters.items()}

    def get_train_rays_per_batch(self) -> int:
        """Of an edit: of all patches of a step."""
        plan = self.config.rounds.schedule
        return plan.patch**2 * self.rounds.plan.batch if self.has_begun else self.config.rays

    # --- books ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _write_results(self, trainer: Any) -> None:
        """Held-out views before and after, and a report, as of the last complete round."""
        data, config = self.datamanager, self.config
        with self.watch.phase("results"):
            cameras = data.cameras("eval")
            after = pictures(self.model, cameras)
            before = self.pictures_before(cameras)
            masks = config.masks.masks(data, "eval")
        facts = self.facts(trainer, self.masks_origin)
        coverage = None if masks is None else masks[..., 0].float() / 255
        held_out = (data.photographs("eval"), data.held_out_masks())
        write_field_results(self.folder, config.prompt, before, after, coverage, held_out, facts, self.watch)
        say(f"Rounds side by side: {self.rounds.folder.path / 'index.html'}")

    def pictures_before(self, cameras: Any, with_depth: bool = False) -> Tensor:
        """Of the NeRF as it was before the first round; afterwards it is what it was."""
        now = self.nerf.state()
        self.nerf.load_state(load_tensors(self.rounds.folder.rounds()[0].snapshot))
        before = pictures(self.model, cameras, with_depth)
        self.nerf.load_state(now)
        return before

    def _tell_quality(self) -> None:
        data = self.datamanager
        seen, photographs = pictures(self.model, data.cameras("eval")), data.photographs("eval").float() / 255
        psnr = mean_psnr(seen, photographs, data.held_out_masks())
        say(f"{len(seen)} held-out views: {psnr:.1f} dB to the photographs. Edit it with --load-dir and --prompt.")

    @property
    def masks_origin(self) -> str:
        """In words, what is edited."""
        files = self.config.datamanager.object_masks
        return self.config.masks.origin or (f"the masks in {files}" if files is not None else "everything")
