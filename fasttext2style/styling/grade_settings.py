"""How an object's colours are to change: settings that can be read without torch; `grade.py` carries them out."""

from __future__ import annotations

from dataclasses import dataclass, fields

LUMA = (0.2126, 0.7152, 0.0722)
"""Rec. 709."""
BRIGHTEST = 4.0
"""Of the slider: from dark grey to white."""


@dataclass(frozen=True)
class Grade:
    """What is done to colours, in this order; the defaults do nothing."""

    evenness: float = 0.0
    """From 0 to 1: how much lighter or darker what has another color becomes, until all colors of the object are as
    light on average; light and shade stay. What is painted over does not show through then."""
    temperature: float = 0.0
    """-1 cold to 1 warm; the brightness of grey stays."""
    brightness: float = 1.0
    """Factor of all colours."""
    contrast: float = 1.0
    """Factor of the distance from middle grey, 0.5."""
    saturation: float = 1.0
    """Factor of the distance from grey of the same luma; 0 leaves no colour."""
    hue_degrees: float = 0.0
    """Turn around the grey axis: 120 makes green of red and blue of green."""
    tint: float = 0.0
    """From 0 to 1: how much of `tint_color` there is; 1 leaves shades of it alone."""
    tint_color: tuple[float, float, float] = (1.0, 0.75, 0.3)
    """sRGB in [0, 1]."""
    opacity: float = 1.0
    """Factor from 0 to 1."""

    def check(self) -> Grade:
        """Itself.

        Raises:
            ValueError: a setting outside of its limits, or black as a tint.
        """
        limits = {
            "evenness": (0.0, 1.0),
            "temperature": (-1.0, 1.0),
            "brightness": (0.0, 10.0),
            "contrast": (0.0, 10.0),
            "saturation": (0.0, 10.0),
            "hue_degrees": (-360.0, 360.0),
            "tint": (0.0, 1.0),
            "opacity": (0.0, 1.0),
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} lies between {least:g} and {most:g}, got {getattr(self, name)}")
        if len(self.tint_color) != 3 or not all(0.0 <= value <= 1.0 for value in self.tint_color):
            raise ValueError(f"tint_color is red, green and blue in [0, 1], got {self.tint_color}")
        if self.tint > 0 and sum(share * value for share, value in zip(LUMA, self.tint_color)) < 0.01:
            raise ValueError(f"Nothing can be tinted with black, got {self.tint_color}; lower the brightness instead")
        return self

    @property
    def is_neutral(self) -> bool:
        """It changes nothing."""
        plain = Grade()
        return all(getattr(self, it.name) == getattr(plain, it.name) for it in fields(self) if it.name != "tint_color")
