"""What all our methods have in common in nerfstudio's settings."""

from __future__ import annotations

import torch
from nerfstudio.configs.base_config import LocalWriterConfig, LoggingConfig, MachineConfig, ViewerConfig
from nerfstudio.engine.schedulers import ExponentialDecaySchedulerConfig

from fasttext2style.plugin.host.optimizers import FusedAdamConfig

ON_CUDA = torch.cuda.is_available()


def machine() -> MachineConfig:
    return MachineConfig(device_type="cuda" if ON_CUDA else "cpu")


def viewer() -> ViewerConfig:
    """The viewer listens on this machine only, and a finished run ends: `ns-viewer` opens it again."""
    return ViewerConfig(websocket_host="127.0.0.1", quit_on_train_completion=True)


def logging() -> LoggingConfig:
    """Our own progress bar replaces nerfstudio's table of numbers."""
    return LoggingConfig(local_writer=LocalWriterConfig(enable=False), profiler="none")


def adam(lr: float, lr_final: float | None = None, steps: int = 30000) -> dict:
    scheduler = None if lr_final is None else ExponentialDecaySchedulerConfig(lr_final=lr_final, max_steps=steps)
    return {"optimizer": FusedAdamConfig(lr=lr), "scheduler": scheduler}
