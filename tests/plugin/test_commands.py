"""The whole path through nerfstudio's real commands, in processes of their own, on a CPU."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fasttext2style.plugin.runs.run import open_run
from fasttext2style.scene.files.ply import read_ply
from fasttext2style.scene.rasterize import render
from tests import forked
from tests.plugin.hosts import make_capture
from tests.plugin.ns_viewer import assert_shows, ns_viewer
from tests.plugin.said import assert_calm, before

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.bare
WORLD = ["nerfstudio-data", "--orientation-method", "none", "--center-method", "none", "--auto-scale-poses", "False"]


def _run(*arguments, cwd, code=0, **environment):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment}
    environment.pop("PYTHONWARNINGS", None)
    command = [str(BIN / arguments[0]), *map(str, arguments[1:])]
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert done.returncode == code, done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the issue's own command line, with fewer steps: no base run, no CUDA, nothing from a network."""
    folder = tmp_path_factory.mktemp("whole") / "my captures"
    make_capture(folder / "capture")
    said = _run(
        *["ns-train", "fasttext2style", "--data", "capture", "--prompt", "a ball made of gold", "--encoder", "tiny"],
        *["--reconstruction-steps", "60", "--max-num-iterations", "5", "--object", "sphere"],
        *["--pipeline.object.radius", "0.45", "--vis", "tensorboard", "--pipeline.video-seconds", "0.5", *WORLD],
        cwd=folder,
    )
    (folder / "said.txt").write_text(said)
    return next((folder / "outputs" / "capture" / "fasttext2style").iterdir())


def test_the_printed_command_opens_the_run(run):
    """As pasted into a shell, in spite of the space in its path."""
    said = (run.parents[3] / "said.txt").read_text()
    command = shlex.split(said[said.index("ns-viewer") :].splitlines()[0])
    assert command == ["ns-viewer", "--load-config", str(run / "config.yml")]


def test_it_says_little_before_its_result(run):
    """Imports and all, into a file."""
    assert_calm(before((run.parents[3] / "said.txt").read_text(), "Similarity to a ball made of gold: "))


def test_ns_train_leaves_results_and_tensorboard(run):
    for name in ("contact_sheet.png", "before_after.mp4", "styled.ply", "report.json"):
        assert (run / "results" / name).stat().st_size > 100, name
    report = json.loads((run / "results" / "report.json").read_text())
    assert report["prompt"] == "a ball made of gold" and report["encoder"] == "tiny"
    assert list(run.glob("events.out.tfevents.*"))


def test_ns_render_makes_a_video(run, tmp_path):
    # From another folder: the run remembers absolute paths. No ffmpeg but the one that pip installed.
    _run(
        *["ns-render", "interpolate", "--load-config", run / "config.yml", "--pose-source", "train"],
        *["--interpolation-steps", "2", "--output-path", tmp_path / "video.mp4"],
        cwd=tmp_path,
        PATH=str(tmp_path),
    )
    assert (tmp_path / "video.mp4").stat().st_size > 1000


def test_ns_export_writes_the_styled_scene(run, exporter, tmp_path):
    command = ["ns-export", "gaussian-splat", "--load-config", run / "config.yml", "--output-dir", tmp_path]
    done = forked.run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    exported, ours = read_ply(tmp_path / "splat.ply"), read_ply(run / "results" / "styled.ply")
    assert len(exported) == len(ours)
    assert torch.equal(exported.sh_dc, ours.sh_dc)
    assert torch.equal(exported.means, ours.means)


def test_ns_eval_measures_without_downloads(run, tmp_path):
    command = ["ns-eval", "--load-config", run / "config.yml", "--output-path", tmp_path / "eval.json"]
    done = forked.run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert json.loads((tmp_path / "eval.json").read_text())["results"]["psnr"] > 5


def test_ns_viewer_shows_the_scene(run, tmp_path):
    """As its file says it looks, to whoever opens the page."""
    cameras = open_run(run).cameras("train")[:2]
    seen = render(read_ply(run / "results" / "styled.ply"), cameras)[0].clamp(0, 1).detach().numpy()
    with ns_viewer(run, tmp_path) as viewer:
        shown = viewer.picture(cameras[0])
    assert_shows(shown, seen)
