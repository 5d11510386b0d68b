"""Edits on a GPU follow one another: what one has moved there must not stop the next."""

import pytest
import torch
from tiny_pipelines import stable_diffusion_noise

from fasttext2style.editors.diffusion.instruct_pix2pix import _step_arguments
from fasttext2style.editors.diffusion.noise import SCHEDULERS, make_scheduler, partial_timesteps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_second_edit_on_the_gpu_is_like_the_first(scheduler):
    instance = make_scheduler(scheduler, stable_diffusion_noise(timestep_spacing="leading").config)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).cuda()
    edits = []
    for _ in range(2):
        timesteps = partial_timesteps(instance, 4, 0.7, "cuda")
        latents = instance.add_noise(clean, noise, instance.timesteps[-len(timesteps)][None])
        draws = _step_arguments(instance, [torch.Generator().manual_seed(1)])
        for timestep in instance.timesteps[-len(timesteps) :]:
            inputs = instance.scale_model_input(latents, timestep)
            latents = instance.step(0.1 * inputs, timestep, latents, **draws, return_dict=False)[0]
        edits.append(latents)
    assert bool(edits[0].isfinite().all())
    torch.testing.assert_close(*edits)
