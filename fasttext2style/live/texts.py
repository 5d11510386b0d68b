"""What the panel says, as markdown. What people typed, and what files say, goes through `trust.text.in_panel`."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from fasttext2style.captures.style_pictures import StylePicture
from fasttext2style.history.steps import Step
from fasttext2style.live.session import Status
from fasttext2style.selection.selection import Selection
from fasttext2style.trust.documents import is_count
from fasttext2style.trust.text import in_panel


def status_text(status: Status, button: str = "Apply") -> str:
    """What is being done, how long it takes, what waits, what came of the last job; `button` starts one."""
    if not status.job:
        message = in_panel(status.message) or f"Ready. Click on an object, type what it should become, press {button}."
        return f"**Error:** {message}" if status.failed else message
    lines = [f"**{in_panel(status.job)}**"]
    steps = status.steps
    if steps.total:
        left = "" if steps.seconds_left is None else f", about {steps.seconds_left:.0f} s left"
        # What an editor counts is nothing that one sees.
        done = f"{steps.done / steps.total:.0%}" if steps.doing == "editing" else f"{steps.done} of {steps.total}"
        lines[0] += f": {steps.doing} {done}{left}"
    if status.paused:
        lines[0] += ", **paused**"
    if status.waiting:
        lines.append(f"Next: {in_panel(', '.join(status.waiting))}")
    return "  \n".join(lines)


def object_text(selection: Selection, name: str = "", picture: bytes | None = None) -> str:
    """What is selected, and its picture, in a few lines: the panel has no room for more."""
    if selection.count == 0:
        return _NOTHING
    small = "" if picture is None else _image(picture, 40).strip() + " "
    return f"{small}**Selected:** {in_panel(name or selection.origin)}. Shift adds, Alt takes away."


def count_text(selection: Selection) -> str:
    """How much of the scene is selected, for who wants to know."""
    return f"{selection.count:,} of {len(selection):,} splats are selected, {_share(selection)}."


def colors_text(selection: Selection, name: str = "", picture: bytes | None = None) -> str:
    """Of what the sliders change the colours."""
    if selection.count == 0:
        return f"{_NOTHING} Its colors are changed here."
    return f"{_small(picture)}Colors of {_what(selection, name)}."


def exports_text(selection: Selection, name: str = "", picture: bytes | None = None, hidden: Sequence[str] = ()) -> str:
    """What files of the selection, of the scene and of the rest will hold."""
    left_out = f"  \nHidden, and left out: {in_panel(', '.join(hidden))}." if hidden else ""
    if selection.count == 0:
        return _NOTHING + left_out
    return f"{_small(picture)}The selection is {_what(selection, name)}.{left_out}"


def save_text(folder: Path) -> str:
    """How a run is opened again, and where its files lie; for who uses a terminal."""
    config = folder / "config.yml"
    lines = ["This session again:", f"ft2s live {quote(str(folder))}"]
    if config.is_file():
        lines += ["To look at it:", f"ns-viewer --load-config {quote(str(config))}"]
    lines += ["Files that were written:", str(folder / "exports")]
    return "  \n".join(in_panel(line) for line in lines)


_NOTHING = "**Nothing is selected.** Click on the object."


def _what(selection: Selection, name: str) -> str:
    return f"**{in_panel(name or selection.origin)}**"


def _share(selection: Selection) -> str:
    return f"{selection.count / len(selection):.1%}"


def example_name(segmenter: str) -> str:
    """Something that a segmenter can be asked for, in quotes."""
    return '"the blue crate" (by color or material: it knows no names)' if _knows_looks(segmenter) else '"the bear"'


def _knows_looks(segmenter: str) -> bool:
    """The packaged encoder, which knows about 120 words of colours and materials."""
    return segmenter.removeprefix("encoder:") in ("encoder", "tiny")


def selections_text(steps: Sequence[Step]) -> str:
    """Every choice of the object, the newest first; what is undone is struck through."""
    lines = (f"{_clock(step)} {in_panel(step.name)}".lstrip() for step in reversed(steps) if step.kind == "selection")
    struck = (step.active for step in reversed(steps) if step.kind == "selection")
    return "  \n".join(line if active else f"~~{line}~~" for line, active in zip(lines, struck)) or "None yet."


def edit_text(step: Step) -> str:
    """Picture, time and facts of an edit."""
    number = step.settings.get("round")
    facts = [f"round {number}"] if is_count(number) else []
    facts = [_clock(step), *facts, f"took {step.seconds:.0f} s" if step.seconds >= 1 else ""]
    if step.strength == 0:
        facts.insert(0, "**off**")
    name = f"**{in_panel(step.prompt or step.name)}**"
    return f"{_picture(step)}{name}  \n{', '.join(filter(None, facts))}"


def style_picture_text(picture: StylePicture) -> str:
    """The picture that styles are taken from, small, and its name."""
    return f"{_image(picture.thumbnail)}Style: {in_panel(picture.name)}"


def _picture(step: Step) -> str:
    return _small(None if step.thumbnail is None else step.thumbnail.read_bytes())


def _small(png: bytes | None) -> str:
    return "" if png is None else _image(png)


def _image(png: bytes, width: int = 96) -> str:
    # In the text itself: viser looks for links to pictures by a pattern that brackets in a name mislead.
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="" width="{width}" />\n\n'


def _clock(step: Step) -> str:
    """Hour and minute; nothing where the file says no time."""
    found = re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([0-9]{2}:[0-9]{2})", step.created)
    return found[1] if found else ""
