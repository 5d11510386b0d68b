"""What all tests share: the real captures (when they lie beside the checkout) and calm threads."""

import gc
import os

# Before torch and numba are imported: two OpenMP runtimes that spin starve each other on small machines.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.quick_imports import quick_imports

# Which runs a user wrote is remembered in the user's own folder; for tests, and what they start, in another one.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="ft2s_state_")

# Nothing here outlives the machine: writers do not wait for its disk, half a minute of the whole suite. What is to be
# flushed, and when, is asked by `tests.full_disk.flushes_and_names`.
os.fsync = lambda fd: None

# Property tests take the same examples in every run: a failure is the change's, not the dice's.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """A GPU is out of sight, for these tests and for what they start, unless those marked gpu are asked for.

    Claims are of bits, and CPU and GPU round differently: on a machine with a GPU the same tests say the same.
    """
    asked_for = re.search(r"(?<!not )\bgpu\b", config.getoption("markexpr"))
    if not asked_for and "tests.pretend_cuda.plugin" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # Tests that run in the background of a shell inherit an ignored SIGINT, and some send one.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """open_clip, if a test imports it, is there six seconds earlier.

    timm, which open_clip imports, looks for wandb, and pydantic for the source of its classes through all frames.
    """
    sys.modules.setdefault("wandb", None)  # type: ignore[arg-type]
    with quick_imports():
        result = yield
    if sys.modules["wandb"] is None:
        del sys.modules["wandb"]
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kill loops and trainings take as long as they take; of all others one that waits forever is ended."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))


_MANY_MODULES = 100
_modules_looked_through = 0


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What was imported stays: it need not be looked through whenever garbage is collected (0.3 s each time).

    And of several lanes those without a browser step back: its page is drawn by the same cores, and its file is the
    longest.
    """
    if "PYTEST_XDIST_WORKER" in os.environ and not item.get_closest_marker("browser"):
        os.nice(max(0, 10 - os.getpriority(os.PRIO_PROCESS, 0)))
    global _modules_looked_through
    if len(sys.modules) > _modules_looked_through + _MANY_MODULES:
        gc.collect()
        gc.freeze()
        _modules_looked_through = len(sys.modules)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real captures, panoramas and weights; they belong to others and are never copied into the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real captures are not there ({SHARED_DATA.name}/ beside the checkout)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Folder of scripts that write inputs on which people saw this project fail; each says what should happen."""
    folder = SHARED_DATA.with_name("cases")
    if not folder.is_dir():
        pytest.skip("the cases are not there (shared/cases beside the checkout)")
    return folder


@pytest.fixture(autouse=True)
def _same_randomness_in_every_test():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def exporter():
    """The module of nerfstudio's `ns-export`: it loads open3d and pymeshlab, and these libraries of the system."""
    try:
        from nerfstudio.scripts import exporter
    except ImportError as error:
        pytest.skip(f"ns-export cannot start here: {error} (apt-get install libegl1 libgl1 libusb-1.0-0 libx11-6)")
    return exporter


class _Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture()
def hub() -> Iterator[str]:
    """Address of a server that answers, as a hub of weights does."""
    with HTTPServer(("127.0.0.1", 0), _Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
