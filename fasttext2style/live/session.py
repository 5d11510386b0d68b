"""A session on one scene: select, edit, undo, save, in any order, while others look at it.

Anyone may `submit` jobs, from any thread; `run` does them one after the other in its own thread. Whoever renders the
scene holds `lock`, and so does whoever writes to it, for one write at a time: what is seen is never half written, and
nobody waits for an edit to end. No viewer here: the panel is one listener, a test is another.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import torch
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor

from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.plugin.host.edit_record import scene_of_history, show_state, take_history
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.clicks import ClickSelector
from fasttext2style.selection.selection import Selection

if TYPE_CHECKING:
    from fasttext2style.selection.segmenters.segmenter import Segmenter

Event = Literal["status", "scene", "history", "pictures"]
"""What listeners hear of: a new status, a scene that looks different, other steps or another selection, pictures that
views are trained towards."""
_SECONDS_BETWEEN_REPORTS = 0.2
_M_ARENA_MAX = -8
"""Of malloc.h."""
_QUICKLY_CUT = 300_000
"""Scenes up to this size are cut into patches for clicks before the first click (6 s of CPU for 200,000)."""


@runtime_checkable
class Job(Protocol):
    """Something to do with the scene."""

    @property
    def title(self) -> str:
        """What is being done, for people: "Style: a bear made of gold"."""
        ...

    def run(self, session: LiveSession) -> str:
        """Do it and say what came of it. A ValueError is shown in words; the scene must then be as it was."""
        ...


@dataclass(frozen=True)
class Status:
    """What the session is doing."""

    job: str = ""
    """Title of the present job; empty when there is none."""
    done: int = 0
    total: int = 0
    """Steps of the present job; 0 where they cannot be counted."""
    doing: str = "step"
    """What is counted."""
    seconds_left: float | None = None
    waiting: tuple[str, ...] = ()
    """Titles of the jobs that come next."""
    message: str = ""
    """What came of the last job, in words."""
    failed: bool = False
    """The message is an error."""


class LiveSession:
    """One scene, its history, and a queue of jobs.

    Args:
        model: the scene. The session writes into its tensors, and replaces them when Gaussians come or go.
        cameras: views of the capture.
        history: steps of this scene; the scene is brought to what it says.
        folder: where exports go.
        save: writes a checkpoint and returns its path; raises ValueError.
        lock: held by whoever renders or writes.
    """

    def __init__(
        self,
        model: SceneModel,
        cameras: Cameras,
        history: History,
        folder: Path,
        save: Callable[[], Path],
        lock: threading.Lock | None = None,
    ) -> None:
        self.model, self.cameras, self.history, self.folder = model, cameras, history, folder
        _share_arenas()
        self.lock = lock or threading.Lock()
        self.listeners: list[Callable[[Event], None]] = []
        self._save = save
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._stop = self._closing = False
        self._status = Status()
        self._started = self._last_report = 0.0
        self.pictures: dict[int, Tensor] = {}
        """View -> [height, width, 3] picture as 8 bits that it is trained towards, of the last edit."""
        self._clicks: tuple[Tensor, ClickSelector] | None = None
        self._segmenter: tuple[str, Segmenter] | None = None
        if not history.steps and model.history_ids is None and bool((model.selection == 1).all()):
            # Nobody ever said what the object is: it is nothing yet, rather than everything.
            model.selection = torch.zeros_like(model.selection)
        self.state = scene_of_history(model, history)

    # --- for everyone, from any thread ------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        return self._status

    def submit(self, job: Job) -> None:
        """Do this job when those before it are done. Of sliders, only the last position waits."""
        with self._wake:
            if getattr(job, "replaces_waiting", False):
                self._jobs = deque(other for other in self._jobs if type(other) is not type(job))
            self._jobs.append(job)
            self._wake.notify()
        self._update()

    def stop(self) -> None:
        """End the present job at its next step, keeping what it did, and forget those that wait."""
        with self._wake:
            self._jobs.clear()
            self._stop = bool(self._status.job)
        self._update()

    def close(self) -> None:
        """Let `run` return; the present job ends at its next step. Only sets a flag: signal handlers may call it."""
        self._closing = True

    def say(self, message: str, failed: bool = False) -> None:
        """Tell everyone something that is not about a job."""
        self._update(message=message, failed=failed)

    # --- for the thread that runs it --------------------------------------------------------------------------------

    def run(self, idle: Callable[[], object] = lambda: None) -> None:
        """Do jobs until `close`. `idle` is called when there is nothing to do, several times a second."""
        while not self._closing:
            with self._wake:
                if not self._jobs:
                    self._wake.wait(timeout=0.2)
                job = self._jobs.popleft() if self._jobs and not self._closing else None
                if job is not None:  # said under the lock: a Stop from now on means this job
                    self._status, self._stop = Status(job=job.title), False
            if job is None:
                idle()
            else:
                self.do(job)

    def do(self, job: Job) -> bool:
        """Do one job now; tells whether it succeeded. What went wrong is in the status."""
        self._started = time.monotonic()
        self._update(job=job.title, message="", failed=False)
        try:
            message, failed = job.run(self), False
        except ValueError as error:
            message, failed = str(error), True
        except Exception as error:  # whatever a job does, the session goes on
            CONSOLE.print(traceback.format_exc(), markup=False)
            message, failed = f"Unexpected {type(error).__name__}: {error}. The terminal says more.", True
        gc.collect()  # optimizers and their hooks hold each other, and with them the object's tensors
        self._stop = False
        self._update(job="", done=0, total=0, seconds_left=None, message=message, failed=failed)
        return not failed

    # --- for jobs ---------------------------------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Somebody pressed Stop, or the session ends."""
        return self._stop or self._closing

    def progress(self, done: int, total: int, doing: str = "step") -> None:
        """So many steps of the present job are done; the time left is counted anew from step 0."""
        now = time.monotonic()
        if done == 0:
            self._started = now
        elif now - self._last_report < _SECONDS_BETWEEN_REPORTS and done < total:
            return
        self._last_report = now
        left = (now - self._started) / done * (total - done) if done else None
        self._update(done=done, total=total, doing=doing, seconds_left=left)

    @property
    def gaussians(self) -> Gaussians:
        """The scene as it is now; shares the model's tensors."""
        return self.state.gaussians()

    @property
    def selection(self) -> Selection:
        """The present object."""
        steps = [step for step in self.history.steps if step.kind == "selection" and step.active]
        origin = steps[-1].name if steps else "the loaded run"
        return Selection(self.state.selection, origin).for_scene(self.gaussians)

    def select(self, selection: Selection, name: str, settings: dict | None = None) -> str:
        """Make this the object, as a step of the history.

        Raises:
            ValueError: a selection of another scene, or the step cannot be written; nothing is changed then.
        """
        selection.check_matches(self.gaussians)
        weights = selection.weights.to(self.state.selection)
        delta = Delta.of_rows(self.state.ids, {SELECTION: self.state.selection}, {SELECTION: weights})
        if delta.is_empty:
            return f"The object stays as it was: {selection.count:,} of {len(weights):,} Gaussians."
        self.history.record(delta, name, kind="selection", settings=settings)
        with self.lock:
            self.state.selection.copy_(weights)
        self.tell("history")
        self.tell("scene")
        return f"{selection.count:,} of {len(weights):,} Gaussians are the object now."

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

    def segmenter(self, name: str) -> Segmenter:
        """Finds what a text names in images; the last one stays loaded.

        Raises:
            ValueError: it cannot be loaded.
        """
        from fasttext2style.selection.segmenters.load import load_segmenter

        if self._segmenter is None or self._segmenter[0] != name:
            self._segmenter = (name, load_segmenter(name, self.model.device))
        return self._segmenter[1]

    def move(self, move: Callable[[SceneState], SceneState]) -> None:
        """Go to another state of the history: `move` takes a state and returns the state to go on with."""
        with self.lock:
            self.adopt(move(self.state))
            take_history(self.model, self.history, self.state)
        self.changed()
        self.tell("history")

    def changed(self) -> None:
        """The scene looks different now."""
        self.tell("scene")

    def show_before(self, rows: Tensor, groups: dict[str, Tensor]) -> None:
        """What the output `before` shows in place of these rows; the caller holds the lock."""
        self.model.earlier.set(rows, groups)

    def adopt(self, state: SceneState) -> None:
        """Let the model show this state; the caller holds the lock."""
        self.state = state
        show_state(self.model, state)

    def save(self) -> Path:
        """Write a checkpoint that knows which steps it contains.

        Raises:
            ValueError: it could not be written; what was there is untouched.
        """
        take_history(self.model, self.history, self.state)
        path = self._save()
        self.history.purge()
        return path

    # --- inside -----------------------------------------------------------------------------------------------------

    def _update(self, **changes: Any) -> None:
        with self._wake:
            waiting = tuple(job.title for job in self._jobs)
            self._status = replace(self._status, **changes, waiting=waiting)
        self.tell("status")

    def tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)


def _share_arenas() -> None:
    """glibc gives every thread that renders an arena of its own, and keeps there what was freed: two will do."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # musl has none
            mallopt(_M_ARENA_MAX, 2)
