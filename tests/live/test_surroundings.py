"""What is around the scene of a session: put there, turned, edited, uploaded; each a step, undone bit by bit."""

import pytest
import torch

from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.sphere import turned
from fasttext2style.guidance.tiny_encoder import TinyEncoder
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.live import jobs
from fasttext2style.live.grade import ApplyGrade
from fasttext2style.live.surroundings import (
    EditSurroundings,
    SetSurroundings,
    TurnSurroundings,
    UploadSurroundings,
    shown_step,
    turn_of,
)
from fasttext2style.styling.grade_settings import Grade
from tests.ball import ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, bits, open_session, same


@pytest.fixture(scope="module")
def encoder():
    return TinyEncoder()


@pytest.fixture()
def sky(tmp_path):
    light = torch.rand(8, 16, 3, generator=torch.Generator().manual_seed(0))
    write_panorama(tmp_path / "sky.exr", light)
    return tmp_path / "sky.exr"


@pytest.fixture()
def session(tmp_path):
    return open_session(PlainHost(ball_on_floor(), tmp_path / "scene.ckpt"), capture_cameras(), tmp_path / "run")


def _edit(encoder, prompt="gold", steps=3):
    return EditSurroundings(lambda: encoder, prompt, EditSettings(steps=steps, crops=1))


def _around(session):
    return session.scene.host.around


def _active(session):
    return [step.name for step in session.scene.history.steps if step.active]


def test_it_is_put_around_edited_and_undone_and_no_gaussian_changes(session, sky, encoder):
    before = bits(session)
    assert session.do(SetSurroundings(f" {sky} ")), session.status.message
    light = read_panorama(sky)
    assert torch.equal(_around(session), light)
    assert session.do(_edit(encoder)), session.status.message
    edited = _around(session)
    assert edited.shape == light.shape and not torch.equal(edited, light)
    assert "Done: gold" in session.status.message and "Light from all sides" in session.status.message
    step = session.scene.history.steps[-1]
    assert (step.prompt, step.settings["steps"]) == ("gold", 3) and step.metrics.keys() == {
        "similarity_before",
        "similarity_after",
    }
    assert session.do(jobs.Blend(step.id, 0.5))
    torch.testing.assert_close(_around(session), (light + edited) / 2)
    for expected in (edited, light, None):
        assert session.do(jobs.Undo())
        assert _around(session) is None if expected is None else torch.equal(_around(session), expected)
    for _ in range(2):
        assert session.do(jobs.Redo())
    assert torch.equal(_around(session), edited)
    assert same(bits(session), before)


def test_sliders_make_one_step_when_something_else_is_done(session, sky):
    session.do(SetSurroundings(str(sky)))
    light = _around(session)
    for yaw, exposure in ((10, 0), (45, 0), (90, 0), (90, -1)):
        assert session.do(TurnSurroundings(yaw, exposure)), session.status.message
    assert torch.equal(_around(session), turned(light, 90) / 2), "seen at once"
    assert len(session.scene.history.steps) == 1 and turn_of(session.scene) == (90, -1)
    assert session.do(jobs.SelectEverything())
    assert _active(session)[1] == "surroundings: turned by 90 degrees, -1 stops"
    assert torch.equal(_around(session), turned(light, 90) / 2)
    session.do(jobs.Undo())
    # The last step is the turn again: another position replaces it, and starts from what was there before.
    assert turn_of(session.scene) == (90, -1)
    assert session.do(TurnSurroundings(180, 0))
    assert torch.equal(_around(session), turned(light, 180))
    session.scene.settle()
    assert _active(session) == ["surroundings: sky.exr", "surroundings: turned by 180 degrees, +0 stops"]
    assert session.do(TurnSurroundings(0, 0))
    session.scene.settle()
    assert _active(session) == ["surroundings: sky.exr"] and torch.equal(_around(session), light)
    again = History.open(session.scene.history.folder)
    assert [step.name for step in again.steps] == ["surroundings: sky.exr", *(it.name for it in again.steps[1:])]


def test_sliders_of_colors_and_surroundings_do_not_mix(session, sky):
    session.do(SetSurroundings(str(sky)))
    session.do(jobs.SelectEverything())
    session.do(ApplyGrade(Grade(brightness=0.5)))
    assert session.do(TurnSurroundings(90, 0)), session.status.message
    assert session.do(ApplyGrade(Grade(brightness=0.7))), session.status.message
    session.scene.settle()
    assert _active(session) == [
        "surroundings: sky.exr",
        "everything",
        "colors",
        "surroundings: turned by 90 degrees, +0 stops",
        "colors",
    ]


def test_an_edit_that_is_stopped_keeps_what_was_done(session, sky, encoder):
    session.do(SetSurroundings(str(sky)))
    light, done = _around(session), []

    def stop(event):
        if session.status.steps.done >= 2 and not done:
            done.append(session.status.steps.done)
            session.stop()

    session.scene.listeners.append(stop)
    assert session.do(_edit(encoder, steps=400)), session.status.message
    assert "Stopped after" in session.status.message
    steps = session.scene.history.steps[-1].settings["steps"]
    assert 2 <= steps < 400 and not torch.equal(_around(session), light)


def test_what_is_seen_changes_while_an_edit_is_made(session, sky, encoder):
    session.do(SetSurroundings(str(sky)))
    light, seen = _around(session), []
    session.scene.listeners.append(lambda event: seen.append(_around(session)) if event == "scene" else None)
    session.do(_edit(encoder))
    assert not torch.equal(seen[0], light), "after the first step"


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (SetSurroundings("  "), "no file yet"),
        (SetSurroundings("/no/such/sky.hdr"), "No such file"),
        (TurnSurroundings(10, 0), "nothing around the scene"),
        (EditSurroundings(TinyEncoder, "gold"), "nothing around the scene"),
        (UploadSurroundings("../sky.hdr", b"#?RADIANCE"), "cannot be the name of a file"),
        (UploadSurroundings("sky.hdr", b"no picture"), "no Radiance picture"),
        (UploadSurroundings("sky.hdr", b"#?RADIANCE\n\n-Y 4 +X 8\n"), "sky.hdr"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(session, job, said):
    assert not session.do(job)
    assert said in session.status.message and "Unexpected" not in session.status.message
    assert not session.scene.history.steps and _around(session) is None
    assert not [path for path in session.scene.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("prompt", "said"), [("", "no sentence yet"), ("an indoor studio", "knows no word")])
def test_sentences_that_say_nothing_leave_what_was_there(session, sky, encoder, prompt, said):
    session.do(SetSurroundings(str(sky)))
    light = _around(session)
    assert not session.do(_edit(encoder, prompt))
    assert said in session.status.message and torch.equal(_around(session), light)
    assert len(session.scene.history.steps) == 1


def test_an_upload_is_kept_in_the_runs_folder_and_never_over_another(session, sky):
    for _ in range(2):
        assert session.do(UploadSurroundings("sky.exr", sky.read_bytes())), session.status.message
    assert {path.name for path in (session.scene.folder / "surroundings").iterdir()} == {"sky.exr", "sky 2.exr"}
    assert torch.equal(_around(session), read_panorama(sky)) and shown_step(session.scene).name.endswith("sky 2.exr")
    assert not session.do(UploadSurroundings("sky.exr", b"broken"))
    assert len(list((session.scene.folder / "surroundings").iterdir())) == 2


def test_a_step_that_cannot_be_written_leaves_what_was_there(session, sky, monkeypatch):
    session.do(SetSurroundings(str(sky)))
    light = _around(session)
    session.do(TurnSurroundings(90, 0))

    def full(*arguments, **settings):
        raise OSError("No space left on device")

    monkeypatch.setattr(Delta, "save", full)
    with pytest.raises(ValueError, match="could not be kept"):
        session.scene.settle()
    assert torch.equal(_around(session), light) and len(session.scene.history.steps) == 1
