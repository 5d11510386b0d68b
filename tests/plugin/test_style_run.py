"""The main job on a small capture: the object takes the style, nothing else changes by one bit, the run is kept."""

import io
import json
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.evaluation.object_pictures import MARK_COLOR
from fasttext2style.evaluation.timing import peak_memory_gib
from fasttext2style.plugin.host import pipelines
from fasttext2style.scene.files.ply import read_ply, write_ply
from fasttext2style.scene.gaussians import Gaussians
from tests.plugin.hosts import BALL, ball_on_floor, make_capture, style_config, train
from tests.plugin.saved_files import differing_rows, of_ply, of_run


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = make_capture(tmp_path_factory.mktemp("capture"), masks=True)
    write_ply(folder / "scene.ply", ball_on_floor())
    weights = np.zeros(len(ball_on_floor()), np.float32)
    weights[:BALL] = 1
    np.save(folder / "ball.npy", weights)
    return folder


def _config(capture, output, **kwargs):
    config = style_config(capture, output, **kwargs)
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    return config


def _colors(gaussians: Gaussians) -> torch.Tensor:
    return gaussians.sh_dc * 0.28209479177387814 + 0.5


@pytest.fixture(scope="module")
def red_run(capture, tmp_path_factory):
    config = _config(capture, tmp_path_factory.mktemp("red"), prompt="red", steps=60)
    config.optimizers["features_dc"]["optimizer"].lr = 0.05
    return train(config)


def _results(trainer):
    return trainer.config.get_base_dir() / "results"


def test_the_ball_turns_red(red_run):
    colors = _colors(read_ply(_results(red_run) / "styled.ply").subset(torch.arange(BALL))).mean(dim=0)
    assert colors[0] - colors[1:].max() > 0.1, colors


def test_outside_the_object_no_bit_changes(red_run, capture):
    """Both files that the run leaves behind, beside the file that it began with."""
    loaded = of_ply(capture / "scene.ply")
    for name, saved in of_run(red_run.base_dir).items():
        changed = differing_rows(loaded, saved)
        assert set(changed) == set(range(BALL)), (name, changed)
    report = json.loads((_results(red_run) / "report.json").read_text())["outside"]
    assert report["gaussians_changed"] == report["largest_parameter_change"] == 0
    assert report["gaussians_compared"] == len(loaded["means"]) - BALL
    assert report["files"].keys() == {"checkpoint", "styled.ply"}
    assert report["loaded"]["file"] == str(capture / "scene.ply")
    assert report["largest_pixel_change"] == 0.0
    assert report["share_of_pixels"] > 0.05


def test_the_object_is_shown_before_the_style_begins(red_run):
    """Four views under a label, the ball in the mark's colour and nothing else."""
    picture = np.asarray(Image.open(red_run.base_dir / "object.png")).astype(float) / 255
    assert picture.shape == (26 + 48, 4 * 48, 3)
    mark = np.asarray(MARK_COLOR)
    for view in np.split(picture[26:], 4, axis=1):
        marked = np.abs(view - mark).sum(axis=-1) < 0.05
        rows, columns = marked.nonzero()
        # The outline of a ball in the middle of the view, of radius .3 at a distance of 1.6 or so.
        assert 20 < len(rows) < 300
        assert rows.min() > 8 and rows.max() < 40 and columns.min() > 8 and columns.max() < 40
        # Tinted inside, not in the corners.
        blue = view[..., 2] - view[..., 0]
        assert blue[24, 24] > 0.2 > blue[:3].max()


def test_nothing_is_edited_without_a_yes(capture, tmp_path, monkeypatch, capsys):
    config = _config(capture, tmp_path, prompt="red", steps=2)
    config.pipeline.confirm = True
    with pytest.raises(ValueError, match="nobody sits at a terminal"):
        config.pipeline.check()
    monkeypatch.setattr(pipelines, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("what\nno\n"))
    with pytest.raises((ValueError, SystemExit), match=r"1|nothing was edited"):
        train(config)
    said = capsys.readouterr().out
    assert said.count("Is it the right one? (yes/no)") == 2
    # What the question is about stands above it: what looks wrong, and the picture.
    above = said[: said.index("Is it the right one?")]
    assert "The object is very small: 150 of 300 Gaussians" in " ".join(above.split()) and "object.png" in above
    assert not list(tmp_path.rglob("styled.ply")) and list(tmp_path.rglob("object.png"))
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    train(config)
    assert list(tmp_path.rglob("styled.ply"))


def test_results_are_complete(red_run):
    folder = _results(red_run)
    assert len(list((folder / "before").iterdir())) == len(list((folder / "after").iterdir())) > 0
    before, after = (np.asarray(Image.open(folder / part / "view_00.png")) for part in ("before", "after"))
    assert before.shape == after.shape == (48, 48, 3)
    assert (before != after).any()
    assert Image.open(folder / "contact_sheet.png").height > 96
    report = json.loads((folder / "report.json").read_text())
    assert report["similarity"]["after"] > report["similarity"]["before"]
    assert {"selection", "preparation", "styling", "results"} <= report["seconds"].keys()
    assert 0.1 < report["peak_memory_gib"]["host"] <= peak_memory_gib()["host"]


def test_the_checkpoint_holds_the_styled_scene_and_the_selection(red_run):
    state = torch.load(next(red_run.checkpoint_dir.glob("*.ckpt")), weights_only=True)["pipeline"]
    styled = read_ply(_results(red_run) / "styled.ply")
    assert torch.equal(state["_model.gauss_params.features_dc"], styled.sh_dc)
    assert state["_model.selection"].sum() == BALL


def test_a_second_sentence_starts_from_the_styled_run_and_keeps_its_object(red_run, capture, tmp_path):
    config = style_config(capture, tmp_path, prompt="blue", steps=2)
    config.load_dir = red_run.checkpoint_dir
    trainer = train(config)
    assert trainer.pipeline.selection_origin == "the object of the loaded run"
    assert len(trainer.pipeline.edit) == BALL


def test_a_soft_weight_holds_the_update_back(capture, tmp_path):
    weights = np.load(capture / "ball.npy")
    weights[: BALL // 2] = 0.1
    np.save(tmp_path / "soft.npy", weights)
    config = _config(capture, tmp_path, prompt="red", steps=10)
    config.pipeline.object.file = tmp_path / "soft.npy"
    train_steps = train(config)
    moved = (_colors(read_ply(_results(train_steps) / "styled.ply")) - _colors(ball_on_floor())).abs().mean(dim=1)
    assert 0 < moved[: BALL // 2].mean() < 0.3 * moved[BALL // 2 : BALL].mean()


def test_the_same_seed_gives_the_same_bits(capture, tmp_path):
    runs = [train(_config(capture, tmp_path / name, prompt="gold", steps=4)) for name in ("one", "two")]
    first, second = (run.pipeline.edit.merged().sh_dc for run in runs)
    assert torch.equal(first, second)


def test_masks_choose_the_object(capture, tmp_path):
    config = _config(capture, tmp_path, steps=1)
    config.pipeline.object.file = None
    config.pipeline.datamanager.object_masks = capture / "masks"
    chosen = train(config).pipeline.edit.merged_weights()
    assert chosen[:BALL].sum() > 0.9 * BALL
    # The floor's Gaussians where the ball touches it may show mostly inside the masks.
    assert chosen[BALL:].sum() <= 5


@pytest.mark.parametrize("by, settings", [("sphere", {"radius": 0.45}), ("box", {"size": (0.75, 0.75, 0.66)})])
def test_shapes_choose_the_object(capture, tmp_path, by, settings):
    config = _config(capture, tmp_path, steps=1)
    config.pipeline.object.file = None
    config.pipeline.object.by = by
    for name, value in settings.items():
        setattr(config.pipeline.object, name, value)
    chosen = train(config).pipeline.edit.merged_weights()
    assert chosen[:BALL].all()
    assert chosen.sum() < BALL + 60


def test_densification_stays_inside_the_object_and_under_its_cap(capture, tmp_path):
    config = _config(capture, tmp_path, prompt="red", steps=20)
    config.pipeline.growth.enabled = True
    config.pipeline.growth.every = 5
    config.pipeline.growth.max_factor = 1.2
    config.pipeline.growth.gradient_threshold = 0.0
    config.pipeline.styler.train = ("features_dc", "means", "scales")
    trainer = train(config)
    object_now = len(trainer.pipeline.edit)
    assert BALL < object_now <= 1.2 * BALL
    # In the files the rest comes first, in its order, then the object.
    rest = {name: column[BALL:] for name, column in of_ply(capture / "scene.ply").items()}
    for name, saved in of_run(trainer.base_dir).items():
        assert len(saved["means"]) == len(rest["means"]) + object_now, name
        assert len(differing_rows(rest, {key: column[:-object_now] for key, column in saved.items()})) == 0, name
    # What is rendered is the grown scene, too.
    assert len(trainer.pipeline.model.means) == len(rest["means"]) + object_now
    outside = json.loads((_results(trainer) / "report.json").read_text())["outside"]
    assert outside["gaussians_changed"] == 0 and outside["gaussians_compared"] == len(rest["means"])


def test_growth_without_means_says_what_to_do(capture, tmp_path, capsys):
    config = _config(capture, tmp_path, steps=2)
    config.pipeline.growth.enabled = True
    with pytest.raises(SystemExit) as end:
        train(config)
    assert end.value.code == 1
    assert "add means to --pipeline.styler.train" in " ".join(capsys.readouterr().out.split())


def test_without_a_scene_it_reconstructs_first(capture, tmp_path):
    config = style_config(capture, tmp_path, steps=2)
    config.pipeline.object.by = "everything"
    trainer = train(config)
    base = tmp_path / "test" / "fasttext2style-scene" / config.timestamp / "nerfstudio_models"
    assert trainer.config.load_dir == base
    assert list(base.glob("*.ckpt"))
    assert (_results(trainer) / "contact_sheet.png").is_file()


@pytest.mark.parametrize(
    "break_it, message",
    [
        (lambda c: setattr(c.pipeline.model, "prompt", "  "), "No style was given"),
        (lambda c: setattr(c.pipeline.model, "prompt", "qwrtz plmk"), "qwrtz"),
        (lambda c: setattr(c.pipeline.object, "file", c.data / "nothing.npy"), "does not exist"),
        (lambda c: setattr(c, "load_ply", c.data / "transforms.json"), "ply"),
        (lambda c: setattr(c, "load_dir", c.data), "give one of them"),
        (lambda c: setattr(c.pipeline, "encoder", "ViT-B-33"), "ViT-B-3"),
        (lambda c: setattr(c.pipeline.model, "sh_degree", 2), "--pipeline.model.sh-degree 3"),
    ],
    ids=["no prompt", "unknown words", "no file", "not a ply", "two scenes", "no such encoder", "SH degree"],
)
def test_bad_input_gives_one_error_and_a_failing_exit_code(capture, tmp_path, capsys, break_it, message):
    config = _config(capture, tmp_path)
    break_it(config)
    with pytest.raises(SystemExit) as end:
        train(config)
    assert end.value.code == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "Error:" in said and message in said
    assert not _results_exist(tmp_path)


def _results_exist(folder):
    return any(folder.rglob("results"))


def test_a_base_run_in_other_coordinates_is_refused(red_run, capture, tmp_path, capsys):
    config = style_config(capture, tmp_path)
    config.load_dir = red_run.checkpoint_dir
    config.pipeline.datamanager.dataparser.auto_scale_poses = True
    with pytest.raises(SystemExit) as end:
        train(config)
    assert end.value.code == 1
    assert "other coordinates" in " ".join(capsys.readouterr().out.split())


def test_a_checkpoint_of_another_method_is_refused(capture, tmp_path, capsys):
    folder = tmp_path / "nerfacto" / "nerfstudio_models"
    folder.mkdir(parents=True)
    torch.save({"step": 9, "pipeline": {"_model.field.weight": torch.zeros(2)}}, folder / "step-000000009.ckpt")
    config = style_config(capture, tmp_path)
    config.load_dir = folder
    with pytest.raises(SystemExit) as end:
        train(config)
    assert end.value.code == 1
    assert "holds no Gaussians" in " ".join(capsys.readouterr().out.split())


def test_a_full_disk_is_said_in_words_and_keeps_the_checkpoint(capture, tmp_path, capsys, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fasttext2style.evaluation.looks.write_ply", full)
    config = _config(capture, tmp_path, steps=2)
    with pytest.raises(SystemExit) as end:
        train(config)
    assert end.value.code == 1
    assert "No space left on device" in " ".join(capsys.readouterr().out.split())
    assert list(tmp_path.rglob("step-000000001.ckpt"))


def test_an_interrupt_keeps_the_steps_so_far(capture, tmp_path, monkeypatch):
    config = _config(capture, tmp_path, steps=50)
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    losses = trainer.pipeline.get_train_loss_dict

    def interrupted(step):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return losses(step)

    monkeypatch.setattr(trainer.pipeline, "get_train_loss_dict", interrupted)
    with pytest.raises(SystemExit) as end:
        trainer.train()
    assert end.value.code == 130
    state = torch.load(next(trainer.checkpoint_dir.glob("*.ckpt")), weights_only=True)
    assert state["step"] == 3
    assert not torch.equal(state["pipeline"]["_model.gauss_params.features_dc"][:BALL], ball_on_floor().sh_dc[:BALL])
    assert read_ply(capture / "scene.ply").means.equal(ball_on_floor().means)
