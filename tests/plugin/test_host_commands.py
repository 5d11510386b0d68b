"""ns-render, ns-export, ns-eval and ns-viewer on runs of ours: what cannot be is said in a sentence, nothing is lost.

nerfstudio itself shows tracebacks, some of them after the rendering, when what lay in the place of the result is gone.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from fasttext2style.plugin.host import tracebacks
from fasttext2style.plugin.host.host_commands import check_command, named_config, needs_two_views
from tests import forked
from tests.plugin.hosts import make_capture, scene_config, train

REFUSED = {
    "no steps": ("ns-render interpolate --interpolation-steps 0", "--interpolation-steps is 1 or more, got 0"),
    "no frames": ("ns-render interpolate --frame-rate 0", "--frame-rate is 1 or more, got 0"),
    "frames backwards": ("ns-render interpolate --frame_rate -24", "--frame-rate is 1 or more, got -24"),
    "no size": ("ns-render interpolate --downscale-factor 0", "--downscale-factor is more than 0, got 0"),
    "a size of nan": ("ns-render interpolate --downscale-factor nan", "--downscale-factor is more than 0, got nan"),
    "an infinite size": ("ns-render interpolate --downscale-factor -inf", "factor is more than 0, got -inf"),
    "no size of a path": ("ns-render camera-path --downscale-factor 0", "--downscale-factor is more than 0"),
    "a spiral": ("ns-render spiral --seconds 0 --radius nan", "Take ns-render interpolate"),
    "no outputs": ("ns-render interpolate --rendered-output-names", "names no output"),
    "no outputs of a dataset": ("ns-render dataset --rendered-output-names", "names no output"),
    "a film that is clear": ("ns-render interpolate --rendered-output-names rgba", "--output-format images"),
    "jpegs that are clear": ("ns-render dataset --rendered-output-names rgb rgba", "--image-format png"),
    "clear beside others": (
        "ns-render interpolate --output-format images --image-format png --rendered-output-names rgb rgba",
        "and no other name",
    ),
    "a GIF": ("ns-render interpolate --output-path a.gif", "written as .mp4, got --output-path a.gif"),
    "a name without ending": ("ns-render interpolate --output-path film", "written as .mp4, got --output-path film"),
    "a film below a file": ("ns-render interpolate --output-path kept.txt/a.mp4", "cannot be written (File exists)"),
    "a film in a folder's place": ("ns-render interpolate --output-path folder.mp4", "folder.mp4 is a folder"),
    "pictures below a file": (
        "ns-render interpolate --output-format images --output-path kept.txt/a",
        "give another --output-path",
    ),
    "a dataset in a file": ("ns-render dataset --output-path kept.txt", "give another --output-path"),
    "rays for points": ("ns-export pointcloud --output-dir new", "Take ns-export gaussian-splat"),
    "rays for a mesh": ("ns-export poisson --output-dir new", "Take ns-export gaussian-splat"),
    "distances": ("ns-export marching-cubes --output-dir new", "Take ns-export gaussian-splat"),
    "cameras in a file": ("ns-export cameras --output-dir kept.txt", "give another --output-dir"),
    "a scene in a file": ("ns-export gaussian-splat --output-dir kept.txt", "give another --output-dir"),
    "a name with folders": ("ns-export gaussian-splat --output-dir . --output-filename a/b.ply", "without folders"),
    "a folder's name": ("ns-export gaussian-splat --output-dir . --output-filename folder.mp4", "is a folder"),
    "a third of a box": (
        "ns-export gaussian-splat --output-dir . --obb-center -1e-3 0 0",
        "--obb-rotation and --obb-scale missing",
    ),
    "a box of nan": (
        "ns-export gaussian-splat --output-dir . --obb-center nan 0 0 --obb-rotation 0 0 0 --obb-scale 1 1 1",
        "finite numbers",
    ),
    "a flat box": (
        "ns-export gaussian-splat --output-dir . --obb-center 0 0 0 --obb-rotation 0 0 0 --obb-scale 1 0 1",
        "above 0",
    ),
    "numbers as text": ("ns-eval --output-path numbers.txt", "written as .json, got --output-path numbers.txt"),
    "numbers below a file": ("ns-eval --output-path kept.txt/a.json", "cannot be written (File exists)"),
    "pictures in a file": ("ns-eval --render-output-path kept.txt", "give another --render-output-path"),
    "a port": ("ns-viewer --viewer.websocket-port 70000", "from 1 to 65535, got 70000"),
    "a host": ("ns-viewer --viewer.websocket-host 192.0.2.1", "cannot listen at 192.0.2.1"),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to be in, where something is."""
    (tmp_path / "kept.txt").write_text("of yesterday")
    (tmp_path / "folder.mp4").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words, message", REFUSED.values(), ids=REFUSED)
def test_what_nothing_can_come_of_is_refused(place, words, message):
    with pytest.raises(ValueError) as refused:
        check_command([f"/bin/{words.split()[0]}", *words.split()[1:], "--load-config", "config.yml"])
    assert message in str(refused.value)
    assert sorted(path.name for path in place.iterdir()) == ["folder.mp4", "kept.txt"]


@pytest.mark.parametrize(
    "words",
    [
        "ns-render interpolate --pose-source train --output-path new/film.MP4 --downscale-factor 0.5",
        "ns-render interpolate --output-format images --output-path kept.txt --image-format png "
        "--rendered-output-names rgba",
        "ns-render interpolate --camera-idx -1 --colormap-options.colormap turbo --eval-num-rays-per-chunk 9",
        "ns-render dataset --output-path new/below --split train+test --image-format png "
        "--rendered-output-names rgb rgba",
        "ns-export gaussian-splat --output-dir new --obb-center -1e-3 0 -2 --obb-rotation 0 0 0 --obb-scale 1 1 1",
        "ns-export tsdf --output-dir new",
        "ns-export cameras --output_dir=new",
        "ns-eval --render-output-path new",
        "ns-viewer --viewer.websocket-host 127.0.0.1",
        "ns-train fasttext2style --output-path a.gif",
    ],
)
def test_what_can_be_done_is_left_alone(place, words):
    check_command(words.split())
    assert sorted(path.name for path in place.iterdir()) == ["folder.mp4", "kept.txt"]


def test_going_between_held_out_views_takes_two():
    assert needs_two_views(["ns-render", "interpolate"])
    assert not needs_two_views(["ns-render", "interpolate", "--pose-source", "train"])
    assert not needs_two_views(["ns-render", "dataset"]) and not needs_two_views(["ns-eval"])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of ten steps on ten views, one of them held out."""
    folder = tmp_path_factory.mktemp("run")
    return train(scene_config(make_capture(folder / "capture"), folder / "outputs", steps=10)).base_dir


FAR_BOX = ["--obb-center", "9", "9", "9", "--obb-rotation", "0", "0", "0", "--obb-scale", "1", "1", "1"]


@pytest.mark.slow  # renders and exports; what is asked is checked without, above
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ns-render", "interpolate", "--output-path", "kept.mp4"], "add --pose-source train"),
        (["ns-render", "dataset", "--downscale-factor", "2"], "takes, first {capture}/images_2/frame_"),
        (["ns-render", "dataset", "--downscale-factor", "0.5"], "--downscale-factor is a whole number from 1 on"),
        (["ns-export", "tsdf", "--output-dir", "new"], "ns-export takes gaussian-splat or cameras here"),
        (
            ["ns-export", "gaussian-splat", "--output-dir", "new", *FAR_BOX],
            "ns-export cannot do it (ValueError: All tensors must be numpy arrays",
        ),
    ],
    ids=["one held-out view", "no smaller ones", "half a pixel", "a NeRF's export", "an empty box"],
)
def test_what_the_run_does_not_allow_is_said_by_the_command(run, tmp_path, words, message):
    (tmp_path / "kept.mp4").write_text("of yesterday")
    done = forked.run(*words, "--load-config", run / "config.yml", cwd=tmp_path)
    capture = run.parents[3] / "capture"
    assert done.returncode == 1 and message.format(capture=capture) in done.stdout.partition("\nError: ")[2]
    assert "Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "kept.mp4").read_text() == "of yesterday"


def _without_checkpoint(run: Path) -> Path:
    (run / "nerfstudio_models" / "step-000000009.ckpt").unlink()
    return run / "config.yml"


def _with(name: str, content: str):
    def change(run: Path) -> Path:
        (run / "nerfstudio_models" / name).write_text(content)
        return run / "config.yml"

    return change


def _renamed(run: Path) -> Path:
    models = run / "nerfstudio_models"
    (models / "step-000000009.ckpt").rename(models / "step-9.ckpt")
    return run / "config.yml"


def _file(content: bytes):
    def write(run: Path) -> Path:
        (run / "other.yml").write_bytes(content)
        return run / "other.yml"

    return write


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run / "lost.yml", "lost.yml does not exist: give the config.yml of a run"),
        (lambda run: run, "is a folder: give the config.yml of a run"),
        (lambda run: run / "recipe.yaml", "recipe.yaml holds a dict, expected the config.yml of a run"),
        (_file(b""), "holds a NoneType, expected the config.yml of a run"),
        (_file(b"a: [1"), "other.yml cannot be read"),
        (_file(b"\xff\xfe\x00"), "other.yml cannot be read"),
        (_without_checkpoint, "No checkpoint step-*.ckpt in"),
        (_with(".DS_Store", "of a Mac"), "takes every file in {models} for a checkpoint: take out .DS_Store"),
        (_with("step-000000009.ckpt", "version https://git-lfs"), "cannot be read as a checkpoint"),
        (_with("step-000000009.ckpt", ""), "cannot be read as a checkpoint"),
        (_renamed, "nerfstudio looks for {models}/step-000000009.ckpt: give step-9.ckpt that name"),
    ],
    ids=["lost", "folder", "recipe", "empty", "broken", "bytes", "unsaved", "Finder", "pointer", "nothing", "renamed"],
)
def test_a_run_that_cannot_be_opened_is_named_with_the_reason(run, tmp_path, monkeypatch, capsys, change, message):
    copy = tmp_path / "outputs" / run.relative_to(run.parents[2])
    shutil.copytree(run, copy)
    text = (copy / "config.yml").read_text()
    (copy / "config.yml").write_text(_elsewhere(text, run.parents[2], tmp_path / "outputs"))
    config = change(copy)
    monkeypatch.setattr(sys, "argv", ["/bin/ns-viewer", "--load-config", str(config)])
    assert named_config(sys.argv) == config
    sys.excepthook(AssertionError, AssertionError(), None)
    said = capsys.readouterr()
    assert message.format(models=copy / "nerfstudio_models") in " ".join(said.out.split()) and not said.err


def _elsewhere(config: str, old: Path, new: Path) -> str:
    """The settings of a run with another output_dir: config.yml has paths as lists of their parts."""
    parts = [
        "".join(f"{indent}- {part}\n" for part in ("/", *path.parts[1:]))
        for indent in ("", "  ")
        for path in (old, new)
    ]
    return config.replace(parts[0], parts[1]).replace(parts[2], parts[3])


def test_an_interrupt_is_a_word_and_other_runs_keep_their_tracebacks(tmp_path, monkeypatch, capsys):
    passed = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: passed.append(error[1]))
    tracebacks.tell_in_words()
    (tmp_path / "theirs.yml").write_text("!!python/object:nerfstudio.engine.trainer.TrainerConfig {}")
    (tmp_path / "ours.yml").write_text("!!python/object:fasttext2style.plugin.scene.trainer.SceneTrainerConfig {}")
    for program, name, error in (
        ("ns-viewer", "ours.yml", KeyboardInterrupt()),
        ("ns-viewer", "theirs.yml", ValueError(1)),
        ("ns-train", "ours.yml", ValueError(2)),
        ("of_somebody.py", "ours.yml", ValueError(3)),
    ):
        monkeypatch.setattr(sys, "argv", [program, "--load-config", str(tmp_path / name)])
        sys.excepthook(type(error), error, None)
    assert [str(error) for error in passed] == ["1", "2", "3"]
    # What an option of that name is elsewhere is not our business.
    monkeypatch.setattr(sys, "argv", ["of_somebody.py", "--load-config"])
    sys.excepthook(ValueError, ValueError(4), None)
    assert str(passed[-1]) == "4" and capsys.readouterr().out == "Interrupted.\n"
