"""What training, rounds and masks see of a capture is one thing: its pictures, cameras and masks agree."""

from __future__ import annotations

import json
import struct
from copy import deepcopy

import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import CameraType
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import Image

from fasttext2style.plugin.host.datamanager import SceneDatamanager, SceneDatamanagerConfig
from fasttext2style.plugin.host.errors import host_in_words
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.scene.files.ply import read_ply, write_ply
from fasttext2style.selection.choice import ObjectChoice
from tests.captures.small import FOCAL, HEIGHT, VIEWS, WIDTH, noise, small_capture, write
from tests.plugin.hosts import ball_on_floor, make_capture, scene_config, style_config, train

RAW = {"orientation_method": "none", "center_method": "none", "auto_scale_poses": False, "eval_mode": "all"}


def _manager(folder, longest=0, **options) -> SceneDatamanager:
    parser = NerfstudioDataParserConfig(data=folder, **RAW)
    return SceneDatamanager(SceneDatamanagerConfig(dataparser=parser, max_image_size=longest, **options))


@pytest.mark.parametrize("longest", [282, 321, 397, 417, 490, 999])
def test_photographs_of_any_size_are_as_large_as_their_cameras(tmp_path, longest):
    """nerfstudio stops where its two computations of a size differ: at 256 pixels for a quarter of these numbers."""
    meta = small_capture(tmp_path / "capture", views=1)
    noise(0, longest, longest - 100).save(tmp_path / "capture" / "images" / "00.png")
    meta |= {"w": longest, "h": longest - 100, "fl_x": 300.0, "fl_y": 300.0, "cx": longest / 2, "cy": longest / 3}
    write(tmp_path / "capture", meta)
    manager = _manager(tmp_path / "capture")
    image, cameras = manager.cached_train[0]["image"], manager.cameras("train")
    assert image.shape[1] == cameras.width == 256 and image.shape[0] == cameras.height
    # The middle of the lens stays at its place in the picture.
    assert float(cameras.Ks[0, 0, 2]) / cameras.width == pytest.approx(0.5)
    assert float(cameras.Ks[0, 1, 2]) / cameras.height == pytest.approx(longest / 3 / (longest - 100))


def test_what_is_transparent_has_the_background_wherever_it_is_looked_at(tmp_path):
    """A quarter of each photograph is a hole, and what stands behind its alpha 0 is white: it must not show."""
    meta = small_capture(tmp_path / "capture")
    for view, frame in enumerate(meta["frames"]):
        pixels = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
        pixels[..., :3][HEIGHT // 2 :] = np.asarray(noise(view))[HEIGHT // 2 :]
        pixels[: HEIGHT // 2, : WIDTH // 2, 3] = 0
        Image.fromarray(pixels).save(tmp_path / "capture" / frame["file_path"])
    manager = _manager(tmp_path / "capture", cache_images_type="uint8")
    hole = (slice(0, HEIGHT // 2), slice(0, WIDTH // 2))
    assert (manager.photographs()[(slice(None), *hole)] == 0).all()
    red = manager.photographs(background=(1.0, 0.0, 0.0))
    assert (red[(slice(None), *hole)] == torch.tensor([255, 0, 0])).all()
    shown = manager.train_dataset[0]["image"]
    assert shown.shape == (HEIGHT, WIDTH, 3) and bool((shown[hole] == 0).all())
    # Training composites by itself, for its background may be another one in each step.
    assert manager.cached_train[0]["image"].shape[-1] == 4
    assert (manager.photographs()[0, HEIGHT // 2 :].numpy() == np.asarray(noise(0))[HEIGHT // 2 :]).all()


def test_palettes_grey_and_16_bits_are_trained_on_as_they_look(tmp_path):
    meta = small_capture(tmp_path / "capture", views=4)
    colors = noise(1).quantize(200)
    grey = np.asarray(noise(1).convert("L"))
    pictures = [
        (colors, np.asarray(colors.convert("RGB"))),
        (noise(1).convert("L"), grey[..., None].repeat(3, axis=2)),
        (Image.fromarray(grey.astype(np.uint16) * 257), grey[..., None].repeat(3, axis=2)),
        (noise(1).convert("1"), np.asarray(noise(1).convert("1"))[..., None].repeat(3, axis=2) * 255),
    ]
    for frame, (picture, _) in zip(meta["frames"], pictures):
        picture.save(tmp_path / "capture" / frame["file_path"])
    photographs = _manager(tmp_path / "capture").photographs().numpy()
    for photograph, (_, looks) in zip(photographs, pictures):
        assert (photograph == looks).all()


def test_portraits_among_landscapes_have_masks_framed_as_the_views(tmp_path):
    """Four lie, two stand: the frame is that of those that lie, what a portrait does not show is no object."""
    meta = small_capture(tmp_path / "capture")
    (tmp_path / "masks").mkdir()
    for key in ("w", "h"):
        del meta[key]
    for view, frame in enumerate(meta["frames"]):
        size = (HEIGHT, WIDTH) if view >= 4 else (WIDTH, HEIGHT)
        noise(view, *size).save(tmp_path / "capture" / frame["file_path"])
        Image.new("L", size, 255).save(tmp_path / "masks" / f"{view:02d}.png")
    write(tmp_path / "capture", meta)
    manager = _manager(tmp_path / "capture", object_masks=tmp_path / "masks")
    masks, photographs = manager.masks(), manager.photographs()
    assert masks is not None and masks.shape == photographs.shape[:3] == (VIEWS, HEIGHT, WIDTH)
    assert bool((masks[:4] == 1).all())
    assert bool((masks[4:, :, :HEIGHT] == 1).all() and (masks[4:, :, HEIGHT:] == 0).all())


@pytest.mark.parametrize("k1", [0.0, 0.05])
def test_fisheye_pictures_are_undistorted_also_without_distortion(tmp_path, k1):
    """An ideal fisheye is no pinhole, which nerfstudio by itself takes it for."""
    meta = small_capture(tmp_path / "capture") | {"camera_model": "OPENCV_FISHEYE", "k1": k1}
    write(tmp_path / "capture", meta)
    manager = _manager(tmp_path / "capture")
    stored = np.asarray(noise(0))
    assert float(np.abs(manager.photographs()[0].numpy().astype(float) - stored).mean()) > 1
    assert abs(float(manager.cameras("train").Ks[0, 0, 0]) - FOCAL) > 1e-3
    # And once they are, they are no fisheye pictures any more.
    assert set(manager.train_cameras.camera_type.flatten().tolist()) == {CameraType.PERSPECTIVE.value}


def test_points_that_colmap_left_beside_an_old_capture_are_taken(tmp_path):
    """Without a question, without a file: turned as ns-process-data turned COLMAP's coordinates in those days."""
    meta = small_capture(tmp_path / "capture")
    write(tmp_path / "capture", meta)
    (tmp_path / "capture" / "colmap" / "sparse" / "0").mkdir(parents=True)
    entries = [struct.pack("<Q3d3BdQ", number, 1.0, 2.0, 3.0 + number, 7, 8, 9, 0.1, 0) for number in range(40)]
    (tmp_path / "capture" / "colmap/sparse/0/points3D.bin").write_bytes(struct.pack("<Q", 40) + b"".join(entries))
    before = sorted((tmp_path / "capture").rglob("*"))
    config = SceneDatamanagerConfig(
        dataparser=NerfstudioDataParserConfig(data=tmp_path / "capture", load_3D_points=True, **RAW)
    )
    metadata = SceneDatamanager(config).train_dataparser_outputs.metadata
    assert metadata["points3D_xyz"][0].tolist() == [2.0, 1.0, -3.0] and len(metadata["points3D_xyz"]) == 40
    assert metadata["points3D_rgb"][0].tolist() == [7, 8, 9]
    assert sorted((tmp_path / "capture").rglob("*")) == before


def test_rows_that_are_no_gaussians_are_left_out_on_request(tmp_path):
    """What is left is a file of the run, with which its report compares."""
    scene, capture = ball_on_floor(), make_capture(tmp_path / "capture")
    scene.means[[3, 299], 1] = float("nan")
    write_ply(tmp_path / "scene.ply", scene)
    config = style_config(capture, tmp_path / "out", steps=2)
    config.load_ply, config.drop_invalid = tmp_path / "scene.ply", True
    config.pipeline.object = ObjectChoice(by="sphere", radius=0.45)
    trainer = train(config)
    folder = trainer.base_dir
    assert len(read_ply(folder / "results" / "styled.ply")) == len(scene) - 2
    assert config.load_ply == folder / "given.ply" and len(SceneOnDisk(config.load_ply)) == len(scene) - 2
    report = json.loads((folder / "results" / "report.json").read_text())
    assert report["outside"]["largest_pixel_change"] == 0


def test_what_the_host_asserts_is_told_in_words_with_its_place():
    said = r"It cannot be done \(AssertionError: too little.*test_captures_in_training\.py, line \d+\)\. Try again"
    with pytest.raises(ValueError, match=said), host_in_words("It cannot be done", "Try again."):
        assert deepcopy(0), "too\nlittle"
    with pytest.raises(ValueError, match=r"^plain$"), host_in_words("It cannot be done", "Try again."):
        raise ValueError("plain")


@pytest.mark.parametrize("has_points", [True, False])
def test_without_points_the_background_of_training_changes_with_the_step_alone(tmp_path, has_points):
    """A resumed run sees the colours that the uninterrupted one saw; what is shown has one colour."""
    capture = make_capture(tmp_path / "capture")
    if not has_points:
        meta = json.loads((capture / "transforms.json").read_text())
        del meta["ply_file_path"]
        write(capture, meta)
    config = scene_config(capture, tmp_path / "outputs", steps=10)
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    model, colors = trainer.pipeline.model.train(), []
    for model.step in (7, 8, 7):
        colors.append(model._get_background_color().tolist())
    assert colors[0] == colors[2] and (colors[0] == colors[1]) == has_points
    assert has_points == (colors[0] == [0.0, 0.0, 0.0])
    hanging = model.strategy.hanging
    assert hanging is None if has_points else hanging is not None and hanging().shape == (model.num_points,)
    assert model.eval()._get_background_color().tolist() == [0.0, 0.0, 0.0]
    with trainer.lock:
        pass
