"""The tab with everything that was edited: objects with names, each with its edits; and the selections between them."""

from __future__ import annotations

from collections.abc import Callable

import viser

from fasttext2style.history.steps import Step
from fasttext2style.live import jobs
from fasttext2style.live.objects import RestoreObject, SceneObject, SelectObject, ShowObject, objects_of
from fasttext2style.live.texts import edit_text, selections_text
from fasttext2style.panel.elements import Elements
from fasttext2style.panel.view import View
from fasttext2style.trust.text import one_line

_EDITS = 1e-6
"""Between the places of two edits of an object: objects are one apart."""


class ObjectsTab:
    """Some elements for each object, the newest on top, and below them some for each of its edits.

    They stand in the tab itself: folders that are filled while nobody looks at them stay shut with viser 0.2.7.

    Args:
        on_restyle: called with the last sentence of an object that is to get another one.
    """

    def __init__(
        self, elements: Elements, view: View, tab: viser.GuiTabHandle, on_restyle: Callable[[str], object]
    ) -> None:
        self.elements, self.view, self._tab, self._on_restyle = elements, view, tab, on_restyle
        self.scene = elements.session.scene
        self._objects: dict[int, _ObjectRow] = {}
        self._edits: dict[int, _EditRow] = {}
        gui = elements.gui
        with tab:
            self._none = gui.add_markdown("Nothing was edited yet. What you edit stands here, with all its edits.")
            with gui.add_folder("Selections", expand_by_default=False):
                self._selections = gui.add_markdown("")

    def show(self) -> None:
        """Bring the rows to what the history says."""
        history = self.scene.history
        objects = {thing.id: thing for thing in objects_of(self.scene)}
        edits = {step.id: (step, thing) for thing in objects.values() for step in thing.edits}
        new = edits.keys() - self._edits.keys()
        # Read before anything is shown, for files may fail.
        grows = {step_id: len(history.footprint(step_id).exchanged_ids) > 0 for step_id in new}
        texts = {step_id: edit_text(step) for step_id, (step, _) in edits.items()}
        with self.view.in_order():
            for rows, there in ((self._edits, edits), (self._objects, objects)):
                for number in rows.keys() - there.keys():
                    rows.pop(number).remove()
            with self._tab:
                for object_id in objects.keys() - self._objects.keys():
                    self._objects[object_id] = _ObjectRow(self.elements, objects[object_id], self._restyle)
                for step_id in new:
                    step, thing = edits[step_id]
                    self._edits[step_id] = _EditRow(self.elements, step, grows[step_id], _place(step, thing))
            for object_id, thing in objects.items():
                self._objects[object_id].show(thing)
            for step_id, (step, _) in edits.items():
                self._edits[step_id].show(step, texts[step_id])
            self._none.visible = not edits
            self._selections.content = selections_text(history.steps)

    def _restyle(self, object_id: int) -> SelectObject:
        thing = self._objects[object_id].thing
        self._on_restyle(one_line(next((step.prompt for step in reversed(thing.edits) if step.prompt), "")))
        return SelectObject(object_id)


def _place(step: Step, thing: SceneObject) -> float:
    """Below its object, the newest edit first."""
    return -thing.id + 0.9 - _EDITS * (step.id - thing.id)


class _ObjectRow:
    """Its name, and what can be done with all of it."""

    def __init__(self, elements: Elements, thing: SceneObject, restyle: Callable[[int], SelectObject]) -> None:
        self.thing, scene, order = thing, elements.session.scene, -thing.id
        self.line = elements.gui.add_markdown("---", order=order - 0.01)
        self.name = elements.gui.add_text("Object", thing.name, hint="Its name. Empty: the first one.", order=order)

        def rename() -> None:
            scene.desk.rename(thing.id, self.name.value)
            if not self.name.value.strip():
                scene.tell("history")

        elements.on_change(self.name, rename)
        self.original = elements.button(
            "Original look",
            lambda: elements.session.submit(RestoreObject(thing.id)),
            icon=viser.Icon.RESTORE,
            color="gray",
            hint="As it was captured, without any of its edits: one step, which Undo takes back.",
            order=order + 0.02,
        )
        self.rows = {
            hidden: elements.buttons(
                "",
                {
                    "Select": lambda: SelectObject(thing.id),
                    "Restyle": lambda: restyle(thing.id),
                    eye: lambda shown=hidden: ShowObject(thing.id, shown),
                },
                "Select: it is highlighted, and edits go to it. Restyle: select it and write another sentence. Hide: "
                "it is neither seen nor saved nor exported until it is shown again.",
                order=order + 0.01,
            )
            for hidden, eye in ((False, "Hide"), (True, "Show"))
        }

    def show(self, thing: SceneObject) -> None:
        self.thing = thing
        if self.name.value.strip() != thing.name:
            self.name.value = thing.name
        for hidden, row in self.rows.items():
            row.visible = thing.hidden == hidden

    def remove(self) -> None:
        for element in (self.line, self.name, self.original, *self.rows.values()):
            element.remove()


class _EditRow:
    """One edit. What adds or removes Gaussians is in force or not, and has no strengths between."""

    def __init__(self, elements: Elements, step: Step, grows: bool, order: float) -> None:
        gui, submit = elements.gui, elements.session.submit
        self._text = ""
        self.text = gui.add_markdown("", order=order)
        self.strength: viser.GuiInputHandle[float] | None = None
        if not grows:
            self.strength = slider = gui.add_slider(
                "Strength",
                0.0,
                1.0,
                0.05,
                step.strength,
                hint="0: as if it had never been made, 1: as it was made.",
                order=order + 0.2 * _EDITS,
            )
            elements.on_change(slider, lambda: submit(jobs.Blend(step.id, slider.value)))
        self.out, self.back = (
            elements.button(
                label,
                lambda to=to: submit(jobs.Blend(step.id, to)),
                icon=icon,
                color="gray",
                order=order + 0.4 * _EDITS,
            )
            for label, to, icon in (("Switch off", 0.0, viser.Icon.EYE_OFF), ("Switch on", 1.0, viser.Icon.EYE))
        )

    def show(self, step: Step, text: str) -> None:
        if text != self._text:
            self.text.content = self._text = text
        if self.strength is not None and self.strength.value != step.strength:
            self.strength.value = step.strength
        self.out.visible, self.back.visible = step.strength > 0, step.strength == 0

    def remove(self) -> None:
        for element in (self.text, self.strength, self.out, self.back):
            if element is not None:
                element.remove()
