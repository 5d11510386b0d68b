"""What a reconstruction starts from is said, and is somewhere."""

import numpy as np
import pytest
import torch

from fasttext2style.captures.points import drawn_points, read_cloud
from fasttext2style.scene.cameras import Cameras


def _write(path, points):
    head = f"ply\nformat ascii 1.0\nelement vertex {len(points)}\n"
    head += "".join(f"property double {axis}\n" for axis in "xyz") + "end_header\n"
    path.write_text(head + "".join(" ".join(map(repr, row)) + "\n" for row in points.tolist()))
    return path


def test_points_that_lie_nowhere_are_left_out_and_counted(tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 3))
    points[3, 1], points[7, 0], points[9, 2] = np.nan, np.inf, 1e30
    cloud = read_cloud(_write(tmp_path / "points.ply", points))
    assert len(cloud.points) == 47 and bool(cloud.points.isfinite().all()) and cloud.is_enough
    assert "3 of the 50 points" in cloud.note and "random" not in cloud.note


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_points_are_said_loudly(tmp_path, count):
    cloud = read_cloud(_write(tmp_path / "points.ply", np.zeros((count, 3))))
    assert not cloud.is_enough
    assert f"holds {count} points" in cloud.note and "starts from random points, and will be worse" in cloud.note


def test_a_cloud_of_nothing_but_nan_is_none(tmp_path):
    cloud = read_cloud(_write(tmp_path / "points.ply", np.full((50, 3), np.nan)))
    assert not cloud.is_enough and "50 of the 50" in cloud.note and "random points" in cloud.note


def test_a_missing_cloud_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"points\.ply is missing.*take ply_file_path out"):
        read_cloud(tmp_path / "points.ply")


@pytest.mark.parametrize("scale, shift", [(1.0, 0.0), (1e-3, 5.0), (300.0, -4000.0)])
def test_drawn_points_lie_where_the_cameras_look(scale, shift):
    """Around the middle of an orbit, whatever the unit and the origin are."""
    orbit = Cameras.orbit((0, 0, 0), 2.0, 12, 60, 40)
    centers = scale * orbit.centers + shift
    cameras = Cameras.looking_at(centers, torch.full((3,), shift), 60, 40)
    points, colors = drawn_points(cameras, torch.Generator().manual_seed(0))
    assert len(points) == len(colors) > 1000 and bool(cameras.see(points).all())
    # The cameras are 2 away from the middle.
    assert float((points.mean(dim=0) - shift).norm()) < 1.0 * scale
    assert 0.3 * scale < float((points - shift).norm(dim=1).median()) < 4 * scale


def test_cameras_that_look_outwards_have_points_around_them():
    orbit = Cameras.orbit((0, 0, 0), 1.0, 12, 60, 40, elevation_degrees=0.0)
    outwards = Cameras.looking_at(orbit.centers, 9 * orbit.centers, 60, 40)
    points, _ = drawn_points(outwards, torch.Generator().manual_seed(0))
    assert len(points) > 1000 and bool(outwards.see(points).all())
