"""ft2s envmap train-vae, finetune and evaluate: a folder in, weights and tables out; or words about what is wrong."""

import sys

import pytest
import torch

from fasttext2style.cli import entrypoint
from fasttext2style.envmaps.files import write_panorama
from fasttext2style.envmaps.vae_training import VAETraining


@pytest.fixture()
def folder(tmp_path):
    for name in "abc":
        light = torch.rand(16, 32, 3, generator=torch.Generator().manual_seed(ord(name)))
        write_panorama(tmp_path / "in" / f"place_{name}.hdr", light)
    return tmp_path / "in"


@pytest.fixture()
def ft2s(monkeypatch, capsys, tmp_path):
    """Run it; returns the exit code and what was said, in one line."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ft2s", "envmap", *map(str, arguments)])
        code = 0
        try:
            entrypoint()
        except SystemExit as end:
            code = end.code
        said = " ".join((lambda both: both.out + both.err)(capsys.readouterr()).split())
        assert "Traceback" not in said
        return code, said

    return call


SMALL = ("--rows", 16, "--widths", 4, 6, "--batch", 1, "--look-every", 1)


def test_a_vae_is_trained_interrupted_gone_on_with_and_moves_a_panorama(ft2s, folder, tmp_path, monkeypatch):
    step = VAETraining.step

    def interrupted(training):
        if training.done == 1:
            raise KeyboardInterrupt
        return step(training)

    with monkeypatch.context() as patch:
        patch.setattr(VAETraining, "step", interrupted)
        code, said = ft2s("train-vae", folder, "-o", "vae", "--steps", 2, *SMALL)
    assert code == 130 and "go on with --output vae --resume" in said
    code, said = ft2s("train-vae", folder, "-o", "vae", "--steps", 2, *SMALL, "--resume")
    assert code == 0 and "1 for test: place_" in said and "WS-PSNR" in said
    weights = tmp_path / "vae" / "vae_spatial.safetensors"
    edit = ("edit", folder / "place_a.hdr", "--prompt", "gold", "--encoder", "tiny", "--steps", 1, "-o", "out.hdr")
    code, said = ft2s(*edit, "--variables", "spatial", "--vae", weights)
    assert code == 0 and (tmp_path / "out.hdr").exists()
    code, said = ft2s(*edit, "--variables", "fc", "--vae", weights)
    assert code == 1 and "kind spatial, expected global" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("train-vae", "none"), "none is no folder"),
        (("train-vae", "in", "--rows", 20), "--rows should be a multiple of 8"),
        (("train-vae", "in", "--resume", "-o", "none"), "cannot be gone on with"),
        (("finetune", "in", "--encoder", "tiny"), "tiny cannot be tuned"),
        (("finetune", "in", "--ridge", 0), "--ridge should be above 0"),
        (("evaluate", "in", "--encoders", "tiny", "--prompts", "sunset"), "knows no word"),
        (("evaluate", "in", "--steps", 0), "--steps should be 1 or more"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(ft2s, folder, arguments, expected):
    code, said = ft2s(*arguments)
    assert code == 1 and expected in said, said


def test_a_folder_with_one_picture_is_refused(ft2s, folder):
    for name in "bc":
        (folder / f"place_{name}.hdr").unlink()
    code, said = ft2s("train-vae", folder)
    assert code == 1 and "at least 3 panoramas of different places, got 1" in said
