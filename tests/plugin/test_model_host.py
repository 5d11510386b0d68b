"""A nerfstudio model as a session's host: it shows what jobs did, its checkpoints hold it, `before` shows what was."""

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.history import History
from fasttext2style.live import jobs
from fasttext2style.live.host import Host
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.plugin.host.rates import maker_of
from fasttext2style.plugin.style.method import fasttext2style
from fasttext2style.plugin.viewer.model_host import ModelHost
from fasttext2style.styling.growth import GrowthConfig
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import SelectRows
from tests.plugin.hosts import make_capture, style_config

GROWTH = GrowthConfig(every=2, gradient_threshold=0.0)
SETTINGS = StyleSettings(load_encoder("tiny"), maker_of(fasttext2style.config.optimizers), growth=GROWTH)
BALL_ROWS = SelectRows(0, BALL)
COLORS = ApplyStyle(SETTINGS, "red", preset="quick")
FORM = ApplyStyle(SETTINGS, "red", preset="quick", form="colors and form")


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

    host = ModelHost(model, save)
    assert isinstance(host, Host)
    return LiveSession(LiveScene(host, capture_cameras(), History.open(folder / "history"), folder))


def _shown(session) -> dict[str, torch.Tensor]:
    """What the viewer and a checkpoint see: the model's own tensors."""
    model = session.scene.host.model
    return {name: value.detach().clone() for name, value in model.gauss_params.items()} | {
        "selection": model.selection.clone()
    }


def _same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("style", [COLORS, FORM], ids=["colors", "colors and form"])
def test_the_model_shows_what_jobs_did_and_undo_brings_every_bit_back(session, style):
    moments = [_shown(session)]
    for job in (BALL_ROWS, style):
        assert session.do(job), session.status.message
        assert _same(_shown(session), session.scene.state.columns)
        moments.append(_shown(session))
    assert not _same(moments[1], moments[2])
    for moment in moments[1::-1]:
        assert session.do(jobs.Undo()) and _same(_shown(session), moment)
    for moment in moments[1:]:
        assert session.do(jobs.Redo()) and _same(_shown(session), moment)


def test_nobody_chose_is_nothing_and_what_was_chosen_stays(session, model, tmp_path):
    assert session.scene.selection.count == 0 and not model.selection.any()
    weights = torch.linspace(0, 1, 300)
    model.load_state_dict(ball_on_floor().to_splatfacto() | {"selection": weights})
    assert torch.equal(_session(model, tmp_path / "other").scene.selection.weights, weights)


def test_before_shows_the_scene_before_the_last_edit(session, model):
    session.do(BALL_ROWS)
    assert model.earlier.is_empty
    original, seen = ball_on_floor().sh_dc[:BALL], []
    session.scene.listeners.append(
        lambda event: seen.append(torch.equal(model.earlier.features_dc, original)) if event == "scene" else None
    )
    session.do(COLORS)
    assert len(seen) == 6 and all(seen), "while it is made"
    assert torch.equal(model.earlier.features_dc, original), "and afterwards"
    red = _shown(session)["features_dc"][:BALL]
    session.do(ApplyStyle(SETTINGS, "blue", preset="quick"))
    assert torch.equal(model.earlier.features_dc, red)
    session.do(jobs.Undo())
    assert torch.equal(model.earlier.features_dc, original)
    session.do(jobs.Undo())
    assert model.earlier.is_empty


@pytest.mark.parametrize("saves_at_the_end", [True, False], ids=["saved", "killed"])
def test_a_checkpoint_and_the_history_bring_a_session_back(session, model, tmp_path, saves_at_the_end):
    start = _shown(session)
    session.scene.save()
    for job in (BALL_ROWS, COLORS):
        session.do(job)
    if saves_at_the_end:
        session.do(jobs.Save())
    styled = _shown(session)
    model.load_state_dict(ball_on_floor().to_splatfacto())
    model.load_state_dict(torch.load(tmp_path / "scene.pt", weights_only=True))
    again = _session(model, tmp_path)
    assert _same(_shown(again), styled) and again.scene.selection.count == BALL
    assert again.do(jobs.Undo()) and again.do(jobs.Undo()) and _same(_shown(again), start)
