"""Tests stand in the room of what they test: those below the plugin need no host, so that their code needs none."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOMS = sorted(
    room.name
    for room in TESTS.iterdir()
    if any(room.glob("*.py")) and room.name not in {"commands", "plugin", "browser"}
)
HOSTS = ("nerfstudio", "viser", "fasttext2style.plugin", "fasttext2style.commands", "fasttext2style.cli")


def _imports(file: Path) -> set[str]:
    """Modules that a file imports, anywhere in it, helpers of the tests read along."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    helpers = (TESTS.parent / f"{name.replace('.', '/')}.py" for name in found if name.startswith("tests."))
    return found.union(*(_imports(helper) for helper in helpers if helper.is_file()))


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_below_the_plugin_is_tested_through_a_host(room):
    reached = {
        f"{file.relative_to(TESTS)} imports {name}"
        for file in (TESTS / room).rglob("*.py")
        for name in _imports(file)
        if any(name == host or name.startswith(f"{host}.") for host in HOSTS)
    }
    assert not reached


def test_an_import_through_a_helper_is_seen(tmp_path):
    file = tmp_path / "test_something.py"
    file.write_text("def test():\n    from tests.plugin.hosts import train\n")
    assert "fasttext2style.plugin.scene.method" in _imports(file)
