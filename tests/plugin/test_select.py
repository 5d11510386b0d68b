"""ft2s select: every way to choose the ball of a small run, files that ns-train takes, and errors in words."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.cli import entrypoint
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.selection.selection import Selection
from tests.plugin.hosts import BALL, ball_on_floor, capture_cameras, make_capture, scene_config, train


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    capture = make_capture(folder / "capture", masks=True)
    run_folder = train(scene_config(capture, folder / "outputs", steps=10)).base_dir
    # Ten steps make no solid scene; the capture was made from this one.
    open_run(run_folder).save(gaussians=ball_on_floor())
    return run_folder


@pytest.fixture
def ft2s_select(run_folder, monkeypatch):
    """Run the command, return the selection."""

    def run(*arguments) -> Selection:
        output = run_folder / "selections" / "object.npz"
        output.unlink(missing_ok=True)
        monkeypatch.setattr(sys, "argv", ["ft2s", "select", str(run_folder), *map(str, arguments)])
        entrypoint()
        return Selection.load(output)

    return run


def share(selection: Selection) -> tuple[float, float]:
    """Of the ball, and of the floor, that is selected."""
    return selection.weights[:BALL].mean().item(), selection.weights[BALL:].mean().item()


def iou(selection: Selection, rows: slice) -> float:
    """Of the selected Gaussians and those that should be."""
    expected = torch.zeros(len(selection), dtype=torch.bool)
    expected[rows] = True
    return ((selection.mask & expected).sum() / (selection.mask | expected).sum()).item()


WAYS = {
    "clicks": ["--by", "clicks", "--click", 0, 24, 22, "--click", 5, 24, 22, "--not-click", 0, 7, 40],
    "one click": ["--click", 0, 24, 22],
    "rectangle": ["--by", "rectangle", "--rectangle", 0, 12, 10, 36, 34],
    "sphere": ["--by", "sphere", "--radius", 0.34],
    "box": ["--by", "box", "--size", 0.65, 0.65, 0.65],
    "color": ["--by", "color", "--click", 0, 24, 22],
    "masks": ["--by", "masks", "--object-masks", "MASKS"],
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_finds_the_ball(ft2s_select, run_folder, way):
    masks = run_folder.parents[3] / "capture" / "masks"
    selection = ft2s_select(*[masks if argument == "MASKS" else argument for argument in WAYS[way]])
    ball, floor = share(selection)
    # A rectangle selects what is seen in front: half of the ball.
    assert ball > (0.3 if way == "rectangle" else 0.85)
    assert floor < 0.1


def test_a_rectangle_finds_what_it_is_drawn_around(ft2s_select):
    """Of the ball, then of its left half."""
    assert iou(ft2s_select("--by", "rectangle", "--rectangle", 0, 10, 9, 38, 38), slice(0, BALL)) > 0.8
    left = ft2s_select("--by", "rectangle", "--rectangle", 0, 10, 9, 24, 38).mask
    camera = capture_cameras()[0]
    there = ball_on_floor().means @ camera.viewmats[0, :3, :3].T + camera.viewmats[0, :3, 3]
    columns = there[:, 0] / there[:, 2] * camera.Ks[0, 0, 0] + camera.Ks[0, 0, 2]
    in_front = (there[:, 2] < 1.3) & (torch.arange(len(there)) < BALL)
    assert left[in_front & (columns < 22)].float().mean() > 0.9
    assert not left[columns > 26].any()


@pytest.mark.parametrize("text, rows", [("green", slice(BALL, None)), ("grey", slice(0, BALL))])
def test_a_text_finds_what_it_names(ft2s_select, text, rows):
    """By the packaged encoder, which knows colours: the floor is green, the ball is grey."""
    selection = ft2s_select("--by", "text", "--text", text, "--segmenter", "encoder")
    assert iou(selection, rows) > 0.7
    assert f"text '{text}' found in" in selection.origin


def test_selections_are_combined_and_changed_and_drawn(ft2s_select, run_folder, tmp_path):
    ball = ft2s_select("--by", "sphere", "--radius", 0.34)
    ball.save(tmp_path / "ball.npz")
    picture = np.asarray(Image.open(run_folder / "selections" / "object.png"))
    assert picture.shape == (48, 4 * 48, 3)
    Selection.everything(len(ball)).save(tmp_path / "all.npz")
    rest = ft2s_select("--by", "sphere", "--radius", 0.34, "--combine", "minus", "--existing", tmp_path / "all.npz")
    assert torch.equal(rest.mask, ~ball.mask)
    again = ft2s_select("--file", tmp_path / "ball.npz", "--invert", "--views", 0)
    assert torch.equal(again.mask, ~ball.mask)
    grown = ft2s_select("--file", tmp_path / "ball.npz", "--grow", 0.2, "--views", 0)
    assert grown.count > ball.count
    assert (ball.mask <= grown.mask).all()


def test_what_makes_no_sense_is_said(ft2s_select, capsys, tmp_path):
    np.save(tmp_path / "other.npy", np.ones(7, np.float32))
    for arguments, words in [
        (["--by", "clicks"], "takes a point on the object"),
        (["--click", 99, 3, 3], "no view 99: the capture has training views 0 to"),
        (["--click", 0, 3, 2], "Nothing solid there"),
        (["--by", "text"], "takes one: --object-text"),
        (["--by", "sphere", "--combine", "union"], "need each other"),
        (["--by", "sphere", "--center", 50, 0, 0], "Nothing is left of sphere"),
        (["--file", tmp_path / "other.npy"], "7 weights but the scene has 300"),
    ]:
        with pytest.raises(SystemExit):
            ft2s_select(*arguments)
        assert words in " ".join(capsys.readouterr().out.split())
