"""What people gave this project and saw it fail on: written by the scripts of shared/cases, given to ns-train."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nerfstudio.scripts import train as ns_train
from PIL import Image

from fasttext2style.scene.files.ply import read_ply, write_ply
from tests.plugin.hosts import ball_on_floor, make_capture

RAW = ["nerfstudio-data", "--orientation-method", "none", "--center-method", "none", "--auto-scale-poses", "False"]
STYLE = [
    *["fasttext2style", "--prompt", "red", "--encoder", "tiny", "--max-num-iterations", "2", "--vis", "tensorboard"],
    *["--pipeline.video-seconds", "0"],
]
BALL = ["--object", "sphere", "--pipeline.object.radius", "0.45"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The ball under the names of `make demo`."""
    folder = make_capture(tmp_path_factory.mktemp("cases") / "demo")
    meta = json.loads((folder / "transforms.json").read_text())
    for frame in meta["frames"]:
        path = folder / frame["file_path"]
        frame["file_path"] = f"images/train_{path.name}"
        path.rename(folder / frame["file_path"])
    (folder / "transforms.json").write_text(json.dumps(meta))
    (folder / "points.ply").rename(folder / "sparse_pc.ply")
    write_ply(folder / "scene.ply", ball_on_floor())
    return folder


@pytest.fixture()
def made(shared_cases, demo, tmp_path):
    """Writes a case and returns its folder."""

    def make(case: str, *words: str, folder: str = "capture") -> Path:
        script = shared_cases / case / "make.py"
        subprocess.run([sys.executable, str(script), str(demo), str(tmp_path / folder), *words], check=True)
        return tmp_path / folder

    return make


@pytest.fixture()
def start(tmp_path, capsys, monkeypatch):
    """`ns-train ARGUMENTS` in this process: its exit code and what it said; the run that it left, if it did."""

    def run(*arguments: object, output: str = "out") -> tuple[int, str]:
        words = ["ns-train", *map(str, arguments), "--output-dir", str(tmp_path / output), *RAW]
        monkeypatch.setattr(sys, "argv", words)
        monkeypatch.chdir(tmp_path)
        try:
            ns_train.entrypoint()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out

    return run


def _style(start, capture: Path, *more: str) -> tuple[int, str]:
    return start(*STYLE, "--data", capture, "--load-ply", capture / "scene.ply", *(more or BALL))


def _report(folder: Path) -> dict:
    (path,) = folder.rglob("report.json")
    return json.loads(path.read_text())


def _refused(outcome: tuple[int, str], *parts: str) -> None:
    code, said = outcome
    error = said.partition("\nError: ")[2]
    assert code == 1 and len(error.strip().splitlines()) == 1
    assert all(part in error for part in parts), error


def test_brackets_in_paths_are_printed_as_they_are(made, start, tmp_path):
    made("brackets_in_paths")
    capture = tmp_path / "capture [scan]"
    words = [*STYLE[:2], "red [/b] [bold]", *STYLE[3:], "--data", capture, "--load-ply", capture / "scene.ply", *BALL]
    code, said = start(*words, output="out [v2]")
    assert code == 0
    (config,) = (tmp_path / "out [v2]").rglob("config.yml")
    assert said.count(str(config)) >= 2 and "red [/b] [bold]" in said
    assert str(tmp_path / "out " / "capture") not in said


def test_five_photographs_are_styled_and_evaluated(made, start, tmp_path, capsys):
    code, said = _style(start, made("few_photographs"))
    assert code == 0 and "no photograph to hold out" in said and said.count("no photograph to hold out") == 1
    assert _report(tmp_path / "out")["reconstruction"]["held_out_views"] == 5
    from fasttext2style.evaluation.settings import EvaluationSettings
    from fasttext2style.plugin.runs.evaluate import evaluate_run

    (config,) = (tmp_path / "out").rglob("config.yml")
    evaluate_run(config.parent, EvaluationSettings(encoders=("tiny",), max_views=2))
    assert (config.parent / "evaluation" / "evaluation.json").is_file()


def test_masks_that_are_white_to_the_eye_choose_one_object(made, start, tmp_path):
    """Those of `label` worked before: the others are the same rectangle."""
    counts = {}
    for kind in ("label", "rgb", "large", "soft"):
        capture = made("mask_modes", kind, folder=kind)
        masks = ["--pipeline.datamanager.object-masks", str(capture / "object_masks")]
        code, said = start(*STYLE, "--data", capture, "--load-ply", capture / "scene.ply", *masks, output=f"of_{kind}")
        assert code == 0, said
        counts[kind] = _report(tmp_path / f"of_{kind}")["gaussians"]["object"]
    assert counts["rgb"] == counts["large"] == counts["label"] > 0
    # JPEG may move an edge by a pixel of some 30.
    assert abs(counts["soft"] - counts["label"]) < 0.1 * counts["label"]


def test_masks_of_a_rig_lie_in_a_tree_or_are_refused(made, start):
    capture = made("masks_of_a_rig")
    assert _style(start, capture, "--pipeline.datamanager.object-masks", str(capture / "tree"))[0] == 0
    outcome = _style(start, capture, "--pipeline.datamanager.object-masks", str(capture / "only_a"))
    _refused(outcome, "only_a", "could be the mask of", "need folders of these names")


def test_a_capture_is_reconstructed_where_open3d_cannot_be_loaded(made, start, tmp_path, monkeypatch):
    capture = made("no_open3d")
    for name in [name for name in sys.modules if name.split(".")[0] == "open3d"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(capture)
    with pytest.raises(ImportError, match="libusb"):
        import open3d  # noqa: F401
    code, said = start(*STYLE, "--data", capture, "--reconstruction-steps", "10", *BALL)
    assert code == 0 and "random points" not in said


@pytest.mark.parametrize("word", [[], ["flat"]], ids=["infinite logits", "flat Gaussians"])
def test_values_that_are_fine_after_activation_are_taken(made, start, tmp_path, word):
    capture = made("opaque_ply", *word)
    code, said = _style(start, capture)
    assert code == 0, said
    (styled,) = (tmp_path / "out").rglob("styled.ply")
    scene, given = read_ply(styled), ball_on_floor()
    assert len(scene) == len(given)
    if word:
        assert bool((scene.scales[:, 2] < 1e-6).all())
    else:
        assert bool((scene.opacities[::3] > 0.9999).all())
        assert bool((scene.logit_opacities[1::3] == given.logit_opacities[1::3]).all())


def test_photographs_are_turned_by_exif_where_their_size_says_so(made, start):
    capture = made("size_not_as_said")
    code, said = _style(start, capture)
    assert code == 0 and "turned by their EXIF orientation" in said


def test_turned_photographs_are_what_training_sees(made):
    """Upright as a viewer shows them: 64 wide, 96 high."""
    from fasttext2style.plugin.host.datamanager import SceneDatamanager, SceneDatamanagerConfig

    config = SceneDatamanagerConfig(data=made("size_not_as_said"))
    photographs = SceneDatamanager(config).photographs()
    assert photographs.shape[1:] == (96, 64, 3)
    with Image.open(sorted((config.data / "images").iterdir())[0]) as image:
        shown = np.asarray(image.transpose(Image.Transpose.ROTATE_270))
    assert (photographs[0].numpy() == shown).all()


def test_photographs_that_were_resized_later_are_refused(made, start):
    _refused(_style(start, made("size_not_as_said", "shrunk")), "48 x 48", "96 x 96", "images/train_", "by 0.5")


@pytest.mark.parametrize("word", ["angle", "rows3"])
def test_words_of_cameras_that_say_enough_work(made, start, word):
    code, said = _style(start, made("words_of_cameras", word))
    assert code == 0, said


@pytest.mark.parametrize(
    "word, parts",
    {
        "model": ("FULL_OPENCV", "image_undistorter"),
        "sphere": ("EQUIRECTANGULAR", "ns-process-data images"),
        "no_val": ("val_filenames", "take train_filenames out"),
        "absent_val": ("images/gone.png", "Take them out"),
        "few_masks": ("5 of 10 frames", "give all of them one"),
    }.items(),
)
def test_words_of_cameras_that_cannot_be_meant_are_refused(made, start, word, parts):
    _refused(_style(start, made("words_of_cameras", word)), "transforms.json", *parts)


def test_camera_paths_are_rendered_by_their_lens(shared_cases, demo, made, start, tmp_path):
    """Two of the three pictures have another lens, and none is the pinhole's; what cannot be rendered is told."""
    from nerfstudio.scripts.render import RenderCameraPath

    assert _style(start, made("brackets_in_paths") and tmp_path / "capture [scan]")[0] == 0
    (config,) = (tmp_path / "out").rglob("config.yml")
    pictures = {}
    for lens in ("perspective", "equirectangular", "fisheye"):
        path = tmp_path / f"{lens}.json"
        script = shared_cases / "cameras_of_a_path" / "make.py"
        subprocess.run([sys.executable, str(script), str(demo), str(path), lens], check=True)
        folder = tmp_path / "renders" / lens
        render = RenderCameraPath(config, output_path=folder, image_format="png")
        render.camera_path_filename, render.output_format = path, "images"
        render.main()
        with Image.open(folder / "00000.png") as image:
            pictures[lens] = np.asarray(image).astype(float)
    assert all(picture.shape == (96, 192, 3) for picture in pictures.values())
    panorama = pictures["equirectangular"]
    assert np.abs(pictures["perspective"] - panorama).mean() > 2
    assert np.abs(pictures["perspective"] - pictures["fisheye"]).mean() > 2
    # All around: its left edge goes on at its right one.
    assert np.abs(panorama[:, 0] - panorama[:, -1]).mean() < 10
