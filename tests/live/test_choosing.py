"""Choosing the object in a session: each way finds what is known to be there, and is combined and reshaped as asked.

On the embedded scene the statue's Gaussians are the first 17,000; a blue crate and the planks of the deck follow below.
"""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree
from skimage.color import rgb2lab

from fasttext2style.history.delta import Delta
from fasttext2style.live import jobs
from fasttext2style.live.objects import objects_of
from fasttext2style.live.paint import Paint
from fasttext2style.live.pointing import Click, ClickAgain, ClickMeansOther, Draw, again_instead, clicks_of
from fasttext2style.live.session import LiveSession
from fasttext2style.scene.gaussians import SH_C0
from fasttext2style.selection.clicks import ClickSelector
from fasttext2style.selection.selection import Selection
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, SelectRows, open_session
from tests.selection.shared_scenes import coverage, held_out_iou, toy

STATUE, CRATE = slice(0, 17_000), slice(19_200, 20_900)
EYE, AT_BALL, AT_FLOOR = (0.0, -1.4, 0.3), (0.0, 1.4, -0.3), (0.6, 1.0, -0.65)
"""Where the mouse's ray begins, and where it goes."""


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    """A grey ball on a green floor."""
    return _session(ball_on_floor(), tmp_path)


@pytest.fixture()
def statue(tmp_path) -> LiveSession:
    """The embedded scene, cut into things once for all sessions."""
    session = open_session(PlainHost(toy().gaussians, tmp_path / "scene.pt"), toy().train_cameras, tmp_path)
    session.scene._clicks = (session.scene.state.ids, _cut_statue())
    return session


@cache
def _cut_statue() -> ClickSelector:
    return ClickSelector(toy().gaussians, toy().train_cameras)


def _session(gaussians, folder, views=slice(None)) -> LiveSession:
    return open_session(PlainHost(gaussians, folder / "scene.pt"), capture_cameras()[views], folder)


def _rows(count: int, rows: slice) -> torch.Tensor:
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[rows] = True
    return chosen


def _found(session: LiveSession) -> torch.Tensor:
    return session.scene.selection.mask


def _views_of(session: LiveSession) -> tuple[tuple, tuple, tuple]:
    """Where one stands to see the bear and the crate, and where they are from there."""
    scene, camera = toy().gaussians, toy().train_cameras
    seen = coverage(scene, _rows(len(scene), CRATE), camera).gt(0.5).sum(dim=(1, 2))
    eye = camera.centers[int(seen.argmax())]
    bear, crate = scene.means[STATUE].mean(dim=0), scene.means[CRATE].mean(dim=0)
    return tuple(eye.tolist()), tuple((bear - eye).tolist()), tuple((crate - eye).tolist())


def _iou(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found & truth).sum() / (found | truth).sum())


# --- ways to point at it ---------------------------------------------------------------------------------------------


def test_a_click_takes_the_ball_and_another_one_adds_the_floor(session):
    assert session.do(Click(EYE, AT_BALL)), session.status.message
    assert _found(session)[:BALL].float().mean() > 0.95 and _found(session)[BALL:].float().mean() < 0.05
    ((position, inside),) = clicks_of(session.scene)
    assert inside and 0.25 < torch.tensor(position).norm() < 0.36, "on the ball, whose radius is 0.3"
    session.do(Click(EYE, AT_FLOOR, "add"))
    assert len(clicks_of(session.scene)) == 2 and _found(session)[BALL:].float().mean() > 0.2
    session.do(jobs.Undo())
    assert _found(session)[BALL:].float().mean() < 0.05 and len(clicks_of(session.scene)) == 1


def test_what_is_selected_is_said_as_a_person_would(session):
    """A grey ball on a green floor: added, taken away, and what is done undone, in words."""
    for order, what, did in (
        (Click(EYE, AT_BALL), "the grey thing", "selecting the grey thing"),
        (Click(EYE, AT_FLOOR, "add"), "the grey thing and the green thing", "adding the green thing"),
        (Click(EYE, AT_FLOOR, "take away"), "the grey thing", "taking away the green thing"),
        (jobs.Feather(0.1), None, "a soft edge of 10%"),
        (jobs.Reshape("invert"), "all but the grey thing", "inverting"),
        (jobs.Reshape("invert"), "the grey thing", "inverting"),
        (jobs.SelectEverything(), "everything", "selecting everything"),
    ):
        before = session.scene.selection.origin
        assert session.do(order), session.status.message
        assert session.scene.selection.origin == (what or before)
        assert session.scene.history.steps[-1].name == did
        assert session.status.message.startswith(f"Selected: {what or before}.")
    assert session.do(jobs.Undo()) and session.status.message == "Undone: selecting everything."
    assert session.do(jobs.SelectNothing()) and session.status.message == "Nothing is selected."
    assert session.do(jobs.Reshape("invert")) and session.scene.selection.origin == "everything"


def test_that_a_click_took_two_things_is_said_and_one_can_have_one_of_them(statue):
    """A bear and its slab: the click stays one step, and what goes no further is left as it is."""
    scene, (eye, bear, _) = statue.scene, _views_of(statue)
    assert statue.do(Click(eye, bear)), statue.status.message
    assert statue.status.message == "Selected: the grey thing and its base. Only one of the two? Press Too much."
    both, statue_alone = _found(statue), toy().object_weights.bool() & (toy().gaussians.means[:, 2] > 0.16)
    assert statue.do(ClickMeansOther(larger=False)), statue.status.message
    assert scene.selection.origin == "the grey thing without its base" and _iou(_found(statue), statue_alone) > 0.95
    assert statue.do(ClickMeansOther(larger=False)) and scene.selection.origin == "a part of the grey thing"
    part = _found(statue)
    while statue.do(ClickMeansOther(larger=False)):
        part = _found(statue)
    assert "Nothing smaller stands out here" in statue.status.message and torch.equal(_found(statue), part)
    while not torch.equal(_found(statue), both):
        assert statue.do(ClickMeansOther(larger=True)), statue.status.message
    while statue.do(ClickMeansOther(larger=True)):
        assert both.sum() < _found(statue).sum()
    assert "Nothing larger stands out here" in statue.status.message
    assert [step.name for step in scene.history.steps if step.active] == [
        "selecting the grey thing and what it touches"
    ]
    assert statue.do(jobs.Undo()) and scene.selection.count == 0
    assert not statue.do(ClickMeansOther(larger=True)) and "click on a thing first" in statue.status.message


def test_a_click_on_what_was_edited_means_that_object(statue):
    """A bear that was painted without its base: clicked again, it is the bear alone, and its base can be had."""
    eye, bear, crate = _views_of(statue)
    assert statue.do(Click(eye, bear, "new")), statue.status.message
    both = _found(statue)
    assert statue.do(ClickMeansOther(larger=False)), statue.status.message
    alone = statue.scene.state.selection.clone()
    assert statue.do(Paint("red")) and statue.do(Click(eye, crate, "new")), statue.status.message
    assert statue.do(Click(eye, bear, "new")) and torch.equal(statue.scene.state.selection, alone)
    assert statue.status.message == "Selected: red thing."
    assert statue.do(ClickMeansOther(larger=True)) and torch.equal(_found(statue), both)
    assert statue.do(ClickMeansOther(larger=False)) and _iou(_found(statue), alone > 0) > 0.99
    assert statue.do(Click(eye, crate, "new")) and _found(statue)[CRATE].float().mean() > 0.9


def test_a_click_that_takes_away_leaves_the_rest(session):
    session.do(jobs.SelectEverything())
    assert session.do(Click(EYE, AT_BALL, "take away")), session.status.message
    assert _found(session)[:BALL].float().mean() < 0.05 and _found(session)[BALL:].float().mean() > 0.95


def test_what_was_added_by_mistake_is_taken_away_by_the_same_click(statue):
    """The crate beside the bear, added and taken away: what is left is the bear alone, to the last Gaussian."""
    eye, bear, crate = _views_of(statue)
    assert statue.do(Click(eye, bear, "new")), statue.status.message
    alone = _found(statue)
    assert statue.do(Click(eye, crate, "add")) and _found(statue)[CRATE].float().mean() > 0.9
    assert statue.do(Click(eye, crate, "take away")), statue.status.message
    assert torch.equal(_found(statue), alone)


@pytest.mark.parametrize("size", [0.1, 0.3])
@pytest.mark.parametrize("opening", [0.9, 0.3])
def test_what_is_taken_from_the_object_itself_lies_around_the_click(statue, opening, size):
    """Within half the size times the height of what is seen there; the nearer one looks, the less."""
    eye, bear, _ = _views_of(statue)
    assert statue.do(Click(eye, bear, "new")), statue.status.message
    before = _found(statue)
    assert statue.do(Click(eye, bear, "take away", size=size, opening=opening)), statue.status.message
    ((position, added),) = clicks_of(statue.scene)[1:]
    gone, means = before & ~_found(statue), toy().gaussians.means
    reach = size * opening * float((torch.tensor(position) - torch.tensor(eye)).norm()) / 2
    assert not added and gone.any()
    assert float((means[gone] - torch.tensor(position)).norm(dim=1).max()) <= reach


@pytest.mark.parametrize("opening", [0.9, 0.1])
def test_with_more_tolerance_a_second_click_adds_no_less(statue, opening):
    """From afar the thing and more than it, from near the part: the tolerance does not turn one into the other."""
    eye, bear, crate = _views_of(statue)
    added = []
    for tolerance in (0.5, 2.0, 8.0):
        statue.do(Click(eye, bear, "new"))
        assert statue.do(Click(eye, crate, "add", tolerance, 0.3, opening)), statue.status.message
        added.append(_found(statue)[CRATE.start :])
    assert (added[0] <= added[1]).all() and (added[1] <= added[2]).all()
    assert opening < 0.5 or added[0].sum() < added[1].sum() < added[2].sum()


def test_from_near_a_part_is_added_and_from_afar_the_thing(statue):
    eye, bear, crate = _views_of(statue)
    found = {}
    for opening in (0.9, 0.1):
        statue.do(Click(eye, bear, "new"))
        alone = _found(statue)
        assert statue.do(Click(eye, crate, "add", size=0.3, opening=opening)), statue.status.message
        found[opening] = (_found(statue) & ~alone)[CRATE].float().mean()
    assert found[0.9] > 0.9 and 0 < found[0.1] < 0.5, found


def test_a_slider_makes_the_last_click_anew(session):
    """The step is replaced, and nothing else is taken back."""
    session.do(SelectRows(0, BALL))
    expected = {}
    for size in (0.1, 0.2):
        assert session.do(Click(EYE, AT_BALL, "take away", size=size)), session.status.message
        expected[size] = _found(session)
        session.do(jobs.Undo())
    assert expected[0.2].sum() < expected[0.1].sum() < BALL
    session.do(Click(EYE, AT_BALL, "take away", size=0.1))
    steps = len(session.scene.history.steps)
    assert session.do(ClickAgain(2.0, 0.2)), session.status.message
    assert torch.equal(_found(session), expected[0.2]) and len(session.scene.history.steps) == steps
    session.do(jobs.Undo())
    assert session.do(ClickAgain(8.0, 0.2)) and torch.equal(_found(session), _rows(300, slice(0, BALL)))


def test_a_click_into_the_sky_and_one_that_takes_from_nothing_are_refused(session):
    assert not session.do(Click(EYE, (0.0, 0.0, 1.0))) and "Nothing solid there" in session.status.message
    assert not session.do(Click(EYE, AT_BALL, "take away")) and "Nothing is selected" in session.status.message


def test_the_tolerance_of_a_click_is_how_unlike_it_may_be(tmp_path):
    """Two views do not tell what stands free: likeness alone decides. The ball's back is a bluish grey."""
    scene = ball_on_floor()
    back = (scene.means[:BALL, 1] > 0).nonzero()[:, 0]
    scene.sh_dc[back] = (torch.tensor([0.45, 0.5, 0.65]) - 0.5) / SH_C0
    session, found = _session(scene, tmp_path, slice(2)), {}
    for tolerance in (0.5, 8.0):
        assert session.do(Click(EYE, AT_BALL, "new", tolerance)), session.status.message
        found[tolerance] = _found(session)[back].float().mean()
    assert found[0.5] < 0.1 and found[8.0] > 0.9, found


@pytest.mark.parametrize("drawing", ["rectangle", "lasso", "brush"])
def test_a_drawing_takes_what_shows_inside_it(statue, drawing):
    """Rendered alone, in the view in which it was drawn, what was taken fills what was drawn and nothing else."""
    seen = coverage(toy().gaussians, _rows(len(toy().gaussians), CRATE), toy().train_cameras) > 0.5
    best = int(seen.sum(dim=(1, 2)).argmax())
    view, crate = toy().train_cameras[best], seen[best]
    ys, xs = crate.nonzero().unbind(dim=1)
    x0, y0, x1, y1 = int(xs.min()) - 6, int(ys.min()) - 6, int(xs.max()) + 7, int(ys.max()) + 7
    points = {
        "rectangle": [(x1, y1), (x0, y0)],
        "lasso": [(x0, y0), (x1, y0), (x1, y1), (x0, y1)],
        "brush": [(x0 + (y1 - y0) / 2, (y0 + y1) / 2), (x1 - (y1 - y0) / 2, (y0 + y1) / 2)],
    }[drawing]
    shares = [(x / view.width, y / view.height) for x, y in points]
    size = (y1 - y0) / view.height
    assert statue.do(Draw(drawing, view, shares, size=size)), statue.status.message
    shown = coverage(toy().gaussians, _found(statue), view)[0] > 0.5
    inside = torch.zeros_like(shown)
    inside[max(0, y0) : y1, max(0, x0) : x1] = True
    assert (shown & ~inside).sum() < 0.1 * shown.sum()
    if drawing != "brush":  # whose ends are round
        assert _iou(shown, inside) > 0.85
    assert (shown & crate).sum() > 0.9 * crate.sum()


@pytest.mark.parametrize(("direction", "expected"), [(AT_BALL, slice(0, BALL)), (AT_FLOOR, slice(BALL, 300))])
def test_a_color_takes_everything_of_the_color_under_the_mouse(session, direction, expected):
    assert session.do(Click(EYE, direction, by_color=True)), session.status.message
    assert torch.equal(_found(session), _rows(300, expected))


@pytest.mark.parametrize(("tolerance", "takes_both"), [(2.0, False), (4.0, True)])
def test_the_tolerance_of_a_color_is_how_far_another_shade_may_be(tmp_path, tolerance, takes_both):
    """The default 2 takes what lies within 0.1 of CIELAB / 100, twice as much what lies within 0.2."""
    scene = ball_on_floor()
    back = scene.means[:BALL, 1] > 0
    shades = {"front": 0.5, "back": 0.65}
    apart = np.linalg.norm(np.subtract(*(rgb2lab([[[grey] * 3]])[0, 0] / 100 for grey in shades.values())))
    assert 0.12 < apart < 0.18
    scene.sh_dc[:BALL][back] = (shades["back"] - 0.5) / SH_C0
    session = _session(scene, tmp_path)
    assert session.do(Click(EYE, AT_BALL, tolerance=tolerance, by_color=True)), session.status.message
    expected = torch.zeros(300, dtype=torch.bool)
    expected[:BALL] = True if takes_both else ~back
    assert torch.equal(_found(session), expected)


def test_a_name_takes_what_it_names(statue):
    assert statue.do(jobs.SelectText(" the blue crate", "encoder")), statue.status.message
    scene, views = toy().gaussians, toy().test_cameras
    found, truth = (coverage(scene, rows, views) > 0.5 for rows in (_found(statue), _rows(len(scene), CRATE)))
    assert _iou(found, truth) > 0.85
    assert statue.scene.segmenter("encoder") is statue.scene.segmenter("encoder"), "it stays loaded"


@pytest.mark.parametrize("segmenter", ["encoder", "tiny", "encoder:tiny"])
def test_the_name_that_is_suggested_is_one_that_the_segmenter_knows(statue, segmenter):
    assert not statue.do(jobs.SelectText("  ", segmenter)) and "There is no name yet" in statue.status.message
    suggested = statue.status.message.split('"')[1]
    assert statue.scene.segmenter(segmenter).encoder.coverage(suggested).known
    assert "it knows no names" in statue.status.message


def test_of_a_segmenter_that_knows_things_a_thing_is_suggested(session):
    assert not session.do(jobs.SelectText("", "clipseg")) and session.status.message.endswith('such as "the bear".')


def test_names_that_say_nothing_are_refused(session):
    assert not session.do(jobs.SelectText("the ball", "no-such-segmenter"))
    assert "no-such-segmenter" in session.status.message


def test_find_it_takes_what_the_cameras_circle_around(statue):
    assert statue.do(jobs.SelectAutomatic()), statue.status.message
    assert held_out_iou(toy(), statue.scene.selection.weights) > 0.97


def test_objects_that_stand_out_replace_each_other_in_turn(statue):
    """And with another selection before them they are combined with that, not with each other."""
    assert statue.do(jobs.SelectAutomatic("add")), statue.status.message
    bear = _found(statue)
    count, another = len(statue.scene.candidates()), jobs.SelectAutomatic("add", another=True)
    assert count > 1
    seen = []
    for number in range(2, count + 2):
        assert statue.do(another), statue.status.message
        assert f"number {number if number <= count else 1} of {count}" in statue.status.message
        seen.append(_found(statue))
    assert not (seen[0] & bear).any() and seen[0].sum() > 500
    assert torch.equal(seen[-1], bear), "after the last one the first again"
    assert len(statue.scene.history.steps) == 1
    statue.do(SelectRows(0, 10))
    assert statue.do(another) and statue.do(jobs.SelectAutomatic("add"))
    assert torch.equal(_found(statue), bear | _rows(len(bear), slice(0, 10)))


def test_what_was_edited_is_called_by_its_name_when_it_is_clicked_on_again(statue):
    eye, _, crate = _views_of(statue)
    assert statue.do(Click(eye, crate, "new")) and "blue thing" in statue.status.message
    assert statue.do(Paint("green")) and statue.do(jobs.SelectNothing()), statue.status.message
    (thing,) = objects_of(statue.scene)
    statue.scene.desk.rename(thing.id, "my crate")
    assert statue.do(Click(eye, crate, "new"))
    assert statue.status.message.startswith("Selected: my crate."), statue.status.message


def test_a_tolerance_that_changes_nothing_is_told_and_one_that_does_changes_the_last_click(statue):
    """Of a thing that stands free: a part of it, all of it, more than it, and back; the size counts for parts alone."""
    eye, _, crate = _views_of(statue)
    statue.do(Click(eye, crate))
    found = {"at first": _found(statue)}
    for tolerance in (0.5, 8.0, 2.0):
        assert statue.do(ClickAgain(tolerance, 0.2)), statue.status.message
        assert "means the same" not in statue.status.message
        found[tolerance] = _found(statue)
    assert 0 < found[0.5][CRATE].float().mean() < 0.4 and found[8.0].sum() > found[2.0].sum()
    assert torch.equal(found[2.0], found["at first"]) and len(statue.scene.history.steps) == 1
    assert statue.do(ClickAgain(2.0, 0.4)) and "a size of 40% the click means the same" in statue.status.message
    statue.do(jobs.Undo())
    statue.do(Click(eye, crate, by_color=True, tolerance=1.0))
    little = _found(statue)
    assert statue.do(ClickAgain(8.0, 0.2)) and "means the same" not in statue.status.message
    assert _found(statue).sum() > little.sum()


def test_all_and_clear(session):
    assert session.do(jobs.SelectEverything()) and bool(_found(session).all())
    assert session.do(jobs.SelectNothing()) and not bool(_found(session).any())


# --- how it is combined and reshaped ---------------------------------------------------------------------------------

WAYS = {
    "click": lambda combine: Click(EYE, AT_BALL, combine),
    "color": lambda combine: Click(EYE, AT_BALL, combine, by_color=True),
    "rectangle": lambda combine: Draw("rectangle", capture_cameras()[0], [(0.375, 0.375), (0.625, 0.625)], combine),
    "lasso": lambda combine: Draw("lasso", capture_cameras()[0], [(0.4, 0.4), (0.6, 0.4), (0.5, 0.6)], combine),
    "brush": lambda combine: Draw("brush", capture_cameras()[0], [(0.45, 0.5), (0.55, 0.5)], combine),
    "find it": lambda combine: jobs.SelectAutomatic(combine),
}
COMBINATIONS = {
    "new": lambda present, found: found,
    "add": lambda present, found: present | found,
    "take away": lambda present, found: present & ~found,
    "keep common": lambda present, found: present & found,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("combine", COMBINATIONS)
def test_what_is_pointed_at_and_the_present_object_are_combined_as_asked(session, way, combine):
    assert session.do(WAYS[way]("new")), session.status.message
    found = _found(session)
    assert found[:BALL].sum() > 0 and found.sum() < 300
    session.do(SelectRows(100, 200))
    present = _found(session)
    assert session.do(WAYS[way](combine)), session.status.message
    assert torch.equal(_found(session), COMBINATIONS[combine](present, found))


def _size(points: np.ndarray) -> float:
    """Of what most points lie in: the diagonal between their 2 % and 98 % quantiles."""
    low, high = np.quantile(points, [0.02, 0.98], axis=0)
    return float(np.linalg.norm(high - low))


@pytest.mark.parametrize("how", ["grow", "shrink"])
def test_grow_and_shrink_by_3_percent_of_the_objects_size(statue, how):
    """Grow takes all that lies so near to the object, shrink gives up all that lies so near to what is outside."""
    statue.do(SelectRows(STATUE.start, STATUE.stop))
    before, points = _found(statue).numpy(), toy().gaussians.means.numpy()
    step = 0.03 * _size(points[before])
    assert statue.do(jobs.Reshape(how)), statue.status.message
    after = _found(statue).numpy()
    changed, kept = (~before, before) if how == "grow" else (before, ~before)
    assert (after[kept] == before[kept]).all()
    distance = KDTree(points[kept]).query(points[changed])[0]
    flipped = after[changed] != before[changed]
    assert flipped[distance < 0.95 * step].all() and not flipped[distance > 1.05 * step].any()
    assert flipped.sum() > 100


def test_largest_keeps_the_largest_body(statue):
    count = len(toy().gaussians)
    two = (_rows(count, STATUE) | _rows(count, CRATE)).float()
    statue.scene.select(Selection(two, "statue and crate"), "statue and crate")
    assert statue.do(jobs.Reshape("largest part")), statue.status.message
    assert not _found(statue)[CRATE].any() and not _found(statue)[STATUE.stop :].any()
    assert _found(statue)[STATUE].float().mean() > 0.99


def test_invert_takes_everything_else(session):
    session.do(SelectRows(0, 100, weight=0.25))
    assert session.do(jobs.Reshape("invert"))
    assert torch.equal(session.scene.selection.weights, torch.where(torch.arange(300) < 100, 0.75, 1.0))


@pytest.mark.parametrize("how", ["grow", "shrink", "largest part"])
def test_nothing_cannot_be_reshaped(session, how):
    assert not session.do(jobs.Reshape(how)) and "Nothing is selected yet" in session.status.message
    assert not session.do(jobs.Threshold(0.5)) and "Nothing is selected yet" in session.status.message


def test_feathers_start_from_the_same_weights_and_are_undone_as_one(statue):
    """3 % and 10 % of the size of the bear, which is known; wider ones reach farther in."""
    statue.do(SelectRows(STATUE.start, STATUE.stop))
    hard = statue.scene.state.selection.clone()
    points = toy().gaussians.means.numpy()
    away = KDTree(points[~_found(statue).numpy()]).query(points)[0]
    for share in (0.1, 0.03, 0.1):
        assert statue.do(jobs.Feather(share)), statue.status.message
        expected = hard * torch.from_numpy(away / (share * _size(points[hard.numpy() > 0]))).clamp(1e-7, 1)
        torch.testing.assert_close(statue.scene.state.selection, expected.float(), atol=0.01, rtol=0)
        assert jobs.edge_of(statue.scene) == (0.0, share)
    assert statue.do(jobs.Feather(0.0)) and torch.equal(statue.scene.state.selection, hard)
    assert len(statue.scene.history.steps) <= 2


def test_a_slider_of_the_edge_takes_nothing_else_back(session):
    """A strength that was changed in between is no edge, and stays."""
    _paint_ball(session)
    session.scene.select(Selection(torch.linspace(0, 1, 300), "soft"), "soft")
    assert session.do(jobs.Threshold(0.5)) and session.do(jobs.Blend(1, 0.25)) and session.do(jobs.Threshold(0.2))
    assert session.scene.history.step(1).strength == 0.25


def _paint_ball(session):
    """Step 1, by hand."""
    state = session.scene.state
    before = {"features_dc": state.columns["features_dc"][:BALL].clone()}
    after = {"features_dc": before["features_dc"] + 0.5}
    session.scene.history.record(Delta.of_rows(state.ids[:BALL], before, after), "gold")
    state.columns["features_dc"][:BALL] = after["features_dc"]


def test_thresholds_start_from_the_same_weights(session):
    soft = torch.linspace(0, 1, 300)
    session.scene.select(Selection(soft, "soft"), "soft")
    for value in (jobs.HIGHEST_THRESHOLD, 0.2, 0.5):
        assert session.do(jobs.Threshold(value)), session.status.message
        assert torch.equal(session.scene.selection.weights, (soft > value).float())
        assert jobs.edge_of(session.scene) == (value, 0.0)
    assert len(session.scene.history.steps) == 2, "of thresholds only the last one is a step"
    session.do(jobs.Undo())
    assert torch.equal(session.scene.state.selection, soft)


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyboardInterrupt])
def test_a_slider_whose_next_value_fails_leaves_its_last_one(session, error):
    scene = session.scene
    scene.select(Selection(torch.linspace(0, 1, len(scene.gaussians)), "soft"), "soft")
    assert session.do(jobs.Threshold(0.5)), session.status.message
    before = scene.state.selection.clone()

    def fail() -> str:
        raise error("no more memory")

    with pytest.raises(error):
        again_instead(scene, fail, "threshold")
    assert torch.equal(scene.state.selection, before) and not scene.history.can_redo
