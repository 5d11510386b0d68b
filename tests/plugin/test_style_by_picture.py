"""`ns-train fasttext2style --style-image FILE`, from its checks to its report."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from fasttext2style.guidance import load, open_clip_encoder
from fasttext2style.history.history import History
from fasttext2style.recipes.paths import make_absolute
from fasttext2style.recipes.recipe import read_recipe
from fasttext2style.scene.files.ply import write_ply
from tests.plugin.hosts import BALL, ball_on_floor, make_capture, style_config, train
from tests.plugin.saved_files import differing_rows, of_ply, of_run


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = make_capture(tmp_path_factory.mktemp("capture"), masks=True)
    write_ply(folder / "scene.ply", ball_on_floor())
    weights = np.zeros(len(ball_on_floor()), np.float32)
    weights[:BALL] = 1
    np.save(folder / "ball.npy", weights)
    stripes = np.zeros((24, 40, 3), np.uint8)
    stripes[:, ::2] = (230, 190, 40)
    Image.fromarray(stripes).save(folder / "stripes of gold.png")
    return folder


def _config(capture, output, prompt="", picture="stripes of gold.png"):
    config = style_config(capture, output, prompt=prompt, steps=3)
    config.load_ply, config.pipeline.object.file = capture / "scene.ply", capture / "ball.npy"
    config.pipeline.style_image, config.pipeline.picture.size = capture / picture, 48
    return config


@pytest.fixture(scope="module")
def run(capture, tmp_path_factory):
    """A run by a picture alone."""
    return train(_config(capture, tmp_path_factory.mktemp("run")))


def test_a_picture_alone_needs_no_clip_and_says_what_measures_instead(capture, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(open_clip_encoder, "reachable", lambda url: False)
    config = _config(capture, tmp_path).pipeline
    config.encoder = type(config).encoder
    monkeypatch.setattr(load, "offline_is_here", lambda: False)
    assert config.load_tools("cpu").name == "tiny"
    assert "Encoder tiny" in capsys.readouterr().out
    config.model.prompt = "red"
    with pytest.raises(ValueError, match="not on this machine"):
        config.load_tools("cpu")


def test_outside_the_object_no_bit_changes(run, capture):
    loaded = of_ply(capture / "scene.ply")
    for name, saved in of_run(run.base_dir).items():
        assert set(differing_rows(loaded, saved)) == set(range(BALL)), name


def test_the_report_says_which_picture_and_what_compared_it(run):
    report = json.loads((run.base_dir / "results" / "report.json").read_text())
    about, kept = report["style_image"], run.base_dir / "style_image" / "stripes of gold.png"
    assert about["file"] == str(kept) and about["sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest()
    assert about["features"] and about["loss"] == run.config.pipeline.picture.loss
    assert report["prompt"] == "" and report["negatives"] == []
    assert (
        report["similarity"] == about["similarity"] and report["similarity"]["after"] > report["similarity"]["before"]
    )


def test_the_run_keeps_the_picture_and_its_recipe_means_that_one(run, capture):
    kept = run.base_dir / "style_image" / "stripes of gold.png"
    assert np.array_equal(np.asarray(Image.open(kept)), np.asarray(Image.open(capture / "stripes of gold.png")))
    words = read_recipe(run.base_dir / "recipe.yaml").words()
    assert words[words.index("--style-image") + 1] == str(kept)


def test_the_step_has_the_picture_and_its_name(run):
    step = History.open(run.base_dir / "history").steps[-1]
    assert (step.name, step.prompt) == ("the picture stripes of gold", "") and step.picture is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: setattr(c.pipeline, "style_image", c.data / "no.png"), "no.png does not exist"),
        (lambda c: setattr(c.pipeline, "style_image", c.data), "is a folder"),
        (lambda c: setattr(c.pipeline, "style_image", c.data / "scene.ply"), "no picture that can be read"),
        (lambda c: setattr(c.pipeline.picture, "scale", 0.0), "picture.scale"),
        (lambda c: setattr(c.pipeline.styler, "composite", True), "composite False"),
        (lambda c: setattr(c.pipeline, "style_image", None), "--style-image FILE, or both"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_read(capture, tmp_path, change, said):
    config = _config(capture, tmp_path)
    change(config)
    with pytest.raises(ValueError, match=said):
        config.check_settings()
    assert not list(tmp_path.iterdir())


def test_weights_that_are_named_from_here_are_found_from_everywhere(capture, tmp_path, monkeypatch):
    monkeypatch.chdir(capture)
    config = _config(capture, tmp_path)
    (capture / "weights.pth").touch()
    config.pipeline.feature_weights = "weights.pth"
    make_absolute(config)
    assert config.pipeline.feature_weights == str(capture / "weights.pth")


def test_weights_of_another_network_are_refused_before_the_run_begins(capture, tmp_path):
    config = _config(capture, tmp_path)
    config.pipeline.feature_weights = str(capture / "ball.npy")
    with pytest.raises(ValueError, match="cannot be read as weights of a feature network"):
        config.load_networks()
