"""ft2s envmap sky: the skies that come with the program, listed, or one of them as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.terminal.console import say

_LARGEST = 8192
"""Rows: 1.6 GB while it is computed."""


@dataclass
class Sky:
    """List the skies that come with the program, or write one of them as a panorama: computed, high dynamic range."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = ""
    """The sky to write; without one all are listed."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The panorama: .hdr or .exr to keep its range, or .png, .jpg; NAME.hdr by default."""
    height: int = 1024
    """Rows; it is twice as wide."""

    def run(self) -> None:
        if not self.name:
            if self.output is not None:
                raise ValueError("--output is for one sky: give its name, such as ft2s envmap sky sunset -o sunset.hdr")
            say(f"Skies that come with the program: {', '.join(_skies())}.")
            say("Around a scene: ft2s envmap set RUN --sky sunset. As a file: ft2s envmap sky sunset.")
            return
        from fasttext2style.envmaps.editing import check_output
        from fasttext2style.envmaps.files import write_panorama
        from fasttext2style.envmaps.skies import sky

        name = sky_called(self.name)
        output = self.output or Path(f"{name.replace(' ', '_')}.hdr")
        check_output(output)
        if not 2 <= self.height <= _LARGEST:
            raise ValueError(f"--height is a number of rows from 2 to {_LARGEST}, got {self.height}")
        write_panorama(output, sky(name, self.height))
        say(f"{output}: {name}, {2 * self.height} x {self.height}.")


def sky_called(name: str) -> str:
    """The name of a sky as `envmaps.skies` spells it: "Golden-hour" is "golden hour".

    Raises:
        ValueError: there is none of this name.
    """
    found = " ".join(name.lower().replace("-", " ").replace("_", " ").split())
    if found not in _skies():
        raise ValueError(f"There is no sky called {name!r}; there are {', '.join(_skies())}")
    return found


def _skies() -> list[str]:
    from fasttext2style.envmaps.skies import SKIES

    return list(SKIES)
