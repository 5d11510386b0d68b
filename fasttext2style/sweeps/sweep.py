"""All sentences, one after the other or by several workers at once; what is done already is not done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.history.steps import Step
from fasttext2style.scene.cameras import Cameras
from fasttext2style.styling.as_step import object_view
from fasttext2style.sweeps.keeping import found_again, keep
from fasttext2style.sweeps.trial import Studio, Trial, Tried
from fasttext2style.terminal.console import say, warn
from fasttext2style.terminal.progress import PhaseProgress
from fasttext2style.trust.text import one_line
from fasttext2style.workers.pieces import Crew, do_pieces


@dataclass
class Sweep:
    """Trials of one object, and what became of them.

    Args:
        history: of the run; each trial becomes a step of it.
        state: the scene that all of them begin with (`keeping.without_trials`); it stays as it is.
        cameras: views of the capture.
        studio: the object and how it is styled.
        trials: numbered from 0.
        origin: of the object, in words.
    """

    history: History
    state: SceneState
    cameras: Cameras
    studio: Studio
    trials: Sequence[Trial]
    origin: str
    steps: dict[int, Step] = field(init=False)
    """Number of the trial -> its step."""
    failed: dict[int, str] = field(default_factory=dict, init=False)
    """Number of the trial -> why it was given up."""

    def __post_init__(self) -> None:
        self.steps = found_again(self.history, self.studio, list(self.trials))

    @property
    def left(self) -> list[Trial]:
        """Those that are to be tried yet."""
        return [trial for trial in self.trials if trial.number not in self.steps and trial.number not in self.failed]

    def run(self, hire: Callable[[], Crew]) -> None:
        """Try what is left, and keep each as soon as it is done: whatever ends this, the others need not be repeated.

        Args:
            hire: asked for workers if there is something to do.

        Raises:
            ValueError: no worker could be had or is left, or the history cannot be written.
        """
        left = self.left
        if not left:
            return
        thing = self.state.gaussians().subset(self.state.selection > 0)
        view = object_view(thing, self.cameras)
        with closing(hire()) as crew, PhaseProgress("Trying", len(left), unit="sentences") as progress:

            def told(done: int, total: int) -> None:
                progress.part_of_step("all steps", done, total)

            with closing(do_pieces(crew, left, len(left), told, needs_one=False)) as pieces:
                for ended, (place, done) in enumerate(pieces):
                    trial, again = left[place], list(done.done_again.values())
                    if done.failed:
                        self._give_up(trial, done.failed[0])
                    else:
                        ((_, tried),) = done.answers
                        self._keep(trial, tried, view, again)
                    progress.update(ended, f"{len(self.steps)} of {len(self.trials)} kept")

    def _keep(self, trial: Trial, tried: Tried, view: Cameras, again: list[str]) -> None:
        step = keep(self.history, self.state, self.studio, trial, tried, self.origin, view)
        if step is None:
            self._give_up(trial, "it changed nothing")
            return
        self.steps[trial.number] = step
        about = "".join(f" (done again: {reason})" for reason in again)
        say(f'"{one_line(trial.prompt)}"{self.seed_of(trial)}: {step.seconds:.0f} s, {in_numbers(step)}{about}')

    def _give_up(self, trial: Trial, reason: str) -> None:
        self.failed[trial.number] = reason
        warn(f'"{one_line(trial.prompt)}"{self.seed_of(trial)} was given up: {reason}')

    def seed_of(self, trial: Trial) -> str:
        """In words, where there are several."""
        return f", seed {trial.seed}" if len({it.seed for it in self.trials}) > 1 else ""


def in_numbers(step: Step) -> str:
    """Similarity before and after, by the encoder that was asked and by the second judge."""
    pairs = (("similarity", "similarity"), ("judged", "second judge"))
    found = [
        f"{word} {step.metrics[f'{name}_before']:.3f} to {step.metrics[f'{name}_after']:.3f}"
        for name, word in pairs
        if {f"{name}_before", f"{name}_after"} <= step.metrics.keys()
    ]
    return ", ".join(found)
