"""Clicks in a live session: edits change colours and Gaussians, not what a click finds, nor how fast."""

from dataclasses import dataclass

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.delta import Delta
from fasttext2style.live import jobs
from fasttext2style.live.pointing import Click
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.styling.growth import GrowthConfig
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, PlainHost, adam, open_session

CLICK = Click((0.0, -1.4, 0.3), (0.0, 1.4, -0.3), combine="new")
"""From the first view's side onto the ball."""


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    session = open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    session.scene.warm_up()
    return session


@dataclass(frozen=True)
class PaintLikeTheFloor:
    """An edit of colours, known exactly."""

    title: str = "Paint"

    def run(self, scene, progress):
        column = scene.state.columns["features_dc"]
        painted = column.clone()
        painted[: BALL // 2] = column[-1]
        scene.history.record(Delta.of_rows(scene.state.ids, {"features_dc": column}, {"features_dc": painted}), "green")
        with scene.lock:
            column.copy_(painted)
        scene.tell("scene")
        return "Painted."


def clicked(session: LiveSession) -> torch.Tensor:
    """Which Gaussians one click selects; it leaves no step behind."""
    assert session.do(CLICK), session.status.message
    found = session.scene.selection
    found.check_matches(session.scene.gaussians)
    chosen = found.mask
    session.do(jobs.Undo())
    return chosen


def test_one_click_selects_the_ball(session):
    chosen = clicked(session)
    assert chosen[:BALL].float().mean() > 0.95 and chosen[BALL:].float().mean() < 0.05


def test_what_was_painted_is_found_as_before(session):
    before = clicked(session)
    assert session.do(PaintLikeTheFloor())
    assert torch.equal(clicked(session), before)
    session.do(jobs.Undo())
    assert torch.equal(clicked(session), before)


def test_an_object_that_has_grown_is_found_as_before(session, monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", 6)
    before = clicked(session)
    growth = GrowthConfig(every=2, gradient_threshold=0.0)
    settings = StyleSettings(load_encoder("tiny"), adam(RATES), growth=growth)
    session.do(CLICK)
    assert session.do(ApplyStyle(settings, "red", preset="quick", form="colors and form")), session.status.message
    assert len(session.scene.gaussians) > 300
    grown = clicked(session)
    ours = session.scene.state.ids >= 300
    assert grown[ours].float().mean() > 0.9
    assert grown[~ours].float().mean() < 0.1
    session.do(jobs.Undo())
    assert torch.equal(clicked(session), before)


def test_the_first_click_after_an_edit_cuts_nothing(session, monkeypatch):
    def cut(*_):
        raise AssertionError("the scene is cut anew")

    monkeypatch.setattr("fasttext2style.selection.clicks.find_patches", cut)
    monkeypatch.setattr("fasttext2style.selection.clicks.find_things", cut)
    assert session.do(PaintLikeTheFloor())
    assert clicked(session).sum() > 0
