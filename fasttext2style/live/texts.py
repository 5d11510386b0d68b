"""What the panel says, as markdown. What people typed, and what files say, goes through `trust.text.in_panel`."""

from __future__ import annotations

from collections.abc import Sequence

from fasttext2style.history.steps import Step
from fasttext2style.live.session import Status
from fasttext2style.selection.selection import Selection
from fasttext2style.trust.text import in_panel

_PICTURES = 4
"""So many of the newest edits are shown with their picture."""


def status_text(status: Status) -> str:
    """What is being done, how long it takes, what waits, what came of the last job."""
    if not status.job:
        message = in_panel(status.message) or "Ready. Click on an object, type what it should become, press Apply."
        return f"**Error:** {message}" if status.failed else message
    lines = [f"**{in_panel(status.job)}**"]
    steps = status.steps
    if steps.total:
        left = "" if steps.seconds_left is None else f", about {steps.seconds_left:.0f} s left"
        lines[0] += f": {steps.doing} {steps.done} of {steps.total}{left}"
    if status.waiting:
        lines.append(f"Next: {in_panel(', '.join(status.waiting))}")
    return "  \n".join(lines)


def object_text(selection: Selection) -> str:
    """How much is selected, and how."""
    if selection.count == 0:
        return "**Nothing is selected.** Click on the object."
    return f"**{selection.count:,}** of {len(selection):,} Gaussians ({in_panel(selection.origin)})"


def history_text(steps: Sequence[Step]) -> str:
    """All steps, the newest first; what is undone or taken out is struck through."""
    if not steps:
        return "Nothing has been done yet. Every edit and every selection becomes a step here."
    newest = [step.id for step in steps if step.kind == "edit"][-_PICTURES:]
    return "\n\n".join(_step_text(step, step.id in newest) for step in reversed(steps))


def _step_text(step: Step, with_picture: bool) -> str:
    name = f"**{step.id}. {in_panel(step.name)}**"
    if step.kind == "selection":
        line = f"{step.id}. *object:* {in_panel(step.name)}"
        return line if step.active else f"~~{line}~~"
    facts = [f"{step.gaussians_changed:,} Gaussians", f"{step.seconds:.0f} s"]
    if {"similarity_before", "similarity_after"} <= step.metrics.keys():
        facts.append("similarity {similarity_before:.2f} → {similarity_after:.2f}".format(**step.metrics))
    if "psnr_inside" in step.metrics:
        facts.append("{psnr_inside:.1f} dB to the edited views".format(**step.metrics))
    if not step.active:
        facts = ["undone" if step.strength else "taken out"]
    elif step.strength < 1:
        facts.append(f"strength {step.strength:.0%}")
    with_picture = with_picture and step.thumbnail is not None
    picture = "" if not with_picture else f"![{step.id}](steps/{step.folder.name}/thumbnail.png)\n\n"
    return f"{picture}{name if step.active else f'~~{name}~~'}  \n{', '.join(facts)}"
