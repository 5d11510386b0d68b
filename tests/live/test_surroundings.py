"""What is around the scene of a session: put there, turned, edited, uploaded; each a step, undone bit by bit."""

import math
from dataclasses import replace

import pytest
import torch

from fasttext2style.envmaps.around import keep_environment
from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.sphere import directions, turned
from fasttext2style.envmaps.tones import exposed, luminance, middle_exposure
from fasttext2style.guidance.tiny_encoder import TinyEncoder
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.live import jobs
from fasttext2style.live.film import Film
from fasttext2style.live.grade import ApplyGrade
from fasttext2style.live.objects import objects_of
from fasttext2style.live.pointing import Click
from fasttext2style.live.surroundings import (
    EditSurroundings,
    HideFar,
    SetSky,
    SetSurroundings,
    TurnSurroundings,
    UploadSurroundings,
    name_of,
    shown_step,
    turn_of,
)
from fasttext2style.scene.cameras import Cameras, looked_at
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.styling.grade_settings import Grade
from tests.ball import ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, bits, open_session, same


@pytest.fixture(scope="module")
def encoder():
    return TinyEncoder()


@pytest.fixture()
def sky(tmp_path):
    light = torch.rand(8, 16, 3, generator=torch.Generator().manual_seed(0))
    write_panorama(tmp_path / "sky.exr", exposed(light, middle_exposure(light)))
    return tmp_path / "sky.exr"


@pytest.fixture()
def session(tmp_path):
    return open_session(PlainHost(ball_on_floor(), tmp_path / "scene.ckpt"), capture_cameras(), tmp_path / "run")


def _edit(encoder, prompt="gold", steps=3):
    return EditSurroundings(lambda: encoder, prompt, EditSettings(steps=steps, crops=1))


def test_what_its_light_tints_is_no_object(session):
    """As `ft2s envmap set --harmonise` records it."""
    scene = session.scene
    after = {"features_dc": scene.state.columns["features_dc"] + 0.1}
    tint = Delta.of_rows(scene.state.ids, {"features_dc": scene.state.columns["features_dc"]}, after)
    keep_environment(scene.history, torch.ones(8, 16, 3), "sky", {}, tint)
    scene.move(lambda state: tint.moved(state, 0.0, 1.0))
    assert objects_of(scene) == [] and name_of(scene) == "sky"


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


@pytest.mark.parametrize(
    ("ending", "gain", "stops"), [(".exr", 1 / 8, 3), (".hdr", 1000, -10), (".exr", 1e-5, 4), (".png", 1 / 8, 0)]
)
def test_light_of_an_unknown_scale_is_first_seen_at_a_middle_brightness(session, tmp_path, ending, gain, stops):
    """A picture is as bright as whoever made it wanted; and a night stays one."""
    light = torch.full((8, 16, 3), 0.18 * gain)
    write_panorama(tmp_path / f"light{ending}", light)
    assert session.do(SetSurroundings(str(tmp_path / f"light{ending}"))), session.status.message
    torch.testing.assert_close(_around(session), light * 2.0**stops, rtol=0.02, atol=0)
    said = session.status.message
    assert ("than its file" in said) == bool(stops) and ("brighter" in said) == (stops > 0)
    assert turn_of(session.scene) == (0.0, 0.0), "the slider starts there"


def test_sliders_make_one_step_when_something_else_is_done(session, sky):
    session.do(SetSurroundings(str(sky)))
    light = _around(session)
    for yaw, exposure in ((10, 0), (45, 0), (90, 0), (90, -1)):
        assert session.do(TurnSurroundings(yaw, exposure)), session.status.message
    assert torch.equal(_around(session), turned(light, 90) / 2), "seen at once"
    assert len(session.scene.history.steps) == 1 and turn_of(session.scene) == (90, -1)
    assert session.do(jobs.SelectEverything())
    assert _active(session)[1] == "surroundings: sky.exr, turned by 90 degrees, -1 stops"
    assert torch.equal(_around(session), turned(light, 90) / 2)
    session.do(jobs.Undo())
    # The last step is the turn again: another position replaces it, and starts from what was there before.
    assert turn_of(session.scene) == (90, -1)
    assert session.do(TurnSurroundings(180, 0))
    assert torch.equal(_around(session), turned(light, 180))
    session.scene.settle()
    assert _active(session) == ["surroundings: sky.exr", "surroundings: sky.exr, turned by 180 degrees, +0 stops"]
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
        "selecting everything",
        "colors",
        "surroundings: sky.exr, turned by 90 degrees, +0 stops",
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


@pytest.fixture()
def walled(tmp_path):
    """The ball and its floor inside a sky of its own, ten times as far as the cameras."""
    cameras, directions = capture_cameras(), fibonacci(250)
    reach = float((cameras.centers - looked_at(cameras)).norm(dim=1).median())
    shell = ball_on_floor().subset(torch.arange(250))
    shell = replace(shell, means=10 * reach * directions, log_scales=torch.full((250, 3), math.log(2 * reach)),
                    logit_opacities=torch.full((250,), 8.0))  # fmt: skip
    scene = Gaussians.concatenated([ball_on_floor(), shell])
    return open_session(PlainHost(scene, tmp_path / "scene.ckpt"), cameras, tmp_path / "run")


def fibonacci(count: int) -> torch.Tensor:
    """[count, 3] directions, evenly spread."""
    steps = torch.arange(count) + 0.5
    height, angle = 1 - 2 * steps / count, math.pi * (1 + 5**0.5) * steps
    ring = (1 - height**2).sqrt()
    return torch.stack([ring * angle.cos(), ring * angle.sin(), height], -1)


def test_a_sky_of_the_scenes_own_is_said_hidden_and_brought_back(walled, sky):
    before = bits(walled)
    assert walled.do(HideFar()), walled.status.message
    hidden, near = bits(walled), len(ball_on_floor())
    assert float(walled.scene.gaussians.opacities[near:].max()) < 0.01
    assert torch.equal(hidden["opacities"][:near], before["opacities"][:near])
    assert not objects_of(walled.scene), "what is far is no object"
    assert walled.do(SetSurroundings(str(sky))) and "where the scene leaves something free" in walled.status.message
    assert not walled.do(HideFar()) and "Nothing to be seen is farther" in walled.status.message
    for _ in range(2):
        assert walled.do(jobs.Undo())
    assert same(bits(walled), before)


@pytest.mark.parametrize("job", [SetSky("sunset"), SetSurroundings])
def test_what_is_put_around_takes_the_scenes_own_sky_out_of_sight_in_one_step(walled, sky, job):
    before, near = bits(walled), len(ball_on_floor())
    assert walled.do(job(str(sky)) if job is SetSurroundings else job), walled.status.message
    assert "own sky is hidden with it" in walled.status.message
    assert float(walled.scene.gaussians.opacities[near:].max()) < 0.01 and _around(walled) is not None
    assert torch.equal(bits(walled)["opacities"][:near], before["opacities"][:near])
    assert not objects_of(walled.scene) and shown_step(walled.scene) is not None
    assert not walled.do(Film(seconds=4 / 24, size=48)) and "Nothing is selected" in walled.status.message, (
        "a sky is nothing to go around"
    )
    again = History.open(walled.scene.history.folder)
    assert len(again.steps) == 1
    assert walled.do(SetSky("night")) and "own sky" not in walled.status.message, "there is none to be seen any more"
    for _ in range(2):
        assert walled.do(jobs.Undo())
    assert same(bits(walled), before) and _around(walled) is None


@pytest.mark.parametrize("name", ["golden hour", "sunset"])
def test_the_sun_of_a_sky_stands_beside_what_the_first_view_looks_at(session, name):
    """To the left, by 15 degrees of azimuth; a pixel of the panorama is two wide."""
    assert session.do(SetSky(name)), session.status.message
    light = _around(session)
    row, column = divmod(int(luminance(light).argmax()), light.shape[1])
    x, y, _ = directions(*light.shape[:2])[row, column].tolist()
    ahead = session.scene.cameras.directions[0].tolist()
    beside = math.degrees(math.atan2(y, x) - math.atan2(ahead[1], ahead[0])) % 360
    assert beside == pytest.approx(15, abs=2)


def test_a_sky_is_what_an_edit_by_a_sentence_starts_from(session, encoder):
    assert session.do(SetSky("clear noon")), session.status.message
    light = _around(session)
    assert session.do(_edit(encoder)), session.status.message
    assert not torch.equal(_around(session), light) and name_of(session.scene) == "gold"
    assert not session.do(SetSky("plaid")) and "clear noon, golden hour, sunset" in session.status.message


def test_a_color_that_surroundings_did_not_get_is_said(session, encoder):
    session.do(SetSky("clear noon"))
    assert session.do(_edit(encoder, "green")) and "did not become green" in session.status.message


def test_a_click_into_a_sky_selects_no_scrap_of_it(walled):
    click = Click((0.0, -1.4, 0.3), (0.0, 0.0, 1.0), combine="new")
    assert not walled.do(click) and "Nothing there but what is far away" in walled.status.message
    assert not walled.scene.history.steps
    assert walled.do(jobs.SelectEverything()) and walled.do(replace(click, combine="take away")), walled.status.message


def test_a_room_that_is_looked_at_from_its_middle_is_no_sky(tmp_path):
    """Cameras that turn on the spot: their axes meet there, and all walls are far beside that."""
    out = fibonacci(8)
    cameras = Cameras.concatenated(
        [Cameras.looking_at(0.01 * way[None], way, 32, 32, 60.0, (0.0, 0.0, 1.0)) for way in out]
    )
    room = replace(ball_on_floor().subset(torch.arange(200)), means=3 * fibonacci(200))
    session = open_session(PlainHost(room, tmp_path / "scene.ckpt"), cameras, tmp_path / "run")
    before = bits(session)
    assert not session.do(HideFar()) and "100% of the scene" in session.status.message
    assert same(bits(session), before) and not session.scene.history.steps


def test_nothing_far_is_said_and_makes_no_step(session):
    assert not session.do(HideFar()) and "Nothing to be seen is farther" in session.status.message
    assert not session.scene.history.steps


def test_what_was_turned_keeps_its_name(session, sky):
    session.do(SetSurroundings(str(sky)))
    for yaw in (30.0, 60.0):
        session.do(TurnSurroundings(yaw, -1.0))
        session.scene.settle()
        assert name_of(session.scene) == "sky.exr"
    assert _active(session)[-1] == "surroundings: sky.exr, turned by 60 degrees, -1 stops"
