"""docs/trust.md names a test for each promise, and these tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf8")


def _promises() -> list[tuple[str, list[str]]]:
    """What stands in the tables of promises, and the tests beside it."""
    found, table = [], False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        table = line.startswith("|") and (table or cells == ["promise", "held by"])
        if table and len(cells) == 2 and cells != ["promise", "held by"] and set(cells[0]) != {"-"}:
            found.append((cells[0], re.findall(r"`(tests/[^`]+)`", cells[1])))
    return found


def test_every_promise_names_a_test():
    promises = _promises()
    assert len(promises) >= 20
    assert not [promise for promise, tests in promises if not tests]


def test_the_tests_that_are_named_exist():
    missing = []
    for name in re.findall(r"`(tests/[^`]+)`", PAGE):
        file, _, function = name.partition("::")
        path = ROOT / file
        functions = []
        if path.is_file():
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf8")))
            functions = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
        if not any(it.startswith("test_") for it in functions) or (function and function not in functions):
            missing.append(name)
    assert not missing
