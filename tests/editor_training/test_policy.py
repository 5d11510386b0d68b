"""The policy is the editor: the same edits, with densities and attention read along."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from random_editor import random_policy, some_cases

from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.policy import EditorPolicy
from fasttext2style.editor_training.settings import SamplingConfig
from fasttext2style.editor_training.transitions import log_prob
from fasttext2style.editors.diffusion.attention_maps import AttentionMaps, reading_attention
from fasttext2style.editors.diffusion.lora import without_lora
from fasttext2style.editors.editor import EditRequest
from fasttext2style.editors.load import load_editor

SEEDS = (11, 12, 13)


def moved(policy: EditorPolicy) -> EditorPolicy:
    """The policy after it learned something, whatever it is."""
    generator = torch.Generator().manual_seed(2)
    for parameter in policy.parameters:
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return policy


@pytest.mark.parametrize(("guidance", "image_guidance"), [(3.0, 1.5), (1.0, 1.0), (5.0, 0.7)])
def test_without_noise_on_the_way_it_edits_as_the_editor_does(guidance, image_guidance):
    """Guidance of three branches, and what is left of it, is the same in training as in rounds."""
    policy, cases = moved(random_policy(guidance=guidance, image_guidance=image_guidance)), some_cases(2)
    request = EditRequest(
        cases.images,
        cases.instructions[0],
        strength=(policy.sampling.strength,) * 2,
        steps=policy.sampling.steps,
        guidance=guidance,
        image_guidance=image_guidance,
        seed=5,
        shared_noise=False,
    )
    seeds = [5 * 2**20 + 1 + view for view in range(2)]
    rollouts = policy.rollouts(cases, seeds, eta=0.0)
    torch.testing.assert_close(rollouts.edited, policy.editor.edit(request).images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "DDPMScheduler", "EulerAncestralDiscreteScheduler"])
def test_the_ratio_of_probabilities_is_1_before_anything_was_learned(scheduler):
    """Log-probabilities of a rollout and those computed again from its states are the same."""
    policy, cases = moved(random_policy(scheduler=scheduler)), some_cases()
    rollouts, conditions = policy.rollouts(cases, SEEDS), policy.conditions(cases)
    # The last of 3 steps draws no noise, but for DDIM on a schedule that ends at the first of 1,000 noise levels.
    assert rollouts.log_probs.shape == (3, 3 if scheduler == "DDIMScheduler" else 2, 8, 8)
    with torch.no_grad():
        for place, index in enumerate(rollouts.steps):
            step = policy.step(conditions, rollouts.states[:, place], index)
            again = log_prob(rollouts.actions[:, place], step)
            torch.testing.assert_close(again, rollouts.log_probs[:, place], rtol=0, atol=1e-6)


def test_samples_do_not_depend_on_the_batch_that_they_are_computed_in():
    policy, cases = random_policy(), some_cases()
    together = policy.rollouts(cases, SEEDS)
    alone = policy.rollouts(cases.select([2]), SEEDS[2:])
    torch.testing.assert_close(together.edited[2:], alone.edited, rtol=0, atol=1e-5)
    assert not torch.allclose(together.edited[0], together.edited[1], atol=0.05)


@pytest.mark.parametrize("source", ["reference", "policy"])
def test_attention_is_read_of_the_network_that_was_named_on_the_sampled_path(source):
    policy, cases = moved(random_policy(attention_from=source)), some_cases()
    rollouts, conditions = policy.rollouts(cases, SEEDS, reads_attention=True), policy.conditions(cases)
    expected = {}
    for name in ("reference", "policy"):
        maps = AttentionMaps(conditions.content)
        latents = rollouts.states.unbind(1)
        with torch.no_grad(), reading_attention(policy.unet, maps):
            for index, some in enumerate(latents, start=policy.first):
                if name == "reference":
                    with without_lora(policy.unet):
                        policy._network(some, conditions.bare, conditions.texts, index)
                else:
                    policy._network(some, conditions.bare, conditions.texts, index)
        expected[name] = maps.mean(*latents[0].shape[2:])
    torch.testing.assert_close(rollouts.attention, expected[source], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(expected["reference"], expected["policy"], rtol=1e-3)


def test_reading_attention_changes_no_bit_of_an_edit():
    policy, cases = moved(random_policy()), some_cases()
    watched, alone = (policy.rollouts(cases, SEEDS, reads_attention=reads) for reads in (True, False))
    assert torch.equal(watched.edited, alone.edited) and torch.equal(watched.log_probs, alone.log_probs)


def test_a_group_shares_its_noise_outside_the_mask_and_nowhere_else():
    policy, cases = random_policy(shared_outside=True), some_cases()
    conditions = policy.conditions(cases.select([0, 0, 0]))
    noise = next(policy._noise(conditions, SEEDS, [7, 7, 8]))
    inside = (conditions.masks[0] > 0).expand(4, -1, -1)
    assert inside.any() and not inside.all()
    assert torch.equal(noise[0][~inside], noise[1][~inside])
    assert not (noise[0][inside] == noise[1][inside]).any()
    assert not (noise[0][~inside] == noise[2][~inside]).any()


def test_an_instruction_without_content_words_is_refused_before_it_is_sampled():
    cases = replace(some_cases(1), instructions=("make it so",), captions=("make it so",))
    with pytest.raises(ValueError, match=r"'make it so' has no content words.*gold"):
        random_policy().conditions(cases)


def test_an_instruction_that_is_cut_off_before_its_first_content_word_is_refused():
    cases = replace(some_cases(1), instructions=("the " * 40 + "bear",), captions=("bear",))
    with pytest.raises(ValueError, match="reads 77 tokens, and no content word"):
        random_policy().conditions(cases)


class Swapper:
    """An editor of somebody's own, without any attention."""

    name, capabilities = "swapper", frozenset()

    def edit(self, request, on_step=None):
        raise AssertionError("never asked")

    def close(self): ...


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheduler": "UniPCMultistepScheduler"}, "have no density"),
        ({"scheduler": "DDIM"}, "have no density"),
        ({"eta": 1.5}, "eta is a share"),
        ({"steps": 1}, "at least 2"),
        ({"strength": 1.5}, "0 < low <= high <= 1"),
        ({"guidance": float("nan")}, "Guidance is 0 or more"),
    ],
)
def test_settings_that_nothing_can_be_learned_with_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SamplingConfig(**settings).check()


def test_an_editor_without_cross_attention_is_refused_by_name():
    with pytest.raises(ValueError, match="swapper cannot be tuned: expected an InstructPix2Pix"):
        EditorPolicy(Swapper(), SamplingConfig())


def test_the_embedded_editor_has_a_map_for_the_words_that_it_is_given():
    """Tokens of content words, and none of those around them."""
    policy = EditorPolicy(load_editor("tiny"), SamplingConfig())
    tokenizer = policy.editor.pipeline.tokenizer
    cases = EditCases(torch.rand(1, 64, 64, 3), some_cases(1, 64).masks, ("Turn the bear into gold.",))
    content = policy.conditions(cases).content[0]
    ids = torch.tensor(tokenizer("Turn the bear into gold.", padding="max_length", max_length=16).input_ids)
    assert tokenizer.decode(ids[content]).split() == ["bear", "gold."] or tokenizer.decode(ids[content]).split() == [
        "bear",
        "gold",
        ".",
    ]
