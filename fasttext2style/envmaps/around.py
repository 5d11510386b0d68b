"""The panorama around a scene: a step of its history puts it there, and the steps in force say what is seen.

It is no part of the state of a scene: whatever is undone, done again, dropped or blended, what surrounds the scene is
reckoned from the steps that are in force then.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.files import read_panorama
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.sphere import crops, turned
from fasttext2style.envmaps.tones import exposed, from_display, to_display
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.steps import Step
from fasttext2style.scene.cameras import Cameras

ROWS = 1024
"""Of the panorama that a step keeps, unless the file has fewer: 25 MB."""
EXPOSURE_LIMIT = 20.0
"""Stops: a millionth, or a million times."""


def set_environment(
    history: History,
    file: Path,
    yaw_degrees: float | int = 0.0,
    exposure_stops: float | int = 0.0,
    repair: bool = False,
) -> Step:
    """Put the panorama of a file around a scene, turned and exposed, as a step of its history.

    Raises:
        ValueError: no such panorama (see `read_panorama`), settings that are no angle or exposure, or the step cannot
            be written.
    """
    if not abs(yaw_degrees) <= 3600:
        raise ValueError(f"--yaw is an angle in degrees, got {yaw_degrees}")
    if not abs(exposure_stops) <= EXPOSURE_LIMIT:
        raise ValueError(
            f"--exposure is in stops, each of which doubles the light: up to {EXPOSURE_LIMIT:.0f}, got {exposure_stops}"
        )
    panorama = exposed(turned(read_panorama(file, at_most=ROWS, repair=repair), yaw_degrees), exposure_stops)
    settings = {"file": str(file), "yaw": float(yaw_degrees), "exposure": float(exposure_stops)}
    view = (to_display(resized(panorama, 48)) * 255).round().byte().numpy()
    return history.record(
        Delta.of_environment(panorama), f"surroundings: {file.name}", settings={"environment": settings}, thumbnail=view
    )


def environment_of(
    history: History, color: Float[Tensor, "3"], without: int | None = None
) -> Float[Tensor, "height width 3"] | None:
    """What the steps in force have put around the scene; None if that is nothing.

    Of several the last one is seen, bit by bit where it is wholly in force, and mixed with what would be seen without
    it where its strength is below 1.

    Args:
        color: sRGB, of the scene's background where there is no panorama.
        without: a step that is left aside.
    """
    found = None
    for step in history.applied:
        panorama = history.environment(step.id) if step.id != without else None
        if panorama is None:
            continue
        if step.strength == 1.0:
            found = panorama
            continue
        if found is None:
            found = from_display(color.cpu().float()).expand(panorama.shape)
        rows = max(len(found), len(panorama))
        found = torch.lerp(resized(found, rows), resized(panorama, rows), step.strength)
    return found


def seen_behind(panorama: Float[Tensor, "height width 3"], cameras: Cameras) -> Float[Tensor, "views h w 3"]:
    """What cameras see of it, as a screen shows it: sRGB in [0, 1], light above 1 is white."""
    return to_display(crops(panorama, cameras))
