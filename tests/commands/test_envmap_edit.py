"""ft2s envmap edit: a file in, a file of the same size out, a picture of the way; or words that say what is wrong."""

import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.cli import entrypoint
from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.inversion import PanoramaEdit
from fasttext2style.guidance import load

ROWS = 24


@pytest.fixture()
def source(tmp_path):
    generator = torch.Generator().manual_seed(0)
    light = 0.1 + 0.4 * torch.rand(ROWS, 2 * ROWS, 3, generator=generator)
    light[3, 5] = 900.0
    write_panorama(tmp_path / "sky.hdr", light)
    return tmp_path / "sky.hdr"


@pytest.fixture()
def ft2s(monkeypatch, capsys, tmp_path):
    """Run it; returns the exit code and what was said, in one line."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ft2s", "envmap", "edit", *map(str, arguments)])
        code = 0
        try:
            entrypoint()
        except SystemExit as end:
            code = end.code
        said = " ".join((lambda both: both.out + both.err)(capsys.readouterr()).split())
        assert "Traceback" not in said
        return code, said

    return call


def test_a_file_is_edited_at_its_own_size_and_nothing_else_is_touched(ft2s, source, tmp_path):
    before = source.read_bytes()
    code, said = ft2s(
        source, "--prompt", "a golden sunset", "--encoder", "tiny", "--steps", 3, "--crops", 1, "-o", "out.exr"
    )
    assert code == 0
    edited, original = read_panorama(tmp_path / "out.exr"), read_panorama(source)
    assert edited.shape == original.shape and not torch.equal(edited, original)
    assert torch.equal(edited[3, 5], original[3, 5]), "the sun"
    assert source.read_bytes() == before
    assert np.asarray(Image.open(tmp_path / "out_steps.png")).shape[1] == 384
    assert {path.name for path in tmp_path.iterdir()} == {"sky.hdr", "out.exr", "out_steps.png"}
    for text in ("does not know 'sunset'", "Light from all sides", "100.0% stayed", "before, ", "out.exr"):
        assert text in said, text
    # Nothing of it is the panorama as it was, and the name has a default.
    assert ft2s(source, "--prompt", "gold", "--encoder", "tiny", "--steps", 1, "--strength", 0)[0] == 0
    assert torch.equal(read_panorama(tmp_path / "sky_edited.hdr"), original)


def test_without_a_name_it_takes_what_this_machine_has(ft2s, source, tmp_path, monkeypatch):
    """And downloads nothing."""
    monkeypatch.setattr(load, "clip_is_here", lambda: False)
    monkeypatch.setattr(load, "offline_is_here", lambda: False)
    code, said = ft2s(source, "--prompt", "gold", "--steps", 1, "--crops", 1)
    assert code == 0 and "Encoder tiny: neither weights of ViT-B-32" in said
    assert not torch.equal(read_panorama(tmp_path / "sky_edited.hdr"), read_panorama(source))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--prompt", ""), "There is no sentence"),
        (("--prompt", "an indoor studio"), "knows no word"),
        (("--prompt", "gold", "--strength", "1.5"), "--strength lies between 0"),
        (("--prompt", "gold", "--steps", "0"), "--steps should be 1 or more"),
        (("--prompt", "gold", "--loss", "nil"), "nil"),
        (("--prompt", "gold", "-o", "out.txt"), "should end in one of .hdr"),
        (("--prompt", "gold", "-o", "none/out.hdr"), "there is no folder"),
    ],
)
def test_what_cannot_be_done_is_said_at_once_and_leaves_nothing(ft2s, source, tmp_path, arguments, expected):
    code, said = ft2s(source, "--encoder", "tiny", *arguments)
    assert code == 1 and expected in said
    assert [path.name for path in tmp_path.iterdir()] == ["sky.hdr"]


@pytest.mark.parametrize("name", ["square.png", "cube.png", "none.hdr", "png.hdr", "nan.exr", "folder"])
def test_what_is_no_panorama_is_refused(ft2s, tmp_path, name):
    cv2.imwrite(str(tmp_path / "square.png"), np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "cube.png"), np.zeros((9, 12, 3), np.uint8))
    (tmp_path / "png.hdr").write_bytes((tmp_path / "square.png").read_bytes())
    (tmp_path / "folder").mkdir()
    broken = torch.full((8, 16, 3), 0.5)
    write_panorama(tmp_path / "nan.exr", broken)
    import OpenEXR

    values = broken.numpy().copy()
    values[2, 3, 1] = np.nan
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, {"RGB": values}).write(
        str(tmp_path / "nan.exr")
    )
    files = {path.name for path in tmp_path.iterdir()}
    code, said = ft2s(tmp_path / name, "--prompt", "gold", "--encoder", "tiny", "--steps", 1)
    expected = {
        "square.png": "twice as wide",
        "cube.png": "twice as wide",
        "none.hdr": "No such file",
        "png.hdr": "is called .hdr, but is a PNG",
        "nan.exr": "row 2, column 3",
        "folder": "is no run",
    }
    assert code == 1 and expected[name] in said, said
    assert {path.name for path in tmp_path.iterdir()} == files
    if name == "nan.exr":
        assert ft2s(tmp_path / name, "--prompt", "gold", "--encoder", "tiny", "--steps", 1, "--repair")[0] == 0


def test_ctrl_c_writes_no_panorama(ft2s, source, tmp_path, monkeypatch):
    """An edit that is interrupted on its second step."""
    step, count = PanoramaEdit.step, []

    def interrupted(edit):
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt
        return step(edit)

    monkeypatch.setattr(PanoramaEdit, "step", interrupted)
    code, said = ft2s(source, "--prompt", "gold", "--encoder", "tiny", "--steps", 5, "-o", "out.hdr")
    assert code == 130 and "nothing was changed" in said and not (tmp_path / "out.hdr").exists()


def test_an_image_editor_edits_it_with_the_same_care(ft2s, source, tmp_path):
    """The embedded one, which is InstructPix2Pix's own class at 64 pixels."""
    by_editor = ("--by", "editor", "--editor", "tiny", "--passes", 1, "--denoising", 4)
    code, said = ft2s(source, "--prompt", "make it blue", *by_editor, "-o", "out.exr")
    assert code == 0, said
    edited, original = read_panorama(tmp_path / "out.exr"), read_panorama(source)
    assert edited.shape == original.shape and torch.equal(edited[3, 5], original[3, 5]), "the sun"
    share = [float(it[ROWS // 3 :, :, 2].sum() / it[ROWS // 3 :].sum()) for it in (original, edited)]
    assert share[0] == pytest.approx(1 / 3, abs=0.02) and share[1] > 0.5, "it is blue"
    assert "14 views edited once by tiny: make it blue" in said and "100.0% stayed" in said
    for wrong, why in (
        (("--prompt", " "), "There is no instruction"),
        (("--prompt", "blue", "--noise", 0.9, 0.2), "strength is an interval"),
        (("--prompt", "blue", "--editor-settings", "batch_size", "two"), "batch_size is a whole number; got 'two'"),
    ):
        code, said = ft2s(source, *by_editor, *wrong, "-o", "other.exr")
        assert code != 0 and why in said and not (tmp_path / "other.exr").exists()
