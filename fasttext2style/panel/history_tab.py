"""The tab with everything that was done: edits with picture, strength and bin, and the selections between them."""

from __future__ import annotations

import viser

from fasttext2style.history.steps import Step
from fasttext2style.live import jobs
from fasttext2style.live.texts import edit_text, selections_text
from fasttext2style.panel.elements import Elements
from fasttext2style.panel.view import View


class HistoryTab:
    """Some elements for each edit, the newest on top.

    They stand in the tab itself: folders that are filled while nobody looks at them stay shut with viser 0.2.7.
    """

    def __init__(self, elements: Elements, view: View, tab: viser.GuiTabHandle) -> None:
        self.elements, self.view, self._tab, self.history = elements, view, tab, elements.session.scene.history
        self._rows: dict[int, _Row] = {}
        gui = elements.gui
        with tab:
            self._none = gui.add_markdown("There is no edit yet. Every edit stands here, to be weakened or taken out.")
            with gui.add_folder("Selections", expand_by_default=False):
                self._selections = gui.add_markdown("")

    def show(self) -> None:
        """Bring the rows to what the history says."""
        steps = self.history.steps
        edits = {step.id: step for step in steps if step.kind == "edit" and self.history.is_done(step.id)}
        new = edits.keys() - self._rows.keys()
        # Read before anything is shown, for files may fail.
        grows = {step_id: len(self.history.footprint(step_id).exchanged_ids) > 0 for step_id in new}
        texts = {step_id: edit_text(step) for step_id, step in edits.items()}
        with self.view.in_order():
            for step_id in self._rows.keys() - edits.keys():
                self._rows.pop(step_id).remove()
            for step_id in new:
                with self._tab:
                    self._rows[step_id] = _Row(self.elements, edits[step_id], grows[step_id])
            for step_id, step in edits.items():
                self._rows[step_id].show(step, texts[step_id])
            self._none.visible = not edits
            self._selections.content = selections_text(steps)


class _Row:
    """One edit. What adds or removes Gaussians is in force or not, and has no strengths between."""

    def __init__(self, elements: Elements, step: Step, grows: bool) -> None:
        gui, submit = elements.gui, elements.session.submit
        self._text = ""
        self.text = gui.add_markdown("", order=-step.id)
        self.strength: viser.GuiInputHandle[float] | None = None
        if not grows:
            self.strength = slider = gui.add_slider(
                "Strength",
                0.0,
                1.0,
                0.05,
                step.strength,
                hint="0: as if it had never been made, 1: as it was made.",
                order=-step.id + 0.2,
            )
            elements.on_change(slider, lambda: submit(jobs.Blend(step.id, slider.value)))
        self.out, self.back = (
            elements.button(
                label, lambda to=to: submit(jobs.Blend(step.id, to)), icon=icon, color="gray", order=-step.id + 0.4
            )
            for label, to, icon in (("Take out", 0.0, viser.Icon.TRASH), ("Put back", 1.0, viser.Icon.RECYCLE))
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
