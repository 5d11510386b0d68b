"""A sentence on the object, as one step: it changes that alone, can be taken back to the bit, and does what was set."""

import math
import time

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.live import jobs
from fasttext2style.live.action import Order
from fasttext2style.live.paint import Paint
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings, rehearse, style_action
from fasttext2style.scene.rasterize import render
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.styler import ObjectStyler
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, PlainHost, SelectRows, adam, bits, open_session, same

SETTINGS = StyleSettings(load_encoder("tiny"), adam(RATES), growth=GrowthConfig(every=2, gradient_threshold=0.0))
BALL_ROWS = SelectRows(0, BALL)
FLOOR_ROWS = SelectRows(BALL, 300)
RED = ApplyStyle(SETTINGS, "red", preset="quick")


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", 6)


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    return open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)


def test_without_an_object_nothing_is_styled(session):
    before = bits(session)
    assert not session.do(RED)
    assert "Nothing is selected" in session.status.message and session.status.failed
    assert same(bits(session), before) and not session.scene.history.steps


def test_a_plain_color_is_painted_and_made_a_style_of_if_that_is_asked_for():
    job = style_action(SETTINGS).buttons["Apply"]
    painted = [type(job(Order(prompt, "quick", paints=True))) for prompt in ("a blue ball", "a blue ball of ice")]
    assert painted == [Paint, ApplyStyle] and type(job(Order("blue", "quick"))) is ApplyStyle


def test_a_color_that_did_not_come_is_said(session):
    """Six steps do not make it green."""
    assert session.do(BALL_ROWS) and session.do(ApplyStyle(SETTINGS, "green", preset="quick"))
    assert "did not become green" in session.status.message and "Tint under Colors" in session.status.message


def test_a_style_changes_the_object_alone_and_undo_brings_every_bit_back(session):
    start = bits(session)
    assert session.do(BALL_ROWS)
    selected = bits(session)
    assert session.do(RED), session.status.message
    styled = bits(session)
    redder = (styled["features_dc"] - start["features_dc"])[:BALL].mean(dim=0)
    assert redder[0] > 0.05 and redder[0] > redder[1:].max()
    assert all(torch.equal(styled[name][BALL:], start[name][BALL:]) for name in start)
    assert all(torch.equal(styled[name], start[name]) for name in ("means", "scales", "quats", "opacities"))
    assert session.do(jobs.Undo()) and same(bits(session), selected)
    assert session.do(jobs.Undo()) and same(bits(session), start)
    assert session.do(jobs.Redo()) and session.do(jobs.Redo()) and same(bits(session), styled)


def test_undo_of_a_style_with_form_brings_every_bit_back(session):
    session.do(BALL_ROWS)
    before = bits(session)
    assert session.do(ApplyStyle(SETTINGS, "red", preset="quick", form="colors and form")), session.status.message
    grown = bits(session)
    assert len(grown["means"]) > 300, "Gaussians were added"
    assert session.scene.selection.count == len(grown["means"]) - 150
    assert session.do(jobs.Undo()) and same(bits(session), before)
    assert session.do(jobs.Redo()) and same(bits(session), grown)


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_scales_how_fast_colors_change(session, monkeypatch, speed):
    """Adam's first step moves every entry with a gradient by its learning rate, and speed scales that."""
    monkeypatch.setitem(PRESETS, "quick", 1)
    session.do(BALL_ROWS)
    before = bits(session)["features_dc"][:BALL]
    assert session.do(ApplyStyle(SETTINGS, "red", speed, "quick")), session.status.message
    moved = (bits(session)["features_dc"][:BALL] - before).abs()
    seen = moved[moved > 0]
    assert len(seen) > BALL
    torch.testing.assert_close(seen, torch.full_like(seen, speed * RATES["features_dc"]), rtol=1e-2, atol=0)


def test_a_style_that_diverges_is_taken_back_and_says_what_to_do(session):
    session.do(BALL_ROWS)
    before = bits(session)
    assert not session.do(ApplyStyle(SETTINGS, "red", math.inf, "quick"))
    assert "diverged at step 2" in session.status.message
    assert "Try a lower speed, or colors only. The scene is unchanged." in session.status.message
    assert same(bits(session), before) and len(session.scene.history.steps) == 1


def test_a_rehearsal_does_what_a_step_does_on_a_small_ball_before_the_first_camera(monkeypatch):
    made = []

    class Watched(ObjectStyler):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            made.append(self)

    monkeypatch.setattr("fasttext2style.live.style.ObjectStyler", Watched)
    cameras = capture_cameras()
    rehearse(SETTINGS.encoder, cameras)
    (styler,) = made
    ball, center = styler.edit.original, cameras.centers[0] + cameras.directions[0]
    torch.testing.assert_close((ball.means - center).norm(dim=1), torch.full((len(ball),), 0.1))
    alphas = render(ball, cameras[:1])[1][0, :, :, 0]
    assert alphas[20:28, 20:28].min() > 0.9 and alphas[[0, -1]].max() < 0.01 and alphas[:, [0, -1]].max() < 0.01
    gradients = styler.edit.parameters["features_dc"].grad
    assert gradients is not None and bool(gradients.any())


def test_a_step_keeps_what_one_wants_to_know(session):
    session.do(BALL_ROWS)
    started = time.perf_counter()
    session.do(ApplyStyle(SETTINGS, "  red ", speed=2.0, preset="quick"))
    step = session.scene.history.steps[-1]
    assert (step.name, step.prompt, step.seed, step.gaussians_changed) == ("red", "red", 0, BALL)
    assert step.settings == {
        **{"steps": 6, "speed": 2.0, "preset": "quick", "form": "colors"},
        **{"object": "rows", "encoder": SETTINGS.encoder.name},
    }
    assert step.metrics["similarity_after"] > step.metrics["similarity_before"]
    assert 0 < step.seconds <= time.perf_counter() - started + 0.01 and step.thumbnail is not None


def test_two_styles_on_two_objects_can_be_taken_out_one_by_one(session):
    session.do(BALL_ROWS)
    session.do(RED)
    red_ball = bits(session)["features_dc"][:BALL]
    floor = bits(session)["features_dc"][BALL:]
    session.do(FLOOR_ROWS)
    assert session.do(ApplyStyle(SETTINGS, "blue", preset="quick")), session.status.message
    edits = [step for step in session.scene.history.steps if step.kind == "edit"]
    assert [step.prompt for step in edits] == ["red", "blue"]
    blue_floor = bits(session)["features_dc"][BALL:]
    assert session.do(jobs.Blend(edits[0].id, 0.0)), session.status.message
    now = bits(session)["features_dc"]
    assert torch.equal(now[:BALL], ball_on_floor().sh_dc[:BALL]) and torch.equal(now[BALL:], blue_floor)
    assert session.do(jobs.Blend(edits[0].id, 1.0)) and session.do(jobs.Blend(edits[1].id, 0.5))
    now = bits(session)["features_dc"]
    assert torch.equal(now[:BALL], red_ball)
    torch.testing.assert_close(now[BALL:], (floor + blue_floor) / 2)


def test_what_was_before_is_shown_while_a_style_is_made(session):
    session.do(BALL_ROWS)
    original, host, seen = ball_on_floor().sh_dc[:BALL], session.scene.host, []

    def look(event):
        if event == "scene" and session.status.steps.done:
            rows, columns = host.earlier
            seen.append(torch.equal(rows, torch.arange(BALL)) and torch.equal(columns["features_dc"], original))

    session.scene.listeners.append(look)
    session.do(ApplyStyle(SETTINGS, "gold", preset="quick"))
    assert seen and all(seen)
    session.do(jobs.Undo())
    assert host.earlier is None, "the host was told that the edit is gone"


def test_what_is_shown_while_a_style_is_made_carries_no_gradients(session):
    """Else each step would keep all renders before it in memory."""
    session.do(BALL_ROWS)
    seen = []

    def look(event):
        if event == "scene":
            seen.append(any(column.requires_grad for column in session.scene.host.shown.columns.values()))

    session.scene.listeners.append(look)
    assert session.do(RED) and session.do(ApplyStyle(SETTINGS, "red", preset="quick", form="colors and form"))
    assert len(seen) >= 12 and not any(seen)
