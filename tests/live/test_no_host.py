"""Nothing of live sessions, nor of their tests, needs nerfstudio, viser or the plugin."""

import subprocess
import sys
from pathlib import Path

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in ("nerfstudio", "viser", "fasttext2style.plugin"):
    sys.modules[name] = None  # importing it fails
for package in ("fasttext2style.live", "tests.live"):
    folder = importlib.import_module(package).__path__
    for module in pkgutil.iter_modules(folder):
        importlib.import_module(f"{package}.{module.name}")
        print(module.name)
"""


def test_live_sessions_and_their_tests_need_no_host():
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"session", "jobs", "style", "rounds", "test_session"} <= set(done.stdout.split())
