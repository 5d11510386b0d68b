"""A LoRA changes nothing until it learns, is what diffusers reads, and is refused where it does not belong."""

from __future__ import annotations

import hashlib

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file
from tiny_pipelines import tiny_instruct_pix2pix, tiny_unet

from fasttext2style.editors.diffusion.instruct_pix2pix import InstructPix2PixConfig, InstructPix2PixEditor
from fasttext2style.editors.diffusion.lora import (
    add_lora,
    load_lora_state,
    lora_digests,
    lora_state,
    save_lora,
    without_lora,
)
from fasttext2style.editors.editor import EditRequest


def pipeline():
    return tiny_instruct_pix2pix(AutoencoderTiny)


def output(unet) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    latents, texts = torch.randn(1, 8, 16, 16, generator=generator), torch.randn(1, 5, 32, generator=generator)
    with torch.no_grad():
        return unet(latents, 500, encoder_hidden_states=texts, return_dict=False)[0]


def trained_pipeline(rank: int = 4):
    """With a LoRA that learned something, whatever it is."""
    tuned = pipeline()
    generator = torch.Generator().manual_seed(9)
    for parameter in add_lora(tuned.unet, rank, seed=0):
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return tuned


def test_a_new_lora_changes_nothing_and_alone_is_trained():
    unet = pipeline().unet
    before = output(unet)
    parameters = add_lora(unet, 4, seed=0)
    assert torch.equal(output(unet), before)
    assert {id(one) for one in unet.parameters() if one.requires_grad} == {id(one) for one in parameters}


def test_without_its_lora_a_network_is_what_it_was():
    before, tuned = output(pipeline().unet), trained_pipeline()
    assert not torch.equal(output(tuned.unet), before)
    with without_lora(tuned.unet):
        assert torch.equal(output(tuned.unet), before)
    assert not torch.equal(output(tuned.unet), before)


def test_the_first_weights_follow_from_the_seed_and_leave_torchs_own_numbers_alone():
    states = []
    for seed in (0, 0, 1):
        unet = tiny_unet()
        torch.manual_seed(5)
        add_lora(unet, 2, seed)
        states.append(lora_state(unet))
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(5)))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


@pytest.mark.parametrize("rank", [1, 4])
def test_diffusers_own_pipeline_loads_the_file(tmp_path, rank):
    tuned = trained_pipeline(rank)
    save_lora(tmp_path / "lora.safetensors", tuned)
    fresh = pipeline()
    fresh.load_lora_weights(str(tmp_path / "lora.safetensors"))
    torch.testing.assert_close(output(fresh.unet), output(tuned.unet), rtol=0, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["lora.safetensors"]


def test_the_same_lora_is_the_same_file(tmp_path):
    paths, tuned = [tmp_path / str(number) / "lora.safetensors" for number in range(8)], trained_pipeline()
    for path in paths:
        save_lora(path, tuned)
    digests = lora_digests(tuple(map(str, paths)))
    assert len(digests) == 8 and len(set(digests.values())) == 1


def test_an_editor_with_a_lora_edits_otherwise_and_says_which_it_was(tmp_path):
    path = tmp_path / "lora.safetensors"
    save_lora(path, trained_pipeline())
    request = EditRequest(torch.rand(1, 32, 32, 3), "make it red", steps=2)
    results = [
        InstructPix2PixEditor(pipeline(), config=InstructPix2PixConfig(lora=lora)).edit(request)
        for lora in ((), (str(path),))
    ]
    assert not torch.equal(results[0].images, results[1].images)
    assert results[0].info["lora"] == {}
    assert results[1].info["lora"] == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}


def test_weights_of_another_rank_are_refused():
    unet = tiny_unet()
    add_lora(unet, 8, seed=0)
    with pytest.raises(ValueError, match="another network or rank"):
        load_lora_state(unet, lora_state(trained_pipeline(4).unet))


@pytest.mark.parametrize("kind", ["another width", "other layers", "no lora", "no file"])
def test_a_lora_of_another_network_is_refused(tmp_path, kind):
    """Of some diffusers would only say that it found nothing, and edit as without."""
    path = tmp_path / "lora.safetensors"
    if kind == "another width":
        tuned = pipeline()
        tuned.unet = tiny_unet(width=64)
        add_lora(tuned.unet, 4, seed=0)
        save_lora(path, tuned)
    elif kind == "other layers":
        layer = "transformer.single_transformer_blocks.0.attn.to_q"
        save_file({f"{layer}.lora_A.weight": torch.ones(4, 32), f"{layer}.lora_B.weight": torch.ones(32, 4)}, path)
    elif kind == "no lora":
        save_file({"weights": torch.ones(3)}, path)
    with pytest.raises(ValueError, match=r"lora\.safetensors"):
        InstructPix2PixEditor(pipeline(), config=InstructPix2PixConfig(lora=(str(path),)))


def test_a_second_lora_and_no_rank_are_refused():
    unet = pipeline().unet
    with pytest.raises(ValueError, match="at least 1, got 0"):
        add_lora(unet, 0, seed=0)
    add_lora(unet, 2, seed=0)
    with pytest.raises(ValueError, match="loaded with a LoRA"):
        add_lora(unet, 2, seed=0)
