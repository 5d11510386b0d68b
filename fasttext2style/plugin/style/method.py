"""Method `fasttext2style`: an object takes on the style of a sentence."""

from __future__ import annotations

from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.plugins.types import MethodSpecification

from fasttext2style.plugin.host.datamanager import SceneDatamanagerConfig
from fasttext2style.plugin.host.defaults import adam, logging, machine, viewer
from fasttext2style.plugin.host.model import SceneModelConfig
from fasttext2style.plugin.style.pipeline import StylePipelineConfig
from fasttext2style.plugin.style.trainer import StyleTrainerConfig

fasttext2style = MethodSpecification(
    config=StyleTrainerConfig(
        method_name="fasttext2style",
        max_num_iterations=200,
        steps_per_eval_batch=0,
        steps_per_eval_image=0,
        steps_per_eval_all_images=0,
        steps_per_save=1000,
        machine=machine(),
        logging=logging(),
        viewer=viewer(),
        vis="viewer+tensorboard",
        pipeline=StylePipelineConfig(
            datamanager=SceneDatamanagerConfig(
                dataparser=NerfstudioDataParserConfig(load_3D_points=False), cache_images_type="uint8"
            ),
            model=SceneModelConfig(num_random=16, background_color="black"),
        ),
        # Colour is the engine of CLIP styling. Form follows slowly: at splatfacto's own rates (means 1.6e-4, scales
        # 0.005) the surface of a real capture dissolves into flakes within 200 steps.
        optimizers={
            "means": adam(1e-5),
            "features_dc": adam(0.02),
            "features_rest": adam(0.02 / 20),
            "opacities": adam(0.005),
            "scales": adam(0.002),
            "quats": adam(0.001),
        },
    ),
    description="Type a sentence: one object of a 3D Gaussian Splatting scene takes on that style, by CLIP.",
)
