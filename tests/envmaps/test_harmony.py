"""Gaussians in the light of what is around them: irradiance as the sphere's integral says, and a tint that is one."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F

from fasttext2style.envmaps.harmony import MOST_STOPS, harmonised, irradiance, normals_of
from fasttext2style.envmaps.sphere import directions, solid_angles
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import SH_C0, Gaussians
from tests.ball import ball_on_floor

AXES = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
RAYS = directions(32, 64)


def panorama(light):
    return light[..., None].expand(*light.shape, 3).float()


def test_irradiance_of_even_light_is_pi_and_of_a_slope_what_one_calculates_by_hand():
    """Of 1 + z / 2, along n: pi + pi / 3 n_z (the cosine's integral over the upper half of z / 2 is pi / 3)."""
    assert torch.allclose(irradiance(panorama(torch.ones(32, 64)), AXES), torch.full((6, 3), math.pi), atol=2e-3)
    slope = irradiance(panorama(1 + RAYS[..., 2] / 2), AXES)
    assert torch.allclose(slope, (math.pi + math.pi / 3 * AXES[:, 2])[:, None].expand(6, 3), atol=3e-3)


def test_irradiance_is_near_the_cosine_weighted_sum_over_the_sphere():
    """Nine coefficients hold 99 % of what a light of any kind gives (Ramamoorthi and Hanrahan); here within 9 % of the
    largest for a third of the sky that shines."""
    lights = panorama((RAYS @ torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64) > 0.7).double())
    normals = F.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    cosines = (normals.double() @ RAYS.reshape(-1, 3).T).clamp_min(0)
    exact = cosines @ (lights * solid_angles(32, 64)[:, None, None]).double().reshape(-1, 3)
    assert float((irradiance(lights, normals).double() - exact).abs().max()) < 0.09 * float(exact.max())


def _flat(quats, centre=(0.0, 0.0, 0.0)):
    """Discs that are thinnest along their own z, in mid-grey."""
    count = len(quats)
    scales = torch.tensor([0.1, 0.1, 0.01]).log().repeat(count, 1)
    return Gaussians(torch.tensor(centre).repeat(count, 1), quats, scales, torch.zeros(count), torch.zeros(count, 3),
                     0.1 * torch.ones(count, 3, 3))  # fmt: skip


def _cameras(at):
    return Cameras.looking_at(torch.tensor([at]), torch.zeros(3), 8, 8)


def test_normals_are_the_shortest_axes_on_the_side_of_the_cameras():
    half = math.sqrt(0.5)
    quats = torch.tensor([[1.0, 0, 0, 0], [2 * half, 2 * half, 0, 0], [half, 0, half, 0]])  # as they are, about x, y
    for sign in (1.0, -1.0):
        expected = sign * torch.tensor([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]])
        found = normals_of(_flat(quats), _cameras((sign * 5.0, -sign * 4.0, sign * 3.0)))
        assert torch.allclose(found, expected, atol=1e-6)


def test_the_same_light_changes_no_bit_and_no_weight_keeps_every_bit():
    scene, cameras, light = ball_on_floor(), _cameras((3.0, 2.0, 1.0)), panorama(1 + RAYS[..., 0] / 2)
    scene = replace(scene, sh_dc=torch.rand(len(scene), 3, generator=torch.Generator().manual_seed(0)))
    weights = (torch.arange(len(scene)) % 3 / 2).float()
    same = harmonised(scene, weights, cameras, light, light)
    assert torch.equal(same["features_dc"], scene.sh_dc) and torch.equal(same["features_rest"], scene.sh_rest)
    other = harmonised(scene, weights, cameras, 0.5 * light, light)
    kept = weights == 0
    assert torch.equal(other["features_dc"][kept], scene.sh_dc[kept])
    darker = (0.5 + SH_C0 * other["features_dc"]) / (0.5 + SH_C0 * scene.sh_dc)
    whole = (weights == 1) & (0.5 + SH_C0 * scene.sh_dc > 0.05).all(dim=1)
    assert torch.allclose(darker[whole], torch.full_like(darker[whole], 0.5 ** (1 / 2.2)), atol=0.01)


def test_light_from_the_left_reddens_the_left_and_a_seen_colour_is_scaled_as_a_whole():
    """Two discs, one to either side; nobody knows what lit them before."""
    half = math.sqrt(0.5)
    quats = torch.tensor([[half, 0, half, 0], [half, half, 0, 0]])  # towards +x; towards -y
    scene = _flat(quats)
    light = panorama(torch.where(RAYS[..., 0] > 0, 2.0, 0.1)) * torch.tensor([1.0, 0.4, 0.2])
    columns = harmonised(scene, torch.ones(2), _cameras((5.0, -5.0, 3.0)), light)
    lit, beside = 0.5 + SH_C0 * columns["features_dc"]
    assert lit[0] > lit[1] > lit[2] and lit[0] > beside[0] and lit[0] > 0.5
    gains = torch.stack([lit, beside]) / 0.5
    assert torch.allclose(columns["features_rest"], 0.1 * gains[:, None].expand(2, 3, 3), atol=1e-6)
    dark = harmonised(scene, torch.ones(2), _cameras((5.0, -5.0, 3.0)), 0 * light, light)
    assert torch.allclose(0.5 + SH_C0 * dark["features_dc"], torch.tensor(0.5 * 2 ** (-MOST_STOPS / 2.2)), atol=1e-4)
