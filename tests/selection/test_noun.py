"""The noun of a sentence chooses among the candidates, if the encoder knows it; if not, that is said."""

import pytest
import torch
from shared_scenes import toy

from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.offline.packages import offline_is_here
from fasttext2style.selection.automatic import candidates
from fasttext2style.selection.noun import named_among, noun_phrase


@pytest.mark.parametrize(
    "sentence, noun",
    [
        ("a bear made of gold", "bear"),
        ("the stone horse in the style of Van Gogh", "stone horse"),
        ("turn the bear into a panda", "bear"),
        ("make the blue crate look like ice", "blue crate"),
        ("Paint the old vase red", "old vase"),
        ("a red bear", "bear"),
        ("a shiny red bear", "bear"),
        ("remove the red ball", "red ball"),
        ("a red bear with zebra stripes", "bear"),
        ("the red bear with zebra stripes", "red bear"),
        ("make it red", ""),
        ("paint it blue, with dots", ""),
        ("turn it into ice", ""),
        ("made of gold", ""),
        ("", ""),
    ],
)
def test_the_noun_stands_before_what_is_said_about_looks(sentence, noun):
    assert noun_phrase(sentence) == noun


@pytest.fixture(scope="module")
def scene():
    return toy(1)


@pytest.fixture(scope="module")
def found(scene):
    return candidates(scene.gaussians, scene.train_cameras)


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("tiny", None, torch.device("cpu"))


def test_a_colour_in_the_noun_finds_the_thing_of_that_colour(scene, found, encoder):
    """Candidates: the grey bear, the red and white ball, the blue crate, which comes after them."""
    crate = torch.arange(len(scene.gaussians)) < 20_900
    crate &= torch.arange(len(scene.gaussians)) >= 19_200
    blue = named_among(encoder, "a blue crate made of gold", scene.gaussians, scene.train_cameras, found)
    chosen = found[blue.number].mask
    assert (chosen & crate).sum() > 0.8 * chosen.sum()
    assert f"'blue crate' fits number {blue.number + 1} best" in blue.said


def test_a_colour_that_is_wished_for_chooses_nothing(scene, found, encoder):
    """A crate is blue already, and a ball is red: neither is what is meant."""
    for sentence in ("a blue bear", "make the bear blue", "make it red", "a red statue"):
        assert named_among(encoder, sentence, scene.gaussians, scene.train_cameras, found).number == 0


def test_the_likeliest_is_kept_where_the_noun_fits_it_or_is_unknown(scene, found, encoder):
    grey = named_among(encoder, "a grey bear made of gold", scene.gaussians, scene.train_cameras, found)
    assert (grey.number, grey.said) == (0, "")
    unknown = named_among(encoder, "a zeppelin made of gold", scene.gaussians, scene.train_cameras, found)
    assert unknown.number == 0 and "'zeppelin' was not used to find the object: encoder" in unknown.said
    nobody = named_among(None, "turn the bear into a panda", scene.gaussians, scene.train_cameras, found)
    assert nobody.number == 0 and "'bear' was not used to find the object: no text-image encoder" in nobody.said


@pytest.mark.skipif(not offline_is_here(), reason='pip install "fasttext2style[offline]"')
def test_an_encoder_that_knows_things_finds_them_and_invents_none(scene, found):
    """The third candidate is a ball. A statue fits it better than the bear, by less than that means anything."""
    offline = load_encoder("offline", None, torch.device("cpu"))
    for sentence, number in (("a soccer ball made of gold", 2), ("a statue made of gold", 0)):
        assert named_among(offline, sentence, scene.gaussians, scene.train_cameras, found).number == number, sentence
