"""The object's colours by sliders: seen at once, one step at rest, and undone as one."""

import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.live import jobs
from fasttext2style.live.grade import ApplyGrade, grade_of, record_grade
from fasttext2style.live.session import LiveSession
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.grade import graded
from fasttext2style.styling.grade_settings import Grade
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, SelectRows, bits, open_session, same


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    session = open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    session.do(SelectRows(0, BALL, weight=0.75))
    return session


DARK, RED = Grade(brightness=0.5), Grade(brightness=0.5, tint=1.0, tint_color=(1.0, 0.1, 0.1), opacity=0.5)


def _expected(grade: Grade) -> dict[str, torch.Tensor]:
    weights = torch.where(torch.arange(300) < BALL, 0.75, 0.0)
    return graded(ball_on_floor(), weights, grade)


def test_sliders_are_seen_at_once_and_become_one_step(session):
    start = bits(session)
    for grade in (Grade(brightness=0.8), RED, DARK):
        assert session.do(ApplyGrade(grade)), session.status.message
        now, expected = bits(session), _expected(grade)
        for name in ("features_dc", "features_rest", "opacities"):
            assert torch.equal(now[name], expected.get(name, start[name])), "as if it were the first one"
    session.scene.settle(after=3600.0)  # they moved a moment ago
    assert len(session.scene.history.steps) == 1, "nothing is written while a slider moves"
    session.scene.settle()
    assert [step.name for step in session.scene.history.steps][1:] == ["colors"] and grade_of(session.scene) == DARK
    dark = bits(session)
    assert session.do(jobs.Undo()) and same(bits(session), start)
    assert session.do(jobs.Redo()) and same(bits(session), dark)


def test_without_sliders_the_same_grade_is_the_same_step(session):
    """As a command makes it, of any weights: in the scene, and in the history."""
    scene, start, expected = session.scene, bits(session), _expected(RED)
    state = record_grade(scene.history, scene.state, scene.state.selection, RED)
    assert state is scene.state and same(bits(session), start | expected)
    assert grade_of(scene) == RED and session.do(jobs.Undo()) and same(bits(session), start)
    with pytest.raises(ValueError, match="Nothing is selected"):
        record_grade(scene.history, scene.state, torch.zeros(300), RED)


def test_a_step_took_as_long_as_sliders_moved_until_it_was_written(session, monkeypatch):
    clock = 1_000_000.0
    monkeypatch.setattr("fasttext2style.live.grade.time.monotonic", lambda: clock)
    assert session.do(ApplyGrade(RED)), session.status.message
    clock += 7.25
    assert session.do(ApplyGrade(DARK)), session.status.message
    clock += 0.5
    session.scene.settle()
    assert session.scene.history.steps[-1].seconds == 7.8


def test_whatever_is_done_next_settles_it_first(session):
    start = bits(session)
    session.do(ApplyGrade(DARK))
    dark = bits(session)
    assert session.do(SelectRows(0, 10))
    assert [step.kind for step in session.scene.history.steps] == ["selection", "edit", "selection"]
    assert session.do(jobs.Undo()) and same(bits(session), dark)
    assert session.do(jobs.Undo()) and same(bits(session), start)
    session.do(ApplyGrade(DARK))
    assert session.do(jobs.Undo()) and same(bits(session), start), "undo takes back what is on its way"


def test_a_grade_goes_on_where_the_last_one_was_as_long_as_nothing_came_between(session):
    session.do(ApplyGrade(RED))
    session.scene.settle()
    session.do(ApplyGrade(DARK))
    session.scene.settle()
    assert torch.equal(bits(session)["features_dc"], _expected(DARK)["features_dc"])
    assert len([step for step in session.scene.history.steps if step.kind == "edit"]) == 1
    session.do(SelectRows(0, 10))
    assert grade_of(session.scene).is_neutral
    before = session.scene.gaussians.sh_dc[:10].clone()
    session.do(ApplyGrade(Grade(brightness=0.5)))
    now = session.scene.gaussians.sh_dc[:10]
    torch.testing.assert_close(0.5 + 0.28209479 * now, 0.5 * (0.5 + 0.28209479 * before))


def test_sliders_that_are_back_leave_nothing(session):
    start = bits(session)
    session.do(ApplyGrade(RED))
    session.do(ApplyGrade(Grade()))
    session.scene.settle()
    assert same(bits(session), start) and len(session.scene.history.steps) == 1


def test_a_session_that_runs_settles_what_has_come_to_rest(session, monkeypatch):
    monkeypatch.setattr("fasttext2style.live.session._AT_REST", 0.0)
    session.do(ApplyGrade(DARK))
    session.run(idle=session.close)
    assert [step.name for step in session.scene.history.steps][1:] == ["colors"]


def test_a_session_goes_on_and_says_so_where_sliders_at_rest_cannot_become_a_step(session, monkeypatch):
    monkeypatch.setattr("fasttext2style.live.session._AT_REST", 0.0)
    start, scene = bits(session), session.scene
    session.do(ApplyGrade(DARK))

    def full(*arguments, **settings):
        raise ValueError("The step could not be kept: no space left")

    with monkeypatch.context() as patch:
        patch.setattr(scene.history, "record", full)
        session.run(idle=session.close)
    assert session.status.failed and "no space left" in session.status.message
    assert same(bits(session), start) and len(scene.history.steps) == 1


def test_what_is_saved_has_the_grade_as_a_step(session, tmp_path):
    session.do(ApplyGrade(DARK))
    assert session.do(jobs.Save())
    again = open_session(PlainHost.load(tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    assert same(bits(again), bits(session)) and again.do(jobs.Undo())


def test_without_an_object_nothing_is_graded(session):
    session.do(jobs.SelectNothing())
    before = bits(session)
    assert not session.do(ApplyGrade(DARK)) and "Nothing is selected" in session.status.message
    assert not session.do(ApplyGrade(Grade(opacity=2.0)))
    assert same(bits(session), before)


def test_the_picture_of_the_step_shows_what_was_graded(session):
    """Not the whole scene from the first camera: a twelfth of the ball, in its new colour, fills much of it."""
    top = ball_on_floor().means[:BALL, 2].argsort(descending=True)[: BALL // 12]
    session.do(jobs.SelectNothing())
    session.scene.select(Selection(torch.zeros(300).index_fill(0, top, 1.0), "its top"), "its top")
    session.do(ApplyGrade(Grade(tint=1.0, tint_color=(0.1, 0.1, 1.0))))
    session.scene.settle()
    picture = session.scene.history.steps[-1].thumbnail
    assert picture is not None
    red, green, blue = np.moveaxis(np.asarray(Image.open(picture).convert("RGB"), dtype=float), -1, 0)
    assert float((blue > 1.3 * np.maximum(red, green)).mean()) > 0.25
