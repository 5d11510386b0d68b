"""Method `fasttext2style-ip2p`: the host's pipeline around `rounds`. Scene and editor in, edited scene out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.utils import writer
from torch import Tensor, nn

from fasttext2style.editors.editor import OnStep
from fasttext2style.evaluation.outside import tell_verdict
from fasttext2style.plugin.host.pipelines import ObjectPipeline, ObjectPipelineConfig
from fasttext2style.plugin.rounds.editing import EditingConfig
from fasttext2style.plugin.rounds.loop import RoundsLoop
from fasttext2style.rounds.folder import Round, RoundsFolder
from fasttext2style.rounds.gaussian_subject import Capture
from fasttext2style.rounds.growth import RoundGrowth
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.records import round_in_words, size_estimate
from fasttext2style.rounds.setup import new_rounds
from fasttext2style.rounds.tools import Tools
from fasttext2style.rounds.views import SceneViews
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.terminal.console import say, warn


@dataclass
class RoundsPipelineConfig(EditingConfig, ObjectPipelineConfig):
    """Settings of rounds of edits; encoder and styler are those of the text loss that may stand beside the pictures."""

    _target: type = field(default_factory=lambda: RoundsPipeline)

    def check(self) -> None:
        self.check_editing()
        self.check_around()
        if self.rounds.losses.text_weight > 0:
            super().check()

    def load_tools(self, device: str) -> Tools:
        """The frozen networks; raises ValueError for those that cannot be had."""
        editor, perceptual = self.load_editing(device)
        encoder = self.load_encoder(device) if self.rounds.losses.text_weight > 0 else None
        return Tools(editor, perceptual, encoder)


class RoundsPipeline(RoundsLoop, ObjectPipeline):
    """Holds the scene; after `begin_rounds`, edits the object in rounds."""

    config: RoundsPipelineConfig

    def begin_rounds(
        self,
        tools: Tools,
        selection: Selection,
        folder: Path,
        resumes: bool,
        refinement_steps: int = 0,
        on_edit_step: OnStep | None = None,
    ) -> dict[str, list[nn.Parameter]]:
        """Prepare the rounds of a run in `folder`, or resume them; returns the parameter groups to optimize.

        Raises:
            ValueError: no view shows the object, or rounds that cannot be resumed.
        """
        config = self.config
        self.begin_edit(selection, folder)
        books = RoundsFolder(folder / "rounds", config.rounds.keep)
        task = Task(config.prompt, config.mode, config.seed)
        self.rounds = new_rounds(
            self.edit, self.capture(), tools, task, config.rounds, config.styler, books, on_edit_step
        )
        if resumes:
            self.rounds.resume(refinement_steps)
        else:
            self._say_size(books, self.rounds.views)
            self.rounds.start()
        self.model.selection = self.edit.merged_weights()
        self.write_back()
        return self.groups()

    def capture(self) -> Capture:
        """The training views, and how the scene is rendered for them."""
        return Capture(
            self.datamanager.cameras("train"),
            self.datamanager.photographs(background=tuple(self.model.background_color.tolist())),
            self.model.background_color.to(self.device),
            self.model.config.rasterize_mode,
        )

    def get_train_loss_dict(self, step: int) -> tuple[dict, dict[str, Tensor], dict[str, Any]]:
        self.begin_step()
        losses, info = self.rounds.losses()
        self.object_steps.begin(info)
        return {}, losses, {"gaussians": float(len(self.edit)), "round": float(self.rounds.round)}

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        if not self.has_begun:
            return []
        assert attributes.optimizers is not None, "nerfstudio builds optimizers before it asks for callbacks"
        trainer: Any = attributes.trainer
        optimizers = attributes.optimizers.optimizers
        self.rounds.attach(optimizers)
        growth = RoundGrowth(self.config.growth, self.rounds, self.edit, optimizers)
        self.object_steps = ObjectSteps(self.edit, optimizers, growth, self.rounds.subject.re_anchor)

        def after_step(step: int) -> None:
            self.object_steps.end(self.rounds.step)
            finished = self.rounds.end_step()
            self.write_back()
            if finished is not None:
                trainer.save_checkpoint(step)
                self._tell(finished, step)

        def after_train(step: int) -> None:
            self.object_steps.close()
            self._write_results(trainer)

        return [
            TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN_ITERATION], after_step),
            TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN], after_train),
        ]

    def write_back(self) -> None:
        super().write_back()
        if not self.model.earlier.is_empty:
            return
        # For the output `before`: a scene that was replaced has forgotten it.
        rows, count = self.edit.rows, len(self.model.means)
        if self.edit.has_grown:
            rows = torch.arange(count - len(self.edit), count, device=rows.device)
        self.model.earlier.set(rows, self.edit.original.to_splatfacto())

    def get_train_rays_per_batch(self) -> int:
        width, height = self.rounds.views.crop_size
        return width * height * self.rounds.plan.batch

    def _say_size(self, books: RoundsFolder, views: SceneViews) -> None:
        needed, free = size_estimate(books, self.edit, views, self.rounds.plan)
        say(f"All rounds will take about {needed / 2**20:,.0f} MiB in {books.path}.")
        if needed > free:
            warn(
                f"Only {free / 2**20:,.0f} MiB are free there. Keep less (--pipeline.rounds.keep.format webp, "
                "--pipeline.rounds.keep.views 4), or choose another --output-dir."
            )

    @torch.no_grad()
    def _write_results(self, trainer: Any) -> None:
        """Held-out views before and after, film, styled.ply and a report, as of the last complete round."""
        headline = f"Rounds side by side: {self.rounds.folder.path / 'index.html'}"
        facts, original = self.facts(trainer, self.selection_origin), self.rounds.folder.rounds()[0].snapshot
        outcome = self.outcome(trainer, facts, as_loaded={"round 0": original})
        self.write_results(outcome, headline, f"ft2s rounds resume {quote(str(self.folder))}")

    @torch.no_grad()
    def _tell(self, finished: Round, step: int) -> None:
        metrics = list(finished.manifest["metrics"].values())[-1]
        say(round_in_words(finished, self.rounds.plan.rounds))
        if metrics["outside"]["gaussians_changed"] != 0:
            tell_verdict(metrics["outside"])
        view = finished.manifest["round_views"][0]
        pictures = [self.rounds.views.originals[view], self.rounds.targets[view].image]
        writer.put_image("Original and edited", torch.cat(pictures, dim=1).float() / 255, step)
