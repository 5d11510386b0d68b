"""A session on a scene of the GPU: point, style, grow, go back and forth; nothing is lost to the other device."""

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.live import jobs
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings, rehearse
from fasttext2style.styling.growth import GrowthConfig
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import RATES, PlainHost, SelectRows, adam, bits, open_session, same

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.fixture()
def session(tmp_path):
    return open_session(
        PlainHost(ball_on_floor().to("cuda"), tmp_path / "scene.pt"), capture_cameras().to("cuda"), tmp_path
    )


@pytest.mark.parametrize("form", ["colors", "colors and form"])
def test_a_style_is_taken_back_to_the_bit(session, monkeypatch, form):
    monkeypatch.setitem(PRESETS, "quick", 6)
    growth = GrowthConfig(every=2, gradient_threshold=0.0)
    settings = StyleSettings(load_encoder("tiny", device="cuda"), adam(RATES), growth=growth)
    rehearse(settings.encoder, session.scene.cameras)
    assert session.do(SelectRows(0, BALL)), session.status.message
    before = bits(session)
    assert session.do(ApplyStyle(settings, "red", preset="quick", form=form)), session.status.message
    styled = bits(session)
    assert styled["features_dc"].is_cuda and (len(styled["means"]) > 300) == (form != "colors")
    assert session.do(jobs.Undo()) and same(bits(session), before)
    assert session.do(jobs.Redo()) and same(bits(session), styled)


@pytest.mark.parametrize("how", ["grow", "shrink", "invert", "largest part"])
def test_an_object_is_reshaped_where_the_scene_is(session, how):
    assert session.do(SelectRows(0, BALL + 5))
    assert session.do(jobs.Reshape(how)), session.status.message
    assert session.scene.state.selection.is_cuda


def test_the_object_is_found_and_exported(session):
    assert session.do(jobs.SelectAutomatic()), session.status.message
    found = session.scene.state.selection
    assert found.is_cuda and found[:BALL].mean() > 0.8
    for format in ("ply", "spz", "splat"):
        assert session.do(jobs.Export("selection", format)), session.status.message
