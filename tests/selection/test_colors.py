"""The eyedropper."""

import pytest
import torch
from shared_scenes import blobs, toy
from skimage.color import rgb2lab

from fasttext2style.scene.files.ply import SH_C0
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.colors import base_colors, select_color, to_lab


def test_lab_is_that_of_skimage():
    colors = torch.cat([torch.rand(200, 3), torch.eye(3), torch.zeros(1, 3), torch.ones(1, 3), 0.01 * torch.rand(9, 3)])
    expected = torch.from_numpy(rgb2lab(colors.double().numpy())).float() / 100
    torch.testing.assert_close(to_lab(colors), expected, atol=2e-4, rtol=0)


def test_by_hand_red_among_green_and_blue():
    grey = blobs(torch.rand(3, 3), 0.1)
    scene = Gaussians(
        grey.means, grey.quats, grey.log_scales, grey.logit_opacities, (torch.eye(3) - 0.5) / SH_C0, grey.sh_rest
    )
    assert select_color(scene, (0.95, 0.05, 0.05)).weights.tolist() == [1, 0, 0]
    assert select_color(scene, (1, 0, 0), 0.0).weights.tolist() == [1, 0, 0]
    assert select_color(scene, (1, 0, 0), 5.0).weights.tolist() == [1, 1, 1]
    assert select_color(scene, (0.5, 0.5, 0.5), 0.05).count == 0


def test_colors_beyond_white_and_black_are_white_and_black():
    scene = blobs(torch.rand(2, 3), 0.1)
    scene.sh_dc[:] = torch.tensor([[9.0], [-9.0]])
    assert base_colors(scene).tolist() == [[1.0] * 3, [0.0] * 3]
    assert select_color(scene, (1, 1, 1), 0.0).weights.tolist() == [1, 0]
    assert select_color(scene, (0, 0, 0), 0.0).weights.tolist() == [0, 1]


def test_a_larger_tolerance_selects_more():
    scene = toy().gaussians
    counts = [select_color(scene, (0.4, 0.4, 0.4), tolerance).count for tolerance in (0.02, 0.1, 0.3)]
    assert 0 < counts[0] < counts[1] < counts[2] < len(scene)


def test_what_is_no_color_is_refused():
    scene = blobs(torch.rand(3, 3), 0.1)
    with pytest.raises(ValueError, match="divide 8 bit values by 255"):
        select_color(scene, (255, 0, 0))
    with pytest.raises(ValueError, match="0 or more"):
        select_color(scene, (1, 0, 0), -1)
