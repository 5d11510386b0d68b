"""A plain colour on the object, as a sentence such as "make the ball blue" asks for it: at once, and evenly.

A style by such a sentence comes out in patches: what compares pictures with words is content with much of the colour.
"""

from __future__ import annotations

from dataclasses import dataclass

from fasttext2style.live.asked_color import plain_color, told_color
from fasttext2style.live.grade import grading
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.styling.grade import one_color


@dataclass(frozen=True)
class Paint:
    """Give the present object a colour that a sentence asks for, and leave it its light and shade; as a step."""

    sentence: str
    title: str = "Paint"
    replaces_waiting: bool = True
    goes_on: bool = True
    """What is on its way need not be settled before this."""

    def run(self, scene: LiveScene, progress: Progress) -> str:
        color = plain_color(self.sentence)
        if color is None:
            raise ValueError('The sentence names no plain color. Type one, such as "make the ball blue".')
        change = grading(scene)
        change.show(one_color(change.before.gaussians(), change.before.selection, color.srgb), self.sentence.strip())
        told = told_color(self.sentence, scene.state.at(change.before.ids).gaussians(), change.before.selection)
        return f"Painted {color.name}.{told} More or less of it, or of the old pattern: Colors, Tint and Evenness."
