"""The lowest part of a thing on rough ground, told from it by its colour."""

from dataclasses import replace

import pytest
import torch
from shared_scenes import ball, blobs, disc, orbit

from fasttext2style.scene.gaussians import SH_C0
from fasttext2style.selection.ground import find_things

RED, WOOD, DARK, SHADE = (0.7, 0.2, 0.15), (0.8, 0.65, 0.4), (0.15, 0.15, 0.15), (0.28, 0.23, 0.14)


def _foot_found(thing: tuple[float, ...], foot: tuple[float, ...], height: float) -> float:
    """Share of a flat foot that is found with its thing, a ball, on wood twice as rough as it is high."""
    torch.manual_seed(0)
    floor, stem, flat = disc(1.2, 0, 9000), ball(0.15, 0.2, 1500), disc(0.3, height, 560)
    floor = floor[floor[:, :2].norm(dim=1) > 0.3]
    for part in (floor, flat):
        part[:, 2] += 0.02 * torch.randn(len(part))
    scene = blobs(torch.cat([floor, stem, flat]))
    counts = torch.tensor([len(floor), len(stem), len(flat)])
    colors = torch.tensor([WOOD, thing, foot]).repeat_interleave(counts, dim=0)
    colors = (colors + 0.03 * torch.randn(colors.shape)).clamp(0, 1)
    of = find_things(replace(scene, sh_dc=(colors - 0.5) / SH_C0), orbit(0.2)).of
    number = int(of[len(floor) : -len(flat)].mode().values)
    assert number >= 0 and (of[: len(floor)] == number).float().mean() < 0.01
    return float((of[-len(flat) :] == number).float().mean())


@pytest.mark.parametrize("thing", [RED, DARK])
def test_a_flat_foot_has_its_things_color_and_not_the_grounds(thing):
    assert _foot_found(thing, thing, height=0.03) > 0.8


def test_what_has_the_color_of_the_ground_stays_there():
    assert _foot_found(RED, WOOD, height=0.0) < 0.05


@pytest.mark.parametrize("thing", [RED, DARK])
def test_shade_on_the_ground_is_no_foot(thing):
    """Even around a dark thing: it lies in the ground."""
    assert _foot_found(thing, SHADE, height=0.0) < 0.05


def test_a_spot_in_the_ground_of_the_things_color_is_no_foot():
    assert _foot_found(RED, RED, height=0.0) < 0.05
