"""The scene of a session: its history, its object, and what finds objects in it. This is what a job is given."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from fasttext2style.captures.style_pictures import StylePicture
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import Applied, History
from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.history.steps import Kind, Step
from fasttext2style.live.desk import LONGEST_NAME, Desk
from fasttext2style.live.host import Host
from fasttext2style.live.original import Earlier, before_all_edits
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.export import export
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.automatic import candidates, select_automatic
from fasttext2style.selection.clicks import ClickSelector
from fasttext2style.selection.segmenters.segmenter import Segmenter
from fasttext2style.selection.selection import Selection
from fasttext2style.trust.text import one_line

Event = Literal["status", "scene", "history", "pictures"]
"""What listeners hear of: a new status, a scene that looks different, other steps or another selection, pictures that
views are trained towards."""
_ONE_MOVE = 2.0
"""Seconds between two positions of a slider that is still being moved."""
_WHAT = "what"
"""Setting of selections: what is selected since, in words; their names say what was done."""
_QUICKLY_CUT = 300_000
"""Scenes up to this size are cut into patches for clicks before the first click (6 s of CPU for 200,000)."""


class Unsettled(Protocol):
    """A change that is seen already and still being made: a slider on its way."""

    last: float
    """When it was changed last, by time.monotonic."""

    def settle(self) -> None:
        """Make it a step of the history.

        Raises:
            ValueError: it cannot be written; the scene is as it was.
        """
        ...


class LiveScene:
    """A scene that is edited while others look at it.

    Whoever renders it holds `lock`, and so does whoever writes to it, for one write at a time: what is seen is never
    half written, and nobody waits for an edit to end.

    Args:
        host: shows the scene and saves it. Its tensors are written to, and replaced when Gaussians come or go.
        cameras: views of the capture.
        history: steps of this scene; the scene is brought to what it says.
        folder: where exports go.
        lock: held by whoever renders or writes.
        desk: how somebody left the session; without, that of `folder`.

    Raises:
        ValueError: the scene is not one of this history.
    """

    def __init__(
        self,
        host: Host,
        cameras: Cameras,
        history: History,
        folder: Path,
        lock: threading.Lock | None = None,
        desk: Desk | None = None,
    ) -> None:
        self.host, self.cameras, self.history, self.folder = host, cameras, history, folder
        self.lock = lock or threading.Lock()
        self.desk = desk or Desk(folder)
        self.listeners: list[Callable[[Event], None]] = []
        self.pictures: dict[int, Tensor] = {}
        """View -> [height, width, 3] picture as 8 bits that it is trained towards, of the last edit."""
        self.style_picture: StylePicture | None = None
        """What the next style is taken from, beside the sentence or alone."""
        self._clicks: tuple[Tensor, ClickSelector] | None = None
        self.unsettled: Unsettled | None = None
        """What becomes a step when something else is done, or after a while."""
        self._done = ("", 0.0)
        self._candidates: tuple[Tensor, list[Selection]] | None = None
        self._segmenter: tuple[str, Segmenter] | None = None
        self._editing: tuple[tuple[Applied, ...], Tensor, SceneState] | None = None
        self._original: tuple[tuple[SceneState, Any, tuple[Applied, ...]], Earlier] | None = None
        with self.lock:
            self.state = host.open(history)

    def goes_on(self, what: str) -> bool:
        """Whether the very same was done a moment ago: positions of a slider on its way are undone as one."""
        before, when = self._done
        return before == what and time.monotonic() - when < _ONE_MOVE

    def did(self, what: str) -> None:
        """This was done, and may go on."""
        self._done = (what, time.monotonic())

    def settle(self, after: float = 0.0) -> None:
        """Make a step of what is on its way, if it was not changed for so many seconds.

        Raises:
            ValueError: it cannot be written; the scene is as it was before it.
        """
        change = self.unsettled
        if change is not None and time.monotonic() - change.last >= after:
            self.unsettled = None
            change.settle()

    def tell(self, event: Event) -> None:
        """Let everyone who listens know."""
        for listener in self.listeners:
            listener(event)

    # --- the object ---------------------------------------------------------------------------------------------------

    @property
    def gaussians(self) -> Gaussians:
        """The scene as it is now; shares the tensors that are shown."""
        return self.state.gaussians()

    @property
    def selection(self) -> Selection:
        """The present object."""
        steps = [step for step in self.history.steps if step.kind == "selection" and step.active]
        origin = what_is_selected(steps[-1]) if steps else "the object of the run"
        return Selection(self.state.selection, origin).for_scene(self.gaussians)

    def made_last(self, kind: Kind | None = None) -> dict[str, Any]:
        """Settings of the step that was made last and is in force, of this kind; empty if there is none.

        Without a kind: of what was done last, if that was making a step.
        """
        if kind is None:
            last = self.history.last_move
            return self.history.step(last.step).settings if last is not None and last.old == 0 else {}
        steps = [step for step in self.history.steps if step.kind == kind and step.active]
        return steps[-1].settings if steps else {}

    def object_ball(self) -> tuple[Tensor, float]:
        """Middle [3] and radius of the object, or of the scene if nothing is selected; without the farthest tenth."""
        chosen = self.state.selection > 0
        means = self.gaussians.means[chosen] if bool(chosen.any()) else self.gaussians.means
        some = means[:: -(-len(means) // 100_000)]
        middle = some.median(dim=0).values
        return middle, max(float((some - middle).norm(dim=1).quantile(0.9)), 1e-6)

    def select(self, selection: Selection, name: str, settings: dict | None = None) -> str:
        """Make this the object, as a step of the history that is named by what was done; returns what came of it, in
        words. What is selected is called as the selection's origin says.

        Raises:
            ValueError: a selection of another scene, or the step cannot be written; nothing is changed then.
        """
        selection.check_matches(self.gaussians)
        weights = selection.weights.to(self.state.selection)
        delta = Delta.of_rows(self.state.ids, {SELECTION: self.state.selection}, {SELECTION: weights})
        if delta.is_empty:
            return f"The selection is as it was: {_called(selection)}."
        about = {} if selection.origin == name else {_WHAT: selection.origin}
        self.history.record(delta, name, kind="selection", settings={**(settings or {}), **about})
        with self.lock:
            self.state.selection.copy_(weights)
        self.tell("history")
        self.tell("scene")
        return f"Selected: {_called(selection)}." if selection.count else "Nothing is selected."

    def warm_up(self) -> None:
        """Prepare what the first click needs, so that it does not have to wait."""
        if len(self.state) <= _QUICKLY_CUT:
            self.click_selector()

    def click_selector(self) -> ClickSelector:
        """Selects by points in the scene as it is now.

        It is made once and knows every Gaussian by how it looked then: an edit changes colours, not what is an object.
        """
        if self._clicks is None:
            self._clicks = (self.state.ids, ClickSelector(self.gaussians, self.cameras))
        ids, selector = self._clicks
        rows = torch.searchsorted(ids, self.state.ids).clamp_max(len(ids) - 1)
        return selector.after_edits(self.gaussians, torch.where(ids[rows] == self.state.ids, rows, -1))

    def candidates(self, count: int | None = None) -> list[Selection]:
        """The objects that stand out, the likeliest first; all but that one take some seconds, once.

        Raises:
            ValueError: nothing stands out.
        """
        if count == 1:
            return [select_automatic(self.gaussians, self.cameras)]
        if self._candidates is None or self._candidates[0] is not self.state.ids:
            self._candidates = (self.state.ids, candidates(self.gaussians, self.cameras))
        return self._candidates[1][:count]

    def segmenter(self, name: str) -> Segmenter:
        """Finds what a text names in images; the last one stays loaded.

        Raises:
            ValueError: it cannot be loaded.
        """
        from fasttext2style.selection.segmenters.load import load_segmenter

        if self._segmenter is None or self._segmenter[0] != name:
            self._segmenter = (name, load_segmenter(name, self.host.device))
        return self._segmenter[1]

    # --- what is shown ------------------------------------------------------------------------------------------------

    def move(self, move: Callable[[SceneState], SceneState]) -> None:
        """Go to another state of the history: `move` takes a state and returns the state to go on with."""
        unreadable: ValueError | None = None
        with self.lock:
            self.adopt(move(self.state))
            self._editing = None
            try:
                self.host.note(self.history, self.state)
            except ValueError as error:  # of what was before the last edit; where one went, one is
                unreadable = error
        if self.pictures:  # those of an edit that may be gone
            self.pictures = {}
            self.tell("pictures")
        self.tell("scene")
        self.tell("history")
        if unreadable is not None:
            raise unreadable

    def is_edited(self, ids: Tensor, before: SceneState) -> None:
        """These Gaussians are being changed, and this stood in their place: until that is a step, or taken back."""
        self._editing = (tuple(self.history.applied), ids, before)

    def adopt(self, state: SceneState) -> None:
        """Show this state; the caller holds the lock."""
        self.state = state
        self.host.show(state)

    def original(self) -> Earlier:
        """The scene of the capture, before all edits; the caller holds the lock."""
        applied, editing = tuple(self.history.applied), self._editing
        if editing is not None and editing[0] != applied:
            editing = None  # it has become a step
        known, now = self._original, (self.state, editing, applied)
        if known is None or known[0][0] is not now[0] or known[0][1] is not now[1] or known[0][2] != now[2]:
            self._original = known = (now, before_all_edits(self.history, self.state, editing and editing[1:]))
        return known[1]

    @property
    def gone(self) -> str:
        """What to do where the run, or steps of its history, were removed or renamed meanwhile; else empty."""
        if not self.history.is_gone:
            return ""
        return (
            f"Steps were removed from {self.history.folder} while this session was open (or a folder on the way there "
            "was renamed): nothing can be kept without them. Put them back; or choose ply under Save and press "
            "Write scene, which keeps every bit of the scene as it is now."
        )

    def save(self) -> Path:
        """Write a checkpoint that knows which steps it contains.

        Raises:
            ValueError: it could not be written, or its history was removed meanwhile; what was there is untouched.
        """
        if self.gone:
            raise ValueError(self.gone)
        self.settle()
        with self.lock:
            self.host.note(self.history, self.state)
        path = self.host.save()
        self.history.purge()
        return path

    def rescue(self) -> Path:
        """Write the scene where it can be found, whatever became of its run.

        Raises:
            ValueError: that cannot be written either.
        """
        name, refused = f"rescued_{time.strftime('%Y-%m-%d_%H%M%S')}.ply", []
        for folder in (self.folder / "exports", Path.cwd(), Path(tempfile.gettempdir())):
            try:
                export(folder / name, self.gaussians, self.state.selection)
                return folder / name
            except ValueError as error:
                refused.append(str(error))
        raise ValueError("The scene could be kept nowhere: " + "; ".join(refused))


def what_is_selected(step: Step) -> str:
    """Since this step, which is a selection."""
    said = step.settings.get(_WHAT)  # of a file that anybody may have written
    return one_line(said, LONGEST_NAME) if isinstance(said, str) and said.strip() else step.name


def _called(selection: Selection) -> str:
    return selection.origin if selection.count else "nothing"
