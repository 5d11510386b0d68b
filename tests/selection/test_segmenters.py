"""Segmenters: published kinds of models at tiny sizes, loaded from folders, and the packaged encoder on crops."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_segmenters
import torch
from safetensors.torch import load_file, save_file
from tiny_segmenters import as_pil, pictures
from torch.nn import functional

from fasttext2style.guidance.load import load_encoder
from fasttext2style.selection.segmenters import grounded_sam, sam3
from fasttext2style.selection.segmenters.clipseg import ClipSeg
from fasttext2style.selection.segmenters.encoder import EncoderSegmenter, by_color, spread
from fasttext2style.selection.segmenters.grounded_sam import GroundedSam
from fasttext2style.selection.segmenters.load import load_segmenter


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of folders."""
    folder = tmp_path_factory.mktemp("segmenters")
    for kind in ("clipseg", "grounding_dino", "sam2", "sam3"):
        torch.manual_seed(0)
        getattr(tiny_segmenters, f"save_{kind}")(folder / kind)
    return folder


def grounded(models: Path, sam: str = "sam2") -> GroundedSam:
    segmenter = load_segmenter(f"{models / 'grounding_dino'}+{models / sam}")
    assert isinstance(segmenter, GroundedSam)
    return segmenter


def test_clipseg_gives_its_probabilities_at_the_images_size(models):
    segmenter, images = load_segmenter(models / "clipseg"), pictures(3)
    assert isinstance(segmenter, ClipSeg)
    masks = segmenter.masks(images, "the bear")
    pictures_of_it = [as_pil(image) for image in images]
    inputs = segmenter._processor(text=["the bear"] * 3, images=pictures_of_it, return_tensors="pt")
    with torch.no_grad():
        logits = segmenter._model(**inputs).logits
    expected = functional.interpolate(logits[:, None], size=(48, 64), mode="bilinear")[:, 0].sigmoid()
    torch.testing.assert_close(masks, expected, atol=1e-5, rtol=0)
    assert (segmenter.masks(images, "a ball") - masks).abs().max() > 0.01
    assert not segmenter._model.training


def test_grounding_dino_gives_boxes_in_pixels_of_the_picture(models):
    segmenter = grounded(models)
    boxes = segmenter.boxes(as_pil(pictures()[0]), "The Bear")
    inputs = segmenter._detector_processor(images=as_pil(pictures()[0]), text="the bear.", return_tensors="pt")
    with torch.no_grad():
        output = segmenter._detector(**inputs)
    x, y, width, height = output.pred_boxes[0].unbind(dim=-1)
    corners = torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], dim=-1)
    scores = output.logits[0].sigmoid().amax(dim=-1)
    expected = (corners * torch.tensor([64.0, 48, 64, 48]))[scores > grounded_sam.BOX_SCORE]
    assert len(expected) > 0
    torch.testing.assert_close(boxes, expected, atol=1e-3, rtol=0)


def test_sam2_draws_the_union_of_what_is_in_the_boxes(models):
    segmenter, images = grounded(models), pictures()
    masks = segmenter.masks(images, "the bear")
    assert masks.shape == images.shape[:3]
    boxes = segmenter.boxes(as_pil(images[1]), "the bear")
    inputs = segmenter._sam_processor(images=as_pil(images[1]), return_tensors="pt")
    scaled = boxes * torch.tensor([1.0, 64 / 48]).repeat(2)
    with torch.no_grad():
        output = segmenter._sam(inputs["pixel_values"], input_boxes=scaled[None], multimask_output=False)
    each = functional.interpolate(output.pred_masks[0], size=(48, 64), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(masks[1], each.sigmoid().amax(dim=0), atol=1e-4, rtol=0)
    assert masks[1].std() > 0.05


def test_no_box_means_nothing_found(models, monkeypatch):
    monkeypatch.setattr(grounded_sam, "BOX_SCORE", 1.0)
    assert not grounded(models).masks(pictures(), "the bear").any()


def test_sam3_takes_the_union_of_all_things_above_the_score(models, monkeypatch):
    monkeypatch.setattr(sam3, "SCORE", 0.25)
    segmenter, images = load_segmenter(models / "sam3"), pictures()
    assert isinstance(segmenter, sam3.Sam3)
    masks = segmenter.masks(images, "the bear")
    for mask, image in zip(masks, images):
        inputs = segmenter._processor(images=as_pil(image), text="the bear", return_tensors="pt")
        with torch.no_grad():
            output = segmenter._model(**inputs)
        scores = output.pred_logits.sigmoid() * output.presence_logits.sigmoid()
        chosen = output.pred_masks.sigmoid()[0, scores[0] > 0.25]
        each = functional.interpolate(chosen[None], size=(48, 64), mode="bilinear", align_corners=False)[0] > 0.5
        assert torch.equal(mask, each.any(dim=0).float())
    assert 0 < masks.mean() < 1
    monkeypatch.setattr(sam3, "SCORE", 1.0)
    assert not segmenter.masks(images, "the bear").any()


def test_a_thing_counts_to_sam3_from_one_half_on(models, monkeypatch):
    segmenter = load_segmenter(models / "sam3")
    ask, asked = segmenter._processor.post_process_instance_segmentation, []
    monkeypatch.setattr(
        segmenter._processor,
        "post_process_instance_segmentation",
        lambda *outputs, **settings: (asked.append(settings["threshold"]), ask(*outputs, **settings))[1],
    )
    segmenter.masks(pictures(), "the bear")
    assert asked == [0.5, 0.5]


def test_published_sams_are_trackers_of_videos_with_the_model_inside(models, monkeypatch):
    """Their config.json says sam2_video and sam3_video, and their weights have parts that pictures do not need."""
    monkeypatch.setattr(sam3, "SCORE", 0.25)
    for kind in ("sam2", "sam3"):
        tiny_segmenters.save_as_tracker(models / kind, models / f"{kind}_video")
        assert json.loads((models / f"{kind}_video" / "config.json").read_text())["model_type"] == f"{kind}_video"
    expected = grounded(models).masks(pictures(), "the bear")
    assert torch.equal(grounded(models, "sam2_video").masks(pictures(), "the bear"), expected)
    expected = load_segmenter(models / "sam3").masks(pictures(), "the bear")
    assert torch.equal(load_segmenter(models / "sam3_video").masks(pictures(), "the bear"), expected)


def test_weights_that_lack_a_part_are_refused_instead_of_filled_with_noise(models, tmp_path):
    shutil.copytree(models / "clipseg", tmp_path / "broken")
    path = tmp_path / "broken" / "model.safetensors"
    weights = load_file(path)
    lost = next(name for name in weights if name.startswith("decoder.film_mul"))
    save_file({name: value for name, value in weights.items() if name != lost}, path, {"format": "pt"})
    with pytest.raises(ValueError, match=f"broken could not be loaded: its weights lack {lost}"):
        load_segmenter(tmp_path / "broken")


def test_what_is_no_segmenter_is_refused_in_words(models, tmp_path):
    with pytest.raises(ValueError, match="SAM 2, which reads no text: put a detector before it"):
        load_segmenter(models / "sam2")
    with pytest.raises(ValueError, match="clipseg is a clipseg; a detector's boxes become masks by a SAM 2"):
        load_segmenter(f"{models / 'grounding_dino'}+{models / 'clipseg'}")
    with pytest.raises(ValueError, match=r"no segmenter 'bears'.*clipseg, .*a folder, a hub id.*module:attr"):
        load_segmenter("bears")
    for damaged in (None, "[]", "[" * 100_000):
        if damaged:
            (tmp_path / "config.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"config.json cannot be read"):
            load_segmenter(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="is a bert, which finds nothing by a text here; known are clipseg"):
        load_segmenter(tmp_path)
    # Tests run offline, wherever they run: either the hub cannot be reached or its client refuses.
    with pytest.raises(
        ValueError, match=r"CIDAS/clipseg-rd64-refined .*(cannot be reached|could not be loaded).*encoder"
    ):
        load_segmenter("clipseg")


@pytest.mark.parametrize(
    ("there", "message"),
    [(False, "is not on this machine, and .* cannot be reached"), (True, "could not be loaded from")],
)
def test_a_hub_out_of_reach_is_told_from_one_that_refuses(monkeypatch, there, message):
    """Tests run offline: the hub's client refuses by itself."""
    monkeypatch.setattr("fasttext2style.selection.segmenters.pretrained.reachable", lambda url: there)
    with pytest.raises(ValueError, match=f"CIDAS/clipseg-rd64-refined {message}"):
        load_segmenter("clipseg")


def test_the_encoder_finds_a_blue_disc_among_other_colors():
    y, x = torch.meshgrid(torch.arange(96), torch.arange(128), indexing="ij")
    images = torch.tensor([0.55, 0.5, 0.45]).expand(2, 96, 128, 3).clone()
    discs = [(x - 40) ** 2 + (y - 50) ** 2 < 22**2, (x - 95) ** 2 + (y - 40) ** 2 < 22**2]
    for image, (blue, red) in zip(images, (discs, discs[::-1])):
        image[blue], image[red] = torch.tensor([0.1, 0.2, 0.8]), torch.tensor([0.8, 0.1, 0.1])
    segmenter = load_segmenter("encoder")
    for text, exact in (("the blue disc", torch.stack(discs)), ("something red", torch.stack(discs[::-1]))):
        masks = segmenter.masks(images, text)
        found = masks > 0.5
        assert 0 <= masks.min() <= masks.max() <= 1
        assert (found & exact).sum() / (found | exact).sum() > 0.95


def test_the_encoder_refuses_what_it_has_no_word_for():
    segmenter = load_segmenter("tiny")
    with pytest.raises(ValueError, match=r"knows no word of 'the bear'.*for example: .*clipseg, grounded-sam, sam3"):
        segmenter.masks(pictures(), "the bear")
    never = EncoderSegmenter(load_encoder("tiny"), least_similarity=1.0)
    assert not never.masks(pictures(), "blue").any()


def test_scores_of_crops_are_spread_bilinearly():
    grid = torch.rand(2, 4, 5)
    spread_grid = spread(grid, 8, 20, 30)
    torch.testing.assert_close(spread_grid[:, ::8, ::8], grid[:, :3, :4])
    torch.testing.assert_close(spread_grid[0, 3, 16], 0.625 * grid[0, 0, 2] + 0.375 * grid[0, 1, 2])


def test_pixels_of_one_color_share_one_score():
    images = torch.zeros(2, 6, 8, 3)
    images[:, :, 4:] = torch.tensor([0.9, 0.5, 0.1])
    scores = torch.rand(2, 6, 8)
    shared = by_color(scores, images)
    torch.testing.assert_close(shared[:, :, :4], scores[:, :, :4].mean().expand(2, 6, 4))
    torch.testing.assert_close(shared[:, :, 4:], scores[:, :, 4:].mean().expand(2, 6, 4))
