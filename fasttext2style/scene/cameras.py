"""A batch of pinhole views of one size.

OpenCV: in a camera's frame x looks right, y down, z forward. `viewmats` take world points into that frame. Pixel
coordinates are continuous: the image spans [0, width] x [0, height], the first pixel's centre is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline
from torch import Tensor

LEAST_TURN = 0.15
"""Root mean square of how far the cameras' right-hand sides leave their main direction, below which they are alike."""


@dataclass(frozen=True)
class Cameras:
    """Pinhole views that share width and height; everything else may differ from view to view."""

    viewmats: Float[Tensor, "views 4 4"]
    """World to camera, last row (0, 0, 0, 1)."""
    Ks: Float[Tensor, "views 3 3"]
    """Intrinsics in pixels: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]."""
    width: int
    """In pixels."""
    height: int
    """In pixels."""

    def __post_init__(self) -> None:
        if self.viewmats.ndim != 3 or self.viewmats.shape[1:] != (4, 4):
            raise ValueError(f"viewmats should be [views, 4, 4], got {list(self.viewmats.shape)}")
        if self.Ks.shape != (len(self.viewmats), 3, 3):
            raise ValueError(f"Ks should be [{len(self.viewmats)}, 3, 3] like viewmats, got {list(self.Ks.shape)}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"An image has at least 1 x 1 pixels, got width {self.width} and height {self.height}")

    def __len__(self) -> int:
        return len(self.viewmats)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Cameras:
        """Always a batch: `cameras[3]` is a batch of one view."""
        if isinstance(index, int):
            # Through range, so that a wrong index raises IndexError and iteration ends.
            index = [range(len(self))[index]]
        elif not isinstance(index, (slice, Tensor)):
            index = list(index)
        return replace(self, viewmats=self.viewmats[index], Ks=self.Ks[index])

    @property
    def device(self) -> torch.device:
        return self.viewmats.device

    @property
    def centers(self) -> Float[Tensor, "views 3"]:
        """Where the cameras stand, in world coordinates."""
        rotations, translations = self.viewmats[:, :3, :3], self.viewmats[:, :3, 3]
        return -(rotations.transpose(1, 2) @ translations[:, :, None])[:, :, 0]

    @property
    def directions(self) -> Float[Tensor, "views 3"]:
        """Unit vectors along which the cameras look, in world coordinates."""
        return self.viewmats[:, 2, :3]

    @property
    def up(self) -> Float[Tensor, "3"]:
        """Up, a unit vector, for cameras held upright on the whole: they look up and down, but their right is level.

        So it is the direction across which all right-hand sides lie. The mean of the cameras' own up would lean back
        with cameras that look down from one side; it is taken where all right-hand sides are alike (views that are only
        shifted), or lie in no plane (cameras that roll).
        """
        own = torch.nn.functional.normalize(-self.viewmats[:, 1, :3].mean(dim=0), dim=0)
        if len(self) < 3:
            return own
        _, strengths, axes = torch.linalg.svd(self.viewmats[:, 0, :3], full_matrices=False)
        if float(strengths[1]) < LEAST_TURN * len(self) ** 0.5 or float(strengths[2]) > 0.5 * float(strengths[1]):
            return own
        # Cameras look down on things rather than up, and have their own up above rather than below.
        return axes[2] if float(axes[2] @ (own - self.directions.mean(dim=0))) >= 0 else -axes[2]

    def to(self, device: torch.device | str) -> Cameras:
        return replace(self, viewmats=self.viewmats.to(device), Ks=self.Ks.to(device))

    def see(self, points: Float[Tensor, "points 3"]) -> Bool[Tensor, " points"]:
        """Which points lie inside the picture of some view."""
        local = torch.einsum("vij,pj->vpi", self.viewmats[:, :3, :3], points) + self.viewmats[:, None, :3, 3]
        pixels = torch.einsum("vij,vpj->vpi", self.Ks, local)
        pixels, depths = pixels[..., :2] / pixels[..., 2:].clamp_min(1e-6), local[..., 2]
        size = pixels.new_tensor([self.width, self.height])
        return ((depths > 0) & ((pixels >= 0) & (pixels <= size)).all(dim=-1)).any(dim=0)

    def resized(self, width: int, height: int) -> Cameras:
        """The same field of view on another number of pixels."""
        scale = self.Ks.new_tensor([width / self.width, height / self.height, 1.0])
        return replace(self, Ks=self.Ks * scale[:, None], width=width, height=height)

    def cropped(self, boxes: Float[Tensor, "views 4"], width: int, height: int) -> Cameras:
        """Cameras at the same places that see only a box of the image, on width x height pixels.

        Boxes are x0, y0, x1, y1 in pixels of the present image and may leave it: the crop then shows what a larger
        sensor would have seen.

        Raises:
            ValueError: a box of no area, or not one box per view.
        """
        if boxes.shape != (len(self), 4):
            raise ValueError(f"Cropping {len(self)} views takes boxes [{len(self)}, 4], got {list(boxes.shape)}")
        # Reckoned where the boxes are: those of a training step come from the CPU, and nothing waits for the device.
        boxes = boxes.to(self.Ks.dtype)
        corners, sizes = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
        if not bool((sizes > 0).all()):
            raise ValueError(f"A box x0, y0, x1, y1 needs x0 < x1 and y0 < y1, got {boxes.tolist()}")
        shift = torch.eye(3, dtype=self.Ks.dtype, device=boxes.device).repeat(len(self), 1, 1)
        shift[:, :2, 2] = -corners
        scale = torch.diag_embed(torch.nn.functional.pad(boxes.new_tensor([width, height]) / sizes, (0, 1), value=1.0))
        cut = (scale @ shift).to(self.device, non_blocking=True)
        return replace(self, Ks=cut @ self.Ks, width=width, height=height)

    def shrunk(self, longest: int) -> Cameras:
        """The same views with at most so many pixels on the longer side, and the same format as near as may be."""
        scale = min(1.0, longest / max(self.width, self.height))
        return self.resized(max(1, round(scale * self.width)), max(1, round(scale * self.height)))

    def evenly(self, at_most: int) -> Cameras:
        """So many of these views, or all if they are fewer, spread as `evenly_spread` says."""
        return self[evenly_spread(len(self), at_most)]

    def interpolate(self, count: int) -> Cameras:
        """A smooth path of `count` views through these ones, from the first to the last.

        Positions and intrinsics follow a cubic spline, rotations one with continuous angular velocity.
        """
        knots, times = np.arange(len(self)), np.linspace(0, len(self) - 1, count)
        if len(self) == 1:
            return self[[0] * count]
        rotations = self.viewmats[:, :3, :3].double().cpu().numpy()
        centers = CubicSpline(knots, self.centers.double().cpu().numpy())(times)
        path_rotations = RotationSpline(knots, Rotation.from_matrix(rotations))(times).as_matrix()
        viewmats = np.tile(np.eye(4), (count, 1, 1))
        viewmats[:, :3, :3] = path_rotations
        viewmats[:, :3, 3] = -np.einsum("nij,nj->ni", path_rotations, centers)
        Ks = CubicSpline(knots, self.Ks.double().cpu().numpy())(times)
        return replace(self, viewmats=torch.from_numpy(viewmats).to(self.viewmats), Ks=torch.from_numpy(Ks).to(self.Ks))

    @staticmethod
    def concatenated(parts: Sequence[Cameras]) -> Cameras:
        """All views of several batches of one size."""
        sizes = {(part.width, part.height) for part in parts}
        if len(sizes) != 1:
            raise ValueError(f"Only batches of one size can be joined, got {sorted(sizes)}; use resized() first")
        return replace(
            parts[0], viewmats=torch.cat([part.viewmats for part in parts]), Ks=torch.cat([part.Ks for part in parts])
        )

    @staticmethod
    def from_opengl(
        camera_to_worlds: Float[Tensor, "views 3 4"] | Float[Tensor, "views 4 4"],
        fx: float | int | Tensor,
        fy: float | int | Tensor,
        cx: float | int | Tensor,
        cy: float | int | Tensor,
        width: int,
        height: int,
    ) -> Cameras:
        """From nerfstudio's (and Blender's) convention: camera to world, x right, y up, looking along -z.

        The intrinsics are numbers, or tensors [views] or [views, 1], as in nerfstudio's Cameras.
        """
        rotations = camera_to_worlds[:, :3, :3] * camera_to_worlds.new_tensor([1.0, -1.0, -1.0])
        viewmats = _viewmats(rotations.transpose(1, 2), camera_to_worlds[:, :3, 3])
        Ks = torch.zeros(len(viewmats), 3, 3).to(viewmats)
        for (row, column), value in {(0, 0): fx, (1, 1): fy, (0, 2): cx, (1, 2): cy}.items():
            Ks[:, row, column] = value.to(viewmats).reshape(-1) if isinstance(value, Tensor) else value
        Ks[:, 2, 2] = 1.0
        return Cameras(viewmats, Ks, width, height)

    def to_opengl(self) -> Float[Tensor, "views 3 4"]:
        """Camera to world in nerfstudio's convention, the inverse of `from_opengl`."""
        rotations = self.viewmats[:, :3, :3].transpose(1, 2) * self.viewmats.new_tensor([1.0, -1.0, -1.0])
        return torch.cat([rotations, self.centers[:, :, None]], dim=2)

    @staticmethod
    def looking_at(
        centers: Float[Tensor, "views 3"],
        targets: Float[Tensor, "views 3"] | Float[Tensor, "3"],
        width: int,
        height: int,
        fov_degrees: float | int = 50.0,
        up: Sequence[float | int] = (0.0, 0.0, 1.0),
    ) -> Cameras:
        """Upright cameras that have their target in the middle of the image.

        `fov_degrees` is the angle over the shorter side of the image, so that a thing fits whatever the format.

        Raises:
            ValueError: a camera stands at its target, or looks along `up` (upright means nothing there).
        """
        forward = torch.nn.functional.normalize(targets - centers, dim=1)
        right = torch.linalg.cross(forward, forward.new_tensor(up).expand_as(forward), dim=1)
        if not bool((right.norm(dim=1) > 1e-6 * math.hypot(*up)).all()):
            raise ValueError("A camera stands at its target or looks along up; move it, or give another up")
        right = torch.nn.functional.normalize(right, dim=1)
        down = torch.linalg.cross(forward, right, dim=1)
        focal = 0.5 * min(width, height) / math.tan(math.radians(fov_degrees) / 2)
        K = forward.new_tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
        viewmats = _viewmats(torch.stack([right, down, forward], dim=1), centers)
        return Cameras(viewmats, K.repeat(len(centers), 1, 1), width, height)

    @staticmethod
    def orbit(
        center: Sequence[float | int] | Float[Tensor, "3"],
        radius: float | int,
        views: int,
        width: int,
        height: int,
        fov_degrees: float | int = 50.0,
        elevation_degrees: float | int | Float[Tensor, " views"] = 20.0,
        up: Sequence[float | int] = (0.0, 0.0, 1.0),
        start_degrees: float | int = 0.0,
    ) -> Cameras:
        """Views spread evenly on a circle around `center`, once round about `up`, all looking at it.

        With up z, view 0 stands on the side of +x and the next ones turn towards +y. Elevations are angles above the
        horizon, strictly between -90 and 90.
        """
        target = torch.as_tensor(center, dtype=torch.float32)
        axis = torch.nn.functional.normalize(torch.tensor(up, dtype=torch.float32), dim=0)
        helper = torch.eye(3)[0 if abs(float(axis[0])) < 0.9 else 1]
        side = torch.nn.functional.normalize(helper - (helper @ axis) * axis, dim=0)
        azimuths = math.radians(start_degrees) + torch.arange(views) * (2 * math.pi / views)
        elevations = torch.deg2rad(torch.as_tensor(elevation_degrees, dtype=torch.float32).expand(views))
        horizontal = azimuths.cos()[:, None] * side + azimuths.sin()[:, None] * torch.linalg.cross(axis, side)
        centers = target + radius * (elevations.cos()[:, None] * horizontal + elevations.sin()[:, None] * axis)
        return Cameras.looking_at(centers, target, width, height, fov_degrees, up)


def looked_at(cameras: Cameras) -> Float[Tensor, "3"]:
    """The point nearest to the middle of all views: least squares over their axes."""
    mean = cameras.centers.mean(dim=0)
    across = torch.eye(3, device=cameras.device) - cameras.directions[:, :, None] * cameras.directions[:, None, :]
    # A trace of the identity: views that all look the same way meet nowhere.
    matrix = across.sum(dim=0) + 1e-4 * torch.eye(3, device=cameras.device)
    return mean + torch.linalg.solve(matrix, (across @ (cameras.centers - mean)[:, :, None]).sum(dim=0)[:, 0])


def evenly_spread(count: int, at_most: int) -> list[int]:
    """At most so many of the numbers 0 to count - 1, ascending, the first and the last among them.

    Number i of m stands nearest to i (count - 1) / (m - 1), halves rounded up: 4 of 10 are 0, 3, 6, 9, and 3 of 8 are
    0, 4, 7. One alone is the first.

    Raises:
        ValueError: none is wanted.
    """
    if at_most < 1:
        raise ValueError(f"At least one is to be chosen, got {at_most}")
    if at_most >= count:
        return list(range(count))
    gaps = max(at_most - 1, 1)
    # In whole numbers: rounding must not choose other views on another machine.
    return [(2 * number * (count - 1) + gaps) // (2 * gaps) for number in range(at_most)]


def _viewmats(rotations: Float[Tensor, "views 3 3"], centers: Float[Tensor, "views 3"]) -> Float[Tensor, "views 4 4"]:
    """World to camera from the rotation of that direction and the camera's place."""
    viewmats = torch.eye(4, dtype=rotations.dtype, device=rotations.device).repeat(len(rotations), 1, 1)
    viewmats[:, :3, :3] = rotations
    viewmats[:, :3, 3] = -(rotations @ centers[:, :, None])[:, :, 0]
    return viewmats
