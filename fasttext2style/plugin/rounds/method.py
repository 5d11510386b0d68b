"""Method `fasttext2style-ip2p`: an object is edited in rounds by an instruction."""

from __future__ import annotations

from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.plugins.types import MethodSpecification

from fasttext2style.plugin.host.datamanager import SceneDatamanagerConfig
from fasttext2style.plugin.host.defaults import ON_CUDA, adam, logging, machine, viewer
from fasttext2style.plugin.host.model import SceneModelConfig
from fasttext2style.plugin.rounds.pipeline import RoundsPipelineConfig
from fasttext2style.plugin.rounds.trainer import RoundsTrainerConfig

fasttext2style_ip2p = MethodSpecification(
    config=RoundsTrainerConfig(
        method_name="fasttext2style-ip2p",
        # Every round saves at its end; how many steps there are follows from the schedule.
        max_num_iterations=0,
        steps_per_eval_batch=0,
        steps_per_eval_image=0,
        steps_per_eval_all_images=0,
        steps_per_save=10**9,
        machine=machine(),
        logging=logging(),
        viewer=viewer(),
        vis="viewer+tensorboard",
        pipeline=RoundsPipelineConfig(
            datamanager=SceneDatamanagerConfig(
                dataparser=NerfstudioDataParserConfig(load_3D_points=False), cache_images_type="uint8"
            ),
            model=SceneModelConfig(num_random=16, background_color="black"),
        ),
        # splatfacto's own rates for form, of which the mode restyle takes a tenth; colour has fewer steps to get there.
        optimizers={
            "means": adam(1.6e-4),
            "features_dc": adam(0.005 if ON_CUDA else 0.02),
            "features_rest": adam((0.005 if ON_CUDA else 0.02) / 20),
            "opacities": adam(0.05),
            "scales": adam(0.005),
            "quats": adam(0.001),
        },
    ),
    description="An instruction edits one object of a scene: render, edit by InstructPix2Pix, train, in rounds.",
)
