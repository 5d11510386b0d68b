"""What a session's panel offers to do with the object: by a sentence, or in rounds of edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from fasttext2style.captures.style_pictures import StylePicture
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.live.session import Job


class Order(NamedTuple):
    """What was chosen when a button was pressed."""

    prompt: str
    quality: str
    speed: float = 1.0
    form: str = ""
    paints: bool = False
    """A sentence that asks for a plain colour and for nothing else is painted, where the action can do that."""


@dataclass(frozen=True)
class Action:
    """A way to edit the object."""

    buttons: Mapping[str, Callable[[Order], Job]]
    """Label -> the job of this button; the first one is the main one."""
    example: str
    """A sentence that it understands."""
    qualities: Mapping[str, str]
    """Name -> what it means; "normal" is among them."""
    gallery: tuple[str, ...] = ()
    """More sentences, to begin with."""
    speed_hint: str = ""
    """What the speed does; empty: there is none."""
    forms: tuple[str, ...] = ()
    """What may change, if that can be chosen; the first one is the default."""
    forms_hint: str = ""
    takes_pictures: bool = False
    """A style picture may stand beside the sentence, or in its place."""
    picture: StylePicture | None = None
    """The one that stands there at first; without, the one that somebody left."""
    paints: bool = False
    """Its main button paints plain colours, if the order says so."""
    load_encoder: Callable[[], TextImageEncoder] | None = None
    """What compares the surroundings with a sentence; None: they cannot be edited by one."""
