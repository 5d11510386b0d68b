"""Scripts that measure on a GPU run through on the pretended one, small: on a real one each minute counts."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "examples" / "benchmarks"
SMALL_ENCODER = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 64, "head_width": 32, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture()
def ran(monkeypatch, tmp_path):
    """Runs a script's main with constants and options of a small size; what it wrote."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def run(name: str, *options: str, result: str = "figures.json", **constants) -> dict:
        script = importlib.import_module(name)
        for constant, value in constants.items():
            monkeypatch.setattr(script, constant, value)
        out = tmp_path / result
        to = out.parent if name == "editor_batches" else out
        monkeypatch.setattr(sys, "argv", [name, *options, "--out", str(to)])
        script.main()
        return json.loads(out.read_text())

    return run


def test_the_papers_table_2(ran, tmp_path):
    """With a small encoder: that of the paper takes a minute of a CPU for its sentences alone."""
    import open_clip

    config = tmp_path / "FT2S-small-on-a-pretended-gpu.json"
    config.write_text(json.dumps(SMALL_ENCODER))
    open_clip.add_model_config(config)
    figures = ran("paper_table2", "--views", "2", "--batch", "2", "--gaussians", "1", CAMERAS=2, MODEL=config.stem)
    assert figures["device"] == "Pretended GPU" and figures["batch"] == figures["view_iterations"] == 2
    assert min(figures[f"{name}_seconds"] for name in ("one_view_full_scene", "batched_object_only")) > 0


def test_what_steps_cost(ran):
    small = {"WIDTH": 64, "HEIGHT": 48, "BOX": (12, 4, 52, 44), "WARM_UP": 1, "COUNTED": 1, "TIMED": 1}
    steps = ran("step_costs", "--gaussians", "2000", "--object", "200", **small)["steps"]
    assert list(steps) == ["styling, 16 views", "rounds, 4 boxes of 40x40"]
    assert all(step["peak_gib"] > 0 for step in steps.values())


def test_batches_of_an_editor(ran):
    options = ["--device", "cuda", "--batches", "1", "2", "--steps", "1", "--repeats", "1"]
    figures = ran("editor_batches", *options, result="editor_batches.json")
    assert [row["batch"] for row in figures["rows"]] == [1, 2]
    assert figures["device"] == "Pretended GPU" and all(row["peak GiB"] > 0 for row in figures["rows"])


def test_all_tests_of_a_gpu_are_in_the_script_and_its_parts_are_there(monkeypatch):
    """It is run once, on a machine that is lent."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    script = importlib.import_module("on_a_gpu")
    listed = {Path(name) for name in script.GPU_TESTS}
    marked = {
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"mark\.gpu\b", path.read_text()) and path.parent.name != "pretend_cuda"
    }
    assert marked == {path for path in marked if path in listed or path.parent in listed}
    assert all(path.exists() for path in listed)
    for part in script.parts(Path("captures"), 2):
        assert not part.command[1].endswith(".py") or Path(part.command[1]).exists(), part.name
