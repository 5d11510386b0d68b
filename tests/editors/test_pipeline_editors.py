"""Editors on pipelines as they are: real classes at tiny size, every part of a request that they say they heed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_pipelines import tiny_flux_kontext, tiny_inpainting, tiny_qwen_image_edit, tiny_sdxl_instruct_pix2pix

from fasttext2style.editors.diffusion.flux_kontext import FluxKontextEditor
from fasttext2style.editors.diffusion.inpainting import InpaintingConfig, InpaintingEditor
from fasttext2style.editors.diffusion.pipeline_editor import PipelineConfig
from fasttext2style.editors.diffusion.qwen_image_edit import QwenImageEditor
from fasttext2style.editors.diffusion.sdxl_instruct_pix2pix import SdxlInstructPix2PixEditor
from fasttext2style.editors.editor import EditRequest, ImageEditor
from fasttext2style.editors.load import load_editor

KINDS = {
    "inpainting": (tiny_inpainting, InpaintingEditor),
    "sdxl": (tiny_sdxl_instruct_pix2pix, SdxlInstructPix2PixEditor),
    "kontext": (tiny_flux_kontext, FluxKontextEditor),
}

CHANGES = {
    "condition": torch.zeros(2, 24, 40, 3),
    "negative": "stone",
    "seed": 4,
    "guidance": 2.0,
    "image_guidance": 3.0,
    "strength": (0.3, 0.3),
}


@pytest.fixture(scope="module", params=KINDS)
def editor(request) -> ImageEditor:
    make, editor_class = KINDS[request.param]
    return editor_class(make())


def wish(**changes) -> EditRequest:
    mask = torch.zeros(2, 24, 40, 1)
    mask[:, 8:20, 8:20] = 1
    images = torch.rand(2, 24, 40, 3, generator=torch.Generator().manual_seed(1))
    return replace(EditRequest(images, "make it red", mask=mask, strength=(1.0, 1.0), steps=3), **changes)


def test_size_and_progress_are_the_requests(editor):
    seen = []
    result = editor.edit(wish(), on_step=lambda done, total: seen.append((done, total)))
    assert result.images.shape == (2, 24, 40, 3)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert result.images.isfinite().all()
    assert isinstance(editor, ImageEditor)


def test_capabilities_are_what_changes_the_edit(editor):
    plain = editor.edit(wish()).images
    for name, value in CHANGES.items():
        changed = not torch.equal(editor.edit(wish(**{name: value})).images, plain)
        assert changed == (name in editor.capabilities), name
    assert not torch.equal(editor.edit(wish(instruction="gold")).images, plain)
    assert torch.equal(editor.edit(wish()).images, plain)


def test_a_view_is_edited_alike_alone_and_in_a_batch(editor):
    request = wish(shared_noise=False, view_ids=(3, 5))
    together = editor.edit(request).images
    alone = torch.cat([editor.edit(request.select([row])).images for row in range(2)])
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=0)


def test_partial_inpainting_makes_all_its_steps():
    seen = []
    editor = InpaintingEditor(tiny_inpainting())
    editor.edit(wish(strength=(0.3, 0.3)), on_step=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_removal_asks_for_background_and_forgets_the_object():
    editor = InpaintingEditor(tiny_inpainting())
    removed = editor.edit(wish(mode="remove", strength=(0.3, 0.3))).images
    described = editor.edit(wish(instruction=InpaintingConfig().removal_prompt)).images
    assert torch.equal(removed, described)
    with pytest.raises(ValueError, match="needs a mask"):
        editor.edit(wish(mask=None))


def test_guidance_in_the_models_own_terms():
    pipeline = tiny_flux_kontext()
    default = FluxKontextEditor(pipeline).edit(wish()).images
    stronger = FluxKontextEditor(pipeline, config=PipelineConfig(guidance=6.0)).edit(wish()).images
    assert not torch.equal(default, stronger)


def test_loaded_from_a_folder_each_kind_becomes_its_editor(tmp_path):
    for name, (make, editor_class) in KINDS.items():
        make().save_pretrained(tmp_path / name)
        editor = load_editor(str(tmp_path / name), native_size=32, dtype="fp32")
        assert type(editor.editor) is editor_class
    images = wish().images
    result = editor.edit(wish())
    outside = (wish().mask == 0).expand_as(images)
    assert torch.equal(result.images[outside], images[outside])
    assert not torch.equal(result.images, images)
    assert result.info["left_out"] == ["strength"]
    editor.close()


@pytest.mark.slow
@pytest.mark.parametrize("plus", [False, True])
def test_qwen_edits_one_view_at_a_time_and_heeds_what_it_says(plus):
    editor = QwenImageEditor(tiny_qwen_image_edit(plus))
    two, seen = replace(wish(steps=1), images=torch.rand(2, 32, 48, 3), mask=None), []
    result = editor.edit(two, on_step=lambda done, total: seen.append((done, total)))
    assert result.images.shape == (2, 32, 48, 3)
    assert seen == [(1, 2), (2, 2)]
    request = two.select([0])
    plain = editor.edit(request).images
    torch.testing.assert_close(plain, result.images[:1], atol=1e-4, rtol=0)
    for change in ({"condition": 1 - request.images}, {"negative": "stone"}, {"seed": 4}, {"instruction": "gold"}):
        assert not torch.equal(editor.edit(replace(request, **change)).images, plain), change
