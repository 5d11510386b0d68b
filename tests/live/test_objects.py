"""Objects of a session: whose an edit is, what is selected again, what is hidden; all of it goes back with undo."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.delta import Delta
from fasttext2style.live import jobs
from fasttext2style.live.grade import ApplyGrade
from fasttext2style.live.objects import (
    RestoreObject,
    RestoreSelected,
    SelectObject,
    ShowObject,
    belonging,
    objects_of,
    picture_of_selection,
    weights_of,
)
from fasttext2style.live.paint import Paint
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.grade_settings import Grade
from fasttext2style.styling.growth import GrowthConfig
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, PlainHost, SelectRows, adam, bits, open_session, same

SETTINGS = StyleSettings(load_encoder("tiny"), adam(RATES), growth=GrowthConfig(every=2, gradient_threshold=0.0))
BALL_ROWS, FLOOR_ROWS = SelectRows(0, BALL), SelectRows(BALL, 300)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", 3)


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    return open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)


def _do(session: LiveSession, *orders) -> None:
    for order in orders:
        assert session.do(order), session.status.message


def _style(prompt: str, form: str = "colors") -> ApplyStyle:
    return ApplyStyle(SETTINGS, prompt, preset="quick", form=form)


def _paint(session: LiveSession, name: str, settings: dict | None = None) -> None:
    """An edit by hand, of what is selected."""
    scene = session.scene
    rows = (scene.state.selection > 0).nonzero()[:, 0]
    before = scene.state.at(scene.state.ids[rows]).columns["features_dc"]
    scene.history.record(
        Delta.of_rows(scene.state.ids[rows], {"features_dc": before}, {"features_dc": before + 0.1}),
        name,
        prompt=name,
        settings=settings,
    )
    scene.state.columns["features_dc"].index_add_(0, rows, torch.full_like(before, 0.1))


def _names(session: LiveSession) -> list[tuple[str, int]]:
    """Names, and how many edits."""
    return [(thing.name, len(thing.edits)) for thing in objects_of(session.scene)]


def test_an_edit_belongs_to_the_object_that_was_selected(session):
    assert _names(session) == []
    _do(session, BALL_ROWS, _style("a ball made of gold"), FLOOR_ROWS, _style("ice"))
    _do(session, BALL_ROWS, _style("red"), FLOOR_ROWS, ApplyGrade(Grade(brightness=0.5)), SelectRows(0, 20))
    assert _names(session) == [("ball", 2), ("object 1", 2)]


def test_an_object_that_is_chosen_a_little_differently_stays_one(session):
    _do(session, BALL_ROWS, _style("a ball made of gold"), SelectRows(0, 100), _style("red"))
    assert _names(session) == [("ball", 2)], "2/3 of both"
    assert int((weights_of(session.scene, objects_of(session.scene)[0]) > 0).sum()) == 100, "as it was edited last"
    _do(session, SelectRows(60, 110), _style("a part made of ice"))
    assert _names(session) == [("ball", 2), ("part", 1)], "40 of 110"


@pytest.mark.parametrize("sentence, name", [("a bear made of gold", "bear"), ("turn the crate into ice", "crate"),
                                            ("paint the blue ball red", "blue ball"), ("gold", "gold thing"),
                                            ("mossy stone", "object 1"), ("make it red", "red thing"),
                                            ("a blue ball", "ball"), ("red ball", "ball"),
                                            ("an old crate", "crate")])  # fmt: skip
def test_an_object_is_called_what_its_first_sentence_calls_it(session, sentence, name):
    _do(session, BALL_ROWS)
    _paint(session, sentence)
    assert _names(session) == [(name, 1)]


def test_an_object_without_a_noun_is_called_as_it_was_selected_or_by_a_later_sentence(session):
    _do(session, BALL_ROWS)
    scene = session.scene
    scene.select(Selection((torch.arange(300) < 50).float(), '"the blue crate"'), '"the blue crate"')
    _paint(session, "make it red")
    assert _names(session) == [("crate", 1)]
    scene.select(Selection((torch.arange(300) >= 150).float(), "the red and white thing and its base"), "selecting it")
    _paint(session, "mossy stone", belonging(scene))
    assert _names(session)[1] == ("red and white thing", 1)
    _do(session, jobs.Undo(), jobs.Undo(), FLOOR_ROWS)
    for sentence, name in (
        ("mossy stone", "object 1"),
        ("make it red", "red thing"),
        ("a floor made of gold", "floor"),
    ):
        _paint(session, sentence, belonging(scene))
        assert _names(session)[1][0] == name


def test_no_two_objects_are_called_alike(session):
    for first in (0, 100, 200):
        _do(session, SelectRows(first, first + 50))
        _paint(session, "a bear made of gold")
    assert [name for name, _ in _names(session)] == ["bear", "bear 2", "bear 3"]


def test_selecting_an_object_brings_back_the_weights_of_its_last_edit(session):
    soft = torch.linspace(0, 1, 300)
    session.scene.select(Selection(soft, "soft"), "soft")
    _do(session, _style("a ramp made of gold"), BALL_ROWS, _style("ice"))
    _do(session, jobs.SelectNothing(), SelectRows(250, 300), jobs.Reshape("invert"))
    things = {thing.name: thing for thing in objects_of(session.scene)}
    _do(session, SelectObject(things["ramp"].id))
    assert torch.equal(session.scene.state.selection, soft) and session.scene.selection.origin == "ramp"
    _do(session, SelectObject(things["object 1"].id))
    assert torch.equal(session.scene.state.selection, (torch.arange(300) < BALL).float())


def test_an_object_that_grew_is_selected_with_all_that_grew_and_nothing_that_grew_elsewhere(session, monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", 6)
    _do(session, BALL_ROWS, _style("a ball made of gold", "colors and form"))
    grown = len(session.scene.state) - 300
    assert grown > 0
    floor = ((session.scene.state.ids >= BALL) & (session.scene.state.ids < 300)).nonzero()[:, 0]
    _do(session, SelectRows(int(floor[0]), int(floor[-1]) + 1), _style("a floor made of ice", "colors and form"))
    _do(session, jobs.SelectNothing())
    more = len(session.scene.state) - 300 - grown
    assert more > 0
    for name, count in (("ball", BALL + grown), ("floor", 150 + more)):
        thing = next(it for it in objects_of(session.scene) if it.name == name)
        _do(session, SelectObject(thing.id))
        assert session.scene.selection.count == count, name


def test_undo_takes_an_object_back_with_its_first_edit_and_redo_brings_it_with_its_name(session):
    _do(session, BALL_ROWS, _style("a ball made of gold"))
    session.scene.desk.rename(objects_of(session.scene)[0].id, "the moon")
    _do(session, jobs.Blend(objects_of(session.scene)[0].id, 0.0))
    assert _names(session) == [("the moon", 1)], "what is taken out can be put back"
    _do(session, jobs.Undo(), jobs.Undo())
    assert _names(session) == []
    _do(session, jobs.Redo())
    assert _names(session) == [("the moon", 1)]
    _do(session, jobs.Undo(), FLOOR_ROWS, _style("a floor made of ice"))
    assert _names(session) == [("floor", 1)], "another object has another name"


def test_hiding_makes_an_object_invisible_and_showing_brings_every_bit_back(session):
    _do(session, BALL_ROWS, _style("a ball made of gold"), FLOOR_ROWS)
    (ball,), seen = objects_of(session.scene), bits(session)
    _do(session, ShowObject(ball.id, shown=False))
    hidden = bits(session)
    assert (hidden["opacities"][:BALL].sigmoid() < 1 / 255).all(), "no rasterizer draws less"
    assert same(hidden | {"opacities": seen["opacities"]}, seen)
    assert torch.equal(hidden["opacities"][BALL:], seen["opacities"][BALL:])
    assert objects_of(session.scene)[0].hidden and _names(session) == [("ball", 1)], "hiding is no edit of it"
    _do(session, _style("a floor made of ice"), ShowObject(ball.id, shown=True))
    assert torch.equal(bits(session)["opacities"], seen["opacities"])
    _do(session, ShowObject(ball.id, shown=False))
    assert torch.equal(bits(session)["opacities"], hidden["opacities"])
    _do(session, *[jobs.Undo()] * 4)
    assert same(bits(session), seen)


@pytest.mark.parametrize("order", [_style("red"), ApplyGrade(Grade(saturation=0.0))], ids=["style", "colors"])
def test_what_is_hidden_is_not_edited_unseen(session, order):
    _do(session, BALL_ROWS, _style("a ball made of gold"))
    _do(session, ShowObject(objects_of(session.scene)[0].id, shown=False))
    before = bits(session)
    assert not session.do(order) and "ball is hidden. Show it first" in session.status.message
    assert same(bits(session), before)


@pytest.mark.parametrize("form", ["colors", "colors and form"])
def test_an_object_goes_back_to_its_original_look_as_a_step(session, monkeypatch, form):
    """Whatever was done to it, and nothing else changes; undo brings every bit of its look back."""
    monkeypatch.setitem(PRESETS, "quick", 6)
    captured = ball_on_floor().to_splatfacto()
    _do(session, BALL_ROWS, _style("a ball made of gold", form), ApplyGrade(Grade(brightness=0.5)))
    first = int((session.scene.state.ids == BALL).nonzero())
    _do(session, SelectRows(first, first + 150), _style("a floor made of ice"))
    (ball, _), edited = objects_of(session.scene), bits(session)
    _do(session, RestoreObject(ball.id))
    now, on_floor = session.scene.state, (edited["ids"] >= BALL) & (edited["ids"] < 300)
    beside = now.at(edited["ids"][on_floor])
    assert all(torch.equal(beside.columns[name], edited[name][on_floor]) for name in captured)
    back = now.at(now.ids[~torch.isin(now.ids, beside.ids)])
    assert len(back) == BALL and all(torch.equal(back.columns[name], captured[name][:BALL]) for name in captured)
    # What has come takes no identity that something else had: steps know theirs by it.
    assert torch.equal(back.ids, edited["ids"][:BALL]) or back.ids.min() > edited["ids"].max()
    assert (back.selection == 1).all() and session.scene.selection.count == BALL
    assert _names(session) == [("ball", 3), ("floor", 1)] and "has its original look" in session.status.message
    assert session.scene.history.steps[-1].thumbnail is not None
    _do(session, RestoreObject(ball.id))
    assert _names(session) == [("ball", 3), ("floor", 1)], "twice is once"
    _do(session, jobs.Undo(), jobs.Undo())
    assert same(bits(session), edited)
    _do(session, jobs.Redo(), jobs.Redo(), jobs.Blend(session.scene.history.steps[-1].id, 0.0))
    looks = bits(session)
    assert all(torch.equal(looks[name], edited[name]) for name in captured), "without that step it has its look again"


def test_what_is_selected_goes_back_to_its_original_look(session):
    """As its object does; what was never edited has it, of several objects at once it is asked which."""
    assert not session.do(RestoreSelected()) and "Nothing is selected yet" in session.status.message
    _do(session, BALL_ROWS, RestoreSelected())
    assert "nothing was done to what is selected" in session.status.message and len(session.scene.history.steps) == 1
    captured = ball_on_floor().to_splatfacto()
    _do(session, Paint("blue"), FLOOR_ROWS, Paint("red"))
    floor = session.scene.state.columns["features_dc"][BALL:].clone()
    _do(session, SelectRows(0, BALL - 20), RestoreSelected())  # a little less of it is still the ball
    now = session.scene.state.columns["features_dc"]
    assert torch.equal(now[:BALL], captured["features_dc"][:BALL]) and torch.equal(now[BALL:], floor)
    before = bits(session)
    _do(session, SelectRows(60, 240))
    assert not session.do(RestoreSelected())
    assert "touches" in session.status.message and "blue thing, red thing" in session.status.message
    _do(session, jobs.Undo())
    assert same(bits(session), before)


def test_only_objects_that_share_gaussians_with_what_is_selected_are_touched(session):
    far = SelectRows(BALL + 100, BALL + 150)
    _do(session, BALL_ROWS, Paint("blue"), far, Paint("red"))
    _do(session, SelectRows(BALL + 20, BALL + 60), RestoreSelected())
    assert "nothing was done to what is selected" in session.status.message
    _do(session, SelectRows(BALL // 2, BALL + 60))
    assert not session.do(RestoreSelected())
    assert "touches blue thing." in session.status.message, session.status.message


def test_what_looks_as_it_was_captured_is_not_called_by_a_colour_that_it_had_since(session):
    scene = session.scene
    scene.select(Selection((torch.arange(300) < BALL).float(), "the red and white thing and its base"), "selecting it")
    _do(session, Paint("blue"), jobs.SelectNothing())
    (thing,) = objects_of(scene)
    assert thing.name == "blue thing"
    _do(session, RestoreObject(thing.id))
    assert _names(session) == [("red and white thing", 2)]
    _do(session, Paint("green"), jobs.SelectNothing())
    assert _names(session) == [("green thing", 3)]


def test_what_is_hidden_is_not_brought_back_unseen(session):
    _do(session, BALL_ROWS, _style("a ball made of gold"))
    (ball,) = objects_of(session.scene)
    _do(session, ShowObject(ball.id, shown=False))
    before = bits(session)
    assert not session.do(RestoreObject(ball.id)) and "ball is hidden. Show it first" in session.status.message
    assert same(bits(session), before)


def test_a_picture_shows_what_is_selected_and_nothing_else(session):
    assert picture_of_selection(session.scene) is None
    _do(session, BALL_ROWS, Paint("blue"))
    picture = np.asarray(Image.open(io.BytesIO(picture_of_selection(session.scene))).convert("RGB"), dtype=float)
    red, _, blue = picture[30:66, 30:66].reshape(-1, 3).mean(0)
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert blue > red + 40 and np.abs(corners - 64).max() < 8, "grey around it: no floor"


def test_what_a_view_is_framed_on_is_the_object_or_the_scene_without_its_farthest_tenth(session):
    """The ball has radius 0.3 around the origin; of one Gaussian there is nothing but its place."""
    means = session.scene.gaussians.means
    for chosen in (means, means[:BALL]):
        middle, radius = session.scene.object_ball()
        assert ((chosen - middle).norm(dim=1) <= radius).float().mean() == pytest.approx(0.9, abs=0.01)
        _do(session, BALL_ROWS)
    assert middle.norm() < 0.1 and radius == pytest.approx(0.3, abs=0.1)
    _do(session, SelectRows(7, 8))
    middle, radius = session.scene.object_ball()
    assert torch.equal(middle, means[7]) and 0 < radius < 0.01


def test_settings_that_others_wrote_make_no_object_of_their_own_kind(session):
    _do(session, BALL_ROWS)
    for settings in ({"object_id": [1]}, {"hides_object": {}}, {"object_id": "1", "hides_object": None}):
        _paint(session, "gold", settings)
    assert [count for _, count in _names(session)] == [1, 1, 1]


def test_an_object_that_was_undone_is_not_there_to_be_selected(session):
    _do(session, BALL_ROWS, _style("gold"))
    (thing,) = objects_of(session.scene)
    _do(session, jobs.Undo())
    assert not session.do(SelectObject(thing.id)) and "Redo brings it back" in session.status.message


def test_what_surrounds_the_scene_is_no_object(session):
    """It is an edit that changes no Gaussian: nothing belongs to it, and there is nothing of it to select or hide."""
    _do(session, BALL_ROWS)
    session.scene.history.record(Delta.of_environment(torch.ones(4, 8, 3)), "surroundings: sky.hdr")
    assert objects_of(session.scene) == []
    _paint(session, "a ball made of gold", belonging(session.scene))
    assert _names(session) == [("ball", 1)]
