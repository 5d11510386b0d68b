"""Method `fasttext2style-nerf`: an instruction edits a NeRF in rounds."""

from __future__ import annotations

from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.plugins.types import MethodSpecification

from fasttext2style.plugin.host.datamanager import SceneDatamanagerConfig
from fasttext2style.plugin.host.defaults import ON_CUDA, adam, logging, machine, viewer
from fasttext2style.plugin.nerf.model import NerfModelConfig
from fasttext2style.plugin.nerf.pipeline import NerfPipelineConfig
from fasttext2style.plugin.nerf.trainer import NerfTrainerConfig
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.schedule import Schedule

fasttext2style_nerf = MethodSpecification(
    config=NerfTrainerConfig(
        method_name="fasttext2style-nerf",
        # Every round saves at its end; how many steps there are follows from the schedule.
        max_num_iterations=0,
        steps_per_eval_batch=0,
        steps_per_eval_image=0,
        steps_per_eval_all_images=0,
        steps_per_save=2000 if ON_CUDA else 10**9,
        mixed_precision=ON_CUDA,
        machine=machine(),
        logging=logging(),
        viewer=viewer(),
        vis="viewer+tensorboard",
        pipeline=NerfPipelineConfig(
            datamanager=SceneDatamanagerConfig(
                dataparser=NerfstudioDataParserConfig(load_3D_points=False),
                cache_images_type="uint8",
                # A frame of 256 pixels takes 11 s on a CPU.
                max_image_size=0 if ON_CUDA else 96,
            ),
            model=NerfModelConfig(average_init_density=0.01, eval_num_rays_per_chunk=1 << 15)
            if ON_CUDA
            else NerfModelConfig.for_cpu(),
            rays=4096 if ON_CUDA else 1024,
            # All views in batches, then training: ours. The paper's schedule is a recipe.
            rounds=RoundsConfig(schedule=Schedule(patch=32 if ON_CUDA else 8, batch=16)),
        ),
        # nerfacto's.
        optimizers={
            "proposal_networks": adam(1e-2, 1e-4, 200_000),
            "fields": adam(1e-2, 1e-4, 200_000),
            "camera_opt": adam(1e-3, 1e-4, 5_000),
        },
    ),
    description="An instruction edits a NeRF: Instruct-NeRF2NeRF's dataset update on nerfacto, in rounds.",
)
