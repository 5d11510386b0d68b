"""Several processes that tune one editor come to what one comes to with as many samples at once."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests import forked

TRAINING = [
    *("ft2s", "editor", "train", "toy", "--editor", "tiny", "--encoder", "", "--cases", "3", "--size", "32"),
    *("--epochs", "2", "--reward", "outside=-1", "--measure-every", "1", "--rank", "2", "--batch", "4"),
    *("--steps", "2", "--image-guidance", "1", "--groups", "1", "--samples", "5", "--updates", "1"),
]


def tuned(folder: Path, processes: int, *changes: str) -> tuple[Path, list[str]]:
    """A training by so many processes as `accelerate launch --cpu` starts them; its folder, and what each printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for index in range(processes):
        launch = {"RANK": str(index), "LOCAL_RANK": str(index), "WORLD_SIZE": str(processes), "MASTER_PORT": port}
        launch |= {"LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true"}
        command = [*TRAINING, "--output", folder / "tuned", *changes]
        streams = [str(folder / f"{name}{index}") for name in ("output", "errors")]
        folder.mkdir(exist_ok=True)
        started.append(forked.start(command, folder, *streams, **(launch if processes > 1 else {})))
    for process in started:
        process.join(300)
    said = [(folder / f"output{index}").read_text() for index in range(processes)]
    errors = [(folder / f"errors{index}").read_text() for index in range(processes)]
    assert [process.exitcode for process in started] == [0] * processes, (said, errors)
    return folder / "tuned", said


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ppo", "supervised"])
def test_two_processes_come_to_what_one_comes_to_with_twice_the_batch(tmp_path, method):
    """But for the last digits of sums: an odd number of samples, so that the shares differ."""
    one, _ = tuned(tmp_path / "one", 1, "--method", method)
    two, said = tuned(tmp_path / "two", 2, "--method", method, "--batch", "2")
    alone, shared = (load_file(folder / "lora.safetensors") for folder in (one, two))
    learnt = max(float(value.abs().max()) for name, value in alone.items() if "lora_B" in name or "lora.up" in name)
    assert learnt > 1e-4, "the LoRA starts at 0"
    for name, value in alone.items():
        torch.testing.assert_close(shared[name], value, rtol=0, atol=0.02 * learnt, msg=name)
    rewards = [
        [epoch["held_out"]["reward"] for epoch in json.loads((folder / "training.json").read_text())["epochs"]]
        for folder in (one, two)
    ]
    assert rewards[1] == pytest.approx(rewards[0], abs=1e-5)
    assert "LoRA:" in said[0] and "LoRA" not in said[1], "one of them speaks"
