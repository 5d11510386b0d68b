"""The laws of sets, and neighbourhoods against plain loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shared_scenes import blobs

from fasttext2style.selection import algebra
from fasttext2style.selection.selection import Selection

pairs = st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), min_size=0, max_size=30)


def three(rows) -> list[Selection]:
    return [Selection(torch.tensor([row[i] for row in rows]), "abc"[i]) for i in range(3)]


def same(one: Selection, other: Selection) -> bool:
    return torch.equal(one.weights, other.weights)


@given(rows=pairs)
def test_selections_obey_the_laws_of_fuzzy_sets(rows):
    a, b, c = three(rows)
    nothing, everything = Selection(torch.zeros(len(a)), "nothing"), Selection(torch.ones(len(a)), "everything")
    for both in (algebra.union, algebra.intersect):
        assert same(both(a, b), both(b, a))
        assert same(both(a, both(b, c)), both(both(a, b), c))
        assert same(both(a, a), a)
    assert same(algebra.union(a, algebra.intersect(a, b)), a)
    assert same(algebra.intersect(a, algebra.union(a, b)), a)
    distributed = algebra.union(algebra.intersect(a, b), algebra.intersect(a, c))
    assert same(algebra.intersect(a, algebra.union(b, c)), distributed)
    de_morgan = algebra.intersect(algebra.invert(a), algebra.invert(b))
    assert same(algebra.invert(algebra.union(a, b)), de_morgan)
    assert same(algebra.minus(a, b), algebra.intersect(a, algebra.invert(b)))
    assert same(algebra.minus(a, nothing), a)
    assert same(algebra.minus(a, everything), nothing)
    torch.testing.assert_close(algebra.invert(algebra.invert(a)).weights, a.weights, atol=1e-7, rtol=0)


@given(rows=pairs, threshold=st.floats(0, 0.99))
def test_a_higher_threshold_selects_less(rows, threshold):
    a, _, _ = three(rows)
    strict, lax = algebra.thresholded(a, threshold), algebra.thresholded(a, threshold / 2)
    assert (strict.weights <= lax.weights).all()
    assert torch.equal(strict.mask, a.weights > threshold)
    assert same(algebra.thresholded(strict, threshold), strict)


def cloud(seed: int, count: int = 60):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(count, generator=generator) * (torch.rand(count, generator=generator) < 0.4)
    return blobs(torch.rand(count, 3, generator=generator), 0.02), Selection(weights, "cloud")


@given(seed=st.integers(0, 30), distance=st.floats(1e-3, 0.5))
def test_a_feather_is_that_of_a_plain_loop(seed, distance):
    scene, selection = cloud(seed)
    soft = algebra.feather(scene, selection, distance)
    rest = scene.means[~selection.mask].double()
    for row, weight in enumerate(selection.weights.tolist()):
        away = float((rest - scene.means[row].double()).norm(dim=1).min())
        assert soft.weights[row] == pytest.approx(weight * min(1.0, away / distance), rel=1e-4, abs=1e-6)
    assert torch.equal(soft.mask, selection.mask), "nothing comes in, nothing is lost"
    assert same(algebra.feather(scene, selection, 0), selection)


def test_a_feather_of_everything_and_of_less_than_nothing():
    scene, selection = cloud(0)
    everything = Selection(torch.ones(len(scene)), "everything")
    assert same(algebra.feather(scene, everything, 0.3), everything)
    with pytest.raises(ValueError, match="0 or more"):
        algebra.feather(scene, selection, -0.1)


@given(seed=st.integers(0, 30), distance=st.floats(0, 0.5))
def test_growing_and_shrinking_are_those_of_a_plain_loop(seed, distance):
    scene, selection = cloud(seed)
    between = torch.cdist(scene.means.double(), scene.means.double())
    between.fill_diagonal_(0)
    to_selected = between.masked_fill(~selection.mask, float("inf"))
    near, nearest = to_selected.min(dim=1)
    expected = torch.where(near <= distance, selection.weights[nearest], 0.0)
    expected[selection.mask] = selection.weights[selection.mask]
    assert torch.equal(algebra.grow(scene, selection, distance).weights, expected)
    to_others = between.masked_fill(selection.mask, float("inf")).min(dim=1).values
    shrunk = selection.weights.masked_fill(to_others <= distance, 0.0)
    assert torch.equal(algebra.shrink(scene, selection, distance).weights, shrunk)


@given(seed=st.integers(0, 30), distance=st.floats(0.01, 0.5))
def test_growing_is_monotone_and_undone_at_most_by_shrinking(seed, distance):
    scene, selection = cloud(seed)
    grown = algebra.grow(scene, selection, distance)
    assert (algebra.grow(scene, selection, 0.5 * distance).mask <= grown.mask).all()
    # Closing keeps what was there, opening adds nothing.
    assert (selection.mask <= algebra.shrink(scene, grown, distance).mask).all()
    assert (algebra.grow(scene, algebra.shrink(scene, selection, distance), distance).mask <= selection.mask).all()
    assert same(algebra.grow(scene, selection, 0), selection)


def test_nothing_and_everything_stay_as_they_are():
    scene, _ = cloud(0)
    for selection in (Selection(torch.zeros(60), "nothing"), Selection.everything(60)):
        for operation in (algebra.grow, algebra.shrink):
            assert same(operation(scene, selection, 0.3), selection)
        assert algebra.largest_component(scene, selection).count <= selection.count


def test_the_largest_part_is_the_heaviest_touching_body():
    left, right = torch.rand(300, 3), torch.rand(200, 3) + torch.tensor([30.0, 0, 0])
    scene = blobs(torch.cat([left, right]))
    selection = Selection(torch.ones(500), "both")
    assert torch.equal(algebra.largest_component(scene, selection).mask, torch.arange(500) < 300)
    faint = Selection(torch.where(torch.arange(500) < 300, 0.1, 1.0), "left is faint")
    kept = algebra.largest_component(scene, faint)
    assert torch.equal(kept.mask, torch.arange(500) >= 300)
    assert (kept.weights[300:] == 1).all()


def test_what_does_not_fit_together_is_refused():
    scene, selection = cloud(0)
    elsewhere, _ = cloud(1)
    with pytest.raises(ValueError, match=r"scenes with 60 \(cloud\) and 3 Gaussians"):
        algebra.union(selection, Selection.everything(3))
    with pytest.raises(ValueError, match="two scenes of 60 Gaussians"):
        algebra.minus(selection.for_scene(scene), selection.for_scene(elsewhere))
    with pytest.raises(ValueError, match="another scene of 60"):
        algebra.grow(elsewhere, selection.for_scene(scene), 0.1)
    for wrong in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="distance is 0 or more"):
            algebra.shrink(scene, selection, wrong)
    with pytest.raises(ValueError, match=r"lies in \[0, 1\), got 1"):
        algebra.thresholded(selection, 1.0)
    assert algebra.union(selection, selection.for_scene(scene)).scene_mark is not None
