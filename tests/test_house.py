"""The house stays one in which a newcomer finds the room: sizes of files, functions, folders; what a folder says.

Floors, circles and doors are import-linter's (`lint-imports`).
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(__file__).parents[1] / "fasttext2style"
PROJECT = tomllib.loads(PACKAGE.with_name("pyproject.toml").read_text(encoding="utf8"))
ROOMS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()} - {
    "__init__"
}
FILES = {path: path.read_text(encoding="utf8") for path in sorted(PACKAGE.rglob("*.py"))}
KERNELS = PACKAGE / "scene" / "cpu" / "kernels.py"
"""One file: numba's cache on disk does not see callees that change elsewhere."""


def test_no_module_is_over_400_lines():
    scripts = {path: path.read_text(encoding="utf8") for path in PACKAGE.rglob("*.js")}
    assert scripts
    lines = {str(path): text.count("\n") for path, text in (FILES | scripts).items() if path != KERNELS}
    assert not {path: count for path, count in lines.items() if count > 400}


def test_no_function_is_over_80_lines():
    long = []
    for path, text in FILES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and path != KERNELS:
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 80:
                    long.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
    assert not long


def test_no_folder_holds_over_a_fifth_of_the_lines():
    """With all that lies below it."""
    lines = Counter()
    for path, text in FILES.items():
        lines.update(dict.fromkeys(path.relative_to(PACKAGE).parents, text.count("\n")))
    total = lines.pop(Path("."))
    folder, most = lines.most_common(1)[0]
    assert most <= 0.2 * total, f"{folder} holds {most} of {total} lines"


def test_every_folder_says_what_lives_there():
    folders = {path.parent for path in FILES}
    silent = [str(f) for f in folders if not ast.get_docstring(ast.parse(FILES.get(f / "__init__.py", "")))]
    assert not silent


@pytest.mark.parametrize(
    ("door", "inside"),
    [
        # Those that the first leaves out have a contract of their own.
        ("One door for the host", {"plugin", "commands", "cli", "panel", "recipes"}),
        ("One door for CLIP", {"guidance"}),
        ("One door for diffusion", {"editors"}),
        ("One door for Ray", set()),
    ],
)
def test_every_room_is_before_every_door(door, inside):
    """A room that a list forgets may import what it likes; the floors see to that by themselves (`exhaustive`)."""
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (contract,) = [it for it in contracts if it["name"].startswith(door)]
    assert {name.removeprefix("fasttext2style.") for name in contract["source_modules"]} == ROOMS - inside
    assert [it.get("exhaustive") for it in contracts if it["type"] == "layers"] == [True]


def test_the_types_of_every_room_are_checked_at_run_time():
    """Of arrays' shapes; by names, for kernels cannot be: those rooms are left out that hold no arrays."""
    options = PROJECT["tool"]["pytest"]["ini_options"]["addopts"]
    checked = {name.split(".")[1] for name in re.findall(r"fasttext2style\.[a-z_.]+", options)}
    assert ROOMS - checked == {"cli", "commands", "plug_ins", "terminal", "trust"}
