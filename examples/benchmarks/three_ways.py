"""One capture, three ways to edit it: a sentence and CLIP, rounds on Gaussians, rounds on a NeRF. What does each cost?

    python examples/benchmarks/three_ways.py --out outputs/three_ways
    python examples/benchmarks/three_ways.py --data ../shared/data/captures/bear --size 96 --out outputs/three_ways_bear

Runs every command as a user would, all on views of one size, with the embedded encoder and the embedded editor: a
reconstruction of Gaussians and one of a NeRF, the three edits, and `ft2s compare`, which measures all in the same
views. Without --data it takes the embedded scene. Prints a table and writes three_ways.json, which has for each command
its seconds, CPU seconds, peak memory, and the load of the machine when it began and ended: where that is above the
number of cores, seconds say more about the neighbours, and CPU seconds are to be compared. The bar of the NeRF on the
embedded scene, base run and edit in 6 minutes on 2 cores, is told in both. Interrupted, it goes on with the command
that had not ended.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fasttext2style.evaluation.report import versions, write_report
from fasttext2style.toy.scene import WORLD_OPTIONS, toy_scene, write_dataset

BAR_SECONDS = 360.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="a capture; the embedded scene without")
    parser.add_argument("--size", type=int, default=64, help="longest side of the views")
    parser.add_argument("--sentence", default="a red bear", help="of the text style")
    parser.add_argument("--instruction", default="make it red", help="of the rounds")
    parser.add_argument("--splat-steps", type=int, default=1000)
    parser.add_argument("--nerf-steps", type=int, default=1000)
    parser.add_argument("--views", type=int, default=6, help="held-out views that are measured")
    parser.add_argument("--out", type=Path, default=Path("outputs/three_ways"))
    options = parser.parse_args()
    out = options.out.absolute()
    data, parser_options = options.data, []
    if data is None:
        data, parser_options = out / "capture", ["nerfstudio-data", *WORLD_OPTIONS]
        if not data.exists():
            write_dataset(toy_scene(width=options.size, height=options.size), data)
    commands = Commands(out, data.absolute(), options.size, parser_options)

    splats = commands.train("splats", "fasttext2style-scene", ["--max-num-iterations", str(options.splat_steps)])
    tiny = ["--encoder", "tiny", "--pipeline.video-seconds", "0"]
    text = commands.train("text style", "fasttext2style", ["--load-dir", splats, *tiny, "--prompt", options.sentence])
    edit = ["--editor", "tiny", "--prompt", options.instruction, "--pipeline.rounds.schedule.views", "12"]
    no_film = ["--pipeline.video-seconds", "0"]
    rounds = commands.train("splat rounds", "fasttext2style-ip2p", ["--load-dir", splats, *no_film, *edit])
    base = commands.train("nerf", "fasttext2style-nerf", ["--max-num-iterations", str(options.nerf_steps)])
    nerf = commands.train("nerf rounds", "fasttext2style-nerf", ["--load-dir", base, "--mask-run", text, *edit])

    compared = out / "compared"
    measure = ["--encoders", "tiny", "--max-views", str(options.views), "--output", str(compared)]
    commands.run("compare", ["ft2s", "compare", text, rounds, nerf, *measure])
    reports = json.loads((compared / "comparison.json").read_text())
    found = {name: report for name, report in reports.items() if name != "versions"}
    rows = {
        name: _row(report, commands.costs[base_run], commands.costs[name])
        for (name, base_run), report in zip(
            (("text style", "splats"), ("splat rounds", "splats"), ("nerf rounds", "nerf")), found.values()
        )
    }
    spent = {
        unit: sum(commands.costs[it][unit] for it in ("nerf", "nerf rounds")) for unit in ("seconds", "cpu_seconds")
    }
    result = {
        "capture": "the embedded scene" if options.data is None else options.data.name,
        "size": options.size,
        "sentence": options.sentence,
        "instruction": options.instruction,
        "rows": rows,
        "commands": commands.costs,
        "nerf_base_and_edit": spent | {"bar_seconds": BAR_SECONDS},
        "versions": versions(),
    }
    write_report(out / "three_ways.json", result)
    print(table(rows))
    print(f"NeRF, base run and edit: {spent['seconds']:.0f} s, {spent['cpu_seconds']:.0f} s of CPU time")
    print(f"Pictures: {compared / 'comparison.png'}")


class Commands:
    """Commands of the installation that this script runs in, on one capture, and what each cost."""

    def __init__(self, out: Path, data: Path, size: int, parser_options: list[str]) -> None:
        self.out, self._data, self._size, self._parser_options = out, data, size, parser_options
        self._kept = out / "costs.json"

    @property
    def costs(self) -> dict[str, dict[str, float]]:
        """By the names of the commands that have ended."""
        return json.loads(self._kept.read_text()) if self._kept.exists() else {}

    def train(self, name: str, method: str, options: list[str]) -> str:
        """`ns-train`, as a run under this name; returns its folder."""
        stamp = name.replace(" ", "_")
        command = [
            "ns-train", method, "--data", str(self._data), "--output-dir", str(self.out), "--experiment-name", "runs",
            "--timestamp", stamp, "--vis", "tensorboard",
            "--pipeline.datamanager.max-image-size", str(self._size), *options, *self._parser_options,
        ]  # fmt: skip
        self.run(name, command)
        return str(self.out / "runs" / method / stamp)

    def run(self, name: str, command: list[str]) -> None:
        """One command, in the folder of the results; not again when it ended well there before."""
        self.out.mkdir(parents=True, exist_ok=True)
        if name in self.costs:
            return
        program, loads, started = Path(sys.executable).with_name(command[0]), [os.getloadavg()[0]], time.perf_counter()
        process = subprocess.Popen([str(program), *command[1:]], cwd=self.out)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{name} ended with {process.returncode}: {' '.join(command)}")
        cost = {
            "seconds": round(time.perf_counter() - started, 1),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
            "peak_memory_gib": round(used.ru_maxrss / 2**20, 2),
            "load_before": round(loads[0], 1),
            "load_after": round(os.getloadavg()[0], 1),
        }
        self._kept.write_text(json.dumps(self.costs | {name: cost}, indent=2))


def _row(report: dict[str, Any], base: dict[str, float], edit: dict[str, float]) -> dict[str, Any]:
    outside = report["outside"]
    return {
        "base": base,
        "edit": edit,
        "mean_color": report["mean_color"],
        "outside_mask_psnr": outside["outside_mask"]["psnr"],
        "outside_mask_share_changed": outside["outside_mask"]["share_changed"],
        "gaussians_changed_outside": outside.get("gaussians_changed"),
        "agreement": {
            name: {when: round(pair[when]["rmse"], 4) for when in ("before", "after")}
            for name, pair in report["agreement"].items()
        },
        "similarity": {name: text["similarity_after"] for name, text in report["text"].items()},
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| | base run | edit | mean colour | outside its mask to before | Gaussians changed outside "
        "| views disagree (short, long range), before -> after | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        base, edit, agreement = row["base"], row["edit"], row["agreement"]
        colors = (" ".join(f"{value:.2f}" for value in row["mean_color"][when]) for when in ("before", "after"))
        psnr, foreign = row["outside_mask_psnr"], row["gaussians_changed_outside"]
        disagree = ", ".join(f"{pair['before']:.3f} -> {pair['after']:.3f}" for pair in agreement.values())
        lines.append(
            f"| {name} | {_cost(base)} | {_cost(edit)} | {' -> '.join(colors)} "
            f"| {psnr if isinstance(psnr, str) else format(psnr, '.1f')} dB "
            f"| {'has none' if foreign is None else foreign} | {disagree} "
            f"| {max(base['peak_memory_gib'], edit['peak_memory_gib']):.1f} GiB |"
        )
    return "\n".join(lines)


def _cost(cost: dict[str, float]) -> str:
    load = max(cost["load_before"], cost["load_after"])
    return f"{cost['seconds']:.0f} s (CPU {cost['cpu_seconds']:.0f} s, load {load:.0f})"


if __name__ == "__main__":
    main()
