"""Panoramas and fisheye pictures are rendered as such, or refused in words; never taken for pinholes."""

from __future__ import annotations

import math

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.scene_box import SceneBox

from fasttext2style.plugin.host.model import SceneModel, SceneModelConfig
from fasttext2style.scene.gaussians import SH_C0, Gaussians

PLACES = {"ahead": (0.0, 0.0, -3.0), "right": (3.0, 0.0, 0.0), "behind": (0.0, 0.0, 3.0), "above": (0.0, 3.0, 0.0)}
COLORS = {"ahead": (1.0, 0, 0), "right": (0, 1.0, 0), "behind": (0, 0, 1.0), "above": (1.0, 1.0, 0)}


def _model(places: list[tuple[float, float, float]], colors: list[tuple[float, float, float]]) -> SceneModel:
    """Balls, of which each has its own colour."""
    config = SceneModelConfig(num_random=4, background_color="black", sh_degree=0)
    model = SceneModel(config, scene_box=SceneBox(torch.tensor([[-1.0] * 3, [1.0] * 3])), num_train_data=1)
    scene = Gaussians(
        means=torch.tensor(places),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(len(places), 1),
        log_scales=torch.full((len(places), 3), math.log(0.15)),
        logit_opacities=torch.full((len(places),), 6.0),
        sh_dc=(torch.tensor(colors) - 0.5) / SH_C0,
        sh_rest=torch.zeros(len(places), 0, 3),
    )
    model.load_gaussians(scene)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    """Four balls around the origin."""
    return _model(list(PLACES.values()), list(COLORS.values()))


def _camera(lens: CameraType, width: int, height: int, fx: float, fy: float) -> Cameras:
    """At the origin, looking along -z with y up."""
    pose = torch.eye(4)[None, :3]
    return Cameras(pose, fx, fy, width / 2, height / 2, width, height, camera_type=lens)


def _middle_of(picture: torch.Tensor, color: tuple[float, float, float]) -> tuple[float, float]:
    """Column and row around which this colour lies, in pixels."""
    wanted = torch.tensor(color)
    likeness = (picture * wanted).sum(-1) / wanted.sum() - (picture * (1 - wanted)).sum(-1)
    weights = likeness.clamp_min(0) ** 2
    rows, columns = torch.meshgrid(*(torch.arange(side) + 0.5 for side in picture.shape[:2]), indexing="ij")
    return float((weights * columns).sum() / weights.sum()), float((weights * rows).sum() / weights.sum())


def test_a_panorama_shows_what_lies_all_around(model):
    """nerfstudio's panorama: -z in its middle, +x a quarter of the width further, 90 degrees up at the upper edge."""
    camera = _camera(CameraType.EQUIRECTANGULAR, 160, 80, 80.0, 80.0)
    rgb = model.get_outputs_for_camera(camera)["rgb"]
    assert rgb.shape == (80, 160, 3)
    assert _middle_of(rgb, COLORS["ahead"]) == pytest.approx((80, 40), abs=1)
    assert _middle_of(rgb, COLORS["right"]) == pytest.approx((120, 40), abs=1)
    assert float(rgb[40, 0, 2]) > 0.5 and float(rgb[40, 159, 2]) > 0.5, "behind: both edges"
    assert float(rgb[:3, :, 0].mean()) > 0.5 and float(rgb[-3:].mean()) < 0.05, "above fills the upper edge"


def test_a_fisheye_sees_more_than_a_pinhole_can(model):
    """Equidistant: what is 90 degrees to the right lies focal times pi / 2 pixels from the middle."""
    focal = 30.0
    outputs = model.get_outputs_for_camera(_camera(CameraType.FISHEYE, 120, 120, focal, focal))
    assert _middle_of(outputs["rgb"], COLORS["ahead"]) == pytest.approx((60, 60), abs=1)
    assert _middle_of(outputs["rgb"], COLORS["right"]) == pytest.approx((60 + focal * math.pi / 2, 60), abs=1.5)
    assert outputs["selection"].shape == outputs["before"].shape == (120, 120, 3)
    # Along the ray, whichever face it lies on: all balls are 3 away.
    column = round(60 + focal * math.pi / 2)
    assert float(outputs["depth"][60, column]) == pytest.approx(3.0, abs=0.2)


def test_what_is_half_seen_is_not_torn_where_two_faces_meet(model):
    """A ball between two faces looks like one in the middle of a face, turned by 45 degrees."""
    turned = torch.eye(4)
    turned[:3, :3] = torch.tensor([[1, 0, 1], [0, math.sqrt(2), 0], [-1, 0, 1]]) / math.sqrt(2)
    straight = _camera(CameraType.EQUIRECTANGULAR, 320, 160, 160.0, 160.0)
    rotated = Cameras(turned[None, :3], 160.0, 160.0, 160.0, 80.0, 320, 160, camera_type=CameraType.EQUIRECTANGULAR)
    both = [model.get_outputs_for_camera(camera)["rgb"][60:100] for camera in (straight, rotated)]
    shift = [round(_middle_of(rgb, COLORS["ahead"])[0]) for rgb in both]
    assert abs(abs(shift[0] - shift[1]) - 40) <= 1, "45 degrees of 320 pixels"
    parts = [rgb[:, middle - 15 : middle + 15] for rgb, middle in zip(both, shift)]
    assert float((parts[0] - parts[1]).abs().mean()) < 0.02


@pytest.mark.parametrize("degrees", [0, 20, 40, 45])
@pytest.mark.parametrize("lens", [CameraType.EQUIRECTANGULAR, CameraType.FISHEYE])
def test_depth_is_measured_along_the_ray_wherever_it_meets_a_face(lens, degrees):
    """A ball 3 away, ahead and up to the edge of a face, where its depth along the face's axis would be 2.1."""
    angle = math.radians(degrees)
    place = (3 * math.sin(angle), 0.0, -3 * math.cos(angle))
    width, focal = (320, 160.0) if lens is CameraType.EQUIRECTANGULAR else (160, 50.0)
    camera = Cameras(torch.eye(4)[None, :3], focal, focal, width / 2, 80.0, width, 160, camera_type=lens)
    outputs = _model([place], [COLORS["ahead"]]).get_outputs_for_camera(camera)
    column, row = (int(place) for place in _middle_of(outputs["rgb"], COLORS["ahead"]))
    pixels_per_radian = width / (2 * math.pi) if lens is CameraType.EQUIRECTANGULAR else focal
    assert column - width / 2 == pytest.approx(angle * pixels_per_radian, abs=2)
    assert float(outputs["depth"][row, column]) == pytest.approx(3.0, abs=0.1)


def test_a_pose_of_whole_numbers_is_one(model):
    """JSON that was written by hand has 1 for 1.0."""
    camera = _camera(CameraType.EQUIRECTANGULAR, 160, 80, 80.0, 80.0)
    expected = model.get_outputs_for_camera(camera)["rgb"]
    camera.camera_to_worlds = camera.camera_to_worlds.long()
    assert torch.equal(model.get_outputs_for_camera(camera)["rgb"], expected)


def test_a_page_that_looks_from_nowhere_ends_no_viewer(model):
    """Pages tell of such a camera before they have one; what is raised would end the viewer's thread for good."""
    camera = _camera(CameraType.PERSPECTIVE, 32, 32, 30.0, 30.0)
    camera.camera_to_worlds[0, :, :3] = math.nan
    assert model.get_outputs_for_camera(camera)["rgb"].shape == (32, 32, 3)


@pytest.mark.parametrize("lens", [CameraType.OMNIDIRECTIONALSTEREO_L, CameraType.VR180_L, CameraType.ORTHOPHOTO])
def test_what_cannot_be_rendered_is_said(model, lens, capsys):
    with pytest.raises(SystemExit):
        model.get_outputs_for_camera(_camera(lens, 64, 32, 32.0, 32.0))
    said = capsys.readouterr().out
    assert f"Error: Cameras of type {lens.name} cannot be rendered here" in said and "EQUIRECTANGULAR" in said
