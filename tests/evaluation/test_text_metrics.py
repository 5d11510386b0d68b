"""Text metrics by hand, in a plane where every angle is known."""

import math

import pytest
import torch
from torchmetrics.functional import pairwise_cosine_similarity

from fasttext2style.evaluation.text_metrics import direction_consistency, direction_similarity, embed, similarity
from fasttext2style.guidance.tiny_encoder import TinyEncoder


def _at(*degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angles.cos(), angles.sin()], -1)


def test_similarity_is_the_mean_cosine():
    assert similarity(_at(0.0, 60.0), _at(0.0)[0]) == pytest.approx(0.75, abs=1e-6)
    images = torch.nn.functional.normalize(torch.randn(5, 9), dim=-1)
    text = torch.nn.functional.normalize(torch.randn(9), dim=-1)
    assert similarity(images, text) == pytest.approx(
        float(pairwise_cosine_similarity(images, text[None]).mean()), abs=1e-6
    )


def test_direction_similarity_of_known_ways():
    source, target = _at(0.0)[0], _at(90.0)[0]
    assert direction_similarity(_at(0.0), _at(90.0), source, target) == pytest.approx(1, abs=1e-5)
    assert direction_similarity(_at(90.0), _at(0.0), source, target) == pytest.approx(-1, abs=1e-5)
    # One view as the texts, one not at all.
    assert direction_similarity(_at(0.0, 30.0), _at(90.0, 30.0), source, target) == pytest.approx(0.5, abs=1e-5)


def test_direction_similarity_needs_two_meanings():
    with pytest.raises(ValueError, match="same"):
        direction_similarity(_at(0.0), _at(90.0), _at(10.0)[0], _at(10.0)[0])


def test_direction_consistency_compares_neighbours():
    # Chords from 0 to 2a point along 90 + a degrees.
    before, after = _at(0.0, 0.0, 0.0), _at(40.0, 40.0, 100.0)
    expected = (1 + math.cos(math.radians(30))) / 2
    assert direction_consistency(before, after) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match="two views"):
        direction_consistency(before[:1], after[:1])


def test_embedding_in_chunks_changes_nothing():
    encoder, images = TinyEncoder(), torch.rand(5, 64, 64, 3)
    torch.testing.assert_close(embed(encoder, images, chunk=2), encoder.embed_images(images), atol=1e-5, rtol=0)
