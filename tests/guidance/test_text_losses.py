"""The text losses against plain float64 loops, scipy, numbers worked out by hand, and laws that must hold."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine as scipy_cosine
from scipy.special import logsumexp

from fasttext2style.guidance.text_losses import absolute_cosine, directional, nll_with_negatives


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1)


def test_cosine_agrees_with_scipy():
    images, text = unit(5, 8), unit(8, seed=1)
    expected = -np.mean([1 - scipy_cosine(image, text) for image in images.numpy()])
    assert absolute_cosine(images, text).item() == pytest.approx(expected)


def test_cosine_of_the_text_itself_is_minus_one():
    text = unit(8)
    assert absolute_cosine(3 * text[None], text).item() == pytest.approx(-1)


def test_nll_agrees_with_algorithm_2_line_by_line():
    images, texts, temperature = unit(4, 8), unit(10, 8, seed=1), 0.07
    total = 0.0
    for image in images.numpy():
        weights = [math.exp(float(text @ image) / temperature) for text in texts.numpy()]  # line 8
        total += -math.log(weights[0] / sum(weights))  # line 10
    assert nll_with_negatives(images, texts, temperature).item() == pytest.approx(total / 4)


def test_nll_agrees_with_scipy_at_extreme_temperatures():
    images, texts = unit(3, 8), unit(6, 8, seed=1)
    for temperature in (1e-3, 100.0):
        logits = images.numpy() @ texts.numpy().T / temperature
        expected = (logsumexp(logits, axis=1) - logits[:, 0]).mean()
        assert nll_with_negatives(images, texts, temperature).item() == pytest.approx(expected)


def test_nll_of_the_papers_table_1():
    """A truck among the words of Table 1: 0.07 tells them apart where temperature 1 does not.

    By hand: the eight wrong words weigh exp((cosine - 0.3105) / 0.07), 2.193 together, beside the truck's 1.
    """
    table = [0.3105, 0.1862, 0.2412, 0.2556, 0.2087, 0.2194, 0.1976, 0.2169, 0.2070]
    cosines = torch.tensor(table, dtype=torch.float64)
    # One image along the first axis; each text has the table's cosine with it.
    texts = torch.stack([cosines, (1 - cosines**2).sqrt()], dim=1)
    image = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert nll_with_negatives(image, texts, 1.0).item() == pytest.approx(math.log(9), abs=0.09)
    assert nll_with_negatives(image, texts, 0.07).item() == pytest.approx(math.log(3.193), abs=1e-3)


@given(st.integers(2, 12), st.integers(1, 5))
def test_nll_is_log_of_the_texts_when_all_fit_alike(texts, views):
    text = unit(1, 8)
    assert nll_with_negatives(unit(views, 8, seed=2), text.expand(texts, 8), 0.07).item() == pytest.approx(
        math.log(texts)
    )


@settings(max_examples=30)
@given(st.permutations(range(1, 6)), st.floats(0.01, 1.0))
def test_the_order_of_negatives_does_not_matter(order, temperature):
    images, texts = unit(3, 8), unit(6, 8, seed=1)
    shuffled = texts[[0, *order]]
    torch.testing.assert_close(
        nll_with_negatives(images, shuffled, temperature), nll_with_negatives(images, texts, temperature)
    )


def test_nll_has_the_right_gradient():
    images = unit(3, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda i: nll_with_negatives(i, unit(4, 5, seed=1), 0.07), images)


def test_nll_refuses_what_cannot_work():
    with pytest.raises(ValueError, match=r"at least one negative"):
        nll_with_negatives(unit(2, 4), unit(1, 4), 0.07)
    with pytest.raises(ValueError, match=r"must be positive"):
        nll_with_negatives(unit(2, 4), unit(2, 4), 0.0)


def test_directional_agrees_with_scipy_when_ways_are_long():
    images, originals, text, source = unit(4, 8), unit(4, 8, seed=1), unit(8, seed=2), unit(8, seed=3)
    ways = (images - originals).numpy()
    expected = np.mean([scipy_cosine(way, (text - source).numpy()) for way in ways])
    assert directional(images, originals, text, source, softening=0.0).item() == pytest.approx(expected)
    assert directional(images, originals, text, source).item() == pytest.approx(expected, abs=2e-3)


def test_directional_is_0_along_the_texts_and_2_against_them():
    text, source, original = unit(8), unit(8, seed=1), unit(1, 8, seed=2)
    way = text - source
    assert directional(original + way, original, text, source).item() == pytest.approx(0, abs=2e-3)
    assert directional(original - way, original, text, source).item() == pytest.approx(2, abs=2e-3)


def test_directional_starts_at_1_with_a_bounded_gradient():
    """The first step compares the originals with themselves: no direction yet, and no infinite gradient."""
    original, text, source = unit(1, 8), unit(8, seed=1), unit(8, seed=2)
    images = original.clone().requires_grad_()
    loss = directional(images, original, text, source, softening=0.05)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert images.grad.norm().item() == pytest.approx(1 / 0.05)


def test_directional_needs_two_texts():
    with pytest.raises(ValueError, match=r"mean the same"):
        directional(unit(1, 8), unit(1, 8, seed=1), unit(8), unit(8))


def test_a_wrong_shape_is_refused():
    """The annotations are checked in tests; a text too wide must not broadcast."""
    with pytest.raises(Exception, match=r"(?i)type|shape|dimension"):
        absolute_cosine(unit(3, 8), unit(9))
    with pytest.raises(Exception, match=r"(?i)type|shape|dimension"):
        nll_with_negatives(unit(8), unit(3, 8), 0.07)
