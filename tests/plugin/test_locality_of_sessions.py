"""A live session leaves alone what none of its steps was to touch: its checkpoint beside the file that was loaded."""

import pytest
import torch

from fasttext2style.evaluation.locality import LoadedFile
from fasttext2style.evaluation.outside import outside_of_session
from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.history import History
from fasttext2style.live import jobs
from fasttext2style.live.edit import LiveEdit
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.plugin.host.rates import maker_of
from fasttext2style.plugin.style.method import fasttext2style
from fasttext2style.plugin.viewer.model_host import ModelHost
from fasttext2style.scene.files.ply import read_ply, write_ply
from fasttext2style.styling.growth import GrowthConfig
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import SelectRows
from tests.plugin.hosts import make_capture, style_config
from tests.plugin.saved_files import differing_rows, of_checkpoint, of_ply

SETTINGS = StyleSettings(
    load_encoder("tiny"),
    maker_of(fasttext2style.config.optimizers),
    growth=GrowthConfig(every=2, gradient_threshold=0.0),
)
BALL_ROWS, CORNER_ROWS = SelectRows(0, BALL), SelectRows(BALL, BALL + 40)
COLORS = ApplyStyle(SETTINGS, "red", preset="quick")
FORM = ApplyStyle(SETTINGS, "red", preset="quick", form="colors and form")
OUTSIDE = len(ball_on_floor()) - BALL


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    config = style_config(make_capture(folder / "capture"), folder)
    pipeline = config.pipeline.setup(device="cpu", test_mode="inference", world_size=1, local_rank=0)
    return pipeline.model.eval()


@pytest.fixture()
def session(model, tmp_path, monkeypatch) -> LiveSession:
    """On a scene that was loaded from scene.ply, saved as nerfstudio saves."""
    monkeypatch.setitem(PRESETS, "quick", 4)
    write_ply(tmp_path / "scene.ply", ball_on_floor())
    model.load_gaussians(read_ply(tmp_path / "scene.ply"))

    def save():
        entries = {f"_model.{name}": value for name, value in model.state_dict().items()}
        torch.save({"step": 1, "pipeline": entries}, tmp_path / "step-000000001.ckpt")
        return tmp_path

    scene = LiveScene(ModelHost(model, save), capture_cameras(), History.open(tmp_path / "history"), tmp_path)
    return LiveSession(scene)


def _after(session: LiveSession, *done: object) -> dict:
    """What is said of the rest of the scene after these jobs, and a save."""
    for job in (*done, jobs.Save()):
        assert session.do(job), session.status.message
    folder = session.scene.folder
    return outside_of_session(
        LoadedFile.of(folder / "scene.ply"), folder / "step-000000001.ckpt", session.scene.history
    )


def _numbers(outside: dict) -> tuple:
    return outside["gaussians_compared"], outside["gaussians_changed"], outside["largest_parameter_change"]


def test_a_session_changes_the_object_alone_as_other_libraries_read_its_files(session, tmp_path):
    assert _numbers(_after(session, BALL_ROWS, COLORS)) == (OUTSIDE, 0, 0.0)
    loaded, (saved, weights) = of_ply(tmp_path / "scene.ply"), of_checkpoint(tmp_path / "step-000000001.ckpt")
    assert set(differing_rows(loaded, saved)) == set(range(BALL))
    assert weights.sum() == BALL


def test_two_objects_and_an_undo_leave_the_rest_alone(session):
    assert _numbers(_after(session, BALL_ROWS, FORM, CORNER_ROWS)) == (OUTSIDE, 0, 0.0)
    # The ball has grown and stands at the end: the corner is the first 40 now.
    assert _numbers(_after(session, SelectRows(0, 40), COLORS)) == (OUTSIDE - 40, 0, 0.0)
    assert _numbers(_after(session, jobs.Undo())) == (OUTSIDE, 0, 0.0)


@pytest.mark.parametrize("style", [COLORS, FORM], ids=["colors", "colors and form"])
def test_a_session_that_writes_beside_the_object_is_noticed(session, monkeypatch, style):
    write = LiveEdit.write

    def write_too_much(edit: LiveEdit) -> None:
        write(edit)
        rest = torch.ones(len(edit.scene.state), dtype=torch.bool)
        rest[edit.rows] = False
        edit.scene.state.columns["scales"][rest.nonzero()[:3, 0]] += 0.125

    monkeypatch.setattr(LiveEdit, "write", write_too_much)
    outside = _after(session, BALL_ROWS, style)
    assert (outside["gaussians_compared"], outside["gaussians_changed"]) == (OUTSIDE, 3)
    assert outside["files"]["checkpoint"]["parameter"] == "log_scales"
