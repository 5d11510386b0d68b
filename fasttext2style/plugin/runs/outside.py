"""What a run on disk changed outside its objects: its checkpoint beside the file that its scene was loaded from.

Of a run with a history outside is what no step touched (`evaluation.outside`); of rounds, which have none, what was
not the object of round 0.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fasttext2style.evaluation.locality import (
    Drift,
    LoadedFile,
    not_measured,
    outside_drift,
    outside_report,
)
from fasttext2style.evaluation.outside import drift_of_history
from fasttext2style.history.history import History
from fasttext2style.plugin.host.checkpoints import checkpoint_path, checkpoints_in
from fasttext2style.plugin.runs.run import Run
from fasttext2style.rounds.folder import Round, RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.trust.documents import COUNT, TEXT, check_fields, read_document


def outside_of_run(run: Run, history: History) -> dict[str, Any]:
    """The part of a report that says what a run changed outside its objects; by itself it says if it cannot know."""
    rounds = RoundsFolder(run.folder / "rounds").rounds()
    try:
        loaded = loaded_file(run, rounds)
    except (ValueError, OSError) as error:
        return not_measured(str(error))

    def measure(scene: SceneOnDisk) -> dict[str, Drift]:
        saved = SceneOnDisk(run.checkpoint)
        if rounds:
            return {"checkpoint": _drift_of_rounds(scene, saved, rounds)}
        if history.steps:
            return {"checkpoint": drift_of_history(scene, saved, history)}
        return {"checkpoint": _drift_of_selection(scene, saved)}

    return outside_report(loaded, measure)


def loaded_file(run: Run, rounds: list[Round]) -> LoadedFile:
    """What a run took its scene from, by its report, else by its settings.

    Raises:
        ValueError: it is gone, or there never was one.
    """
    recorded = _recorded(run.folder / "results" / "report.json")
    places = [Path(recorded["file"])] if recorded else []
    ply = getattr(run.config, "load_ply", None)
    if ply is not None:
        places.append(Path(ply))
    elif run.config.load_dir is not None or run.config.load_checkpoint is not None:
        places += [path for path in [checkpoint_path(run.config)] if path is not None]
    else:
        places += checkpoints_in(own_reconstruction(run) / "nerfstudio_models")[-1:]
    # A run that was moved together with what it began with finds that by its name.
    for path in places:
        if path.is_file() and (not recorded or path.name == Path(recorded["file"]).name):
            found = LoadedFile.of(path)
            return replace(found, size=recorded["bytes"], written=recorded["written"]) if recorded else found
    if rounds:
        return LoadedFile.of(rounds[0].snapshot)
    raise ValueError(f"{places[0] if places else own_reconstruction(run)}, which the scene was loaded from, is gone.")


def own_reconstruction(run: Run) -> Path:
    """The folder of what a run without --load-dir reconstructed first: `plugin.scene` gives it the same date.

    Raises:
        ValueError: the run is such a reconstruction itself.
    """
    if run.config.method_name == "fasttext2style-scene":
        raise ValueError("It is a reconstruction: nothing was edited.")
    return run.folder.parent.parent / "fasttext2style-scene" / run.folder.name


def _recorded(report: Path) -> dict[str, Any]:
    """What the run itself wrote down about the file; empty if it did not (a live session, an earlier version)."""
    outside = read_report(report).get("outside")
    loaded = outside.get("loaded") if isinstance(outside, dict) else None
    if not isinstance(loaded, dict) or not loaded:
        return {}
    try:
        check_fields(loaded, {"file": TEXT, "bytes": COUNT, "written": TEXT})
    except ValueError as error:
        raise ValueError(f"{report} is damaged ({error}).") from error
    return loaded


def read_report(report: Path) -> dict[str, Any]:
    """results/report.json of a run; empty if there is none.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return read_document(report) if report.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{report} is damaged ({error}).") from error


def _drift_of_rounds(loaded: SceneOnDisk, saved: SceneOnDisk, rounds: list[Round]) -> Drift:
    before = (SceneOnDisk(rounds[0].snapshot).weights <= 0).nonzero()[:, 0]
    grown = len(rounds) > 1 and bool(load_tensors(rounds[-1].snapshot)["grown"])
    # An object that has grown stands behind all others.
    return outside_drift(loaded, saved, before, torch.arange(len(before)) if grown else before)


def _drift_of_selection(loaded: SceneOnDisk, saved: SceneOnDisk) -> Drift:
    if len(loaded) != len(saved):
        raise ValueError("Gaussians were added or removed, and the run has no history that tells which.")
    rows = (saved.weights <= 0).nonzero()[:, 0]
    return outside_drift(loaded, saved, rows, rows)
