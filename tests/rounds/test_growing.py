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


def test_refinement_grows_nothing(tmp_path):
    """Not even that of a round that was ended by hand, long before its last fifth."""
    rounds = _rounds(tmp_path, steps=100)
    edit, counts = object_of(rounds), []
    optimizers = {name: torch.optim.Adam([value], lr=1e-3) for name, value in edit.parameters.items()}
    rounds.attach(optimizers)
    growth = RoundGrowth(replace(GROWS, max_factor=100.0), rounds, edit, optimizers)
    steps = ObjectSteps(edit, optimizers, growth, rounds.subject.re_anchor)

    def take(count):
        for _ in range(count):
            rounds.begin_step()
            steps.take(*rounds.losses(), rounds.step)
            counts.append(len(edit))
            rounds.end_step()

    take(3)
    assert counts[0] == BALL < counts[1] <= counts[2]
    rounds.end_round()
    rounds.refine(6)
    take(6)
    assert counts[3:] == [counts[2]] * 6


def test_every_round_counts_gradients_anew(tmp_path):
    """With an odd number of steps a round, one whose count went on would grow one step too early."""
    rounds, counts = _rounds(tmp_path, steps=5), []
    run(rounds, growth=replace(GROWS, max_factor=9.0), after_step=lambda: counts.append(len(object_of(rounds))))
    grew = [step for step in range(1, 10) if counts[step] > counts[step - 1]]
    assert grew == [1, 6]


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
