"""Where the object is in each view, and crops that are pixel for pixel the whole picture's."""

import pytest
import torch

from fasttext2style.rounds.modes import MODES
from fasttext2style.rounds.views import SceneViews, to_bytes
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.rounds.balls import ball_capture, ball_subject


@pytest.fixture(scope="module")
def subject():
    return ball_subject()


@pytest.fixture(scope="module")
def views(subject):
    return subject.views()


def test_crops_are_the_whole_pictures_pixels(subject, views):
    chosen = torch.tensor([0, 3, 7])
    crops, _ = subject.render_boxes(chosen, views.boxes[chosen])
    whole = subject.render(chosen.tolist())
    for crop, picture, (x0, y0, x1, y1) in zip(crops, whole, views.boxes[chosen].tolist()):
        torch.testing.assert_close(crop.clamp(0, 1), picture[y0:y1, x0:x1], atol=2 / 255, rtol=0)
        assert (crop.clamp(0, 1) - picture[y0:y1, x0:x1]).abs().mean() < 1e-4
    bytes_cropped = views.original_crops(chosen)
    torch.testing.assert_close(bytes_cropped, crops.detach().clamp(0, 1), atol=2.5 / 255, rtol=0)


def test_boxes_hold_the_object_and_are_small(views):
    width, height = views.crop_size
    assert 32 <= width < 48 and 32 <= height < 48
    for view, (x0, y0, x1, y1) in zip(views.shown, views.boxes[views.shown].tolist()):
        outside = views.original_masks[view].clone()
        outside[y0:y1, x0:x1] = 0
        assert outside.max() < 26, view
        assert (x1 - x0, y1 - y0) == (width, height)


def test_boxes_by_hand():
    """All are as large as the widest and the tallest object, and 15 % on each side; they stay inside the picture."""
    cameras = Cameras.orbit((0.0, 0.0, 0.0), 2.0, 4, 120, 100)
    pictures, coverage = torch.zeros(4, 100, 120, 3, dtype=torch.uint8), torch.zeros(4, 100, 120, 1)
    coverage[0, 0:50, 40:80] = 1  # 40 wide and 50 tall, at the upper edge
    coverage[1, 30:70, 60:100] = 1
    coverage[2, 60:100, 90:120] = 1  # in the lower right corner
    views = SceneViews(cameras, pictures, pictures, to_bytes(coverage))
    assert views.shown == [0, 1, 2] and views.crop_size == (round(1.3 * 40), round(1.3 * 50)) == (52, 65)
    assert views.boxes.tolist() == [[34, 0, 86, 65], [54, 17, 106, 82], [68, 35, 120, 100], [0, 0, 0, 0]]


def test_renders_are_colours_however_bright_the_scene():
    scene = ball_on_floor()
    scene.sh_dc[:BALL] = 5.0
    assert render(scene, capture_cameras())[0].max() > 1.5
    assert ball_subject(scene).render([0, 1]).max() == 1.0


def test_masks_are_where_the_object_is_and_not_where_it_is_hidden(views):
    scene, cameras = ball_on_floor(), capture_cameras()
    alone = render(scene.subset(torch.arange(BALL)), cameras)[1]
    # From above nothing hides the ball: the mask is its own alpha, but for the floor in front of its lower edge.
    difference = (views.original_masks.float() / 255 - alone).abs()
    assert difference.mean() < 0.02


@pytest.mark.parametrize("mode, margin", [("restyle", 0.0), ("replace", 0.15)])
def test_a_mode_widens_masks_by_its_share_of_the_object(subject, mode, margin):
    coverage = to_bytes(subject.coverage(list(range(10))))
    views = ball_subject(mode=mode).views()
    assert MODES[mode].mask_margin == margin
    for view in (0, 4):
        rows = [(masks[view] > 128).any(dim=1).sum().item() for masks in (coverage, views.original_masks)]
        assert rows[1] - rows[0] == 2 * round(margin * max(_extent(coverage[view])))


def _extent(mask):
    seen = mask[..., 0] > 25
    return seen.any(dim=0).sum().item(), seen.any(dim=1).sum().item()


def test_masks_follow_an_object_that_grows_and_never_shrink(views):
    subject = ball_subject()
    subject.parameters["scales"].data += 1.0
    grown = views.masks([0], subject.coverage([0]))
    assert (grown.float().mean() > views.original_masks[0].float().mean()).item()
    subject.parameters["opacities"].data -= 20.0
    assert torch.equal(views.masks([0], subject.coverage([0])), views.original_masks[[0]])


def test_everything_selected_means_whole_pictures():
    views = ball_subject(selection=Selection.everything(len(ball_on_floor()))).views()
    assert views.crop_size == (48, 48) and views.shown == list(range(10))
    assert views.original_masks.min() == 255


def test_an_object_that_no_view_shows_is_refused():
    scene = ball_on_floor()
    away = scene.means.clone()
    away[:BALL, 2] += 100
    hidden = type(scene)(**{**vars(scene), "means": away})
    with pytest.raises(ValueError, match=r"None of the 10 views shows the selected object .150 Gaussians"):
        ball_subject(hidden).views()


def test_views_that_hardly_show_the_object_are_not_edited(views):
    """A fiftieth of the best view's area is the least."""
    coverage = torch.zeros(10, 48, 48, 1)
    coverage[0, :40, :40] = 1  # 1,600 pixels
    coverage[1, :4, :9] = 1  # 36
    coverage[2, :5, :6] = 1  # 30
    coverage[3] = 0.09  # too faint to count
    seen = SceneViews(views.cameras, views.photographs, views.originals, to_bytes(coverage))
    assert seen.shown == [0, 1]


def test_photographs_of_another_size_are_refused(views):
    with pytest.raises(ValueError, match="Photographs should be"):
        SceneViews(views.cameras, views.photographs[:, 1:], views.originals, None)


def test_a_capture_that_shows_nothing_is_refused(views):
    with pytest.raises(ValueError, match="None of the 10 views shows"):
        SceneViews(views.cameras, views.photographs, views.originals, torch.zeros(10, 48, 48, 1, dtype=torch.uint8))


def test_photographs_are_kept_as_they_came():
    assert torch.equal(ball_subject().views().photographs, ball_capture().photographs)
