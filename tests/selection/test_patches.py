"""Patches of one colour and one orientation, and the seams between them, against sums over pairs of Gaussians."""

from collections import defaultdict

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree
from shared_scenes import blobs
from skimage.color import rgb2lab

from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.selection.patches import Patches, find_patches


def _corner(side: int = 14) -> Gaussians:
    """A floor and a wall of round Gaussians; half of both is light, half is dark; all are more or less opaque."""
    generator = torch.Generator().manual_seed(0)
    floor = torch.cartesian_prod(*(torch.arange(side, dtype=torch.float32),) * 2, torch.zeros(1))
    points = torch.cat([floor, floor[floor[:, 0] > 0][:, [2, 1, 0]]])
    points += 0.02 * torch.rand(len(points), 3, generator=generator)  # so that no distances are equal
    scene = blobs(points, 0.15, 0.9)
    scene.logit_opacities[:] = torch.empty(len(points)).uniform_(-1, 3, generator=generator)
    greys = torch.where(points[:, 1] > side / 2, 0.75, 0.3)
    colors = greys[:, None] + 0.05 * torch.rand(len(points), 3, generator=generator)
    scene.sh_dc[:] = (colors - 0.5) / SH_C0
    return scene


def _seams_by_hand(scene: Gaussians, patches: Patches, things: np.ndarray) -> dict[tuple, tuple[float, float]]:
    """Two patches -> contrast and length of their seam, from the definitions in `patches.py`."""
    points, opacities = scene.means.double().numpy(), scene.opacities.double().numpy()
    lab = rgb2lab((0.5 + SH_C0 * scene.sh_dc).double().numpy()) / 100
    nearest = KDTree(points).query(points, k=40)[1]
    features = []
    for row, near in enumerate(nearest):
        covariance = np.cov(points[near].T, aweights=opacities[near] + 1e-6, ddof=0)
        (least, middle, most), axes = np.linalg.eigh(covariance)
        flatness = np.clip((middle - least) / most, 0, 1)
        orientation = np.outer(axes[:, 0], axes[:, 0]) * flatness
        features.append(np.concatenate([lab[row] / 0.1, orientation.reshape(-1) / 0.5]))
    sums = defaultdict(lambda: [np.zeros(12), 0.0, 0.0])
    for one, other in {tuple(sorted((row, int(near)))) for row, some in enumerate(nearest) for near in some[1:11]}:
        first, second = patches.of[one], patches.of[other]
        if first == second:
            continue
        share = (opacities[one] * opacities[other]) ** 0.5
        gap = max(0.0, np.linalg.norm(points[one] - points[other]) / (2.5 * (0.15 + 0.15)) - 1)
        seam = sums[min(first, second), max(first, second)]
        seam[0] += share * (features[one] - features[other]) * (1 if first < second else -1)
        seam[1] += share * (gap + 2.0 * (things[one] != things[other]))
        seam[2] += share
    return {
        ends: ((np.linalg.norm(jump) + apart) / length, length) for ends, (jump, apart, length) in sorted(sums.items())
    }


@pytest.mark.parametrize("known", [False, True], ids=["things unknown", "things known"])
def test_seams_are_what_pairs_of_neighbours_on_both_sides_sum_up_to(known):
    scene = _corner()
    things = (scene.means[:, 1] > 4).long() - 1 if known else torch.zeros(len(scene), dtype=torch.long)
    patches = find_patches(scene, things if known else None)
    expected = _seams_by_hand(scene, patches, things.numpy())
    assert 3 < len(patches.sizes) < len(scene) / 10
    assert [tuple(ends) for ends in patches.ends.tolist()] == list(expected)
    contrasts, lengths = zip(*expected.values())
    np.testing.assert_allclose(patches.contrasts, contrasts, rtol=1e-3)
    np.testing.assert_allclose(patches.lengths, lengths, rtol=1e-4)


def test_a_patch_is_the_mean_of_its_gaussians_weighted_by_their_opacities():
    scene = _corner()
    patches, opacities = find_patches(scene), scene.opacities.double().numpy()
    lab = rgb2lab((0.5 + SH_C0 * scene.sh_dc).double().numpy()) / 100
    for number in range(len(patches.sizes)):
        rows = patches.of == number
        assert patches.sizes[number] == pytest.approx(opacities[rows].sum())
        middle = np.average(scene.means.double().numpy()[rows], axis=0, weights=opacities[rows])
        assert patches.means[number] == pytest.approx(middle)
        assert patches.colors[number] == pytest.approx(np.average(lab[rows], axis=0, weights=opacities[rows]), abs=1e-3)


def test_light_and_dark_and_two_things_are_never_one_patch():
    scene = _corner()
    light, things = scene.sh_dc[:, 0] > 0, (scene.means[:, 1] > 4).long() - 1
    for of, parts in ((find_patches(scene).of, light), (find_patches(scene, things).of, things)):
        for number in np.unique(of):
            assert len(parts[torch.from_numpy(of == number)].unique()) == 1
