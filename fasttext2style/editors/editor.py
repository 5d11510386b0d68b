"""What an editor of images is, what it is asked and what it answers, and how one is loaded by name.

Images are [views, height, width, 3], sRGB in [0, 1]. Editors know no 3D, are plain objects and never modules, so that
their weights stay out of checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Mode = Literal["restyle", "replace", "remove"]
OnStep = Callable[[int, int], None]
"""Called with (done, total) after each denoising step, for progress; what it raises ends the edit."""


@dataclass(frozen=True)
class EditRequest:
    """Some views of one scene and what shall become of them.

    What an editor has no capability for it leaves out, and says so in `EditResult.info`. Shapes are checked here, in
    words, for requests also come from code of others.
    """

    images: Tensor
    """[views, height, width, 3]: the scene as it is now: what the noise is added to."""
    instruction: str
    """Such as "turn the bear into a panda"."""
    condition: Tensor | None = None
    """[views, height, width, 3]: what the editor looks at. None: the images (instruct-gs); the original photographs in
    Instruct-NeRF2NeRF and Instruct-GS2GS, so that round after round starts from the same."""
    mask: Tensor | None = None
    """[views, height, width, 1]: 1 where the picture may change, 0 where not one bit may, soft between. None:
    everywhere."""
    depth: Tensor | None = None
    """[views, height, width, 1]: distance along the view axis, in scene units; for editors that can use it."""
    detail: Tensor | None = None
    """[views, height, width, 3]: where the editor sees fewer pixels than there are, light and dark that it cannot see
    are taken from here. None: edits are as coarse as the editor."""
    mode: Mode = "restyle"
    negative: str = ""
    """What should not be seen, for guidance away from it."""
    strength: tuple[float, float] = (0.70, 0.98)
    """Interval of the noise level from which denoising starts, as a share of the schedule: 1 forgets the image. One
    level is drawn for the whole request, by its seed."""
    steps: int = 20
    """Denoising steps from that level down to 0."""
    guidance: float = 7.5
    """How strongly to follow the text; 1 is no guidance."""
    image_guidance: float = 1.5
    """How strongly to keep to the condition; 1 is no guidance."""
    seed: int = 0
    shared_noise: bool = True
    """All views start from the same noise, for then they come out alike; else each has its own, by its id."""
    view_ids: tuple[int, ...] = ()
    """Names of the views, so that a view's own noise does not depend on its batch. Empty: 0, 1, 2 ..."""

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[3] != 3:
            raise ValueError(f"Images to edit are [views, height, width, 3], got {list(self.images.shape)}")
        for name, channels in (("condition", 3), ("mask", 1), ("depth", 1), ("detail", 3)):
            value, expected = getattr(self, name), (*self.images.shape[:3], channels)
            if value is not None and value.shape != expected:
                raise ValueError(f"{name} should be {list(expected)} like the images, got {list(value.shape)}")
        check_denoising(self.strength, self.steps, self.guidance, self.image_guidance)
        if not self.view_ids:
            object.__setattr__(self, "view_ids", tuple(range(len(self.images))))
        if len(self.view_ids) != len(self.images):
            raise ValueError(f"{len(self.images)} views need as many view_ids, got {len(self.view_ids)}")

    @property
    def part_ids(self) -> tuple[int, ...]:
        """What can be done by itself, for whoever hands out the work (workers/pieces.py): the views."""
        return self.view_ids

    def select(self, rows: Sequence[int]) -> EditRequest:
        """The same wish for some of the views."""
        rows = list(rows)

        def taken(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[rows]

        return replace(
            self,
            images=self.images[rows],
            condition=taken(self.condition),
            mask=taken(self.mask),
            depth=taken(self.depth),
            detail=taken(self.detail),
            view_ids=tuple(self.view_ids[row] for row in rows),
        )


def check_denoising(strength: tuple[float, float], steps: int, guidance: float, image_guidance: float) -> None:
    """Raises ValueError for settings that no editor can follow; of requests, and of the settings they come from."""
    if not 0 < strength[0] <= strength[1] <= 1:
        raise ValueError(f"strength is an interval low, high with 0 < low <= high <= 1, got {strength}")
    if steps < 1:
        raise ValueError(f"An edit takes at least 1 step, got {steps}")
    if not (0 <= guidance < math.inf and 0 <= image_guidance < math.inf):
        raise ValueError(f"Guidance is 0 or more, got guidance {guidance} and image guidance {image_guidance}")


@dataclass(frozen=True)
class EditResult:
    """Edited views, in the order and size of the request."""

    images: Float[Tensor, "views height width 3"]
    info: dict[str, Any] = field(default_factory=dict)
    """Provenance, fit for JSON: model, revision, scheduler, noise level, seconds, what was left out."""
    failed: dict[int, str] = field(default_factory=dict)
    """Index in the batch -> why. These views hold the request's image; who has an earlier target keeps that."""


@runtime_checkable
class ImageEditor(Protocol):
    """Edits a batch of views by an instruction.

    A class of your own needs these four members and nothing of this package; see examples/02_your_own_editor.
    It may have three more. `native_size: int` is the side in pixels at which it edits best: then `load_editor` shows it
    the object, cropped and resized to that many pixels squared, instead of the picture as it comes. `key_views: int`
    says that so many views, the first of each batch, are seen by all others: then every batch starts with the same.
    `object_alone: bool` says that it edits an object best before plain black: then, where the request has a mask,
    everything else is black for it. A large editor fits the object into what it sees around it; a small one is helped
    by being told what to paint.
    """

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[str]:
        """Which parts of a request it heeds: any of "condition", "mask", "depth", "negative", "strength", "guidance",
        "image_guidance", "steps", "seed", "batch" (views together are faster than one by one)."""
        ...

    def edit(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult: ...

    def close(self) -> None:
        """Free memory; the editor is not used afterwards."""
        ...
