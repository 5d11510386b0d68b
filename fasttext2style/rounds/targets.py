"""What the views are trained towards: asked of the editor, kept per view, handed out in crops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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

OnRender = Callable[[int, UInt8[Tensor, "height width 3"]], object]
"""Called with a view and how it looks."""
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


@dataclass(frozen=True)
class Seen:
    """A batch of views as they were rendered for the editor."""

    views: list[int]
    images: Tensor
    """[views, height, width, 3], in [0, 1] or in 8 bits."""
    depth: Tensor | None
    """[views, height, width, 1], in 32 bits, or in 16 beside pictures in 8."""
    masks: UInt8[Tensor, "views height width 1"]


class Editing:
    """Views that are being edited: waited for, or looked after now and then.

    Args:
        editor: who edits.
        pieces: the views, by requests.
        requests: of these pieces; made when somebody can take the next one.
        masks: of all views, when all requests are made.
        on_step: called with (done, total) denoising steps while somebody waits.
        seen: the views as they were rendered, where that was long before.
    """

    def __init__(
        self,
        editor: Workers,
        pieces: list[list[int]],
        requests: Iterable[EditRequest],
        masks: list[UInt8[Tensor, "height width 1"]],
        on_step: OnStep | None,
        seen: Sequence[Seen] = (),
    ) -> None:
        self.views = [view for piece in pieces for view in piece]
        self._pieces, self._masks, self._seen, self._waits = pieces, masks, seen, False
        self._on_step = on_step
        told = None if on_step is None else self._tell
        self._looks = editor.edit_all(requests, len(self.views), told, lambda: self._waits)
        self._edited: dict[int, UInt8[Tensor, "views height width 3"]] = {}
        self._infos: dict[int, dict] = {}
        self._failed: dict[int, str] = {}
        self._error: ValueError | None = None

    def look(self) -> None:
        """Take what has come, and hand out more, without waiting; what went wrong is raised by `result`."""
        try:
            for ended in self._looks:
                if ended is None:
                    return
                place, answer = ended
                self._edited[place], self._infos[place] = to_bytes(answer.images), answer.info
                self._failed |= {self._pieces[place][index]: reason for index, reason in answer.failed.items()}
        except ValueError as error:
            self._error = error

    def result(self, on_render: OnRender = lambda view, picture: None) -> EditedViews:
        """All of them, when all are there; `on_render` gets each view as it was seen, where that was long before.

        Raises:
            ValueError: the editor failed on every view.
        """
        self._waits = True
        for piece in self._seen:
            for view, picture in zip(piece.views, piece.images):
                on_render(view, picture)
        with closing(self._looks):
            self.look()
        if self._error is not None:
            raise self._error
        if len(self._failed) == len(self.views):
            reasons = "; ".join(dict.fromkeys(self._failed.values()))
            raise ValueError(f"The editor edited none of {len(self.views)} views: {reasons}.")
        places = range(len(self._pieces))
        return EditedViews(
            self.views,
            [picture for place in places for picture in self._edited[place]],
            self._masks,
            dict(sorted(self._failed.items())),
            joined_info([self._infos[place] for place in places]),
        )

    def close(self) -> None:
        """Nobody wants them any more: whoever edits is free for others."""
        self._looks.close()

    def _tell(self, done: int, total: int) -> None:
        if self._waits and self._on_step is not None:
            self._on_step(done, total)


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
        on_render: OnRender = lambda view, picture: None,
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
                seen = self._see(piece, round_number)
                for view, picture in zip(piece, to_bytes(seen.images)):
                    on_render(view, picture)
                masks.extend(seen.masks)
                yield self._request(seen, seed)

        return Editing(self._editor, pieces, requests(), masks, on_step).result()

    def edit_ahead(self, chosen: list[int], round_number: int, seed: int, on_step: OnStep | None = None) -> Editing:
        """The chosen views as they are now, which are kept in 8 bits, being edited for a round to come."""
        pieces = self._pieces(chosen)
        seen = [self._see(piece, round_number, in_bytes=True) for piece in pieces]
        masks = [mask for piece in seen for mask in piece.masks]
        requests = (self._request(piece, seed) for piece in seen)
        return Editing(self._editor, pieces, requests, masks, on_step, seen)

    def _pieces(self, chosen: list[int]) -> list[list[int]]:
        editor = self._editor
        at_once = len(chosen) if editor.key_views else min(AT_ONCE, editor.batch_size)
        if not self._has_warned and (idle := settings_for_workers(len(chosen), at_once, editor.count)):
            self._has_warned = True
            warn(idle)
        return [chosen[start : start + at_once] for start in range(0, len(chosen), at_once)]

    def _see(self, chosen: list[int], round_number: int, in_bytes: bool = False) -> Seen:
        """How some views look, and the regions of them that may change."""
        with_depth = "depth" in self._editor.capabilities
        renders = self._subject.render(chosen, with_depth)
        # What is to fill a hole is not there yet in the first round: the editor sees the hole itself.
        sees_original = MODES[self._task.mode].removes and round_number == 1
        images = self._views.originals[chosen].float() / 255 if sees_original else renders[..., :3]
        masks = self._views.masks(chosen, self._subject.coverage(chosen))
        depth = renders[..., 3:] if with_depth else None
        if in_bytes:
            return Seen(chosen, to_bytes(images), None if depth is None else depth.half(), masks)
        return Seen(chosen, images, depth, masks)

    def _request(self, seen: Seen, seed: int) -> EditRequest:
        """What the editor is asked for some views."""
        config, task, views = self._config, self._task, self._views
        return EditRequest(
            images=seen.images if seen.images.is_floating_point() else seen.images.float() / 255,
            instruction=task.instruction,
            condition=self._condition(seen.views, seen.masks),
            mask=None if views.everything else seen.masks.float() / 255,
            depth=None if seen.depth is None else seen.depth.float(),
            detail=views.originals[seen.views].float() / 255 if config.detail and task.mode == "restyle" else None,
            mode=task.mode,
            negative=config.negative,
            strength=config.strength,
            steps=config.steps,
            guidance=config.guidance or (3.0 if self._editor.name == "tiny" else 7.5),
            image_guidance=config.image_guidance,
            seed=seed,
            shared_noise=config.shared_noise,
            view_ids=tuple(seen.views),
        )

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
