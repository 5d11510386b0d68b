"""Densification in rounds: in the modes that grow, not in refinement, under a cap over all rounds."""

from dataclasses import replace

import pytest
import torch

from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.growth import RoundGrowth
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.steps import ObjectSteps
from tests.ball import BALL
from tests.rounds.balls import ball_rounds, object_of, run, sunk_ball
from tests.rounds.editors import Eraser, Painter

GROWS = GrowthConfig(every=2, max_factor=1.2, gradient_threshold=0.0)


def _rounds(folder, mode="replace", **schedule):
    editor, scene = (Eraser(), sunk_ball()) if mode == "remove" else (Painter(), None)
    config = RoundsConfig(Schedule(**{"rounds": 2, "steps": 10} | schedule))
    rounds = ball_rounds(folder, editor, mode=mode, config=config, scene=scene)
    rounds.start()
    return rounds


def _counts(rounds) -> list[int]:
    """Gaussians of the object after each step."""
    counts = []
    run(rounds, growth=GROWS, after_step=lambda: counts.append(len(object_of(rounds))))
    return counts


def test_an_object_grows_to_its_cap_and_later_rounds_keep_to_it(tmp_path):
    counts = _counts(_rounds(tmp_path))
    assert max(counts) == counts[-1] == 1.2 * BALL


def test_a_restyled_object_does_not_grow(tmp_path):
    assert set(_counts(_rounds(tmp_path, "restyle"))) == {BALL}


def _growing(rounds):
    """A function that takes steps without a cap, and tells how many Gaussians there are after each."""
    edit = object_of(rounds)
    optimizers = {name: torch.optim.Adam([value], lr=1e-3) for name, value in edit.parameters.items()}
    rounds.attach(optimizers)
    growth = RoundGrowth(replace(GROWS, max_factor=1e6), rounds, edit, optimizers)
    steps = ObjectSteps(edit, optimizers, growth, rounds.subject.re_anchor)

    def take(count) -> list[int]:
        counts = [len(edit)]
        for _ in range(count):
            rounds.begin_step()
            steps.take(*rounds.losses(), rounds.step)
            counts.append(len(edit))
            rounds.end_step()
        return [step for step in range(1, count + 1) if counts[step] > counts[step - 1]]

    return take


def test_a_round_grows_for_the_first_four_fifths_of_its_own_length(tmp_path):
    rounds = _rounds(tmp_path, steps=5)
    take = _growing(rounds)
    assert take(5) == [2]
    rounds.plan_round(10)
    assert take(10) == [2, 4, 6]


def test_refinement_grows_nothing(tmp_path):
    """Not even that of a round that was ended by hand, long before its last fifth."""
    rounds = _rounds(tmp_path, steps=100)
    take = _growing(rounds)
    assert take(3) == [2]
    rounds.end_round()
    rounds.refine(6)
    assert take(6) == []


@pytest.mark.parametrize("mode, limit", [("replace", 0.005), ("remove", 0.001)])
def test_what_is_fainter_than_the_modes_limit_goes(tmp_path, mode, limit):
    """instruct-gs prunes below 0.001 when it removes; 3DGS below 0.005."""
    rounds = _rounds(tmp_path, mode)
    edit = object_of(rounds)
    optimizers = {name: torch.optim.SGD([value], lr=0.0) for name, value in edit.parameters.items()}
    rounds.attach(optimizers)
    still = GrowthConfig(every=2, max_factor=1.0, gradient_threshold=1e9)
    growth, count = RoundGrowth(still, rounds, edit, optimizers), len(edit)
    faint = count // 3
    opacities = torch.full((count, 1), 1.2 * limit)
    opacities[:faint] = 0.8 * limit
    edit.parameters["opacities"].data = opacities.logit()
    for step in range(2):
        rounds.begin_step()
        losses, info = rounds.losses()
        growth.before_backward(info)
        sum(losses.values()).backward()
        growth.after_step(step)
        rounds.end_step()
    assert len(edit) == count - faint > 0
    assert edit.parameters["opacities"].sigmoid().min() > limit
