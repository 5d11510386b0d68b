"""What `import fasttext2style` promises to scripts: these names, described, imported when they are used."""

import ast
import importlib.util
import inspect
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from PIL import Image

import fasttext2style as ft

EXAMPLES = Path(__file__).parents[1] / "examples"

PROMISED = [
    "Gaussians",
    "Cameras",
    "render",
    "read_ply",
    "write_ply",
    "write_spz",
    "write_splat",
    "toy_scene",
    "ToyScene",
    "Selection",
    "select_automatic",
    "select_by_text",
    "select_box",
    "select_sphere",
    "select_rectangle",
    "select_color",
    "lift_masks",
    "ClickSelector",
    "pick",
    "load_segmenter",
    "Segmenter",
    "EditableObject",
    "ObjectStyler",
    "StylerConfig",
    "TextStyleConfig",
    "ObjectSteps",
    "ObjectGrowth",
    "GrowthConfig",
    "load_encoder",
    "TextImageEncoder",
    "Coverage",
    "Compared",
    "TextLoss",
    "load_editor",
    "ImageEditor",
    "EditRequest",
    "EditResult",
    "EditRounds",
    "new_rounds",
    "Capture",
    "Task",
    "Tools",
    "RoundsConfig",
    "Schedule",
    "EditConfig",
    "RoundsFolder",
    "RoundGrowth",
    "KeepConfig",
    "LossConfig",
    "read_panorama",
    "write_panorama",
    "contact_sheet",
    "write_png",
]
"""A name that leaves this list, or changes its meaning, takes a new major version (minor, before 1.0)."""


def test_the_names_are_those_that_were_promised():
    assert sorted(ft.__all__) == sorted(PROMISED)
    assert set(PROMISED) <= set(dir(ft))


@pytest.mark.parametrize("name", PROMISED)
def test_every_public_name_says_what_it_is(name):
    described = getattr(ft, name).__doc__
    # A dataclass without a docstring describes itself by its signature.
    assert described and not described.startswith(f"{name}("), name
    assert inspect.getmodule(getattr(ft, name)).__name__.startswith("fasttext2style.")


def test_importing_the_package_loads_no_torch():
    code = "import sys, fasttext2style; print(sorted({'torch', 'numpy', 'nerfstudio'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="gaussian_splats"):
        ft.gaussian_splats  # noqa: B018


def test_type_checkers_are_told_that_there_are_types():
    assert (files("fasttext2style") / "py.typed").is_file()


def imports_of(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text()))
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in tree
             if isinstance(node, ast.Import | ast.ImportFrom)]  # fmt: skip
    return set(names)


@pytest.mark.parametrize("example", ["01_hello_laptop.py", "03_scripting.py"])
def test_the_examples_of_scripting_need_the_public_api_and_torch_alone(example):
    assert imports_of(EXAMPLES / example) == {"sys", "pathlib", "torch", "fasttext2style"}


def test_the_scripting_example_styles_the_bear_and_leaves_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("scripting", EXAMPLES / "03_scripting.py")
    assert spec is not None and spec.loader is not None
    scripting = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scripting)
    scripting.main("gold", "short", steps=3)
    styled = ft.read_ply("short.ply")
    scene = ft.toy_scene().gaussians
    assert len(styled) == len(scene)
    changed = (styled.sh_dc != scene.sh_dc).any(dim=1)
    statue = ft.toy_scene().object_weights > 0
    assert changed[statue].float().mean() > 0.9 and changed[~statue].float().mean() < 0.01
    assert Image.open("short.png").size == (1024, 564)


def test_a_round_of_edits_needs_nothing_else(tmp_path):
    toy = ft.toy_scene(width=48, height=48, train_views=4)
    edit = ft.EditableObject(toy.gaussians, ft.Selection(toy.object_weights, "the statue"))
    photographs = (ft.render(toy.gaussians, toy.train_cameras)[0].clamp(0, 1) * 255).byte()
    config = ft.RoundsConfig(ft.Schedule(rounds=1, steps=2), ft.EditConfig(steps=1))
    rounds = ft.new_rounds(
        edit,
        ft.Capture(toy.train_cameras, photographs, torch.zeros(3)),
        ft.Tools(ft.load_editor("tiny")),
        ft.Task("make it red"),
        config,
        ft.StylerConfig(),
        ft.RoundsFolder(tmp_path / "rounds"),
    )
    rounds.start()
    optimizers = {"features_dc": torch.optim.Adam([edit.parameters["features_dc"]], lr=0.05)}
    rounds.attach(optimizers)
    training = ft.ObjectSteps(edit, optimizers)
    while not rounds.done:
        rounds.begin_step()
        losses, info = rounds.losses()
        training.take(losses, info, rounds.step)
        rounds.end_step()
    training.close()
    assert [entry.number for entry in rounds.folder.rounds()] == [0, 1]
    changed = (edit.merged().sh_dc != toy.gaussians.sh_dc).any(dim=1)
    assert changed.any() and not changed[toy.object_weights == 0].any()
