"""The tab with sliders for the object's colours: seen while they move, a step of the history at rest."""

from __future__ import annotations

import viser

from fasttext2style.live.grade import ApplyGrade, grade_of
from fasttext2style.panel.elements import Elements
from fasttext2style.styling.grade_settings import BRIGHTEST, Grade

_SLIDERS = {
    "Temperature": ("temperature", -1.0, 1.0, 0.02, "-1 cold, 1 warm."),
    "Brightness": ("brightness", 0.0, BRIGHTEST, 0.02, "1: as it is."),
    "Contrast": ("contrast", 0.0, 2.0, 0.02, "1: as it is."),
    "Saturation": ("saturation", 0.0, 3.0, 0.02, "0: grey, 1: as it is."),
    "Hue": ("hue_degrees", -180.0, 180.0, 1.0, "Degrees around the circle of colors."),
    "Evenness": ("evenness", 0.0, 1.0, 0.02, "1: what had other colors is as light; a pattern does not show through."),
    "Tint": ("tint", 0.0, 1.0, 0.02, "1: shades of the tint's color alone."),
    "Opacity": ("opacity", 0.0, 1.0, 0.02, "0: invisible."),
}
"""Label -> field of `Grade`, least, most, step, hint."""


class ColorsTab:
    """Its elements, and what they ask for."""

    def __init__(self, elements: Elements) -> None:
        gui, self.session = elements.gui, elements.session
        self._of_what = gui.add_markdown("")
        neutral = Grade()
        self._sliders = {
            field: gui.add_slider(label, least, most, step, getattr(neutral, field), hint=hint)
            for label, (field, least, most, step, hint) in _SLIDERS.items()
        }
        self._color = gui.add_rgb("Tint color", _to_bytes(neutral.tint_color))
        for element in (*self._sliders.values(), self._color):
            elements.on_change(element, self._apply)
        elements.button(
            "Reset the sliders",
            self._reset,
            icon=viser.Icon.REFRESH,
            hint="All sliders are one step of the history, until something else is done.",
        )

    def _apply(self) -> None:
        red, green, blue = (value / 255 for value in self._color.value)
        values = {field: slider.value for field, slider in self._sliders.items()}
        self.session.submit(ApplyGrade(Grade(**values, tint_color=(red, green, blue))))

    def _reset(self) -> None:
        self._set(Grade())
        self._apply()

    def show(self, about: str) -> None:
        """Say whose colors these are, and bring the sliders to what they stand for; not while somebody moves them."""
        self._of_what.content = about
        if self.session.scene.unsettled is None and self.session.status.job != ApplyGrade.title:
            self._set(grade_of(self.session.scene))

    def _set(self, grade: Grade) -> None:
        for field, slider in self._sliders.items():
            if slider.value != getattr(grade, field):
                slider.value = getattr(grade, field)
        if grade.tint > 0 and self._color.value != _to_bytes(grade.tint_color):
            self._color.value = _to_bytes(grade.tint_color)


def _to_bytes(color: tuple[float, float, float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in color)
    return red, green, blue
