"""The capture's point cloud reaches the reconstruction as nerfstudio's own data parser would hand it over."""

import json
from copy import deepcopy

import pytest
import torch
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.dataparsers.instant_ngp_dataparser import InstantNGPDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import Nerfstudio, NerfstudioDataParserConfig

from fasttext2style.plugin.host.capture import Capture, read_capture
from fasttext2style.plugin.host.data_parser import SceneDataParser, with_our_parser
from fasttext2style.plugin.host.datamanager import SceneDatamanager
from fasttext2style.plugin.methods import fasttext2style_scene
from tests.plugin.hosts import make_capture


@pytest.fixture
def capture(tmp_path):
    return make_capture(tmp_path / "capture")


def _outputs(capture, **options):
    """What the data manager of a reconstruction reads; `options` are those of `nerfstudio-data`."""
    config = deepcopy(fasttext2style_scene.config.pipeline.datamanager)
    config.dataparser = NerfstudioDataParserConfig(data=capture, load_3D_points=True, **options)
    manager = SceneDatamanager(config)
    assert config.dataparser._target is Nerfstudio, "a config.yml names nerfstudio's class"
    return manager.train_dataparser_outputs


def _rewrite(capture, lines, *points):
    """With each point so often that the cloud is no accident."""
    (capture / "points.ply").write_text("\n".join([*lines, *points * 16]) + "\n")


HEADER = ["ply", "format ascii 1.0", "element vertex 32", "property double x", "property double y", "property double z"]
COLORS = ["property uchar red", "property uchar green", "property uchar blue"]


def test_points_and_colours_in_world_coordinates(capture):
    _rewrite(capture, [*HEADER, *COLORS, "end_header"], "0.5 -1 2 0 128 255", "3 4 5.25 1 2 3")
    metadata = _outputs(capture, orientation_method="none", center_method="none", auto_scale_poses=False).metadata
    torch.testing.assert_close(metadata["points3D_xyz"][:2], torch.tensor([[0.5, -1.0, 2.0], [3.0, 4.0, 5.25]]))
    assert metadata["points3D_rgb"][:2].tolist() == [[0, 128, 255], [1, 2, 3]]
    assert metadata["points3D_rgb"].dtype == torch.uint8


def test_points_turn_with_the_cameras(capture):
    """A point at a camera's place stays at that camera's place, however the poses are turned, centred and scaled."""
    frame = json.loads((capture / "transforms.json").read_text())["frames"]
    places = [[row[3] for row in frame[view]["transform_matrix"][:3]] for view in (1, 2)]
    _rewrite(capture, [*HEADER, "end_header"], *(" ".join(map(str, place)) for place in places))
    outputs = _outputs(capture, orientation_method="up", center_method="focus", scale_factor=3.0)
    names = [path.name for path in outputs.image_filenames]
    cameras = outputs.cameras.camera_to_worlds[[names.index(f"frame_{view:02d}.png") for view in (1, 2)], :, 3]
    assert not torch.allclose(cameras, torch.tensor(places), atol=0.1), "the poses have moved"
    torch.testing.assert_close(outputs.metadata["points3D_xyz"][:2], cameras, atol=1e-5, rtol=0)


def test_points_without_colours_have_an_empty_table(capture):
    _rewrite(capture, [*HEADER, "end_header"], "0 0 0", "1 1 1")
    metadata = _outputs(capture).metadata
    assert metadata["points3D_xyz"].shape == (32, 3) and metadata["points3D_rgb"].shape == (0, 3)


@pytest.mark.parametrize("count", [0, 1])
def test_without_a_cloud_worth_the_name_points_are_drawn_where_the_cameras_look(capture, count):
    """Wherever that is: the capture is moved and scaled, and nearly all points lie in some view."""
    meta = json.loads((capture / "transforms.json").read_text())
    for frame in meta["frames"]:
        for row, shift in zip(frame["transform_matrix"], (700.0, -300.0, 50.0)):
            row[3] = 100 * row[3] + shift
    (capture / "transforms.json").write_text(json.dumps(meta))
    _rewrite(capture, [*(line.replace("vertex 32", f"vertex {count}") for line in HEADER), "end_header"], "0 0 0")
    outputs = _outputs(capture, orientation_method="none", center_method="none", auto_scale_poses=False)
    points = outputs.metadata["points3D_xyz"]
    assert len(points) == len(outputs.metadata["points3D_rgb"]) > 1000
    assert float(Capture(outputs, 48, 48, False).sees(points).float().mean()) > 0.9
    distance = (points - torch.tensor([700.0, -300.0, 50.0])).norm(dim=1).median()
    assert 50 < float(distance) < 1000, "about as far from the ball as the cameras, which are 100 times 3 away"


def test_a_missing_point_cloud_is_named(capture):
    (capture / "points.ply").unlink()
    with pytest.raises(ValueError, match=r"points\.ply is missing.*ply_file_path"):
        _outputs(capture)


def test_poses_of_another_convention_are_refused_with_the_cure(capture):
    """OpenCV's axes, and whatever the parser would make of them; the capture as it is passes in the other tests."""
    meta = json.loads((capture / "transforms.json").read_text())
    for frame in meta["frames"]:
        for row in frame["transform_matrix"]:
            row[1:3] = [-row[1], -row[2]]
    (capture / "transforms.json").write_text(json.dumps(meta))
    with pytest.raises(ValueError, match=r"do not look at its points, .*points\.ply: 0% .*100% would .*OpenCV.*signs"):
        _outputs(capture)


def test_only_nerfstudios_own_format_is_read_anew():
    assert with_our_parser(NerfstudioDataParserConfig())._target is SceneDataParser
    blender = BlenderDataParserConfig()
    assert with_our_parser(blender) is blender


def _read_by(capture, parser):
    config = deepcopy(fasttext2style_scene.config.pipeline.datamanager)
    config.data, config.dataparser = capture, parser
    return read_capture(config, "cpu", reconstructs=False)


def test_a_file_that_another_parser_looks_for_is_named(capture):
    with pytest.raises(ValueError, match=r"it looks for .*transforms_train\.json \(No such file.*`nerfstudio-data`"):
        _read_by(capture, BlenderDataParserConfig())


def test_a_single_held_out_photograph_of_another_parser_is_refused_in_words(capture):
    """Of ten photographs instant-ngp's parser holds out one, of whose list numpy makes a number: no camera is left."""
    with pytest.raises(
        ValueError, match=r"InstantNGP, .* no camera of the only photograph for evaluation.*--eval-mode"
    ):
        _read_by(capture, InstantNGPDataParserConfig())
    assert len(_read_by(capture, InstantNGPDataParserConfig(train_split_fraction=0.7)).photographs) == 7


def test_points_of_colmap_that_are_cut_short_are_named(capture):
    meta = json.loads((capture / "transforms.json").read_text())
    del meta["ply_file_path"]
    (capture / "transforms.json").write_text(json.dumps(meta))
    (capture / "colmap" / "sparse" / "0").mkdir(parents=True)
    (capture / "colmap" / "sparse" / "0" / "points3D.bin").write_bytes(bytes([40, 0, 0, 0, 0, 0, 0, 0, 1, 2]))
    with pytest.raises(ValueError, match=r"points of COLMAP, .*points3D\.bin, cannot be read .*Copy it again"):
        _outputs(capture)
