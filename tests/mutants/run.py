"""Mutation testing of one room: `make mutants ROOM=history`. See README.md beside this file."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

# As in conftest.py, before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from forks import OUTCOMES, Baseline, Fork, judge, preload, record
from sample import Mutant, sample

ROOT = Path(__file__).resolve().parents[2]
ACCEPTED = Path(__file__).with_name("accepted.toml")
GOAL = 0.85
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".ci", "outputs", "demo", "build", "*.egg-info", ".*cache", ".hypothesis"
)


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped"))  # so that forks and copies go with this process
    room = arguments.room
    accepted = _accepted(room)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"mutants-{room}-") as folder:
        # From here on only the copy is looked at: the checkout may go on changing.
        clean = Path(folder) / "clean"
        shutil.copytree(ROOT, clean, ignore=LEFT_OUT)
        mutants = sample(clean, _files(clean, room), arguments.count, arguments.seed)
        if arguments.only:
            mutants = [mutant for mutant in mutants if lies_at(mutant, arguments.only)]
        if not mutants:
            places = " or ".join(arguments.only or [])
            sys.exit(f"Nothing of the sample of {room} lies at {places}" if places else "No mutants")
        skipped = [it for it in mutants if arguments.skip_accepted and (it.path, it.was, it.became) in accepted]
        asked = [mutant for mutant in mutants if mutant not in skipped]
        known = f" and {len(skipped)} that survive, as is accepted" if skipped else ""
        print(f"{len(asked)} mutants of {room}{known}; first its tests on the code as it is ...", flush=True)
        try:
            results = _judged(clean, room, asked, arguments.processes, arguments.patience)
        except ValueError as error:
            sys.exit(str(error))
    results += [_facts(mutant) | {"outcome": "survived", "by": None, "error": None} for mutant in skipped]
    for result in results:
        reason = accepted.get(_lines(result))
        result["accepted"] = reason if result["outcome"] == "survived" else None
    share = _report(room, results, time.monotonic() - started)
    drawn = {(mutant.path, mutant.was, mutant.became) for mutant in mutants if not arguments.only}
    for path, was, _ in accepted.keys() & drawn - {_lines(result) for result in results if result["accepted"]}:
        print(f"Accepted, but killed: take it out of {ACCEPTED.name}: {path}: {was}")
    target = Path(arguments.json or ROOT / "outputs" / "mutants" / f"{room}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    facts = {"room": room, "seed": arguments.seed, "killed": share, "python": platform.python_version()}
    target.write_text(json.dumps(facts | {"mutants": results}, indent=1) + "\n", encoding="utf8")
    print(f"{target} has the details.")
    return 0 if share >= GOAL else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("room", help="a folder of fasttext2style/ that has one of the same name in tests/")
    parser.add_argument("--count", type=int, default=60, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--patience", type=float, default=10.0, help="CPU seconds that a test may take in any case")
    parser.add_argument("--only", nargs="+", help="of the sample only what lies there: store.py, or store.py:94")
    parser.add_argument("--skip-accepted", action="store_true", help="count accepted survivors without running them")
    parser.add_argument("--json", help="where the results go; outputs/mutants/ROOM.json if not given")
    arguments = parser.parse_args()
    rooms = sorted(path.name for path in (ROOT / "tests").iterdir() if (ROOT / "fasttext2style" / path.name).is_dir())
    rooms = [room for room in rooms if not room.startswith("_")]
    if arguments.room not in rooms:
        parser.error(f"ROOM should be one of {', '.join(rooms)}, got {arguments.room!r}: make mutants ROOM=history")
    return arguments


def lies_at(mutant: Mutant, places: list[str]) -> bool:
    """Whether it lies in one of these files, or on one of these lines: styling/gate.py, gate.py:75."""
    named = (f"/{mutant.path}", f"/{mutant.path}:{mutant.line}")
    return any(name.endswith(f"/{place}") for place in places for name in named)


def _files(root: Path, room: str) -> list[str]:
    """The room's code from the checkout's root, without numba kernels: those are compiled, and cached by their file."""
    paths = sorted((root / "fasttext2style" / room).rglob("*.py"))
    return [path.relative_to(root).as_posix() for path in paths if "import numba" not in path.read_text("utf8")]


def _accepted(room: str) -> dict[tuple[str, str, str], str]:
    entries = tomllib.loads(ACCEPTED.read_text("utf8")).get(room, [])
    return {(entry["path"], entry["was"], entry["became"]): entry["reason"] for entry in entries}


def _judged(clean: Path, room: str, mutants: list[Mutant], processes: int, patience: float) -> list[dict]:
    """Every mutant's fate. The files are changed in copies of the checkout, one for each process, never in place.

    Raises:
        ValueError: the tests do not pass on the code as it is.
    """
    baseline = record(clean, f"tests/{room}", f"fasttext2style/{room}")
    trees = [clean.with_name(f"tree{number}") for number in range(processes)]
    for tree in trees:
        shutil.copytree(clean, tree)
    preload(baseline.modules)
    gc.freeze()
    # The first is none: if the tests do not pass in a fork, all mutants would seem to be killed.
    todo: list[Mutant | None] = [None, *mutants]
    results, running = [], {}
    try:
        while todo or running:
            while todo and trees:
                mutant = todo.pop(0)
                tree = trees.pop()
                fork = _start(tree, room, baseline, mutant, len(todo), patience)
                running[fork.pid] = (fork, tree, mutant, len(todo))
            pid, status, usage = os.wait4(-1, 0)
            fork, tree, mutant, number = running.pop(pid)
            fork.ended(usage)
            trees.append(tree)
            code = os.waitstatus_to_exitcode(status)
            outcome = OUTCOMES.get(code, "crashed")
            if mutant is None:
                if outcome != "survived":
                    raise ValueError(f"The tests should pass in a fork, but ended with {code}:\n{fork.output()}")
                continue
            shutil.copy2(clean / mutant.path, tree / mutant.path)
            results.append(_result(clean.parent, mutant, outcome, fork, number))
            place = f"{mutant.path}:{mutant.line}  {mutant.operator}"
            print(f"{len(results):3}/{len(mutants)} {outcome:8} {fork.cpu_seconds:5.1f} s  {place}", flush=True)
            if outcome == "survived":
                print(_diff(mutant.was, mutant.became), flush=True)
    finally:
        for fork, *_ in running.values():
            fork.kill()
    return results


def _start(tree: Path, room: str, baseline: Baseline, mutant: Mutant | None, number: int, patience: float) -> Fork:
    """Put the mutant into the tree and the room's tests to work on it."""
    if mutant is None:
        return judge(tree, f"tests/{room}", baseline, ("", 0, 0), str(number), patience)
    path = tree / mutant.path
    # Compiled files are recognized by whole seconds: no mutant may look like the file as it was.
    modified = path.stat().st_mtime + 1 + number
    path.write_text(mutant.code, encoding="utf8")
    os.utime(path, (modified, modified))
    place = (mutant.path, mutant.begin, mutant.line)
    return judge(tree, f"tests/{room}", baseline, place, str(number), patience)


def _result(folder: Path, mutant: Mutant, outcome: str, fork: Fork, number: int) -> dict:
    verdict = {"by": None, "error": None}
    last = folder / f"{number}.json"
    if outcome != "survived" and last.exists():
        verdict = json.loads(last.read_text("utf8"))
    return _facts(mutant) | {"outcome": outcome, **verdict, "cpu_seconds": round(fork.cpu_seconds, 2)}


def _facts(mutant: Mutant) -> dict:
    facts = asdict(mutant)
    del facts["code"]
    return facts


def _report(room: str, results: list[dict], seconds: float) -> float:
    """Print what survived, and the share that was killed; return the latter."""
    survivors = sorted((result for result in results if result["outcome"] in ("survived", "unjudged")), key=_place)
    for result in survivors:
        note = f"   accepted: {result['accepted']}" if result["accepted"] else ""
        print(f"\n{result['path']}:{result['line']}  {result['operator']}  {result['outcome']}{note}")
        print(_diff(result["was"], result["became"]))
    killed = len(results) - len(survivors)
    share = killed / len(results)
    known = sum(1 for result in survivors if result["accepted"])
    late = sum(1 for result in results if result["outcome"] == "timeout")
    print(
        f"\n{room}: {killed} of {len(results)} killed ({share:.0%}, goal {GOAL:.0%}), of which {late} ran too long; "
        f"{len(survivors)} survived, of which {known} are accepted. {seconds / 60:.1f} minutes."
    )
    return share


def _diff(was: str, became: str) -> str:
    return "\n".join(f"  {sign} {line}" for sign, lines in (("-", was), ("+", became)) for line in lines.splitlines())


def _lines(result: dict) -> tuple[str, str, str]:
    return result["path"], result["was"], result["became"]


def _place(result: dict) -> tuple[str, int]:
    return result["path"], result["line"]


if __name__ == "__main__":
    sys.exit(main())
