"""What a run says, and that it is little."""

from __future__ import annotations

import re

MOST_LINES = 40


def before(said: str, result: str) -> list[str]:
    assert result in said, said
    return said[: said.index(result)].rstrip().splitlines()


def without_imports(lines: list[str]) -> list[str]:
    """nerfstudio imports its models before it looks for plugins: these two warnings come before any code of ours."""
    host = [number for number, line in enumerate(lines) if "field_components/activations.py" in line]
    assert len(host) <= 2
    gone = {number for first in host for number in (first, first + 1)}
    return [line for number, line in enumerate(lines) if number not in gone]


def assert_calm(lines: list[str]) -> None:
    assert 3 < len(lines) < MOST_LINES, len(lines)
    said = "\n".join(without_imports(lines))
    assert "Warning" not in said and "Traceback" not in said, said
    assert "Finished" not in said and "Config(" not in said and "Caching" not in said and "viser" not in said, said
    assert all(line.strip() for line in lines), said
    # Toy runs are over before anything is known: what would be said about the time left is made up.
    assert not re.search(r"about .* left", said), said
