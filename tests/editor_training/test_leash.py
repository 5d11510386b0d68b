"""A leash keeps an editor near what it was: everywhere, or inside the object alone."""

from __future__ import annotations

import pytest
import torch
from random_editor import some_cases
from test_training import RED, quick_policy, settings, training

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.learning import Judge
from fasttext2style.editor_training.policy import EditorPolicy
from fasttext2style.editor_training.reinforcement import PpoLearner
from fasttext2style.editor_training.rewards import Reward
from fasttext2style.editor_training.settings import LearningConfig, SamplingConfig
from fasttext2style.editor_training.toy_cases import toy_cases
from fasttext2style.editor_training.training import EditorTraining
from fasttext2style.editor_training.transitions import Transition, divergence
from fasttext2style.editors.diffusion.lora import ATTENTION, CONVOLUTIONS, without_lora
from fasttext2style.editors.load import load_editor


@pytest.mark.slow
def test_a_leash_keeps_the_editor_near_what_it_was(tmp_path):
    """Without a leash the last step of the last epoch has moved more than with one, by the divergence itself."""
    moved = {}
    for weight in (0.0, 100.0):
        config = settings(learning={"kl_weight": weight, "clip": 1e-1, "updates": 4, "learning_rate": 3e-2})
        leashed = training(tmp_path / str(weight), config)
        leashed.run()
        moved[weight] = float(divergence(*first_step_and_reference(leashed)).mean())
    assert moved[100.0] < 0.5 * moved[0.0], moved


def first_step_and_reference(trained: EditorTraining) -> tuple[Transition, Transition]:
    """Of the held-out cases, as the editor takes it now and as it took it before it learned."""
    policy, cases = trained.policy, trained.held_out
    rollouts, conditions = policy.rollouts(cases, range(len(cases))), policy.conditions(cases)
    with torch.no_grad():
        step = policy.step(conditions, rollouts.states[:, 0], rollouts.steps[0])
        with without_lora(policy.unet):
            return step, policy.step(conditions, rollouts.states[:, 0], rollouts.steps[0])


@pytest.mark.parametrize("leash", ["picture", "object"])
def test_a_leash_pulls_where_it_holds_and_nowhere_else(leash):
    """Without advantages its gradient alone is left: of the squares of what is apart, as a mean over those places."""
    policy, cases, samples = quick_policy(), some_cases(2), [0, 1]
    for parameter in policy.parameters:
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
    config, optimizer = LearningConfig(kl_weight=7.0, leash=leash), torch.optim.SGD(policy.parameters)
    learner = PpoLearner(policy, cases, Judge(Reward((RED,))), config, optimizer, Batches(2), 0)
    rollouts, conditions = policy.rollouts(cases, samples), policy.conditions(cases)
    learner._accumulate(samples, 2, cases, rollouts, torch.zeros(2))
    found = torch.cat([parameter.grad.flatten() for parameter in policy.parameters])
    total = torch.zeros(())
    for place, index in enumerate(rollouts.steps):
        step = policy.step(conditions, rollouts.states[:, place], index)
        with torch.no_grad(), without_lora(policy.unet):
            reference = policy.step(conditions, rollouts.states[:, place], index)
        for sample in samples:
            apart = (step.mean[sample] - reference.mean[sample]) / step.deviation
            held = conditions.masks[sample, 0] > 0 if leash == "object" else ...
            total = total + 7 * (apart[:, held].square() / 2).mean() / (2 * len(rollouts.steps))
    expected = torch.cat([one.flatten() for one in torch.autograd.grad(total, policy.parameters)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
    assert float(found.abs().max()) > 1e-5, "it pulls at all"


@pytest.mark.slow
def test_a_leash_of_the_object_keeps_its_edits_and_lets_the_rest_move(tmp_path):
    """The embedded editor, which tells objects from grounds, rewarded for changes outside: on a case it never saw."""
    cases, inside, outside = toy_cases(3, 1, 32, ("color",)), {}, {}
    strength = {"groups": 2, "updates": 6, "passes": 3, "learning_rate": 5e-3, "clip": 1.0, "gradient_norm": 100.0}
    for name, leash, weight in (("free", "picture", 0.0), ("picture", "picture", 1.0), ("object", "object", 1.0)):
        learning = {"leash": leash, "kl_weight": weight, "credit": "place", **strength}
        config = settings(reward=("outside=1",), measure_every=9, learning=learning)
        sampling = SamplingConfig(steps=3, guidance=1.0, image_guidance=1.0)
        policy = EditorPolicy(load_editor("tiny"), sampling, 4, 0, (*ATTENTION, *CONVOLUTIONS))
        trained = EditorTraining(policy, cases.select([0, 1]), cases.select([2]), config, tmp_path / name)
        trained.run()
        apart, masks = first_step_and_reference(trained), policy.conditions(trained.held_out).masks
        inside[name], outside[name] = (float(divergence(*apart, places)) for places in (masks, 1 - masks))
    assert inside["object"] < 0.1 * inside["free"], inside
    assert outside["object"] > 3 * max(inside["object"], outside["picture"]), (inside, outside)
