"""The history of a run on disk: opened beside its scene, and saved with it."""

from __future__ import annotations

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
    history = History.open(run.folder / "history")
    return run, history, state_of_checkpoint(run.gaussians(), run.selection, run.state["pipeline"], history)


def save_with_history(run: Run, history: History, state: SceneState) -> Path:
    """Write the scene as the run's next checkpoint, which knows which steps it contains.

    Raises:
        ValueError: it could not be written; what was there is untouched.
    """
    model = run.model
    model.set_gaussians(state.gaussians())
    model.selection = state.selection.to(model.device)
    take_history(model, history, state)
    return run.save()
