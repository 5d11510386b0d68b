"""The denoising loop against diffusers' own pipeline, and what it does that the pipeline cannot."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from diffusers.utils.torch_utils import randn_tensor
from tiny_pipelines import stable_diffusion_noise, tiny_instruct_pix2pix

from fasttext2style.editors.diffusion.instruct_pix2pix import InstructPix2PixConfig, InstructPix2PixEditor
from fasttext2style.editors.diffusion.noise import (
    SCHEDULERS,
    draw_strength,
    make_scheduler,
    noise_generators,
    partial_timesteps,
)
from fasttext2style.editors.editor import EditRequest
from fasttext2style.editors.local_edit import LocalEditConfig, LocalEditor


@pytest.fixture(scope="module")
def editor() -> InstructPix2PixEditor:
    return InstructPix2PixEditor(tiny_instruct_pix2pix())


def request_of(views: int = 2, **changes) -> EditRequest:
    images = torch.rand(views, 32, 32, 3, generator=torch.Generator().manual_seed(1))
    return EditRequest(images, "make it red", **({"steps": 3} | changes))


def configured(**settings) -> InstructPix2PixEditor:
    return InstructPix2PixEditor(tiny_instruct_pix2pix(), config=InstructPix2PixConfig(**settings))


def mean_difference(images: torch.Tensor, others: torch.Tensor) -> float:
    return (images - others).abs().mean().item()


@pytest.mark.parametrize(
    ("vae", "scheduler", "guidance", "image_guidance"),
    [
        (AutoencoderKL, "DDIMScheduler", 7.5, 1.5),
        (AutoencoderTiny, "DDIMScheduler", 3.0, 3.0),
        (AutoencoderKL, "EulerDiscreteScheduler", 7.5, 1.5),
        (AutoencoderTiny, "EulerAncestralDiscreteScheduler", 7.5, 1.5),
    ],
)
def test_loop_from_full_noise_equals_the_pipeline_of_diffusers(vae, scheduler, guidance, image_guidance):
    pipeline = tiny_instruct_pix2pix(vae)
    editor = InstructPix2PixEditor(pipeline, config=InstructPix2PixConfig(scheduler=scheduler))
    request = request_of(
        strength=(1.0, 1.0),
        negative="blurry",
        guidance=guidance,
        image_guidance=image_guidance,
        condition=torch.rand(2, 32, 32, 3),
        shared_noise=False,
    )
    ours = editor.edit(request).images

    # The pipeline starts from noise alone and multiplies it by init_noise_sigma; ours from noised images.
    pipeline.scheduler = make_scheduler(scheduler, stable_diffusion_noise().config)
    pipeline.scheduler.set_timesteps(3)
    encoded = pipeline.vae.encode(request.images.movedim(-1, 1) * 2 - 1)
    latents = encoded.latents if vae is AutoencoderTiny else encoded.latent_dist.mode()
    latents = latents * pipeline.vae.config.scaling_factor
    generators = noise_generators(request)
    noise = randn_tensor(tuple(latents.shape), generators, dtype=torch.float32)
    noised = pipeline.scheduler.add_noise(latents, noise, pipeline.scheduler.timesteps[:1].expand(2))
    theirs = pipeline(
        prompt=["make it red"] * 2,
        negative_prompt=["blurry"] * 2,
        image=request.condition.movedim(-1, 1),
        latents=noised / pipeline.scheduler.init_noise_sigma,
        num_inference_steps=3,
        guidance_scale=guidance,
        image_guidance_scale=image_guidance,
        generator=generators,
        output_type="pt",
    ).images
    torch.testing.assert_close(ours, theirs.movedim(1, -1), atol=2e-5, rtol=0)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("strength", [0.3, 0.72, 1.0])
def test_partial_denoising_with_a_perfect_prediction_lands_on_the_image(scheduler, strength):
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    noise_schedule = stable_diffusion_noise(timestep_spacing="leading")
    instance = make_scheduler(scheduler, noise_schedule.config)
    timesteps = partial_timesteps(instance, 6, strength, "cpu")
    latents = instance.add_noise(clean, noise, instance.timesteps[-len(timesteps)][None])
    alphas = noise_schedule.alphas_cumprod
    for timestep in instance.timesteps[-len(timesteps) :]:
        # What a network that knows the clean latents would answer, from its input x = sqrt(a) clean + sqrt(1-a) noise.
        inputs = instance.scale_model_input(latents, timestep)
        alpha = alphas[round(timestep.item())]
        prediction = (inputs - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        latents = instance.step(prediction, timestep, latents, return_dict=False)[0]
    # DDIM ends at Stable Diffusion's first noise level, others at none: 2 % of noise stay.
    assert mean_difference(latents, clean) < 0.03


@pytest.mark.parametrize(("steps", "strength", "start"), [(20, 1.0, 1.0), (20, 0.8, 0.8), (20, 0.7, 20 / 29)])
def test_denoising_starts_at_the_asked_level_and_never_above(steps, strength, start):
    scheduler = make_scheduler("DDIMScheduler", stable_diffusion_noise().config)
    timesteps = partial_timesteps(scheduler, steps, strength, "cpu")
    assert len(timesteps) == steps
    assert timesteps[0].item() == pytest.approx(1000 * start - 1, abs=1)


def test_strength_is_one_number_per_seed_inside_its_interval():
    drawn = {draw_strength(request_of(seed=seed, strength=(0.4, 0.6))) for seed in range(50)}
    assert len(drawn) == 50
    assert 0.4 <= min(drawn) < 0.42
    assert 0.58 < max(drawn) <= 0.6
    assert draw_strength(request_of(views=1, seed=7)) == draw_strength(request_of(views=3, seed=7))


def denoised(editor: InstructPix2PixEditor, request: EditRequest, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of the images and of their edit, without the round trip through a VAE of random weights."""
    encoded = editor.encode(request.images)
    timesteps = partial_timesteps(editor._scheduler, request.steps, strength, "cpu")
    with torch.no_grad():
        return encoded, editor._denoise(request, encoded, editor._branches(request, encoded), timesteps, None)


def test_more_strength_changes_more(editor):
    changes = [mean_difference(*denoised(editor, request_of(1), strength)) for strength in (0.1, 0.5, 1.0)]
    assert changes[0] < changes[1] < changes[2]


def test_shared_noise_edits_equal_views_equally_and_own_noise_does_not(editor):
    twin = torch.rand(1, 32, 32, 3).expand(3, -1, -1, -1)
    shared = editor.edit(EditRequest(twin, "gold", steps=2)).images
    own = editor.edit(EditRequest(twin, "gold", steps=2, shared_noise=False)).images
    assert mean_difference(shared[0], shared[2]) < 1e-6
    assert mean_difference(own[0], own[2]) > 1e-3


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "EulerAncestralDiscreteScheduler"])
@pytest.mark.parametrize("shared_noise", [True, False])
def test_a_view_is_edited_alike_alone_and_in_a_batch(scheduler, shared_noise):
    editor = configured(scheduler=scheduler)
    request = request_of(3, shared_noise=shared_noise, view_ids=(5, 8, 13))
    together = editor.edit(request).images
    alone = torch.cat([editor.edit(request.select([row])).images for row in range(3)])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


def test_guidance_of_one_needs_one_evaluation_and_is_the_plain_prediction(editor):
    plain = editor.edit(request_of(guidance=1.0, image_guidance=1.0))
    assert plain.info["unet_evaluations"] == 3
    nearly = editor.edit(request_of(guidance=1.0 + 1e-5, image_guidance=1.0 + 1e-5))
    assert editor.edit(request_of()).info["unet_evaluations"] == 9
    torch.testing.assert_close(plain.images, nearly.images, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "change",
    [
        {"negative": "stone"},
        {"guidance": 2.0},
        {"image_guidance": 3.0},
        {"seed": 5},
        {"condition": torch.zeros(2, 32, 32, 3)},
        {"strength": (0.5, 0.5)},
    ],
)
def test_every_knob_of_the_request_is_heeded(editor, change):
    assert mean_difference(editor.edit(request_of(**change)).images, editor.edit(request_of()).images) > 1e-4


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler"])
def test_latent_blending_keeps_the_images_latents_outside_the_mask(scheduler):
    editor = configured(scheduler=scheduler)
    mask = torch.zeros(2, 32, 32, 1)
    mask[:, 8:24, 8:24] = 1
    request = request_of(mask=mask)
    encoded, latents = denoised(editor, request, 0.9)
    inside = torch.zeros(16, 16, dtype=torch.bool)
    inside[3:13, 3:13] = True  # the mask and one latent around it, which the decoder mixes into its rim
    assert torch.equal(latents[..., ~inside], encoded[..., ~inside])
    assert mean_difference(latents[..., inside], encoded[..., inside]) > 0.05


def test_key_views_leave_a_single_view_alone_and_draw_views_together(editor):
    consistent = configured(key_views=1)
    single = request_of(1)
    torch.testing.assert_close(consistent.edit(single).images, editor.edit(single).images, atol=1e-5, rtol=0)
    request = request_of(3)
    with_keys, without = consistent.edit(request).images, editor.edit(request).images
    # The key view sees itself only, the others see it too.
    torch.testing.assert_close(with_keys[0], without[0], atol=1e-5, rtol=0)
    assert mean_difference(with_keys[1], without[1]) > 1e-5
    before = dict(consistent.pipeline.unet.attn_processors)
    assert all(type(processor).__name__ == "AttnProcessor2_0" for processor in before.values())


def test_key_views_make_batches_agree_with_one_large_batch():
    editor, request = configured(key_views=2), request_of(5)
    large, small = (
        LocalEditor(editor, LocalEditConfig(batch_size=size, native_size=0)).edit(request).images for size in (5, 3)
    )
    torch.testing.assert_close(small, large, atol=1e-5, rtol=0)


def test_sizes_that_the_networks_cannot_halve_are_padded_and_cut_back(editor):
    images = torch.rand(1, 31, 45, 3)
    assert editor.edit(EditRequest(images, "x", steps=1)).images.shape == images.shape


def test_progress_counts_evaluations_and_its_exception_ends_the_edit(editor):
    seen = []
    editor.edit(request_of(), on_step=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        editor.edit(request_of(), on_step=stop)


def test_half_precision_stays_near_full(editor):
    half = configured(dtype="bf16")
    assert half.edit(request_of()).info["dtype"] == "bfloat16"
    assert mean_difference(half.edit(request_of()).images, editor.edit(request_of()).images) < 0.05


def test_half_precision_is_prepared_without_a_warning_of_nothing(caplog, monkeypatch):
    """diffusers names the modules that should stay in float32, and there are none."""
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)
    configured(dtype="bf16").edit(request_of())
    assert not caplog.records


def test_attention_slicing_and_key_views_go_together():
    request = request_of(3)
    plain, sliced = (
        configured(key_views=1, attention_slicing=slicing).edit(request).images for slicing in (False, True)
    )
    torch.testing.assert_close(plain, sliced, atol=1e-4, rtol=0)


def test_lora_round_trip(tmp_path, editor):
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig, get_peft_model_state_dict

    pipeline = tiny_instruct_pix2pix()
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    pipeline.unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=targets), adapter_name="trained")
    for name, parameter in pipeline.unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    trained = InstructPix2PixEditor(pipeline).edit(request_of()).images
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(pipeline.unet, adapter_name="trained"))
    pipeline.save_lora_weights(str(tmp_path), unet_lora_layers=layers)

    loaded = configured(lora=(str(tmp_path),)).edit(request_of()).images
    switched_off = configured(lora=(str(tmp_path),), lora_weights=(0.0,)).edit(request_of()).images
    torch.testing.assert_close(loaded, trained, atol=1e-5, rtol=0)
    torch.testing.assert_close(switched_off, editor.edit(request_of()).images, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="cannot be loaded"):
        configured(lora=(str(tmp_path / "nothing"),))


def test_settings_may_come_as_text():
    config = InstructPix2PixConfig(lora="a.safetensors, b", lora_weights="0.5,1")
    assert (config.lora, config.lora_weights) == (("a.safetensors", "b"), (0.5, 1.0))
    assert InstructPix2PixConfig(lora="a", lora_weights=0.5).lora_weights == (0.5,)


@pytest.mark.slow
def test_compiled_and_tiled_networks_edit_alike(editor):
    """Compiling takes seconds here; small pictures are one tile."""
    compiled = configured(compile=True, vae_tiling=True).edit(request_of()).images
    torch.testing.assert_close(compiled, editor.edit(request_of()).images, atol=1e-4, rtol=0)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="Did you mean DDIMScheduler"):
        configured(scheduler="DDIMSchedulr")
    with pytest.raises(ValueError, match="turn it off"):
        configured(offload=True)
    with pytest.raises(ValueError, match="need as many"):
        configured(lora=("a", "b"), lora_weights=(1.0,))


def test_on_a_cpu_an_edit_that_cannot_fit_is_refused_with_both_figures(editor):
    # 2 views of 100,000 x 100,000 pixels that take no memory themselves.
    needed = editor.memory_needed(2, 100_000, 100_000)
    assert needed > 2**40
    images = torch.zeros(1, 1, 1, 3).expand(2, 100_000, 100_000, 3)
    with pytest.raises(ValueError, match=r"takes about .* GiB, and .* GiB are free"):
        editor.edit(replace(request_of(), images=images))


@pytest.mark.parametrize("shared_noise", [True, False])
def test_seeds_of_63_bits_are_seeds_too(shared_noise):
    request = request_of(2, seed=2**63 - 1, shared_noise=shared_noise)
    first, second = (torch.rand(3, generator=generator) for generator in noise_generators(request))
    assert torch.equal(first, second) == shared_noise
