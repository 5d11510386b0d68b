"""What a person reads: said as it is, errors last, progress that is calm and knows when it does not know."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fasttext2style.terminal import console as ours
from fasttext2style.terminal import progress
from fasttext2style.terminal.console import errors_in_words, say, warn
from fasttext2style.terminal.progress import PhaseProgress, TimeLeft, in_words


@pytest.fixture()
def terminal(monkeypatch):
    """A terminal of 40 columns; what is printed on it."""
    printed = StringIO()
    wide = Console(file=printed, force_terminal=True, width=40, markup=False, emoji=False, highlight=False)
    monkeypatch.setattr(ours, "console", wide)
    monkeypatch.setattr(progress, "console", wide)
    return printed


# --- words --------------------------------------------------------------------------------------------------------


def _said(text, monkeypatch):
    printed = StringIO()
    monkeypatch.setattr(ours, "console", Console(file=printed, markup=False, emoji=False, highlight=False))
    say(text)
    return printed.getvalue()


@given(st.text(st.sampled_from(list("[]/\\:ab red#*")), max_size=30))
def test_nothing_that_is_said_is_read_as_markup(text):
    with pytest.MonkeyPatch.context() as patch:
        assert _said(text, patch) == text + "\n"


@pytest.mark.parametrize("text", ["gold [/b]", "[bold]", "[red]x[/red]", ":tada:", "\\[x]", "out [v2]/[/a]"])
def test_prompts_and_paths_are_printed_as_they_are(text, capsys):
    say(text)
    warn(text)
    with pytest.raises(SystemExit), errors_in_words():
        raise ValueError(text)
    assert capsys.readouterr().out == f"{text}\n{text}\n\nError: {text}\n"


def test_an_escape_sequence_does_not_reach_the_terminal(capsys):
    say("gold \x1b[2J\x1b]0;title\x07")
    assert "\x1b" not in capsys.readouterr().out


def test_a_log_wraps_nothing_and_a_terminal_between_words(terminal, monkeypatch):
    path = "/a/path/" + "that/is/longer/" * 5 + "than-the-terminal.ply"
    text = f"Pictures of what was changed and of what was not: {path}"
    say(text)
    assert terminal.getvalue().splitlines() == ["Pictures of what was changed and of what", "was not:", path]
    assert _said(text, monkeypatch) == text + "\n"


def test_errors_end_with_exit_code_1_and_bugs_are_not_hidden():
    for error in (ValueError("bad input"), OSError(28, "No space left on device")):
        with pytest.raises(SystemExit) as end, errors_in_words():
            raise error
        assert end.value.code == 1
    with pytest.raises(KeyError), errors_in_words():
        raise KeyError("a bug")


def test_speaking_needs_neither_nerfstudio_nor_torch():
    code = (
        "import sys, fasttext2style.terminal.console\n"
        "print({'nerfstudio', 'torch', 'viser', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd(), check=True)
    assert done.stdout == "set()\n"


# --- time left ----------------------------------------------------------------------------------------------------


def _steps(left: TimeLeft, durations, now=0.0, done=0):
    """Seconds left after each step."""
    known = []
    for duration in durations:
        now, done = now + duration, done + 1
        left.step_ended(done, now)
        known.append(left.seconds())
    return known


def test_the_first_step_compiles_and_says_nothing_about_the_others():
    # 20 s, then half a second each: 5 % of 100 steps are known at the sixth, when 94 are left.
    known = _steps(TimeLeft(100, 0, 0, now=0.0), [20.0] + 99 * [0.5])
    assert known[:5] == 5 * [None]
    assert known[5] == pytest.approx(47.0)
    assert known[39] == pytest.approx(30.0)
    assert known[-1] == 0.0


def test_ten_seconds_of_steps_are_enough_when_there_are_many():
    known = _steps(TimeLeft(30_000, 0, 0, now=0.0), [30.0] + 12 * [1.0])
    assert known[9] is None and known[10] == pytest.approx(30_000 - 11)


def test_what_was_done_before_a_resume_does_not_count():
    left = TimeLeft(100, start=50, cycle=0, now=0.0)
    known = _steps(left, [9.0] + 9 * [1.0], done=50)
    assert known[0] is None and known[-1] == pytest.approx(40.0)


def test_the_latest_steps_count_when_they_become_slower():
    known = _steps(TimeLeft(400, 0, 0, now=0.0), 200 * [0.1] + 100 * [1.0])
    assert known[-1] == pytest.approx(100.0, rel=0.01)


def test_rounds_are_known_after_the_first_one_but_in_the_last():
    # 3 rounds of 10 steps; the first step of each edits for 11 s, the others take 1 s: 20 s a round.
    durations = 3 * ([11.0] + 9 * [1.0])
    known = _steps(TimeLeft(30, 0, 10, now=0.0), durations)
    assert known[:9] == 9 * [None]
    assert known[9] == pytest.approx(40.0)
    assert known[14] == pytest.approx(5 + 20.0)
    assert known[24] == pytest.approx(5.0)
    # One round alone says how long its own steps take, once it has edited.
    alone = _steps(TimeLeft(10, 0, 10, now=0.0), [11.0] + 9 * [1.0])
    assert alone[0] is None and alone[1] == pytest.approx(8.0)


def test_seconds_minutes_hours():
    assert [in_words(seconds) for seconds in (4.4, 99.0, 100.0, 5400.0, 9000.0)] == [
        "4 s",
        "99 s",
        "2 min",
        "90 min",
        "2.5 h",
    ]


# --- progress -----------------------------------------------------------------------------------------------------


def _run(total, seconds_per_step, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with PhaseProgress("Reconstructing", total) as phase:
        for step in range(total):
            now[0] += seconds_per_step
            phase.update(step, 0.5)


def test_a_log_has_few_lines_however_long_a_phase_takes(capsys, monkeypatch):
    _run(28_800, 0.125, monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert 3 < len(lines) < 15
    assert lines[0] == "Reconstructing (28,800 steps)"
    assert lines[1].startswith("Reconstructing: 80 of 28,800 steps, loss 0.5000")
    assert lines[-1] == "Reconstructing: 28,800 of 28,800 steps, loss 0.5000, 60 min"


def test_a_short_phase_has_two_lines_in_a_log(capsys, monkeypatch):
    _run(5, 0.1, monkeypatch)
    assert capsys.readouterr().out.splitlines() == [
        "Reconstructing (5 steps)",
        "Reconstructing: 5 of 5 steps, loss 0.5000, 0 s",
    ]


def test_a_long_step_tells_how_far_it_is(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with PhaseProgress("Editing", 10) as phase:
        for part in range(100):
            now[0] += 1.0
            phase.part_of_step("editing", part, 100)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Editing (10 steps)", *(f"Editing: editing {percent} %" for percent in (9, 19, 39, 79))]


def test_on_a_terminal_there_is_one_bar(terminal):
    with PhaseProgress("Styling", 5) as phase:
        for step in range(5):
            phase.update(step, 0.5)
    drawn = terminal.getvalue()
    assert "5/5, loss 0.5000" in drawn and "Styling" in drawn
    # Drawn over and over in its own line: no line is left behind.
    assert drawn.count("\n") == 1
