"""The session's panel in the viewer: what one points at, types and presses becomes jobs; what comes of them is told.

Callbacks only submit jobs: they run in viser's threads, and must neither wait nor touch the scene. What a callback
raises is shown in the panel, not lost on stderr.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, cast, get_args

import viser

from fasttext2style.live import jobs
from fasttext2style.live.action import Action, Order
from fasttext2style.live.scene import Event
from fasttext2style.live.session import Job, LiveSession
from fasttext2style.live.texts import history_text, object_text, status_text
from fasttext2style.plugin.host.outputs import TINT
from fasttext2style.plugin.viewer.viewer import LiveViewer, Look, Ray
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.export import WRITERS, What
from fasttext2style.selection.clicks import TOLERANCE
from fasttext2style.trust.text import in_panel, one_line

_log = logging.getLogger(__name__)
TOOLS = ("look around", "click", "rectangle", "color")
_NO_STEP: tuple[str, ...] = ("none",)
_TOP = -10.0
"""Above nerfstudio's own elements."""


class LivePanel:
    """The panel, for all tabs alike.

    Args:
        session: gets the jobs.
        view: the viewer.
        action: what is done with the object.
        prompt: stands in the sentence's field at first.
        segmenter: finds an object by a text.
    """

    def __init__(
        self, session: LiveSession, view: LiveViewer, action: Action, prompt: str = "", segmenter: str = ""
    ) -> None:
        self.session, self.scene, self.view = session, session.scene, view
        self.action, self.segmenter = action, segmenter
        self.gui = view.server.gui
        self._told = ("", False)
        self._telling = threading.RLock()
        self.gui.set_panel_label("fasttext2style")
        self.status = self.gui.add_markdown("", order=_TOP)
        self.progress = self.gui.add_progress_bar(0.0, order=_TOP, visible=False)
        tabs = self.gui.add_tab_group(order=_TOP)
        with tabs.add_tab("Edit", viser.Icon.WAND):
            with self.gui.add_folder("1. Point at the object"):
                self._add_object()
            with self.gui.add_folder("2. Say what it becomes"):
                self._add_style(prompt)
            with self.gui.add_folder("3. Compare"):
                self._add_compare()
        with tabs.add_tab("History", viser.Icon.HISTORY):
            self._add_history()
        with tabs.add_tab("Keep", viser.Icon.DEVICE_FLOPPY):
            self._add_keep()
        self.scene.listeners.append(self._on_event)
        for event in get_args(Event):
            self._on_event(event)

    # --- what is there ------------------------------------------------------------------------------------------------

    def _add_object(self) -> None:
        gui = self.gui
        self.object = gui.add_markdown("")
        self.tool = gui.add_dropdown(
            "Mouse",
            TOOLS,
            initial_value="click",
            hint="click: on the object. rectangle: drag over it. color: everything that has the color under the mouse. "
            "Dragging turns the view, except with rectangle.",
        )
        self.tool.on_update(self._guarded(self._choose_tool))
        self.combine = gui.add_dropdown(
            "Then",
            get_args(jobs.Combine),
            initial_value="add",
            hint="What to do with what you point at: add it to the object, take it away, keep only what both have in "
            "common, or start a new object.",
        )
        self.tolerance = gui.add_slider(
            "Tolerance",
            0.5,
            8.0,
            0.5,
            TOLERANCE,
            hint="Of clicks and colors: higher takes in what looks less alike.",
        )
        self._buttons("Or", {
            "Find it": lambda: jobs.SelectAutomatic(self._combine), "All": jobs.SelectEverything,
            "Clear": jobs.SelectNothing,
        }, "Find it: what the cameras circle around. All: the whole scene. Clear: nothing.")  # fmt: skip
        self.highlight = gui.add_checkbox("Highlight", True, hint="Tint and outline the object.")
        self.highlight.on_update(self._guarded(self._mark))
        with gui.add_folder("By name", expand_by_default=False):
            self.text = gui.add_text("Name", "", hint='What to select, such as "the bear".')
            self._button("Select", self._select_text, icon=viser.Icon.LETTER_CASE)
        with gui.add_folder("Refine", expand_by_default=False):
            self._buttons("Size", {"Grow": lambda: jobs.Reshape("grow"), "Shrink": lambda: jobs.Reshape("shrink")},
                          "By 3% of the object's size.")  # fmt: skip
            self._buttons("Shape", {
                "Invert": lambda: jobs.Reshape("invert"), "Largest": lambda: jobs.Reshape("largest part"),
            }, "Invert: everything but the object. Largest: keep only its largest part.")  # fmt: skip
            self.threshold = gui.add_slider(
                "Threshold", 0.0, 0.95, 0.05, 0.0, hint="Keep only what belongs to the object by more than this."
            )
            self._on_slider(self.threshold, lambda: jobs.Threshold(self.threshold.value))
        self._choose_tool()

    def _add_style(self, prompt: str) -> None:
        gui, action = self.gui, self.action
        self.prompt = gui.add_text("Sentence", prompt, hint=f'Such as "{action.example}".')
        self.strength = self.form = None
        if action.strength_hint:
            self.strength = gui.add_slider("Strength", 0.1, 2.0, 0.1, 1.0, hint=action.strength_hint)
        self.quality = gui.add_dropdown(
            "Quality",
            tuple(action.qualities),
            initial_value="normal",
            hint=", ".join(f"{name}: {meaning}" for name, meaning in action.qualities.items()),
        )
        if action.forms:
            self.form = gui.add_dropdown("Changes", action.forms, initial_value=action.forms[0], hint=action.forms_hint)
        for label, job in action.buttons.items():
            self._button(label, partial(self._apply, job), icon=viser.Icon.WAND, color="green")
        self.stop = self._button(action.stop, self.session.stop, icon=viser.Icon.PLAYER_STOP_FILLED, color="red")

    def _add_compare(self) -> None:
        self.look = self.gui.add_dropdown(
            "Show",
            get_args(Look),
            initial_value="after",
            hint="before: the scene before the last edit. To move the divider: Control, Split Screen.",
        )
        self.look.on_update(self._guarded(lambda: self.view.look(cast(Look, self.look.value))))
        self._buttons("Steps", {"Undo": jobs.Undo, "Redo": jobs.Redo}, "Edits and selections, one at a time.")

    def _add_history(self) -> None:
        self.history = self.gui.add_markdown("", image_root=self.scene.history.folder)
        self.step = self.gui.add_dropdown("Step", _NO_STEP, initial_value=_NO_STEP[0], hint="A finished edit.")
        self.blend = self.gui.add_slider(
            "Strength ", 0.0, 1.0, 0.05, 1.0, hint="0: as if this step had never been made, 1: as it was made."
        )
        self._on_slider(self.blend, self._blend)
        self._button("Take this step out", self._drop, icon=viser.Icon.TRASH)

    def _add_keep(self) -> None:
        self._button("Save", lambda: self.session.submit(jobs.Save()), icon=viser.Icon.DEVICE_FLOPPY, color="green",
                     hint="A checkpoint for ns-viewer, ns-render, ns-export, and for a later session.")  # fmt: skip
        self.what = self.gui.add_dropdown(
            "Export", get_args(What), initial_value="scene", hint="rest: everything but the selection."
        )
        self.format = self.gui.add_dropdown(
            "Format", tuple(WRITERS), initial_value="ply", hint="ply keeps everything; spz and splat are small."
        )
        self._button("Write file", self._export, icon=viser.Icon.PACKAGE_EXPORT)
        self.gui.add_markdown(f"Files go to {in_panel(str(self.scene.folder))}.")

    # --- what one does ------------------------------------------------------------------------------------------------

    def _choose_tool(self) -> None:
        self.view.no_pointer()
        if self.tool.value == "rectangle":
            self.view.on_rectangle(self._safe(self._rectangle))
        elif self.tool.value != "look around":
            self.view.on_click(self._safe(self._click))

    def _click(self, ray: Ray) -> None:
        kind = jobs.Click if self.tool.value == "click" else jobs.SelectColor
        self.session.submit(kind(*ray, self._combine, self.tolerance.value))

    def _rectangle(self, camera: Cameras, corners: tuple[float, float, float, float]) -> None:
        self.session.submit(jobs.SelectRectangle(camera, corners, self._combine))

    @property
    def _combine(self) -> jobs.Combine:
        return cast(jobs.Combine, self.combine.value)

    def _select_text(self) -> None:
        self.session.submit(jobs.SelectText(self.text.value, self.segmenter, self._combine))

    def _mark(self) -> None:
        """While one selects, the object is tinted, too; on a style that would hide the colours."""
        history = self.scene.history
        selecting = not history.applied or history.step(history.applied[-1].id).kind == "selection"
        tint = TINT if selecting and not self.session.status.steps.total else 0.0
        self.view.mark(tint if self.highlight.value else None)

    def _apply(self, job: Callable[[Order], Job]) -> None:
        strength = 1.0 if self.strength is None else self.strength.value
        form = "" if self.form is None else self.form.value
        self.session.submit(job(Order(self.prompt.value, self.quality.value, strength, form)))

    def _chosen_step(self) -> int:
        if self.step.value == "none":
            raise ValueError("There is no finished edit yet. Make one in the Edit tab.")
        return int(self.step.value.split(".")[0])

    def _blend(self) -> Job:
        return jobs.Blend(self._chosen_step(), self.blend.value)

    def _drop(self) -> None:
        self.session.submit(jobs.Blend(self._chosen_step(), 0.0))

    def _export(self) -> None:
        self.session.submit(jobs.Export(cast(What, self.what.value), self.format.value))

    # --- what is told -------------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        # One at a time, and what is shown is read in turn: events come from several threads.
        with self._telling:
            if event == "scene":
                self.view.refresh(now=not self.session.status.steps.total)
            elif event == "history":
                self._show_history()
            elif event == "pictures":
                self.view.show_pictures(self.scene.pictures)
            else:
                self._show_status()

    def _show_status(self) -> None:
        status = self.session.status
        steps, text = status.steps, status_text(status)
        begins_or_ends = (steps.total > 0) != self.progress.visible
        with self.view.in_order():
            self.status.content = text
            self.stop.visible = bool(status.job)
            self.progress.visible = steps.total > 0
            self.progress.value = 100 * steps.done / steps.total if steps.total else 0.0
        if begins_or_ends:
            self._mark()
        if status.failed and (status.message, True) != self._told:
            for client in self.view.server.get_clients().values():
                client.add_notification("That did not work", one_line(status.message), color="red", auto_close=10_000)
        self._told = (status.message, status.failed)
        if not status.job:
            self.view.refresh(now=True)

    def _show_history(self) -> None:
        self._mark()
        steps, selection = self.scene.history.steps, self.scene.selection
        chosen, done = object_text(selection), history_text(steps)
        edits = [f"{step.id}. {one_line(step.name, 80)}" for step in steps if step.kind == "edit"]
        with self.view.in_order():
            self.object.content = chosen
            self.history.content = done
            self.step.options = edits[::-1] or _NO_STEP
        self.view.mark_points(jobs.clicks_of(self.scene))

    def _say(self, error: Exception) -> None:
        """An error of the panel itself, not of a job."""
        if not isinstance(error, ValueError):
            _log.error("The panel failed", exc_info=error)
        self.session.say(str(error), failed=True)

    # --- how elements are made ----------------------------------------------------------------------------------------

    def _safe(self, callback: Callable[..., object]) -> Callable[..., None]:
        def safe(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:  # shown to whoever pressed
                self._say(error)

        return safe

    def _guarded(self, callback: Callable[[], object]) -> Callable[[viser.GuiEvent], None]:
        safe = self._safe(callback)
        return lambda _: safe()

    def _button(self, label: str, callback: Callable[[], object], **look: Any) -> viser.GuiButtonHandle:
        button = self.gui.add_button(label, **look)
        button.on_click(self._guarded(callback))
        return button

    def _buttons(self, label: str, choices: dict[str, Callable[[], Job]], hint: str) -> None:
        """A row of buttons, each of which submits a job."""
        group = self.gui.add_button_group(label, tuple(choices), hint=hint)
        # Else viser 0.2.7 passes over a button that is pressed twice, and over the first one.
        group._impl.is_button = True
        group.on_click(self._guarded(lambda: self.session.submit(choices[group.value]())))

    def _on_slider(self, slider: viser.GuiInputHandle, job: Callable[[], Job]) -> None:
        """Submit when somebody moves it, but not when we set it."""
        safe = self._safe(lambda: self.session.submit(job()))
        slider.on_update(lambda event: safe() if event.client_id is not None else None)
