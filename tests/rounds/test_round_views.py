"""Where the object is in each view, and crops that are pixel for pixel the whole picture's."""

import pytest
import torch

from fasttext2style.rounds.views import SceneViews, to_bytes
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from tests.plugin.hosts import BALL, ball_on_floor, capture_cameras
from tests.rounds.balls import ball_selection, ball_views


@pytest.fixture(scope="module")
def views():
    return ball_views()


def test_crops_are_the_whole_pictures_pixels(views):
    scene, chosen = ball_on_floor(), torch.tensor([0, 3, 7])
    crops, _ = views.render_crops(scene, chosen)
    whole = views.render(scene, chosen.tolist())
    for crop, picture, (x0, y0, x1, y1) in zip(crops, whole, views.boxes[chosen].tolist()):
        torch.testing.assert_close(crop.clamp(0, 1), picture[y0:y1, x0:x1], atol=2 / 255, rtol=0)
        assert (crop.clamp(0, 1) - picture[y0:y1, x0:x1]).abs().mean() < 1e-4
    bytes_cropped = views.crops(views.originals[chosen], chosen)
    torch.testing.assert_close(bytes_cropped, crops.detach().clamp(0, 1), atol=2.5 / 255, rtol=0)


def test_boxes_hold_the_object_and_are_small(views):
    width, height = views.crop_size
    assert 32 <= width < 48 and 32 <= height < 48
    for view, (x0, y0, x1, y1) in zip(views.shown, views.boxes[views.shown].tolist()):
        outside = views.original_masks[view].clone()
        outside[y0:y1, x0:x1] = 0
        assert outside.max() < 26, view
        assert (x1 - x0, y1 - y0) == (width, height)


def test_masks_are_where_the_object_is_and_not_where_it_is_hidden(views):
    scene, cameras = ball_on_floor(), capture_cameras()
    alone = render(scene.subset(torch.arange(BALL)), cameras)[1]
    # From above nothing hides the ball: the mask is its own alpha, but for the floor in front of its lower edge.
    difference = (views.original_masks.float() / 255 - alone).abs()
    assert difference.mean() < 0.02


def test_a_margin_widens_masks_by_its_share_of_the_object():
    narrow, wide = ball_views(), ball_views(mask_margin=0.15)
    for view in (0, 4):
        rows = [(views.original_masks[view] > 128).any(dim=1).sum().item() for views in (narrow, wide)]
        assert rows[1] - rows[0] == 2 * round(0.15 * max(_extent(narrow.original_masks[view])))


def _extent(mask):
    seen = mask[..., 0] > 25
    return seen.any(dim=0).sum().item(), seen.any(dim=1).sum().item()


def test_masks_follow_an_object_that_grows_and_never_shrink(views):
    scene = ball_on_floor()
    larger = scene.log_scales.clone()
    larger[:BALL] += 1.0
    grown = type(scene)(**{**vars(scene), "log_scales": larger})
    weights = ball_selection().weights
    assert (views.masks(grown, weights, [0]).float().mean() > views.original_masks[0].float().mean()).item()
    nothing = scene.subset(torch.arange(BALL, len(scene)))
    assert torch.equal(views.masks(nothing, torch.zeros(len(nothing)), [0]), views.original_masks[[0]])


def test_everything_selected_means_whole_pictures():
    views = ball_views(selection=Selection.everything(len(ball_on_floor())))
    assert views.crop_size == (48, 48)
    assert views.original_masks.min() == 255


def test_an_object_that_no_view_shows_is_refused():
    scene = ball_on_floor()
    away = scene.means.clone()
    away[:BALL, 2] += 100
    hidden = type(scene)(**{**vars(scene), "means": away})
    with pytest.raises(ValueError, match="None of the 10 views shows"):
        SceneViews(hidden, ball_selection().weights, capture_cameras(), to_bytes(render(scene, capture_cameras())[0]),
                   torch.zeros(3))  # fmt: skip


def test_photographs_of_another_size_are_refused(views):
    with pytest.raises(ValueError, match="Photographs should be"):
        SceneViews(
            ball_on_floor(), ball_selection().weights, capture_cameras(), views.photographs[:, 1:], torch.zeros(3)
        )
