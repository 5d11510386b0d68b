"""A few clicks find the object."""

import functools
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shared_scenes import TOY_CLICKS, blobs, held_out_iou, toy

from fasttext2style.selection.clicks import ClickSelector
from fasttext2style.selection.picking import pick


@functools.cache
def selector(clutter: int = 1) -> ClickSelector:
    return ClickSelector(toy(clutter).gaussians)


def clicked(clutter: int, pixels: list[tuple[int, int, int]]) -> torch.Tensor:
    scene = toy(clutter)
    cameras = scene.train_cameras.resized(256, 256)
    points = [pick(scene.gaussians, cameras[view], x, y).position for view, x, y in pixels]
    return torch.stack(points) if points else torch.zeros(0, 3)


@pytest.mark.parametrize("clutter", [0, 1, 2])
def test_three_clicks_select_the_statue(clutter):
    ious = [
        held_out_iou(toy(clutter), selector(clutter).select(clicked(clutter, on), clicked(clutter, beside)).weights)
        for on, beside in TOY_CLICKS.values()
    ]
    assert min(ious) > 0.9, ious


def test_other_things_are_selected_as_well():
    """One click on a ball of one colour selects the ball and not the deck under it."""
    red, green = (torch.randn(600, 3) for _ in range(2))
    scene = blobs(torch.cat([torch.nn.functional.normalize(red), torch.nn.functional.normalize(green) + 2.05]))
    colors = torch.cat([torch.tensor([1.5, -1.5, -1.5]).expand(600, 3), torch.tensor([-1.5, 1.5, -1.5]).expand(600, 3)])
    scene.sh_dc.copy_(colors)
    chosen = ClickSelector(scene).select(scene.means[:1]).mask
    assert chosen[:600].float().mean() > 0.95
    assert not chosen[600:].any()


def test_clicks_are_marked_and_named():
    scene = toy(1)
    selection = selector().select(clicked(1, [(4, 128, 100)]))
    assert selection.origin == "1 points on it"
    selection.check_matches(scene.gaussians)
    assert selector().select(clicked(1, [(4, 128, 100)]), clicked(1, [(4, 25, 245)])).origin == (
        "1 points on it, 1 beside it"
    )


@given(tolerances=st.tuples(st.floats(0.2, 6), st.floats(0.2, 6)))
def test_more_tolerance_selects_more(tolerances):
    points = clicked(1, TOY_CLICKS["from the side"][0])
    less, more = (selector().select(points, tolerance=tolerance).mask for tolerance in sorted(tolerances))
    assert (less <= more).all()


def test_the_points_themselves_are_obeyed():
    on, beside = clicked(1, [(4, 128, 100), (4, 25, 245)]), clicked(1, [(4, 120, 172)])
    means = toy(1).gaussians.means
    chosen = selector().select(on, beside).mask
    assert chosen[torch.cdist(on, means).argmin(dim=1)].all()
    assert not chosen[torch.cdist(beside, means).argmin(dim=1)].any()


def test_the_same_clicks_select_the_same():
    points = clicked(1, TOY_CLICKS["from the front"][0])
    fresh = ClickSelector(toy(1).gaussians)
    assert torch.equal(selector().select(points).weights, fresh.select(points).weights)


def test_clicks_that_make_no_sense_are_refused_in_words():
    point = clicked(1, [(4, 128, 100)])
    with pytest.raises(ValueError, match="at least one point on the object"):
        selector().select(torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"same patch of the scene.*farther apart"):
        selector().select(point, point)
    with pytest.raises(ValueError, match="tolerance of clicks is above 0"):
        selector().select(point, tolerance=0)
    with pytest.raises(ValueError, match="no Gaussians"):
        ClickSelector(blobs(torch.zeros(0, 3), 0.1))


@pytest.mark.parametrize("count", [1, 2, 5, 50])
def test_tiny_scenes_work(count):
    scene = blobs(torch.rand(count, 3), 0.1)
    assert ClickSelector(scene).select(scene.means[:1]).count >= 1


def test_later_clicks_take_no_time():
    points = clicked(1, TOY_CLICKS["from the side"][0])
    selector().select(points)
    started = time.process_time()
    selector().select(points)
    assert time.process_time() - started < 1.0
