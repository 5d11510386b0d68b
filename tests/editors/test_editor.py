"""What an editor is asked, and how one is found by name."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from tiny_pipelines import tiny_instruct_pix2pix

from fasttext2style.editors.diffusion.instruct_pix2pix import InstructPix2PixEditor
from fasttext2style.editors.editor import EditRequest, EditResult
from fasttext2style.editors.load import editor_is_here, load_editor
from fasttext2style.editors.settings import values_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "02_your_own_editor"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "instruct-pix2pix"
    tiny_instruct_pix2pix().save_pretrained(path)
    return path


def images(views: int = 2) -> torch.Tensor:
    return torch.rand(views, 16, 24, 3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"images": torch.rand(2, 16, 24, 4)}, r"\[views, height, width, 3\]"),
        ({"mask": torch.rand(2, 16, 23, 1)}, r"mask should be \[2, 16, 24, 1\]"),
        ({"condition": torch.rand(1, 16, 24, 3)}, "condition should be"),
        ({"depth": torch.rand(2, 16, 24, 3)}, "depth should be"),
        ({"strength": (0.0, 0.5)}, "0 < low"),
        ({"strength": (0.9, 0.5)}, "low <= high"),
        ({"steps": 0}, "at least 1 step"),
        ({"guidance": -1.0}, "0 or more"),
        ({"view_ids": (1, 2, 3)}, "as many view_ids, got 3"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        EditRequest(**({"images": images(), "instruction": "x"} | wrong))


def test_some_views_of_a_request():
    request = EditRequest(images(3), "x", mask=torch.rand(3, 16, 24, 1), view_ids=(4, 5, 6), seed=9)
    part = request.select([2, 0])
    assert (part.view_ids, part.seed, part.condition) == ((6, 4), 9, None)
    assert torch.equal(part.images, request.images[[2, 0]])
    assert torch.equal(part.mask, request.mask[[2, 0]])
    assert request.select([]).images.shape == (0, 16, 24, 3)


def test_a_folder_tells_which_editor_it_is_and_its_revision(folder, tmp_path):
    editor = load_editor(str(folder), scheduler="EulerDiscreteScheduler", batch_size=3)
    assert isinstance(editor.editor, InstructPix2PixEditor)
    assert editor.config.batch_size == 3
    info = editor.edit(EditRequest(images(), "x", steps=1)).info
    assert info["scheduler"] == "EulerDiscreteScheduler"
    assert json.loads(json.dumps(info)) == info

    copy = shutil.copytree(folder, tmp_path / "copy")
    assert load_editor(str(copy)).edit(EditRequest(images(), "x", steps=1)).info["revision"] == info["revision"]
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert load_editor(str(copy)).edit(EditRequest(images(), "x", steps=1)).info["revision"] != info["revision"]


def test_a_folder_tells_whether_its_model_wants_to_see_the_object_alone(folder, tmp_path):
    assert load_editor("tiny").object_alone and not load_editor(str(folder)).object_alone
    copy = shutil.copytree(folder, tmp_path / "copy")
    mark = copy / "shown.json"
    mark.write_text('{"object_alone": true}')
    assert load_editor(str(copy)).object_alone
    for damaged in ("", "{", "[]", "{}", '{"object_alone": "yes"}', '{"object_alone": 1}'):
        mark.write_text(damaged)
        with pytest.raises(ValueError, match=r"shown\.json.*Copy the model again"):
            load_editor(str(copy))


def test_loaded_weights_edit_as_those_that_were_saved(folder):
    request = EditRequest(images(), "make it red", steps=2)
    loaded = load_editor(str(folder), native_size=0).edit(request).images
    torch.testing.assert_close(loaded, InstructPix2PixEditor(tiny_instruct_pix2pix()).edit(request).images)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nonsense", "There is no editor 'nonsense'.*tiny"),
        ("./no/such/folder", "There is no editor"),
        ("owner/model", "not on this machine and cannot be downloaded"),
        ("no_such_module:Editor", "cannot be imported"),
        ("json:NoEditor", "cannot be imported"),
    ],
)
def test_names_of_nothing(name, words):
    for look in (load_editor, editor_is_here):
        with pytest.raises(ValueError, match=words):
            look(name)


def test_what_is_here_is_told_from_what_must_be_downloaded(folder, hub, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert editor_is_here("tiny") and editor_is_here(str(folder))
    assert editor_is_here("fasttext2style.editors.load:load_editor")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
    assert not editor_is_here("owner/model")
    snapshot = tmp_path / "models--owner--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--owner--model" / "refs").mkdir()
    (tmp_path / "models--owner--model" / "refs" / "main").write_text("abc")
    shutil.copy(folder / "model_index.json", snapshot)
    assert editor_is_here("owner/model")
    (snapshot / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    with pytest.raises(ValueError, match="owner/model is a DDPMPipeline, which edits no images"):
        editor_is_here("owner/model")


def test_folders_that_are_no_editor(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no model_index\.json"):
        load_editor(str(tmp_path / "empty"))

    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ValueError, match="incomplete or damaged"):
        load_editor(str(broken))

    (broken / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    with pytest.raises(ValueError, match="is a DDPMPipeline, which edits no images"):
        load_editor(str(broken))
    for damaged in ("{", "[1]", "{}", "[" * 100_000):
        (broken / "model_index.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"model_index.json cannot be read"):
            load_editor(str(broken))
    (broken / "model_index.json").write_text('{"_class_name": ["FluxKontextPipeline"]}')
    with pytest.raises(ValueError, match="which edits no images"):
        load_editor(str(broken))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shedule": "x"}, "has no setting shedule; it has dtype.*scheduler.*, and as all editors batch_size, margin"),
        ({"batch_size": 0}, "at least 1 view"),
        ({"batch_size": "many"}, "batch_size is a whole number; got 'many'"),
        ({"native_size": 0.5}, "native_size is a whole number or None; got 0.5"),
        ({"native_size": -64}, "native_size is 0"),
        ({"margin": True}, "margin is a number; got True"),
        ({"dtype": "fp8"}, "dtype is one of auto, fp32, fp16, bf16; got 'fp8'"),
        ({"offload": "yes"}, "offload is True or False; got 'yes'"),
        ({"scheduler": "DDIMSheduler"}, "'DDIMSheduler' is no scheduler.*Did you mean DDIMScheduler"),
        ({"key_views": -1}, "key_views is 0 or more"),
        ({"lora": "a", "lora_weights": "strong"}, "lora_weights are numbers"),
    ],
)
def test_wrong_settings_are_refused_before_weights_are_read(folder, tmp_path, settings, words):
    """The folder has lost its weights: what is said is about the settings."""
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ValueError, match=words):
        load_editor(str(broken), **settings)


def test_an_inpainting_editor_knows_its_own_settings(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionInpaintPipeline"}')
    with pytest.raises(ValueError, match=r"has no setting key_views; it has .*removal_prompt, and as all editors"):
        load_editor(str(tmp_path), key_views=2)
    with pytest.raises(ValueError, match="guidance is 0 or more, got -1"):
        load_editor(str(tmp_path), guidance=-1)


def test_wrong_settings_of_an_editor_of_ones_own_are_named(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    assert load_editor("channel_editor:ChannelEditor", amount=0.5, margin=1).name == "channels"
    with pytest.raises(ValueError, match="has no setting amout; it has amount, and as all editors batch_size"):
        load_editor("channel_editor:ChannelEditor", amout=0.5)
    sys.modules.pop("channel_editor")


def test_an_editor_of_ones_own_by_import_path(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    request = EditRequest(images(), "swap red and blue")
    result = load_editor("channel_editor:ChannelEditor").edit(request)
    torch.testing.assert_close(result.images, request.images.flip(-1))
    sys.modules.pop("channel_editor")


def test_an_editor_of_ones_own_by_entry_point(monkeypatch, tmp_path):
    """As pip installs it: a distribution with metadata on the path."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    metadata = tmp_path / "my_editors-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-editors\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[fasttext2style.editors]\nchannels = channel_editor:ChannelEditor\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_editor("channels").name == "channels"
    with pytest.raises(ValueError, match='"channels"'):
        load_editor("chanels")
    sys.modules.pop("channel_editor")


def test_the_answer_has_room_for_provenance_and_failures():
    result = EditResult(images())
    assert (result.info, result.failed) == ({}, {})


def test_settings_from_a_command_line_arrive_as_numbers_and_truth_values():
    values = {"8": 8, "0.5": 0.5, "True": True, "False": False, "None": None, "fp16": "fp16"}
    arrived = values_of({text: text for text in values})
    assert arrived == {text: value for text, value in values.items()}
    assert [type(arrived[text]) for text in values] == [type(value) for value in values.values()]
