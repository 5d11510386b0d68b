"""Outputs `selection` and `before`: what they show, when they cost something, and that a checkpoint keeps them."""

import pytest
import torch

from fasttext2style.evaluation.object_pictures import MARK_COLOR, marked
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.host.outputs import EarlierObject, LazyOutputs
from fasttext2style.scene.rasterize import rasterize_splats
from tests.plugin.hosts import BALL, ball_on_floor, make_capture, style_config


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    config = style_config(make_capture(folder / "capture"), folder)
    return config.pipeline.setup(device="cpu", test_mode="inference", world_size=1, local_rank=0)


@pytest.fixture()
def model(pipeline) -> SceneModel:
    model = pipeline.model.eval()
    model.load_state_dict(ball_on_floor().to_splatfacto())
    model.selection = (torch.arange(len(ball_on_floor())) < BALL).float()
    return model


def _look(pipeline, model):
    with torch.no_grad():
        return model.get_outputs_for_camera(pipeline.datamanager.eval_dataset.cameras[:1])


def _red_ball(model) -> None:
    """Paint the ball red, as an edit does: rows in place, and what was before kept."""
    rows = torch.arange(BALL)
    model.earlier.set(rows, {name: value.detach()[rows].clone() for name, value in model.gauss_params.items()})
    model.gauss_params["features_dc"].data[rows] = torch.tensor([1.5, -1.0, -1.0])


def test_selection_is_white_where_the_object_is_seen(pipeline, model):
    outputs = _look(pipeline, model)
    middle, corner = outputs["selection"][24, 24], outputs["selection"][-1, 0]
    assert (middle > 0.95).all() and (corner < 0.05).all()


def test_before_shows_the_scene_before_the_edit_to_the_bit(pipeline, model):
    original = _look(pipeline, model)["rgb"]
    assert torch.equal(_look(pipeline, model)["before"], original)
    _red_ball(model)
    outputs = _look(pipeline, model)
    assert (outputs["rgb"] - original).abs().max() > 0.2
    assert torch.equal(outputs["before"], original)


def test_the_original_is_offered_where_somebody_knows_it_and_shows_the_rows_as_they_were(pipeline, model):
    captured = _look(pipeline, model)
    assert "original" not in captured
    rows = torch.arange(BALL)
    columns = {name: value.detach()[rows].clone() for name, value in model.gauss_params.items()}
    _red_ball(model)
    model.earlier.clear()
    model.original = lambda: (rows, columns)
    try:
        outputs = _look(pipeline, model)
    finally:
        model.original = None
    assert torch.equal(outputs["original"], captured["rgb"]) and torch.equal(outputs["before"], outputs["rgb"])


def test_before_of_a_grown_object(pipeline, model):
    original = _look(pipeline, model)["rgb"]
    groups = {name: value.detach().clone() for name, value in model.gauss_params.items()}
    kept = {name: values[BALL:] for name, values in groups.items()}
    more = {name: values[: BALL // 2].repeat(3, *[1] * (values.ndim - 1)) for name, values in groups.items()}
    model.load_state_dict({name: torch.cat([kept[name], more[name]]) for name in groups})
    rows = torch.arange(len(kept["means"]), len(model.means))
    model.earlier.set(rows, {name: values[:BALL] for name, values in groups.items()})
    # Other order, so other rounding, but the same picture.
    torch.testing.assert_close(_look(pipeline, model)["before"], original, atol=1e-5, rtol=0)


def test_a_checkpoint_carries_what_was_before(pipeline, model):
    original = _look(pipeline, model)["rgb"]
    _red_ball(model)
    model.history_ids, model.history_applied = torch.arange(len(model.means)), torch.tensor([1, 2], dtype=torch.uint8)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(ball_on_floor().to_splatfacto())
    assert model.earlier.is_empty and model.history_ids is None and model.history_applied is None
    model.load_state_dict(state)
    assert torch.equal(_look(pipeline, model)["before"], original)
    assert model.history_ids[-1] == len(model.means) - 1 and model.history_applied.tolist() == [1, 2]


def test_a_replaced_scene_forgets_what_was_before(pipeline, model):
    _red_ball(model)
    model.set_gaussians(ball_on_floor().subset(torch.arange(200)))
    assert model.earlier.is_empty


def test_extra_outputs_cost_nothing_until_they_are_read(pipeline, model, monkeypatch):
    renders = []
    monkeypatch.setattr(
        "fasttext2style.scene.rasterize.rasterize_splats",
        lambda *args, **kwargs: renders.append(1) or rasterize_splats(*args, **kwargs),
    )
    _red_ball(model)
    outputs = _look(pipeline, model)
    assert len(renders) == 1
    _ = outputs["before"], outputs["before"], outputs["selection"]
    assert len(renders) == 3
    model.on_outputs = lambda outputs: outputs["before"]
    _look(pipeline, model)
    model.on_outputs = lambda outputs: None
    assert len(renders) == 5


def test_what_is_read_late_belongs_to_the_scene_that_was_rendered(pipeline, model):
    outputs, before = _look(pipeline, model), _look(pipeline, model)["selection"]
    model.load_state_dict(ball_on_floor().subset(torch.arange(20)).to_splatfacto())
    assert torch.equal(outputs["selection"], before)


def test_marking_tints_the_object_and_nothing_else(pipeline, model):
    plain = _look(pipeline, model)
    shown = marked(plain["rgb"], plain["selection"][..., :1], 0.35)
    outside = plain["selection"][..., 0] == 0
    assert bool(outside.any()) and torch.equal(shown[outside], plain["rgb"][outside])
    assert (shown - plain["rgb"])[24, 24].abs().max() > 0.05


def test_the_outline_is_one_pixel_inside_the_object():
    coverage = torch.zeros(7, 7, 1)
    coverage[2:5, 2:5] = 1.0
    image = marked(torch.zeros(7, 7, 3), coverage, 0.35)
    full = torch.tensor(MARK_COLOR)
    assert torch.equal(image[2, 3], full) and torch.equal(image[0, 0], torch.zeros(3))
    torch.testing.assert_close(image[3, 3], 0.35 * full)


def test_lazy_outputs_are_a_dict():
    calls = []
    outputs = LazyOutputs({"rgb": 1})
    outputs.later("before", lambda: calls.append(0) or 2)
    assert list(outputs) == ["rgb", "before"] and "before" in outputs and not calls
    assert dict(outputs.items()) == {"rgb": 1, "before": 2}
    assert outputs.get("before") == 2 and outputs.get("none") is None and outputs.values() == [1, 2]
    assert len(calls) == 1


def test_nothing_before_leaves_the_scene_as_it_is():
    groups = {"means": torch.randn(5, 3), "opacities": torch.randn(5, 1)}
    earlier = EarlierObject(groups)
    assert earlier.is_empty
    mixed = earlier.in_place_of(groups, earlier.columns)
    assert all(torch.equal(mixed[name], values) for name, values in groups.items())


def test_looking_shades_as_training_does(pipeline, model):
    """Without gradients colours are shaded part by part: the same bits."""
    model.gauss_params["features_rest"].data.normal_()
    camera = pipeline.datamanager.eval_dataset.cameras[:1]
    assert torch.equal(_look(pipeline, model)["rgb"], model.get_outputs_for_camera(camera)["rgb"].detach())
