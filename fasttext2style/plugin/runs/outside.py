"""What a run on disk changed outside its objects: its checkpoint beside the file that its scene was loaded from.

A run may have edited several objects one after the other, and taken some of it back. Outside is what no step of its
history touched, by the identities of Gaussians; of rounds, which have no history, what was not the object of round 0.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fasttext2style.evaluation.locality import (
    Drift,
    LoadedFile,
    came_or_went,
    not_measured,
    outside_drift,
    outside_report,
)
from fasttext2style.history.checkpoint import APPLIED, IDS, applied_of_checkpoint
from fasttext2style.history.delta import Footprint
from fasttext2style.history.history import Applied, History
from fasttext2style.plugin.host.checkpoints import checkpoint_path
from fasttext2style.plugin.runs.run import Run
from fasttext2style.rounds.folder import Round, RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.scene.files.on_disk import SceneOnDisk


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
            return {"checkpoint": _drift_of_history(scene, saved, history)}
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
        places += sorted(own_reconstruction(run).glob("nerfstudio_models/step-*.ckpt"))[-1:]
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
    if not report.is_file():
        return {}
    return json.loads(report.read_text(encoding="utf8")).get("outside", {}).get("loaded", {})


def _drift_of_rounds(loaded: SceneOnDisk, saved: SceneOnDisk, rounds: list[Round]) -> Drift:
    before = (SceneOnDisk(rounds[0].snapshot).weights <= 0).nonzero()[:, 0]
    grown = len(rounds) > 1 and bool(load_tensors(rounds[-1].snapshot)["grown"])
    # An object that has grown stands behind all others.
    return outside_drift(loaded, saved, before, torch.arange(len(before)) if grown else before)


def _drift_of_history(loaded: SceneOnDisk, saved: SceneOnDisk, history: History) -> Drift:
    touched = _touched(_applied(loaded), _applied(saved), history, History.open(loaded.path.parents[1] / "history"))
    (loaded_ids, before), (saved_ids, after) = (_untouched(scene, touched) for scene in (loaded, saved))
    if not torch.equal(loaded_ids, saved_ids):
        shared = int(torch.isin(loaded_ids, saved_ids).sum())
        return came_or_went(len(loaded_ids), max(len(loaded_ids), len(saved_ids)) - shared)
    return outside_drift(loaded, saved, before, after)


def _untouched(scene: SceneOnDisk, touched: Tensor) -> tuple[Tensor, Tensor]:
    """Identities and rows of the Gaussians that no step touched."""
    ids = scene.entry(IDS)
    ids = torch.arange(len(scene)) if ids is None or len(ids) == 0 else ids
    rows = (~torch.isin(ids, touched)).nonzero()[:, 0]
    return ids[rows], rows


def _applied(scene: SceneOnDisk) -> list[Applied]:
    entry = scene.entry(APPLIED)
    return [] if entry is None else applied_of_checkpoint({APPLIED: entry})


def _touched(one: list[Applied], other: list[Applied], *histories: History) -> Tensor:
    """Identities of all Gaussians that a step touched which one scene contains and the other does not."""
    ids = [torch.zeros(0, dtype=torch.long)]
    for step in {*one} ^ {*other}:
        footprint = _footprint(step.id, histories)
        if not footprint.is_selection:
            ids += [footprint.changed_ids, footprint.exchanged_ids]
    return torch.cat(ids).unique()


def _footprint(step_id: int, histories: tuple[History, ...]) -> Footprint:
    for history in histories:
        if any(step.id == step_id for step in history.steps):
            return history.footprint(step_id)
    raise ValueError(f"Step {step_id}, which made one of the scenes, is no longer in any history.")


def _drift_of_selection(loaded: SceneOnDisk, saved: SceneOnDisk) -> Drift:
    if len(loaded) != len(saved):
        raise ValueError("Gaussians were added or removed, and the run has no history that tells which.")
    rows = (saved.weights <= 0).nonzero()[:, 0]
    return outside_drift(loaded, saved, rows, rows)
