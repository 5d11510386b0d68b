"""report.json, field by field, beside what others measure: skimage, the clock, the kernel, the files on disk."""

import json
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from fasttext2style.guidance.tiny_encoder import TinyEncoder
from fasttext2style.scene.files.ply import read_ply
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.styling.views import object_views
from tests.plugin.hosts import capture_cameras, make_capture, style_config, train


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """The ball, with masks that hide the left third of each photograph from training; it is spoilt there."""
    folder = make_capture(tmp_path_factory.mktemp("capture"))
    (folder / "looked_at").mkdir()
    meta = json.loads((folder / "transforms.json").read_text())
    for frame in meta["frames"]:
        path = folder / frame["file_path"]
        photograph = np.asarray(Image.open(path)).copy()
        photograph[:, :16] = (255, 0, 255)
        Image.fromarray(photograph).save(path)
        mask = np.full((48, 48), 255, np.uint8)
        mask[:, :16] = 0
        frame["mask_path"] = f"looked_at/{path.name}"
        Image.fromarray(mask).save(folder / frame["mask_path"])
    (folder / "transforms.json").write_text(json.dumps(meta))
    return folder


def _config(capture: Path, output: Path):
    config = style_config(capture, output, prompt="red", steps=3)
    config.pipeline.datamanager.dataparser.train_split_fraction = 0.7
    config.pipeline.object.by = "sphere"
    config.pipeline.object.radius = 0.45
    config.pipeline.seed, config.machine.seed = 7, 11
    return config


@pytest.fixture(scope="module")
def run(capture, tmp_path_factory):
    """The trainer of a run that reconstructed first, its report, and when it began and ended."""
    config = _config(capture, tmp_path_factory.mktemp("runs"))
    began = time.time()
    trainer = train(config)
    return trainer, _report(trainer), (began, time.time())


def _report(trainer) -> dict:
    return json.loads((trainer.base_dir / "results" / "report.json").read_text())


def _base_checkpoint(trainer) -> Path:
    (path,) = (
        trainer.base_dir.parents[1] / "fasttext2style-scene" / trainer.base_dir.name / "nerfstudio_models"
    ).iterdir()
    return path


def _held_out(trainer) -> list[int]:
    """Numbers of the photographs that nothing was trained on."""
    return [int(Path(name).stem[-2:]) for name in trainer.pipeline.datamanager.eval_dataset.image_filenames]


def _psnr_by_skimage(scene: Gaussians, capture: Path, views: list[int]) -> float:
    each = []
    for view in views:
        rendered = render(scene, capture_cameras()[view])[0][0].clamp(0, 1).double().numpy()
        photograph = np.asarray(Image.open(capture / "images" / f"frame_{view:02d}.png")) / 255
        looked_at = np.asarray(Image.open(capture / "looked_at" / f"frame_{view:02d}.png")) > 0
        each.append(peak_signal_noise_ratio(photograph[looked_at], rendered[looked_at], data_range=1.0))
    return float(np.mean(each))


def test_the_held_out_psnr_is_that_of_the_reconstruction_where_training_looks(run, capture):
    trainer, report, _ = run
    views = _held_out(trainer)
    assert len(views) == report["reconstruction"]["held_out_views"] == 3
    saved = torch.load(_base_checkpoint(trainer), weights_only=True)["pipeline"]
    expected = _psnr_by_skimage(Gaussians.from_checkpoint(saved), capture, views)
    assert report["reconstruction"]["held_out_psnr"] == pytest.approx(expected, abs=0.01)


def test_the_time_of_the_reconstruction_is_that_between_its_files(run):
    trainer, report, (began, _) = run
    checkpoint = _base_checkpoint(trainer)
    first, last = (path.stat().st_mtime for path in (checkpoint.parents[1] / "config.yml", checkpoint))
    seconds = report["reconstruction"]["seconds"]
    assert last - first - 0.1 <= seconds == report["seconds"]["reconstruction"]
    # It can have begun no earlier than the run, nor ended later than the styled checkpoint was written.
    (styled,) = trainer.checkpoint_dir.iterdir()
    assert seconds <= styled.stat().st_mtime - began
    assert "not_reconstructed" not in report["reconstruction"]


def test_the_total_time_is_that_of_the_clock_and_holds_all_phases(run):
    _, report, (began, ended) = run
    seconds = dict(report["seconds"])
    total = seconds.pop("total")
    assert seconds.keys() == {
        *("checks", "networks", "reconstruction", "loading", "selection", "preparation", "styling", "results")
    }
    assert sum(seconds.values()) <= total + 0.01 and total <= ended - began
    # What no phase names is small: between set-up and first step, the last checkpoint, and what is imported for them in
    # the first run of a process.
    assert total - sum(seconds.values()) < 0.1 * total + 1.5
    assert total > 0.9 * (ended - began) - 0.5


def test_the_peak_memory_is_what_the_kernel_says(run):
    kilobytes = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert 0.1 < run[1]["peak_memory_gib"]["host"] <= int(kilobytes.split()[1]) / 2**20 + 0.001


def test_the_similarity_is_that_of_the_files(run):
    trainer, report, _ = run
    encoder = TinyEncoder()
    saved = torch.load(next(trainer.checkpoint_dir.iterdir()), weights_only=True)["pipeline"]
    rows = saved["_model.selection"] > 0
    before = Gaussians.from_checkpoint(torch.load(_base_checkpoint(trainer), weights_only=True)["pipeline"]).subset(
        rows
    )
    after = read_ply(trainer.base_dir / "results" / "styled.ply").subset(rows)
    train_views = [view for view in range(10) if view not in _held_out(trainer)]
    views = object_views(before, capture_cameras()[train_views], encoder.resolution, 1.15)
    text = encoder.embed_texts(["red"])
    for name, scene in (("before", before), ("after", after)):
        pictures = render(scene, views, rasterize_mode="antialiased")[0].clamp(0, 1)
        cosines = torch.nn.functional.cosine_similarity(encoder.embed_images(pictures), text)
        assert report["similarity"][name] == pytest.approx(float(cosines.mean()), abs=1e-4), name


def test_seeds_and_versions_are_those_that_ran(run):
    _, report, _ = run
    assert report["seed"] == {"style": 7, "machine": 11}
    for name in ("torch", "nerfstudio", "gsplat", "numba", "fasttext2style"):
        assert report["versions"][name] == version(name)


def test_a_run_that_reconstructs_nothing_says_why_there_is_no_time(run, capture, tmp_path):
    config = _config(capture, tmp_path)
    config.load_dir = _base_checkpoint(run[0]).parent
    report = _report(train(config))
    assert report["reconstruction"]["seconds"] is None and "reconstruction" not in report["seconds"]
    assert str(_base_checkpoint(run[0])) in report["reconstruction"]["not_reconstructed"]
    # The scene that was loaded can be measured all the same.
    assert report["reconstruction"]["held_out_psnr"] == pytest.approx(
        run[1]["reconstruction"]["held_out_psnr"], abs=1e-3
    )
