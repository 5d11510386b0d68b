"""Commands on runs when the disk is full at any moment: they are done, or nothing was, and can be given again."""

import shutil
import subprocess
import sys

import pytest

from fasttext2style.commands.rounds import Reset, Resume
from fasttext2style.history.history import History
from fasttext2style.terminal.console import errors_in_words
from tests.full_disk import files, full_disk, moments
from tests.history.test_two_writers import HOLDER
from tests.plugin.hosts import train
from tests.plugin.rounds_host import rounds_capture, rounds_config
from tests.plugin.test_two_writers import ROOT, capture, ft2s, run_folder  # noqa: F401 (fixtures)

SAID = ("could not be written", "untouched", "nothing was changed", "free some disk space", "is saved, in")


@pytest.fixture(scope="module")
def two_rounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    return train(rounds_config(rounds_capture(folder / "capture"), folder / "outputs", rounds=2, steps=2)).base_dir


def _said(error: str) -> bool:
    words = " ".join(error.split())
    return any(it in words for it in SAID) and "Traceback" not in words and ".tmp" not in words


LINES = {"undo": ("history", "undo", None), "grade": ("grade", None, "--saturation", "0.5")}
"""With the run in place of None."""


@pytest.mark.parametrize("every, what", [(3, "undo"), *(pytest.param(1, it, marks=pytest.mark.slow) for it in LINES)])
def test_a_command_on_the_history_changes_scene_and_history_or_neither(
    run_folder,  # noqa: F811
    tmp_path,
    monkeypatch,
    capsys,
    every,
    what,
):
    def copied(name: str):
        copy = tmp_path / name / run_folder.name
        shutil.copytree(run_folder, copy)
        return copy, [copy if word is None else word for word in LINES[what]]

    copy, line = copied("whole")
    with full_disk(copy) as used:
        assert ft2s(monkeypatch, *line) == 0, capsys.readouterr().out
    whole, active = files(copy).keys(), [step.active for step in History.open(copy / "history").steps]
    # From the checkpoint on each call; the first ones are those of steps, which tests/history tries.
    found = [*moments(used, most=100)[: used.calls][-6:], {"bytes": used.bytes // 2}][::-every]
    refused = 0
    for number, moment in enumerate(found):
        copy, line = copied(str(number))
        before = files(copy)
        with full_disk(copy, **moment):
            code = ft2s(monkeypatch, *line)
        said = capsys.readouterr().out
        if code:
            refused += 1
            assert _said(said), said
            assert files(copy) == before, moment
            assert ft2s(monkeypatch, *line) == 0
        assert files(copy).keys() == whole
        assert [step.active for step in History.open(copy / "history").steps] == active
    assert refused >= len(found) - 1


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_a_reset_changes_scene_and_rounds_or_neither(two_rounds, tmp_path, capsys, every):
    def copied(name: str):
        return shutil.copytree(two_rounds, tmp_path / name / two_rounds.name)

    with full_disk(copy := copied("whole")) as used:
        Reset(copy, to=1).run()
    rounds = {name for name in files(copy) if "set_aside" not in name}
    for number in (used.calls - 1, *range(used.calls - 5, used.calls - 1), 2)[::every]:
        copy = copied(str(number))
        before = files(copy)
        capsys.readouterr()
        with full_disk(copy, calls=number):
            try:
                with errors_in_words():
                    Reset(copy, to=1).run()
                refused = False
            except SystemExit as end:
                refused = end.code == 1
        if refused:
            assert _said(capsys.readouterr().out)
            assert files(copy) == before, number
            assert not list(copy.glob("rounds/set_aside/*"))
            Reset(copy, to=1).run()
        else:
            assert number < 3, "only who holds the lock is written for people alone"
        assert {name for name in files(copy) if "set_aside" not in name} == rounds
        assert len(list(copy.glob("rounds/set_aside/*/round_0002/manifest.json"))) == 1


@pytest.mark.parametrize("command", [lambda run: Reset(run, to=1), lambda run: Resume(run, rounds=3)])
def test_rounds_that_another_program_writes_are_neither_reset_nor_resumed(two_rounds, capsys, command):
    before = files(two_rounds)
    holding = [sys.executable, "-c", HOLDER, str(two_rounds), "the", "other"]
    with subprocess.Popen(holding, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(SystemExit), errors_in_words():
            command(two_rounds).run()
        assert f"process {other.pid}" in capsys.readouterr().out.replace("\n", " ")
        other.kill()
    assert files(two_rounds) == before


def test_results_that_find_the_disk_full_are_written_when_the_run_is_resumed(two_rounds, tmp_path, capsys):
    copy = shutil.copytree(two_rounds, tmp_path / "moved")
    shutil.rmtree(copy / "results")
    with full_disk(copy / "results") as used:
        Resume(copy).run()
    written = files(copy / "results").keys()
    for moment in (moments(used)[0], moments(used)[used.calls // 2], moments(used)[-2]):
        shutil.rmtree(copy / "results")
        with full_disk(copy / "results", **moment), pytest.raises(SystemExit) as end, errors_in_words():
            Resume(copy).run()
        said = " ".join(capsys.readouterr().out.split())
        assert end.value.code == 1 and _said(said) and f"made by ft2s rounds resume {copy}" in said, said
        assert not (copy / "results" / "report.json").exists()
        Resume(copy).run()
        assert files(copy / "results").keys() == written
