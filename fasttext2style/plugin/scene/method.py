"""Method `fasttext2style-scene`: splatfacto on our rasterizer, which also trains without CUDA."""

from __future__ import annotations

from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.plugins.types import MethodSpecification

from fasttext2style.plugin.host.datamanager import SceneDatamanagerConfig
from fasttext2style.plugin.host.defaults import ON_CUDA, adam, logging, machine, viewer
from fasttext2style.plugin.host.model import SceneModelConfig
from fasttext2style.plugin.host.pipelines import ScenePipelineConfig
from fasttext2style.plugin.scene.trainer import SceneTrainerConfig

# A CPU trains one tenth of splatfacto's steps on small views: every interval shrinks with them. Measured on `bear`.
SCENE_STEPS = 30000 if ON_CUDA else 3000


fasttext2style_scene = MethodSpecification(
    config=SceneTrainerConfig(
        method_name="fasttext2style-scene",
        max_num_iterations=SCENE_STEPS,
        steps_per_eval_batch=0,
        steps_per_eval_image=0,
        steps_per_eval_all_images=0,
        steps_per_save=2000 if ON_CUDA else 500,
        machine=machine(),
        logging=logging(),
        viewer=viewer(),
        vis="tensorboard",
        pipeline=ScenePipelineConfig(
            datamanager=SceneDatamanagerConfig(
                dataparser=NerfstudioDataParserConfig(load_3D_points=True), cache_images_type="uint8"
            ),
            model=SceneModelConfig() if ON_CUDA else SceneModelConfig.for_cpu(SCENE_STEPS),
        ),
        # splatfacto's own rates; the means decay over the steps that are really trained.
        optimizers={
            "means": adam(1.6e-4, 1.6e-6, SCENE_STEPS),
            "features_dc": adam(0.0025),
            "features_rest": adam(0.0025 / 20),
            "opacities": adam(0.05),
            "scales": adam(0.005),
            "quats": adam(0.001),
        },
    ),
    description="splatfacto on fasttext2style's rasterizer: trains with CUDA and without.",
)
