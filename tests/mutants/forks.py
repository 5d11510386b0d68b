"""Runs tests in forks of a process that has imported the libraries already (torch alone takes seconds).

A fork imports the package and the tests anew, from a copy of the checkout. It never runs on after its verdict, and a
test that takes much longer than it should is ended by the kernel, be it in Python, in C or asleep.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

OUTCOMES = {
    0: "survived",
    pytest.ExitCode.TESTS_FAILED: "killed",
    pytest.ExitCode.INTERRUPTED: "killed",  # test modules that could not be imported
    pytest.ExitCode.USAGE_ERROR: "killed",  # a conftest that could not be imported
    pytest.ExitCode.INTERNAL_ERROR: "unjudged",
    pytest.ExitCode.NO_TESTS_COLLECTED: "unjudged",
    -signal.SIGPROF: "timeout",
    -signal.SIGALRM: "timeout",
}
SLOW = 1.0
"""Seconds beyond which a test comes after all others."""
MEMORY = 8 << 30
"""Bytes that a fork may take beyond what it begins with."""


@dataclass
class Baseline:
    """How the room's tests ran on the code as it is."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Test -> wall time, without its setup."""
    setup_seconds: float = 0.0
    """Of all tests: fixtures for many tests are set up by whichever comes first."""
    tests_of_line: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    """File -> line -> tests that ran it, in their own process."""
    modules: list[str] = field(default_factory=list)
    """Libraries that were imported, in this order."""

    def nearness(self, test: str, path: str, begin: int, end: int) -> int:
        """How likely a test kills a mutant of these lines: 0 if it runs them, 1 if others of the file, else 2.

        2 is rare but happens: what the lines made may be kept for all tests (fixtures, caches), or the test runs them
        in another process.
        """
        rows = self.tests_of_line.get(path, {})
        if any(test in rows.get(line, ()) for line in range(begin, end + 1)):
            return 0
        return 1 if any(test in tests for tests in rows.values()) else 2


class Recorder:
    """A pytest plugin that measures a baseline."""

    def __init__(self) -> None:
        self.baseline = Baseline()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.baseline.seconds[report.nodeid] = report.duration
        else:
            self.baseline.setup_seconds += report.duration


class Judge:
    """A pytest plugin for a mutant: tests that are likely to kill it come first, and none takes much longer."""

    def __init__(self, baseline: Baseline, place: tuple[str, int, int], verdict: Path, patience: float) -> None:
        self.baseline, self.place, self.verdict, self.patience = baseline, place, verdict, patience

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        seconds = {item: self.baseline.seconds.get(item.nodeid, 0.0) for item in items}
        ranks = {
            item: (seconds[item] > SLOW, self.baseline.nearness(item.nodeid, *self.place), item.location[0])
            for item in items
        }
        # The quickest first; those of one file stay together, so that their fixtures are set up once.
        cost: dict[tuple[bool, int, str], float] = defaultdict(float)
        for item in items:
            cost[ranks[item]] += seconds[item]
        items.sort(key=lambda item: (*ranks[item][:2], cost[ranks[item]], ranks[item][2], seconds[item]))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item):
        self._write(item.nodeid, "")
        limit(self.patience + 5 * (self.baseline.seconds.get(item.nodeid, 0.0) + self.baseline.setup_seconds))
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self._write(report.nodeid, crash.message.partition("\n")[0] if crash else "")

    def _write(self, test: str, error: str) -> None:
        self.verdict.write_text(json.dumps({"by": test, "error": error}), encoding="utf8")


def limit(seconds: float) -> None:
    """End this process after so many seconds of CPU, or four times as many of any kind (the machine may be busy)."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 4 * seconds)


def record(tree: Path, tests: str, source: str) -> Baseline:
    """The room's tests on the code as it is, in a fork.

    Raises:
        ValueError: they do not pass, or run other code.
    """
    report = tree.parent / "baseline.json"
    fork = Fork(tree, tree.parent / "baseline.log")
    if fork.is_child:
        fork.finish(lambda: _record(tests, source, report))
    if fork.wait() != 0:
        raise ValueError(f"{tests} should pass on the code as it is, but does not:\n{fork.output()}")
    content = json.loads(report.read_text())
    if not content["lines"]:
        raise ValueError(f"{tests} ran no line of {source} in the copy of the checkout: is another one imported?")
    lines = {path: {int(n): set(names) for n, names in rows.items()} for path, rows in content.pop("lines").items()}
    return Baseline(tests_of_line=lines, **content)


def _record(tests: str, source: str, report: Path) -> int:
    import coverage

    recorder = Recorder()
    os.environ["COVERAGE_FILE"] = str(report.with_suffix(".coverage"))
    known = set(sys.modules)
    code = pytest.main(
        [*PYTEST, tests, f"--cov={source}", "--cov-context=test", "--cov-report=", "--cov-config=/dev/null"],
        plugins=[recorder],
    )
    data = coverage.CoverageData(os.environ["COVERAGE_FILE"])
    data.read()
    lines = {
        os.path.relpath(path): {
            line: sorted({context.rpartition("|")[0] for context in contexts if context})
            for line, contexts in data.contexts_by_lineno(path).items()
        }
        for path in data.measured_files()
    }
    ours = ("fasttext2style", "tests", "conftest", "_pytest", "__main__")
    baseline = recorder.baseline
    modules = [name for name in sys.modules if name not in known and name.partition(".")[0] not in ours]
    content = {"seconds": baseline.seconds, "setup_seconds": baseline.setup_seconds, "modules": modules}
    report.write_text(json.dumps(content | {"lines": lines}))
    return int(code)


def preload(modules: list[str]) -> None:
    """Import libraries for all forks to come. What cannot be imported alone is left to them.

    Ours must not come in this way (nerfstudio looks for plugins): type checks are put in at import.
    """
    sys.modules["fasttext2style"] = None  # type: ignore[assignment]
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    del sys.modules["fasttext2style"]


PYTEST = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]


class Fork:
    """A child process in a copy of the checkout; `finish` in it, `wait` for it outside."""

    def __init__(self, tree: Path, log: Path) -> None:
        self.log = log
        self.pid = os.fork()
        self.is_child = self.pid == 0
        self.cpu_seconds = 0.0
        if self.is_child:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            with open(log, "wb") as stream:
                os.dup2(stream.fileno(), 1)
                os.dup2(stream.fileno(), 2)
            os.chdir(tree)
            # Other files of this folder must not stand in for libraries.
            sys.path[:] = [str(tree), *(path for path in sys.path if path != str(Path(__file__).parent))]
            os.environ["PYTHONPATH"] = str(tree)
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))

    def finish(self, work) -> None:
        """Run `work` and end the process with its exit code, whatever happens."""
        code = pytest.ExitCode.INTERNAL_ERROR
        try:
            code = work()
        finally:
            sys.stdout.flush()
            os._exit(int(code))

    def wait(self) -> int:
        """Exit code, or minus the signal that ended it. Whatever it started goes with it."""
        _, status, usage = os.wait4(self.pid, 0)
        self.ended(usage)
        return os.waitstatus_to_exitcode(status)

    def ended(self, usage) -> None:
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def judge(tree: Path, tests: str, baseline: Baseline, place: tuple[str, int, int], name: str, patience: float) -> Fork:
    """Start the room's tests in a fork; its verdict is its exit code, the last test and its error stand in NAME.json.

    `place`: file, first and last line of what was changed.
    `patience`: seconds of CPU that each test may take beyond five times what it took on the code as it is.
    """
    fork = Fork(tree, tree.parent / f"{name}.log")
    if fork.is_child:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        limit(120)
        plugin = Judge(baseline, place, tree.parent / f"{name}.json", patience)
        fork.finish(lambda: pytest.main([*PYTEST, tests, "-p", "no:cov"], plugins=[plugin]))
    return fork
