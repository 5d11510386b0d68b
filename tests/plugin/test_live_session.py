"""A live session without a viewer: what jobs do to the scene, the history and the checkpoint, and what they refuse."""

import resource
import threading
import time
from dataclasses import dataclass

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.history import History
from fasttext2style.live import jobs as jobs
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.plugin.style.method import fasttext2style
from fasttext2style.scene.files.ply import read_ply
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.growth import GrowthConfig
from tests.plugin.hosts import BALL, ball_on_floor, capture_cameras, make_capture, style_config

SETTINGS = StyleSettings(
    load_encoder("tiny"), fasttext2style.config.optimizers, growth=GrowthConfig(every=2, gradient_threshold=0.0)
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    config = style_config(make_capture(folder / "capture"), folder)
    pipeline = config.pipeline.setup(device="cpu", test_mode="inference", world_size=1, local_rank=0)
    return pipeline.model.eval()


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", 6)


@pytest.fixture()
def session(model, tmp_path) -> LiveSession:
    model.load_state_dict(ball_on_floor().to_splatfacto())
    return _session(model, tmp_path)


def _session(model, folder) -> LiveSession:
    def save():
        torch.save(model.state_dict(), folder / "scene.pt")
        return folder / "scene.pt"

    return LiveSession(model, capture_cameras(), History.open(folder / "history"), folder, save)


@dataclass(frozen=True)
class SelectRows:
    """The object, known exactly."""

    first: int
    last: int
    title: str = "Select rows"

    def run(self, session):
        rows = torch.arange(len(session.gaussians))
        weights = ((rows >= self.first) & (rows < self.last)).float()
        return session.select(Selection(weights, "rows"), f"rows {self.first} to {self.last}")


BALL_ROWS = SelectRows(0, BALL)
FLOOR_ROWS = SelectRows(BALL, 300)
RED = ApplyStyle(SETTINGS, "red", preset="quick")


def _bits(session) -> dict[str, torch.Tensor]:
    return {name: column.clone() for name, column in session.state.columns.items()}


def _same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _shown(session) -> dict[str, torch.Tensor]:
    """What the viewer and a checkpoint see: the model's own tensors."""
    params = {name: value.detach() for name, value in session.model.gauss_params.items()}
    return params | {"selection": session.model.selection}


def test_a_scene_that_nobody_selected_in_starts_with_nothing(session):
    assert session.selection.count == 0
    assert not session.do(RED)
    assert "Nothing is selected" in session.status.message and session.status.failed


def test_apply_changes_the_object_alone_and_undo_brings_every_bit_back(session):
    start = _bits(session)
    assert session.do(BALL_ROWS)
    selected = _bits(session)
    assert session.do(RED), session.status.message
    styled = _bits(session)
    assert _same(styled, _shown(session))
    redder = (styled["features_dc"] - start["features_dc"])[:BALL].mean(dim=0)
    assert redder[0] > 0.05 and redder[0] > redder[1:].max()
    assert all(torch.equal(styled[name][BALL:], start[name][BALL:]) for name in start)
    assert session.do(jobs.Undo()) and _same(_shown(session), selected)
    assert session.do(jobs.Undo()) and _same(_shown(session), start)
    assert session.do(jobs.Redo()) and session.do(jobs.Redo()) and _same(_shown(session), styled)


def test_undo_of_an_edit_with_densification_brings_every_bit_back(session):
    session.do(BALL_ROWS)
    before = _bits(session)
    order = ApplyStyle(SETTINGS, "red", preset="quick", form="colors and form")
    assert session.do(order), session.status.message
    grown = _bits(session)
    assert len(session.state) > 300 and _same(grown, _shown(session))
    assert session.selection.count == len(session.state) - 150
    assert session.do(jobs.Undo()) and _same(_shown(session), before)
    assert session.do(jobs.Redo()) and _same(_shown(session), grown)


def test_what_was_before_is_shown_during_and_after_an_edit(session, monkeypatch):
    session.do(BALL_ROWS)
    original = session.state.columns["features_dc"][:BALL].clone()
    seen = []
    session.listeners.append(lambda event: seen.append(session.model.earlier.features_dc.clone()))
    session.do(RED)
    assert torch.equal(session.model.earlier.features_dc, original)
    assert any(torch.equal(values, original) for values in seen[1:-3])
    session.do(jobs.Undo())
    assert session.model.earlier.is_empty


def test_a_session_goes_on_after_a_restart(session, model, tmp_path):
    start = _bits(session)
    session.do(BALL_ROWS)
    session.do(RED)
    assert session.do(jobs.Save())
    styled = _bits(session)
    model.load_state_dict(ball_on_floor().to_splatfacto())
    model.load_state_dict(torch.load(tmp_path / "scene.pt", weights_only=True))
    again = _session(model, tmp_path)
    assert _same(_shown(again), styled) and again.selection.count == BALL
    assert again.do(jobs.Undo()) and again.do(jobs.Undo()) and _same(_shown(again), start)


def test_a_killed_session_loses_nothing(session, model, tmp_path):
    """The checkpoint is the first one; history.json knows the rest."""
    session.save()
    session.do(BALL_ROWS)
    session.do(RED)
    styled = _bits(session)
    model.load_state_dict(ball_on_floor().to_splatfacto())
    model.load_state_dict(torch.load(tmp_path / "scene.pt", weights_only=True))
    assert _same(_shown(_session(model, tmp_path)), styled)


def test_two_edits_on_two_objects_can_be_taken_out_one_by_one(session):
    session.do(BALL_ROWS)
    session.do(RED)
    red_ball = _bits(session)["features_dc"][:BALL]
    floor = _bits(session)["features_dc"][BALL:]
    session.do(FLOOR_ROWS)
    assert session.do(ApplyStyle(SETTINGS, "blue", preset="quick")), session.status.message
    edits = [step for step in session.history.steps if step.kind == "edit"]
    assert [step.prompt for step in edits] == ["red", "blue"]
    blue_floor = _bits(session)["features_dc"][BALL:]
    assert session.do(jobs.Blend(edits[0].id, 0.0)), session.status.message
    now = _bits(session)["features_dc"]
    assert not torch.equal(now[:BALL], red_ball) and torch.equal(now[BALL:], blue_floor)
    assert session.do(jobs.Blend(edits[0].id, 1.0)) and session.do(jobs.Blend(edits[1].id, 0.5))
    now = _bits(session)["features_dc"]
    assert torch.equal(now[:BALL], red_ball)
    torch.testing.assert_close(now[BALL:], (floor + blue_floor) / 2)


def test_a_step_keeps_what_one_wants_to_know(session):
    session.do(BALL_ROWS)
    session.do(ApplyStyle(SETTINGS, "  red ", strength=2.0, preset="quick"))
    step = session.history.steps[-1]
    assert (step.name, step.prompt, step.seed, step.gaussians_changed) == ("red", "red", 0, BALL)
    assert step.settings["strength"] == 2.0 and step.settings["object"] == "rows 0 to 150"
    assert step.metrics["similarity_after"] > step.metrics["similarity_before"]
    assert step.seconds > 0 and step.thumbnail is not None


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
    before = _bits(session)
    if words:
        assert not session.do(order) and words in session.status.message
        assert _same(_shown(session), before)
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

        def run(self, session):
            return session.select(Selection(torch.ones(7), "elsewhere"), "elsewhere")

    assert not session.do(Foreign())
    assert "7 weights but the scene has 300" in session.status.message


def test_an_unexpected_error_leaves_scene_and_session_as_they_were(session, monkeypatch):
    session.do(BALL_ROWS)
    before = _bits(session)

    def broken(self):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("fasttext2style.live.style._Style.metrics", broken)
        assert not session.do(RED)
    assert "out of memory" in session.status.message
    assert _same(_shown(session), before)
    assert session.do(RED)


def test_a_full_disk_takes_the_edit_back_and_says_so(session):
    """A limit on the size of files stands for the full disk."""
    session.do(BALL_ROWS)
    before, steps = _bits(session), len(session.history.steps)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        done = session.do(RED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not done
    assert "could not be kept" in session.status.message and "as it was before" in session.status.message
    assert _same(_shown(session), before) and len(session.history.steps) == steps
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


LONG = ApplyStyle(SETTINGS, "red", preset="normal")


def test_stop_keeps_what_was_done_as_a_step(running):
    before = _bits(running)
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.done >= 3)
    running.stop()
    _wait(lambda: not running.status.job)
    assert "Stopped after" in running.status.message
    step = running.history.steps[-1]
    assert 3 <= step.settings["steps"] < 1000
    assert not _same(_shown(running), before)


def test_stop_before_the_first_step_changes_nothing(session, monkeypatch):
    session.do(BALL_ROWS)
    before = _bits(session)
    session.progress = lambda done, total: session.stop()  # pressed while the edit is prepared
    assert session.do(LONG), session.status.message
    assert "nothing has changed" in session.status.message
    assert _same(_shown(session), before) and len(session.history.steps) == 1


def test_jobs_wait_in_line_and_stop_forgets_them(running):
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.done >= 1)
    running.submit(ApplyStyle(SETTINGS, "gold", preset="quick"))
    assert running.status.waiting == ("Style: gold",)
    running.stop()
    assert running.status.waiting == ()
    _wait(lambda: not running.status.job)
    assert [step.name for step in running.history.steps if step.kind == "edit"] == ["red"]


def test_of_a_slider_only_the_last_position_waits(running):
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.done >= 1)
    for value in (0.1, 0.2, 0.3):
        running.submit(jobs.Threshold(value))
    assert running.status.waiting == ("Threshold 0.3",)
    running.stop()


def test_closing_during_an_edit_keeps_the_steps_so_far(session, monkeypatch):
    monkeypatch.setitem(PRESETS, "normal", 100_000)
    thread = _running(session)
    session.submit(BALL_ROWS)
    session.submit(LONG)
    _wait(lambda: session.status.done >= 2)
    session.close()
    thread.join(20)
    assert session.history.steps[-1].prompt == "red"


def test_nobody_who_looks_sees_a_half_written_state(running, monkeypatch):
    """Each step paints all of the object in the colour of its number: who holds the lock sees one number."""

    def paint(style, number):
        for name in ("features_dc", "features_rest"):
            style.edit.parameters[name].data.fill_(float(number))
        return 0.0

    monkeypatch.setattr("fasttext2style.live.style._Style.step", paint)
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.done >= 1)
    seen = set()
    for _ in range(100):
        with running.lock:
            colors = [running.model.gauss_params[name].detach()[:BALL] for name in ("features_dc", "features_rest")]
            numbers = torch.cat([values.flatten() for values in colors]).unique().tolist()
        assert len(numbers) == 1, numbers
        seen.update(numbers)
        time.sleep(0.001)
    running.stop()
    assert len(seen) > 3


def test_nobody_who_looks_waits_for_a_step(running):
    running.submit(BALL_ROWS)
    running.submit(LONG)
    _wait(lambda: running.status.done >= 2)
    first, started, waits = running.status.done, time.perf_counter(), []
    while running.status.done < first + 5:
        before = time.perf_counter()
        with running.lock:
            waits.append(time.perf_counter() - before)
        time.sleep(0.005)
    step = (time.perf_counter() - started) / 5
    running.stop()
    assert sorted(waits)[int(0.9 * len(waits))] < 0.5 * step, (waits, step)


def test_thresholds_start_from_the_same_weights(session):
    @dataclass(frozen=True)
    class Soft:
        title: str = "Soft"

        def run(self, session):
            return session.select(Selection(torch.linspace(0, 1, 300), "soft"), "soft")

    session.do(Soft())
    counts = []
    for value in (0.8, 0.2, 0.5):
        assert session.do(jobs.Threshold(value)), session.status.message
        counts.append(session.selection.count)
    assert counts[0] < counts[2] < counts[1]
    assert len(session.history.steps) == 2
    session.do(jobs.Undo())
    assert torch.equal(session.state.selection, torch.linspace(0, 1, 300))


def test_clicks_say_what_the_object_is(session):
    pytest.importorskip("fasttext2style.selection.clicks")
    eye = (0.0, -1.4, 0.3)
    assert session.do(jobs.Click(eye, (0.0, 1.4, -0.3))), session.status.message
    ball = session.selection.weights[:BALL].mean()
    assert ball > 0.8 and session.selection.weights[BALL:].mean() < 0.2
    assert len(jobs.clicks_of(session)) == 1
    session.do(jobs.Click((0.9, -1.4, 0.5), (0.0, 0.7, -0.85), "add"))
    assert len(jobs.clicks_of(session)) == 2 and session.selection.weights[BALL:].mean() > 0.2
    session.do(jobs.Undo())
    assert session.selection.weights[BALL:].mean() < 0.2
    assert not session.do(jobs.Click(eye, (0.0, 0.0, 1.0)))
    assert "Nothing solid there" in session.status.message
    session.do(jobs.SelectNothing())
    assert not session.do(jobs.Click(eye, (0.0, 1.4, -0.3), "take away"))


@pytest.mark.parametrize(
    "combine, expected",
    [("add", 250), ("take away", 50), ("keep common", 100), ("new", 200)],
)
def test_what_is_found_is_combined_with_what_was_selected(session, combine, expected):
    session.do(SelectRows(0, 150))
    rows = torch.arange(300)
    found = Selection(((rows >= 50) & (rows < 250)).float(), "found")
    jobs._combined(session, found, combine)
    assert session.selection.count == expected


def test_reshaping_a_selection(session):
    assert not session.do(jobs.Reshape("grow")) and "Nothing is selected" in session.status.message
    session.do(BALL_ROWS)
    assert session.do(jobs.Reshape("invert")) and session.selection.count == 150
    assert session.do(jobs.Undo())
    assert session.do(jobs.Reshape("shrink")) and session.selection.count <= BALL
    assert session.do(jobs.SelectEverything()) and session.selection.count == 300
    assert session.do(jobs.SelectNothing()) and session.selection.count == 0


@pytest.mark.parametrize("what, count", [("scene", 300), ("selection", BALL), ("rest", 150)])
def test_export_writes_what_is_asked_for(session, what, count):
    session.do(BALL_ROWS)
    assert session.do(jobs.Export(what)), session.status.message
    assert len(read_ply(session.folder / "exports" / f"{what}.ply")) == count


def test_an_empty_export_is_refused(session):
    assert not session.do(jobs.Export("selection"))
    assert "nothing to export" in session.status.message
