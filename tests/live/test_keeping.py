"""Moving through the history, and keeping the result."""

import shutil

import av
import numpy as np
import pytest
import torch

from fasttext2style.history.delta import Delta
from fasttext2style.live import jobs
from fasttext2style.live.film import Film
from fasttext2style.live.objects import objects_of
from fasttext2style.live.paint import Paint
from fasttext2style.live.session import LiveSession
from fasttext2style.scene.files.export import WRITERS
from fasttext2style.scene.files.ply import read_ply
from fasttext2style.selection.selection import Selection
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, SelectRows, bits, open_session, same
from tests.scene.random_scene import assert_equal


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    return open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)


def test_undo_and_redo_say_what_they_did(session):
    session.do(SelectRows(0, 10))
    session.do(jobs.SelectNothing())
    assert jobs.next_moves(session.scene) == ("clearing the selection", "")
    assert session.do(jobs.Undo()) and session.status.message == "Undone: clearing the selection."
    assert jobs.next_moves(session.scene) == ("rows 0 to 10", "clearing the selection")
    assert session.do(jobs.Undo()) and session.status.message == "Undone: rows 0 to 10."
    assert jobs.next_moves(session.scene) == ("", "rows 0 to 10")
    assert session.scene.selection.count == 0
    assert session.do(jobs.Redo()) and session.status.message == "Redone: rows 0 to 10."
    assert session.scene.selection.count == 10


def test_a_step_in_force_by_a_share_is_told_as_such_and_one_at_0_is_out(session):
    """The step is a style on the ball, made by hand."""
    scene = session.scene
    before = {"features_dc": scene.state.columns["features_dc"].clone()}
    after = {"features_dc": before["features_dc"] + 1.0}
    scene.history.record(Delta.of_rows(scene.state.ids, before, after), "gold")
    scene.state.columns["features_dc"].copy_(after["features_dc"])
    assert jobs.next_moves(scene) == ("gold", "")
    assert session.do(jobs.Blend(1, 0.25)) and session.status.message == "gold: strength 25%."
    assert jobs.next_moves(scene) == ("the strength of gold", "")
    torch.testing.assert_close(scene.state.columns["features_dc"], ball_on_floor().sh_dc + 0.25)
    assert session.do(jobs.Blend(1, 0.0)) and session.status.message == "Switched off: gold."
    assert torch.equal(scene.state.columns["features_dc"], ball_on_floor().sh_dc)


def test_undo_at_the_beginning_and_redo_at_the_end_are_refused_in_words(session):
    assert not session.do(jobs.Undo()) and "nothing to undo" in session.status.message
    assert not session.do(jobs.Redo()) and "nothing to redo" in session.status.message


@pytest.mark.parametrize("what", ["scene", "selection", "rest"])
def test_export_writes_what_is_asked_for(session, what):
    """Of a soft selection the object is what belongs to it more than not."""
    weights = torch.linspace(0, 1, 300)
    session.scene.select(Selection(weights, "soft"), "soft")
    expected = {"scene": weights >= 0, "selection": weights > 0.5, "rest": weights <= 0.5}[what]
    path = session.scene.folder / "exports" / f"{what}.ply"
    assert session.do(jobs.Export(what)), session.status.message
    told = {"scene": "the scene", "selection": "the selected object", "rest": "all but the object"}[what]
    assert session.status.message == f"Exported {told} ({int(expected.sum())} splats): {path}"
    assert_equal(read_ply(path), ball_on_floor().subset(expected))


def test_an_object_is_exported_under_its_name(session):
    assert session.do(SelectRows(0, BALL)) and session.do(Paint("a blue ball"))
    session.scene.settle()
    (thing,) = objects_of(session.scene)
    for name, file in ((thing.name, f"{thing.name}.ply"), ("the /moon?", "the moon.ply"), ("///", "selection.ply")):
        session.scene.desk.rename(thing.id, name)
        assert session.do(jobs.Export("selection")), session.status.message
        assert (session.scene.folder / "exports" / file).exists()
    assert session.do(SelectRows(200, 300)) and session.do(jobs.Export("selection"))
    assert (session.scene.folder / "exports" / "selection 2.ply").exists(), "what was never edited has no name"


def _pictures(path) -> np.ndarray:
    with av.open(str(path)) as video:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])


def test_a_video_goes_around_what_is_selected_or_was_edited_last(session):
    film = Film(seconds=4 / 24, size=48)
    assert not session.do(film) and "Nothing is selected yet" in session.status.message
    assert session.do(SelectRows(0, BALL)) and session.do(Paint("a blue ball"))
    for number in ("", " 2"):
        assert session.do(film), session.status.message
        path = session.scene.folder / "exports" / f"turntable{number}.mp4"
        assert session.status.message == f"Video: {path}"
        pictures = _pictures(path)
        assert pictures.shape == (4, 48, 48, 3)
        red, _, blue = pictures[:, 20:28, 20:28].reshape(-1, 3).mean(0)
        assert blue > red + 40, "the ball is in the middle"
        assert session.do(jobs.SelectNothing())


def test_a_video_that_is_stopped_leaves_nothing(session):
    assert session.do(SelectRows(0, BALL))
    stopped = []

    def stop(event):
        if session.status.steps.total and not stopped:
            stopped.append(True)
            session.stop()

    session.scene.listeners.append(stop)
    assert session.do(Film(seconds=1.0, size=48)) and "Stopped: no video" in session.status.message
    assert not (session.scene.folder / "exports").exists()


@pytest.mark.parametrize("format", WRITERS)
def test_export_writes_every_format(session, format):
    assert session.do(jobs.Export("scene", format)), session.status.message
    assert (session.scene.folder / "exports" / f"scene.{format}").stat().st_size > 1000


def test_an_empty_export_is_refused(session):
    assert not session.do(jobs.Export("selection"))
    assert "nothing is selected" in session.status.message and not (session.scene.folder / "exports").exists()


@pytest.mark.parametrize("gone", ["the folder", "a step"])
def test_a_history_that_is_removed_under_a_session_leaves_the_scene_to_be_exported(session, gone):
    assert session.do(SelectRows(0, 10)) and session.do(SelectRows(0, 20))
    folder = session.scene.history.folder
    shutil.rmtree(folder if gone == "the folder" else folder / "steps" / "0001")
    assert not session.do(jobs.Save())
    assert str(folder) in session.status.message and "press Write scene" in session.status.message
    assert not (session.scene.folder / "scene.pt").exists(), "a checkpoint that nothing could open"
    assert session.do(jobs.Export()), session.status.message
    assert_equal(read_ply(session.scene.folder / "exports" / "scene.ply"), ball_on_floor())
    assert_equal(read_ply(session.scene.rescue()), ball_on_floor())


@pytest.mark.parametrize("had_steps", [True, False])
def test_a_run_that_is_renamed_under_a_session_is_said_and_not_begun_anew(tmp_path, had_steps):
    """Nothing of the scene changes meanwhile, and once the folder is back everything goes on."""
    folder, elsewhere = tmp_path / "run", tmp_path / "renamed"
    folder.mkdir()
    session = open_session(PlainHost(ball_on_floor(), folder / "scene.pt"), capture_cameras(), folder)
    assert not had_steps or session.do(SelectRows(0, 10))
    before, desk = bits(session), session.scene.desk
    folder.rename(elsewhere)
    for job in (SelectRows(0, 20), jobs.SelectEverything(), jobs.Save(), *([jobs.Undo()] if had_steps else [])):
        assert not session.do(job), job.title
        assert str(folder) in session.status.message and "Unexpected" not in session.status.message
        assert session.status.message.count("Put them back") == 1
    desk.note(sentence="gold")
    with pytest.raises(ValueError, match="its folder is gone"):
        desk.write()
    assert not folder.exists() and same(bits(session), before)
    elsewhere.rename(folder)
    assert session.do(SelectRows(0, 20)) and session.do(jobs.Save()), session.status.message


def test_an_undo_is_seen_also_if_what_was_before_it_cannot_be_read(session):
    """The step before the one that is undone has lost its file: the undo is done, and said not to be whole."""
    assert session.do(SelectRows(0, 10)) and session.do(SelectRows(0, 20))
    heard = []
    session.scene.listeners.append(heard.append)

    def cannot(history, state):
        raise ValueError("delta.safetensors cannot be read")

    session.scene.host.note = cannot
    assert not session.do(jobs.Undo()) and "cannot be read" in session.status.message
    assert session.scene.selection.count == 10 and {"scene", "history"} <= set(heard)


@pytest.mark.parametrize("job", [jobs.Export(), jobs.Export("scene", "splat"), jobs.Export("scene", "spz")])
def test_a_disk_that_cannot_be_written_is_named_in_words(session, job):
    (session.scene.folder / "exports").write_text("in the way")
    assert not session.do(job)
    assert "could not be written" in session.status.message and "Unexpected" not in session.status.message


def test_a_host_that_cannot_save_is_shown_in_words(session):
    session.scene.host.path = session.scene.folder / "missing" / "scene.pt"
    (session.scene.folder / "missing").write_text("in the way")

    def refused():
        raise OSError(28, "No space left on device", "scene.pt")

    session.scene.host.save = refused
    assert not session.do(jobs.Save())
    assert session.status.message == "[Errno 28] No space left on device: 'scene.pt'"
