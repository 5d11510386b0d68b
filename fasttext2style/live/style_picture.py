"""The picture that a session's next style is taken from: chosen in the page, shown in the panel, kept with the step.

A step keeps its picture in its own folder, as pixels that were read before; nothing that a history or a desk says is a
path to one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fasttext2style.captures.style_pictures import StylePicture, read_style_picture, style_picture_of
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.trust.documents import is_mapping, is_text

SETTING = "style_image"
"""Of steps: what is to be known about their picture."""
_FIELD = "picture_of_step"
"""Of the desk: the step whose picture stands in the panel."""
_LONGEST_NAME = 80


@dataclass(frozen=True)
class UploadPicture:
    """Take the next styles from a picture that came through the page."""

    name: str
    content: bytes = field(repr=False)
    title: str = "Style picture"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        scene.style_picture = style_picture_of(self.content, self.name)
        _forget(scene)
        scene.tell("history")
        return f"The style is taken from {scene.style_picture.name}, alone or with a sentence. Press Apply."


@dataclass(frozen=True)
class RemovePicture:
    """Take the next styles from sentences alone."""

    title: str = "Remove the style picture"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        scene.style_picture = None
        _forget(scene)
        scene.tell("history")
        return "The style is taken from the sentence alone."


def note_picture(scene: LiveScene, step_id: int) -> None:
    """The picture in the panel is that of this step: it comes back with the session."""
    scene.desk.note(**{_FIELD: str(step_id)})


def _forget(scene: LiveScene) -> None:
    if scene.desk.noted(_FIELD):
        scene.desk.note(**{_FIELD: ""})


def picture_left(scene: LiveScene) -> StylePicture | None:
    """The picture that stood in the panel when the session ended, if a step has it."""
    said = scene.desk.noted(_FIELD)  # of a file that anybody may have written, as is what follows
    step = next((step for step in scene.history.steps if said == str(step.id)), None)
    if step is None or step.picture is None:
        return None
    try:
        picture = read_style_picture(step.picture)
    except ValueError:  # a style that is not taken up again: the step itself is as it was
        return None
    facts: Any = step.settings.get(SETTING)
    said = facts.get("name") if is_mapping(facts) else None
    name = Path(str(said)).name[:_LONGEST_NAME] if is_text(said) else ""
    return StylePicture(name or picture.name, picture.pixels)
