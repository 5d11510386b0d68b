"""What nerfstudio reads at every start of every ns-* command: three methods and their settings. Imports nothing heavy.

`fasttext2style` styles an object by a sentence; `fasttext2style-ip2p` edits it in rounds by an instruction, with an
editor of pictures; `fasttext2style-scene` is splatfacto on our rasterizer, which also
trains without CUDA, and reconstructs the scene when no base run is given.
"""

from __future__ import annotations

import numpy as np
import torch
from nerfstudio.configs.base_config import LocalWriterConfig, LoggingConfig, MachineConfig, ViewerConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.engine.schedulers import ExponentialDecaySchedulerConfig
from nerfstudio.plugins.types import MethodSpecification

from fasttext2style.plugin.datamanager import SceneDatamanagerConfig
from fasttext2style.plugin.model import SceneModelConfig
from fasttext2style.plugin.optimizers import FusedAdamConfig
from fasttext2style.plugin.rounds_pipeline import RoundsPipelineConfig
from fasttext2style.plugin.rounds_trainer import RoundsTrainerConfig
from fasttext2style.plugin.scene_pipeline import ScenePipelineConfig
from fasttext2style.plugin.style_pipeline import StylePipelineConfig
from fasttext2style.plugin.trainer import SceneTrainerConfig, StyleTrainerConfig


def _allow_learning_rates_in_checkpoints() -> None:
    """Let `torch.load(weights_only=True)` read the NumPy numbers that nerfstudio's schedulers put into checkpoints.

    torch >= 2.6 refuses every nerfstudio checkpoint otherwise (nerfstudio issue 3683). The allow-list holds for the
    whole process, so runs of other methods load again, too. Nothing but float64 scalars and their dtype is allowed.
    """
    if not hasattr(torch.serialization, "add_safe_globals"):
        return
    scalar = np.float64(0).__reduce__()[0]
    allowed: list = [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        type(np.dtype("float64")),
    ]
    torch.serialization.add_safe_globals(allowed)


_allow_learning_rates_in_checkpoints()

_ON_CUDA = torch.cuda.is_available()


def _machine() -> MachineConfig:
    return MachineConfig(device_type="cuda" if _ON_CUDA else "cpu")


def _viewer() -> ViewerConfig:
    """The viewer listens on this machine only, and a finished run ends: `ns-viewer` opens it again."""
    return ViewerConfig(websocket_host="127.0.0.1", quit_on_train_completion=True)


def _logging() -> LoggingConfig:
    """Our own progress bar replaces nerfstudio's table of numbers."""
    return LoggingConfig(local_writer=LocalWriterConfig(enable=False), profiler="none")


def _adam(lr: float, lr_final: float | None = None, steps: int = 30000) -> dict:
    scheduler = None if lr_final is None else ExponentialDecaySchedulerConfig(lr_final=lr_final, max_steps=steps)
    return {"optimizer": FusedAdamConfig(lr=lr), "scheduler": scheduler}


# A CPU trains one tenth of splatfacto's steps on small views: every interval shrinks with them. Measured on `bear`.
_SCENE_STEPS = 30000 if _ON_CUDA else 3000

fasttext2style_scene = MethodSpecification(
    config=SceneTrainerConfig(
        method_name="fasttext2style-scene",
        max_num_iterations=_SCENE_STEPS,
        steps_per_eval_batch=0,
        steps_per_eval_image=0,
        steps_per_eval_all_images=0,
        steps_per_save=2000 if _ON_CUDA else 500,
        machine=_machine(),
        logging=_logging(),
        viewer=_viewer(),
        vis="tensorboard",
        pipeline=ScenePipelineConfig(
            datamanager=SceneDatamanagerConfig(
                dataparser=NerfstudioDataParserConfig(load_3D_points=True), cache_images_type="uint8"
            ),
            model=SceneModelConfig() if _ON_CUDA else SceneModelConfig.for_cpu(_SCENE_STEPS),
        ),
        # splatfacto's own rates; the means decay over the steps that are really trained.
        optimizers={
            "means": _adam(1.6e-4, 1.6e-6, _SCENE_STEPS),
            "features_dc": _adam(0.0025),
            "features_rest": _adam(0.0025 / 20),
            "opacities": _adam(0.05),
            "scales": _adam(0.005),
            "quats": _adam(0.001),
        },
    ),
    description="splatfacto on fasttext2style's rasterizer: trains with CUDA and without.",
)

fasttext2style = MethodSpecification(
    config=StyleTrainerConfig(
        method_name="fasttext2style",
        max_num_iterations=200,
        steps_per_eval_batch=0,
        steps_per_eval_image=0,
        steps_per_eval_all_images=0,
        steps_per_save=1000,
        machine=_machine(),
        logging=_logging(),
        viewer=_viewer(),
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
            "means": _adam(1e-5),
            "features_dc": _adam(0.02),
            "features_rest": _adam(0.02 / 20),
            "opacities": _adam(0.005),
            "scales": _adam(0.002),
            "quats": _adam(0.001),
        },
    ),
    description="Type a sentence: one object of a 3D Gaussian Splatting scene takes on that style, by CLIP.",
)

fasttext2style_ip2p = MethodSpecification(
    config=RoundsTrainerConfig(
        method_name="fasttext2style-ip2p",
        # Every round saves at its end; how many steps there are follows from the schedule.
        max_num_iterations=0,
        steps_per_eval_batch=0,
        steps_per_eval_image=0,
        steps_per_eval_all_images=0,
        steps_per_save=10**9,
        machine=_machine(),
        logging=_logging(),
        viewer=_viewer(),
        vis="viewer+tensorboard",
        pipeline=RoundsPipelineConfig(
            datamanager=SceneDatamanagerConfig(
                dataparser=NerfstudioDataParserConfig(load_3D_points=False), cache_images_type="uint8"
            ),
            model=SceneModelConfig(num_random=16, background_color="black"),
        ),
        # splatfacto's own rates for form, of which the mode restyle takes a tenth; colour has fewer steps to get there.
        optimizers={
            "means": _adam(1.6e-4),
            "features_dc": _adam(0.005 if _ON_CUDA else 0.02),
            "features_rest": _adam((0.005 if _ON_CUDA else 0.02) / 20),
            "opacities": _adam(0.05),
            "scales": _adam(0.005),
            "quats": _adam(0.001),
        },
    ),
    description="An instruction edits one object of a scene: render, edit by InstructPix2Pix, train, in rounds.",
)
