"""Scenes without view dependence (SH degree 0): colours are the same in the viewer, in our nouns and in every file.

splatfacto keeps the colours of such scenes as logits, not as spherical harmonics.
"""

import gzip
import sys

import numpy as np
import pytest
import torch

from fasttext2style.plugin.runs.run import open_run
from fasttext2style.scene.files.export import export
from fasttext2style.scene.files.ply import read_ply, write_ply
from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.scene.rasterize import render
from tests.plugin.hosts import BALL, ball_on_floor, make_capture, style_config, train

PALETTE = torch.tensor([[0.9, 0.1, 0.3], [0.02, 0.98, 0.5]])
"""Far from grey: near it logits and spherical harmonics are nearly alike."""


def flat_scene() -> Gaussians:
    """The ball and its floor in strong colours."""
    scene = ball_on_floor().with_sh_degree(0)
    scene.sh_dc[:BALL], scene.sh_dc[BALL:] = (PALETTE[:, None] - 0.5) / SH_C0
    return scene


def splatfacto_checkpoint() -> dict[str, torch.Tensor]:
    """Entries as splatfacto of SH degree 0 saves them (nerfstudio 1.1.5, models/splatfacto.py, populate_modules)."""
    entries = flat_scene().to_splatfacto()
    entries["features_dc"] = torch.logit(PALETTE).repeat_interleave(torch.tensor([BALL, len(flat_scene()) - BALL]), 0)
    return {f"gauss_params.{name}": value for name, value in entries.items()}


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = make_capture(tmp_path_factory.mktemp("capture"))
    write_ply(folder / "scene.ply", flat_scene())
    np.save(folder / "ball.npy", (np.arange(len(flat_scene())) < BALL).astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def pipeline(capture, tmp_path_factory):
    config = style_config(capture, tmp_path_factory.mktemp("outputs"))
    config.pipeline.model.sh_degree = 0
    config.pipeline.model.background_color = "black"
    return config.pipeline.setup(device="cpu", test_mode="inference", world_size=1, local_rank=0)


def _looks(pipeline):
    """What the viewer shows of the pipeline's first view."""
    with torch.no_grad():
        return pipeline.model.get_outputs_for_camera(pipeline.datamanager.eval_dataset.cameras[:1])["rgb"]


def _renders(pipeline, scene):
    return render(scene, pipeline.datamanager.cameras("eval")[0])[0][0].clamp(0, 1)


@pytest.mark.parametrize("came_from", ["splatfacto", "ply"])
def test_the_model_shows_the_scene_that_it_hands_out(pipeline, capture, came_from):
    pipeline.model.eval()
    if came_from == "splatfacto":
        pipeline.model.load_state_dict(splatfacto_checkpoint())
    else:
        pipeline.load_ply(capture / "scene.ply")
    shown = _looks(pipeline)
    torch.testing.assert_close(shown, _renders(pipeline, pipeline.model.gaussians()), rtol=0, atol=1e-5)
    torch.testing.assert_close(shown, _renders(pipeline, flat_scene()), rtol=0, atol=1e-5)
    torch.testing.assert_close(shown[24, 24], PALETTE[0], rtol=0, atol=0.02)


def test_our_own_checkpoints_come_back_to_the_bit(pipeline):
    pipeline.model.load_state_dict(splatfacto_checkpoint())
    colors = pipeline.model.features_dc.detach().clone()
    pipeline.model.load_state_dict({name: value.clone() for name, value in pipeline.model.state_dict().items()})
    assert torch.equal(pipeline.model.features_dc, colors)


def test_checkpoints_of_others_and_of_ours_are_told_apart(pipeline):
    entries = {f"_model.{name}": value for name, value in splatfacto_checkpoint().items()}
    torch.testing.assert_close(Gaussians.from_checkpoint(entries).sh_dc, flat_scene().sh_dc, rtol=0, atol=1e-5)
    pipeline.model.load_state_dict(splatfacto_checkpoint())
    ours = {f"_model.{name}": value for name, value in pipeline.model.state_dict().items()}
    assert torch.equal(Gaussians.from_checkpoint(ours).sh_dc, pipeline.model.features_dc)


@pytest.mark.parametrize("ending", ["ply", "splat", "spz"])
def test_exports_have_the_colours_that_are_shown(pipeline, tmp_path, ending):
    pipeline.model.load_state_dict(splatfacto_checkpoint())
    path = tmp_path / f"scene.{ending}"
    scene = pipeline.model.gaussians()
    export(path, scene, torch.ones(len(scene)))
    if ending == "ply":
        colors = 0.5 + SH_C0 * read_ply(path).sh_dc
    elif ending == "splat":
        colors = torch.from_numpy(np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 32)[:, 24:27] / 255)
    else:
        content = gzip.decompress(path.read_bytes())
        start = 16 + 10 * len(scene)  # header, nine bytes of place, one of opacity
        stored = np.frombuffer(content, np.uint8, 3 * len(scene), start).reshape(-1, 3)
        colors = torch.from_numpy(0.5 + SH_C0 * (stored / 255 - 0.5) / 0.15)
    found = colors.unique(dim=0).float()
    # A byte of .spz is 1 / 255 / 0.15 of an SH coefficient, that is 0.0074 of a colour.
    torch.testing.assert_close(
        found, PALETTE[PALETTE[:, 0].argsort()], rtol=0, atol=0.004 if ending == "spz" else 0.002
    )


def _styled_run(capture, output):
    config = style_config(capture, output, prompt="blue", steps=20)
    config.pipeline.model.sh_degree = 0
    config.pipeline.model.background_color = "black"
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    config.optimizers["features_dc"]["optimizer"].lr = 0.05
    return train(config).base_dir


def test_a_styled_run_of_degree_0_looks_as_its_files_say(capture, tmp_path):
    folder = _styled_run(capture, tmp_path)
    styled = read_ply(folder / "results" / "styled.ply")
    assert torch.equal(styled.sh_dc[BALL:], flat_scene().sh_dc[BALL:])
    assert (styled.sh_dc[:BALL] - flat_scene().sh_dc[:BALL]).abs().mean() > 0.1
    run = open_run(folder)
    torch.testing.assert_close(_looks(run.pipeline), _renders(run.pipeline, styled), rtol=0, atol=1e-5)


def test_ns_export_takes_a_styled_run_of_degree_0(capture, tmp_path, exporter, monkeypatch):
    folder = _styled_run(capture, tmp_path)
    arguments = ["gaussian-splat", "--load-config", folder / "config.yml", "--output-dir", tmp_path / "theirs"]
    monkeypatch.setattr(sys, "argv", ["ns-export", *map(str, arguments)])
    exporter.entrypoint()
    styled = read_ply(folder / "results" / "styled.ply")
    theirs = read_ply(tmp_path / "theirs" / "splat.ply")
    assert torch.equal(theirs.sh_dc, styled.sh_dc)
