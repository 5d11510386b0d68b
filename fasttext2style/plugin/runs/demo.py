"""The main job on the embedded scene: the same trainer, pipeline and results as `ns-train fasttext2style`."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.scripts.train import train_loop

from fasttext2style.scene.files.atomic import check_folder
from fasttext2style.terminal.console import say


def run_demo(prompt: str, output: Path, steps: int = 0, size: int = 256) -> Path:
    """Write the toy capture, style its bear, say where the pictures are; returns the results folder."""
    from fasttext2style.plugin.style.method import fasttext2style
    from fasttext2style.plugin.style.trainer import StyleTrainerConfig
    from fasttext2style.scene.files.ply import write_ply
    from fasttext2style.toy.scene import toy_scene, write_dataset

    output = check_folder(output)
    say("Rendering the embedded scene (the first start compiles the CPU rasterizer, about 20 s)")
    scene = toy_scene(width=size, height=size)
    capture = (output / "capture").absolute()
    write_dataset(scene, capture)
    write_ply(capture / "scene.ply", scene.gaussians)

    config = deepcopy(fasttext2style.config)
    assert isinstance(config, StyleTrainerConfig)
    config.data = config.pipeline.datamanager.data = capture
    config.load_ply = capture / "scene.ply"
    config.output_dir = output.absolute()
    config.experiment_name = "bear"
    config.vis = "tensorboard"
    config.prompt = config.pipeline.model.prompt = prompt
    config.pipeline.encoder = "tiny"
    parser = config.pipeline.datamanager.dataparser
    assert isinstance(parser, NerfstudioDataParserConfig)
    # The .ply is in the capture's own coordinates.
    parser.orientation_method, parser.center_method, parser.auto_scale_poses = "none", "none", False
    if steps:
        config.max_num_iterations = steps
    config.set_timestamp()
    config.save_config()
    train_loop(0, 1, config)
    results = config.get_base_dir() / "results"
    say(f"Open {results / 'contact_sheet.png'}")
    return results
