"""A step's density is that of the scheduler's own step, and of torch.distributions."""

from __future__ import annotations

import diffusers
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from fasttext2style.editor_training.transitions import (
    DENSITIES,
    Transition,
    check_density,
    divergence,
    log_prob,
    transition,
)
from fasttext2style.editors.diffusion.noise import make_scheduler, partial_timesteps

LATENTS = (3, 4, 6, 5)
STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
EMBEDDED = STABLE_DIFFUSION | {"rescale_betas_zero_snr": True, "set_alpha_to_one": True}


def scheduler_of(name: str, model: dict, prediction_type: str):
    config = diffusers.DDIMScheduler(**model, prediction_type=prediction_type, clip_sample=False).config
    return make_scheduler(name, config)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("model", [STABLE_DIFFUSION, EMBEDDED], ids=["stable-diffusion", "zero-snr"])
@pytest.mark.parametrize("name", sorted(DENSITIES))
def test_a_step_draws_what_the_scheduler_itself_draws(name, model, prediction_type):
    """For the same noise, at every timestep of a partial schedule, the last one among them."""
    if model is EMBEDDED and prediction_type == "epsilon":
        pytest.skip("noise alone says nothing about a clean picture")
    if name == "EulerAncestralDiscreteScheduler" and prediction_type == "sample":
        pytest.skip("diffusers has no such step to compare with")
    scheduler = scheduler_of(name, model, prediction_type)
    timesteps = partial_timesteps(scheduler, 4, 0.8, "cpu")
    first = len(scheduler.timesteps) - len(timesteps)
    generator = torch.Generator().manual_seed(0)
    latents, drawn = torch.randn(LATENTS, generator=generator), []
    for index in range(first, len(scheduler.timesteps)):
        prediction, noise_seed = torch.randn(LATENTS, generator=generator), 100 + index
        eta = {"eta": 0.7} if name == "DDIMScheduler" else {}
        timestep = scheduler.timesteps[index]
        if hasattr(scheduler, "sigmas"):
            scheduler.scale_model_input(latents, timestep)
        own = scheduler.step(
            prediction, timestep, latents, generator=torch.Generator().manual_seed(noise_seed), **eta
        ).prev_sample
        step = transition(scheduler, prediction, index, latents, eta=0.7)
        noise = torch.randn(LATENTS, generator=torch.Generator().manual_seed(noise_seed))
        torch.testing.assert_close(step.mean + step.deviation * noise, own, rtol=1e-4, atol=1e-4)
        drawn.append(step.has_density)
        latents = own
    assert drawn == [True] * 3 + [False]


def test_ddim_without_noise_on_the_way_is_the_schedulers_own_step():
    scheduler = scheduler_of("DDIMScheduler", EMBEDDED, "v_prediction")
    partial_timesteps(scheduler, 4, 1.0, "cpu")
    latents, prediction = torch.randn(2, *LATENTS)
    step = transition(scheduler, prediction, 1, latents, eta=0.0)
    assert step.deviation == 0 and not step.has_density
    own = scheduler.step(prediction, scheduler.timesteps[1], latents, eta=0.0).prev_sample
    torch.testing.assert_close(step.mean, own, rtol=1e-5, atol=1e-5)


def test_the_log_probability_is_that_of_torch_distributions():
    """Of each place, as the mean over its channels; and of the whole as the mean over latents, DDPO's convention."""
    mean, latents = torch.randn(2, *LATENTS, dtype=torch.float64)
    found = log_prob(latents, Transition(mean, 0.37))
    torch.testing.assert_close(found, Normal(mean, 0.37).log_prob(latents).mean(1))
    reference = Independent(Normal(mean, 0.37), 3).log_prob(latents) / mean[0].numel()
    torch.testing.assert_close(found.mean((1, 2)), reference)


def test_the_divergence_is_that_of_torch_distributions():
    one, other = torch.randn(2, *LATENTS, dtype=torch.float64)
    reference = kl_divergence(Independent(Normal(one, 0.2), 3), Independent(Normal(other, 0.2), 3)) / one[0].numel()
    torch.testing.assert_close(divergence(Transition(one, 0.2), Transition(other, 0.2)), reference)


def test_the_divergence_at_some_places_is_their_weighted_mean():
    """Of each sample by a plain loop; a sample with no place at all is not apart."""
    one, other = torch.randn(2, *LATENTS, dtype=torch.float64)
    places = torch.rand(3, 1, 6, 5, dtype=torch.float64).round(decimals=1)
    places[1], places[1, 0, 2, 3], places[2] = 0, 1, 0
    expected = []
    for sample in range(3):
        found = weights = 0.0
        for row in range(6):
            for column in range(5):
                apart = (one[sample, :, row, column] - other[sample, :, row, column]) / 0.2
                found += float(places[sample, 0, row, column]) * sum(value**2 / 2 for value in apart.tolist()) / 4
                weights += float(places[sample, 0, row, column])
        expected.append(found / weights if weights else 0.0)
    found = divergence(Transition(one, 0.2), Transition(other, 0.2), places)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert found[2] == 0
    everywhere = divergence(Transition(one, 0.2), Transition(other, 0.2), torch.ones_like(places))
    torch.testing.assert_close(everywhere, divergence(Transition(one, 0.2), Transition(other, 0.2)))


def test_a_scheduler_without_a_density_is_refused_by_name():
    with pytest.raises(ValueError, match=r"UniPCMultistepScheduler have no density.*DDIMScheduler"):
        check_density("UniPCMultistepScheduler")
