"""What a live session says on the terminal."""

import logging
import os
import signal

from fasttext2style.live.session import LiveSession
from fasttext2style.plugin.viewer import run_live
from tests.ball import ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, open_session


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
