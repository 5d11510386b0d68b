"""A picture on an object: its colours at once and exactly, then its texture; nothing but the object."""

import numpy as np
import pytest
import torch

from fasttext2style.guidance.feature_maps import EncoderMaps
from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.picture_objective import PictureObjective, PictureStyleConfig, color_moments
from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.color_transfer import LEAST_DEVIATION, transfer_map
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from tests.ball import BALL, ball_on_floor, capture_cameras


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("tiny")


def colourful() -> Gaussians:
    """The ball in many colours that also change with the view."""
    scene, generator = ball_on_floor(), torch.Generator().manual_seed(1)
    scene.sh_dc[:BALL] = 0.9 * torch.randn(BALL, 3, generator=generator)
    scene.sh_rest[:BALL, :3] = 0.1 * torch.randn(BALL, 3, 3, generator=generator)
    return scene


def muted(mean=(0.5, 0.45, 0.4)) -> torch.Tensor:
    """A picture of noise around one colour, so that nothing that is moved to it is clipped."""
    noise = torch.randn(32, 32, 3, generator=torch.Generator().manual_seed(2)) @ torch.tensor(
        [[0.03, 0.01, 0.0], [0.0, 0.02, 0.01], [0.0, 0.0, 0.02]]
    )
    return torch.cat([torch.tensor(mean) + noise, torch.ones(32, 32, 1)], -1)


def stripes() -> torch.Tensor:
    """Yellow and black, eight pixels each."""
    dark = (torch.arange(64) // 8 % 2).float()[:, None, None].expand(64, 64, 1)
    return torch.cat([torch.tensor([0.9, 0.8, 0.1]) * (1 - dark), torch.ones(64, 64, 1)], -1)


def styler_by(encoder, picture, scene=None, prompt="", weight=1.0, settings=None, **config) -> ObjectStyler:
    weights = torch.zeros(300)
    weights[:BALL] = weight
    edit = EditableObject(scene or colourful(), Selection(weights, "ball"))
    compared = PictureObjective(PictureStyleConfig(**{"size": 64} | config), EncoderMaps(encoder), picture)
    return ObjectStyler(edit, capture_cameras(), encoder, prompt, StylerConfig(**settings or {}), picture=compared)


def seen(styler: ObjectStyler, gaussians: Gaussians) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours of the object and how much is seen of it, in the views that the transfer looks at."""
    images, alphas, _ = styler.render(gaussians, styler.views.evenly(8))
    shown = alphas[..., 0] > 0.1
    return images[shown] / alphas[shown], alphas[shown][:, 0]


# --- the map --------------------------------------------------------------------------------------------------------


def test_mapped_colours_have_the_wanted_mean_and_covariance():
    """Of a picture that varies no more than the object."""
    colors, wanted = (torch.rand(400, 3, dtype=torch.float64) @ torch.rand(3, 3, dtype=torch.float64) for _ in range(2))
    wanted = wanted.mean(0) + 0.3 * (wanted - wanted.mean(0))
    ones = torch.ones(400, dtype=torch.float64)
    mapping = transfer_map(*color_moments(colors, ones), *color_moments(wanted, ones))
    mean, covariance = color_moments(colors @ mapping[:, :3].T + mapping[:, 3], ones)
    expected = color_moments(wanted, ones)
    torch.testing.assert_close(mean, expected[0])
    torch.testing.assert_close(covariance, expected[1])


def test_a_picture_of_more_contrast_lends_its_hues_and_not_its_contrast():
    """Light and shadow of the object would become two colours of the picture."""
    ones = torch.ones(400, dtype=torch.float64)
    colors = 0.5 + 0.2 * (torch.rand(400, 3, dtype=torch.float64) - 0.5)
    wanted = torch.rand(400, 3, dtype=torch.float64) @ torch.tensor([[3.0, 1, 0], [0, 2, 1], [0, 0, 1]]).double()
    own, other = color_moments(colors, ones), color_moments(wanted, ones)
    mapping = transfer_map(*own, *other)
    mean, covariance = color_moments(colors @ mapping[:, :3].T + mapping[:, 3], ones)
    largest, wanted_largest = (torch.linalg.eigvalsh(it[1])[-1] for it in (own, other))
    assert wanted_largest > 4 * largest
    torch.testing.assert_close(mean, other[0])
    torch.testing.assert_close(covariance, other[1] * largest / wanted_largest)


def test_the_map_to_what_is_there_already_does_nothing():
    colors = torch.rand(400, 3)
    moments = color_moments(colors, torch.ones(400))
    torch.testing.assert_close(transfer_map(*moments, *moments), torch.eye(3, 4), atol=1e-4, rtol=0)


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_strength_moves_the_mean_by_its_share(strength):
    moments, wanted = (color_moments(torch.rand(100, 3), torch.ones(100)) for _ in range(2))
    mapping = transfer_map(*moments, *wanted, strength)
    torch.testing.assert_close(mapping[:, :3] @ moments[0] + mapping[:, 3], torch.lerp(moments[0], wanted[0], strength))
    if strength == 0:
        torch.testing.assert_close(mapping, torch.eye(3, 4), atol=1e-6, rtol=0)


def test_the_noise_of_a_grey_object_does_not_become_the_pictures_variety():
    """Light and shadow become the picture's; hues that vary by a thousandth, by no more than a thirtieth of it."""
    grey = 0.5 + 0.15 * torch.randn(500, 1) + 0.001 * torch.randn(500, 3)
    mapping = transfer_map(*color_moments(grey, torch.ones(500)), torch.zeros(3), 0.15**2 * torch.eye(3))
    moved = grey @ mapping[:, :3].T
    hues = (moved[:, 0] - moved[:, 1]) / 2**0.5
    assert hues.std() < 1.2 * 0.001 * 0.15 / LEAST_DEVIATION
    assert moved.mean(1).std() == pytest.approx(0.15 / 3**0.5, rel=0.05)


def test_an_object_of_one_colour_keeps_what_little_variety_it_has():
    plain = 0.5 + 0.001 * torch.randn(500, 3)
    mapping = transfer_map(*color_moments(plain, torch.ones(500)), torch.zeros(3), 0.2**2 * torch.eye(3))
    deviations = (plain @ mapping[:, :3].T).std(0)
    assert 0.0008 < deviations.min() <= deviations.max() < 0.0012


# --- the object -----------------------------------------------------------------------------------------------------


def test_the_object_has_the_pictures_colours_before_the_first_step(encoder):
    styler = styler_by(encoder, muted())
    mean, covariance = color_moments(*seen(styler, styler.edit.gaussians(()).detach()))
    expected = color_moments(muted()[..., :3].flatten(0, 1), torch.ones(1024))
    torch.testing.assert_close(mean, expected[0], atol=2e-3, rtol=0)
    # The object's own: blended from its Gaussians, it varies enough in all directions.
    assert (color_moments(*seen(styler, styler.edit.original))[1].diag() > LEAST_DEVIATION**2).all()
    torch.testing.assert_close(covariance, expected[1], atol=1e-4, rtol=0.1)


def test_in_every_view_the_colours_that_were_seen_are_mapped_and_highlights_stay(encoder):
    """Blending is linear: a pixel of the moved object is the moved pixel, whatever shows in it."""
    styler = styler_by(encoder, muted())
    (before, _), (after, _) = (seen(styler, it) for it in (styler.edit.original, styler.edit.gaussians(()).detach()))
    assert styler.picture is not None
    mapping = transfer_map(
        *color_moments(*seen(styler, styler.edit.original)), styler.picture.mean, styler.picture.covariance
    )
    inside = (before > 0.02).all(-1) & (before < 0.98).all(-1)
    assert inside.float().mean() > 0.3
    expected = before[inside] @ mapping[:, :3].T + mapping[:, 3]
    assert (after[inside] - expected).abs().quantile(0.9) < 5e-3


def test_colours_stay_where_no_transfer_is_wanted_or_colours_do_not_train(encoder):
    for styler in (
        styler_by(encoder, muted(), color_transfer=0.0),
        styler_by(encoder, muted(), settings={"train": ("scales",)}),
    ):
        assert torch.equal(styler.edit.parameters["features_dc"], styler.edit.original.sh_dc)


def test_a_soft_weight_takes_its_share_of_the_colours(encoder):
    whole, half = (styler_by(encoder, muted(), weight=weight) for weight in (1.0, 0.5))
    start = whole.edit.original.sh_dc
    moved, share = (it.edit.parameters["features_dc"].detach() - start for it in (whole, half))
    torch.testing.assert_close(share, 0.5 * moved, atol=1e-5, rtol=1e-4)
    assert moved.abs().max() > 0.1


@pytest.mark.parametrize("loss", ["matching+gram", "matching", "gram"])
def test_steps_go_down_the_pictures_loss_and_towards_its_colours(encoder, loss):
    styler = styler_by(encoder, stripes(), scene=ball_on_floor(), loss=loss)
    optimizer = torch.optim.Adam([styler.edit.parameters["features_dc"]], lr=0.05)
    costs = []
    for _ in range(10):
        optimizer.zero_grad()
        losses = styler.losses()[0]
        assert losses.keys() == {"picture", "picture_content"}
        costs.append(float(losses["picture"].detach()))
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    assert np.mean(costs[-3:]) < 0.9 * costs[0]
    colors = (0.5 + SH_C0 * styler.edit.parameters["features_dc"].detach()).mean(0)
    assert colors[:2].min() > colors[2] + 0.1  # yellow


def test_a_sentence_and_a_picture_guide_together(encoder):
    losses, _ = styler_by(encoder, stripes(), prompt="wooden").losses()
    assert losses.keys() == {"text", "picture", "picture_content"}


def test_without_a_sentence_similarity_is_that_to_the_picture(encoder):
    styler = styler_by(encoder, stripes(), scene=ball_on_floor())
    assert torch.equal(styler.similarity(styler.edit.original), styler.picture_similarity(styler.edit.original))
    after = styler.similarity(styler.edit.gaussians(()).detach()).mean()
    assert after > styler.similarity(styler.edit.original).mean()


def test_without_either_there_is_nothing_to_do(encoder):
    edit = EditableObject(ball_on_floor(), Selection(torch.ones(300), "all"))
    with pytest.raises(ValueError, match="prompt '' is empty"):
        ObjectStyler(edit, capture_cameras(), encoder, "", StylerConfig())


def test_a_picture_is_not_compared_with_surroundings(encoder):
    with pytest.raises(ValueError, match=r"leave styler\.composite False"):
        styler_by(encoder, stripes(), settings={"composite": True})
