"""Where to look at the object from: a square box around it in every view, and the views that show it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians

_VISIBLE_OPACITY = 0.1
# Share of the object's Gaussians inside the best view below which it counts as not shown at all.
_LEAST_SHARE = 0.02
# How far beyond the image, in image sizes, a box may reach.
_BEYOND = 0.15
# Gaussians that say where the object is; more only cost time and memory (once per view).
_ENOUGH = 20_000


@torch.no_grad()
def object_boxes(
    gaussians: Gaussians, cameras: Cameras, margin: float = 1.15
) -> tuple[Float[Tensor, "views 4"], Bool[Tensor, " views"]]:
    """Square boxes x0, y0, x1, y1 in pixels around the object in each view, and whether the view shows it.

    A box spans the middle 98 % of the visible Gaussians' centres on both axes, at most a little beyond the image (a
    floor goes on for ever), made square and `margin` larger. A view shows the object when it has at least half as
    large a share of it inside the image as the best view.

    Raises:
        ValueError: no view shows the object.
    """
    means = gaussians.means[gaussians.opacities > _VISIBLE_OPACITY]
    means = means if len(means) else gaussians.means
    means = means[:: -(-len(means) // _ENOUGH)]
    points = torch.einsum("vij,nj->vni", cameras.viewmats[:, :3, :3], means) + cameras.viewmats[:, None, :3, 3]
    depths = points[..., 2]
    in_front = depths > 1e-3
    pixels = torch.einsum("vij,vnj->vni", cameras.Ks, points)[..., :2] / depths.clamp_min(1e-3)[..., None]
    size = pixels.new_tensor([cameras.width, cameras.height])
    share = ((pixels > 0) & (pixels < size)).all(dim=-1).logical_and(in_front).float().mean(dim=1)
    shown = share >= 0.5 * share.max()
    if float(share.max()) < _LEAST_SHARE:
        raise ValueError(
            f"None of the {len(cameras)} views shows the selected object ({len(gaussians):,} Gaussians around "
            f"{[round(x, 2) for x in means.mean(dim=0).tolist()]}). Were scene and cameras made in the same "
            "coordinates? A .ply from elsewhere needs `nerfstudio-data --orientation-method none --center-method none "
            "--auto-scale-poses False`."
        )
    boxes = torch.zeros(len(cameras), 4, device=means.device)
    for view in shown.nonzero()[:, 0].tolist():
        ordered = pixels[view, in_front[view]].clamp(-_BEYOND * size, (1 + _BEYOND) * size).sort(dim=0).values
        low, high = ordered[[int(0.01 * (len(ordered) - 1)), int(0.99 * (len(ordered) - 1))]]
        center, half = (low + high) / 2, ((high - low).max() / 2 * margin).clamp_min(1.0)
        boxes[view] = torch.cat([center - half, center + half])
    return boxes, shown


def object_views(gaussians: Gaussians, cameras: Cameras, size: int, margin: float = 1.15) -> Cameras:
    """Cameras cropped to the object, `size` pixels square; views that do not show it are left out."""
    boxes, shown = object_boxes(gaussians, cameras, margin)
    return cameras[shown.nonzero()[:, 0]].cropped(boxes[shown], size, size)


class ViewSampler:
    """Batches of view numbers: every view once per epoch, in an order drawn from a seed."""

    def __init__(self, views: int, batch: int, seed: int) -> None:
        self.views, self.batch = views, min(batch, views)
        self._generator = torch.Generator().manual_seed(seed)
        self._left: list[int] = []

    def next(self) -> Tensor:
        """[batch] view numbers, all different."""
        taken: list[int] = []
        while len(taken) < self.batch:
            if not self._left:
                order = torch.randperm(self.views, generator=self._generator).tolist()
                # What the batch has already comes last, so that no batch holds a view twice.
                self._left = [v for v in order if v not in taken] + [v for v in order if v in taken]
            taken.append(self._left.pop(0))
        return torch.tensor(taken)

    def halve(self) -> int:
        """Half as many views a batch from now on; those of the last batch come again. Tells how many they were."""
        before, self.batch = self.batch, max(1, self.batch // 2)
        return before
