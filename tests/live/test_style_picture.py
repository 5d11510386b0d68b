"""A picture in a session: it comes through the page, styles the object, is undone and comes back like any step."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.picture_objective import PictureStyleConfig
from fasttext2style.live import jobs
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.live.style_picture import RemovePicture, UploadPicture, picture_left
from fasttext2style.live.texts import style_picture_text
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, PlainHost, SelectRows, adam, bits, open_session, same
from tests.trust.test_escaping import NASTY

SETTINGS = StyleSettings(load_encoder("tiny"), adam(RATES), picture=PictureStyleConfig(size=64))
BALL_ROWS = SelectRows(0, BALL)


def png(color=(230, 190, 40), size=(20, 12)) -> bytes:
    buffer = io.BytesIO()
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[::2] = color
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


GOLD = UploadPicture("gold.png", png())


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", 3)


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    opened = open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    assert opened.do(BALL_ROWS)
    return opened


def by_picture(prompt: str = "") -> ApplyStyle:
    return ApplyStyle(SETTINGS, prompt, preset="quick")


def test_a_picture_alone_styles_the_object_and_is_undone_to_the_bit(session):
    before = bits(session)
    assert session.do(GOLD) and session.do(by_picture()), session.status.message
    assert session.status.message.startswith("Done: the picture gold.")
    styled = bits(session)
    moved = (styled["features_dc"] - before["features_dc"])[:BALL].mean(0)
    assert moved[0] > moved[2] and moved[1] > moved[2]
    assert all(torch.equal(styled[name][BALL:], before[name][BALL:]) for name in before)
    assert session.do(jobs.Undo()) and same(bits(session), before)
    assert session.do(jobs.Redo()) and same(bits(session), styled)


def test_the_step_keeps_the_picture_and_what_is_known_of_it(session):
    assert session.do(GOLD) and session.do(by_picture("red"))
    step = session.scene.history.steps[-1]
    assert (step.name, step.prompt) == ("red, and the picture gold", "red")
    assert step.settings["style_image"] == {
        "name": "gold.png",
        "loss": SETTINGS.picture.loss,
        "features": "encoder tiny",
    }
    assert step.picture is not None
    kept = np.asarray(Image.open(step.picture))
    assert np.array_equal(kept, np.asarray(Image.open(io.BytesIO(GOLD.content))))


def test_a_picture_comes_back_with_the_session_and_one_that_was_removed_does_not(session, tmp_path):
    assert session.do(GOLD) and session.do(by_picture())
    session.scene.save()
    session.scene.desk.write()
    again = open_session(PlainHost.load(tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    left = picture_left(again.scene)
    assert left is not None and left.name == "gold.png"
    assert session.scene.style_picture is not None
    assert np.array_equal(left.pixels, session.scene.style_picture.pixels)
    assert session.do(RemovePicture()) and session.scene.style_picture is None
    session.scene.desk.write()
    again = open_session(PlainHost.load(tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    assert picture_left(again.scene) is None


def test_a_damaged_picture_is_refused_and_the_one_before_stays(session):
    assert session.do(GOLD)
    present = session.scene.style_picture
    assert not session.do(UploadPicture("x.png", b"no picture"))
    assert "The style picture x.png cannot be read" in session.status.message
    assert session.scene.style_picture is present


def test_without_sentence_and_picture_nothing_is_done(session):
    assert not session.do(by_picture(" "))
    assert "There is no sentence yet" in session.status.message and "choose a picture" in session.status.message


def test_what_a_stranger_says_of_a_picture_is_a_step_of_this_history_or_nothing(session, tmp_path):
    """No path is followed out of the history, and nothing that is no small picture is shown."""
    assert session.do(GOLD) and session.do(by_picture())
    scene, step = session.scene, session.scene.history.steps[-1]
    for said in ("../../2", "9" * 40, "", "-1", "1", *NASTY):
        scene.desk.note(picture_of_step=said)
        assert picture_left(scene) is None, said
    scene.desk.note(picture_of_step=str(step.id))
    assert picture_left(scene) is not None
    path = step.folder / "picture.png"
    (tmp_path / "elsewhere.png").write_bytes(path.read_bytes())
    path.unlink()
    assert picture_left(scene) is None
    path.symlink_to(tmp_path / "elsewhere.png")
    assert picture_left(scene) is None
    path.unlink()
    path.write_text("no picture")
    assert picture_left(scene) is None
    path.write_bytes(GOLD.content[:40])  # the end is missing
    assert picture_left(scene) is None
    Image.new("L", (1025, 1)).save(path)
    assert picture_left(scene) is None


def test_names_of_pictures_that_strangers_wrote_show_as_text(session):
    assert session.do(GOLD) and session.do(by_picture())
    step = session.scene.history.steps[-1]
    facts = json.loads((step.folder / "step.json").read_text())
    for name in (*NASTY, "../../x.png", 7, None):
        facts["settings"]["style_image"]["name"] = name
        (step.folder / "step.json").write_text(json.dumps(facts))
        left = picture_left(session.scene)
        assert left is not None and "/" not in left.name
        shown = style_picture_text(left).partition("/>")[2]
        assert not set(shown) & set("{}<>[]`*")
