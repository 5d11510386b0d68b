"""A palette is put where the pattern has it: everywhere on the object, dark where it is dark."""

from __future__ import annotations

import pytest
import torch

from fasttext2style.guidance import local_colors as module
from fasttext2style.guidance.local_colors import Palette, local_colors, placed
from fasttext2style.guidance.oklab import oklab, oklab_of

SIDE = 48
BLACK_AND_AMBER = Palette(oklab_of(torch.tensor([[0.05, 0.05, 0.05], [0.88, 0.65, 0.16]])), torch.tensor([0.3, 0.7]))
SOLID = torch.ones(1, SIDE, SIDE, 1)


def shaded_stripes():
    """Grey, bright on the left and dark on the right, with faint stripes."""
    columns = torch.arange(SIDE).float()
    brightness = 0.8 - 0.6 * columns / SIDE + 0.05 * torch.sin(2 * torch.pi * columns / 6)
    return brightness[None, None, :, None].expand(1, SIDE, SIDE, 3).clone()


def styled(images, palette, steps=80):
    pixels = images.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        local_colors(pixels.clamp(0, 1), SOLID, palette).backward()
        optimizer.step()
    return pixels.detach().clamp(0, 1)


def halves_that_are_dark(pixels):
    lightness = oklab(pixels.permute(0, 3, 1, 2))[0, 0]
    return [float((half < 0.5).float().mean()) for half in lightness.chunk(2, dim=1)]


def test_each_half_of_a_shaded_object_gets_all_colours(monkeypatch):
    left, right = halves_that_are_dark(styled(shaded_stripes(), BLACK_AND_AMBER))
    assert left > 0.1 and right > 0.1 and abs(left - right) < 0.35
    # The claim can fail: by darkness itself, as a palette of the whole has it, black goes where the shade is.
    monkeypatch.setattr(module, "surroundings", lambda values, weight: values.new_full(values.shape, 0.5))
    left, right = halves_that_are_dark(styled(shaded_stripes(), BLACK_AND_AMBER))
    assert left < 0.1 < right


def test_stripes_stay_where_they_are_and_take_the_colours():
    before, after = shaded_stripes(), styled(shaded_stripes(), BLACK_AND_AMBER)
    lightness = [oklab(image.permute(0, 3, 1, 2))[0, 0].diff(dim=1).flatten() for image in (before, after)]
    assert torch.corrcoef(torch.stack(lightness))[0, 1] > 0.6
    assert lightness[1].std() > 1.5 * lightness[0].std()
    amber = oklab(after.permute(0, 3, 1, 2))[0, 2]
    assert amber.amax() > 0.1 and oklab(before.permute(0, 3, 1, 2))[0, 2].amax() < 0.01


def test_the_darkest_places_get_the_darkest_colour_as_far_as_it_goes():
    contrast = torch.tensor([0.3, -0.2, 0.1, -0.5, 0.0, 0.6, 0.2, 0.4, 0.5, -0.1, -0.9, -0.9]).view(1, 2, 6)
    shown = torch.arange(12).view(1, 2, 6) < 10
    wanted = placed(contrast, shown, BLACK_AND_AMBER)
    dark = (wanted[..., 0] < 0.5) & shown
    assert dark.flatten().nonzero()[:, 0].tolist() == [1, 3, 9]


def test_colours_in_the_shade_are_what_they_are(monkeypatch):
    monkeypatch.setattr(module, "LIGHTNESS", 0.0)  # hue alone
    red = Palette(oklab_of(torch.tensor([[0.84, 0.09, 0.09]])), torch.ones(1))
    light = torch.linspace(0.5, 1, SIDE)[None, None, :, None]
    shaded = torch.tensor([0.84, 0.09, 0.09]).expand(1, SIDE, SIDE, 3) * light
    grey = torch.full((1, SIDE, SIDE, 3), 0.4)
    assert local_colors(shaded, SOLID, red) < 0.02 * local_colors(grey, SOLID, red)


def test_shading_may_stay_but_another_hue_may_not():
    """As far from the colour in Oklab: what is only lighter or darker costs less than half of another hue."""
    grey = Palette(oklab_of(torch.tensor([[0.5, 0.5, 0.5]])), torch.ones(1))
    costs = {}
    for name, rgb in {"dark": [0.3] * 3, "light": [0.7] * 3, "red": [0.8, 0.3, 0.3], "blue": [0.2, 0.5, 0.8]}.items():
        far = torch.dist(oklab_of(torch.tensor([rgb])), grey.colors) ** 2
        costs[name] = float(local_colors(torch.tensor(rgb).expand(1, SIDE, SIDE, 3), SOLID, grey) / far)
    assert min(costs["dark"], costs["light"]) > 0
    assert max(costs["dark"], costs["light"]) < 0.5 * min(costs["red"], costs["blue"])


def test_what_is_half_transparent_shows_its_own_colour_and_the_empty_counts_not():
    images, alphas = shaded_stripes(), SOLID.clone()
    alphas[:, :, 24:] = 0.8
    thin = local_colors(images * alphas, alphas, BLACK_AND_AMBER)
    assert float(thin) == pytest.approx(float(local_colors(images, SOLID, BLACK_AND_AMBER)), rel=1e-4)
    assert float(local_colors(images, 0 * SOLID, BLACK_AND_AMBER)) == 0
