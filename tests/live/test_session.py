"""A session's queue: jobs in turn, Stop, errors in words, restarts; whoever looks neither waits nor sees halves."""

import logging
import resource
import threading
import time
from dataclasses import dataclass

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.live import jobs
from fasttext2style.live.film import Film
from fasttext2style.live.objects import RestoreObject, RestoreSelected
from fasttext2style.live.progress import Progress, Steps
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.live.surroundings import SetSky, SetSurroundings
from fasttext2style.selection.selection import Selection
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, PlainHost, SelectRows, adam, bits, open_session, same

SETTINGS = StyleSettings(load_encoder("tiny"), adam(RATES))


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", 6)


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    return open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)


BALL_ROWS = SelectRows(0, BALL)
RED = ApplyStyle(SETTINGS, "red", preset="quick")
LONG = ApplyStyle(SETTINGS, "red", preset="normal")


def test_a_session_goes_on_after_a_restart(session, tmp_path):
    start = bits(session)
    session.do(BALL_ROWS)
    session.do(RED)
    assert session.do(jobs.Save()) and session.status.message.startswith("Saved, with all that can be undone.")
    styled = bits(session)
    again = open_session(PlainHost.load(tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    assert same(bits(again), styled) and again.scene.selection.count == BALL
    assert again.do(jobs.Undo()) and again.do(jobs.Undo()) and same(bits(again), start)


def test_a_killed_session_loses_nothing(session, tmp_path):
    """The checkpoint is the first one; history.json knows the rest."""
    session.scene.save()
    session.do(BALL_ROWS)
    session.do(RED)
    styled = bits(session)
    assert not styled["features_dc"].equal(PlainHost.load(tmp_path / "scene.pt").shown.columns["features_dc"])
    again = open_session(PlainHost.load(tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    assert same(bits(again), styled)


@pytest.mark.parametrize(
    "order, words",
    [
        (ApplyStyle(SETTINGS, "  "), "There is no sentence"),
        (ApplyStyle(SETTINGS, "qwrtz plmk"), "qwrtz"),
        (jobs.Blend(7, 0.5), "There is no step 7"),
        (jobs.Redo(), "nothing to redo"),
        (SelectRows(0, 0), ""),
    ],
    ids=["no sentence", "unknown words", "no such step", "redo at the end", "an empty selection"],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(session, order, words):
    session.do(BALL_ROWS)
    before = bits(session)
    if words:
        assert not session.do(order) and words in session.status.message
        assert same(bits(session), before)
    else:
        session.do(order)
        assert not session.do(RED) and "Nothing is selected" in session.status.message


def test_undo_at_the_beginning_is_refused_in_words(session):
    assert not session.do(jobs.Undo())
    assert "nothing to undo" in session.status.message


def test_a_selection_of_another_scene_is_refused(session):
    @dataclass(frozen=True)
    class Foreign:
        title: str = "Foreign"

        def run(self, scene, progress):
            return scene.select(Selection(torch.ones(7), "elsewhere"), "elsewhere")

    assert not session.do(Foreign())
    assert "7 weights but the scene has 300" in session.status.message


def test_an_unexpected_error_leaves_scene_and_session_as_they_were(session, monkeypatch, caplog):
    session.do(BALL_ROWS)
    before = bits(session)

    def broken(self):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("fasttext2style.live.style._Style.metrics", broken)
        with caplog.at_level(logging.ERROR):
            assert not session.do(RED)
    assert "RuntimeError: out of memory" in session.status.message and session.status.failed
    assert "in broken" in caplog.text, "the traceback is in the log"
    assert same(bits(session), before)
    assert session.do(RED)


def test_a_full_disk_takes_the_edit_back_and_says_so(session):
    """A limit on the size of files stands for the full disk."""
    session.do(BALL_ROWS)
    before, steps = bits(session), len(session.scene.history.steps)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        done = session.do(RED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not done
    assert "could not be kept" in session.status.message and "is unchanged" in session.status.message
    assert same(bits(session), before) and len(session.scene.history.steps) == steps
    assert session.do(RED)


def _running(session) -> threading.Thread:
    thread = threading.Thread(target=session.run)
    thread.start()
    return thread


def _wait(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


@pytest.fixture()
def running(session, monkeypatch):
    monkeypatch.setitem(PRESETS, "normal", 100_000)
    thread = _running(session)
    yield session
    session.close()
    thread.join(20)
    assert not thread.is_alive()


def test_stop_keeps_what_was_done_as_a_step(running):
    before = bits(running)
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.steps.done >= 3)
    running.stop()
    _wait(lambda: not running.status.job)
    assert "Stopped after" in running.status.message
    step = running.scene.history.steps[-1]
    assert 3 <= step.settings["steps"] < 1000
    assert not same(bits(running), before)


@pytest.mark.parametrize("ends_by", ["resume", "stop", "close"])
def test_what_is_paused_waits_and_keeps_what_it_did(running, ends_by):
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.steps.done >= 2)
    running.pause()
    _wait(lambda: bool(running._wake._waiters))  # the present step has ended, however long it took
    before, done = bits(running), running.status.steps.done
    time.sleep(0.3)
    assert running.status.paused and same(bits(running), before) and running.status.steps.done == done
    getattr(running, ends_by)()
    if ends_by == "resume":
        _wait(lambda: running.status.steps.done > done + 2)
        assert not running.status.paused
        running.stop()
    _wait(lambda: len(running.scene.history.steps) == 2)
    assert running.scene.history.steps[-1].settings["steps"] >= done


@pytest.mark.parametrize("times", [2, 5])
def test_a_button_that_is_pressed_again_starts_one_edit(running, times):
    running.submit(BALL_ROWS)
    for _ in range(times):
        running.submit(LONG)
    _wait(lambda: running.status.steps.done >= 1)
    running.submit(LONG)
    assert running.status.waiting == ()
    running.submit(jobs.Undo())
    running.submit(LONG)
    assert running.status.waiting == ("Undo", LONG.title), "after another job it is another edit"
    running.stop()


@pytest.mark.parametrize(
    "job",
    [LONG, RestoreObject(1), RestoreSelected(), SetSurroundings("sky.hdr"), SetSky("sunset"), jobs.Export(), Film()],
    ids=lambda job: type(job).__name__,
)
def test_what_takes_a_while_waits_once_however_often_its_button_is_pressed(session, job):
    for _ in range(2):
        session.submit(job)
    assert session.status.waiting == (job.title,)


def test_stop_before_the_first_step_changes_nothing(session, monkeypatch):
    session.do(BALL_ROWS)
    before = bits(session)

    def press_stop(event):
        if session.status.steps.total and not session.status.steps.done:
            session.scene.listeners.clear()  # once, while the edit is prepared
            session.stop()

    session.scene.listeners.append(press_stop)
    assert session.do(LONG), session.status.message
    assert "nothing has changed" in session.status.message
    assert same(bits(session), before) and len(session.scene.history.steps) == 1


def test_jobs_wait_in_line_and_stop_forgets_them(running):
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.steps.done >= 1)
    running.submit(ApplyStyle(SETTINGS, "gold", preset="quick"))
    assert running.status.waiting == ("Style: gold",)
    running.stop()
    assert running.status.waiting == ()
    _wait(lambda: not running.status.job)
    assert [step.name for step in running.scene.history.steps if step.kind == "edit"] == ["red"]


@pytest.mark.parametrize(
    ("slider", "title"),
    [(jobs.Threshold, "Threshold 0.3"), (lambda value: jobs.Blend(1, value), "Strength of step 1")],
    ids=["threshold", "strength"],
)
def test_of_a_slider_only_the_last_position_waits(session, slider, title):
    session.submit(BALL_ROWS)
    for value in (0.1, 0.2, 0.3):
        session.submit(slider(value))
    assert session.status.waiting == ("Select rows", title)
    assert session._jobs[-1] == slider(0.3)


def test_what_went_wrong_before_is_forgotten_when_the_next_job_begins(session):
    assert not session.do(RED) and session.status.failed
    seen = []

    def look(event):
        if session.status.job:
            seen.append((session.status.failed, session.status.message))

    session.scene.listeners.append(look)
    assert session.do(BALL_ROWS) and set(seen) == {(False, "")}


def test_a_desk_that_cannot_be_written_is_said_and_the_session_goes_on(session):
    session.scene.desk.path.mkdir()  # in the way
    session.scene.desk.note(sentence="gold")
    session.run(idle=session.close)
    assert session.status.failed and f"{session.scene.desk.path} could not be written" in session.status.message
    assert session.do(BALL_ROWS)


def test_closing_during_an_edit_keeps_the_steps_so_far(session, monkeypatch):
    monkeypatch.setitem(PRESETS, "normal", 100_000)
    thread = _running(session)
    session.submit(BALL_ROWS)
    session.submit(LONG)
    _wait(lambda: session.status.steps.done >= 2)
    session.close()
    thread.join(20)
    assert session.scene.history.steps[-1].prompt == "red"


def test_nobody_who_looks_sees_a_half_written_state(running, monkeypatch):
    """Each step paints all of the object in the colour of its number: who holds the lock sees one number."""

    def paint(style, number):
        for name in ("features_dc", "features_rest"):
            style.edit.parameters[name].data.fill_(float(number))
        return 0.0

    monkeypatch.setattr("fasttext2style.live.style._Style.step", paint)
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.steps.done >= 1)
    seen = set()
    for _ in range(100):
        with running.scene.lock:
            shown = running.scene.host.shown.columns
            colors = [shown[name][:BALL] for name in ("features_dc", "features_rest")]
            numbers = torch.cat([values.flatten() for values in colors]).unique().tolist()
        assert len(numbers) == 1, numbers
        seen.update(numbers)
        time.sleep(0.001)
    running.stop()
    assert len(seen) > 3


def test_nobody_who_looks_waits_for_a_step(running):
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.steps.done >= 2)
    first, started, waits = running.status.steps.done, time.perf_counter(), []
    while running.status.steps.done < first + 5:
        before = time.perf_counter()
        with running.scene.lock:
            waits.append(time.perf_counter() - before)
        time.sleep(0.005)
    step = (time.perf_counter() - started) / 5
    running.stop()
    assert sorted(waits)[int(0.9 * len(waits))] < 0.5 * step, (waits, step)


def test_time_left_is_counted_from_step_0_and_not_told_too_often(monkeypatch):
    told, clock = [], [100.0]
    monkeypatch.setattr("fasttext2style.live.progress.time.monotonic", lambda: clock[0])
    progress = Progress(told.append, lambda: False)
    progress.report(0, 4)
    clock[0] = 105.0  # the editor worked
    progress.report(0, 4)
    clock[0] = 107.0
    progress.report(1, 4)
    clock[0] = 107.1
    progress.report(2, 4)
    clock[0] = 107.2
    progress.report(4, 4, "view")
    assert told == [Steps(0, 4), Steps(0, 4), Steps(1, 4, "step", 6.0), Steps(4, 4, "view", 0.0)]
