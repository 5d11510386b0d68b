"""Gaussians without meaning, for tests of bookkeeping."""

from contextlib import contextmanager

import jaxtyping
import torch

from fasttext2style.scene.gaussians import Gaussians

FIELDS = ("means", "quats", "log_scales", "logit_opacities", "sh_dc", "sh_rest")


def random_gaussians(count: int = 7, degree: int = 2, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(count, 3), (count, 4), (count, 3), (count,), (count, 3), (count, (degree + 1) ** 2 - 1, 3)]
    return Gaussians(*(torch.randn(shape, generator=generator) for shape in shapes))


def assert_equal(ours: Gaussians, theirs: Gaussians) -> None:
    for field in FIELDS:
        assert torch.equal(getattr(ours, field), getattr(theirs, field)), field


@contextmanager
def as_users_run_it():
    """Without the checks of annotations that only tests have, so that our own errors come to light."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
