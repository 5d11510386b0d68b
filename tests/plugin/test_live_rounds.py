"""Rounds of edits in a live session: each is a step that can be undone, the next goes on, Pause keeps what was done."""

import threading
import time
from dataclasses import replace

import pytest
import torch

from fasttext2style.history.history import History
from fasttext2style.live import jobs as jobs
from fasttext2style.live.rounds import EditRound, LiveRounds
from fasttext2style.live.session import LiveSession
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.selection.selection import Selection
from tests.plugin.hosts import BALL, ball_on_floor
from tests.plugin.rounds_host import rounds_capture, rounds_config
from tests.rounds.balls import sunk_ball

STEPS = 6


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    config = rounds_config(rounds_capture(folder / "capture"), folder, steps=STEPS)
    return config.pipeline.setup(device="cpu", test_mode="inference", world_size=1, local_rank=0)


@pytest.fixture()
def session(pipeline, tmp_path) -> LiveSession:
    model = pipeline.model.eval()
    model.load_state_dict(ball_on_floor().to_splatfacto())
    model.earlier.clear()
    cameras, history = pipeline.datamanager.cameras("train"), History.open(tmp_path / "history")
    session = LiveSession(model, cameras, history, tmp_path, lambda: tmp_path)
    weights = torch.zeros(len(ball_on_floor()))
    weights[:BALL] = 1
    session.select(Selection(weights, "ball"), "the ball")
    return session


def _live(pipeline, folder, mode="restyle", editor=None) -> LiveRounds:
    config = rounds_config(folder, folder, steps=STEPS, mode=mode)
    if editor:
        config.pipeline.editor = editor
    return LiveRounds(
        config.pipeline,
        config.pipeline.load_tools("cpu"),
        config.optimizers,
        pipeline.datamanager.photographs(),
        folder,
    )


def _bits(session) -> dict:
    return {name: column.clone() for name, column in session.state.columns.items()} | {"ids": session.state.ids.clone()}


def _same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _red(session) -> float:
    """How much redder than green the object is."""
    object_ = session.gaussians.subset(session.state.selection > 0)
    return float(object_.sh_dc[:, 0].mean() - object_.sh_dc[:, 1].mean())


@pytest.mark.parametrize("mode", ["restyle", "replace"])
def test_rounds_are_steps_and_undo_is_bitwise(session, pipeline, tmp_path, mode):
    live, moments, reds = _live(pipeline, tmp_path, mode), [_bits(session)], [_red(session)]
    orders = [EditRound(live, "make it red"), EditRound(live, "make it red", refines=True),
              EditRound(live, "make it red", "fine")]  # fmt: skip
    for order in orders:
        assert session.do(order), session.status.message
        moments.append(_bits(session))
        reds.append(_red(session))
    assert reds == sorted(reds) and len(set(reds)) == 4
    edits = [step for step in session.history.steps if step.kind == "edit"]
    assert [(step.settings["round"], step.settings["steps"]) for step in edits] == [(1, 6), (1, 12), (2, 12)]
    assert [step.settings["refined"] for step in edits] == [False, True, False]
    assert (len(session.state) != len(ball_on_floor())) == (mode == "replace")
    books = RoundsFolder(tmp_path / "live_rounds" / "01_make_it_red" / "rounds")
    assert [entry.number for entry in books.rounds()] == [0, 1, 2]
    assert books.rounds()[1].manifest["metrics"].keys() == {"trained", "refined"}
    floor = ball_on_floor().sh_dc[BALL:]
    kept = session.gaussians.sh_dc[session.state.selection == 0]
    assert torch.equal(kept, floor)
    for moment in moments[-2::-1]:
        assert session.do(jobs.Undo()) and _same(_bits(session), moment)
    for moment in moments[1:]:
        assert session.do(jobs.Redo()) and _same(_bits(session), moment)


def test_after_an_undo_rounds_begin_anew_from_what_is_seen(session, pipeline, tmp_path):
    live = _live(pipeline, tmp_path)
    session.do(EditRound(live, "make it red"))
    session.do(jobs.Undo())
    start = _bits(session)
    assert not session.do(EditRound(live, "make it red", refines=True)) and "Next round" in session.status.message
    assert session.do(EditRound(live, "make it red")), session.status.message
    assert session.history.steps[-1].settings["round"] == 1 and not _same(_bits(session), start)
    assert session.do(EditRound(live, "make it blue"))
    assert [path.name for path in sorted((tmp_path / "live_rounds").iterdir())] == [
        *("01_make_it_red", "02_make_it_red", "03_make_it_blue")
    ]


def test_edited_pictures_are_told_before_training(session, pipeline, tmp_path):
    start, told = _red(session), []
    session.listeners.append(lambda event: told.append((event, _red(session), dict(session.pictures))))
    session.do(EditRound(_live(pipeline, tmp_path), "make it red"))
    (_, red, pictures), *more = [entry for entry in told if entry[0] == "pictures"]
    assert not more and red == start < _red(session)
    for picture in pictures.values():
        # Whole photographs, red where the ball is.
        assert picture.shape == pipeline.datamanager.photographs().shape[1:]
        assert (picture[..., 0].float() - picture[..., 1].float()).max() > 60


def test_pause_keeps_the_steps_and_refine_goes_on(session, pipeline, tmp_path):
    live = _live(pipeline, tmp_path)
    live.config.rounds.schedule.steps = 2000
    running = threading.Thread(target=session.run, daemon=True)
    running.start()
    session.submit(EditRound(live, "make it red"))
    deadline = time.monotonic() + 60
    while not (session.status.doing == "step" and session.status.done > 2):
        assert time.monotonic() < deadline, session.status
        time.sleep(0.01)
    session.stop()
    while session.status.job:
        assert time.monotonic() < deadline, session.status
        time.sleep(0.01)
    session.close()
    running.join(10)
    paused = session.history.steps[-1]
    assert 2 < paused.settings["steps"] < 2000 and "Round 1 done" in session.status.message
    session._closing = False
    live._series.plan = replace(live._series.plan, steps=STEPS)
    assert session.do(EditRound(live, "make it red", "quick", refines=True)), session.status.message
    assert session.history.steps[-1].settings["steps"] == paused.settings["steps"] + STEPS // 2


def test_pause_while_the_editor_works_changes_nothing(session, pipeline, tmp_path):
    live, before = _live(pipeline, tmp_path, editor="tests.rounds.editors:Slow"), _bits(session)
    session._stop = True  # as if Pause was pressed at once
    assert session.do(EditRound(live, "make it red"))
    assert "nothing has changed" in session.status.message
    assert _same(_bits(session), before) and len(session.history.steps) == 1
    assert session.do(EditRound(live, "make it red")), session.status.message
    assert session.history.steps[-1].settings["round"] == 1


def test_what_is_refused_in_words(session, pipeline, tmp_path):
    live, before = _live(pipeline, tmp_path), _bits(session)
    assert not session.do(EditRound(live, "  ")) and "no instruction" in session.status.message
    session.do(jobs.SelectNothing())
    assert not session.do(EditRound(live, "make it red")) and "Nothing is selected" in session.status.message
    session.do(jobs.Undo())
    failing = _live(pipeline, tmp_path, editor="tests.rounds.editors:Broken")
    assert not session.do(EditRound(failing, "make it red"))
    assert "edited none of" in session.status.message and "as it was before" in session.status.message
    assert _same(_bits(session), before)


def test_a_removal_is_a_step_that_can_be_undone(session, pipeline, tmp_path):
    live = _live(pipeline, tmp_path, "remove", "tests.rounds.editors:Eraser")
    session.do(jobs.SelectNothing())
    sunk = sunk_ball()
    session.model.load_state_dict(sunk.to_splatfacto())
    again = LiveSession(
        session.model, session.cameras, History.open(tmp_path / "again"), tmp_path / "again", lambda: tmp_path
    )
    weights = torch.zeros(len(sunk))
    weights[:BALL] = 1
    again.select(Selection(weights, "ball"), "the ball")
    start = _bits(again)
    assert again.do(EditRound(live, "remove it")), again.status.message
    assert len(again.state) < len(sunk)
    removed = _bits(again)
    assert again.do(EditRound(live, "remove it")), again.status.message
    assert again.do(jobs.Undo()) and _same(_bits(again), removed)
    assert again.do(jobs.Undo()) and _same(_bits(again), start)


def test_a_later_round_that_cannot_begin_leaves_the_one_before(session, pipeline, tmp_path, monkeypatch):
    live = _live(pipeline, tmp_path)
    session.do(EditRound(live, "make it red"))
    done = _bits(session)

    def no_memory(*_):
        raise torch.cuda.OutOfMemoryError("no memory for the object's copy")

    with monkeypatch.context() as broken:
        broken.setattr(type(session.state), "at", no_memory)
        assert not session.do(EditRound(live, "make it red")) and "no memory" in session.status.message
    assert _same(_bits(session), done)
    assert session.do(EditRound(live, "make it red")) and session.do(jobs.Undo()) and _same(_bits(session), done)


def test_a_pause_in_a_later_round_leaves_what_was_before_it(session, pipeline, tmp_path):
    live = _live(pipeline, tmp_path, editor="tests.rounds.editors:Slow")
    session.do(EditRound(live, "make it red"))
    earlier, done = session.model.earlier.features_dc.clone(), _bits(session)
    session._stop = True  # as if Pause was pressed while the editor works
    session.do(EditRound(live, "make it red"))
    assert "nothing has changed" in session.status.message and _same(_bits(session), done)
    assert torch.equal(session.model.earlier.features_dc, earlier)
    assert session.do(EditRound(live, "make it red")) and session.history.steps[-1].settings["round"] == 2


def test_more_than_a_hundred_series_have_a_folder_each(session, pipeline, tmp_path):
    (tmp_path / "live_rounds" / "100_make_it_green").mkdir(parents=True)
    assert session.do(EditRound(_live(pipeline, tmp_path), "make it red")), session.status.message
    assert (tmp_path / "live_rounds" / "101_make_it_red" / "rounds" / "index.html").is_file()
