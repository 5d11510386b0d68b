"""What `ft2s live` does: a live session on a scene in a file, or on that of a run."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from nerfstudio.engine.trainer import TrainerConfig

from fasttext2style.history.steps import named_folder
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.plugin.runs.recipe import run_recipe
from fasttext2style.plugin.style.trainer import StyleTrainerConfig
from fasttext2style.recipes.methods import default_config
from fasttext2style.recipes.recipe import parse_recipe
from fasttext2style.recipes.written import recipe_of
from fasttext2style.scene.files.scenes import lies_in_rows
from fasttext2style.trust.text import one_line
from fasttext2style.trust.typed import expanded


def open_live(scene: Path, rounds: bool = False, options: Sequence[str] = ()) -> None:
    """Print the `ns-train` line of a session on a scene, and run it.

    Args:
        scene: .ply, .spz, .sog, .splat, or the folder of a run (also its config.yml or nerfstudio_models).
        rounds: by an editor, in rounds.
        options: further words of ns-train's command line.

    Raises:
        ValueError: no such file or run.
    """
    config: Any = deepcopy(default_config("fasttext2style-ip2p" if rounds else "fasttext2style"))
    config.live, scene = True, expanded(scene).absolute()
    folder = named_folder(scene)
    if folder.is_dir():
        if not (folder / "config.yml").is_file():
            raise ValueError(
                f"{scene} is no run: it has no config.yml. Expected a run's folder, or a .ply, .spz, .sog or .splat."
            )
        _take_over(config, read_config(folder / "config.yml"), folder)
    elif not scene.exists():
        raise ValueError(f"{scene} does not exist; expected a 3DGS .ply, .spz, .sog or .splat, or the folder of a run.")
    else:
        lies_in_rows(scene)  # refuses other kinds of files
        config.load_ply = scene
    run_recipe(parse_recipe(recipe_of(config, "a live session")), options)


def _take_over(config: Any, run: TrainerConfig, folder: Path) -> None:
    """The scene, the capture and how it was read, and the sentence; who wrote the run decides nothing else."""
    theirs: Any = run.pipeline.datamanager
    if not hasattr(theirs, "dataparser"):
        raise ValueError(
            f"{folder} is a run of {one_line(str(run.method_name))} that names no capture: expected one of "
            "fasttext2style, fasttext2style-ip2p, fasttext2style-scene or splatfacto, or the .ply of its scene."
        )
    config.load_dir = folder / run.relative_model_dir
    config.data = config.pipeline.datamanager.data = run.data or theirs.data or theirs.dataparser.data
    config.pipeline.datamanager.dataparser = theirs.dataparser
    if isinstance(run, StyleTrainerConfig):
        config.pipeline.model.prompt = run.pipeline.model.prompt
        config.pipeline.model.sh_degree = run.pipeline.model.sh_degree
        config.pipeline.datamanager.max_image_size = run.pipeline.datamanager.max_image_size
        # A name, not code of somebody's; of a file of weights tensors alone are read.
        if ":" not in run.pipeline.encoder:
            config.pipeline.encoder = run.pipeline.encoder
            config.pipeline.encoder_weights = run.pipeline.encoder_weights
