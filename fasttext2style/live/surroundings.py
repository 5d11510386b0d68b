"""What is around the scene, in a session: a panorama is put there, turned, exposed, and edited by a sentence.

Each of these is a step of the scene's history, and undone like any other; no Gaussian changes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from fasttext2style.envmaps.around import (
    EXPOSURE_LIMIT,
    ROWS,
    environment_of,
    is_covered,
    is_of_surroundings,
    keep_environment,
    where_seen,
)
from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.editing import record_edit
from fasttext2style.envmaps.files import read_panorama
from fasttext2style.envmaps.inversion import PanoramaEdit, check_words
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.skies import AZIMUTH_DEGREES, sky
from fasttext2style.envmaps.sphere import solid_angles, turned
from fasttext2style.envmaps.tones import exposed, middle_exposure, to_display
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.history.delta import Delta
from fasttext2style.history.steps import Step
from fasttext2style.live.asked_color import asked_color, share_of, told_share
from fasttext2style.live.jobs import file_name, free_path
from fasttext2style.live.objects import HIDES_FAR, out_of_sight
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.selection.far import FAR, far_away
from fasttext2style.trust.documents import Check, check_fields, is_mapping, is_number
from fasttext2style.trust.typed import expanded

FOLDER = "surroundings"
"""In the folder of the run: files that came through the page."""
_NOTHING = "There is nothing around the scene yet. Choose a sky first."
_TURNED = "turned"
"""Setting of the steps that the sliders make: yaw and exposure, relative to what was there before."""
WIDEST_TURN, MOST_STOPS = 180.0, 8.0
"""To either side."""
_TURN_FIELDS: dict[str, tuple[str, Check]] = {
    "yaw": ("degrees", lambda value: is_number(value) and abs(value) <= WIDEST_TURN),
    "exposure": ("stops", lambda value: is_number(value) and abs(value) <= MOST_STOPS),
}
_BY = ", turned by "
_MOST_FAR = 0.5
"""Share of the Gaussians."""
_MEASURED_ROWS, _MOST_BRIGHTENED = 128, 4.0
"""In which its brightness is measured; stops, for a night stays a night."""
_BESIDE = 15.0
"""Degrees to the left, where the object does not cover it."""
_SHOWN_ROWS = 256
"""Of what is seen while an edit is made."""
_SECONDS_BETWEEN_PICTURES = 0.7


@dataclass(frozen=True)
class SetSurroundings:
    """Put the panorama of a file around the scene."""

    path: str
    title: str = "Surroundings"
    once: bool = True

    def run(self, scene: LiveScene, progress: Progress) -> str:
        text = self.path.strip()
        if not text:
            raise ValueError("There is no file yet. Choose a panorama (.hdr, .exr, .png, .jpg), or type where it lies.")
        file = expanded(text)
        stops = _first_exposure(file)
        panorama = exposed(read_panorama(file, at_most=ROWS), stops)
        seen = _put(scene, panorama, file.name, {"file": str(file), "yaw": 0.0, "exposure": stops})
        what = f"Around the scene: {file.name}"
        if stops:
            what += f", {'brighter' if stops > 0 else 'darker'} by {abs(stops):g} stops than its file"
        return f"{what}. {seen}"


@dataclass(frozen=True)
class SetSky:
    """Put one of `envmaps.skies` around the scene, its sun a little beside where the first view looks: one sees it."""

    name: str
    title: str = "Sky"
    once: bool = True

    def run(self, scene: LiveScene, progress: Progress) -> str:
        x, y, _ = scene.cameras.directions[0].tolist()
        yaw = float(round(math.degrees(math.atan2(y, x)) + _BESIDE - AZIMUTH_DEGREES))
        seen = _put(scene, turned(sky(self.name), yaw), self.name, {"sky": self.name, "yaw": yaw})
        return f"Around the scene: {self.name}. {seen}"


def _put(scene: LiveScene, panorama: Tensor, what: str, about: dict[str, Any]) -> str:
    """Put a panorama around the scene, and with it take out of sight a sky of the scene's own that would cover it, as
    one step; returns where it is seen, in words."""
    hides = None
    if is_covered(scene.gaussians, scene.cameras):
        far, share = _far(scene)
        hides = None if _no_sky(far, share) else far
    settings = {} if hides is None else {HIDES_FAR: True}
    keep_environment(scene.history, panorama, what, about, hides, settings=settings)
    scene.move(lambda state: state if hides is None else hides.moved(state, 0.0, 1.0))
    if hides is None:
        return where_seen(scene.gaussians, scene.cameras)
    return "The scene's own sky is hidden with it; Undo brings that back."


@dataclass(frozen=True)
class HideFar:
    """Take the scene's own sky out of sight, as a step that can be taken back: what is around it is seen instead."""

    title: str = "Hide what is far"
    once: bool = True

    def run(self, scene: LiveScene, progress: Progress) -> str:
        delta, share = _far(scene)
        if why := _no_sky(delta, share):
            raise ValueError(why)
        scene.history.record(delta, "hide what is far", settings={HIDES_FAR: True})
        scene.move(lambda state: delta.moved(state, 0.0, 1.0))
        return f"Hidden: what is far, {share:.0%} of the scene. Undo brings it back."


def _far(scene: LiveScene) -> tuple[Delta, float]:
    """What takes what is far out of sight, and how much of the scene that is."""
    weights = far_away(scene.gaussians, scene.cameras)
    return out_of_sight(scene, weights), float(weights.mean())


def _no_sky(delta: Delta, share: float) -> str:
    """Why that is no sky of the scene's own; empty if it may be one."""
    far = f"farther than {FAR:g} times the cameras' distance from what they look at"
    instead = "Select what is in the way (Mouse, rectangle), and take its Opacity to 0 under Colors."
    if delta.is_empty:
        return f"Nothing to be seen is {far}. {instead}"
    if share > _MOST_FAR:  # cameras that look outwards, from the middle of a room
        return f"{share:.0%} of the scene is {far}: that is no sky. {instead}"
    return ""


@dataclass(frozen=True)
class UploadSurroundings:
    """Keep a panorama that came through the page in the run's folder, and put it around the scene."""

    name: str
    content: bytes = field(repr=False)
    title: str = "Surroundings"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        name = Path(file_name(self.name) or "panorama")
        # Never over another one, which may be around the scene.
        path = free_path(scene.folder / FOLDER, name.stem, name.suffix.removeprefix("."))
        with atomic_write(path) as stream:
            stream.write(self.content)
        try:
            return SetSurroundings(str(path)).run(scene, progress)
        except ValueError:
            path.unlink()
            raise


@dataclass(frozen=True)
class TurnSurroundings:
    """Turn and expose what is around the scene: seen while the sliders move, one step when they come to rest.

    As long as nothing else is done the next position replaces the one before it.
    """

    yaw_degrees: float | int
    exposure_stops: float | int
    title: str = "Turn the surroundings"
    replaces_waiting: bool = True
    goes_on: bool = True
    """What is on its way need not be settled before this."""

    def run(self, scene: LiveScene, progress: Progress) -> str:
        if not isinstance(scene.unsettled, _Turning):
            scene.settle()
            scene.unsettled = _Turning(scene)
        scene.unsettled.show(self.yaw_degrees, self.exposure_stops)
        return f"Surroundings: turned by {self.yaw_degrees:g} degrees, {self.exposure_stops:+g} stops."


def turn_of(scene: LiveScene) -> tuple[float, float]:
    """Yaw in degrees and exposure in stops that the sliders stand for: what the next position replaces."""
    if isinstance(scene.unsettled, _Turning):
        return scene.unsettled.turn
    last = scene.history.last_move
    said: Any = scene.history.step(last.step).settings.get(_TURNED) if last is not None and last.new == 1 else None
    try:
        check_fields(said if is_mapping(said) else {}, _TURN_FIELDS)  # of a file that anybody may have written
    except ValueError:
        return 0.0, 0.0
    return float(said["yaw"]), float(said["exposure"])


class _Turning:
    """A turn on its way into the history."""

    def __init__(self, scene: LiveScene) -> None:
        self.scene, self.turn, self.last = scene, turn_of(scene), time.monotonic()
        if self.turn != (0.0, 0.0):  # the last step is a turn, which goes when a new one comes
            scene.move(scene.history.undo)
        self.panorama = _present(scene)
        self.name = name_of(scene)

    def show(self, yaw_degrees: float | int, exposure_stops: float | int) -> None:
        """Let it look like this."""
        self.turn, self.last = (float(yaw_degrees), float(exposure_stops)), time.monotonic()
        _look(self.scene, self._now())

    def settle(self) -> None:
        """Make it a step, if it changes anything.

        Raises:
            ValueError: the step cannot be written; then what was there is seen again.
        """
        yaw, exposure = self.turn
        try:
            if self.turn != (0.0, 0.0):
                about = {"yaw": yaw, "exposure": exposure}
                what = f"{self.name}{_BY}{yaw:g} degrees, {exposure:+g} stops"
                keep_environment(self.scene.history, self._now(), what, about, settings={_TURNED: about})
        finally:
            _show(self.scene)

    def _now(self) -> Tensor:
        yaw, exposure = self.turn
        return exposed(turned(self.panorama, yaw), exposure)


@dataclass(frozen=True)
class EditSurroundings:
    """Edit what is around the scene by a sentence, step by step; each is seen, and the whole can be taken back."""

    load_encoder: Callable[[], TextImageEncoder]
    """Compares views with the sentence; it is loaded when it is needed."""
    prompt: str
    settings: EditSettings = field(default_factory=EditSettings)
    once: bool = True

    @property
    def title(self) -> str:
        return f"Surroundings: {self.prompt.strip() or '(no sentence)'}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        prompt, panorama = self.prompt.strip(), _present(scene)
        if not prompt:
            raise ValueError('There is no sentence yet. Type what the surroundings become, such as "a snowy night".')
        progress.report(0, self.settings.steps)
        encoder = self.load_encoder()
        check_words(encoder, prompt, self.settings)
        edit = PanoramaEdit(panorama, prompt, encoder, self.settings)
        started = time.monotonic()
        try:
            self._optimise(scene, edit, resized(panorama, min(_SHOWN_ROWS, len(panorama))), progress)
            if edit.steps_done == 0:
                return "Stopped before the first step: nothing has changed."
            light = edit.apply(panorama)
            record_edit(scene.history, edit, panorama, edit.metrics(), time.monotonic() - started)
        finally:
            _show(scene)
        ended = "Done" if edit.steps_done == edit.steps else f"Stopped after {edit.steps_done} of {edit.steps} steps"
        return (
            f"{ended}: {prompt}. {light}." + (f" {edit.warning}" if edit.warning else "") + _told_color(scene, prompt)
        )

    @staticmethod
    def _optimise(scene: LiveScene, edit: PanoramaEdit, small: Tensor, progress: Progress) -> None:
        """Until all steps are done, or somebody wants it to end."""
        shown = -math.inf
        while edit.steps_done < edit.steps and not progress.stopping:
            edit.step()
            if time.monotonic() - shown > _SECONDS_BETWEEN_PICTURES:
                picture = small.clone()
                edit.apply(picture)
                _look(scene, picture)
                shown = time.monotonic()
            progress.report(edit.steps_done, edit.steps)


def _told_color(scene: LiveScene, prompt: str) -> str:
    """What people should know of the colour that what is around the scene has after a sentence."""
    asked = asked_color(prompt)
    if asked is None:
        return ""
    seen = to_display(resized(_present(scene), _MEASURED_ROWS))
    angles = solid_angles(*seen.shape[:2])[:, None].expand(seen.shape[:2]).to(seen)
    return told_share(share_of(seen.reshape(-1, 3), angles.flatten(), asked), asked)


def shown_step(scene: LiveScene) -> Step | None:
    """The step that put there what is seen around the scene, or was taken out last; None if there is none."""
    history = scene.history
    steps = [step for step in history.steps if history.is_done(step.id) and is_of_surroundings(step)]
    return steps[-1] if steps else None


def name_of(scene: LiveScene) -> str:
    """What is around the scene is called, however it was turned; empty if nothing is."""
    step = shown_step(scene)
    return "" if step is None else step.name.removeprefix("surroundings: ").partition(_BY)[0]


def _first_exposure(file: Path) -> float:
    """Stops that bring light whose scale nobody knows to a middle brightness; pictures are as bright as they should be.

    Raises:
        ValueError: no such panorama.
    """
    if file.suffix.lower() not in (".hdr", ".exr"):
        return 0.0
    stops = middle_exposure(read_panorama(file, at_most=_MEASURED_ROWS))
    return round(4 * min(max(stops, -EXPOSURE_LIMIT), _MOST_BRIGHTENED)) / 4


def _present(scene: LiveScene) -> Tensor:
    """A copy of what is around the scene.

    Raises:
        ValueError: nothing is.
    """
    panorama = environment_of(scene.history, scene.host.background_color)
    if panorama is None:
        raise ValueError(_NOTHING)
    return panorama.clone()


def _look(scene: LiveScene, panorama: Tensor) -> None:
    """Let this be seen around the scene, for now."""
    with scene.lock:
        scene.host.show_around(panorama)
    scene.tell("scene")


def _show(scene: LiveScene) -> None:
    """Let that be seen which the history says."""
    scene.move(lambda state: state)
