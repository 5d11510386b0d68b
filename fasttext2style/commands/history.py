"""ft2s history: the steps of a run, taken back, done again, dropped and blended without a viewer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fasttext2style.commands.shared import RunPath
from fasttext2style.history.steps import Step, run_folder, steps_of_run
from fasttext2style.terminal.console import say
from fasttext2style.trust.lock import WriteLock
from fasttext2style.trust.text import one_line

if TYPE_CHECKING:
    from fasttext2style.history.history import History as Steps
    from fasttext2style.history.state import SceneState
    from fasttext2style.plugin.runs.run import Run

EditNumber = Annotated[int, tyro.conf.Positional, tyro.conf.arg(metavar="EDIT")]


@dataclass
class List:
    """List the steps of a run."""

    path: RunPath
    """Folder of a run of fasttext2style or fasttext2style-ip2p."""

    def run(self) -> None:
        saved = steps_of_run(self.path)
        print_steps(saved.folder, saved.all)


@dataclass
class Show:
    """Show all that is known of an edit: prompt, settings, seed, times, metrics, where its picture is."""

    path: RunPath
    """Folder of a run."""
    edit: EditNumber
    """Number of the edit, as `ft2s history list` shows it."""

    def run(self) -> None:
        saved = steps_of_run(self.path)
        step = saved.read_step(id_of_edit(saved.all, self.edit))
        facts = asdict(step) | {"thumbnail": step.thumbnail}
        say(json.dumps(facts, indent=2, default=str, ensure_ascii=False), wrap=False)


@dataclass
class Undo:
    """Take the latest steps back, edits and selections."""

    path: RunPath
    """Folder of a run; it gets a new checkpoint."""
    steps: int = 1
    """How many."""

    def run(self) -> None:
        change(self.path, lambda history, state: history.undo(state), self.steps)


@dataclass
class Redo:
    """Do steps again that were undone."""

    path: RunPath
    """Folder of a run; it gets a new checkpoint."""
    steps: int = 1
    """How many."""

    def run(self) -> None:
        change(self.path, lambda history, state: history.redo(state), self.steps)


@dataclass
class Drop:
    """Take one edit out and leave the later ones; `blend` with strength 1 brings it back."""

    path: RunPath
    """Folder of a run; it gets a new checkpoint."""
    edit: EditNumber
    """Number of the edit."""

    def run(self) -> None:
        change(self.path, lambda history, state: history.drop(id_of_edit(history.steps, self.edit), state))


@dataclass
class Blend:
    """Set how much of an edit is in force."""

    path: RunPath
    """Folder of a run; it gets a new checkpoint."""
    edit: EditNumber
    """Number of the edit."""
    strength: Annotated[float, tyro.conf.Positional, tyro.conf.arg(metavar="STRENGTH")]
    """0 without the edit, 1 as it was made, between them blended."""

    def run(self) -> None:
        change(
            self.path,
            lambda history, state: history.blend(id_of_edit(history.steps, self.edit), self.strength, state),
        )


@dataclass
class History:
    """The steps of a run: list them, undo, redo, drop one, blend one between before and after."""

    action: (
        Annotated[List, tyro.conf.subcommand("list", prefix_name=False)]
        | Annotated[Show, tyro.conf.subcommand("show", prefix_name=False)]
        | Annotated[Undo, tyro.conf.subcommand("undo", prefix_name=False)]
        | Annotated[Redo, tyro.conf.subcommand("redo", prefix_name=False)]
        | Annotated[Drop, tyro.conf.subcommand("drop", prefix_name=False)]
        | Annotated[Blend, tyro.conf.subcommand("blend", prefix_name=False)]
    )

    def run(self) -> None:
        self.action.run()


def change(path: Path, action: Callable[[Steps, SceneState], SceneState], times: int = 1) -> None:
    """Open a run, change its scene, save it, and say what is in force now; errors in words."""
    change_run(path, lambda run, history, state: action(history, state), times)


def change_run(path: Path, action: Callable[[Run, Steps, SceneState], SceneState], times: int = 1) -> None:
    """As `change`, for what needs the run, too."""
    from fasttext2style.plugin.runs.history import open_run_with_history, saving_with_history

    if times < 1:
        raise ValueError(f"--steps should be 1 or more, got {times}")
    with WriteLock(run_folder(path)):
        run, history, state = open_run_with_history(path)
        with saving_with_history(run, history) as save:
            for _ in range(times):
                state = action(run, history, state)
            checkpoint = save(state)
        history.purge()
    print_steps(history.folder, history.steps)
    say(f"Saved: {checkpoint}")


def id_of_edit(steps: Sequence[Step], number: int) -> int:
    """Step that is the edit of this number: edits count from 1, and selections between them do not count.

    Raises:
        ValueError: there is no such edit.
    """
    edits = [step for step in steps if step.kind == "edit"]
    if not 1 <= number <= len(edits):
        there_are = "none yet" if not edits else "1 alone" if len(edits) == 1 else f"1 to {len(edits)}"
        raise ValueError(f"There is no edit {number}; there are: {there_are} (ft2s history list).")
    return edits[number - 1].id


def print_steps(folder: Path, steps: Sequence[Step]) -> None:
    """A line for each step, the latest last: edits by their numbers, selections as what they are."""
    if not steps:
        say(f"There are no steps in {folder} yet.")
    number = 0
    for step in steps:
        number += step.kind == "edit"
        count = str(number) if step.kind == "edit" else ""
        what = f"{step.kind}: {one_line(step.name)}"
        if step.prompt and step.prompt != step.name:
            what += f' ("{one_line(step.prompt)}")'
        changed = "Gaussians" if step.kind == "edit" else "Gaussians in or out"
        cost = f"{step.gaussians_changed:,} {changed}, {step.megabytes:.1f} MB, {step.seconds:.0f} s"
        say(f"{count:>4}  {_in_force(step):<7}  {what}  ({cost}, {one_line(step.created[:16])})")


def _in_force(step: Step) -> str:
    if step.strength == 0:
        return "dropped"
    if not step.active:
        return "undone"
    return "done" if step.strength == 1 else f"{step.strength:.0%}"
