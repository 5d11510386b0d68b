"""Method `fasttext2style`: the host's pipeline around `styling`. Scene and encoder in, styled scene and results out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.utils import writer
from torch import nn

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.plugin.host.pipelines import ObjectPipeline, ObjectPipelineConfig
from fasttext2style.styling.growth import ObjectGrowth
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.styling.styler import ObjectStyler
from fasttext2style.terminal.console import warn

if TYPE_CHECKING:
    from fasttext2style.history.history import History
    from fasttext2style.history.state import SceneState
    from fasttext2style.plugin.host.edit_record import EditRecord


@dataclass
class StylePipelineConfig(ObjectPipelineConfig):
    """Settings of a text style."""

    _target: type = field(default_factory=lambda: StylePipeline)

    def load_tools(self, device: str) -> TextImageEncoder:
        """The frozen network; raises ValueError for an unknown one, and for weights that cannot be had."""
        return self.load_encoder(device)


class StylePipeline(ObjectPipeline):
    """Holds the scene; after `begin`, trains the object alone."""

    config: StylePipelineConfig
    styler: ObjectStyler
    record: EditRecord | None = None

    def begin(self, encoder: TextImageEncoder, steps: int, folder: Path) -> dict[str, list[nn.Parameter]]:
        """Select the object and prepare the style; returns the parameter groups to optimize.

        Raises:
            ValueError: nothing to select, no view of it, or a prompt that says nothing to the encoder.
        """
        self.steps = steps
        with self.watch.phase("selection"):
            selection = self.choose_object(folder, encoder)
        self.begin_edit(selection, folder)
        cameras, config = self.datamanager.cameras("train"), self.config
        with self.watch.phase("preparation"):
            self.styler = ObjectStyler(self.edit, cameras, encoder, config.prompt, config.styler, config.seed)
        self.model.selection = self.edit.merged_weights()
        self._styling_started = time.perf_counter()
        return self.groups()

    def keep_as_step(self, history: History, state: SceneState) -> None:
        """Keep what this run does to the object as a step of a history.

        Args:
            history: of the run.
            state: the scene before this run chose its object.
        """
        from fasttext2style.plugin.host.edit_record import EditRecord

        self.record = EditRecord(history, state, self.model, self.edit, self.selection_origin)

    def record_edit(self) -> None:
        """After the last step, before the last checkpoint. A history that cannot be written does not end the run."""
        if self.record is None:
            return
        self.write_back()
        pair = {"before": self.edit.original, "after": self.edit.gaussians(()).detach()}
        try:
            self.record.finish(
                self.config.prompt,
                self.styler.views[0],
                settings={"steps": self.steps, "object": self.selection_origin, "encoder": self.styler.encoder.name},
                seed=self.config.seed,
                seconds=round(time.perf_counter() - self._styling_started, 2),
                metrics={
                    f"similarity_{n}": float(self.styler.similarity(g, at_most=8).mean()) for n, g in pair.items()
                },
            )
        except ValueError as error:
            warn(f"The edit is not in the history: {error}")

    def get_train_loss_dict(self, step: int) -> tuple[dict, dict[str, torch.Tensor], dict[str, Any]]:
        losses, info = self.styler.losses()
        self.object_steps.begin(info)
        return {}, losses, {"gaussians": float(len(self.edit))}

    def halve(self) -> int:
        """Half as many views a step from now on; tells how many they were."""
        return self.styler.sampler.halve()

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        if not self.has_begun:
            return []
        assert attributes.optimizers is not None, "nerfstudio builds optimizers before it asks for callbacks"
        optimizers = attributes.optimizers.optimizers
        growth = ObjectGrowth(self.config.growth, self.edit, optimizers, self.steps)
        self.object_steps = ObjectSteps(self.edit, optimizers, growth, self.styler.re_anchor)

        def after_step(step: int) -> None:
            # Before the viewer looks: numbers of Gaussians change here, then the scene is put together again.
            self.object_steps.end(step)
            self.write_back()
            if step % 50 == 0:
                self._log_pictures(step)

        def after_train(step: int) -> None:
            self.watch.seconds["styling"] = time.perf_counter() - self._styling_started
            self.write_back()
            self.object_steps.close()
            self._write_results(attributes.trainer)

        return [
            TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN_ITERATION], after_step),
            TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN], after_train),
        ]

    def write_back(self) -> None:
        super().write_back()
        if self.edit.has_grown and self.record is not None:
            self.record.take_earlier()

    def get_train_rays_per_batch(self) -> int:
        return self.styler.size**2 * self.styler.sampler.batch

    @torch.no_grad()
    def _log_pictures(self, step: int) -> None:
        before = self.styler.originals(torch.zeros(1, dtype=torch.long))[0][0]
        after = self.styler.render(self.edit.gaussians(()).detach(), self.styler.views[[0]])[0][0]
        writer.put_image("Object", torch.cat([before, after], dim=1), step)

    @torch.no_grad()
    def _write_results(self, trainer: Any) -> None:
        similarity = {
            "before": float(self.styler.similarity(self.edit.original).mean()),
            "after": float(self.styler.similarity(self.edit.gaussians(()).detach()).mean()),
        }
        facts = {
            "prompt": self.config.prompt,
            "encoder": self.styler.encoder.name,
            "object": self.selection_origin,
            "device": str(self.device),
            "seed": {"style": self.config.seed, "machine": trainer.config.machine.seed},
            "steps": self.steps,
            "similarity": similarity,
            "negatives": list(self.styler.objective.negatives),
        }
        change = f"{similarity['before']:.3f} -> {similarity['after']:.3f}"
        # Not the number of `ft2s evaluate`, which looks at it among its surroundings.
        headline = f"Similarity to {self.config.prompt}: {change} (the object alone, training views)."
        self.write_results(self.outcome(trainer, facts), headline)
