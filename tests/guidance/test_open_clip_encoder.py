"""Any open_clip model guides: embeddings agree with open_clip's own, and failures are fast and say what to do."""

import sys

import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from fasttext2style.guidance import open_clip_encoder
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import encoder_is_here, load_encoder
from fasttext2style.guidance.open_clip_tuning import OpenClipTuning
from fasttext2style.guidance.prompts import TEMPLATES


def test_image_embeddings_equal_open_clips_own_pipeline(small_clip, small_encoder):
    """On an image that needs a resize, against open_clip's transform on the same 8-bit image."""
    from PIL import Image

    pixels = (torch.rand(80, 80, 3) * 255).to(torch.uint8)
    model, _, preprocess = open_clip.create_model_and_transforms(small_clip[0], pretrained=small_clip[1])
    with torch.no_grad():
        expected = F.normalize(model.eval().encode_image(preprocess(Image.fromarray(pixels.numpy()))[None]), dim=-1)
    found = small_encoder.embed_images(pixels[None].float() / 255)
    # PIL rounds to 8 bits between the two passes of its bicubic resize.
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=0)


def test_text_embeddings_are_the_renormalised_mean_over_templates(small_clip, small_encoder):
    model = open_clip.create_model(small_clip[0], pretrained=small_clip[1]).eval()
    tokenizer = open_clip.get_tokenizer(small_clip[0])
    rows = []
    for text in ("gold", "a wooden bear"):
        with torch.no_grad():
            each = [F.normalize(model.encode_text(tokenizer([t.format(text)]))[0], dim=0) for t in TEMPLATES]
        rows.append(F.normalize(torch.stack(each).mean(0), dim=0))
    torch.testing.assert_close(small_encoder.embed_texts(["gold", "a wooden bear"]), torch.stack(rows))


def test_texts_are_embedded_once(small_encoder, monkeypatch):
    first = small_encoder.embed_texts(["emerald", "emerald", "ruby"])
    monkeypatch.setattr(small_encoder._model, "encode_text", lambda tokens: pytest.fail("embedded again"))
    assert torch.equal(small_encoder.embed_texts(["ruby", "emerald"]), first[[2, 0]])


def test_every_pixel_of_a_large_render_gets_its_gradient(small_encoder):
    """Without antialiasing most pixels of a large render get none, and the style turns into noise."""
    images = torch.rand(1, 160, 160, 3, requires_grad=True)
    small_encoder.embed_images(images)[0, 0].backward()
    assert (images.grad.abs().sum(-1) > 0).float().mean() > 0.99


def test_networks_are_frozen_and_in_eval_mode(small_encoder):
    assert isinstance(small_encoder, TextImageEncoder)
    assert not isinstance(small_encoder, torch.nn.Module)
    assert not small_encoder._model.training
    assert not any(parameter.requires_grad for parameter in small_encoder._model.parameters())


def test_image_features_are_maps_with_gradients(small_encoder):
    images = torch.rand(2, 32, 32, 3, requires_grad=True)
    maps = small_encoder.image_features(images)
    assert [tuple(features.shape) for features in maps] == [(2, 64, 4, 4)] * 2
    sum(features.sum() for features in maps).backward()
    assert images.grad.abs().max() > 0


def test_image_features_come_after_a_quarter_and_a_half_of_the_blocks(small_encoder):
    """Of four blocks: after the first and the second. The class token is no place of the image."""
    found = []
    blocks = small_encoder._model.visual.transformer.resblocks
    hooks = [block.register_forward_hook(lambda _, __, output: found.append(output)) for block in blocks]
    images = torch.rand(1, 32, 32, 3)
    small_encoder.embed_images(images)
    for hook in hooks:
        hook.remove()
    for features, output in zip(small_encoder.image_features(images), found[:2], strict=True):
        torch.testing.assert_close(features.flatten(2).transpose(1, 2), output[:, 1:])


def test_a_model_that_says_nothing_of_its_colours_gets_them_from_minus_1_to_1(small_clip):
    model = open_clip.create_model(small_clip[0], pretrained=small_clip[1])
    del model.visual.preprocess_cfg
    encoder = open_clip_encoder.OpenClipEncoder(model, None, "without a preprocess_cfg")
    for color, expected in ((0.0, -1.0), (0.5, 0.0), (1.0, 1.0)):
        images = torch.full((1, 32, 32, 3), color)
        embedding = F.normalize(model.encode_image(torch.full((1, 3, 32, 32), expected)), dim=-1)
        torch.testing.assert_close(encoder.embed_images(images), embedding)


def test_features_of_residual_networks_too(small_clip):
    trunk = open_clip.model.ModifiedResNet([1, 1, 1, 1], output_dim=16, heads=2, image_size=32, width=8)
    model = open_clip.create_model(small_clip[0])
    model.visual = trunk
    encoder = open_clip_encoder.OpenClipEncoder(model, None, "a small ResNet")
    assert all(features.ndim == 4 for features in encoder.image_features(torch.rand(1, 32, 32, 3)))


def test_every_word_is_known(small_encoder):
    coverage = small_encoder.coverage("A Golden blorpfish!")
    assert coverage.known == ("a", "golden", "blorpfish")
    assert coverage.unknown == ()


def test_safetensors_load_too(small_clip, small_encoder, tmp_path):
    save_file(torch.load(small_clip[1]), tmp_path / "small.safetensors")
    encoder = load_encoder(small_clip[0], str(tmp_path / "small.safetensors"))
    images = torch.rand(1, 32, 32, 3)
    assert torch.equal(encoder.embed_images(images), small_encoder.embed_images(images))
    assert encoder.name == f"{small_clip[0]} (small.safetensors)"


def test_the_last_blocks_of_both_towers_learn_and_what_comes_after_them(small_clip):
    encoder = load_encoder(*small_clip, "cpu")
    tuning = OpenClipTuning(encoder, 1)
    learning = {name for name, weight in encoder._model.named_parameters() if weight.requires_grad}
    # Of four and of one.
    last = ("visual.transformer.resblocks.3.", "transformer.resblocks.0.")
    last = (*last, "visual.ln_post.", "visual.proj", "ln_final.", "text_projection")
    expected = {name for name in encoder._model.state_dict() if name.startswith(last)}
    assert learning == expected and all(any(name.startswith(part) for name in learning) for part in last)
    assert tuning.weights_count == sum(encoder._model.state_dict()[name].numel() for name in learning)
    for blocks in (0, 2):
        with pytest.raises(ValueError, match=f"between 1 and 1 .*got {blocks}"):
            OpenClipTuning(encoder, blocks)


def test_texts_to_tune_by_are_open_clips_own_with_gradients(small_clip):
    """Each of length 1, as it is: without templates."""
    encoder = load_encoder(*small_clip, "cpu")
    tuning, texts = OpenClipTuning(encoder, 1), ["a red bear", "sunset", "snow"]
    found = tuning.embed_texts(texts)
    for text, embedding in zip(texts, found, strict=True):
        own = encoder._model.encode_text(open_clip.get_tokenizer(small_clip[0])([text]))[0]
        torch.testing.assert_close(embedding, own / own.norm())
    found[0, 0].backward()
    assert encoder._model.ln_final.bias.grad.any()


def test_a_wrong_name_gets_suggestions():
    with pytest.raises(ValueError, match=r"no encoder called 'VitB32'.*ViT-B-32"):
        load_encoder("VitB32")
    with pytest.raises(ValueError, match=r"list_models"):
        load_encoder("qqqqqqqqq")


def test_a_wrong_tag_gets_suggestions():
    with pytest.raises(ValueError, match=r"neither a file nor a tag.*laion2b_s34b_b79k"):
        load_encoder("ViT-B-32", "laion2b_s34b")


def test_a_model_with_several_weights_asks_which():
    with pytest.raises(ValueError, match=r"choose --encoder-weights from.*openai"):
        load_encoder("ViT-B-16")


def test_weights_of_another_model_are_refused(small_clip, tmp_path):
    state = torch.load(small_clip[1])
    state["visual.conv1.weight"] = torch.zeros(64, 3, 16, 16)
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"could not be loaded.*conv1"):
        load_encoder(small_clip[0], str(tmp_path / "other.pt"))
    (tmp_path / "broken.pt").write_bytes(b"not weights")
    with pytest.raises(ValueError, match=r"could not be loaded with weights"):
        load_encoder(small_clip[0], str(tmp_path / "broken.pt"))


def test_without_a_network_one_quick_error_names_both_ways_out(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "open_clip", None)  # cannot be imported, which would take seconds
    for name, weights in (("ViT-B-32", None), ("ViT-B/32", None), ("ViT-B-32", "datacomp_xl_s13b_b90k")):
        for ask in (load_encoder, encoder_is_here):
            with pytest.raises(ValueError, match=r"--encoder tiny.*--encoder-weights /path/to/file"):
                ask(name, weights)


def test_the_hub_is_asked_unless_the_user_works_offline(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(open_clip_encoder, "reachable", lambda url: asked.append(url) or True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"cannot be downloaded"):
        open_clip_encoder._find_weights("ViT-B-32", None)
    assert not asked
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert open_clip_encoder._find_weights("ViT-B-32", None)[0] == "laion2b_s34b_b79k" and len(asked) == 1


def test_openai_weights_get_quick_gelu_under_the_plain_name(monkeypatch):
    """OpenAI trained with QuickGELU; open_clip only warns when it builds the model without."""
    monkeypatch.setattr(open_clip_encoder, "_in_cache", lambda config: True)
    assert open_clip_encoder._find_weights("ViT-B-32", "openai") == ("openai", True)
    assert open_clip_encoder._find_weights("ViT-B-32", None) == ("laion2b_s34b_b79k", False)


def test_weights_in_the_cache_need_no_network(monkeypatch, tmp_path):
    folder = tmp_path / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "open_clip_model.safetensors").write_bytes(b"")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert open_clip_encoder._find_weights("ViT-B-32", None)[0] == "laion2b_s34b_b79k"


def test_what_is_here_is_told_from_what_must_be_downloaded(monkeypatch, tmp_path, small_clip, hub):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert encoder_is_here("tiny")
    assert encoder_is_here(small_clip[0], str(small_clip[1]))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
    assert not encoder_is_here("ViT-B/32")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match="cannot be downloaded"):
        encoder_is_here("ViT-B-32")
    with pytest.raises(ValueError, match="There is no encoder"):
        encoder_is_here("ViT-B-33")
    folder = tmp_path / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "open_clip_model.safetensors").write_bytes(b"")
    assert encoder_is_here("ViT-B-32")
