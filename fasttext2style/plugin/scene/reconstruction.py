"""No base run was given: reconstruct the scene first, as a run of its own that any later sentence can start from."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from shlex import quote

from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.utils.rich_utils import CONSOLE

from fasttext2style.plugin.scene.method import fasttext2style_scene
from fasttext2style.plugin.scene.trainer import SceneTrainerConfig


def reconstruct(style: SceneTrainerConfig, steps: int = 0) -> Path:
    """Train `fasttext2style-scene` on the capture of a style run; returns the folder of its checkpoints.

    `steps` above 0 are trained instead of the method's own number. The data settings (data parser, image size) are the
    style run's own, so that both see the same coordinates.
    """

    config = deepcopy(fasttext2style_scene.config)
    assert isinstance(config, SceneTrainerConfig)
    datamanager = deepcopy(style.pipeline.datamanager)
    if isinstance(datamanager.dataparser, NerfstudioDataParserConfig):
        datamanager.dataparser.load_3D_points = True
    config.pipeline.datamanager = datamanager
    config.pipeline.model.sh_degree = style.pipeline.model.sh_degree
    config.data = style.data
    config.output_dir = style.output_dir
    config.experiment_name = style.experiment_name
    config.timestamp = style.timestamp
    config.machine = deepcopy(style.machine)
    if steps:
        model = config.pipeline.model
        config.pipeline.model = type(model).for_cpu(steps) if steps < 15000 else model
        config.pipeline.model.sh_degree = model.sh_degree
        config.max_num_iterations = steps
        config.optimizers["means"]["scheduler"].max_steps = steps
    CONSOLE.print(
        "No --load-dir was given: the scene is reconstructed first. Another sentence on the same scene need not wait: "
        f"give it --load-dir {quote(str(config.get_checkpoint_dir()))}"
    )
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    return config.get_checkpoint_dir()
