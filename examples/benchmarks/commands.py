"""Processor time of what computes nothing: help, lists of what is on disk, and what the plugin adds to every ns-*.

    python examples/benchmarks/commands.py
    python examples/benchmarks/commands.py --run RUN

The bars: 1.5 s for help, 3 s for `ft2s history list`, 0.3 s for the plugin's import after nerfstudio's own. CPU time
(user and system) of the whole process (of the import alone), the smallest of some starts, so that other jobs hardly
count. Prints one table, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

HELP_SECONDS, LIST_SECONDS, IMPORT_SECONDS = 1.5, 3.0, 0.3
IMPORT = """
import time, nerfstudio.configs.base_config, nerfstudio.engine.trainer, nerfstudio.models.splatfacto
import nerfstudio.data.datamanagers.full_images_datamanager, nerfstudio.plugins.types
import nerfstudio.data.dataparsers.nerfstudio_dataparser
start = time.process_time()
import fasttext2style.plugin.methods
print(time.process_time() - start)
"""


def cpu_seconds(arguments: list[str], starts: int) -> float:
    """The cheapest of several starts of `ft2s`; raises CalledProcessError if it fails."""
    seconds = []
    for _ in range(starts):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([Path(sys.executable).with_name("ft2s"), *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def import_seconds(starts: int) -> float:
    """The cheapest import of the plugin among several, in a process that has imported nerfstudio."""
    command = [sys.executable, "-W", "ignore", "-c", IMPORT]
    return min(float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(starts))


def small_history(folder: Path) -> None:
    """A run of one step."""
    import torch

    from fasttext2style.history.delta import Delta
    from fasttext2style.history.history import History

    weights = {"selection": torch.zeros(3)}, {"selection": torch.ones(3)}
    History.open(folder / "history").record(Delta.of_rows(torch.arange(3), *weights), "everything", kind="selection")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run whose steps are listed; by default a history of one step")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("commands.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.run is None:
            small_history(Path(folder))
        run = str(options.run or folder)
        rows = [
            {"command": command, "cpu_seconds": cpu_seconds(arguments, options.starts), "bar": bar}
            for command, arguments, bar in (
                ("ft2s --help", ["--help"], HELP_SECONDS),
                ("ft2s select --help", ["select", "--help"], HELP_SECONDS),
                ("ft2s evaluate --help", ["evaluate", "--help"], HELP_SECONDS),
                ("ft2s words", ["words"], HELP_SECONDS),
                ("ft2s history list", ["history", "list", run], LIST_SECONDS),
            )
        ]
    added = {"command": "import of the plugin", "cpu_seconds": import_seconds(options.starts), "bar": IMPORT_SECONDS}
    rows.append(added)
    print("| command | CPU time | bar |\n|---|---|---|")
    for row in rows:
        print(f"| `{row['command']}` | {row['cpu_seconds']:.2f} s | {row['bar']} s |")
    from fasttext2style.evaluation.report import versions

    options.out.write_text(json.dumps({"commands": rows, "starts": options.starts, "versions": versions()}, indent=2))


if __name__ == "__main__":
    main()
