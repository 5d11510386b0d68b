"""What the views are trained towards: asked of the editor, kept per view, handed out in crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, UInt8
from torch import Tensor

from fasttext2style.editors.editor import EditRequest, ImageEditor, OnStep, check_denoising
from fasttext2style.rounds.modes import MODES, Task
from fasttext2style.rounds.subject import Subject
from fasttext2style.rounds.views import SceneViews, to_bytes
from fasttext2style.rounds.workers import AT_ONCE, Workers, joined_info, settings_for_workers, workers_of
from fasttext2style.terminal.console import warn
from fasttext2style.trust.text import check_text

TrainOn = Literal["newest", "round", "latest", "dataset"]


@dataclass
class EditConfig:
    """What the editor is asked; what an editor has no use for is named in the manifest."""

    condition: Literal["original", "render", "photograph", "masked photograph"] = "original"
    """What the editor looks at besides the noised render. "original": the scene before the first round, so that no
    round builds on the flaws of the one before. "render": the scene as it is now (instruct-gs). "photograph": the
    capture's own (Instruct-NeRF2NeRF, Instruct-GS2GS), which knows nothing of earlier edits. "masked photograph": that
    with black around the object (FastText2ObjectStyle, Algorithm 3)."""
    negative: str = ""
    """What should not be seen."""
    strength: tuple[float, float] = (0.70, 0.98)
    """Interval from which each round draws the noise level where denoising starts; 1 forgets the render
    (Instruct-NeRF2NeRF)."""
    steps: int = 20
    """Denoising steps."""
    guidance: float = 0.0
    """How strongly to follow the instruction; Instruct-GS2GS takes 12.5, FastText2ObjectStyle 12. 0 chooses: 3 for the
    embedded editor, which gets harsh and spotted above it, 7.5 for others."""
    image_guidance: float = 1.5
    """How strongly to keep to the condition; FastText2ObjectStyle takes 1.75."""
    detail: bool = True
    """In the mode restyle: where the object has more pixels than the editor sees, its fine light and dark stay."""
    shared_noise: bool = True
    """All views of a round start from the same noise, for then they come out alike."""

    def check(self) -> None:
        """Raises ValueError for numbers that no editor can follow."""
        check_text(self.negative, "edit.negative")
        check_denoising(self.strength, self.steps, self.guidance, self.image_guidance)


@dataclass(frozen=True)
class Target:
    """The picture that a view is trained towards, and where."""

    image: UInt8[Tensor, "height width 3"]
    mask: UInt8[Tensor, "height width 1"]


@dataclass(frozen=True)
class EditedViews:
    """Of one call of the editor; pictures have the order of `views`, and are no tensor of all: that would be twice the
    memory while it is made."""

    views: list[int]
    edited: list[UInt8[Tensor, "height width 3"]]
    masks: list[UInt8[Tensor, "height width 1"]]
    failed: dict[int, str]
    """View -> why it was not edited."""
    info: dict
    """The editor's account of itself, for the manifest."""


class ViewEditor:
    """Has views of a subject edited: renders them, asks, and notes which came back spoilt.

    Args:
        editor: what edits pictures, or several workers that do.
        config: how it is asked.
        task: what it is asked.
        subject: what the views show.
        views: where in them, and how they looked at first.
    """

    def __init__(
        self, editor: ImageEditor | Workers, config: EditConfig, task: Task, subject: Subject, views: SceneViews
    ) -> None:
        self._editor, self._config, self._task = workers_of(editor), config, task
        self._subject, self._views = subject, views
        self._has_warned = False

    def edit(
        self,
        chosen: list[int],
        round_number: int,
        seed: int,
        on_step: OnStep | None = None,
        on_render: Callable[[int, UInt8[Tensor, "height width 3"]], object] = lambda view, picture: None,
    ) -> EditedViews:
        """The chosen views as they are now, edited; of many, a batch of the editor at a time, unless it compares all.

        `on_render` gets each view as it is now: all of them together may be gigabytes.

        Raises:
            ValueError: the editor failed on every view.
        """
        pieces = self._pieces(chosen)
        masks: list[UInt8[Tensor, "height width 1"]] = []

        def requests() -> Iterator[EditRequest]:
            for piece in pieces:
                request, regions = self._request(piece, round_number, seed)
                for view, picture in zip(piece, to_bytes(request.images)):
                    on_render(view, picture)
                masks.extend(regions)
                yield request

        edited, infos, failed = {}, {}, {}
        with closing(self._editor.edit_all(requests(), len(chosen), on_step)) as answers:
            for place, result in answers:
                edited[place], infos[place] = to_bytes(result.images), result.info
                failed |= {pieces[place][index]: reason for index, reason in result.failed.items()}
        if len(failed) == len(chosen):
            reasons = "; ".join(dict.fromkeys(failed.values()))
            raise ValueError(f"The editor edited none of {len(chosen)} views: {reasons}.")
        places = range(len(pieces))
        return EditedViews(
            chosen,
            [picture for place in places for picture in edited[place]],
            masks,
            dict(sorted(failed.items())),
            joined_info([infos[place] for place in places]),
        )

    def _pieces(self, chosen: list[int]) -> list[list[int]]:
        editor = self._editor
        at_once = len(chosen) if editor.key_views else min(AT_ONCE, editor.batch_size)
        if not self._has_warned and (idle := settings_for_workers(len(chosen), at_once, editor.count)):
            self._has_warned = True
            warn(idle)
        return [chosen[start : start + at_once] for start in range(0, len(chosen), at_once)]

    def _request(
        self, chosen: list[int], round_number: int, seed: int
    ) -> tuple[EditRequest, UInt8[Tensor, "views height width 1"]]:
        """What the editor is asked for some views, and the regions that it may change."""
        config, task, views, capabilities = self._config, self._task, self._views, self._editor.capabilities
        with_depth = "depth" in capabilities
        renders, originals = self._subject.render(chosen, with_depth), views.originals[chosen].float() / 255
        # What is to fill a hole is not there yet in the first round: the editor sees the hole itself.
        images = originals if MODES[task.mode].removes and round_number == 1 else renders[..., :3]
        masks = views.masks(chosen, self._subject.coverage(chosen))
        request = EditRequest(
            images=images,
            instruction=task.instruction,
            condition=self._condition(chosen, masks),
            mask=None if views.everything else masks.float() / 255,
            depth=renders[..., 3:] if with_depth else None,
            detail=originals if config.detail and task.mode == "restyle" else None,
            mode=task.mode,
            negative=config.negative,
            strength=config.strength,
            steps=config.steps,
            guidance=config.guidance or (3.0 if self._editor.name == "tiny" else 7.5),
            image_guidance=config.image_guidance,
            seed=seed,
            shared_noise=config.shared_noise,
            view_ids=tuple(chosen),
        )
        return request, masks

    def _condition(
        self, chosen: list[int], masks: UInt8[Tensor, "views height width 1"]
    ) -> Float[Tensor, "views height width 3"] | None:
        condition = self._config.condition
        if condition == "render":
            return None
        if condition == "original":
            return self._views.originals[chosen].float() / 255
        photographs = self._views.photographs[chosen].float() / 255
        return photographs * (masks > 127) if condition == "masked photograph" else photographs


class Targets:
    """The last edited picture of each view, and which views the current round trains on.

    Args:
        read: the picture of a view that a round kept, for those that were let go of.
    """

    def __init__(self, views: SceneViews, train_on: TrainOn, read: Callable[[int, int], Target] | None = None) -> None:
        self._views, self._train_on, self._read = views, train_on, read
        self._last: dict[int, Target] = {}
        self._untouched: dict[int, Target] = {}
        self._edited_in: dict[int, int] = {}
        self.round_views: list[int] = []
        self._newest: list[int] = []

    def begin_round(self) -> None:
        """Views of the round before are no longer the round's."""
        self.round_views = []

    def set(self, view: int, target: Target, round_number: int) -> None:
        """A view was edited in a round."""
        self._last[view], self._edited_in[view] = target, round_number

    def let_go(self, views: list[int]) -> None:
        """New pictures of these views are about to come: the old ones, which lie on disk, need not wait for them in
        memory."""
        if self._read is not None:
            for view in views:
                self._last.pop(view, None)
            self._views.let_go(views, ("target", "mask"))

    def asked(self, chosen: list[int]) -> None:
        """The round asked for these views: those that have a target, if only an older one, are trained on."""
        self._newest = sorted(view for view in chosen if view in self._edited_in)
        self.round_views = sorted({*self.round_views, *self._newest})

    @property
    def edited_in(self) -> dict[int, int]:
        """View -> the round in which it was edited last."""
        return dict(sorted(self._edited_in.items()))

    @property
    def train_views(self) -> list[int]:
        """The views that steps are taken on now."""
        if self._train_on == "newest":
            return self._newest
        if self._train_on == "round":
            return self.round_views
        if self._train_on == "latest":
            return sorted(self._edited_in)
        return sorted({*self._views.shown, *self._edited_in})

    def __getitem__(self, view: int) -> Target:
        """A view's last edited picture, or its photograph."""
        if view not in self._last and self._read is not None and view in self._edited_in:
            self._last[view] = self._read(view, self._edited_in[view])
        if view in self._last:
            return self._last[view]
        if view not in self._untouched:
            self._untouched[view] = Target(self._views.photographs[view], self._views.original_masks[view])
        return self._untouched[view]

    def crops(
        self, views: Tensor, boxes: Tensor | None = None
    ) -> tuple[Float[Tensor, "views h w 3"], Float[Tensor, "views h w 1"]]:
        """Pictures and masks of some views, in the boxes around the object, or in others of one size."""
        targets = [self[view] for view in views.tolist()]
        images, masks = [target.image for target in targets], [target.mask for target in targets]
        return self._views.crops(images, views, "target", boxes), self._views.crops(masks, views, "mask", boxes)
