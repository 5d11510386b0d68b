"""What is missing when an object is taken away, on a scene of which everything is known."""

import pytest
import torch

from fasttext2style.rounds.gaussian_subject import Capture, GaussianSubject
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.modes import MODES
from fasttext2style.rounds.removal import fill_seeds, hole_masks
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import rasterize
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.toy.scene import toy_scene
from tests.rounds.balls import ball_subject


@pytest.fixture(scope="module")
def scene():
    return toy_scene(width=64, height=64, train_views=12)


@pytest.fixture(scope="module")
def holes(scene):
    return hole_masks(scene.gaussians, scene.object_weights, scene.train_cameras)


def test_the_hole_is_where_the_slab_stands(scene, holes):
    """Against the deck under the slab, known from where the scene was built: what no camera can have seen."""
    cameras, statue = scene.train_cameras, scene.gaussians.subset(scene.object_weights > 0).means
    foot = statue[statue[:, 2] < 0.05][:, :2]
    low, high = foot.amin(dim=0), foot.amax(dim=0)
    rest = scene.gaussians.subset(scene.object_weights == 0)
    under = ((rest.means[:, :2] > low) & (rest.means[:, :2] < high)).all(dim=1) & (rest.means[:, 2].abs() < 0.1)
    expected, _, _ = rasterize(
        rest.means,
        rest.quats,
        rest.scales,
        rest.opacities,
        under.float()[:, None],
        cameras.viewmats,
        cameras.Ks,
        64,
        64,
    )
    holes = holes.float() / 255
    assert torch.minimum(holes, expected).sum() / torch.maximum(holes, expected).sum() > 0.75
    # Where the bear stood before the trees there is none: other views saw them.
    assert holes.mean() < 0.5 * scene.masks(cameras).mean()


def test_where_nothing_is_missing_nothing_is_painted(scene):
    """A twin of each Gaussian stands beside the object: taken away, it leaves the scene as it was."""
    both = Gaussians.concatenated([scene.gaussians, scene.gaussians.subset(scene.object_weights > 0)])
    weights = torch.cat([scene.object_weights, torch.zeros(len(both) - len(scene.gaussians))])
    cameras = scene.train_cameras
    photographs = torch.zeros(len(cameras), 64, 64, 3, dtype=torch.uint8)
    edit, capture = EditableObject(both, Selection(weights, "statue")), Capture(cameras, photographs, torch.zeros(3))
    with pytest.raises(ValueError, match=r"leaves no hole .* ft2s export RUN --what rest"):
        GaussianSubject(edit, capture, MODES["remove"], LossConfig()).views()


def test_only_what_stands_in_the_hole_can_fill_it(scene, holes):
    statue = scene.gaussians.subset(scene.object_weights > 0)
    seeds = fill_seeds(statue, scene.train_cameras, holes)
    assert statue.means[seeds, 2].mean() < 0.2 < statue.means[~seeds, 2].mean()
    with pytest.raises(ValueError, match="nothing to fill it with"):
        fill_seeds(statue, scene.train_cameras, torch.zeros_like(holes))


def test_nothing_is_left_when_everything_is_to_be_removed():
    with pytest.raises(ValueError, match="whole scene is selected"):
        ball_subject(selection=Selection.everything(300), mode="remove")
