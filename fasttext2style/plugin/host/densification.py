"""Densification of whole scenes, by splatfacto's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy
from gsplat.strategy.ops import remove
from jaxtyping import Bool
from nerfstudio.models.splatfacto import SplatfactoModelConfig
from torch import Tensor

LOOKS = 6
"""So many times, while a scene is refined, what hangs before lenses is looked for: it takes a small render per view."""


class SceneDensification(DefaultStrategy):
    """splatfacto's, which also takes out what hangs before a single lens, while there is time to learn what it hid."""

    hanging: Callable[[], Bool[Tensor, " gaussians"]] | None = None
    """Finds it; None where no cameras are known."""

    @torch.no_grad()
    def _prune_gs(self, params: Any, optimizers: Any, state: dict[str, Any], step: int) -> int:
        count = super()._prune_gs(params, optimizers, state, step)
        if self.hanging is None or not self._looks_at(step):
            return count
        gone = self.hanging()
        if bool(gone.any()):
            remove(params=params, optimizers=optimizers, state=state, mask=gone)
        return count + int(gone.sum())

    def _looks_at(self, step: int) -> bool:
        span = max(1, self.refine_stop_iter - self.refine_start_iter) / LOOKS
        looks, looks_before = ((at - self.refine_start_iter) // span for at in (step, step - self.refine_every))
        return looks > looks_before


def splatfacto_densification(config: SplatfactoModelConfig, train_views: int) -> SceneDensification:
    """That of whole scenes, by splatfacto's settings."""
    return SceneDensification(
        prune_opa=config.cull_alpha_thresh,
        grow_grad2d=config.densify_grad_thresh,
        grow_scale3d=config.densify_size_thresh,
        grow_scale2d=config.split_screen_size,
        prune_scale3d=config.cull_scale_thresh,
        prune_scale2d=config.cull_screen_size,
        refine_scale2d_stop_iter=config.stop_screen_size_at,
        refine_start_iter=config.warmup_length,
        refine_stop_iter=config.stop_split_at,
        reset_every=config.reset_alpha_every * config.refine_every,
        refine_every=config.refine_every,
        pause_refine_after_reset=train_views + config.refine_every,
        absgrad=config.use_absgrad,
        revised_opacity=False,
        verbose=False,
    )
