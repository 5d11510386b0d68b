"""All that only a GPU can show, in one go: checks, times, memory, pictures.

    python examples/benchmarks/on_a_gpu.py --captures ../shared/data/captures --out gpu

Every part is a process of its own with a time limit; one that fails or takes too long is written down with the end of
what it printed, and the next one begins. Writes gpu.json after each part, and beside it pictures and logs.
Exits with 1 if a part failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEST, TRAIN = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], ["ns-train"]
BENCH = {path.stem: [sys.executable, str(path)] for path in HERE.glob("*.py")}
GPU_TESTS = [
    str(HERE.parents[1] / "tests" / name)
    for name in (
        "scene/test_rasterize_gpu.py",
        "guidance",
        "editors/test_schedulers_on_gpu.py",
        "live/test_session_on_gpu.py",
        "plugin/test_on_gpu.py",
    )
]
BASE_STEPS = "7000"
"""As much as splatfacto's first checkpoints in print; a quarter of what is the default on CUDA."""


@dataclass(frozen=True)
class Part:
    """A command of one claim."""

    name: str
    command: list[str]
    limit: int
    """In seconds."""
    results: str = ""
    """Glob of JSON files that it leaves, relative to the output folder."""


def parts(captures: Path, processes: int) -> list[Part]:
    """What is asked most comes first."""
    quiet, bear = ["--viewer.quit-on-train-completion", "True", "--vis", "tensorboard"], str(captures / "bear")
    outputs = ["--output-dir", "outputs"]
    style = [*TRAIN, "fasttext2style", "--data", bear, *outputs, "--encoder", "tiny", *quiet]
    rounds = ["--editor", "tiny", "--prompt", "turn the bear into gold"]
    base = "outputs/bear/splatfacto/*/nerfstudio_models"
    return [
        Part("gpu_tests", [*TEST, "-n0", "-m", "gpu", *GPU_TESTS], 200),
        Part("demo", ["ft2s", "demo", "--output", "demo"], 120, "demo/**/report.json"),
        Part(
            "bear",
            [*style, "--prompt", "a bear made of gold", "--reconstruction-steps", BASE_STEPS],
            180,
            "outputs/bear/fasttext2style/*/results/report.json",
        ),
        Part("step_costs", [*BENCH["step_costs"], "--out", "step_costs.json"], 120, "step_costs.json"),
        Part(
            "splatfacto",
            [
                *TRAIN,
                "splatfacto",
                *outputs,
                "--max-num-iterations",
                BASE_STEPS,
                *quiet,
                "nerfstudio-data",
                "--data",
                bear,
            ],
            180,
        ),
        Part(
            "on_splatfacto",
            [*style, "--prompt", "a bear made of ice", "--load-dir", base],
            120,
            "outputs/bear/fasttext2style/*/results/report.json",
        ),
        Part(
            "rounds",
            [*TRAIN, "fasttext2style-ip2p", "--data", bear, *outputs, *quiet, *rounds, "--load-dir", base],
            150,
            "outputs/bear/fasttext2style-ip2p/*/results/report.json",
        ),
        Part("paper_table2", [*BENCH["paper_table2"], "--out", "table2.json"], 300, "table2.json"),
        Part(
            "editor_batches",
            [*BENCH["editor_batches"], "--model", "random", "--repeats", "1", "--out", "batches"],
            180,
            "batches/*.json",
        ),
        Part("live", [*BENCH["live_session"], "--device", "cuda", "--out", "live.json"], 120, "live.json"),
        Part("all_tests", [*TEST, "-n", str(processes), "--dist", "loadfile", str(HERE.parents[1] / "tests")], 400),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captures", type=Path, required=True, help="folder with the capture `bear`")
    parser.add_argument("--out", type=Path, default=Path("gpu"))
    parser.add_argument("--parts", nargs="+", help="of these names only")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 1) - 2), help="for the tests")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    every = parts(options.captures.resolve(), options.processes)
    if unknown := set(options.parts or []) - {part.name for part in every}:
        parser.error(f"no such parts: {sorted(unknown)}; there are {[part.name for part in every]}")
    book: dict = {"gpu": gpu(), "parts": {}}
    for part in every:
        if options.parts is None or part.name in options.parts:
            book["parts"][part.name] = done(part, options.out.resolve())
            (options.out / "gpu.json").write_text(json.dumps(book, indent=1) + "\n")
    if any(entry["exit"] != 0 for entry in book["parts"].values()):
        sys.exit(1)


def done(part: Part, folder: Path) -> dict:
    """Runs a part; its exit code, seconds, figures, and the end of what it printed."""
    command = [
        str(max(folder.glob(word), default=word)) if "*" in word else word for word in part.command
    ]  # of several runs the last
    log, started = folder / f"{part.name}.log", time.perf_counter()
    with open(log, "w") as stream:
        try:
            code = subprocess.run(
                command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT, timeout=part.limit, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = 124
        except FileNotFoundError as error:
            code = 127
            print(error, file=stream)
    seconds = round(time.perf_counter() - started, 1)
    end = log.read_text(errors="replace")[-1500:]
    found = {str(path.relative_to(folder)): json.loads(path.read_text()) for path in folder.glob(part.results or "-")}
    print(f"== {part.name}: exit {code} after {seconds} s\n{end if code else end[-400:]}", flush=True)
    return {"command": " ".join(command), "exit": code, "seconds": seconds, "figures": found, "end": end}


def gpu() -> dict[str, str]:
    import torch

    from fasttext2style.evaluation.report import versions

    if not torch.cuda.is_available():
        sys.exit(
            "torch sees no NVIDIA GPU here (torch.cuda.is_available() is False); this script is about nothing else."
        )
    return {"name": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda), **versions()}


if __name__ == "__main__":
    main()
