"""The scene as it was captured, beside the present one: whatever was edited since, and while it is being edited."""

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.state import SceneState
from fasttext2style.live import jobs
from fasttext2style.live.grade import ApplyGrade
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.scene.gaussians import SPLATFACTO_NAMES
from fasttext2style.styling.grade_settings import Grade
from fasttext2style.styling.growth import GrowthConfig
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, PlainHost, SelectRows, adam, open_session

SETTINGS = StyleSettings(load_encoder("tiny"), adam(RATES), growth=GrowthConfig(every=2, gradient_threshold=0.0))
BALL_ROWS, PART, FLOOR_ROWS = SelectRows(0, BALL), SelectRows(100, 200), SelectRows(BALL, 300)
RED, GREY = ApplyStyle(SETTINGS, "red", preset="quick"), ApplyGrade(Grade(saturation=0.0))
FORM = ApplyStyle(SETTINGS, "ice", preset="quick", form="colors and form")
CAPTURED = ball_on_floor().to_splatfacto()


@pytest.fixture()
def session(tmp_path, monkeypatch) -> LiveSession:
    monkeypatch.setitem(PRESETS, "quick", 6)
    return open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)


def _is_the_capture(session: LiveSession) -> bool:
    """With the earlier rows in their place the scene has the Gaussians of the capture, in any order."""
    state: SceneState = session.scene.state
    rows, earlier = session.scene.original()
    keep = torch.ones(len(state), dtype=torch.bool)
    keep[rows] = False
    seen = torch.cat([torch.cat([state.columns[name][keep], earlier[name]]).flatten(1) for name in SPLATFACTO_NAMES], 1)
    captured = torch.cat([CAPTURED[name].flatten(1) for name in SPLATFACTO_NAMES], 1)
    return sorted(map(tuple, seen.tolist())) == sorted(map(tuple, captured.tolist()))


@pytest.mark.parametrize("orders", [
    [], [BALL_ROWS], [BALL_ROWS, RED], [BALL_ROWS, RED, PART, RED], [BALL_ROWS, FORM, FLOOR_ROWS, RED],
    [BALL_ROWS, RED, jobs.Blend(2, 0.25)],
    [BALL_ROWS, RED, FLOOR_ROWS, RED, jobs.Blend(2, 0.0), jobs.Undo(), jobs.Undo()],
    [BALL_ROWS, RED, GREY], [BALL_ROWS, RED, FORM, jobs.Undo()],
], ids=lambda orders: ", ".join(order.title for order in orders) or "nothing")  # fmt: skip
def test_the_original_is_the_capture_whatever_was_edited(session, orders):
    for order in orders:
        assert session.do(order), session.status.message
        assert _is_the_capture(session), order.title


@pytest.mark.parametrize("order", [RED, FORM], ids=["colors", "form"])
def test_the_original_is_the_capture_while_something_is_edited(session, order):
    assert session.do(PART) and session.do(RED) and session.do(BALL_ROWS)
    seen = []
    session.scene.listeners.append(lambda event: seen.append(_is_the_capture(session)))
    assert session.do(order), session.status.message
    assert len(seen) > 3 and all(seen)


def test_of_an_unedited_scene_nothing_is_kept_twice(session):
    rows, earlier = session.scene.original()
    assert len(rows) == 0 and all(len(column) == 0 for column in earlier.values())
