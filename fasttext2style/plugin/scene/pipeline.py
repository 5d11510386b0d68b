"""nerfstudio's own pipeline with our data manager and model: all that reconstruction needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from nerfstudio.pipelines.base_pipeline import VanillaPipeline, VanillaPipelineConfig

from fasttext2style.plugin.host.datamanager import SceneDatamanagerConfig
from fasttext2style.plugin.host.model import SceneModelConfig


@dataclass
class ScenePipelineConfig(VanillaPipelineConfig):
    """Data and model of a scene."""

    _target: type = field(default_factory=lambda: VanillaPipeline)
    datamanager: SceneDatamanagerConfig = field(default_factory=SceneDatamanagerConfig)
    """Photographs and cameras."""
    model: SceneModelConfig = field(default_factory=SceneModelConfig)
    """The Gaussians."""
