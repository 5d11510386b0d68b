"""No scene was given: reconstruct it first, as a run of its own that any later sentence can start from."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from shlex import quote

from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

from fasttext2style.plugin.host.run_config import RunConfig
from fasttext2style.plugin.scene.method import fasttext2style_scene
from fasttext2style.plugin.scene.trainer import SceneTrainerConfig
from fasttext2style.terminal.console import say


def reconstruct(run: RunConfig, steps: int = 0) -> Path:
    """Train `fasttext2style-scene` on the capture of another run; returns the folder of its checkpoints.

    The data settings (data parser, image size) are that run's own, so that both see the same coordinates. `steps` 0
    takes the method's default.
    """
    config = deepcopy(fasttext2style_scene.config)
    assert isinstance(config, SceneTrainerConfig)
    datamanager = deepcopy(run.pipeline.datamanager)
    if isinstance(datamanager.dataparser, NerfstudioDataParserConfig):
        datamanager.dataparser.load_3D_points = True
    config.pipeline.datamanager = datamanager
    config.pipeline.model.sh_degree = run.pipeline.model.sh_degree
    config.data = run.data
    config.output_dir = run.output_dir
    config.experiment_name = run.experiment_name
    config.timestamp = run.timestamp
    config.machine = deepcopy(run.machine)
    if steps:
        model = config.pipeline.model
        config.pipeline.model = type(model).for_cpu(steps) if steps < 15000 else model
        config.pipeline.model.sh_degree = model.sh_degree
        config.max_num_iterations = steps
        config.optimizers["means"]["scheduler"].max_steps = steps
    config.is_new = True
    config.save_config()
    say("Neither --load-dir nor --load-ply: the scene is reconstructed first. Another sentence can start from it:")
    say(f"  --load-dir {quote(str(config.get_checkpoint_dir().absolute()))}")
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    return config.get_checkpoint_dir()
