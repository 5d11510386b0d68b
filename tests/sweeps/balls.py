"""Sweeps over the ball of most tests."""

from __future__ import annotations

from pathlib import Path

import torch

from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.styler import StylerConfig
from fasttext2style.sweeps.keeping import without_trials
from fasttext2style.sweeps.sweep import Sweep
from fasttext2style.sweeps.trial import HowToStyle, Studio, Trial
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, adam

STEPS = 1
CAMERAS = capture_cameras()[:3]
PROMPTS = ("red", "blue denim", "made of gold")


def how_to_style(encoder: str = "tiny", weights: str = "", grows: bool = False) -> HowToStyle:
    train = ("features_dc", "means") if grows else ("features_dc", "features_rest")
    styler = StylerConfig(train=train, views_per_step=1)
    # Growth looks at the second step and leaves the last fifth of them alone.
    growth = GrowthConfig(enabled=grows, every=2, gradient_threshold=0.0)
    return HowToStyle(encoder, weights, styler, growth, adam(RATES), "", 4 if grows else STEPS)


def ball_state() -> SceneState:
    weights = torch.zeros(len(ball_on_floor()))
    weights[:BALL] = 1
    return SceneState.from_gaussians(ball_on_floor(), weights).copied()


def ball_sweep(
    folder: Path,
    prompts: tuple[str, ...] = PROMPTS,
    how: HowToStyle | None = None,
    state: SceneState | None = None,
    seeds: tuple[int, ...] = (0,),
) -> Sweep:
    """With whatever history lies in the folder."""
    history = History.open(folder / "history")
    state = without_trials(history, ball_state() if state is None else state)
    studio = Studio.of(state, CAMERAS, how or how_to_style())
    pairs = [(prompt, seed) for prompt in prompts for seed in seeds]
    trials = [Trial(number, *pair) for number, pair in enumerate(pairs)]
    return Sweep(history, state, CAMERAS, studio, trials, "the ball")
