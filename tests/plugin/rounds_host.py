"""Runs of fasttext2style-ip2p on the ball; as a script, to be killed from outside."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fasttext2style.plugin.methods import fasttext2style_ip2p
from fasttext2style.scene.ply import write_ply
from tests.plugin.hosts import BALL, _placed, ball_on_floor, make_capture, train


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


if __name__ == "__main__":
    train(rounds_config(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
