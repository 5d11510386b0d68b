"""What a sentence is compared with: how the object is rendered and framed, and what needles cost."""

import math

import pytest
import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler, StylerConfig


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("tiny")


def ball(count: int = 300) -> Gaussians:
    """Round Gaussians of standard deviation 0.05 on a sphere of radius 0.5."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    return Gaussians(
        means=0.5 * directions,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        log_scales=torch.full((count, 3), math.log(0.05)),
        logit_opacities=torch.full((count,), 3.0),
        sh_dc=torch.zeros(count, 3),
        sh_rest=torch.zeros(count, 3, 3),
    )


def styler_of(scene: Gaussians, encoder, **settings) -> ObjectStyler:
    edit = EditableObject(scene, Selection(torch.ones(len(scene)), "all"))
    cameras = Cameras.orbit((0.0, 0.0, 0.0), 4.0, 6, 128, 128)
    return ObjectStyler(edit, cameras, encoder, "red", StylerConfig(**settings))


def test_a_gaussian_smaller_than_a_pixel_is_not_thickened(encoder):
    """Opacity 1 and a standard deviation of 0.1 pixels cover 2 pi 0.1^2 = 0.063 pixels; splatting's low-pass filter
    (0.3 pixels^2) would make it 2 pi 0.31 = 1.9. What is fainter than 1/255 is not drawn: about an eighth of it."""
    camera = Cameras.orbit((0.0, 0.0, 0.0), 4.0, 1, 65, 65)
    focal = float(camera.Ks[0, 0, 0])
    dot = ball(1)
    dot.means[:], dot.log_scales[:], dot.logit_opacities[:] = 0.0, math.log(0.1 * 4.0 / focal), 12.0
    _, alphas, _ = styler_of(ball(), encoder).render(dot, camera)
    assert 0.7 * 0.063 < float(alphas.sum()) < 1.1 * 0.063


def test_the_crop_margin_is_room_around_the_object(encoder):
    """The object takes 1/margin of a view's width: half as much with margin 3 as with 1.5."""
    widths = []
    for margin in (1.5, 3.0):
        styler = styler_of(ball(), encoder, crop_margin=margin, render_size=96)
        alphas = styler.originals(torch.tensor([0]))[1]
        columns = (alphas[0, :, :, 0] > 0.5).any(dim=0).nonzero()[:, 0]
        widths.append(int(columns[-1] - columns[0] + 1))
    assert widths[1] / widths[0] == pytest.approx(0.5, abs=0.06)


def test_needles_cost_more_than_discs_that_left_their_scales_as_far(encoder):
    """One axis e^3 times longer or shorter is the same distance from the original scales; beyond a ratio of 5 the
    longer one is a needle, and costs its excess squared more: (3 - ln 5)^2 = 1.93."""
    costs = []
    for change in (3.0, -3.0):
        styler = styler_of(ball(), encoder, train=("scales",), scale_anchor=2.0)
        styler.edit.parameters["scales"].data[:, 0] += change
        costs.append(float(styler.losses()[0]["scale_anchor"].detach()))
    assert costs[1] == pytest.approx(2.0 * 3.0**2 / 3, rel=1e-4)
    assert costs[0] - costs[1] == pytest.approx(2.0 * (3.0 - math.log(5.0)) ** 2, rel=1e-4)
