"""The triplets that the tiny editor is trained on change the object and nothing else; its training can be stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fasttext2style.editors.editor import EditRequest
from fasttext2style.editors.load import load_editor

EXAMPLES = Path(__file__).parents[2] / "examples"
TRAINING = EXAMPLES / "train_tiny_editor"


@pytest.fixture
def training_modules(monkeypatch):
    """The training's modules lie beside its script and import one another, and those of the encoder, by bare name."""
    monkeypatch.syspath_prepend(str(TRAINING))
    before = set(sys.modules)
    import instructions
    import paint
    import stages
    import train
    import triplets

    yield instructions, paint, stages, train, triplets
    for name in set(sys.modules) - before:
        if EXAMPLES in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]


def test_a_stage_put_together_again_is_the_rendering(training_modules):
    """Surroundings and object, taken apart and composited, are what the camera saw."""
    from fasttext2style.scene.rasterize import render
    from fasttext2style.toy.scene import toy_scene

    _, paint, stages, _, _ = training_modules
    cameras = stages._cameras(2, 48, torch.Generator().manual_seed(0))
    scene = toy_scene()
    parts = stages._stages_of(scene, cameras)
    together = paint.original(parts.pick(torch.arange(2))).movedim(1, -1)
    assert (together - render(scene.gaussians, cameras)[0]).abs().max() < 0.03
    assert torch.allclose(parts.coverage[:, 0].float(), scene.masks(cameras), atol=1e-3)
    # Of a surface that is seen, the normal does not point away.
    seen = parts.coverage[:, 0] > 0.99
    assert (parts.normals[:, 2][seen] > -0.15).float().mean() > 0.98


def test_painting_changes_nothing_beside_the_object(training_modules):
    _, paint, stages, _, _ = training_modules
    shapes = stages.shape_stages(28, 48, torch.Generator().manual_seed(0))
    shapes = shapes.pick(torch.arange(28))
    looks = torch.arange(28)
    assert len(paint.LOOKS) == 28
    before, after = paint.original(shapes), paint.Paints(seed=0).paint(shapes, looks)
    beside = (shapes.coverage == 0).expand_as(before)
    assert beside.any() and torch.equal(before[beside], after[beside])
    assert (before - after)[~beside].abs().mean() > 0.1


def test_instructions_name_the_look_and_strangers_do_not(training_modules):
    instructions, paint, *_ = training_modules
    words = {word for look in paint.LOOKS for phrase in instructions.SYNONYMS[look] for word in phrase.split()}
    drawn = instructions.Instructions(seed=3)
    for look in paint.LOOKS:
        sentence = drawn.asking_for(look)
        assert any(phrase in sentence for phrase in instructions.SYNONYMS[look]), sentence
    for _ in range(200):
        assert not words & set(drawn.unknown().split())


SMALL = dict(size=32, stages=12, triplets=12, autoencoder_steps=2, steps=4, batch=4, checkpoint_steps=2)


@pytest.mark.slow
def test_training_makes_a_pipeline_that_loads(training_modules, tmp_path):
    *_, train, _ = training_modules
    train.main(train.Settings(tmp_path, **SMALL))
    images = torch.rand(1, 32, 32, 3)
    edited = load_editor(str(tmp_path / "pipeline")).edit(EditRequest(images, "make it red", steps=2)).images
    assert edited.shape == images.shape and not torch.equal(edited, images)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
def test_training_that_was_stopped_ends_as_if_it_had_not_been(training_modules, tmp_path):
    *_, train, _ = training_modules
    for folder, stops in (("whole", [4]), ("stopped", [2, 4])):
        for stop in stops:
            train.main(train.Settings(tmp_path / folder, stop=stop, **SMALL))
    request = EditRequest(torch.rand(1, 32, 32, 3), "make it red", steps=2)
    whole, stopped = (load_editor(str(tmp_path / name / "pipeline")).edit(request) for name in ("whole", "stopped"))
    assert torch.equal(whole.images, stopped.images)


@pytest.mark.slow
def test_training_data_do_not_depend_on_the_hash_seed():
    code = (
        f"import sys; sys.path.insert(0, {str(TRAINING)!r}); import hashlib, instructions, paint, stages, torch\n"
        "shapes = stages.shape_stages(14, 32, torch.Generator().manual_seed(0)).pick(torch.arange(14))\n"
        "pictures = paint.Paints(seed=0).paint(shapes, torch.arange(14))\n"
        "drawn = instructions.Instructions(0)\n"
        "said = [drawn.asking_for(look) + drawn.unknown() for look in paint.LOOKS]\n"
        "print(hashlib.sha256(pictures.numpy().tobytes() + repr(said).encode()).hexdigest())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
