"""From a run to a tuned editor and back into rounds: its views and object are learned from, the LoRA is used."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fasttext2style.commands.editor import Evaluate, Train
from fasttext2style.editor_training.settings import LearningConfig, SamplingConfig, TrainingConfig
from fasttext2style.editors.editor import EditRequest
from fasttext2style.plugin.rounds.method import fasttext2style_ip2p
from fasttext2style.plugin.runs.editor_views import object_views
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.terminal.console import errors_in_words
from tests.ball import BALL, ball_on_floor
from tests.plugin.hosts import make_capture, scene_config, train


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """The ball on its floor, the ball selected."""
    folder = tmp_path_factory.mktemp("run")
    run_folder = train(scene_config(make_capture(folder / "capture"), folder / "outputs", steps=10)).base_dir
    weights = torch.zeros(len(ball_on_floor()))
    weights[:BALL] = 1
    open_run(run_folder).save(ball_on_floor(), weights)
    return run_folder


def tuning(run_folder, **changes) -> Train:
    config = TrainingConfig(
        epochs=1,
        reward=("outside=-1",),
        measure_every=1,
        rank=2,
        sampling=SamplingConfig(steps=2),
        learning=LearningConfig(groups=1, samples=2),
    )
    return Train(
        **{"data": str(run_folder), "prompt": ("make it red",), "editor": "tiny", "training": config} | changes
    )


def test_a_runs_views_come_with_the_object_in_them(run_folder):
    views = object_views(run_folder, at_most=3)
    assert views.images.shape == (3, 48, 48, 3) and views.masks.shape == (3, 48, 48, 1)
    # The ball is grey in the middle of each view, the floor around it green.
    inside = views.images[(views.masks > 0.95).expand_as(views.images)].view(-1, 3)
    outside = views.images[(views.masks < 0.05).expand_as(views.images)].view(-1, 3)
    assert len(inside) > 100 and inside.std(dim=1).mean() < 0.05
    assert outside[:, 1].sum() > 1.5 * outside[:, 0].sum()


def test_a_view_has_the_name_of_its_photograph_however_many_are_taken(run_folder):
    """By which a picture that an editor was trained on is known when it is measured."""
    few, more = object_views(run_folder, at_most=3), object_views(run_folder, at_most=5)
    names = [Path(name) for name in more.names]
    assert {name.parent.name for name in names} == {"capture"} and len(set(names)) == 5
    assert {name.name for name in names} <= {path.name for path in run_folder.parents[3].glob("capture/**/*")}
    assert few.names != more.names[:3]
    for view, name in enumerate(few.names):
        if name in more.names:
            assert torch.equal(few.images[view], more.images[more.names.index(name)])


def test_an_editor_is_tuned_on_a_run_and_rounds_take_its_lora(run_folder, capsys):
    tuning(run_folder, editor_settings={"batch_size": "2"}).run()
    folder = run_folder / "editor_training"
    lora = folder / "lora.safetensors"
    assert {"index.html", "training.json", "checkpoint.pt", "samples", "tensorboard"} <= {
        p.name for p in folder.iterdir()
    }
    assert "epoch_0001.png" in (folder / "index.html").read_text()
    assert str(lora) in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(SystemExit), errors_in_words():
        tuning(run_folder).run()
    assert "holds a training already" in capsys.readouterr().out.replace("\n", " ")

    pipeline = replace(deepcopy(fasttext2style_ip2p.config.pipeline), editor="tiny", editor_lora=lora)
    pipeline.rounds.losses.lpips = "off"
    pipeline.check()
    editor = pipeline.load_tools("cpu").editor
    info = editor.edit(EditRequest(torch.rand(1, 32, 32, 3), "make it red", steps=1)).info
    assert info["lora"] == {str(lora): hashlib.sha256(lora.read_bytes()).hexdigest()}


def test_editors_are_measured_on_a_run(run_folder, tmp_path, capsys):
    Evaluate(
        str(run_folder), ("make it red",), editor="tiny", output=tmp_path, at_most=2, sampling=SamplingConfig(steps=2)
    ).run()
    said = capsys.readouterr().out
    assert "returns its input (below the floor)" in said and "| tiny |" in said
    assert {path.name for path in tmp_path.iterdir()} == {"comparison.json", "comparison.md", "comparison.png"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": ()}, "no sentence of its own"),
        ({"prompt": ("make it so",)}, "no content words"),
        ({"caption": ("red", "blue")}, "1 instructions need as many captions, got 2"),
        ({"data": "nowhere", "prompt": ()}, "nowhere is no run"),
        ({"data": "toy"}, "leave --prompt and --caption out"),
    ],
)
def test_what_cannot_be_tuned_on_is_refused_in_words_and_nothing_is_left(
    run_folder, tmp_path, capsys, changes, message
):
    with pytest.raises(SystemExit), errors_in_words():
        tuning(run_folder, output=tmp_path / "tuned", **changes).run()
    assert message in capsys.readouterr().out.replace("\n", " ")
    assert not (tmp_path / "tuned" / "checkpoint.pt").exists()


def test_a_run_without_an_object_is_refused(run_folder):
    run = open_run(run_folder)
    kept = run.selection.clone()
    run.save(selection=torch.ones_like(kept))
    try:
        with pytest.raises(ValueError, match="has no object"):
            object_views(run_folder)
    finally:
        open_run(run_folder).save(selection=kept)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({}, "lora.safetensors is not there"), ({"lora": "other.safetensors"}, "named twice")],
)
def test_a_lora_that_is_not_there_or_named_twice_is_refused_before_anything_is_loaded(tmp_path, settings, message):
    pipeline = replace(
        fasttext2style_ip2p.config.pipeline, editor_lora=tmp_path / "lora.safetensors", editor_settings=settings
    )
    with pytest.raises(ValueError, match=message):
        pipeline.check()
