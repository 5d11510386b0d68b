"""Runs of fasttext2style-ip2p on the ball; as a script, one that is killed while it trains."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from fasttext2style.plugin.rounds.method import fasttext2style_ip2p
from fasttext2style.scene.files.ply import write_ply
from tests.plugin.hosts import BALL, _placed, ball_on_floor, make_capture


def rounds_capture(folder: Path) -> Path:
    """The capture, its scene and its object."""
    make_capture(folder)
    write_ply(folder / "scene.ply", ball_on_floor())
    weights = np.zeros(len(ball_on_floor()), np.float32)
    weights[:BALL] = 1
    np.save(folder / "ball.npy", weights)
    return folder


def rounds_config(capture: Path, output: Path, rounds: int = 2, steps: int = 6, mode: str = "restyle"):
    """Settings of short rounds with a small editor."""
    config = _placed(fasttext2style_ip2p.config, capture, output)
    config.timestamp = "run"
    config.load_ply = capture / "scene.ply"
    config.prompt = config.pipeline.model.prompt = "make it red"
    config.pipeline.object.file = capture / "ball.npy"
    config.pipeline.editor = "tests.rounds.editors:Painter"
    config.pipeline.mode = mode
    config.pipeline.rounds.schedule.rounds = rounds
    config.pipeline.rounds.schedule.steps = steps
    config.pipeline.rounds.losses.lpips = "off"
    config.pipeline.growth.every = 5
    config.pipeline.growth.gradient_threshold = 0.0
    config.pipeline.video_seconds = 0.0
    return config


def set_up(config):
    """A trainer that is about to train."""
    torch.manual_seed(config.machine.seed)
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    return trainer


if __name__ == "__main__":
    capture, output, rounds, steps, mode, seconds = sys.argv[1:]
    trainer = set_up(rounds_config(Path(capture), Path(output), int(rounds), int(steps), mode))
    started = time.process_time()
    # The kernel ends this process after so much of its own computing time, wherever it is: unlike wall time that does
    # not depend on what else the machine does. Nobody handles the signal, so nothing is cleaned up. 0 is never.
    signal.setitimer(signal.ITIMER_PROF, float(seconds))
    trainer.train()
    print("COMPUTED", time.process_time() - started)
