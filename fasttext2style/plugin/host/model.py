"""splatfacto that renders through `scene.rasterize`: with CUDA and without, offline, and loadable without surprises.

What differs from nerfstudio's own model, and why:
- `populate_modules` and `get_outputs` call no `.cuda()`, fetch no weights, and rasterize on either device;
- `load_state_dict` keeps the identity of the parameters, so that optimizers built before the load stay valid
  (nerfstudio replaces them: training after loading then changes nothing, without a word);
- selection, identities, and which steps of the history the scene contains travel with the checkpoint;
- colours are spherical harmonics at every degree; splatfacto has logits in their place at degree 0;
- what surrounds the scene may be a panorama, which travels with the checkpoint and is seen in every render but those
  that are trained on;
- outputs `selection` and `before` show the object as a mask, and the scene before its last edit;
- LPIPS is made when it is asked for, and never lands in a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from nerfstudio.cameras.cameras import Cameras as HostCameras
from nerfstudio.data.scene_box import OrientedBox
from nerfstudio.models.splatfacto import SplatfactoModel, SplatfactoModelConfig
from nerfstudio.utils.colors import get_color
from torch import Tensor, nn

from fasttext2style.envmaps.around import seen_behind
from fasttext2style.history.delta import Delta
from fasttext2style.plugin.host.checkpoints import GROUPS, check_gaussians
from fasttext2style.plugin.host.convert import to_scene_cameras
from fasttext2style.plugin.host.densification import splatfacto_densification
from fasttext2style.plugin.host.lenses import is_pinhole, render_lens
from fasttext2style.plugin.host.lpips_metric import LpipsMetric
from fasttext2style.plugin.host.outputs import EarlierObject, LazyOutputs
from fasttext2style.plugin.host.viewer_threads import mend_viewers
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import SH_C0, SPLATFACTO_NAMES, Gaussians, sh_dc_of_logits
from fasttext2style.scene.rasterize import render, render_splats, render_values, splats_of
from fasttext2style.scene.splats import RenderMode, Splats
from fasttext2style.terminal.console import errors_in_words


@dataclass
class SceneModelConfig(SplatfactoModelConfig):
    """splatfacto's settings and two of our own."""

    _target: type = field(default_factory=lambda: SceneModel)
    lpips_metric: Literal["auto", "on", "off"] = "auto"
    """LPIPS in ns-eval and eval steps: "auto" takes it when its AlexNet weights lie in torch's cache, "on" fetches
    them, "off" leaves it out."""

    @classmethod
    def for_cpu(cls, steps: int) -> SceneModelConfig:
        """splatfacto's schedule, shortened from 30,000 steps at full size to `steps` on views of about 256 pixels."""
        return cls(
            num_downscales=0,
            # Gradients are larger on small views: splatfacto's 0.0008 trebles the Gaussians within 1,000 steps.
            densify_grad_thresh=0.0024,
            warmup_length=steps // 10,
            stop_split_at=steps * 6 // 10,
            stop_screen_size_at=steps * 4 // 10,
            reset_alpha_every=10**6,
            sh_degree_interval=steps // 6,
            background_color="black",
        )


class SceneModel(SplatfactoModel):
    """A splatfacto model that renders with either backend and carries a selection."""

    config: SceneModelConfig
    environment: Tensor | None
    """[height, width, 3] the panorama around the scene."""
    earlier_environment: Tensor | None
    """Before the last edit; no rows: there was none, None: it is the same as now."""

    def populate_modules(self) -> None:
        # Written anew rather than called: splatfacto's own version moves colours to CUDA and downloads AlexNet.
        from pytorch_msssim import SSIM
        from torchmetrics.image import PeakSignalNoiseRatio

        if self.config.use_bilateral_grid or self.config.camera_optimizer.mode != "off":
            raise ValueError(
                "Camera optimization and bilateral grids are not supported by fasttext2style: train such a base run "
                "with `ns-train splatfacto` and give it as --load-dir; its Gaussians are used."
            )
        mend_viewers()  # that may show it: ours, ns-viewer's
        points, colors = self.seed_points if self.seed_points is not None else (torch.empty(0, 3), torch.empty(0, 3))
        if len(points) == 0 or self.config.random_init:
            points = (torch.rand(self.config.num_random, 3) - 0.5) * self.config.random_scale
            colors = torch.rand(len(points), 3) * 255
        self.gauss_params = nn.ParameterDict(
            {name: nn.Parameter(value) for name, value in self._initial_gaussians(points, colors).items()}
        )
        self.register_buffer("selection", torch.ones(len(points)))
        # What `fasttext2style.history` keeps beside a scene; nothing until the first edit.
        self.register_buffer("history_ids", None)
        self.register_buffer("history_applied", None)
        self.register_buffer("environment", None)
        self.register_buffer("earlier_environment", None)
        self.earlier = EarlierObject(dict(self.gauss_params.items()))
        self.on_outputs: Callable[[LazyOutputs], object] = lambda outputs: None
        self.original: Callable[[], tuple[Tensor, Mapping[str, Tensor]]] | None = None
        """Rows that were ever edited, and what stood in their place: offers the output `original`."""
        self.camera_optimizer = self.config.camera_optimizer.setup(num_cameras=self.num_train_data, device="cpu")

        self.psnr = PeakSignalNoiseRatio(data_range=1.0)
        self.ssim = SSIM(data_range=1.0, size_average=True, channel=3)
        self.lpips = LpipsMetric(self.config.lpips_metric)
        self.step = 0
        self.crop_box: OrientedBox | None = None
        # Eval renders must not depend on the viewer's panel colour: a fixed background, also for "random" training.
        color = "black" if self.config.background_color == "random" else self.config.background_color
        self.background_color = get_color(color)
        self.strategy = splatfacto_densification(self.config, self.num_train_data)
        self.strategy_state = self.strategy.initialize_state(scene_scale=1.0)

    def _initial_gaussians(self, points: Tensor, colors: Tensor) -> dict[str, Tensor]:
        """A small round Gaussian at each point, as large as the mean distance to its three neighbours."""
        count, coefficients = len(points), (self.config.sh_degree + 1) ** 2
        neighbours = min(3, count - 1)
        distances, _ = (
            self.k_nearest_sklearn(points, neighbours) if neighbours else (torch.ones(count, 1).numpy(), None)
        )
        scale = torch.from_numpy(distances).mean(dim=-1, keepdim=True).clamp_min(1e-7)
        quats = torch.nn.functional.normalize(torch.randn(count, 4), dim=-1)
        return {
            "means": points.float().clone(),
            "scales": scale.log().repeat(1, 3),
            "quats": quats,
            "features_dc": (colors.float() / 255 - 0.5) / SH_C0,
            "features_rest": torch.zeros(count, coefficients - 1, 3),
            "opacities": torch.logit(torch.full((count, 1), 0.1)),
        }

    # --- the scene as our nouns -----------------------------------------------------------------------------------

    def gaussians(self) -> Gaussians:
        """The scene as it is now, detached."""
        return Gaussians.from_splatfacto({name: self.gauss_params[name].detach() for name in GROUPS})

    @property
    def object_weights(self) -> Tensor:
        """[gaussians] the selection; everything while a reconstruction, which has none, adds and removes Gaussians."""
        return self.selection if len(self.selection) == self.num_points else self.selection.new_ones(self.num_points)

    @property
    def shs_0(self) -> Tensor:
        """[gaussians, 3] constant coefficients, as ns-export asks for them."""
        return self.features_dc

    @property
    def colors(self) -> Tensor:
        """[gaussians, 3] colours without view dependence, as ns-export asks for them."""
        return 0.5 + SH_C0 * self.features_dc

    def load_gaussians(self, gaussians: Gaussians) -> None:
        """Take a scene as if from a checkpoint: nothing is selected or known of its history.

        Raises:
            ValueError: of another SH degree.
        """
        self.load_state_dict(gaussians.to_splatfacto() | {"selection": torch.ones(len(gaussians))})

    def set_gaussians(self, gaussians: Gaussians) -> None:
        """Replace the scene; the parameters keep their identity, their gradients are dropped."""
        self.earlier.clear()
        for name, value in gaussians.to_splatfacto().items():
            parameter = self.gauss_params[name]
            parameter.data = value.to(self.device, torch.float32).reshape(len(gaussians), *parameter.shape[1:]).clone()
            parameter.grad = None

    # --- rendering ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def get_outputs_for_camera(self, camera: HostCameras, obb_box: OrientedBox | None = None) -> dict[str, Tensor]:
        """As nerfstudio, which calls this from commands that would show a traceback."""
        with errors_in_words():
            return super().get_outputs_for_camera(camera, obb_box)

    def get_outputs(self, camera: HostCameras) -> dict[str, Tensor | list]:
        """Render one camera of any lens: rgb [height, width, 3], depth, accumulation, background.

        Training renders are differentiable and feed the densification strategy. Others also have selection [height,
        width, 3] (white: the object) and before (rgb before the last edit), rendered when they are read; `on_outputs`
        may read or change them before anyone else does.
        """
        if not isinstance(camera, HostCameras):
            raise ValueError(
                f"Gaussians are seen by whole cameras, and were asked for a {type(camera).__name__}: ns-export takes "
                "gaussian-splat or cameras here, ns-render no --render-nearest-camera."
            )
        if camera.shape[0] != 1:
            raise ValueError(f"get_outputs renders one camera at a time, got {camera.shape[0]}.")
        if not is_pinhole(camera):
            outputs = render_lens(camera, self.get_outputs)
            self.last_size = (int(camera.height), int(camera.width))
            return outputs
        cameras = to_scene_cameras(camera)
        downscale = self._get_downscale_factor()
        if downscale > 1:
            cameras = cameras.resized(cameras.width // downscale, cameras.height // downscale)
        self.last_size = (cameras.height, cameras.width)
        keep = self._inside_crop_box()
        if keep is not None and not bool(keep.any()):
            empty = self.get_empty_outputs(cameras.width, cameras.height, self.background_color.to(self.device))
            around = self._background(cameras, self.environment).expand(*self.last_size, 3)
            empty |= {"rgb": around, "background": around}
            earlier = ("before",) if self.original is None else ("original", "before")
            selection = torch.zeros(*self.last_size, 3, device=self.device)
            return empty | {"selection": selection} | dict.fromkeys(earlier, empty["rgb"])
        scene = self._scene(self.gauss_params, keep)
        with_depth = self.config.output_depth_during_training or not self.training
        renders, alphas, self.info = self._render(scene, cameras, "RGB+ED" if with_depth else "RGB")
        if self.training and self.info["means2d"].requires_grad:
            self.strategy.step_pre_backward(
                self.gauss_params, self.optimizers, self.strategy_state, self.step, self.info
            )
        background = self._background(cameras, self.environment)
        rgb = (renders[..., :3] + (1 - alphas) * background).clamp(0.0, 1.0)
        outputs: dict[str, Tensor | list] = {
            "rgb": rgb[0],
            "accumulation": alphas[0],
            "background": background if self.training else background.expand(*rgb.shape[1:3], 3),
        }
        if with_depth:
            depth = renders[..., 3:4]
            outputs["depth"] = torch.where(alphas > 0, depth, depth.detach().max())[0]
        return outputs if self.training else self._with_extra_outputs(outputs, scene.detach(), cameras, keep)

    def _with_extra_outputs(
        self, outputs: dict[str, Tensor | list], scene: Gaussians, cameras: Cameras, keep: Tensor | None
    ) -> LazyOutputs:
        # Tensors of now: what is read later still belongs together, even if the scene was replaced in the meantime.
        weights = self.object_weights if keep is None else self.object_weights[keep]
        moved = self.earlier_environment is not None
        earlier_environment = self.earlier_environment if moved else self.environment

        def selection() -> Tensor:
            """[height, width, 3]: how much of each pixel's colour comes from the object."""
            mode = self.config.rasterize_mode
            coverage = render_values(scene, cameras, weights[:, None], rasterize_mode=mode)[0][0]
            return coverage.clamp(0, 1).expand(-1, -1, 3)

        def with_earlier(object_before: EarlierObject, panorama: Tensor | None) -> Tensor:
            now, degree = splats_of(self._scene(self.gauss_params), cameras, self._present_sh_degree)
            earlier, _ = splats_of(self._scene(object_before.columns), cameras, self._present_sh_degree)
            splats = Splats(**object_before.in_place_of(now._asdict(), earlier._asdict()))
            if self.crop_box is not None:
                inside = self.crop_box.within(splats.means).squeeze()
                splats = Splats(*(value[inside] for value in splats))
            mode = self.config.rasterize_mode
            renders, alphas, _ = render_splats(splats, cameras, sh_degree=degree, rasterize_mode=mode)
            return (renders + (1 - alphas) * self._background(cameras, panorama)).clamp(0.0, 1.0)[0]

        lazy = LazyOutputs(outputs)
        lazy.later("selection", selection)
        rgb = lazy["rgb"]
        if self.original is not None:
            find = self.original
            lazy.later("original", lambda: with_earlier(EarlierObject.of(*find()), None))
        same = self.earlier.is_empty and not moved
        lazy.later("before", lambda: rgb if same else with_earlier(self.earlier, earlier_environment))
        self.on_outputs(lazy)
        return lazy

    def _background(self, cameras: Cameras, panorama: Tensor | None) -> Tensor:
        """[3] a colour, or [height, width, 3] what the camera sees of a panorama; photographs never saw that."""
        if panorama is None or len(panorama) == 0 or self.training:
            return self._get_background_color()
        return seen_behind(panorama, cameras)[0]

    def _get_background_color(self) -> Tensor:
        """As splatfacto's; a random one of training is drawn by the step, so that a resumed run has the same."""
        if self.config.background_color == "random" and self.training:
            return torch.rand(3, generator=torch.Generator().manual_seed(self.step)).to(self.device)
        return super()._get_background_color()

    def _scene(self, groups: Mapping[str, Tensor] | nn.ParameterDict, keep: Tensor | None = None) -> Gaussians:
        """Parameters under splatfacto's names as a scene that passes gradients on; those of `keep` alone."""
        kept = {SPLATFACTO_NAMES[name]: groups[name] if keep is None else groups[name][keep] for name in GROUPS}
        return Gaussians(**kept | {"logit_opacities": kept["logit_opacities"].squeeze(-1)})

    def _render(self, scene: Gaussians, cameras: Cameras, render_mode: RenderMode) -> tuple[Tensor, Tensor, dict]:
        return render(
            scene,
            cameras,
            render_mode=render_mode,
            rasterize_mode=self.config.rasterize_mode,
            sh_degree=self._present_sh_degree,
            absgrad=self.training and self.strategy.absgrad,
        )

    @property
    def _present_sh_degree(self) -> int:
        return min(self.step // self.config.sh_degree_interval, self.config.sh_degree)

    def _inside_crop_box(self) -> Tensor | None:
        if self.crop_box is None or self.training:
            return None
        return self.crop_box.within(self.means).squeeze()

    def get_rgba_image(self, outputs: dict[str, Tensor], output_name: str = "rgb") -> Tensor:
        """[height, width, 4]: the render with its own opacity (nerfstudio's version needs a NeRF renderer)."""
        return torch.cat((outputs[output_name], outputs["accumulation"]), dim=-1)

    # --- metrics --------------------------------------------------------------------------------------------------

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """PSNR and SSIM against the photograph, and LPIPS when its weights can be had (`lpips_metric`)."""
        truth = self.composite_with_background(self.get_gt_img(batch["image"]), outputs["background"])
        both = torch.cat([truth, outputs["rgb"]], dim=1)
        truth, rendered = (image.movedim(-1, 0)[None].clamp(0, 1) for image in (truth, outputs["rgb"]))
        metrics = {"psnr": float(self.psnr(rendered, truth)), "ssim": float(self.ssim(rendered, truth))}
        lpips = self.lpips.network(self.device)
        if lpips is not None:
            metrics["lpips"] = float(lpips(rendered, truth))
        return metrics, {"img": both}

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def load_state_dict(self, dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """Load Gaussians of any number into the parameters that exist, so that their optimizers stay valid.

        Takes checkpoints of splatfacto (any version that names its Gaussians) and of our methods; what belongs to
        other parts of another method (LPIPS, camera optimizer, bilateral grids) is left aside.

        Raises:
            ValueError: the checkpoint holds no Gaussians, or of another SH degree, or a panorama that is none.
        """
        count = check_gaussians(dict, self.config.sh_degree)
        state = {name: dict.get(f"gauss_params.{name}", dict.get(name)) for name in GROUPS}
        if self.config.sh_degree == 0 and "selection" not in dict:
            state["features_dc"] = sh_dc_of_logits(state["features_dc"])
        for name in GROUPS:
            parameter = self.gauss_params[name]
            parameter.data = state[name].to(self.device, parameter.dtype).clone()
            parameter.grad = None
        for name in ("history_ids", "history_applied", "environment", "earlier_environment"):
            setattr(self, name, dict[name].to(self.device) if name in dict else None)
        for panorama in (self.environment, self.earlier_environment):
            if panorama is not None and len(panorama):
                Delta.of_environment(panorama)  # refuses what is none, before anybody renders it
        self.earlier.load(dict, "earlier.")
        # A reconstruction densifies without a selection: its checkpoint holds one of the points that it began with.
        selection = dict.get("selection", torch.empty(0))
        self.selection = (selection if len(selection) == count else torch.ones(count)).to(self.device)
        # A trained scene: all SH degrees are on (splatfacto does the same).
        self.step = 30000
        own = self.state_dict()
        return nn.Module.load_state_dict(self, own, **kwargs)

    def get_param_groups(self) -> dict[str, list[nn.Parameter]]:
        return self.get_gaussian_param_groups()
