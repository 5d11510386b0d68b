"""Evaluation of a run on disk: what it started from, what it was trained towards, and `evaluation/` in its folder."""

from __future__ import annotations

import re
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fasttext2style.envmaps.around import environment_of, seen_behind, surroundings_of
from fasttext2style.evaluation.edit import EditedScene
from fasttext2style.evaluation.evaluate import Captions, Targets, evaluate_edit, evaluate_sights
from fasttext2style.evaluation.graders import Graders
from fasttext2style.evaluation.halo import halo_warning, outside_picture
from fasttext2style.evaluation.looks import camera_path, render_views
from fasttext2style.evaluation.outside import tell_verdict
from fasttext2style.evaluation.report import write_png, write_report
from fasttext2style.evaluation.seen import LoadObserver
from fasttext2style.evaluation.settings import EvaluationSettings
from fasttext2style.evaluation.tables import metric_table, picture_sheet
from fasttext2style.evaluation.timing import Stopwatch, peak_memory_gib
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.plugin.host.checkpoints import checkpoint_path, checkpoints_in, read_checkpoint
from fasttext2style.plugin.host.pipelines import ObjectPipelineConfig
from fasttext2style.plugin.rounds.pipeline import RoundsPipelineConfig
from fasttext2style.plugin.runs.field_run import FieldRun, open_any_run
from fasttext2style.plugin.runs.history import history_of
from fasttext2style.plugin.runs.outside import outside_of_run, own_reconstruction, read_report
from fasttext2style.plugin.runs.run import Run
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import load_scene
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.scene.files.scenes import read_scene
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.terminal.console import say, warn
from fasttext2style.trust.documents import are_numbers
from fasttext2style.workers.choice import read_workers
from fasttext2style.workers.hiring import hire

PATH_SECONDS = 2.0
"""48 frames: neighbours are some 7 degrees apart when the capture goes once round."""


def evaluate_run(path: Path, settings: EvaluationSettings) -> dict[str, Any]:
    """Measure a run, write evaluation.json, evaluation.md and evaluation.png into its folder, and print the table.

    Raises:
        ValueError: no run, nothing to compare it with, or something that was asked for by name cannot be had.
    """
    watch = Stopwatch()
    with watch.phase("loading"):
        run = open_to_measure(path, settings)
    return evaluated(run, settings, watch)[0]


def open_to_measure(path: Path, settings: EvaluationSettings) -> Run | FieldRun:
    """A run that can be measured by these settings.

    Raises:
        ValueError: no run, or settings that do not fit it.
    """
    if settings.max_views < 1:
        raise ValueError(f"--max-views is 1 or more, got {settings.max_views}.")
    choice, run = read_workers(settings.workers, typed=True), open_any_run(path)
    if isinstance(run, FieldRun) and settings.before is not None:
        raise ValueError("A NeRF is compared with what it was before its first round: leave --before out.")
    if isinstance(run, FieldRun) and not choice.in_process:
        raise ValueError("A NeRF is measured where it is, in one process: leave --workers out.")
    return run


def evaluated(
    run: Run | FieldRun, settings: EvaluationSettings, watch: Stopwatch
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """As `evaluate_run`, of a run that is open; also the pictures that it was measured on."""
    measured = _measured_field(run, settings, watch) if isinstance(run, FieldRun) else _measured(run, settings, watch)
    prompt, caption, graders, report, pictures, around = measured
    report = {
        "run": str(run.folder),
        "method": run.config.method_name,
        "prompt": prompt,
        "optimised_encoder": graders.optimised,
        **report,
        **_books(run, prompt),
        "left_out": graders.left_out,
        "evaluation": {
            "seconds": {name: round(seconds, 2) for name, seconds in watch.seconds.items()},
            "peak_memory_gib": peak_memory_gib(),
        },
    }
    folder, table = run.folder / "evaluation", metric_table(report)
    write_report(folder / "evaluation.json", report)
    with atomic_write(folder / "evaluation.md") as stream:
        stream.write(table.encode())
    write_png(folder / "evaluation.png", picture_sheet(pictures | around, caption))
    write_png(folder / "outside.png", outside_picture(pictures["before"], pictures["after"], pictures["object_before"]))
    say(table)
    if "similarity_of_run" in report:
        say(
            "Similarities differ from the run's report by what is looked at: here held-out views of the object among "
            "its surroundings, there the object alone in the training views, as the loss sees it."
        )
    if settings.before is None and isinstance(run, Run):
        tell_verdict(report["outside"])
    warning = halo_warning(report["outside"]["outside_mask"], str(folder / "outside.png"))
    if warning:
        warn(warning)
    if around:
        say("What is around the scene is seen in the sheet; nothing is measured on it, for photographs never saw it.")
    for line in graders.left_out:
        say(f"Left out: {line}")
    say(f"Table, JSON and pictures: {folder}")
    return report, pictures


class _Measurement(NamedTuple):
    """What was found."""

    prompt: str
    caption: str
    graders: Graders
    report: dict[str, Any]
    pictures: dict[str, Tensor]
    around: dict[str, Tensor]
    """Those that show what is around the scene: none if nothing is."""


def _measured(run: Run, settings: EvaluationSettings, watch: Stopwatch) -> _Measurement:
    choice = read_workers(settings.workers, typed=True)
    with watch.phase("loading"):
        history, state = history_of(run)
        before, after, selection, prompt = _compared(run, history, state, settings.before)
        edit = EditedScene.matched(before, after, selection > 0)
        caption = settings.caption or prompt
        graders = _graders(run, settings, caption)
        targets = last_targets(run)
    with watch.phase("measuring"):
        views = run.cameras(settings.split).evenly(settings.max_views)
        path_views = camera_path(run.cameras("train"), PATH_SECONDS)
        captions = Captions(settings.source_caption, caption)
        observers = None
        if not choice.in_process:
            observers, _ = hire(choice, LoadObserver.of(edit, graders.specs), run.device, "the scene and encoders")
        with closing(observers) if observers is not None else nullcontext():
            report, pictures = evaluate_edit(
                edit, views, path_views, captions, graders.encoders, graders.lpips, targets, observers
            )
    if settings.before is None:
        # Before the last edit is reckoned back from the scene itself: only files can tell what else changed.
        report["outside"] |= outside_of_run(run, history)
    around: dict[str, Tensor] = {}
    panorama = environment_of(history, run.model.background_color)
    if panorama is not None:
        behind = partial(seen_behind, panorama)
        both = {"before": edit.before, "after": edit.after}
        around = {name: render_views(scene, views, behind) for name, scene in both.items()}
    report = {"surroundings": surroundings_of(history), **report}
    return _Measurement(prompt, caption, graders, report, pictures, around)


def _measured_field(run: FieldRun, settings: EvaluationSettings, watch: Stopwatch) -> _Measurement:
    caption = settings.caption or run.prompt
    with watch.phase("loading"):
        graders = _graders(run, settings, caption)
    with watch.phase("measuring"):
        sights = run.sights(settings.split, settings.max_views, PATH_SECONDS, graders.encoders)
        targets, numbers = last_targets(run), targeted(run)
        seen = None if targets is None else run.targets_seen(targets.cameras, numbers)
        captions = Captions(settings.source_caption, caption)
        report, pictures = evaluate_sights(sights, captions, graders.encoders, graders.lpips, targets, seen)
    return _Measurement(run.prompt, caption, graders, report, pictures, {})


class _Compared(NamedTuple):
    """Two states of a run's scene."""

    before: Gaussians
    after: Gaussians
    selection: Tensor
    """[gaussians after] weights of the object."""
    prompt: str
    """What led from one to the other."""


def _compared(run: Run, history: History, state: SceneState, given: Path | None) -> _Compared:
    """The run's scene beside the one given; else before its last edit in force; else as the run found it.

    Raises:
        ValueError: that cannot be read.
    """
    after, rounds = state.gaussians(), RoundsFolder(run.folder / "rounds").rounds()
    edits = [step for step in history.edits if step.gaussians_changed]
    try:
        if given is None and edits:
            before = history.before(state, edits[-1].id).gaussians()
            return _Compared(before, after, state.selection, edits[-1].prompt)
        if given is not None:
            before = _read_scene(Path(given))
        elif rounds:
            before, _ = load_scene(rounds[0].snapshot)
        else:
            before = _read_scene(
                getattr(run.config, "load_ply", None) or checkpoint_path(run.config) or own_reconstruction(run)
            )
    except (ValueError, OSError) as error:
        raise ValueError(
            f"What {run.folder} is to be compared with cannot be read: {error} Name it with --before RUN or "
            "--before SCENE.ply."
        ) from error
    return _Compared(before.with_sh_degree(after.sh_degree).to(run.device), after, state.selection, run.prompt)


def _read_scene(path: Path) -> Gaussians:
    """The file of a scene, a checkpoint, or the newest checkpoint of a run's folder (or of its nerfstudio_models)."""
    if path.is_file() and path.suffix != ".ckpt":
        return read_scene(path)
    if path.is_dir():
        found = checkpoints_in(path) + checkpoints_in(path / "nerfstudio_models")
        if not found:
            raise ValueError(f"There is no checkpoint step-*.ckpt in {path}.")
        path = found[-1]
    return Gaussians.from_checkpoint(read_checkpoint(path)["pipeline"])


def _graders(run: Run | FieldRun, settings: EvaluationSettings, caption: str) -> Graders:
    """Encoders and LPIPS by the settings; texts need a caption."""
    graders = Graders(optimised_encoder(run.config.pipeline))
    if not caption:
        graders.left_out.append("text metrics: the run has no prompt; give --caption and --source-caption.")
    elif settings.encoders:
        for spec in settings.encoders:
            graders.add_encoder(spec, caption, run.device, required=True)
    else:
        graders.add_usual_encoders(caption, run.device)
    graders.add_lpips(settings.lpips_weights, run.device)
    return graders


def optimised_encoder(pipeline: Any) -> str | None:
    """NAME or NAME:WEIGHTS of the encoder that the loss of a run with these settings asked, None if there was none."""
    if not isinstance(pipeline, ObjectPipelineConfig):
        return None
    if isinstance(pipeline, RoundsPipelineConfig) and pipeline.rounds.losses.text_weight == 0:
        return None
    return f"{pipeline.encoder}:{pipeline.encoder_weights}".rstrip(":")


def last_targets(run: Run | FieldRun) -> Targets | None:
    """The edited pictures of the last complete round, None for a run without rounds.

    Raises:
        ValueError: a picture or a manifest is damaged.
    """
    views = targeted(run)
    if not views:
        return None
    last = RoundsFolder(run.folder / "rounds").rounds()[-1]
    images = torch.stack([last.picture("edited", view) for view in views])
    height, width = images.shape[1:3]
    return Targets(run.cameras("train")[views].resized(width, height), images.to(run.device).float() / 255)


def targeted(run: Run | FieldRun) -> list[int]:
    """The training views whose edited pictures the last complete round kept."""
    rounds = RoundsFolder(run.folder / "rounds").rounds()
    kept = (rounds[-1].folder / "edited").glob("view_*") if rounds else []
    return sorted({int(path.stem[5:]) for path in kept if re.fullmatch("view_[0-9]{4,9}", path.stem)})


def _books(run: Run | FieldRun, prompt: str) -> dict[str, Any]:
    """What the run itself wrote down: times and memory (of rounds, the sum and the highest), and how near it came.

    Its similarity is what the loss saw, the object alone in the training views; ours is what people see, the object
    among its surroundings in held-out views. The two are different numbers, so the table has both.
    """
    path = run.folder / "results" / "report.json"
    written = read_report(path)
    books = {key: written[key] for key in ("seconds", "peak_memory_gib") if isinstance(written.get(key), dict)}
    said = written.get("similarity")
    if (
        written.get("prompt") == prompt
        and isinstance(said, dict)
        and are_numbers(said)
        and {"before", "after"} <= {*said}
    ):
        books["similarity_of_run"] = {when: said[when] for when in ("before", "after")}
    manifests = [past.manifest for past in RoundsFolder(run.folder / "rounds").rounds()[1:]]
    if manifests:
        phases = manifests[-1].get("seconds", {})
        sums = {f"rounds, {phase}": sum(m.get("seconds", {}).get(phase, 0.0) for m in manifests) for phase in phases}
        books["seconds"] = books.get("seconds", {}) | sums
        books["peak_memory_gib"] = {"rounds": max(manifest.get("peak_memory_gib", 0.0) for manifest in manifests)}
    return books
