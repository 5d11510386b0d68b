"""Rounds of edits in a live session: each is a step that can be undone, the next goes on, Stop keeps what was done."""

import itertools
import threading
import time
from dataclasses import replace

import pytest
import torch

from fasttext2style.editors.local_edit import LocalEditConfig, LocalEditor
from fasttext2style.live import jobs
from fasttext2style.live.rounds import EditRound, LiveRounds
from fasttext2style.live.session import LiveSession
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import Capture
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.setup import new_rounds
from fasttext2style.rounds.tools import Tools
from fasttext2style.rounds.views import to_bytes
from fasttext2style.scene.rasterize import render
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.styler import StylerConfig
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, PlainHost, SelectRows, adam, bits, open_session, same
from tests.rounds.balls import sunk_ball
from tests.rounds.editors import Broken, Eraser, Painter, Slow

STEPS = 6
PHOTOGRAPHS = to_bytes(render(ball_on_floor(), capture_cameras())[0])


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    """The ball is the object."""
    return _session(ball_on_floor(), tmp_path)


def _session(gaussians, folder) -> LiveSession:
    folder.mkdir(exist_ok=True)
    session = open_session(PlainHost(gaussians, folder / "scene.pt"), capture_cameras(), folder)
    assert session.do(SelectRows(0, BALL)), session.status.message
    return session


def _live(folder, mode="restyle", editor=Painter, steps=STEPS) -> LiveRounds:
    config = RoundsConfig(Schedule(rounds=2, steps=steps), losses=LossConfig(lpips="off"))
    local = LocalEditor(editor(), LocalEditConfig())

    def begin(instruction, edit, books, on_edit_step) -> EditRounds:
        capture = Capture(capture_cameras(), PHOTOGRAPHS, torch.zeros(3))
        task = Task(instruction, mode)
        return new_rounds(edit, capture, Tools(local), task, config, StylerConfig(), books, on_edit_step)

    return LiveRounds(begin, adam(RATES), folder, GrowthConfig(every=5, gradient_threshold=0.0))


def _red(session) -> float:
    """How much redder than green the object is."""
    object_ = session.scene.gaussians.subset(session.scene.state.selection > 0)
    return float(object_.sh_dc[:, 0].mean() - object_.sh_dc[:, 1].mean())


def _stop_while_editing(session) -> None:
    """Press Stop, once, as soon as the editor says how far it is."""

    def press(event):
        if session.status.steps.doing == "editing":
            session.scene.listeners.remove(press)
            session.stop()

    session.scene.listeners.append(press)


@pytest.mark.parametrize("mode", ["restyle", "replace"])
def test_rounds_are_steps_and_undo_is_bitwise(session, tmp_path, mode):
    live, moments, reds = _live(tmp_path, mode), [bits(session)], [_red(session)]
    orders = [EditRound(live, "make it red"), EditRound(live, "make it red", refines=True),
              EditRound(live, "make it red", "fine")]  # fmt: skip
    for order in orders:
        assert session.do(order), session.status.message
        moments.append(bits(session))
        reds.append(_red(session))
    assert reds == sorted(reds) and len(set(reds)) == 4
    edits = [step for step in session.scene.history.steps if step.kind == "edit"]
    assert [(step.settings["round"], step.settings["steps"]) for step in edits] == [(1, 6), (1, 12), (2, 12)]
    assert [step.settings["refined"] for step in edits] == [False, True, False]
    assert (len(session.scene.state) != len(ball_on_floor())) == (mode == "replace")
    books = RoundsFolder(tmp_path / "live_rounds" / "01_make_it_red" / "rounds")
    assert [entry.number for entry in books.rounds()] == [0, 1, 2]
    assert books.rounds()[1].manifest["metrics"].keys() == {"trained", "refined"}
    floor = ball_on_floor().sh_dc[BALL:]
    kept = session.scene.gaussians.sh_dc[session.scene.state.selection == 0]
    assert torch.equal(kept, floor)
    for moment in moments[-2::-1]:
        assert session.do(jobs.Undo()) and same(bits(session), moment)
    for moment in moments[1:]:
        assert session.do(jobs.Redo()) and same(bits(session), moment)


@pytest.mark.parametrize("mode, share", [("restyle", 0.1), ("replace", 1.0), ("remove", 1.0)])
def test_a_modes_rate_is_that_of_form_and_not_of_colour(tmp_path, mode, share):
    """As in ns-train: restyling, places and sizes learn at a tenth of the rates that were set."""
    session = _session(sunk_ball() if mode == "remove" else ball_on_floor(), tmp_path / "scene")
    live = _live(tmp_path, mode, Eraser if mode == "remove" else Painter, steps=1)
    assert session.do(EditRound(live, "make it red")), session.status.message
    rates = {name: it.param_groups[0]["lr"] for name, it in live._series.optimizers.items()}
    assert rates.keys() == RATES.keys()
    for name, rate in RATES.items():
        assert rates[name] == pytest.approx(rate * (1.0 if name.startswith("features") else share)), name


def test_after_an_undo_rounds_begin_anew_from_what_is_seen(session, tmp_path):
    live = _live(tmp_path)
    session.do(EditRound(live, "make it red"))
    session.do(jobs.Undo())
    start = bits(session)
    assert not session.do(EditRound(live, "make it red", refines=True)) and "Next round" in session.status.message
    assert session.do(EditRound(live, "make it red")), session.status.message
    assert session.scene.history.steps[-1].settings["round"] == 1 and not same(bits(session), start)
    assert session.do(EditRound(live, "make it blue"))
    assert [path.name for path in sorted((tmp_path / "live_rounds").iterdir())] == [
        *("01_make_it_red", "02_make_it_red", "03_make_it_blue")
    ]


def test_edited_pictures_are_told_before_training(session, tmp_path):
    start, told = _red(session), []
    session.scene.listeners.append(lambda event: told.append((event, _red(session), dict(session.scene.pictures))))
    session.do(EditRound(_live(tmp_path), "make it red"))
    (_, red, pictures), *more = [entry for entry in told if entry[0] == "pictures"]
    assert not more and red == start < _red(session)
    for picture in pictures.values():
        # Whole photographs, red where the ball is.
        assert picture.shape == PHOTOGRAPHS.shape[1:]
        assert (picture[..., 0].float() - picture[..., 1].float()).max() > 60
    session.do(jobs.Undo())
    assert told[-1][2] == {} and [event for event, *_ in told].count("pictures") == 2, "they go with the edit"


def test_stop_keeps_the_steps_and_training_goes_on(session, tmp_path):
    live = _live(tmp_path, steps=2000)
    running = threading.Thread(target=session.run, daemon=True)
    running.start()
    session.submit(EditRound(live, "make it red"))
    deadline = time.monotonic() + 60
    while not (session.status.steps.doing == "step" and session.status.steps.done > 2):
        assert time.monotonic() < deadline, session.status
        time.sleep(0.01)
    session.stop()
    while session.status.job:
        assert time.monotonic() < deadline, session.status
        time.sleep(0.01)
    session.close()
    running.join(10)
    paused = session.scene.history.steps[-1]
    assert 2 < paused.settings["steps"] < 2000 and "Round 1 done" in session.status.message
    session._closing = False
    live._series.plan = replace(live._series.plan, steps=STEPS)
    assert session.do(EditRound(live, "make it red", "quick", refines=True)), session.status.message
    assert session.scene.history.steps[-1].settings["steps"] == paused.settings["steps"] + STEPS // 2


def test_stop_while_the_editor_works_changes_nothing(session, tmp_path):
    live, before = _live(tmp_path, editor=Slow), bits(session)
    _stop_while_editing(session)
    assert session.do(EditRound(live, "make it red"))
    assert "nothing has changed" in session.status.message
    assert same(bits(session), before) and len(session.scene.history.steps) == 1
    assert session.do(EditRound(live, "make it red")), session.status.message
    assert session.scene.history.steps[-1].settings["round"] == 1


def test_pause_while_the_editor_works_loses_no_picture(session, tmp_path):
    """The editor waits where it is, is not asked again, and the round ends as if nobody had paused."""
    paused = threading.Event()

    class Slower(Painter):
        def edit(self, request, on_step=None):
            for done in range(1, 4):
                time.sleep(0.3)  # longer than the time between two reports
                on_step(done, 3)
            return super().edit(request, on_step)

    live = _live(tmp_path, editor=Slower)

    def press(event):
        if session.status.steps.doing == "editing" and not paused.is_set():
            paused.set()
            session.pause()

    session.scene.listeners.append(press)
    running = threading.Thread(target=session.run, daemon=True)
    running.start()
    session.submit(EditRound(live, "make it red"))
    assert paused.wait(60)
    before, steps = bits(session), session.status.steps
    time.sleep(1.5)
    assert session.status.paused and session.status.steps == steps and steps.done < steps.total
    assert same(bits(session), before)
    session.resume()
    deadline = time.monotonic() + 60
    while session.status.job:
        assert time.monotonic() < deadline, session.status
        time.sleep(0.01)
    session.close()
    running.join(10)
    assert "Round 1 done" in session.status.message and not session.status.paused
    (edit,) = RoundsFolder(tmp_path / "live_rounds" / "01_make_it_red" / "rounds").rounds()[-1].manifest["edits"]
    assert not edit["failed"]


def test_what_is_refused_in_words(session, tmp_path):
    live, before = _live(tmp_path), bits(session)
    assert not session.do(EditRound(live, "  ")) and "no instruction" in session.status.message
    session.do(jobs.SelectNothing())
    assert not session.do(EditRound(live, "make it red")) and "then press Next round" in session.status.message
    session.do(jobs.Undo())
    failing = _live(tmp_path, editor=Broken)
    assert not session.do(EditRound(failing, "make it red"))
    assert "edited none of" in session.status.message and "is unchanged" in session.status.message
    assert same(bits(session), before)


def test_a_removal_is_a_step_that_can_be_undone(session, tmp_path):
    live = _live(tmp_path, "remove", Eraser)
    sunk = sunk_ball()
    again = _session(sunk, tmp_path / "sunk")
    start = bits(again)
    assert again.do(EditRound(live, "remove it")), again.status.message
    assert len(again.scene.state) < len(sunk)
    removed = bits(again)
    assert again.do(EditRound(live, "remove it")), again.status.message
    assert again.do(jobs.Undo()) and same(bits(again), removed)
    assert again.do(jobs.Undo()) and same(bits(again), start)


def test_stop_in_a_removal_brings_back_what_went_at_once(tmp_path):
    """Most of what is removed goes when the round begins, before the editor has filled the hole."""

    class SlowEraser(Eraser):
        def edit(self, request, on_step=None):
            counts.append(len(session.scene.state))
            for done in (1, 2):
                time.sleep(0.3)  # longer than the time between two reports
                on_step(done, 2)
            return super().edit(request, on_step)

    session, counts = _session(sunk_ball(), tmp_path / "sunk"), []
    start = bits(session)
    _stop_while_editing(session)
    assert session.do(EditRound(_live(tmp_path, "remove", SlowEraser), "remove it")), session.status.message
    assert "nothing has changed" in session.status.message
    assert counts[0] < len(start["means"]) and same(bits(session), start)


def test_time_left_is_counted_from_the_end_of_the_first_step(session, tmp_path, monkeypatch):
    """That one waits for the editor: here a day, and each look at the clock takes a second."""
    clock = itertools.count()

    class ADay(Painter):
        def edit(self, request, on_step=None):
            nonlocal clock
            clock = itertools.count(next(clock) + 86_400)
            return super().edit(request, on_step)

    monkeypatch.setattr("fasttext2style.live.progress.time.monotonic", lambda: float(next(clock)))
    told = []
    session.scene.listeners.append(lambda event: told.append(session.status.steps))
    assert session.do(EditRound(_live(tmp_path, editor=ADay), "make it red")), session.status.message
    told = [steps for number, steps in enumerate(told) if steps.total and steps != told[number - 1]]
    assert [(steps.done, steps.total) for steps in told] == [(done, STEPS) for done in (0, 0, 1, 2, 3, 4, 5, 6)][1:]
    assert [steps.seconds_left for steps in told] == [None, *(float(STEPS - done) for done in range(1, STEPS + 1))]


def test_a_later_round_that_cannot_begin_leaves_the_one_before(session, tmp_path, monkeypatch):
    live = _live(tmp_path)
    session.do(EditRound(live, "make it red"))
    done = bits(session)

    def no_memory(*_):
        raise torch.cuda.OutOfMemoryError("no memory for the object's copy")

    with monkeypatch.context() as broken:
        broken.setattr(type(session.scene.state), "at", no_memory)
        assert not session.do(EditRound(live, "make it red")) and "no memory" in session.status.message
    assert same(bits(session), done)
    assert session.do(EditRound(live, "make it red")) and session.do(jobs.Undo()) and same(bits(session), done)


def test_a_stop_in_a_later_round_leaves_what_was_before_it(session, tmp_path):
    live = _live(tmp_path, editor=Slow)
    session.do(EditRound(live, "make it red"))
    done = bits(session)
    _stop_while_editing(session)
    session.do(EditRound(live, "make it red"))
    assert "nothing has changed" in session.status.message and same(bits(session), done)
    assert session.scene.host.earlier is None, "the host was told to show again what was before"
    assert session.do(EditRound(live, "make it red")) and session.scene.history.steps[-1].settings["round"] == 2


def test_more_than_a_hundred_series_have_a_folder_each(session, tmp_path):
    (tmp_path / "live_rounds" / "100_make_it_green").mkdir(parents=True)
    assert session.do(EditRound(_live(tmp_path), "make it red")), session.status.message
    assert (tmp_path / "live_rounds" / "101_make_it_red" / "rounds" / "index.html").is_file()
