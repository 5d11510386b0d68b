"""Runs of version 0.1 name our classes where they stood then: nerfstudio's loader finds them where they are now.

A run's config.yml holds Python objects by module and name. Every ns-* command reads it with PyYAML's `Loader`, which
runs what it says; our own commands do not (`read_config`). Settings that came since have their defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml
from nerfstudio.engine.trainer import TrainerConfig

from fasttext2style.trust.documents import read_yaml_text
from fasttext2style.trust.objects import Known, load_objects

MOVED = {
    "fasttext2style.plugin.datamanager.SceneDatamanager": "fasttext2style.plugin.host.datamanager",
    "fasttext2style.plugin.datamanager.SceneDatamanagerConfig": "fasttext2style.plugin.host.datamanager",
    "fasttext2style.plugin.model.SceneModel": "fasttext2style.plugin.host.model",
    "fasttext2style.plugin.model.SceneModelConfig": "fasttext2style.plugin.host.model",
    "fasttext2style.plugin.object_choice.ObjectChoice": "fasttext2style.selection.choice",
    "fasttext2style.plugin.optimizers.FusedAdamConfig": "fasttext2style.plugin.host.optimizers",
    "fasttext2style.plugin.rounds_pipeline.RoundsPipeline": "fasttext2style.plugin.rounds.pipeline",
    "fasttext2style.plugin.rounds_pipeline.RoundsPipelineConfig": "fasttext2style.plugin.rounds.pipeline",
    "fasttext2style.plugin.rounds_trainer.RoundsTrainer": "fasttext2style.plugin.rounds.trainer",
    "fasttext2style.plugin.rounds_trainer.RoundsTrainerConfig": "fasttext2style.plugin.rounds.trainer",
    "fasttext2style.plugin.scene_pipeline.ScenePipelineConfig": "fasttext2style.plugin.host.pipelines",
    "fasttext2style.plugin.strategy.GrowthConfig": "fasttext2style.styling.growth",
    "fasttext2style.plugin.style_pipeline.StylePipeline": "fasttext2style.plugin.style.pipeline",
    "fasttext2style.plugin.style_pipeline.StylePipelineConfig": "fasttext2style.plugin.style.pipeline",
    "fasttext2style.plugin.trainer.SceneTrainer": "fasttext2style.plugin.scene.trainer",
    "fasttext2style.plugin.trainer.SceneTrainerConfig": "fasttext2style.plugin.scene.trainer",
    "fasttext2style.plugin.trainer.StyleTrainer": "fasttext2style.plugin.style.trainer",
    "fasttext2style.plugin.trainer.StyleTrainerConfig": "fasttext2style.plugin.style.trainer",
}
"""Class as version 0.1 wrote it -> module where it stands now."""
KNOWN = Known(("nerfstudio", "fasttext2style"), ("torch.optim",), MOVED)
"""What the config.yml of a run may name."""
_TAG = "tag:yaml.org,2002:python/"


def read_config(path: Path) -> TrainerConfig:
    """The settings of a run from its config.yml, of this version or of 0.1; nothing that the file says is run.

    Raises:
        ValueError: not such a file, damaged, or of a method or version that is not installed.
    """
    try:
        config = load_objects(read_yaml_text(path), KNOWN)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read: {error}. Was the run made by another version, or by a method that is not "
            f"installed here? Its scene can still be used: --load-dir {path.parent}."
        ) from error
    if not isinstance(config, TrainerConfig):
        raise ValueError(f"{path} holds a {type(config).__name__}, expected the config.yml of a run.")
    return config


def read_runs_of_0_1() -> None:
    """Teach PyYAML's `Loader`, for this process; for nerfstudio's commands at the door (`plugin.methods`)."""
    for old, module in MOVED.items():
        new = f"{module}.{old.rpartition('.')[2]}"
        yaml.Loader.add_constructor(f"{_TAG}object:{old}", _object_of(new))
        yaml.Loader.add_constructor(f"{_TAG}name:{old}", _name_of(new))


def _object_of(name: str) -> Any:
    def construct(loader: yaml.Loader, node: yaml.MappingNode) -> Iterator[Any]:
        instance = loader.make_python_instance(name, node, newobj=True)
        yield instance
        for setting in fields(instance):
            if setting.default_factory is not MISSING:
                setattr(instance, setting.name, setting.default_factory())
        loader.set_python_instance_state(instance, loader.construct_mapping(node, deep=True))

    return construct


def _name_of(name: str) -> Any:
    return lambda loader, node: loader.find_python_name(name, node.start_mark)
