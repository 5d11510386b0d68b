"""Encoders learn what is said of panoramas, and are measured so that finding everything alike does not pay."""

import math
import random
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from fasttext2style.envmaps.captions import learnt_phrases, phrases_of, sentence
from fasttext2style.envmaps.files import write_panorama
from fasttext2style.envmaps.folder import Captioned, Split
from fasttext2style.envmaps.tuned_encoders import tune_encoder
from fasttext2style.envmaps.tuning import contrast, fit_adapter, junk_views, measured, said_of, views_of
from fasttext2style.envmaps.tuning_settings import TuneSettings
from fasttext2style.guidance.tiny_encoder import TinyEncoder
from tests.guidance.conftest import small_clip, small_encoder  # noqa: F401 (fixtures)


def _one(name, tags, categories=("outdoor",)):
    return Captioned(Path(name), tags=tuple(tags), categories=tuple(categories))


BEACH, FOREST = _one("a.hdr", ["beach", "sand"], ["outdoor", "clear"]), _one("b.hdr", ["forest"])


def test_a_sentence_says_what_is_true_and_by_which_words():
    draw = random.Random(0)
    for _ in range(50):
        text, parts = sentence(BEACH, draw)
        assert text and {"beach", "sand", "outdoor", "clear"}.issuperset(parts) and parts
        assert any(phrase in text for phrase in phrases_of(BEACH))
    assert {sentence(BEACH, random.Random(1))[0]} == {sentence(BEACH, random.Random(1))[0]}
    learnt = learnt_phrases([BEACH, FOREST])
    assert "with trees" in learnt and "sand terrain" in learnt and "night" in learnt and "hangar" not in learnt


def test_what_is_said_of_several_belongs_to_all_of_them():
    belongs = said_of([BEACH, FOREST], [("outdoor",), ("beach", "outdoor"), ("forest",)])
    assert belongs.tolist() == [[True, True, False], [True, False, True]]


def test_contrast_is_known_by_hand():
    """All alike: log(3) for two views of three texts, log(2) the other way; each sure of its own: nothing."""
    same = F.normalize(torch.ones(5, 4), dim=1)
    belongs = torch.tensor([[True, False, True], [False, True, True]])
    assert float(contrast(same[:2], same[:3], belongs, 0.1)) == pytest.approx((math.log(3) + math.log(2)) / 2, rel=1e-5)
    sure = torch.eye(3)
    assert float(contrast(sure, sure, sure.bool(), 0.01)) < 1e-6
    junk = torch.cat([belongs, torch.zeros(1, 3, dtype=torch.bool)])
    assert float(contrast(same[:3], same[:3], junk, 0.1)) == pytest.approx(math.log(3), rel=1e-5)


def test_finding_everything_alike_finds_nothing():
    images, texts = torch.eye(3)[:, None].expand(-1, 4, -1), torch.eye(3)
    found = measured(images, texts)
    assert found.top_1 == 1 and found.caption_cosine == 1 and found.chance == pytest.approx(1 / 3)
    alike = measured(torch.ones(3, 4, 2), torch.ones(3, 2))
    assert alike.top_1 == 0 and alike.caption_cosine > 1
    assert measured(images.roll(1, dims=0), texts).top_1 == 0


def test_views_and_junk_are_the_same_at_every_call():
    panoramas = torch.rand(2, 16, 32, 3, generator=torch.Generator().manual_seed(0))
    views = views_of(panoramas, 8, 3, seed=1)
    assert views.shape == (2, 3, 8, 8, 3) and torch.equal(views, views_of(panoramas, 8, 3, seed=1))
    assert not torch.equal(views, views_of(panoramas, 8, 3, seed=2))
    junk = junk_views(4, views[0], 0)
    assert junk.shape == (4, 8, 8, 3) and float(junk.min()) >= 0 and float(junk.max()) <= 1


def test_an_adapter_finds_captions_of_panoramas_that_it_did_not_see():
    """What is seen is a hidden linear map of what is said, and noise; unseen mixtures of the same words are found."""
    generator = torch.Generator().manual_seed(0)
    words = {f"word{number}": torch.randn(384, generator=generator) for number in range(12)}
    hidden = torch.randn(384, 80, generator=generator) / 20

    def embed(texts):
        vectors = [sum(words[word] for word in words if word in text.replace(",", " ").split()) for text in texts]
        return F.normalize(torch.stack(vectors), dim=1)

    pairs = [(a, b) for a in range(12) for b in range(a + 1, 12)]
    ones = [_one(f"{a}_{b}.hdr", [f"word{a}", f"word{b}"], []) for a, b in pairs]
    seen = embed([one.caption for one in ones]) @ hidden
    seen = seen[:, None] + 0.02 * torch.randn(len(ones), 5, 80, generator=generator)
    train, test = list(range(0, 60)), list(range(60, 66))
    junk = torch.randn(10, 80, generator=generator) * 0.1
    adapter = fit_adapter(
        seen[train], junk, [ones[i] for i in train], embed, TuneSettings(ridge=1e-3, colours=1.0, centres=200)
    )
    captions = adapter.texts(embed([ones[i].caption for i in test]))
    found = measured(adapter.images(seen[test]), captions)
    assert found.top_1 == 1 and found.caption_cosine > 0.5
    held = fit_adapter(seen[train], junk, [ones[i] for i in train], embed, TuneSettings(ridge=1e6, centres=200))
    assert float(held.to_said.norm()) < 0.01 * float(adapter.to_said.norm())
    with pytest.raises(ValueError, match="Nothing is said"):
        fit_adapter(seen[:1], junk, [_one("a.hdr", [], [])], embed, TuneSettings())


@pytest.fixture()
def parts(tmp_path):
    """Red and blue panoramas, which is said of them."""
    found = []
    for number in range(10):
        colour = torch.tensor([0.6, 0.1, 0.1] if number % 2 else [0.1, 0.1, 0.6])
        light = colour * (0.5 + torch.rand(16, 32, 1, generator=torch.Generator().manual_seed(number)))
        path = tmp_path / f"place{'abcdefghij'[number]}.hdr"
        write_panorama(path, light)
        found.append(Captioned(path, ("sunset",) if number % 2 else ("night",), ("red" if number % 2 else "blue",)))
    return Split(found[:6], found[6:8], found[8:])


def test_the_last_blocks_of_a_clip_learn_and_are_read_again(small_clip, small_encoder, parts, tmp_path):  # noqa: F811
    """The real class at a tiny size: the loss is learnt, only the last blocks move, and the file is a CLIP's."""
    import json

    from fasttext2style.guidance.load import load_encoder

    encoder = load_encoder(*small_clip, "cpu")
    before = {name: value.clone() for name, value in encoder._model.state_dict().items()}
    settings = TuneSettings(steps=25, batch=6, rate=3e-3)
    path = tune_encoder(encoder, parts, settings, tmp_path / "out")
    moved = {name for name, value in encoder._model.state_dict().items() if not torch.equal(value, before[name])}
    last = ("visual.transformer.resblocks.3.", "transformer.resblocks.0.", "visual.ln_post", "visual.proj", "ln_final")
    assert moved and all(name.startswith((*last, "text_projection")) for name in moved)
    assert not any(parameter.requires_grad for parameter in encoder._model.parameters())
    again = load_encoder(small_clip[0], str(path), "cpu")
    assert torch.equal(again.embed_texts(["sunset"]), encoder.embed_texts(["sunset"]))
    report = json.loads((tmp_path / "out" / "tuning.json").read_text())
    assert report["after"]["top_1"] == 1 > report["before"]["top_1"] - 0.5
    assert report["after"]["caption_cosine"] != report["before"]["caption_cosine"]
    assert set(report["trained_on"]) == {one.slug for one in (*parts.train, *parts.validation)}


def test_what_cannot_be_tuned_is_said(parts, small_encoder, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match="tiny cannot be tuned"):
        tune_encoder(TinyEncoder(), parts, TuneSettings(), tmp_path)
    silent = parts._replace(test=[Captioned(one.path) for one in parts.test])
    with pytest.raises(ValueError, match="Nothing is said of place"):
        tune_encoder(small_encoder, silent, TuneSettings(), tmp_path)
    with pytest.raises(ValueError, match="--blocks lies between 1 and 1"):
        tune_encoder(small_encoder, parts, TuneSettings(blocks=3), tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"steps": 0}, "--steps"), ({"ridge": 0.0}, "--ridge"), ({"rate": math.nan}, "--rate"), ({"views": 1}, "--views")],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        TuneSettings(**settings).check()
