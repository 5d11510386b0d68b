"""Whatever rounds draw at random is drawn again by a resumed run; growth and a text draw, too."""

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.tools import Tools
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.styler import StylerConfig
from tests.ball import BALL
from tests.rounds.balls import ball_rounds, object_of, parameters, run, sunk_ball
from tests.rounds.editors import Eraser, Idle, Painter

GROWS = GrowthConfig(every=2, max_factor=1.4, gradient_threshold=0.0)


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("tiny")


def _ends_alike(folder, stop_after, growth=None, **settings):
    """A run, and one that stopped and was resumed by another process, whose generators stand elsewhere."""

    def begun(name):
        torch.manual_seed(0)
        rounds = ball_rounds(folder / name, **settings)
        rounds.start()
        return rounds

    whole = run(begun("whole"), growth=growth)
    run(begun("half"), stop_after, growth)
    torch.manual_seed(12345)
    resumed = ball_rounds(folder / "half", **settings)
    resumed.resume()
    run(resumed, growth=growth)
    for name, value in parameters(whole).items():
        assert torch.equal(parameters(resumed)[name], value), name
    return object_of(whole)


@pytest.mark.parametrize("stop_after", [3, 11], ids=["in the first round", "in the second"])
def test_where_splits_land_is_drawn_alike_after_a_resume(tmp_path, stop_after):
    config = RoundsConfig(Schedule(rounds=3, steps=8))
    edit = _ends_alike(tmp_path, stop_after, GROWS, editor=Painter(), mode="replace", config=config)
    assert BALL < len(edit) <= 1.4 * BALL


@pytest.mark.parametrize("stop_after", [3, 11], ids=["in the first round", "in the second"])
def test_a_removal_ends_alike_after_a_resume(tmp_path, stop_after):
    settings = {"editor": Eraser(), "mode": "remove", "scene": sunk_ball(), "instruction": "remove the ball"}
    _ends_alike(tmp_path, stop_after, GROWS, config=RoundsConfig(Schedule(rounds=2, steps=8)), **settings)


def _text(weight: float) -> LossConfig:
    return LossConfig(text_weight=weight, photometric_weight=0.0, l2_weight=1.0)


def test_views_and_patches_of_a_text_are_drawn_alike_after_a_resume(tmp_path, encoder):
    config = RoundsConfig(Schedule(rounds=2, steps=4), losses=_text(1.0))
    tools = Tools(Painter(), encoder=encoder)
    _ends_alike(tmp_path, 6, editor=Painter(), config=config, tools=tools)


def test_a_text_draws_the_object_towards_its_words_as_its_weight_says(tmp_path, encoder):
    """The editor changes nothing, so what turns the grey ball red is the instruction alone."""
    redness = {}
    for weight in (0.0, 1e-5, 1.0):
        config = RoundsConfig(Schedule(rounds=1, steps=12), losses=_text(weight))
        tools = Tools(Idle(), encoder=encoder if weight else None)
        rounds = ball_rounds(tmp_path / str(weight), Idle(), config=config, tools=tools)
        rounds.start()
        run(rounds)
        color = object_of(rounds).parameters["features_dc"].detach().mean(dim=0)
        redness[weight] = float(color[0] - color[1:].mean())
    assert redness[1.0] > redness[1e-5] + 0.1 > redness[0.0] + 0.1, redness
    assert abs(redness[0.0]) < 0.05


def test_a_text_holds_new_gaussians_to_what_they_are(tmp_path, encoder):
    """The text's own anchors follow an object that grows; without that their rows would not fit."""
    config = RoundsConfig(Schedule(rounds=2, steps=6), losses=_text(1.0))
    settings = {"tools": Tools(Painter(), encoder=encoder), "styler": StylerConfig(train=("features_dc", "means"))}
    rounds = ball_rounds(tmp_path, Painter(), mode="replace", config=config, **settings)
    rounds.start()
    run(rounds, growth=GROWS)
    assert len(object_of(rounds)) > BALL
    rounds.refine(2)
    rounds.begin_step()
    assert float(rounds.losses()[0]["text_position_anchor"].detach()) == 0.0
