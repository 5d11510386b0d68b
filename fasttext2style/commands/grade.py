"""ft2s grade: hue, saturation, brightness and their kin of an object, without a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fasttext2style.commands.history import change
from fasttext2style.commands.shared import RunPath
from fasttext2style.styling.grade_settings import Grade as Settings

if TYPE_CHECKING:
    from fasttext2style.history.history import History
    from fasttext2style.history.state import SceneState


@dataclass
class Grade:
    """Change the colours of a run's object, at once and exactly; a step that `ft2s history undo` takes back."""

    path: RunPath
    """Folder of a run; it gets a new checkpoint."""
    colors: Settings = field(default_factory=Settings)
    object_file: Path | None = None
    """A selection of `ft2s select`; without it the run's own object."""

    def run(self) -> None:
        self.colors.check()  # before the run is opened, which takes its time
        change(self.path, self._graded)

    def _graded(self, history: History, state: SceneState) -> SceneState:
        from fasttext2style.live.grade import record_grade
        from fasttext2style.selection.selection import Selection

        weights = state.selection
        if self.object_file is not None:
            selection = Selection.load(self.object_file)
            selection.check_matches(state.gaussians())
            weights = selection.weights.to(weights)
        return record_grade(history, state, weights, self.colors)
