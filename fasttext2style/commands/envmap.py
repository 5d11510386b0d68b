"""ft2s envmap: the panorama around a scene, panoramas edited by a sentence, and looking at them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fasttext2style.commands.envmap_edit import Edit
from fasttext2style.commands.envmap_learning import Evaluate, Finetune, TrainVae
from fasttext2style.commands.envmap_sky import Sky, sky_called
from fasttext2style.commands.history import change_run
from fasttext2style.commands.shared import RunPath
from fasttext2style.terminal.console import say

if TYPE_CHECKING:
    from torch import Tensor

    from fasttext2style.history.delta import Delta
    from fasttext2style.history.history import History
    from fasttext2style.history.state import SceneState
    from fasttext2style.plugin.runs.run import Run

PanoramaPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]


@dataclass
class Set:
    """Put a panorama around the scene of a run: seen in the viewer, ns-render and the turntable where the scene leaves
    something free. A step that `ft2s history` takes back, drops and blends; no Gaussian changes."""

    path: RunPath
    """Folder of a run; it gets a new checkpoint."""
    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[FILE]")] = None
    """A panorama of all directions, twice as wide as high: .hdr, .exr, .png or .jpg. Its middle lies along +x."""
    sky: str = ""
    """In place of a file: a sky that comes with the program, such as sunset. `ft2s envmap sky` lists them."""
    yaw: float = 0.0
    """Degrees by which it is turned, counterclockwise seen from above."""
    exposure: float = 0.0
    """Stops by which it is brighter: each doubles."""
    repair: bool = False
    """Take negative radiance and what is no number for 0, infinite radiance for 65504, instead of refusing the file."""
    harmonise: Literal["", "object", "scene"] = ""
    """Tint the object, or the whole scene, by the new light over the old one, in the same step. Colours alone: no
    shadow and no highlight moves. Where nothing was around the scene, nobody knows its light: an even one is taken."""

    def run(self) -> None:
        from fasttext2style.envmaps.formats import read_head

        if (self.file is None) == (not self.sky):
            raise ValueError("Give a FILE or a --sky, one of both: `ft2s envmap sky` lists the skies")
        # Before the run is opened, which takes its time.
        if self.file is None:
            self.sky = sky_called(self.sky)
        else:
            read_head(self.file)
        change_run(self.path, self._set)
        say(self._where_seen)

    def _set(self, run: Run, history: History, state: SceneState) -> SceneState:
        from fasttext2style.envmaps.around import set_environment, set_sky, where_seen

        tint = partial(self._tint, run, history, state) if self.harmonise else None
        if self.file is None:
            step = set_sky(history, self.sky, self.yaw, self.exposure, tint)
        else:
            step = set_environment(history, self.file, self.yaw, self.exposure, self.repair, tint)
        if tint is not None:
            state = history.delta(step.id).moved(state, 0.0, 1.0)
        what = self.sky if self.file is None else self.file.name
        self._where_seen = f"Around the scene: {what}. {where_seen(state.gaussians(), run.cameras())}"
        return state

    def _tint(self, run: Run, history: History, state: SceneState, panorama: Tensor) -> Delta:
        from fasttext2style.envmaps.around import environment_of
        from fasttext2style.envmaps.harmony import harmonised
        from fasttext2style.history.delta import Delta

        weights = state.selection if self.harmonise == "object" else state.selection.new_ones(len(state))
        if not bool((weights > 0).any()):
            raise ValueError("--harmonise object: nothing is selected in this run. Select it first, or take scene")
        old = environment_of(history, run.model.background_color)
        columns = harmonised(state.gaussians(), weights, run.cameras(), panorama, old)
        return Delta.of_rows(state.ids, {name: state.columns[name] for name in columns}, columns)


@dataclass
class Show:
    """Draw a panorama and the views that it gives along the axes and up and down; say how bright it is."""

    file: PanoramaPath
    """A panorama: .hdr, .exr, .png or .jpg."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The .png; NAME_views.png in the working directory by default."""
    yaw: float = 0.0
    """Degrees by which it is turned, counterclockwise seen from above."""
    exposure: float | None = None
    """Stops by which it is brighter; by default those that bring its median to middle grey."""
    repair: bool = False
    """As in `ft2s envmap set`."""

    def run(self) -> None:
        from fasttext2style.envmaps.show import show_panorama

        output = self.output or Path(f"{self.file.stem}_views.png")
        for line in show_panorama(self.file, output, self.yaw, self.exposure, self.repair):
            say(line)


@dataclass
class Envmap:
    """Panoramas of light around a scene."""

    action: (
        Annotated[Set, tyro.conf.subcommand("set", prefix_name=False)]
        | Annotated[Edit, tyro.conf.subcommand("edit", prefix_name=False)]
        | Annotated[Show, tyro.conf.subcommand("show", prefix_name=False)]
        | Annotated[Sky, tyro.conf.subcommand("sky", prefix_name=False)]
        | Annotated[TrainVae, tyro.conf.subcommand("train-vae", prefix_name=False)]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate", prefix_name=False)]
        | Annotated[Finetune, tyro.conf.subcommand("finetune", prefix_name=False)]
    )

    def run(self) -> None:
        self.action.run()
