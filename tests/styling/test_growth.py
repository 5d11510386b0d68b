"""Densification of an object: what is pulled hardest grows first, under a cap; what is faint goes; weights come along.

How hard each Gaussian is pulled is said by hand: gradients of places on a screen that is two pixels wide and high.
"""

import pytest
import torch

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig, ObjectGrowth

COUNT = 10
TINY, LARGE = -10.0, -2.0
"""Logarithms of scales; the object's extent is about 1, a hundredth of which parts clones from splits."""
EVERY = GrowthConfig(enabled=True, every=2, max_factor=2.0, gradient_threshold=0.5)


def _object(log_scales=TINY, logit_opacities=2.0, weights=1.0, size=1.0) -> EditableObject:
    generator = torch.Generator().manual_seed(0)
    one = torch.ones(COUNT)
    scene = Gaussians(
        means=size * torch.nn.functional.normalize(torch.randn(COUNT, 3, generator=generator), dim=1),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(COUNT, 1),
        log_scales=(log_scales * one)[:, None].repeat(1, 3),
        logit_opacities=logit_opacities * one,
        sh_dc=torch.arange(COUNT).float()[:, None].repeat(1, 3),  # which one it is
        sh_rest=torch.zeros(COUNT, 3, 3),
    )
    return EditableObject(scene, Selection(weights * one, "test"))


def _growth(edit, config=EVERY, steps=100, **settings):
    optimizers = {name: torch.optim.Adam([parameter]) for name, parameter in edit.parameters.items()}
    return ObjectGrowth(config, edit, optimizers, steps, **settings)


def _grow(growth, pulls, numbers=(0, 1), seen=None, width=2) -> list[bool]:
    """Steps with gradients [views, gaussians] along x; tells after which of them the number of Gaussians changed."""
    changed, pulls = [], torch.atleast_2d(pulls)
    for number in numbers:
        # Like a rasterizer's places: no leaf, so that gradients are only kept when they are asked for.
        places = torch.zeros(*pulls.shape, 2, requires_grad=True) * 1.0
        radii = torch.ones(pulls.shape, dtype=torch.int32) if seen is None else seen
        growth.before_backward(
            {"means2d": places, "radii": radii, "width": width, "height": 2, "n_cameras": len(pulls)}
        )
        (places[..., 0] * pulls).sum().backward()
        changed.append(growth.after_step(number))
    return changed


def _which(edit) -> list[int]:
    return edit.parameters["features_dc"][:, 0].long().tolist()


def test_the_cap_takes_the_strongest_pulled_first():
    edit = _object()
    growth = _growth(edit, GrowthConfig(enabled=True, every=2, max_factor=1.3, gradient_threshold=0.5))
    pulls = torch.tensor([0.6, 0.9, 5.0, 0.7, 3.0, 0.8, 4.0, 2.0, 0.55, 1.0])
    assert _grow(growth, pulls) == [False, True]
    assert _which(edit) == [*range(10), 2, 4, 6]
    assert edit.has_grown and len(edit.weights) == 13


def test_an_object_grows_by_half_at_most_unless_it_is_told_otherwise():
    edit = _object()
    _grow(_growth(edit, GrowthConfig(enabled=True, every=2)), torch.full((COUNT,), 9.0))
    assert len(edit) == COUNT * 3 // 2


def test_an_object_at_its_cap_grows_no_more():
    edit = _object()
    growth = _growth(edit, GrowthConfig(enabled=True, every=2, max_factor=1.0, gradient_threshold=0.5))
    assert _grow(growth, torch.full((COUNT,), 9.0)) == [False, False]
    assert len(edit) == COUNT and not edit.has_grown


def test_only_what_is_pulled_beyond_the_threshold_grows():
    edit = _object()
    pulls = torch.full((COUNT,), 0.4)
    pulls[7] = 0.6
    _grow(_growth(edit), pulls)
    assert _which(edit) == [*range(10), 7]


def test_small_ones_are_cloned_in_place_and_large_ones_split_in_two():
    edit = _object(torch.tensor([TINY] * 5 + [LARGE] * 5))
    original = edit.original
    pulls = torch.zeros(COUNT)
    pulls[[1, 6]] = 1.0
    _grow(_growth(edit), pulls)
    assert _which(edit) == [0, 1, 2, 3, 4, 5, 7, 8, 9, 1, 6, 6]
    means, log_scales = edit.parameters["means"], edit.parameters["scales"]
    assert torch.equal(means[9], original.means[1])
    # Kerbl et al. 5.2: the halves are 1.6 times smaller and drawn from the one that they replace.
    torch.testing.assert_close(log_scales[10:].exp(), original.scales[[6, 6]] / 1.6)
    assert 0 < (means[10:] - original.means[6]).norm(dim=1).max() < 5 * original.scales[6, 0]


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0])
def test_what_is_small_is_a_matter_of_the_objects_own_size(size):
    """A hundredth of its extent, the distance of its farthest Gaussian from their mean, parts clones from splits."""
    places = _object(size=size).original.means
    extent = float((places - places.mean(dim=0)).norm(dim=1).max())
    edit = _object(torch.tensor([0.009 * extent] * 5 + [0.011 * extent] * 5).log(), size=size)
    pulls = torch.zeros(COUNT)
    pulls[[1, 6]] = 1.0
    _grow(_growth(edit), pulls)
    assert _which(edit) == [0, 1, 2, 3, 4, 5, 7, 8, 9, 1, 6, 6]  # a clone keeps its place, a split one goes


def test_pulls_are_averaged_over_the_views_that_show_a_gaussian():
    """The screen is 2 wide and has 20 pixels, the loss is a mean over 2 views: 0.03 a pixel is a pull of 0.6."""
    edit, seen, pulls = _object(), torch.ones(2, COUNT, dtype=torch.int32), torch.zeros(2, COUNT)
    pulls[0, 3] = pulls[0, 4] = 0.03
    seen[1, 3] = 0
    _grow(_growth(edit), pulls, seen=seen, width=20)
    assert _which(edit) == [*range(10), 3]  # 4 is seen in the other view, too, and pulled by 0.3 on average


def test_growth_is_every_so_many_steps_and_not_in_the_last_fifth():
    edit = _object()
    growth = _growth(edit, GrowthConfig(enabled=True, every=3, max_factor=9.0, gradient_threshold=0.5), steps=20)
    grown_after = []
    for number in range(20):
        pulls = torch.zeros(len(edit))
        pulls[0] = 1.0
        grown_after += [number + 1] if _grow(growth, pulls, [number]) == [True] else []
    assert grown_after == [3, 6, 9, 12, 15]


def test_gradients_are_counted_anew_after_each_refinement():
    edit = _object()
    growth = _growth(edit, GrowthConfig(enabled=True, every=2, max_factor=9.0, gradient_threshold=0.5))
    assert _grow(growth, torch.full((COUNT,), 10.0), [0, 1]) == [False, True]
    assert _grow(growth, torch.full((2 * COUNT,), 0.1), [2, 3]) == [False, False]


@pytest.mark.parametrize("limit", [0.005, 0.3])
def test_what_is_fainter_than_the_limit_goes(limit):
    opacities = torch.tensor([limit * 0.9] * 3 + [limit * 1.1] * 7)
    edit = _object(logit_opacities=opacities.logit())
    assert _grow(_growth(edit, prune_opacity=limit), torch.zeros(COUNT)) == [False, True]
    assert _which(edit) == list(range(3, 10))
    assert edit.has_grown and len(edit.weights) == 7


def test_soft_weights_come_along():
    weights = torch.linspace(0.1, 1.0, COUNT)
    edit = _object(torch.tensor([TINY] * 5 + [LARGE] * 5), weights=weights)
    pulls = torch.zeros(COUNT)
    pulls[[1, 6]] = 1.0
    _grow(_growth(edit), pulls)
    assert torch.equal(edit.weights, weights[_which(edit)])


def test_what_lies_behind_the_object_does_not_count():
    edit = _object()
    pulls = torch.zeros(COUNT + 5)
    pulls[COUNT:] = 9.0
    assert _grow(_growth(edit), pulls) == [False, False]


def test_growth_that_is_off_changes_nothing():
    edit = _object(logit_opacities=-9.0)
    assert _grow(_growth(edit, GrowthConfig(every=2)), torch.full((COUNT,), 9.0)) == [False, False]
    assert len(edit) == COUNT
