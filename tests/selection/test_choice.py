"""What is asked for on a command line: refused in words before anything is read, and done as it says."""

import math
from pathlib import Path

import pytest
import torch
from shared_scenes import blobs, orbit

from fasttext2style.scene.gaussians import SH_C0
from fasttext2style.selection.choice import ObjectChoice, SelectionSettings
from fasttext2style.selection.choose import changed, choose
from fasttext2style.selection.selection import Selection

# --- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "auto"),
        ({"text": "the bear"}, "text"),
        ({"click": [(0, 1.0, 1.0)]}, "clicks"),
        ({"rectangle": (0, 0.0, 0.0, 9.0, 9.0)}, "rectangle"),
        ({"file": Path("weights.npy")}, "file"),
        ({"by": "color", "click": [(0, 1.0, 1.0)]}, "color"),
        ({"by": "box", "size": (1.0, 2.0, 1e-6)}, "box"),
        ({"by": "sphere", "radius": 1e-6}, "sphere"),
        ({"by": "masks"}, "masks"),
    ],
)
def test_a_way_of_choosing_is_said_or_implied(settings, kind):
    choice = ObjectChoice(**settings)
    choice.check()
    assert choice.kind == kind


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": "file"}, "needs --object-file"),
        ({"by": "text", "text": "  "}, "Selecting by a text takes one"),
        ({"text": "the b\udce4r"}, r"The object's text holds '\\udce4' at character 6.*UTF-8"),
        ({"by": "clicks"}, "Selecting by clicks takes a point"),
        ({"by": "color"}, "Selecting by color takes a point"),
        ({"by": "rectangle"}, "Selecting by a rectangle takes one"),
        *(({"by": "box", "size": (1.0, 1.0, side)}, "sides of a box") for side in (0.0, -1.0, math.nan, math.inf)),
        *(({"by": "sphere", "radius": radius}, "radius of a sphere") for radius in (0.0, -1.0, math.nan, math.inf)),
        *(({"tolerance": tolerance}, "A tolerance is 0") for tolerance in (-0.1, math.nan, math.inf)),
        ({"by": "sphere", "center": (0.0, math.nan, 0.0)}, "--center takes numbers"),
        ({"by": "box", "yaw_degrees": math.inf}, "--yaw-degrees takes numbers"),
        ({"rectangle": (0, 0.0, 0.0, math.nan, 9.0)}, "--rectangle takes numbers"),
        ({"by": "sphere", "text": "the bear"}, "chosen by sphere, so --object-text would say nothing"),
        (
            {"by": "color", "click": [(0, 1.0, 1.0)], "not_click": [(0, 2.0, 2.0)]},
            "--object-not-click would say nothing",
        ),
        ({"by": "box", "rectangle": (0, 0.0, 0.0, 1.0, 1.0)}, "--object-rectangle would say nothing"),
    ],
)
def test_what_is_missing_out_of_range_or_says_nothing_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ObjectChoice(**settings).check()


@pytest.mark.parametrize("place", [(0.0, 0.0), (64.0, 48.0), (64.0, 0.0)])
def test_clicks_lie_in_their_view(place):
    for name in ("click", "not_click"):
        ObjectChoice(**{name: [(2, *place)]}).check_views(3, 64, 48)


@pytest.mark.parametrize("place", [(-0.1, 5.0), (64.1, 5.0), (5.0, -0.1), (5.0, 48.1)])
def test_clicks_beside_their_view_are_refused(place):
    for name in ("click", "not_click"):
        with pytest.raises(ValueError, match=r"lies outside the view.*64 x 48"):
            ObjectChoice(**{name: [(2, *place)]}).check_views(3, 64, 48)


@pytest.mark.parametrize(
    ("corners", "misses"),
    [
        ((-9.0, -9.0, 1.0, 1.0), False),
        ((63.0, 47.0, 99.0, 99.0), False),
        ((99.0, 99.0, -9.0, -9.0), False),
        ((-9.0, 0.0, 0.0, 48.0), True),
        ((64.0, 0.0, 99.0, 48.0), True),
        ((99.0, 0.0, 64.0, 48.0), True),
        ((0.0, -9.0, 64.0, 0.0), True),
        ((0.0, 48.0, 64.0, 99.0), True),
        ((math.nan, 0.0, 64.0, 48.0), True),
        ((0.0, 0.0, 64.0, math.nan), True),
    ],
)
def test_a_rectangle_must_reach_into_its_view(corners, misses):
    choice = ObjectChoice(rectangle=(2, *corners))
    if misses:
        with pytest.raises(ValueError, match=r"outside view 2.*64 x 48"):
            choice.check_views(3, 64, 48)
    else:
        choice.check_views(3, 64, 48)


@pytest.mark.parametrize("view", [-1, 3])
def test_views_that_the_capture_has_not_are_refused(view):
    click, rectangle = (view, 1.0, 1.0), (view, 0.0, 0.0, 9.0, 9.0)
    for settings in ({"click": [click]}, {"not_click": [click]}, {"rectangle": rectangle}):
        with pytest.raises(ValueError, match=f"no view {view}.*0 to 2"):
            ObjectChoice(**settings).check_views(3, 64, 48)


# --- what is done ----------------------------------------------------------------------------------------------------

RED, BLUE, GREY = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.5, 0.5, 0.5)
CAMERAS = orbit(0.0)


def _spots():
    """A red and a blue spot left and right of the middle, as camera 0 sees them, and a red one far above."""
    side = CAMERAS.viewmats[0, 0, :3]
    scene = blobs(torch.stack([-0.5 * side, 0.5 * side, torch.tensor([0.0, 0.0, 40.0])]), 0.1, opacity=0.99)
    scene.sh_dc[:] = (torch.tensor([RED, BLUE, RED]) - 0.5) / SH_C0
    return scene


def _at(scene, row: int) -> tuple[int, float, float]:
    """Where camera 0 sees one of them."""
    view, K = CAMERAS.viewmats[0], CAMERAS.Ks[0]
    pixel = K @ (view[:3, :3] @ scene.means[row] + view[:3, 3])
    return 0, float(pixel[0] / pixel[2]), float(pixel[1] / pixel[2])


def _chosen(scene, previous=None, masks=None, masks_are_ours=False, **settings) -> list[float]:
    previous = torch.ones(len(scene)) if previous is None else previous
    selection = choose(ObjectChoice(**settings), scene, CAMERAS, masks, previous, masks_are_ours)
    selection.check_matches(scene)
    return selection.weights.tolist()


def test_a_color_is_that_of_the_first_click():
    scene = _spots()
    assert _chosen(scene, by="color", click=[_at(scene, 0), _at(scene, 1)]) == [1, 0, 1]
    assert _chosen(scene, by="color", click=[_at(scene, 1), _at(scene, 0)]) == [0, 1, 0]
    assert _chosen(scene, by="color", click=[_at(scene, 0)], tolerance=5.0) == [1, 1, 1]


@pytest.mark.parametrize(("shade", "taken"), [(0.58, 1), (0.68, 0)])
def test_a_colors_tolerance_is_a_tenth_unless_another_is_asked_for(shade, taken):
    """Greys of 0.5, 0.58 and 0.68 have lightnesses of 0.534, 0.609 and 0.702."""
    scene = _spots()
    scene.sh_dc[:] = (torch.tensor([GREY, [shade] * 3, GREY]) - 0.5) / SH_C0
    assert _chosen(scene, by="color", click=[_at(scene, 0)]) == [1, taken, 1]


def test_clicks_select_what_they_hit_and_not_what_is_beside_it():
    scene = _spots()
    assert _chosen(scene, click=[_at(scene, 0)], not_click=[_at(scene, 1)]) == [1, 0, 0]
    assert _chosen(scene, click=[_at(scene, 0), _at(scene, 1)]) == [1, 1, 0]
    with pytest.raises(ValueError, match=r"Click 0 1 1: Nothing solid there"):
        _chosen(scene, click=[(0, 1.0, 1.0)])


def test_a_rectangle_is_drawn_in_its_view():
    scene = _spots()
    _, x, y = _at(scene, 1)
    assert _chosen(scene, rectangle=(0, x - 15, y - 15, x + 15, y + 15)) == [0, 1, 0]


def test_a_box_is_turned_about_the_vertical():
    """A box of 4 x 1 x 1 along x, turned by 90 degrees, lies along y; by 45 degrees, along x = y."""
    scene = blobs(torch.tensor([[1.9, 0.0, 0.0], [0.0, 1.9, 0.0], [1.3, 1.3, 0.0], [1.3, -1.3, 0.0]]), 0.1)
    along = {"by": "box", "size": (4.0, 1.0, 1.0)}
    assert _chosen(scene, **along) == [1, 0, 0, 0]
    assert _chosen(scene, **along, yaw_degrees=90.0) == [0, 1, 0, 0]
    assert _chosen(scene, **along, yaw_degrees=45.0) == [0, 0, 1, 0]
    assert _chosen(scene, by="box", center=(0.0, 1.9, 0.0)) == [0, 1, 0, 0]


def test_a_sphere_and_everything():
    scene = _spots()
    assert _chosen(scene, by="sphere", center=(0.0, 0.0, 40.0)) == [0, 0, 1]
    assert _chosen(scene, by="sphere", radius=10.0) == [1, 1, 0]
    assert _chosen(scene, by="everything") == [1, 1, 1]


def test_a_file_is_read_and_belongs_to_the_scene(tmp_path):
    scene = _spots()
    Selection(torch.tensor([0.0, 0.25, 1.0]), "test").save(tmp_path / "weights.npz")
    assert _chosen(scene, file=tmp_path / "weights.npz") == [0, 0.25, 1]
    Selection(torch.ones(7), "test").save(tmp_path / "weights.npz")
    with pytest.raises(ValueError, match="7 weights but the scene has 3"):
        _chosen(scene, file=tmp_path / "weights.npz")
    with pytest.raises(ValueError, match=r"does not exist; expected a \.npy or \.npz of 3 weights"):
        _chosen(scene, file=tmp_path / "other.npz")
    with pytest.raises(ValueError, match=r"is a folder; expected a \.npy or \.npz of 3 weights"):
        _chosen(scene, file=tmp_path)


def test_what_is_left_open_is_the_object_of_the_run_or_its_masks():
    scene, previous = _spots(), torch.tensor([0.0, 0.5, 1.0])
    masks = torch.zeros(len(CAMERAS), 96, 96)
    _, x, y = _at(scene, 0)
    masks[0, int(y) - 12 : int(y) + 13, int(x) - 12 : int(x) + 13] = 1.0
    masks[1:] = torch.nan  # these views say nothing
    masks = torch.where(masks.isnan(), masks[:1], masks)
    assert _chosen(scene, previous) == [0, 0.5, 1]
    assert _chosen(scene, previous, masks) == [0, 0.5, 1], "masks that came with the capture are not meant"
    assert _chosen(scene, previous, masks, masks_are_ours=True) == _chosen(scene, previous, masks, by="masks")
    with pytest.raises(ValueError, match="the capture has no masks"):
        _chosen(scene, previous, by="masks")


# --- what is done with it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("union", [0.0, 0.5, 1.0, 1.0]),
        ("minus", [0.0, 0.0, 0.5, 0.0]),
        ("intersect", [0.0, 0.0, 0.5, 1.0]),
    ],
)
def test_what_was_selected_before_comes_first(tmp_path, combine, expected):
    """Union takes the larger weight, intersection the smaller, minus the smaller of what there was and what is left."""
    scene = blobs(torch.rand(4, 3), 0.1)
    Selection(torch.tensor([0.0, 0.0, 1.0, 1.0]), "before").save(tmp_path / "before.npz")
    settings = SelectionSettings(combine=combine, existing=tmp_path / "before.npz")
    selection = changed(settings, scene, Selection(torch.tensor([0.0, 0.5, 0.5, 1.0]), "new"))
    assert selection.weights.tolist() == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"combine": "union"}, "need each other"),
        ({"existing": Path("before.npz")}, "need each other"),
        *(({"threshold": value}, "--threshold lies in") for value in (-0.1, 1.0, math.nan)),
        *(({"grow": value}, "--grow is a distance") for value in (-1.0, math.nan, math.inf)),
        ({"shrink": math.inf}, "--shrink is a distance"),
        ({"feather": math.nan}, "--feather is a distance"),
        ({"object": ObjectChoice(by="sphere", radius=0.0)}, "radius of a sphere"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_read(settings, message):
    with pytest.raises(ValueError, match=message):
        SelectionSettings(**settings).check()


def test_a_selection_to_combine_with_has_to_be_there(tmp_path):
    settings = SelectionSettings(combine="union", existing=tmp_path / "before.npz")
    with pytest.raises(ValueError, match=r"--existing .*before.npz does not exist; expected a \.npy or \.npz of 2"):
        changed(settings, blobs(torch.rand(2, 3), 0.1), Selection(torch.ones(2), "new"))


def test_what_is_done_is_done_in_the_order_of_the_help(tmp_path):
    """Threshold, combine, largest part, grow, shrink, invert; six spots in a row, a gap, and two more."""
    places = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 20.0, 21.0])
    scene = blobs(torch.nn.functional.pad(places[:, None], (0, 2)), 0.4)
    new = Selection(torch.tensor([0.0, 0.0, 0.9, 0.2, 0.0, 0.0, 0.9, 0.0]), "new")
    Selection(torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), "before").save(tmp_path / "before.npz")

    def rows(**settings) -> list[int]:
        weights = changed(SelectionSettings(**settings), scene, new).weights
        assert set(weights.tolist()) <= {0.0, 1.0}
        return weights.nonzero()[:, 0].tolist()

    steps = {"threshold": 0.5}
    assert rows(**steps) == [2, 6]
    steps |= {"combine": "union", "existing": tmp_path / "before.npz"}
    assert rows(**steps) == [2, 3, 6]
    assert rows(**steps, shrink=1.1) == []
    steps |= {"keep_largest": True}
    assert rows(**steps) == [2, 3]
    steps |= {"grow": 1.1}
    assert rows(**steps) == [1, 2, 3, 4]
    steps |= {"shrink": 1.1}
    assert rows(**steps) == [2, 3]
    assert rows(**steps, invert=True) == [0, 1, 4, 5, 6, 7]
    # What was taken out last of all, 2 and 3, is where weights fall to: half way to it they are a half.
    soft = changed(SelectionSettings(**steps, invert=True, feather=2.0), scene, new).weights
    assert soft.tolist() == pytest.approx([1.0, 0.5, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0])
