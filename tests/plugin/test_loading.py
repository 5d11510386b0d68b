"""Every library that is needed can be loaded, and none that a bare machine cannot load is needed.

open3d and pymeshlab, which nerfstudio requires, load libGL, libX11 and libusb: what has no screen has none of them.
"""

import ast
import os
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fasttext2style
from fasttext2style.terminal.console import errors_in_words
from fasttext2style.toy.scene import toy_scene, write_dataset

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.bare
PACKAGE = Path(fasttext2style.__file__).parent
NEED_A_SCREEN = "{'open3d', 'pymeshlab'} & set(sys.modules)"


def _python(program, cwd):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=cwd, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _statements() -> set[str]:
    """All imports of libraries, also those inside functions."""
    statements = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "__future__"):
                statements.add(ast.unparse(node))
    assert {"import imageio_ffmpeg", "import open_clip"} <= statements, "these are imported late"
    return statements


@pytest.mark.parametrize("who", ["the tests", "users"])
def test_every_library_is_asked_for_by_name(who):
    """What is imported, also late, is in the standard library, or some package that is asked for, or that one of these
    asks for, brings it. The tests have "dev", users may have all other extras."""
    project = tomllib.loads(PACKAGE.with_name("pyproject.toml").read_text(encoding="utf8"))["project"]
    extras = project["optional-dependencies"]
    chosen = ["dev"] if who == "the tests" else extras.keys() - {"dev"}
    wanted = project["dependencies"] + [line for extra in chosen for line in extras[extra]]
    asked = set()
    while wanted:
        one = Requirement(wanted.pop())
        name = canonicalize_name(one.name)
        if name not in asked and (one.marker is None or one.marker.evaluate({"extra": ""})):
            asked.add(name)
            wanted.extend(requires(name) or [])
    imported = {statement.split()[1].split(".")[0] for statement in _statements()} - {
        *sys.stdlib_module_names,
        PACKAGE.name,
    }
    bring = packages_distributions()
    missing = {name for name in imported if asked.isdisjoint(map(canonicalize_name, bring.get(name, [name])))}
    assert len(imported) > 20 and not missing


@pytest.mark.slow  # and on a bare machine in every CI
def test_everything_loads_and_a_capture_is_styled_without_a_screen(tmp_path):
    """Every module, and every library that one of them names, also those that are imported late, inside functions; then
    a run: reconstructed from its points, styled, written down."""
    (tmp_path / "libraries.py").write_text("\n".join(sorted(_statements())))
    write_dataset(toy_scene(width=48, height=48), tmp_path / "capture")
    command = [
        *["ns-train", "fasttext2style", "--data", "capture", "--encoder", "tiny", "--prompt", "a bear made of gold"],
        *["--reconstruction-steps", "10", "--max-num-iterations", "2", "--vis", "tensorboard"],
    ]
    said = _python(
        "import importlib, pkgutil, sys, libraries, fasttext2style\n"
        "names = [found.name for found in pkgutil.walk_packages(fasttext2style.__path__, 'fasttext2style.')]\n"
        "for name in names: importlib.import_module(name)\n"
        f"sys.argv = {command}\n"
        "from nerfstudio.scripts.train import entrypoint\n"
        f"entrypoint()\nprint(len(names), {NEED_A_SCREEN})",
        tmp_path,
    )
    count, loaded = said.splitlines()[-1].split(maxsplit=1)
    assert int(count) > 100 and loaded == "set()"
    assert list(tmp_path.glob("outputs/capture/fasttext2style/*/results/report.json"))


def test_a_missing_system_library_is_one_message(capsys):
    with pytest.raises(SystemExit), errors_in_words():
        raise ImportError("libusb-1.0.so.0: cannot open shared object file: No such file or directory")
    said = capsys.readouterr().out
    assert "Error:" in said and "libusb-1.0.so.0" in said and "apt-get install" in said


def test_a_mistake_of_ours_keeps_its_traceback():
    with pytest.raises(ImportError), errors_in_words():
        raise ImportError("cannot import name 'paint' from 'fasttext2style'")
