"""Rewards say what they are said to say, each by a case that one reckons by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fasttext2style.editor_training.rewards import PAPER, Edits, Reward, attention, inside, mae, outside, text
from fasttext2style.guidance.load import load_encoder


def edits(inside_by: float = 0.0, outside_by: float = 0.0, samples: int = 2) -> Edits:
    """Grey pictures of 8 x 8 whose middle 4 x 4 (a quarter) and surroundings were made brighter by so much."""
    images, masks = torch.full((samples, 8, 8, 3), 0.4), torch.zeros(samples, 8, 8, 1)
    masks[:, 2:6, 2:6] = 1
    edited = images + torch.where(masks > 0, inside_by, outside_by)
    return Edits(images, edited, masks, ("a red ball",) * samples)


def test_changes_inside_and_outside_are_told_apart():
    found = edits(inside_by=0.3, outside_by=-0.1)
    torch.testing.assert_close(outside(found), torch.full((2,), 0.1))
    torch.testing.assert_close(inside(found), torch.full((2,), 0.3))
    # 16 of 64 pixels by 0.3 and 48 by 0.1
    torch.testing.assert_close(mae(found), torch.full((2,), 0.15))


def test_what_places_add_sums_up_to_the_reward_and_lies_where_the_change_is():
    found, reward = edits(inside_by=0.3, outside_by=-0.1), Reward(("outside=-2", "inside=0.5"))
    places = reward.by_place(found, 4, 4)
    torch.testing.assert_close(places.sum((1, 2)), reward.total(reward.parts(found)))
    # The middle 2 x 2 are the mask: each a quarter of 0.5 * 0.3; the 12 others share -2 * 0.1.
    torch.testing.assert_close(places[:, 1:3, 1:3], torch.full((2, 2, 2), 0.0375))
    torch.testing.assert_close(places[:, 0], torch.full((2, 4), -0.2 / 12))


def test_a_soft_edge_belongs_to_both_sides_by_its_share():
    found = edits()
    masks = torch.full_like(found.masks, 0.25)
    edited = found.images.clone()
    edited[:, :, :4] += 0.2
    assert outside(replace(found, masks=masks, edited=edited)).tolist() == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(("change", "counts"), [(0.0499, 0.0), (0.0501, 0.0501), (0.2, 0.2)])
def test_mean_errors_up_to_tau_are_not_counted_and_larger_ones_in_full(change, counts):
    """The paper's hard gate; change everywhere by so much."""
    found = edits(change, change)
    found = replace(found, images=torch.zeros_like(found.images), edited=torch.full_like(found.images, change))
    assert mae(found).tolist() == pytest.approx([counts, counts])


def test_attention_on_the_object_is_1_and_everywhere_is_the_root_of_the_masks_share():
    found = edits()
    on_it = found.masks[..., 0].unflatten(1, (4, 2)).unflatten(3, (4, 2)).mean((2, 4))  # 4 x 4 areas
    assert attention(replace(found, attention=3 * on_it)).tolist() == pytest.approx([1.0, 1.0])
    assert attention(replace(found, attention=torch.full((2, 4, 4), 0.01))).tolist() == pytest.approx([0.5, 0.5])
    assert attention(replace(found, attention=1 - on_it)).tolist() == pytest.approx([0.0, 0.0])


def test_text_looks_at_what_was_edited_inside_the_mask_only():
    encoder, red = load_encoder("tiny"), torch.tensor([0.8, 0.05, 0.05])
    found = replace(edits(), encoder=encoder)
    everywhere = red.expand_as(found.images)
    within = torch.lerp(found.images, everywhere, found.masks)
    values = {
        name: text(replace(found, edited=edited)).tolist()[0]
        for name, edited in (("nothing", found.images), ("within", within), ("everywhere", everywhere))
    }
    assert values["within"] == pytest.approx(values["everywhere"], abs=1e-6)
    assert values["within"] > values["nothing"] + 0.1


def test_each_sample_is_held_against_its_own_caption():
    encoder, found = load_encoder("tiny"), edits()
    colours = torch.tensor([[0.8, 0.05, 0.05], [0.05, 0.1, 0.8]])[:, None, None]
    right, wrong = (
        text(replace(found, edited=colours.expand_as(found.images), captions=captions, encoder=encoder))
        for captions in (("red", "blue"), ("blue", "red"))
    )
    assert (right > wrong).all()


def test_the_total_is_the_papers_sum_with_alpha_minus_1():
    found = replace(edits(0.3, 0.1), attention=torch.full((2, 4, 4), 0.01))
    reward = Reward(PAPER)
    assert reward.total(reward.parts(found)).tolist() == pytest.approx([0.5 - 0.15, 0.5 - 0.15])


def brightness(found: Edits) -> torch.Tensor:
    return found.edited.mean((1, 2, 3))


def one_number(found: Edits) -> torch.Tensor:
    return found.edited.mean()


def no_tensor(found: Edits) -> float:
    return 0.5


def test_a_reward_of_somebodys_own_is_named_by_module_and_attribute():
    reward = Reward(("outside=-1", "test_rewards:brightness=2"))
    found = edits(0.3, 0.1)
    expected = 2 * (0.4 + 0.25 * 0.3 + 0.75 * 0.1) - 0.1
    assert reward.total(reward.parts(found)).tolist() == pytest.approx([expected, expected])
    assert not reward.is_differentiable and reward.asks_for("attention")


@pytest.mark.parametrize(("name", "got"), [("one_number", r"\[\]"), ("no_tensor", "float")])
def test_a_reward_of_somebodys_own_that_answers_otherwise_is_refused(name, got):
    with pytest.raises(ValueError, match=f"reward test_rewards:{name} should be one number for each of 2; got {got}"):
        Reward((f"test_rewards:{name}",)).parts(edits())


def test_a_reward_that_is_no_number_is_named():
    spoilt = edits()
    spoilt.edited[1, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="reward outside is NaN"):
        Reward(("outside=-1",)).parts(spoilt)
