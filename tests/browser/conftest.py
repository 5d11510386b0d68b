"""A live session of the real command in a process of its own, and a headless Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from fasttext2style.scene.files.ply import write_ply
from fasttext2style.toy.scene import WORLD_OPTIONS, toy_scene, write_dataset
from tests import forked
from tests.browser.live_page import ARGUMENTS, LivePage

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, driven by playwright, whose event loop other tests must not meet: it ends with each file."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class LiveRun:
    """A process of `ns-train fasttext2style --live True`."""

    process: ForkServerProcess
    address: str
    log: Path
    output: Path

    def said(self, text: str, seconds: float) -> None:
        """Wait until the log holds a text."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert self.process.is_alive() and time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.join(60)

    def interrupt(self) -> int | None:
        """Ctrl-C; returns the exit code, None if it does not end."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGINT)
        self.process.join(60)
        return self.process.exitcode


def start_live_run(method: list[str], capture: Path, output: Path, earlier: Path | None = None) -> LiveRun:
    """Start `ns-train` with these arguments on the embedded scene, or on that of an earlier run; it is ready some time
    later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output.mkdir(parents=True, exist_ok=True)
    log = output / "log.txt"
    log.touch()
    command = [
        *("ns-train", *method, "--live", "True"),
        *("--data", str(capture)),
        *(("--load-ply", str(capture / "scene.ply")) if earlier is None else ("--load-dir", str(earlier))),
        *("--output-dir", str(output), "--vis", "viewer", "--timestamp", "live"),
        *("--viewer.websocket-port", str(port), "nerfstudio-data", *WORLD_OPTIONS),
    ]
    process = forked.start(command, output, str(log), str(log))
    return LiveRun(process, f"http://127.0.0.1:{port}", log, output)


@pytest.fixture(scope="session")
def capture(tmp_path_factory) -> Path:
    """The embedded scene, small."""
    folder = tmp_path_factory.mktemp("toy")
    scene = toy_scene(width=128, height=128, train_views=12, test_views=2, path_views=2)
    write_dataset(scene, folder)
    write_ply(folder / "scene.ply", scene.gaussians)
    return folder


@pytest.fixture(scope="module")
def live_run(request, browser, capture, tmp_path_factory) -> Iterator[LiveRun]:
    """Of the test file's METHOD."""
    run = start_live_run(request.module.METHOD, capture, tmp_path_factory.mktemp("live"))
    try:
        run.said("Ready", 300)
        yield run
    finally:
        run.stop()


@pytest.fixture(scope="module")
def page(browser, live_run) -> Iterator[LivePage]:
    page = LivePage(browser, live_run.address)
    yield page
    page.close()
