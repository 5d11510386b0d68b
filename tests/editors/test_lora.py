"""A LoRA changes nothing until it learns, is what diffusers reads, and is refused where it does not belong."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file
from tiny_pipelines import tiny_instruct_pix2pix, tiny_unet

from fasttext2style.editors.diffusion.instruct_pix2pix import InstructPix2PixConfig, InstructPix2PixEditor
from fasttext2style.editors.diffusion.lora import (
    ATTENTION,
    CONVOLUTIONS,
    add_lora,
    load_lora_state,
    lora_digests,
    lora_state,
    save_lora,
    without_lora,
)
from fasttext2style.editors.editor import EditRequest
from fasttext2style.scene.files.atomic import temporary_beside
from tests.full_disk import IS_FULL, files, flushes_and_names, full_disk, moments


def pipeline():
    return tiny_instruct_pix2pix(AutoencoderTiny)


def output(unet) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    latents, texts = torch.randn(1, 8, 16, 16, generator=generator), torch.randn(1, 5, 32, generator=generator)
    with torch.no_grad():
        return unet(latents, 500, encoder_hidden_states=texts, return_dict=False)[0]


def trained_pipeline(rank: int = 4, targets: tuple[str, ...] = ATTENTION):
    """With a LoRA that learned something, whatever it is."""
    tuned = pipeline()
    generator = torch.Generator().manual_seed(9)
    for parameter in add_lora(tuned.unet, rank, 0, targets):
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


@pytest.mark.parametrize("targets", [ATTENTION, CONVOLUTIONS, (*ATTENTION, *CONVOLUTIONS)])
@pytest.mark.parametrize("rank", [1, 4])
def test_diffusers_own_pipeline_loads_the_file_wherever_the_lora_sits(tmp_path, rank, targets):
    tuned = trained_pipeline(rank, targets)
    save_lora(tmp_path / "lora.safetensors", tuned)
    fresh, ours = pipeline(), pipeline()
    fresh.load_lora_weights(str(tmp_path / "lora.safetensors"))
    InstructPix2PixEditor(ours, config=InstructPix2PixConfig(lora=(str(tmp_path / "lora.safetensors"),)))
    for loaded in (fresh, ours):
        torch.testing.assert_close(output(loaded.unet), output(tuned.unet), rtol=0, atol=1e-6)
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


@pytest.mark.parametrize("left", ["attn1.to_k", "conv1"])
def test_a_lora_that_belongs_to_the_network_in_part_is_said(tmp_path, caplog, left):
    """diffusers takes what fits, and says nothing that reaches a person."""
    path = tmp_path / "lora.safetensors"
    save_lora(path, trained_pipeline(4, (*ATTENTION, *CONVOLUTIONS)))
    InstructPix2PixEditor(pipeline(), config=InstructPix2PixConfig(lora=(str(path),)))
    assert "of its" not in caplog.text, "of a LoRA that is wholly taken there is nothing to say"
    tensors = load_file(path)
    others = {name.replace(left, f"{left}_of_another"): tensor for name, tensor in tensors.items()}
    save_file(others, path)
    InstructPix2PixEditor(pipeline(), config=InstructPix2PixConfig(lora=(str(path),)))
    foreign = sum(left in name for name in tensors)
    assert f"Of its {len(tensors)} tensors {foreign} belong to no layer" in caplog.text and str(path) in caplog.text


def _header(change):
    """The LoRA's file with another header."""

    def damaged(content: bytes) -> bytes:
        size = int.from_bytes(content[:8], "little")
        head = change(json.loads(content[8 : 8 + size]))
        text = json.dumps(head).encode()
        return len(text).to_bytes(8, "little") + text + content[8 + size :]

    return damaged


def _about(text: str):
    return _header(lambda head: head | {"__metadata__": {"lora_adapter_metadata": text}})


DAMAGES = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "other bytes": lambda content: b"\xff" * 100,
    "a header of nothing": lambda content: (2).to_bytes(8, "little") + b"{}",
    "a header of a terabyte": lambda content: (10**12).to_bytes(8, "little") + content[8:],
    "a tensor of a terabyte": _header(
        lambda head: {name: it | {"shape": [10**12]} if "shape" in it else it for name, it in head.items()}
    ),
    "settings that are no JSON": _about("{"),
    "settings that are a list": _about("[1]"),
    "settings of something else": _about('{"unet.x": 1, "rank": "many"}'),
    "a pickle that opens a file": None,
}


class _Opens:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_lora_is_refused_in_words_and_runs_nothing(tmp_path, damage):
    """Of somebody else; diffusers raises for them whatever comes up on its way."""
    path, touched = tmp_path / "lora.safetensors", tmp_path / "touched"
    save_lora(path, trained_pipeline())
    if DAMAGES[damage] is None:
        torch.save({"unet.a.lora_A.weight": _Opens(touched)}, path)
    else:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ValueError, match=r"The LoRA .*lora\.safetensors (cannot be loaded|is of another)") as refused:
        InstructPix2PixEditor(pipeline(), config=InstructPix2PixConfig(lora=(str(path),)))
    assert not touched.exists() and len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_no_lora(tmp_path, kind):
    path = tmp_path / "lora.safetensors"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"lora\.safetensors is no file, but a pipe or a device"):
        InstructPix2PixEditor(pipeline(), config=InstructPix2PixConfig(lora=(str(path),)))


def test_a_lora_is_handed_to_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    with flushes_and_names(monkeypatch) as seen:
        save_lora(tmp_path / "lora.safetensors", trained_pipeline())
    (named,) = [place for place, (what, name, _) in enumerate(seen) if what == "named" and "lora.safe" in name]
    assert ("flushed", seen[named][1], (tmp_path / "lora.safetensors").stat().st_size) in seen[:named]


def test_a_lora_that_finds_the_disk_full_anywhere_is_the_old_one(tmp_path):
    path, old, new = tmp_path / "lora.safetensors", trained_pipeline(2), trained_pipeline(4)
    save_lora(path, old)
    before = path.read_bytes()
    with full_disk(tmp_path) as used:
        save_lora(path, new)
    for moment in moments(used):
        path.write_bytes(before)
        with full_disk(tmp_path, **moment), pytest.raises(OSError, match=IS_FULL):
            save_lora(path, new)
        assert files(tmp_path) == {path.name: before}, moment


def test_what_a_killed_writer_left_of_a_lora_goes_with_the_next_one(tmp_path):
    path, tuned = tmp_path / "lora.safetensors", trained_pipeline()
    child = os.fork()
    if child == 0:
        folder = temporary_beside(path)
        folder.mkdir()
        (folder / path.name).write_bytes(b"half a fi")
        os._exit(0)
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 1
    save_lora(path, tuned)
    assert [it.name for it in tmp_path.iterdir()] == [path.name]


def test_a_second_lora_and_no_rank_are_refused():
    unet = pipeline().unet
    with pytest.raises(ValueError, match="at least 1, got 0"):
        add_lora(unet, 0, seed=0)
    add_lora(unet, 2, seed=0)
    with pytest.raises(ValueError, match="loaded with a LoRA"):
        add_lora(unet, 2, seed=0)
