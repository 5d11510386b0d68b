"""Encoder "panorama": what it was tuned on it knows, and says which words it does not; it guides like any other."""

import pytest
import torch

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import encoder_is_here, load_encoder
from fasttext2style.guidance.offline.packages import offline_is_here
from fasttext2style.guidance.offline.panorama import Adapter, PanoramaEncoder, load_adapter, packed_adapter

needs_packages = pytest.mark.skipif(not offline_is_here(), reason='pip install "fasttext2style[offline]"')


def _adapter(seen=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((seen,), (5, seen), (384, 5), (384,), (2, 384))
    return Adapter(*(torch.randn(shape, generator=generator) for shape in shapes))


def test_a_file_keeps_matrices_and_phrases(tmp_path):
    adapter = _adapter()
    (tmp_path / "own.safetensors").write_bytes(packed_adapter(adapter, ["a sunset", "trees"], {"settings": 1}))
    again, learnt = load_adapter(tmp_path / "own.safetensors")
    assert learnt == ("a sunset", "trees")
    for one, other in zip(adapter, again):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_a_picture_is_judged_by_what_it_is_near_to():
    """Against a loop."""
    adapter = _adapter()
    seen = torch.randn(3, 7, generator=torch.Generator().manual_seed(1))
    near = [[(-(row * adapter.scale - centre).square().sum()).exp() for centre in adapter.centres] for row in seen]
    torch.testing.assert_close(adapter.near(seen), torch.tensor(near), rtol=1e-4, atol=1e-6)
    expected = torch.tensor(near) @ adapter.to_said.mT
    torch.testing.assert_close(adapter.images(seen), expected / expected.norm(dim=1, keepdim=True))
    assert adapter.texts(adapter.said[None] + torch.eye(384)[:1])[0, 0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "damage", ["none", "text", "other", "shape"], ids=["missing", "no tensors", "other tensors", "other shapes"]
)
def test_other_files_are_refused(tmp_path, damage):
    path = tmp_path / "own.safetensors"
    if damage == "text":
        path.write_text("hello")
    elif damage == "other":
        path.write_bytes(packed_adapter(_adapter(), ["trees"], {}).replace(b"to_said", b"to_sajd"))
    elif damage == "shape":
        path.write_bytes(packed_adapter(_adapter()._replace(said=torch.zeros(5)), ["trees"], {}))
    with pytest.raises(ValueError, match="no tuned encoder"):
        load_adapter(path)


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("panorama")


@needs_packages
def test_it_is_found_by_name_and_guides(encoder):
    assert isinstance(encoder, TextImageEncoder) and isinstance(encoder, PanoramaEncoder)
    assert encoder_is_here("panorama") and encoder_is_here("panorama-vae")
    images = torch.rand(2, 64, 128, 3, requires_grad=True)
    cosines = encoder.embed_images(images) @ encoder.embed_texts(["a sunset"])[0]
    assert cosines.abs().max() <= 1 + 1e-5
    cosines.sum().backward()
    assert images.grad.abs().sum(-1).gt(0).float().mean() > 0.9
    assert encoder.junk_embeddings().shape[1] == encoder.embed_texts(["a"]).shape[1] == 384


@needs_packages
def test_it_knows_the_papers_sentences_and_says_what_it_does_not(encoder):
    for sentence in (
        "sunset",
        "A sunset in a forest, cloudy, with trees",
        "A sunny day at the beach, clear sky, sand terrain",
        "night, an indoor studio, a hangar, an overcast street",
    ):
        assert not encoder.coverage(sentence).unknown, sentence
    coverage = encoder.coverage("a volcano of marmalade at sunset")
    assert coverage.known == ("sunset",) and coverage.unknown == ("volcano", "marmalade")


@needs_packages
def test_colours_of_the_day_tell_sentences_apart(encoder):
    """A red sky over dark ground, and a blue sky over green ground, as flat as pictures can be."""
    sunset, noon = torch.zeros(64, 128, 3), torch.zeros(64, 128, 3)
    sunset[:32], sunset[32:] = torch.tensor([0.9, 0.5, 0.25]), torch.tensor([0.1, 0.06, 0.05])
    noon[:32], noon[32:] = torch.tensor([0.35, 0.6, 0.95]), torch.tensor([0.35, 0.5, 0.15])
    cosines = encoder.embed_images(torch.stack([sunset, noon])) @ encoder.embed_texts(["sunset", "sunny day, grass"]).mT
    assert cosines[0, 0] - cosines[1, 0] > cosines[0, 1] - cosines[1, 1]
