"""The panorama around a scene: a step of its history puts it there, and the steps in force say what is seen.

It is no part of the state of a scene: whatever is undone, done again, dropped or blended, what surrounds the scene is
reckoned from the steps that are in force then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.skies import sky
from fasttext2style.envmaps.sphere import crops, turned
from fasttext2style.envmaps.tones import exposed, from_display, to_display
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.steps import Step
from fasttext2style.scene.cameras import Cameras, evenly_spread
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render

Tint = Callable[[Tensor], Delta]
"""What the light of a panorama [height, width, 3] makes of the Gaussians."""
ROWS = 1024
"""Of the panorama that a step keeps, unless the file has fewer: 25 MB."""
EXPOSURE_LIMIT = 20.0
"""Stops: a millionth, or a million times."""
_LITTLE, _LOOKED_AT = 0.02, 64
"""Share of all pixels, side of a view in pixels: with less to be seen one would wonder where it is."""
_ABOUT = "environment"
"""Setting of the steps that put a panorama around a scene."""


def set_environment(
    history: History,
    file: Path,
    yaw_degrees: float | int = 0.0,
    exposure_stops: float | int = 0.0,
    repair: bool = False,
    tint: Tint | None = None,
) -> Step:
    """Put the panorama of a file around a scene, turned and exposed, as a step of its history.

    Args:
        tint: what its light makes of the Gaussians, in the same step.

    Raises:
        ValueError: no such panorama (see `read_panorama`), settings that are no angle or exposure, or the step cannot
            be written.
    """
    check_turn(yaw_degrees, exposure_stops)
    panorama = exposed(turned(read_panorama(file, at_most=ROWS, repair=repair), yaw_degrees), exposure_stops)
    settings = {"file": str(file), "yaw": float(yaw_degrees), "exposure": float(exposure_stops)}
    return keep_environment(history, panorama, file.name, settings, tint and tint(panorama))


def set_sky(
    history: History,
    name: str,
    yaw_degrees: float | int = 0.0,
    exposure_stops: float | int = 0.0,
    tint: Tint | None = None,
) -> Step:
    """Put one of `envmaps.skies` around a scene, as a session does, turned and exposed; a step of its history.

    Args:
        tint: as of `set_environment`.

    Raises:
        ValueError: no such sky, settings that are no angle or exposure, or the step cannot be written.
    """
    check_turn(yaw_degrees, exposure_stops)
    panorama = exposed(turned(sky(name), yaw_degrees), exposure_stops)
    settings = {"sky": name, "yaw": float(yaw_degrees), "exposure": float(exposure_stops)}
    return keep_environment(history, panorama, name, settings, tint and tint(panorama))


def check_turn(yaw_degrees: float | int, exposure_stops: float | int) -> None:
    """Raises ValueError for numbers by which nothing can be turned or lit."""
    if not abs(yaw_degrees) <= 3600:
        raise ValueError(f"--yaw is an angle in degrees, got {yaw_degrees}")
    if not abs(exposure_stops) <= EXPOSURE_LIMIT:
        raise ValueError(
            f"--exposure is in stops, each of which doubles the light: up to {EXPOSURE_LIMIT:.0f}, got {exposure_stops}"
        )


def keep_environment(
    history: History,
    panorama: Float[Tensor, "height width 3"],
    what: str,
    about: Mapping[str, Any],
    beside: Delta | None = None,
    **facts: Any,
) -> Step:
    """Record that a panorama is around the scene from now on.

    Args:
        beside: what becomes of the Gaussians in the same step: what covers it is taken out of sight, or all are tinted.
        what: for its name: "surroundings: WHAT".
        about: what `surroundings_of` says of it.
        facts: as `History.record` takes them.

    Raises:
        ValueError: values that are no radiance, or it cannot be written.
    """
    settings = {**facts.pop("settings", {}), _ABOUT: dict(about)}
    delta = Delta.of_environment(panorama)
    thumbnail = (to_display(resized(panorama.cpu(), 48)) * 255).round().byte().numpy()
    return history.record(
        delta if beside is None else replace(beside, environment=delta.environment),
        f"surroundings: {what}",
        settings=settings,
        thumbnail=thumbnail,
        **facts,
    )


def where_seen(gaussians: Gaussians, cameras: Cameras) -> str:
    """A sentence for whoever has put a panorama around a scene: where it is seen, or that it is hardly seen and why."""
    if not is_covered(gaussians, cameras):
        return "It is seen where the scene leaves something free."
    return (
        "The scene covers it nearly everywhere, by a sky of its own or by walls. To see it, hide what is far: a button "
        'of live sessions, under "Around".'
    )


@torch.no_grad()
def is_covered(gaussians: Gaussians, cameras: Cameras) -> bool:
    """Whether next to nothing is seen of what is around a scene."""
    views = cameras[evenly_spread(len(cameras), 4)].resized(_LOOKED_AT, _LOOKED_AT).to(gaussians.device)
    return 1 - float(render(gaussians, views)[1].mean()) < _LITTLE


def is_of_surroundings(step: Step) -> bool:
    """Whether `keep_environment` made it; nothing is read."""
    return _ABOUT in step.settings


def surroundings_of(history: History) -> dict[str, Any] | None:
    """What is known of the panorama that is seen around the scene: file, yaw, exposure, or the edit that made it; None
    where there is none."""
    for step in reversed(history.applied):
        if history.environment(step.id) is not None:
            found = history.step(step.id)
            about = found.settings.get(_ABOUT)
            return {"step": found.name, "strength": step.strength, **(about if isinstance(about, dict) else {})}
    return None


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


def export_around(path: Path, history: History, color: Float[Tensor, "3"]) -> Path | None:
    """Write what is around the scene beside a file of it: scene.ply gets scene_surroundings.hdr; None if nothing is.

    Raises:
        ValueError: it cannot be written.
    """
    panorama = environment_of(history, color)
    if panorama is None:
        return None
    beside = path.with_name(f"{path.stem}_surroundings.hdr")
    try:
        write_panorama(beside, panorama)
    except OSError as error:
        raise ValueError(f"{beside} could not be written ({error}); what was there is untouched") from error
    return beside


def seen_behind(panorama: Float[Tensor, "height width 3"], cameras: Cameras) -> Float[Tensor, "views h w 3"]:
    """What cameras see of it, as a screen shows it: sRGB in [0, 1], light above 1 is white."""
    return to_display(crops(panorama, cameras))
