"""nerfacto as nerfstudio has it, but that nothing is fetched, and that it trains on after a load as it would have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.models.nerfacto import NerfactoModel, NerfactoModelConfig
from torch import Tensor

from fasttext2style.plugin.host.lpips_metric import LpipsMetric
from fasttext2style.plugin.host.viewer_threads import mend_viewers


@dataclass
class NerfModelConfig(NerfactoModelConfig):
    """nerfacto's settings and one of our own. With --load-dir they are the base run's."""

    _target: type = field(default_factory=lambda: NerfModel)
    lpips_metric: Literal["auto", "on", "off"] = "auto"
    """LPIPS in ns-eval: "auto" takes it when its AlexNet weights lie in torch's cache, "on" fetches them, "off" leaves
    it out."""

    @classmethod
    def for_cpu(cls) -> NerfModelConfig:
        """A tenth of nerfacto's size: 0.2 s of CPU time a step of 1,024 rays, 0.5 s a picture of 64 x 64 pixels. Of a
        step, most went into the proposal networks' samples: with (64, 32) and 5 levels it took 0.37 s."""
        proposal = {"hidden_dim": 16, "log2_hashmap_size": 14, "num_levels": 4, "use_linear": False}
        return cls(
            num_levels=8,
            log2_hashmap_size=15,
            hidden_dim=32,
            hidden_dim_color=32,
            num_proposal_samples_per_ray=(32, 16),
            num_nerf_samples_per_ray=12,
            proposal_net_args_list=[proposal | {"max_res": 128}, proposal | {"max_res": 256}],
            proposal_warmup=500,
            implementation="torch",
            average_init_density=0.01,
        )


class NerfModel(NerfactoModel):
    """A nerfacto model that knows how long it has trained."""

    config: NerfModelConfig
    sampling: Tensor
    """[steps that it has trained, steps since its proposal networks learnt]: decides how it samples and trains on."""

    def populate_modules(self) -> None:
        with _nothing_fetched():
            super().populate_modules()
        mend_viewers()  # that may show it: ns-train's, ns-viewer's
        self.lpips_metric = LpipsMetric(self.config.lpips_metric)
        self.lpips = self._distance
        self.register_buffer("sampling", torch.zeros(2, dtype=torch.long))

    # --- training ---------------------------------------------------------------------------------------------------

    def get_training_callbacks(self, training_callback_attributes: TrainingCallbackAttributes) -> list:
        places = (TrainingCallbackLocation.BEFORE_TRAIN_ITERATION, TrainingCallbackLocation.AFTER_TRAIN_ITERATION)
        return [TrainingCallback([place], lambda step, it=it: it()) for place, it in zip(places, self.step_hooks())]

    def step_hooks(self) -> tuple[Any, Any]:
        """What is to be called before and after each training step: nerfacto's own callbacks, by the model's own age
        and not by the steps of a run, of which it may see several."""
        attributes: Any = None  # nerfacto asks for none
        own = super().get_training_callbacks(attributes)

        def run(place: TrainingCallbackLocation) -> None:
            for callback in own:
                callback.run_callback_at_location(int(self.sampling[0]), place)

        def after() -> None:
            run(TrainingCallbackLocation.AFTER_TRAIN_ITERATION)
            self.sampling[0] += 1
            self.sampling[1] = self.proposal_sampler._steps_since_update
            # What is shown between two steps is what a load of these weights shows.
            run(TrainingCallbackLocation.BEFORE_TRAIN_ITERATION)

        return lambda: run(TrainingCallbackLocation.BEFORE_TRAIN_ITERATION), after

    # --- metrics ----------------------------------------------------------------------------------------------------

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """nerfacto's; LPIPS only when its weights can be had (`lpips_metric`)."""
        image = batch["image"]
        image = image.float() / 255 if image.dtype == torch.uint8 else image
        metrics, images = super().get_image_metrics_and_images(outputs, batch | {"image": image})
        return {name: value for name, value in metrics.items() if value == value}, images

    def _distance(self, truth: Tensor, rendered: Tensor) -> Tensor:
        network = self.lpips_metric.network(self.device)
        return truth.new_tensor(torch.nan) if network is None else network(truth.clamp(0, 1), rendered.clamp(0, 1))

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take the weights of nerfacto or of our own; the parameters keep their identity.

        Raises:
            ValueError: a model of other settings.
        """
        own = self.state_dict()
        state = {name: value for name, value in state_dict.items() if not name.startswith("lpips.")}
        known_steps = "sampling" in state
        state.setdefault("sampling", own["sampling"])
        wrong = sorted(name for name in own if name not in state or state[name].shape != own[name].shape)
        if wrong or len(state) > len(own):
            name = wrong[0] if wrong else sorted(state.keys() - own.keys())[0]
            came, expected = (list(it[name].shape) if name in it else "nothing" for it in (state, own))
            raise ValueError(
                f"The weights are of a nerfacto of other settings: {name} is {came}, here {expected}. Were "
                "`pipeline.model` of its config.yml, or the number of photographs, changed since?"
            )
        result = super().load_state_dict(state, strict=True, assign=False)
        if known_steps:
            self.trained(*self.sampling.tolist())
        return result

    def trained(self, steps: int, since_update: int = 0) -> None:
        """So many steps lie behind it: of a nerfacto run, which keeps them elsewhere, or of a checkpoint of ours."""
        self.sampling[0], self.sampling[1] = steps, since_update
        before, _ = self.step_hooks()
        before()
        self.proposal_sampler._step = max(0, steps - 1)
        self.proposal_sampler._steps_since_update = since_update


@contextmanager
def _nothing_fetched() -> Iterator[None]:
    """Inside, torchmetrics' LPIPS is nothing: nerfacto makes one in its constructor, and that downloads AlexNet.

    nerfacto imports it by name in that very place, and offers no other way around it.
    """
    from torchmetrics.image import lpip

    library: Any = lpip
    real = library.LearnedPerceptualImagePatchSimilarity
    library.LearnedPerceptualImagePatchSimilarity = lambda **settings: None
    try:
        yield
    finally:
        library.LearnedPerceptualImagePatchSimilarity = real
