"""A panorama edited by an image editor, in perspective views that overlap: the future work that CLIP-guided Editing of
Environment Maps using Inversion Techniques (D'Orazio) names.

Fourteen views of 90 degrees cover the sphere, its poles included: along the six axes, and through the eight corners
between them. Each is edited as a picture of its own and blended with its neighbours; all of it is done again from what
was blended, turned, with less noise, as Instruct-NeRF2NeRF lets views agree. What editors paint has no range: it
becomes a change of light, which suns and lamps outlast (`gains.lit`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editors.editor import EditRequest, ImageEditor, check_denoising
from fasttext2style.envmaps.edit_settings import ViewEditSettings
from fasttext2style.envmaps.gains import DARKEST, MOST_STOPS
from fasttext2style.envmaps.light_edit import LightEdit
from fasttext2style.envmaps.sphere import crops, directions
from fasttext2style.envmaps.tones import from_display
from fasttext2style.scene.cameras import Cameras
from fasttext2style.trust.text import check_text

FOV_DEGREES = 90.0
VIEWS = 14
_TURN_DEGREES = 45.0 * (math.sqrt(5) - 1)
"""Between two passes: never again where borders of views were (the golden angle of a quarter turn)."""
_SIDE = 256
"""Pixels of views for editors that take any size."""
_MOST_ROWS = 1024
_AT_ONCE = 4
"""Views, for editors that do not say how many they take."""


class ViewEdit(LightEdit):
    """An edit by an editor: each step edits some of the views.

    Args:
        panorama: the source; it is only read.
        prompt: an instruction, such as "make it a snowy night".
        editor: edits the views; as `load_editor` returns it, at its own resolution.
        seed: of its noise.
        exposure_stops: what it sees is exposed with; None brings the median to middle grey.

    Raises:
        ValueError: no instruction, or settings out of range.
    """

    def __init__(
        self,
        panorama: Float[Tensor, "height width 3"],
        prompt: str,
        editor: ImageEditor,
        settings: ViewEditSettings,
        seed: int = 0,
        exposure_stops: float | None = None,
    ) -> None:
        check_instruction(prompt, settings)
        self.editor, self.settings, self.seed = editor, settings, seed
        self._batch = min(VIEWS, getattr(editor, "batch_size", _AT_ONCE))
        self._batches = math.ceil(VIEWS / self._batch)
        super().__init__(panorama, prompt, working_rows(editor), settings.passes * self._batches, exposure_stops)
        self._stops = torch.zeros_like(self._source)
        self._failed: list[str] = []
        """Why views were left as they were."""
        self._begin_pass()

    def stops(self) -> Float[Tensor, "rows width 3"]:
        return self._stops

    def step(self) -> str:
        """Edit the next views; the change is that of all views once the last of a pass is done.

        Raises:
            ValueError: the editor failed at every view.
        """
        number, settings = self.steps_done % self._batches, self.settings
        first = number * self._batch
        taken = range(first, min(VIEWS, first + self._batch))
        result = self.editor.edit(
            EditRequest(
                self._shown[taken.start : taken.stop],
                self.prompt,
                condition=self._condition[taken.start : taken.stop],
                steps=settings.denoising,
                strength=settings.noise if self.steps_done < self._batches else settings.later_noise,
                guidance=settings.guidance,
                image_guidance=settings.image_guidance,
                seed=self.seed,
                view_ids=tuple(taken),
            )
        )
        self._edited[taken.start : taken.stop] = result.images.to(self._edited).clamp(0, 1)
        self._failed += result.failed.values()
        self.steps_done += 1
        if number == self._batches - 1:
            if len(self._failed) >= self.steps_done // self._batches * VIEWS:
                raise ValueError(f"{self.editor.name} failed at every view: {self._failed[0]}")
            self._end_pass()
        return f"{taken.stop} of {VIEWS} views, time {(self.steps_done - 1) // self._batches + 1}"

    def _begin_pass(self) -> None:
        """What the editor sees, from where."""
        self._turn = self.steps_done // self._batches * _TURN_DEGREES
        self._cameras = view_cameras(self.rows // 2, self._turn)
        self._shown = crops(self.seen(), self._cameras)
        self._condition = crops(self._source_seen, self._cameras)
        self._edited = self._shown.clone()

    def _end_pass(self) -> None:
        # Both as the views show them: what is finer than their pixels is left to the source.
        before, after = (from_display(blended(it, self.rows, self._turn)) for it in (self._condition, self._edited))
        self._stops = ((after + DARKEST) / (before + DARKEST)).log2().clamp(-MOST_STOPS, MOST_STOPS)
        if self.steps_done < self.steps:
            self._begin_pass()

    def metrics(self, strength: float = 1.0) -> dict[str, float]:
        """`disagreement`: mean difference between the edited views and what the panorama shows there, of 255;
        `failed_views`: how many the editor could not edit."""
        apart = (self._edited - crops(self.seen(), self._cameras)).abs().mean()
        return {"disagreement": 255 * float(apart), "failed_views": float(len(self._failed))}

    def summary(self, metrics: Mapping[str, float]) -> str:
        times = "once" if self.settings.passes == 1 else f"{self.settings.passes} times"
        failed = f" {len(self._failed)} of them failed: {self._failed[0]}." if self._failed else ""
        return (
            f"{VIEWS} views edited {times} by {self.editor.name}: {self.prompt}. Between an edited view and the "
            f"panorama lie {metrics['disagreement']:.1f} of 255.{failed}"
        )

    def provenance(self) -> dict[str, Any]:
        return {"editor": self.editor.name, "seed": self.seed, **asdict(self.settings), "steps": self.steps_done}


def check_instruction(prompt: str, settings: ViewEditSettings) -> None:
    """Raises ValueError for no instruction, or settings out of range."""
    check_text(prompt, "The instruction")
    if not prompt.strip():
        raise ValueError('There is no instruction: say what the surroundings become, such as --prompt "make it night"')
    settings.check()
    for noise in (settings.noise, settings.later_noise):
        check_denoising(noise, settings.denoising, settings.guidance, settings.image_guidance)


def working_rows(editor: ImageEditor) -> int:
    """Rows of what is worked on: a view of 90 degrees has as many pixels as the editor edits best, up to 512."""
    inner = getattr(editor, "editor", editor)  # of the one that `load_editor` puts around it
    side = getattr(inner, "native_size", 0) or _SIDE
    return min(_MOST_ROWS, 2 * side)


def view_cameras(side: int, turn_degrees: float = 0.0) -> Cameras:
    """`VIEWS` square cameras at the origin that cover the sphere: along the axes, and through the corners between them.

    Args:
        side: pixels.
        turn_degrees: by which all of them are turned about the vertical.
    """
    turn = math.radians(turn_degrees)
    level = [(math.cos(turn + k * math.pi / 2), math.sin(turn + k * math.pi / 2), 0.0) for k in range(4)]
    corners = [
        (math.cos(turn + (k + 0.5) * math.pi / 2), math.sin(turn + (k + 0.5) * math.pi / 2), z / math.sqrt(2))
        for z, k in product((1.0, -1.0), range(4))
    ]
    ahead = level[0]
    parts = [(level + corners, (0.0, 0.0, 1.0)), ([(0.0, 0.0, 1.0), (0.0, 0.0, -1.0)], ahead)]
    return Cameras.concatenated(
        [
            Cameras.looking_at(torch.zeros(len(targets), 3), torch.tensor(targets), side, side, FOV_DEGREES, up)
            for targets, up in parts
        ]
    )


def blended(
    views: Float[Tensor, "views side side channels"], rows: int, turn_degrees: float = 0.0
) -> Float[Tensor, "rows width channels"]:
    """The panorama that views of `view_cameras` show, each fading out towards its border."""
    cameras = view_cameras(views.shape[1], turn_degrees).to(views.device)
    along = directions(rows, 2 * rows).to(views)
    total = views.new_zeros(rows, 2 * rows, views.shape[3])
    weights = views.new_zeros(rows, 2 * rows, 1)
    for view, viewmat in zip(views, cameras.viewmats):
        x, y, z = (along @ viewmat[:3, :3].T.to(views)).unbind(-1)
        place = torch.stack([x, y], dim=-1) / z.clamp_min(1e-6)[..., None]  # from -1 to 1: the field of view is 90
        weight = (1 - place.abs()).clamp_min(0).prod(dim=-1).square() * (z > 0)
        seen = F.grid_sample(
            view.permute(2, 0, 1)[None], place[None], mode="bilinear", padding_mode="border", align_corners=False
        )
        total += weight[..., None] * seen[0].permute(1, 2, 0)
        weights += weight[..., None]
    return total / weights
