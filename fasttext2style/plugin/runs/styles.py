"""Many sentences on the object of a run on disk: early checks, the sweep, and what is left behind."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from shlex import quote

from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.history.steps import run_folder
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.plugin.host.pipelines import ObjectPipelineConfig
from fasttext2style.plugin.host.rates import maker_of
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.plugin.runs.trust import by_whom
from fasttext2style.plugin.style.method import fasttext2style
from fasttext2style.plugin.style.pipeline import StylePipelineConfig
from fasttext2style.scene.files.atomic import check_place
from fasttext2style.selection.selection import Selection
from fasttext2style.sweeps.keeping import edits_beneath, without_trials
from fasttext2style.sweeps.sentences import Sentences
from fasttext2style.sweeps.settings import StylesSettings
from fasttext2style.sweeps.sheet import write_sheet
from fasttext2style.sweeps.sweep import Sweep
from fasttext2style.sweeps.trial import HowToStyle, Studio, Trial
from fasttext2style.terminal.console import say, warn
from fasttext2style.trust.lock import WriteLock
from fasttext2style.trust.typed import expanded
from fasttext2style.workers.choice import WorkersChoice
from fasttext2style.workers.hiring import hire
from fasttext2style.workers.in_process import InProcess
from fasttext2style.workers.pieces import Crew


def try_styles(path: Path, settings: StylesSettings, trust: bool = False) -> Path:
    """Try sentences on the object of a run; returns the picture of all of them.

    Raises:
        ValueError: no run, no object, sentences that say nothing to the encoder, or another program writes to the run.
    """
    choice = settings.check()
    sentences = Sentences.built_in() if settings.prompts is None else Sentences.read(expanded(settings.prompts))
    folder = run_folder(path)
    with by_whom(folder, trust):
        how, seed, has_object = _how(folder, settings)
        encoder = load_encoder(how.encoder, how.encoder_weights or None)
        for warning in sentences.check(encoder, how.styler.objective.negatives):
            warn(warning)
        seeds = settings.seeds or (seed,)
        pairs = [(sentence.text, seed) for sentence in sentences.all for seed in seeds]
        trials = [Trial(number, *pair) for number, pair in enumerate(pairs)]
        with WriteLock(folder):
            return _swept(folder, settings, choice, how, trials, has_object)


def _how(folder: Path, settings: StylesSettings) -> tuple[HowToStyle, int, bool]:
    """How a run styles, its seed, and whether it has an object. One that does not style is styled as the method
    would, with the best encoder that is here."""
    config = read_config(folder / "config.yml")
    pipeline = config.pipeline
    has_object = isinstance(pipeline, ObjectPipelineConfig)
    if not isinstance(pipeline, StylePipelineConfig):
        config = deepcopy(fasttext2style.config)
        pipeline = config.pipeline
        assert isinstance(pipeline, StylePipelineConfig)
        pipeline.encoder = "auto"
    if settings.encoder:
        pipeline = replace(pipeline, encoder=settings.encoder, encoder_weights=settings.encoder_weights)
    if pipeline.encoder == "auto":
        pipeline = replace(pipeline)
        pipeline.load_encoder("cpu")  # says which one it is, and notes it
    steps = settings.steps or (config.max_num_iterations if config.method_name == "fasttext2style" else 200)
    rates = {name: repr(entry["optimizer"]) for name, entry in sorted(config.optimizers.items())}
    how = HowToStyle(
        pipeline.encoder,
        pipeline.encoder_weights,
        pipeline.styler,
        pipeline.growth,
        maker_of(config.optimizers),
        repr(rates),
        steps,
    )
    return how, pipeline.seed, has_object


def _swept(
    folder: Path,
    settings: StylesSettings,
    choice: WorkersChoice,
    how: HowToStyle,
    trials: list[Trial],
    has_object: bool,
) -> Path:
    run, history, state = open_run_with_history(folder)
    state = without_trials(history, state)
    state, origin = _with_object(state, settings.object_file, folder, has_object)
    cameras = run.cameras("train")
    studio = Studio.of(state, cameras, how)
    sweep = Sweep(history, state, cameras, studio, trials, origin)
    name = "built-in" if settings.prompts is None else settings.prompts.stem
    output = check_place(settings.output or folder / "styles" / f"{name}.png")
    if sweep.steps:
        say(f"{len(sweep.steps)} of {len(trials)} are steps of {history.folder} already, and not tried again.")
    if sweep.left and (beneath := edits_beneath(history, state)):
        say(
            f"The object is taken as it is, with {' and '.join(f'edit {number} ({name})' for number, name in beneath)} "
            f"in force. To try sentences in place of that:  ft2s history drop {quote(str(folder))} {beneath[-1][0]}"
        )
    device = run.device

    def hired() -> Crew:
        if choice.in_process:
            return InProcess(studio(device))
        return hire(choice, studio, device, f"encoder {how.encoder}")[0]

    interrupted = False
    try:
        sweep.run(hired)
    except KeyboardInterrupt:
        interrupted = True
    write_sheet(sweep, output)
    _tell(sweep, folder, output)
    if interrupted or sweep.failed:
        raise SystemExit(130 if interrupted else 1)
    return output


def _with_object(state: SceneState, file: Path | None, folder: Path, has_object: bool) -> tuple[SceneState, str]:
    """The scene with the object that is meant, and where that comes from.

    Raises:
        ValueError: nothing is selected, or a selection of another scene.
    """
    if file is not None:
        selection = Selection.load(file)
        selection.check_matches(state.gaussians())
        weights = selection.weights.to(state.selection)
        return SceneState(state.columns | {SELECTION: weights}, state.ids), selection.origin
    select = f"ft2s select {quote(str(folder))} --by auto, then --object-file"
    if not bool((state.selection > 0).any()):
        raise ValueError(f"Nothing is selected in {folder}. Choose the object: {select}.")
    if not has_object and bool((state.selection == 1).all()):
        raise ValueError(f"{folder} is a reconstruction, in which no object was chosen yet: {select}.")
    return state, "the run's own"


def _tell(sweep: Sweep, folder: Path, output: Path) -> None:
    if sweep.left:
        say(f"{len(sweep.steps)} of {len(sweep.trials)} are done and kept. The same command goes on with the others.")
    if sweep.failed:
        warn(f"{len(sweep.failed)} of {len(sweep.trials)} were given up; the picture says why.")
    say(
        f"Picture: {output}\nEach is an edit that is not in force. Put one in force with:  ft2s history blend "
        f"{quote(str(folder))} NUMBER 1",
    )
