"""A radiance field as rounds see it: a scene in which an object has no parameters of its own.

What is edited is said by a mask per view (`masks`), and outside it the photographs stay what is trained towards. That
holds the rest near to what it was and promises no bit: every weight of the field has a share in every ray. What it cost
is measured, in every round ("outside").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from fasttext2style.rounds.views import SEEN, SceneViews, to_bytes
from fasttext2style.scene.cameras import Cameras


@runtime_checkable
class RadianceField(Protocol):
    """A field with the views of its capture; pictures are [height, width, 3], sRGB in [0, 1], on its device."""

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Its weights, by name; they keep their identity."""
        ...

    def picture(self, view: int, with_depth: bool = False) -> Float[Tensor, "height width channels"]:
        """A view, without gradients; the distance along the view axis as a fourth channel if asked for."""
        ...

    def boxes(
        self, views: Int[Tensor, " views"], boxes: Int[Tensor, "views 4"], seed: int
    ) -> tuple[Float[Tensor, "views height width 3"], dict[str, Tensor]]:
        """Differentiable renders of boxes x0, y0, x1, y1 of one size, with the field's own weighted losses on these
        rays; what is random comes from the seed."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that decides how it trains on, by name; copies."""
        ...

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Become what `state` told, among whatever else is in `tensors`.

        Raises:
            ValueError: not such a state, or one of another field.
        """
        ...


class FieldSubject:
    """A radiance field that is edited in rounds.

    Args:
        field: as it was before any round.
        cameras: the views of the capture, all of one size.
        photographs: as 8 bits on the CPU.
        masks: where each view shows what is edited; None: whole pictures.
        mask_margin: how far beyond the masks pictures may change, as a share of their larger side in each view.

    Raises:
        ValueError: the masks show nothing.
    """

    def __init__(
        self,
        field: RadianceField,
        cameras: Cameras,
        photographs: UInt8[Tensor, "views height width 3"],
        masks: UInt8[Tensor, "views height width 1"] | None = None,
        mask_margin: float = 0.0,
    ) -> None:
        if masks is not None and not bool((masks > SEEN * 255).any()):
            raise ValueError(f"The masks of all {len(masks)} views are empty, so nothing would be edited.")
        self.field, self.cameras, self._photographs = field, cameras, photographs
        self._masks, self._mask_margin = masks, mask_margin
        self._losses: dict[str, Tensor] = {}
        self._seed = self._steps = 0
        self._seen: dict[int, UInt8[Tensor, "height width 3"]] = {}
        """Views as they are now: a frame costs as much as some training steps, and a round begins as the last ended."""

    def views(self) -> SceneViews:
        """What rounds need to know of the capture's views; asked for before anything has changed."""
        originals = torch.stack([self._picture(view) for view in range(len(self.cameras))])
        return SceneViews(
            self.cameras, self._photographs, originals, self._masks, self._mask_margin, held_to_photographs=True
        )

    def _picture(self, view: int) -> UInt8[Tensor, "height width 3"]:
        if view not in self._seen:
            self._seen[view] = to_bytes(self.field.picture(view))
        return self._seen[view]

    # --- seen -------------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        return self.field.parameters

    def render(self, views: list[int], with_depth: bool = False) -> Float[Tensor, "views height width channels"]:
        if with_depth:
            return torch.stack([self.field.picture(view, with_depth).cpu() for view in views])
        return torch.stack([self._picture(view) for view in views]).float() / 255

    def render_boxes(
        self, views: Int[Tensor, " views"], boxes: Int[Tensor, "views 4"]
    ) -> tuple[Float[Tensor, "views height width 3"], dict[str, Any]]:
        images, self._losses = self.field.boxes(views, boxes, (self._seed + self._steps) % 2**63)
        return images, {}

    def coverage(self, views: list[int]) -> Float[Tensor, "views height width 1"] | None:
        """The masks, which stay as they were: a field does not know what of it is the object."""
        return None if self._masks is None else self._masks[views].float() / 255

    # --- trained ----------------------------------------------------------------------------------------------------

    def losses(self) -> dict[str, Tensor]:
        """The field's own, on the rays that were rendered last."""
        return self._losses

    def draw_from(self, seed: int) -> None:
        self._seed, self._steps = seed, 0

    def end_step(self) -> None:
        """The step's jitter was drawn; asked for it again before, the same rays come out alike."""
        self._steps += 1
        self._seen = {}

    def re_anchor(self) -> None:
        """Nothing holds a field to what it was but the photographs."""

    # --- kept -------------------------------------------------------------------------------------------------------

    def fingerprint(self) -> str:
        """sha256 of all bits of the field."""
        digest = hashlib.sha256()
        for name, value in sorted(self.field.state().items()):
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def original_state(self) -> dict[str, Tensor]:
        """The field, and its masks."""
        return self.field.state() | ({} if self._masks is None else {"masks": self._masks})

    def state(self) -> dict[str, Tensor]:
        return self.field.state()

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        self.field.load_state(tensors)
        self._seen = {}

    def metrics(self) -> dict[str, Any]:
        return {"weights": sum(value.numel() for value in self.parameters.values())}

    def kept_metrics(self, original: Path) -> dict[str, Any]:
        """Nothing: what the pictures outside the masks have become is measured with all others."""
        return {}

    def write_files(self, folder: Path) -> None:
        """Nothing beside the snapshot."""
