"""What whole runs print: few lines before the result, nothing of the host, errors last; in logs and on terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import tempfile
import termios
from pathlib import Path

import pyte
import pytest
from nerfstudio.scripts import train as ns_train

from tests import forked
from tests.plugin.hosts import make_capture
from tests.plugin.said import MOST_LINES, assert_calm, before

RAW = ["nerfstudio-data", "--orientation-method", "none", "--center-method", "none", "--auto-scale-poses", "False"]
OBJECT = ["--object", "sphere", "--pipeline.object.radius", "0.45", "--pipeline.video-seconds", "0"]
PROMPT = "red gold [/red] :tada:"
"""Markup of a console that reads it: it would raise, or print something else."""


def _log_of(*words: object, cwd: Path) -> str:
    """What a command prints into a file, errors and warnings among it. That of imports: test_commands."""
    with tempfile.NamedTemporaryFile("r") as log:
        process = forked.start(list(words), cwd, log.name, log.name, HF_HUB_OFFLINE="1")
        process.join()
        said = log.read()
    assert process.exitcode == 0, said[-3000:]
    return said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terminal")
    make_capture(folder / "capture")
    return folder


@pytest.fixture(scope="module")
def said(folder):
    """A run of the README's command, with fewer steps: reconstruction, viewer, style, results."""
    return _log_of(
        *["ns-train", "fasttext2style", "--data", "capture", "--prompt", PROMPT, "--encoder", "tiny", *OBJECT],
        *["--reconstruction-steps", 20, "--max-num-iterations", 3, *RAW],
        cwd=folder,
    )


def test_a_whole_run_says_little_before_its_result(said):
    lines = before(said, f"Similarity to {PROMPT}: ")
    assert_calm(lines)
    phases = ["Reconstructing (20 steps)", "Viewer: http://", "Object: ", "Styling (3 steps)", "Writing"]
    places = [next(number for number, line in enumerate(lines) if line.startswith(phase)) for phase in phases]
    assert places == sorted(places)
    assert said.count(PROMPT) == 2  # at first, and in the result


def test_a_run_that_starts_from_another_says_less(said, folder, tmp_path, monkeypatch, capsys):
    base = next((folder / "outputs" / "capture" / "fasttext2style-scene").iterdir())
    _train("fasttext2style", "--encoder", "tiny", "--prompt", PROMPT, "--load-dir", base, *OBJECT,
           "--max-num-iterations", 2, capture=folder / "capture", output=tmp_path, monkeypatch=monkeypatch)  # fmt: skip
    lines = before(capsys.readouterr().out, f"Similarity to {PROMPT}: ")
    assert_calm(lines)
    assert not any(line.startswith("Reconstructing") for line in lines)
    assert len(lines) < 15


def test_a_resumed_reconstruction_says_where_it_goes_on(said, folder, tmp_path, monkeypatch, capsys):
    base = next((folder / "outputs" / "capture" / "fasttext2style-scene").iterdir())
    _train("fasttext2style-scene", "--load-dir", base, "--max-num-iterations", 25,
           capture=folder / "capture", output=tmp_path, monkeypatch=monkeypatch)  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert_calm(lines)
    assert any(line.startswith("Going on with") and line.endswith("at step 20") for line in lines)
    assert lines[-1].startswith("Reconstructing: 25 of 25 steps")


def test_an_error_in_the_midst_is_the_last_thing_that_is_said(said, folder, tmp_path, monkeypatch, capsys):
    base = next((folder / "outputs" / "capture" / "fasttext2style-scene").iterdir())
    with pytest.raises(SystemExit) as end:
        _train("fasttext2style", "--encoder", "tiny", "--prompt", "red", "--load-dir", base, "--object", "sphere",
               "--pipeline.object.radius", "0.000001",
               capture=folder / "capture", output=tmp_path, monkeypatch=monkeypatch)  # fmt: skip
    assert end.value.code == 1
    *above, empty, error = capsys.readouterr().out.splitlines()
    assert error.startswith("Error: ") and empty == "" and len(above) < 15


def _train(*words: object, capture: Path, output: Path, monkeypatch) -> None:
    """`ns-train WORDS` in this process, without a viewer."""
    words = (*words, "--data", capture, "--output-dir", output, "--vis", "tensorboard", *RAW)
    monkeypatch.setattr(sys, "argv", ["ns-train", *map(str, words)])
    ns_train.entrypoint()


# --- rounds, on a terminal ------------------------------------------------------------------------------------------


def _screen_of(*words: object, cwd: Path, columns: int = 80) -> list[str]:
    """The lines that are left on a terminal of so many columns when a command has ended."""
    terminal, inside = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 100, columns, 0, 0))
    name = os.ttyname(inside)
    process = forked.start(list(words), cwd, name, name, TERM="xterm", COLUMNS=str(columns), HF_HUB_OFFLINE="1")
    drawn = b""
    while process.is_alive() or select.select([terminal], [], [], 0)[0]:
        if select.select([terminal], [], [], 0.1)[0]:
            drawn += os.read(terminal, 65536)
    os.close(inside)
    os.close(terminal)
    assert process.exitcode == 0, drawn.decode()[-3000:]
    screen = pyte.Screen(columns, 100)
    pyte.Stream(screen).feed(drawn.decode())
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.fixture(scope="module")
def screen(said, folder):
    """A round with the packaged editor, from the reconstruction."""
    base = next((folder / "outputs" / "capture" / "fasttext2style-scene").iterdir())
    return _screen_of(
        *["ns-train", "fasttext2style-ip2p", "--data", "capture", "--prompt", "make it red", "--editor", "tiny"],
        *["--load-dir", base, *OBJECT, "--pipeline.rounds.schedule.rounds", 1, "--pipeline.rounds.schedule.steps", 3],
        *["--pipeline.rounds.schedule.views", 1, "--pipeline.rounds.edit.steps", 2],
        *["--pipeline.rounds.losses.lpips", "off", *RAW],
        cwd=folder,
    )


def test_rounds_on_a_terminal_leave_one_bar_and_few_lines(screen):
    shown = "\n".join(screen)
    lines = before(shown, "Rounds side by side:")
    assert len(lines) < MOST_LINES, shown
    bars = [line for line in lines if "━" in line]
    assert len(bars) == 1 and bars[0].startswith("Editing ") and "3/3, loss" in bars[0], shown
    assert all(len(line) <= 80 for line in bars)
    assert any(line.startswith("Viewer: http://") for line in lines)
    assert "Finished" not in shown and "Config(" not in shown and "Traceback" not in shown


def test_resumed_rounds_say_little(screen, folder):
    run = next((folder / "outputs" / "capture" / "fasttext2style-ip2p").iterdir())
    lines = before(_log_of("ft2s", "rounds", "resume", run, "--rounds", 2, cwd=folder), "Rounds side by side: ")
    assert_calm([line for line in lines if line])
    assert any(line.startswith("Continuing with round 2") for line in lines)
