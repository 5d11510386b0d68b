"""Views looked at by workers of Ray, for real. A minute; run with -m workers."""

from __future__ import annotations

import importlib.util
from contextlib import closing

import pytest
import torch

from fasttext2style.evaluation.edit import EditedScene
from fasttext2style.evaluation.evaluate import evaluate_edit
from fasttext2style.evaluation.seen import LoadObserver
from fasttext2style.guidance.tiny_encoder import TinyEncoder
from fasttext2style.workers.choice import read_workers
from fasttext2style.workers.hiring import hire
from tests.evaluation.test_evaluate import CAPTIONS, PATH, VIEWS, _is_ball, _painted, ball_on_floor

pytestmark = pytest.mark.workers
if importlib.util.find_spec("ray") is None:
    pytest.skip('Ray is not installed: pip install "fasttext2style[workers]"', allow_module_level=True)


def test_two_workers_come_to_the_numbers_and_pictures_of_one_process():
    import ray

    scene = ball_on_floor()
    edit = EditedScene.matched(scene, _painted(scene, _is_ball(scene), (0.8, 0.1, 0.1)), _is_ball(scene))
    report, pictures = evaluate_edit(edit, VIEWS, PATH, CAPTIONS, [TinyEncoder()])
    try:
        crew, _ = hire(read_workers("2"), LoadObserver.of(edit, ["tiny"]), "cpu", "the scene")
        with closing(crew):
            ours, seen = evaluate_edit(edit, VIEWS, PATH, CAPTIONS, [TinyEncoder()], crew=crew)
    finally:
        ray.shutdown()
    assert ours == report
    assert all(torch.equal(seen[name], picture) for name, picture in pictures.items())
