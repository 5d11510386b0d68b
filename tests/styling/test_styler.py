"""The loss of a sentence on an object: what moves, what is held, what is drawn from the seed."""

from dataclasses import replace

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.local_colors import Palette
from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.selection.neighbours import nearest
from fasttext2style.selection.selection import Selection
from fasttext2style.styling import styler as styler_module
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.smoothness import NEIGHBOURS, hue_roughness
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from tests.ball import BALL, ball_on_floor, capture_cameras

VIEWS = torch.tensor([0, 3])


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("tiny")


def _styler(encoder, prompt="red", seed=0, **settings) -> ObjectStyler:
    weights = torch.zeros(len(ball_on_floor()))
    weights[:BALL] = 1
    edit = EditableObject(ball_on_floor(), Selection(weights, "ball"))
    return ObjectStyler(edit, capture_cameras(), encoder, prompt, StylerConfig(**settings), seed)


def _steps(styler, count=5, lr=0.05):
    optimizer = torch.optim.Adam(list(styler.edit.parameters.values()), lr=lr)
    for _ in range(count):
        optimizer.zero_grad()
        losses, _ = styler.losses()
        sum(losses.values()).backward()
        optimizer.step()
    return losses


def test_similarity_rises_towards_the_sentence(encoder):
    styler = _styler(encoder)
    before = styler.similarity(styler.edit.original).mean()
    _steps(styler, 8)
    assert styler.similarity(styler.edit.gaussians(()).detach()).mean() > before + 0.2


def test_only_trained_groups_move(encoder):
    styler = _styler(encoder, train=("features_dc", "means"))
    _steps(styler, 2)
    original = styler.edit.original.to_splatfacto()
    moved = {name for name, p in styler.edit.parameters.items() if not torch.equal(p.detach(), original[name])}
    assert moved == {"features_dc", "means"}


@pytest.mark.parametrize(
    "train, anchors",
    [
        (("features_dc",), set()),
        (("features_dc", "scales"), {"silhouette_anchor", "scale_anchor"}),
        (("opacities",), {"silhouette_anchor", "opacity_anchor"}),
        (("means",), {"silhouette_anchor", "position_anchor"}),
    ],
)
def test_anchors_hold_the_groups_that_train(encoder, train, anchors):
    losses, _ = _styler(encoder, train=train).losses()
    assert set(losses) - {"text", "directional", "colors", "content", "hue_smoothness"} == anchors


def test_hues_of_neighbours_cost_their_distance_times_the_weight_where_colours_train(encoder):
    styler = _styler(encoder, hue_smoothness=10.0)
    assert float(styler.losses()[0]["hue_smoothness"].detach()) < 1e-9, "the ball has one colour"
    red = styler.edit.parameters["features_dc"].detach().clone()
    red[0] += torch.tensor([1.0, 0.0, 0.0]) / SH_C0
    styler.edit.parameters["features_dc"].data.copy_(red)
    near = nearest(styler.edit.original.means, NEIGHBOURS)
    # Beside grey its square is 2/3; to whom it is one of eight it is a 64th of that.
    expected = (2 / 3) * (1 + int((near == 0).sum()) / 64) / BALL
    assert float(styler.losses()[0]["hue_smoothness"].detach()) == pytest.approx(10 * expected, rel=1e-3)
    assert "hue_smoothness" not in _styler(encoder, hue_smoothness=0.0).losses()[0]
    assert "hue_smoothness" not in _styler(encoder, train=("means",)).losses()[0]
    assert "hue_smoothness" not in _styler(encoder, "gold").losses()[0], "its hues are searched, not known"


def test_lighter_and_darker_neighbours_cost_nothing():
    near = torch.tensor([[1, 2], [0, 2], [0, 1]])
    assert float(hue_roughness(torch.tensor([[0.0] * 3, [1.0] * 3, [-2.0] * 3]), near)) == 0
    assert float(hue_roughness(torch.rand(1, 3), nearest(torch.zeros(1, 3), 8))) == 0, "one has no neighbours"


def test_the_silhouette_anchor_feels_an_object_that_swells(encoder):
    styler = _styler(encoder, train=("scales",))
    still = float(styler.losses()[0]["silhouette_anchor"].detach())
    styler.edit.parameters["scales"].data += 0.7
    assert still < 1e-6
    assert float(styler.losses()[0]["silhouette_anchor"].detach()) > 0.01


def test_an_object_that_shrinks_costs_no_silhouette(encoder):
    styler = _styler(encoder, train=("scales",))
    styler.edit.parameters["scales"].data -= 0.7
    assert float(styler.losses()[0]["silhouette_anchor"].detach()) < 1e-6


@pytest.mark.parametrize("weight", [None, 7.0])
def test_the_silhouette_anchor_is_what_grew_squared_and_averaged_over_pixels(encoder, weight):
    """Alphas beyond the original ones; its weight is 10 unless another is asked for."""
    settings = {} if weight is None else {"silhouette_anchor": weight}
    styler = _styler(encoder, train=("scales",), views_per_step=10, **settings)  # all of them, in any order
    styler.edit.parameters["scales"].data += 0.3
    views = torch.arange(10)
    grown = styler.render(styler.edit.gaussians(()), styler.views)[1] - styler.originals(views)[1]
    expected = (weight or 10.0) * float(grown.clamp_min(0).double().square().mean())
    assert float(styler.losses()[0]["silhouette_anchor"].detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("factor", [1.0, 3.0])
@pytest.mark.parametrize(
    "group, usual, cost", [("scales", 1.0, 0.04), ("opacities", 0.1, 0.0025), ("means", 1.0, 0.16)]
)
def test_an_anchor_costs_its_weight_times_how_far_its_group_went(encoder, group, usual, cost, factor):
    """All scales e^0.2 times as large: 0.2^2. All opacities 0.05 lower: 0.05^2. All moved by 0.4 of their own size:
    0.4^2. Weights are 1, 0.1 and 1 unless others are asked for."""
    name = {"scales": "scale_anchor", "opacities": "opacity_anchor", "means": "position_anchor"}[group]
    styler = _styler(encoder, train=(group,), **({} if factor == 1 else {name: factor * usual}))
    parameter = styler.edit.parameters[group].data
    if group == "scales":
        parameter += 0.2
    elif group == "opacities":
        parameter.copy_((parameter.sigmoid() - 0.05).logit())
    else:
        parameter[:, 2] += 0.4 * 0.05
    assert float(styler.losses()[0][name].detach()) == pytest.approx(factor * usual * cost, rel=1e-3)


def test_a_step_on_a_cpu_looks_at_four_views_unless_it_is_told_otherwise(encoder):
    assert _styler(encoder).losses()[1]["n_cameras"] == 4
    assert _styler(encoder, views_per_step=3).losses()[1]["n_cameras"] == 3


def test_similarity_is_of_all_views_or_of_so_many_of_them(encoder):
    styler = _styler(encoder)
    every = styler.similarity(styler.edit.original)
    assert len(every) == len(styler.views) == 10
    torch.testing.assert_close(styler.similarity(styler.edit.original, at_most=4), every[[0, 3, 6, 9]])
    assert not styler.similarity(styler.edit.gaussians()).requires_grad
    # A judge looks at the same views; this one is the encoder itself.
    for at_most, views in ((12, slice(None)), (4, [0, 3, 6, 9])):
        judged = styler.judged(styler.edit.original, encoder, "red", at_most)
        assert judged == pytest.approx(float(every[views].mean()), abs=1e-6)


def test_the_same_seed_draws_the_same_losses(encoder):
    first, second, other = (_styler(encoder, "gold", seed).losses()[0]["text"] for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_composite_sees_the_scene_behind_the_object(encoder):
    alone, composite = _styler(encoder), _styler(encoder, composite=True)
    assert alone.originals(VIEWS)[1].mean() < composite.originals(VIEWS)[1].mean()
    # The scene behind gets no gradient and no parameter.
    _steps(composite, 1)
    behind, untouched = composite.outside, alone.edit.outside()
    assert behind is not None and len(composite.edit.parameters["means"]) + len(behind) == len(composite.edit.scene)
    for name, value in untouched.to_splatfacto().items():
        now = behind.gaussians.to_splatfacto()[name]
        assert torch.equal(now, value) and now.grad is None and not now.requires_grad, name


def test_a_palette_is_the_objects_and_not_that_of_what_is_behind_it(encoder, monkeypatch):
    red = Palette(torch.tensor([[0.56, 0.19, 0.1]]), torch.ones(1))
    monkeypatch.setattr(type(encoder), "palette", lambda self, text: red, raising=False)
    monkeypatch.setattr(type(encoder), "embed_patterns", type(encoder).embed_images, raising=False)
    assert "colors" in _styler(encoder).losses()[0]
    assert "colors" not in _styler(encoder, composite=True).losses()[0]


def test_views_have_the_encoders_resolution(encoder):
    styler = _styler(encoder)
    assert styler.originals(VIEWS)[0].shape == (2, encoder.resolution, encoder.resolution, 3)
    assert _styler(encoder, render_size=40).originals(VIEWS)[0].shape == (2, 40, 40, 3)


def test_originals_stay_what_they_were_while_the_object_changes(encoder):
    early, late = _styler(encoder), _styler(encoder)
    before = early.originals(VIEWS)
    for styler in (early, late):
        _steps(styler, 3)
    for ours, theirs in zip(early.originals(VIEWS) + late.originals(VIEWS), before * 2):
        assert torch.equal(ours, theirs)


def test_an_object_that_cannot_be_seen_is_refused(encoder):
    scene = ball_on_floor()
    weights = torch.zeros(len(scene))
    weights[:BALL] = 1
    ghost = replace(scene, logit_opacities=torch.full_like(scene.logit_opacities, -8.0))
    edit = EditableObject(ghost, Selection(weights, "ball"))
    with pytest.raises(ValueError, match="cannot be seen"):
        ObjectStyler(edit, capture_cameras(), encoder, "red", StylerConfig()).losses()


def test_re_anchoring_takes_what_is_there_now(encoder):
    styler = _styler(encoder, train=("scales",))
    styler.edit.parameters["scales"].data += 0.3
    styler.re_anchor()
    assert isinstance(styler.anchor, Gaussians)
    assert float(styler.losses()[0]["scale_anchor"].detach()) == 0.0
    styler.edit.parameters["scales"].data += 0.3  # as optimizers write: in place
    assert float(styler.losses()[0]["scale_anchor"].detach()) > 0.0


def test_after_growth_neighbours_are_looked_for_anew(encoder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        styler_module, "nearest", lambda means, count: asked.append(len(means)) or nearest(means, count)
    )
    styler = _styler(encoder)
    _steps(styler, 2)
    styler.re_anchor()
    _steps(styler, 1)
    assert asked == [BALL, BALL]
