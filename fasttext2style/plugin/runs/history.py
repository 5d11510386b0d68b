"""The history of a run on disk: opened beside its scene, and saved with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fasttext2style.history.checkpoint import state_of_checkpoint
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.plugin.host.edit_record import take_history
from fasttext2style.plugin.runs.run import Run, open_run


def open_run_with_history(path: Path, object_masks: Path | None = None) -> tuple[Run, History, SceneState]:
    """A run (see `open_run`), its history, and its scene as the history says it is now.

    Raises:
        ValueError: no run, a damaged history, or one of another scene.
    """
    run = open_run(path, object_masks)
    return run, *history_of(run)


def history_of(run: Run) -> tuple[History, SceneState]:
    """As `open_run_with_history`, of a run that is open."""
    history = History.open(run.folder / "history")
    return history, state_of_checkpoint(run.gaussians(), run.selection, run.state["pipeline"], history)


def save_with_history(run: Run, history: History, state: SceneState) -> Path:
    """As `saving_with_history`, of moves that were made already."""
    with saving_with_history(run, history) as save:
        return save(state)


@contextmanager
def saving_with_history(run: Run, history: History) -> Iterator[Callable[[SceneState], Path]]:
    """Yields what writes a scene as the run's next checkpoint, which knows which steps it contains.

    Moves made inside the block and the checkpoint are there together when it ends well, or neither is.

    Raises:
        ValueError: something could not be written; what was there is untouched.
    """

    def save(state: SceneState) -> Path:
        model = run.model
        model.set_gaussians(state.gaussians())
        model.selection = state.selection.to(model.device)
        take_history(model, history, state)
        return write()

    # The moves are written first when the block ends, and only then the earlier checkpoint goes.
    with run.saving() as write, history.at_once():
        yield save
