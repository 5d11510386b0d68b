"""Small states for tests of the history, and their comparison bit by bit."""

import torch

from fasttext2style.history.state import SceneState
from fasttext2style.scene.bits import same_bits
from tests.scene.random_scene import random_gaussians


def random_state(count: int = 9, seed: int = 0) -> SceneState:
    weights = torch.rand(count, generator=torch.Generator().manual_seed(seed))
    return SceneState.from_gaussians(random_gaussians(count, degree=1, seed=seed), weights)


def assert_same(ours: SceneState, theirs: SceneState) -> None:
    """Every bit of every tensor, and the order."""
    assert ours.ids.tolist() == theirs.ids.tolist()
    for name, column in theirs.columns.items():
        assert bool(same_bits(ours.columns[name], column).all()), name
