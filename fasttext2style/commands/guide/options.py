"""The answers that `ft2s new` takes as options; light enough for a command line's help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

ObjectKind = Literal["auto", "masks", "box", "sphere", "clicks", "everything"]
Wish = Literal["sentence", "instruction"]
Mode = Literal["restyle", "replace", "remove"]
Effort = Literal["quick", "usual", "thorough"]


@dataclass(kw_only=True)
class Answers:
    """None is not answered yet, and will be asked for if it matters."""

    data: Path | None = None
    """The capture: a folder in nerfstudio's format."""
    load_dir: str | None = None
    """A finished run of it to start from; "none" reconstructs the scene first."""
    object: ObjectKind | None = None
    """What is edited: found automatically, given by masks, a box or a sphere, clicked on later in the viewer, or
    everything."""
    object_masks: str | None = None
    """With --object masks: folder of masks (white is the object), named like the photographs."""
    center: tuple[float, float, float] | None = None
    """With --object box or sphere: its center in scene coordinates."""
    size: tuple[float, float, float] | None = None
    """With --object box: its edge lengths."""
    radius: float | None = None
    """With --object sphere."""
    wish: Wish | None = None
    """A sentence that says what it should look like, or an instruction that an editor of pictures follows."""
    mode: Mode | None = None
    """With an instruction: restyle, replace or remove."""
    encoder: str | None = None
    """With a sentence: what compares pictures with it; "tiny", a model of open_clip, or module:attribute."""
    editor: str | None = None
    """With an instruction: what edits the pictures; "tiny", a hub id, a folder in diffusers' format, or
    module:attribute."""
    prompt: str | None = None
    """The sentence or the instruction."""
    effort: Effort | None = None
    """How long it may take; the questions say how many minutes each is."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The recipe to write; by default it is named after capture and sentence."""
    yes: bool = False
    """Ask nothing: what is not given is as the questions propose."""
    start: Annotated[bool, tyro.conf.arg(name="run")] = True
    """--no-run writes the recipe, and says how it is run."""
