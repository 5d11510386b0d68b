"""The algorithm against cases reckoned by hand."""

from __future__ import annotations

import math

import pytest
import torch

from fasttext2style.editor_training.ppo import (
    LARGEST_ADVANTAGE,
    PromptStatistics,
    clipped_surrogate,
    group_advantages,
    place_advantages,
)

CLIP = 0.1


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "learns"),
    [
        (1.2, 1.0, -1.1, False),  # good, and already likelier by more than the clip: enough
        (0.8, 1.0, -0.8, True),  # good, and less likely than it was: may come back without bound
        (1.2, -1.0, 1.2, True),  # bad, and likelier than it was
        (0.8, -1.0, 0.9, False),  # bad, and already less likely
        (1.05, 2.0, -2.1, True),
    ],
)
def test_the_surrogate_is_the_one_that_one_reckons_by_hand(ratio, advantage, loss, learns):
    old = torch.tensor([-1.5], dtype=torch.float64)
    log_probs = (old + math.log(ratio)).requires_grad_()
    found = clipped_surrogate(log_probs, old, torch.tensor([advantage], dtype=torch.float64), CLIP)
    assert found.item() == pytest.approx(loss)
    (gradient,) = torch.autograd.grad(found, log_probs)
    # d/dlogp of -ratio * A
    assert gradient.item() == pytest.approx(-ratio * advantage if learns else 0.0)


def test_advantages_of_a_group_are_deviations_from_its_own_mean():
    rewards = torch.tensor([[1.0, 2.0, 3.0], [10.0, 10.0, 40.0]])
    root = math.sqrt(1.5)
    expected = torch.tensor([[-root, 0.0, root], [-1 / math.sqrt(2), -1 / math.sqrt(2), math.sqrt(2)]])
    torch.testing.assert_close(group_advantages(rewards), expected)


def test_groups_of_almost_equal_rewards_are_left_out():
    rewards = torch.tensor([[0.5, 0.5, 0.5], [0.5, 0.501, 0.499], [0.1, 0.5, 0.9]])
    advantages = group_advantages(rewards, least_spread=0.01)
    assert torch.equal(advantages[:2], torch.zeros(2, 3))
    assert advantages[2].abs().max() > 1
    assert group_advantages(rewards)[1].abs().max() > 1, "without a bound small differences count"


def test_places_are_compared_with_the_same_place_and_with_one_place_all_is_as_before():
    rewards = torch.rand(2, 5)
    torch.testing.assert_close(place_advantages(rewards[..., None, None])[..., 0, 0], group_advantages(rewards))


def test_what_happens_far_away_is_not_a_places_merit():
    """One sample is better at one corner: it is praised there and around, the others are blamed there, elsewhere 0."""
    rewards = torch.full((1, 4, 6, 6), 0.5)
    rewards[0, 1, 0, 0] = 1.0
    found = place_advantages(rewards)[0]
    near = torch.zeros(6, 6, dtype=torch.bool)
    near[:2, :2] = True
    assert (found[1][near] > 0).all() and (found[[0, 2, 3]][:, near] < 0).all()
    assert torch.equal(found[:, ~near], torch.zeros(4, 32))
    # 4 rewards of a corner, 6 of an edge, 9 inside: the mean of fewer moves more.
    assert found[1, 0, 0] > found[1, 0, 1] > found[1, 1, 1]
    assert torch.equal(place_advantages(rewards, least_spread=10.0), torch.zeros_like(rewards))


def test_one_outlier_does_not_rule():
    rewards = torch.zeros(1, 100)
    rewards[0, 0] = 1.0
    assert group_advantages(rewards).max() == LARGEST_ADVANTAGE


def test_advantages_by_prompt_compare_with_earlier_rewards_of_the_same_prompt():
    """An easy instruction's rewards say nothing about a hard one's."""
    statistics = PromptStatistics(memory=8, least=4)
    statistics.advantages(torch.tensor([10.0, 10.0, 12.0, 12.0]), ["easy"] * 4)
    statistics.advantages(torch.tensor([1.0, 1.0, 3.0, 3.0]), ["hard"] * 4)
    found = statistics.advantages(torch.tensor([10.0, 3.0]), ["easy", "hard"])
    easy, hard = torch.tensor([10.0, 10, 12, 12, 10]), torch.tensor([1.0, 1, 3, 3, 3])
    expected = [(10 - easy.mean()) / easy.std(correction=0), (3 - hard.mean()) / hard.std(correction=0)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-4)
    assert found[0] < 0 < found[1]


def test_a_prompt_seen_too_seldom_is_compared_with_its_batch():
    rewards = torch.tensor([1.0, 2.0, 3.0])
    found = PromptStatistics(least=4).advantages(rewards, ["a", "b", "c"])
    torch.testing.assert_close(found, group_advantages(rewards[None])[0], rtol=1e-4, atol=1e-4)


def test_the_memory_of_a_prompt_forgets():
    statistics = PromptStatistics(memory=3, least=1)
    statistics.advantages(torch.arange(10.0), ["a"] * 10)
    assert statistics.rewards == {"a": [7.0, 8.0, 9.0]}
