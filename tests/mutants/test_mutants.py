"""The mutation run itself: it tells tests that notice from tests that do not, ends what hangs, and changes no file."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from run import lies_at
from sample import sample

CODE = """
from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def double(number: int | None) -> int | None:
    if number is None:
        raise ValueError(f"There is no number, but {1 + 1} were expected")
    log.info("Doubling %d", number + 1)
    return number * 2


def countdown(number: int) -> int:
    while number > 0:
        number = number - 1
    return number


def unheeded(number: int) -> bool:
    return number == 3


class Frog:
    def __repr__(self) -> str:
        return "frog" * 3
"""
TESTS = """
import pytest
from fasttext2style.pond.code import countdown, double, unheeded

def test_double():
    assert double(3) == 6
    with pytest.raises(ValueError):
        double(None)

def test_countdown():
    assert countdown(4) == 0

def test_unheeded():
    unheeded(3)
"""
BEHAVIOUR = (
    {"if number is None:", "return number * 2"} | {"while number > 0:", "number = number - 1"} | {"return number == 3"}
)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """One room with its tests, and the scripts of this folder."""
    tmp_path = tmp_path / "checkout"
    for path, text in (("fasttext2style/pond/code.py", CODE), ("tests/pond/test_pond.py", TESTS)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
        (tmp_path / path).parents[1].joinpath("__init__.py").touch()
    (tmp_path / "tests" / "mutants").mkdir()
    for script in ("run.py", "forks.py", "sample.py"):
        shutil.copy(Path(__file__).with_name(script), tmp_path / "tests" / "mutants")
    (tmp_path / "tests" / "mutants" / "accepted.toml").write_text(
        '[[pond]]\npath = "fasttext2style/pond/code.py"\nwas = "return number == 3"\n'
        'became = "return number != 3"\nreason = "nobody heeds it"\n'
    )
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    kept = (path for path in folder.rglob("*") if path.is_file() and "outputs" not in path.parts)
    return {str(path): path.read_bytes() for path in kept if path.suffix != ".pyc"}


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, "tests/mutants/run.py", *arguments]
    return subprocess.run(script, cwd=checkout, capture_output=True, text=True)


def drawn(checkout: Path, seed: int = 0, count: int = 60) -> list[tuple[str, str]]:
    return [(mutant.was, mutant.became) for mutant in sample(checkout, ["fasttext2style/pond/code.py"], count, seed)]


def test_only_behaviour_is_mutated(checkout):
    """No types, no words of errors and logs, no __repr__; one mutant a line."""
    found = [was for seed in range(20) for was, _ in drawn(checkout, seed)]
    assert set(found) == BEHAVIOUR
    assert len(drawn(checkout)) == len(BEHAVIOUR)


def test_the_sample_stays_when_other_lines_move(checkout):
    before = drawn(checkout, count=3)
    assert before == drawn(checkout, count=3)
    path = checkout / "fasttext2style" / "pond" / "code.py"
    path.write_text("# A comment.\n" + path.read_text().replace("import logging", "import logging\n\nSHORE = 'reed'"))
    assert drawn(checkout, count=3) == before
    assert any(drawn(checkout, seed, count=3) != before for seed in range(1, 5))


def test_a_look_at_some_places_is_at_those_alone(checkout):
    mutants = sample(checkout, ["fasttext2style/pond/code.py"], 60, 0)
    lines = sorted(mutant.line for mutant in mutants)

    def found(*places: str) -> list[int]:
        return sorted(mutant.line for mutant in mutants if lies_at(mutant, list(places)))

    assert found("code.py") == found("pond/code.py") == lines and len(lines) == 5
    assert found(f"code.py:{lines[0]}", f"pond/code.py:{lines[2]}") == [lines[0], lines[2]]
    assert not found("ode.py") and not found("code.py:2") and not found("delta.py")


def test_a_run_tells_killed_from_survived_and_ends_what_hangs(checkout):
    before = files(checkout)
    done = run(checkout, "pond", "--patience", "1")
    assert done.returncode == 1 and "4 of 5 killed (80%" in done.stdout, done.stderr
    mutants = json.loads((checkout / "outputs/mutants/pond.json").read_text())["mutants"]
    outcomes = {mutant["became"]: mutant["outcome"] for mutant in mutants}
    assert outcomes.pop("number = number + 1") == "timeout"
    assert outcomes.pop("return number != 3") == "survived" and "accepted: nobody heeds it" in done.stdout
    assert set(outcomes.values()) == {"killed"}
    doubled = next(mutant for mutant in mutants if mutant["was"] == "return number * 2")
    assert doubled["by"] == "tests/pond/test_pond.py::test_double" and doubled["error"].startswith("assert")
    assert files(checkout) == before


@pytest.mark.slow
def test_accepted_survivors_need_not_run_to_be_counted(checkout):
    done = run(checkout, "pond", "--patience", "1", "--skip-accepted")
    assert "4 mutants of pond and 1 that survive, as is accepted" in done.stdout
    assert "4 of 5 killed (80%" in done.stdout and "1 survived, of which 1 are accepted" in done.stdout


def test_a_run_that_is_killed_leaves_every_file_as_it_was(checkout):
    before = files(checkout)
    script = [sys.executable, "-u", "tests/mutants/run.py", "pond", "--processes", "1"]
    (checkout.parent / "temporary").mkdir()
    environment = os.environ | {
        "TMPDIR": str(checkout.parent / "temporary")
    }  # what is left there is pytest's to remove
    with subprocess.Popen(script, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "1/5" in line)
        process.kill()
    assert files(checkout) == before


@pytest.mark.slow
def test_tests_that_fail_anyway_are_no_judges(checkout):
    (checkout / "tests/pond/test_pond.py").write_text(TESTS.replace("== 6", "== 7"))
    done = run(checkout, "pond")
    assert done.returncode != 0 and "should pass on the code as it is" in done.stderr
    assert "should be one of pond, got 'lake'" in run(checkout, "lake").stderr
