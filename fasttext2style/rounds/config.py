"""All settings of rounds in one."""

from __future__ import annotations

from dataclasses import dataclass, field

from fasttext2style.rounds.folder import KeepConfig
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.targets import EditConfig


@dataclass
class RoundsConfig:
    """Everything about rounds that is neither scene nor editor."""

    schedule: Schedule = field(default_factory=Schedule)
    """How many rounds of which views and steps."""
    edit: EditConfig = field(default_factory=EditConfig)
    """What the editor is asked."""
    losses: LossConfig = field(default_factory=LossConfig)
    """What a training step minimises."""
    keep: KeepConfig = field(default_factory=KeepConfig)
    """Which pictures are kept, and how."""
