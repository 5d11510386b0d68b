"""The object is found automatically: in the demo scene, in real captures, wherever the world's axes point."""

import json
from functools import cache

import pytest
import torch
from PIL import Image
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from shared_scenes import ball, blobs, disc, held_out_iou, moved, orbit, toy

from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection.automatic import select_automatic


@cache
def found(clutter):
    scene = toy(clutter)
    return select_automatic(scene.gaussians, scene.train_cameras)


@pytest.mark.parametrize(
    "clutter", [pytest.param(0, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.slow), 2]
)
def test_the_statue_is_found_whatever_stands_around_it(clutter):
    scene, selection = toy(clutter), found(clutter)
    assert held_out_iou(scene, selection.weights) > 0.97
    assert selection.check_usable() is None
    assert selection.origin == "found automatically in 24 views"


def test_the_worlds_axes_units_and_the_order_of_gaussians_do_not_matter():
    scene = toy(1)
    order = torch.randperm(len(scene.gaussians))
    turn = Rotation.random(random_state=3).as_matrix()
    there = moved(scene.gaussians.subset(order), scene.train_cameras, turn, 0.13, torch.tensor([5.0, -2.0, 1.0]))
    before = found(1).weights[order]
    after = select_automatic(*there).weights
    assert (before != after).float().mean() < 0.01
    assert after.sum() > 10_000


def test_a_ball_on_a_table_on_a_floor_is_freed_of_both():
    floor, table, thing = disc(3, 0, 4000), disc(0.8, 0.7, 2500), ball(0.25, 0.97, 1200)
    scene = blobs(torch.cat([floor, table, thing]))
    weights = select_automatic(scene, orbit(0.97)).weights
    assert weights[:6500].mean() < 0.02
    # What no view sees, the lowest part near the table, need not be found.
    assert weights[6500:].mean() > 0.85


def test_a_thing_in_the_air_needs_no_ground():
    thing, far = ball(0.3, 0.0, 800), ball(30.0, 0.0, 2000)
    weights = select_automatic(blobs(torch.cat([thing, far])), orbit(0.0)).weights
    assert weights[:800].mean() > 0.95
    assert weights[800:].sum() == 0


def test_a_body_with_a_level_back_keeps_its_legs():
    """A long level back above a base, with a small head on top: the back is no table."""
    back = torch.rand(3000, 3) * torch.tensor([1.2, 0.25, 0.02]) + torch.tensor([-0.9, -0.12, 0.65])
    base, head = ball(0.2, 0.2, 1200) * torch.tensor([1.0, 1.0, 1.6]), ball(0.1, 0.74, 500) + torch.tensor([0.2, 0, 0])
    scene = blobs(torch.cat([disc(3, 0, 4000), back, base, head]))
    weights = select_automatic(scene, orbit(0.5)).weights
    assert weights[:4000].mean() < 0.05
    for part in (weights[4000:7000], weights[7000:8200][base[:, 2] > 0.15], weights[8200:]):
        assert part.mean() > 0.85


def test_shoulders_are_no_ground_under_a_head():
    """They go on to its left and right alone."""
    shoulders = torch.rand(3000, 3) * torch.tensor([0.34, 1.2, 0.04]) - torch.tensor([0.17, 0.6, 0.0])
    scene = blobs(torch.cat([shoulders, ball(0.15, 0.19, 900)]))
    front = Cameras.concatenated(
        [
            Cameras.orbit((0, 0, 0.1), 1.6, 1, 96, 96, elevation_degrees=25.0, start_degrees=float(a))
            for a in range(-60, 61, 12)
        ]
    )
    weights = select_automatic(scene, front).weights
    assert weights[:3000].mean() > 0.8 and weights[3000:].mean() > 0.8


def test_what_cannot_be_found_is_said():
    scene = blobs(ball(0.3, 0.0, 100))
    with pytest.raises(ValueError, match="at least 3 views, got 2"):
        select_automatic(scene, orbit(0.0)[:2])
    with pytest.raises(ValueError, match="Nothing solid where the cameras look"):
        select_automatic(blobs(ball(0.3, 50.0, 100)), orbit(0.0))


def capture(folder) -> tuple[torch.Tensor, Cameras]:
    """Points and cameras of a nerfstudio dataset in its own coordinates, at a quarter of the size."""
    lines = (folder / "sparse_pc.ply").read_text().split("end_header\n")[1].splitlines()
    points = torch.tensor([[float(number) for number in line.split()[:3]] for line in lines])
    meta = json.loads((folder / "transforms.json").read_text())
    frames = sorted(meta["frames"], key=lambda frame: frame["file_path"])
    width, height = Image.open(folder / frames[0]["file_path"]).size
    poses = torch.tensor([frame["transform_matrix"] for frame in frames])[:, :3]
    intrinsics = [meta[name] for name in ("fl_x", "fl_y", "cx", "cy")]
    return points, Cameras.from_opengl(poses, *intrinsics, width, height).resized(width // 4, height // 4)


# Corners of the statues with their slab or stump, read off the point clouds by eye.
STATUES = {"bear": ((0.15, -1.3, -2.9), (2.4, 2.25, -0.58)), "dinosaur": ((-1.8, 0.0, -1.75), (1.0, 3.0, 0.6))}


@pytest.mark.parametrize("name", STATUES)
def test_statues_are_found_in_real_captures_before_they_are_reconstructed(shared_data, name):
    """Sparse points as small Gaussians: holes, noise, and no colour; the reconstruction is easier."""
    points, cameras = capture(shared_data / "captures" / name)
    spacing = torch.from_numpy(KDTree(points.numpy()).query(points.numpy(), k=4)[0][:, 1:].mean(axis=1)).float()
    # Lonely far points would be balloons.
    weights = select_automatic(blobs(points, spacing.clamp(1e-3, 0.05)[:, None]), cameras).weights
    chosen, (lower, upper) = points[weights > 0], map(torch.tensor, STATUES[name])
    inside = ((chosen > lower) & (chosen < upper)).all(dim=1)
    assert inside.float().mean() > 0.97
    # And all of it: the selection reaches to every side.
    extent = torch.quantile(chosen, 0.99, dim=0) - torch.quantile(chosen, 0.01, dim=0)
    assert (extent > 0.75 * (upper - lower)).all()
