"""What a live session says on the terminal."""

import gc
import logging
import os
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest

from fasttext2style.live.session import LiveSession
from fasttext2style.plugin.host.allocator import keep_what_is_there
from fasttext2style.plugin.runs.recipe import parse_line
from fasttext2style.plugin.viewer import run_live
from fasttext2style.scene.files.ply import read_ply
from tests.ball import ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, SelectRows, open_session
from tests.plugin.hosts import make_capture, style_config
from tests.scene.random_scene import assert_equal


class Broken:
    """A job with a mistake in it."""

    title = "Broken"

    def run(self, scene, progress):
        return {}["missing"]


def _session(folder) -> LiveSession:
    return open_session(PlainHost(ball_on_floor(), folder / "scene.pt"), capture_cameras(), folder)


def test_an_unexpected_error_is_shown_once_with_its_traceback(tmp_path, capfd):
    with run_live._tracebacks_on_the_terminal():
        assert not _session(tmp_path).do(Broken())
    said = "".join(capfd.readouterr())
    assert said.count("Traceback") == 1 and "KeyError: 'missing'" in said and "test_run_live.py" in said
    assert logging.getLogger("fasttext2style").propagate, "as it was before"


def test_garbage_is_not_looked_for_among_what_is_there_at_the_start():
    try:
        keep_what_is_there()
        assert len(gc.get_objects()) < 0.01 * gc.get_freeze_count()
    finally:
        gc.unfreeze()


def test_ctrl_c_ends_after_the_present_step_and_the_second_one_at_once(tmp_path, capsys):
    session = _session(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    with run_live._ended_by_signals(session):
        os.kill(os.getpid(), signal.SIGINT)
        assert "Stopping after this step. Press Ctrl-C again to quit now." in capsys.readouterr().out
        session.run()  # returns: it was closed
        try:
            os.kill(os.getpid(), signal.SIGINT)
            quits = False
        except KeyboardInterrupt:
            quits = True
        assert quits
    assert signal.getsignal(signal.SIGINT) is before


def test_the_line_that_goes_on_with_a_session_can_be_pasted(tmp_path):
    """The folder has a blank and a quote in its name; the capture needs options of its parser."""
    config = style_config(make_capture(tmp_path / "my capture"), tmp_path / "it's here", prompt="a bear of gold")
    config.live, config.load_ply = True, tmp_path / "scene.ply"
    checkpoints = tmp_path / "it's here" / "nerfstudio_models"
    name, *words = shlex.split(run_live.command_to_continue(config, checkpoints))
    again = parse_line(words)
    assert (name, again.live, again.load_dir, again.load_ply) == ("ns-train", True, checkpoints, None)
    assert (again.data, again.prompt) == (tmp_path / "my capture", "a bear of gold")
    assert again.pipeline.datamanager.dataparser.orientation_method == "none"


@pytest.mark.parametrize("run_is", ["there", "gone", "read-only"])
def test_a_session_that_cannot_be_saved_says_where_its_scene_is(tmp_path, monkeypatch, run_is):
    """Its history was removed; its whole run; and nothing can be put in its place."""
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    session = _session(folder)
    assert session.do(SelectRows(0, 10))
    shutil.rmtree(folder / "history" if run_is == "there" else folder)
    if run_is == "read-only":  # of whoever else: an administrator may write anywhere
        folder.write_text("in the way")
    with pytest.raises(ValueError, match=r"Steps were removed .* The scene was written to (.*)") as refused:
        run_live.save_or_rescue(session)
    path = Path(re.search(r"written to (.*)\.$", str(refused.value))[1])
    assert path.parent == (elsewhere if run_is == "read-only" else folder / "exports")
    assert_equal(read_ply(path), ball_on_floor())
