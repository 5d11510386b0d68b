"""A config.yml of a stranger says what it likes; nothing of it is run."""

import os
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pytest

from fasttext2style.trust import own_runs
from fasttext2style.trust.objects import Known, load_objects

HERE = __name__
KNOWN = Known((HERE,), ("decimal",), {"old.name.Settings": HERE})


class Color(Enum):
    RED = "red"


class Thing:
    pass


class Other:
    pass


def call(*arguments):
    raise AssertionError("run")


@dataclass
class Settings:
    _target: type = field(default_factory=lambda: Thing)
    number: int = 5
    more: list = field(default_factory=list)

    def setup(self):
        return self._target()


def test_settings_paths_tuples_choices_and_classes_are_read():
    text = f"""!!python/object:{HERE}.Settings
_target: !!python/name:{HERE}.Thing ''
number: !!python/object:old.name.Settings {{number: 7}}
more:
- &path !!python/object/apply:pathlib.PosixPath [a, b]
- !!python/tuple [1, 2]
- !!python/object/apply:{HERE}.Color [red]
- !!python/name:decimal.Decimal ''
- *path
unknown: 1
setup: 2
"""
    read = load_objects(text, KNOWN)
    assert (
        type(read) is Settings and read._target is Thing and type(read.number) is Settings and read.number.number == 7
    )
    assert read.more[:3] == [Path("a/b"), (1, 2), Color.RED] and read.more[4] == Path("a/b")
    assert read.number.more == [] and type(read.setup()) is Thing, "defaults where nothing is said, methods stay"


EVIL = [
    "!!python/object/apply:os.system ['touch {}']",
    "!!python/object/apply:subprocess.Popen [['touch', '{}']]",
    "!!python/object/apply:{here}.call []",
    "!!python/object/apply:builtins.getattr [!!python/name:{here}.Color '', mro]",
    "!!python/object/apply:builtins.getattr [!!python/name:{here}.Settings '', __init__]",
    "!!python/object/apply:builtins.getattr [{{}}, {{}}]",
    "!!python/object/apply:{here}.Thing []",
    "!!python/object/apply:{here}.Settings [1]",
    "!!python/object/apply:{here}.Color {{args: [red]}}",
    "!!python/object/apply:pathlib.PosixPath [[a]]",
    "!!python/object/new:os.system ['touch {}']",
    "!!python/object/new:{here}.Settings []",
    "!!python/object:{here}.Thing {{}}",
    "!!python/object:{here}.Settings {{_target: !!python/name:{here}.Other ''}}",
    "!!python/object:{here}.Settings {{_target: !!python/name:subprocess.Popen ''}}",
    "!!python/object:{here}.Settings {{_target: 5}}",
    "!!python/object:{here}.Settings [1, 2]",
    "!!python/name:os.system ''",
    "!!python/name:{here}.call ''",
    "!!python/name:{here}.Path ''",
    "!!python/name:{here}.os ''",
    "!!python/name:builtins.eval ''",
    "!!python/name:{here}x.Thing ''",
    "!!python/module:os ''",
    '!!python/object/apply:builtins.exec [\'open("{}", "w")\']',
    "!!python/object/apply:importlib.import_module [trust_evil]",
    "!!python/name:trust_evil.Thing ''",
    "{{? !!python/tuple [[1]] : 1}}",
    "[" * 100_000,
    "- " * 50_000,
    "a: [",
    "number: " + "1" * 5000,
    "2026-99-99",
    "\x00",
]


def _repeated(first: str, again: str) -> str:
    """Thirty lines, each three times the one before."""
    lines = [again.replace("&", f"&a{number} ").replace("*", f"*a{number - 1}") for number in range(1, 30)]
    return "\n".join(f"a{number}: {line}" for number, line in enumerate([first, *lines])) + "\n"


EVIL += [
    _repeated("&a0 [1, 2]", "&[*, *, *]"),
    _repeated("&a0 {{x: 1, y: 2}}", "&{{<<: [*, *, *]}}"),
    _repeated("&a0 {{x: 1, y: 2}}", "&{{a: *, b: *, c: *}}"),
    _repeated("&a0 [1, 2]", "&[*, *, *]") + "more: !!python/object:{here}.Settings {{_target: *a29}}",
    _repeated("&a0 !!python/tuple [1, 2]", "&!!python/tuple [*, *, *]") + "b: {{? *a29 : 1}}",
    "a: &a [*a]",
    "!!python/object:{here}.Settings &a {{more: [*a]}}",
]
"""Few lines that mean a great many."""


@pytest.mark.parametrize("text", EVIL, ids=range(len(EVIL)))
def test_nothing_else_is(tmp_path, monkeypatch, text):
    touched = tmp_path / "touched"
    (tmp_path / "trust_evil.py").write_text(f"open({str(touched)!r}, 'w'); class_ = 1")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError) as refused:
        load_objects(
            text.replace("{}", str(touched)).replace("{here}", HERE).replace("{{", "{").replace("}}", "}"), KNOWN
        )
    assert not touched.exists() and "trust_evil" not in sys.modules
    assert len(str(refused.value).splitlines()) == 1


def test_a_run_of_this_user_is_known_wherever_it_lies_until_a_character_changes(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text("a: 1\n")
    assert not own_runs.is_own(path)
    own_runs.note_written(path)
    assert own_runs.is_own(path.rename(tmp_path / "moved.yml"))
    path.write_text("a: 2\n")
    assert not own_runs.is_own(path)
    assert os.environ["XDG_STATE_HOME"] in str(own_runs._known_path()), "not in the folder of whoever runs the tests"


def test_where_nothing_can_be_remembered_runs_count_as_those_of_others(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    path = tmp_path / "config.yml"
    path.write_text("a: 1\n")
    own_runs.note_written(path)
    assert not own_runs.is_own(path)


def test_a_part_is_read_and_nothing_beside_it():
    """A function beside it would be refused in the whole."""
    text = "other: !!python/name:os.system ''\nhere:\n  one: !!python/tuple [1, 2]\nlast: 3\n"
    assert load_objects(text, KNOWN, at=("here", "one")) == (1, 2)
    for at in (("here", "two"), ("last", "one"), ("nowhere",)):
        with pytest.raises(ValueError, match="there is no "):
            load_objects(text, KNOWN, at=at)
    with pytest.raises(ValueError, match="nothing that settings may name"):
        load_objects(text, KNOWN)


def test_members_of_enumerations_are_read_as_python_3_11_2_writes_them():
    """`Enum.__reduce_ex__` of Python 3.11.2 gives getattr, with the class and the member's name."""
    said = f"!!python/object/apply:builtins.getattr [!!python/name:{HERE}.Color '', {Color('red').name}]"
    assert load_objects(said, KNOWN) is Color("red")
