"""A nerfacto model as a radiance field with the views of its capture (`rounds.field_subject.RadianceField`)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int, UInt8
from nerfstudio.cameras.cameras import Cameras as HostCameras
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor, nn

from fasttext2style.plugin.nerf.model import NerfModel
from fasttext2style.scene.cameras import Cameras


def to_host_cameras(cameras: Cameras) -> HostCameras:
    """Ours as nerfstudio's."""
    Ks = cameras.Ks
    return HostCameras(
        cameras.to_opengl(), Ks[:, 0, 0], Ks[:, 1, 1], Ks[:, 0, 2], Ks[:, 1, 2], cameras.width, cameras.height
    )


class NerfactoField:
    """The model, and the training views as they are trained on: with the poses that the model has learnt."""

    def __init__(self, model: NerfModel, cameras: Cameras) -> None:
        self.model, self.cameras = model, to_host_cameras(cameras)
        trained = {id(value) for group in model.get_param_groups().values() for value in group}
        self._parameters = {name: value for name, value in model.named_parameters() if id(value) in trained}

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        return self._parameters

    def picture(self, view: int, with_depth: bool = False) -> Float[Tensor, "height width channels"]:
        rays = self.cameras.generate_rays(camera_indices=view, keep_shape=True)
        with torch.no_grad():
            pose = self.model.camera_optimizer(torch.tensor([view], device=self.model.device))[0].to(rays.origins)
        rays.origins = rays.origins + pose[:3, 3]
        rays.directions = rays.directions @ pose[:3, :3].T
        return seen(self.model, rays, with_depth)

    def boxes(
        self, views: Int[Tensor, " views"], boxes: Int[Tensor, "views 4"], seed: int
    ) -> tuple[Float[Tensor, "views height width 3"], dict[str, Tensor]]:
        width, height = (boxes[0, 2:] - boxes[0, :2]).tolist()
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack([rows, columns], dim=-1) + boxes[:, None, None, [1, 0]]
        outputs, losses = self._trained_on(self._rays(views[:, None, None].expand(-1, height, width), pixels), seed)
        return outputs["rgb"].reshape(len(views), height, width, 3), losses

    def photograph_losses(
        self, photographs: UInt8[Tensor, "views height width 3"], count: int, seed: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """nerfacto's losses and metrics on so many pixels drawn from all photographs: how it is trained at first."""
        generator = torch.Generator().manual_seed(seed)
        sizes = photographs.shape[:3]
        views, rows, columns = (torch.randint(size, (count,), generator=generator) for size in sizes)
        image = photographs[views, rows, columns].to(self.model.device).float() / 255
        return self._losses(self._rays(views, torch.stack([rows, columns], dim=-1)), seed, image)[1:]

    def state(self) -> dict[str, Tensor]:
        return {f"model.{name}": value.detach().clone() for name, value in self.model.state_dict().items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        state = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
        self.model.load_state_dict(state)

    def _rays(self, views: Int[Tensor, "*rays"], pixels: Int[Tensor, "*rays 2"]) -> RayBundle:
        """Through the middles of pixels (row, column)."""
        device = self.cameras.device
        indices, middles = views.reshape(-1, 1).to(device), pixels.reshape(-1, 2).to(device) + 0.5
        return self.cameras.generate_rays(camera_indices=indices, coords=middles)

    def _trained_on(self, rays: RayBundle, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        outputs, losses, _ = self._losses(rays, seed, None)
        # Against itself; the others are nerfacto's own, that of the poses among them.
        del losses["rgb_loss"]
        return outputs, losses

    def _losses(self, rays: RayBundle, seed: int, image: Tensor | None) -> tuple[dict, dict, dict]:
        model, device = self.model, self.model.device
        model.train()
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)  # nerfacto draws its samples' jitter from torch's own generator
            outputs = model(rays)
            batch = {"image": outputs["rgb"].detach() if image is None else image}
            metrics = model.get_metrics_dict(outputs, batch)
            return outputs, model.get_loss_dict(outputs, batch, metrics), metrics


@torch.no_grad()
def seen(model: NerfModel, rays: RayBundle, with_depth: bool = False) -> Float[Tensor, "height width channels"]:
    """A picture, as ns-render would show it; with the distance along the view axis as a fourth channel if asked for."""
    was_training = model.training
    model.eval()
    try:
        outputs = model.get_outputs_for_camera_ray_bundle(rays)
    finally:
        model.train(was_training)
    picture = outputs["rgb"].clamp(0, 1)
    if not with_depth:
        return picture
    # nerfacto measures along the ray.
    return torch.cat([picture, outputs["expected_depth"] / rays.metadata["directions_norm"]], dim=-1)


def pictures(model: NerfModel, cameras: Cameras, with_depth: bool = False) -> Float[Tensor, "views height width c"]:
    """Of any cameras, on the CPU."""
    host = to_host_cameras(cameras.to(model.device))
    rays = (host.generate_rays(camera_indices=view, keep_shape=True) for view in range(len(cameras)))
    return torch.stack([seen(model, bundle, with_depth).cpu() for bundle in rays])
