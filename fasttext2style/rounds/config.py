"""All settings of rounds in one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fasttext2style.rounds.folder import KeepConfig
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.modes import check_mode
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.targets import EditConfig
from fasttext2style.rounds.views import LEAST_CROP


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

    def check(self, mode: str) -> None:
        """Raises ValueError for an unknown mode, and for settings out of range or that contradict each other."""
        check_mode(mode)
        for part in fields(self):
            settings = getattr(self, part.name)
            _check_choices(part.name, settings)
            settings.check()
        patch, losses = self.schedule.patch, self.losses
        if 0 < patch < LEAST_CROP and losses.lpips == "on" and losses.lpips_weight:
            raise ValueError(
                f"LPIPS needs patches of {LEAST_CROP} pixels or more, schedule.patch is {patch}: raise it, or set "
                "losses.lpips off."
            )


def _check_choices(owner: str, settings: Any) -> None:
    """Refuse what is none of a field's choices: the command line does so itself, config.yml and scripts do not."""
    for name, hint in get_type_hints(type(settings)).items():
        if get_origin(hint) is Literal and getattr(settings, name) not in get_args(hint):
            choices = ", ".join(get_args(hint))
            raise ValueError(f"{owner}.{name} is one of {choices}; got {getattr(settings, name)!r}.")
