"""Commands in processes of their own that are forks of one which has imported torch, nerfstudio and this package.

A start of `ns-train` imports for ten seconds before it does anything. Tests whose claim is not about that start, nor
about what a shell brings, use these; what is typed is what runs, by the entry points that pip installed.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import runpy
import sys
import tempfile
import termios
from importlib.metadata import entry_points
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

_IMPORTS = ["tests.host_imports", "fasttext2style.cli", "tests.forked"]
_ROOT = str(Path(__file__).parents[1])
_LONGEST = 600.0
"""Seconds after which a command is ended: no test waits that long for a good one."""
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_IMPORTS)


def start(command: list[object], cwd: Path, output: str, errors: str, **environment: str) -> ForkServerProcess:
    """The process of a command line, its two streams written to files (or one terminal), nothing to read."""
    words = [str(word) for word in command]
    process = _context.Process(target=_become, args=(words, str(cwd), output, errors, {**os.environ, **environment}))
    # A package brings a folder "tests" of its own. The server is told by the environment where ours is, or it would
    # look in the folder that happens to be the present one when it starts.
    with patch.object(sys, "path", [_ROOT, *sys.path]), patch.dict(os.environ, PYTHONPATH=_ROOT):
        process.start()
    return process


def run(*command: object, cwd: Path, **environment: str) -> CompletedProcess[str]:
    """Run `PROGRAM WORD...` or `python -m MODULE WORD...` in a folder, with the variables given changed."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = os.path.join(folder, "output"), os.path.join(folder, "errors")
        process = start(list(command), cwd, output, errors, **environment)
        process.join(_LONGEST)
        if process.exitcode is None:
            process.kill()
            process.join()
        said = [Path(path).read_text() if os.path.exists(path) else "" for path in (output, errors)]
        assert process.exitcode is not None
        return CompletedProcess(command, process.exitcode, *said)


def _become(words: list[str], cwd: str, output: str, errors: str, environment: dict[str, str]) -> None:
    # The server passes over what it cannot import, and every command would begin with ten seconds of imports.
    assert _IMPORTS[0] in sys.modules, f"{_IMPORTS[0]} cannot be imported"
    program = words[0]
    sys.argv = words
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:1] = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
    os.chdir(cwd)
    for path, stream in ((output, 1), (errors, 2)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, stream)
        os.close(opened)
    if os.isatty(1):
        os.setsid()
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)
        os.dup2(1, 0)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    try:
        if program == "python":
            assert words[1] == "-m"
            sys.argv = words[2:]
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        else:
            (script,) = entry_points(group="console_scripts", name=program)
            sys.exit(script.load()())
    except Exception:
        # multiprocessing would print a traceback of its own, whatever hook there is.
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
