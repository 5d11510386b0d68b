"""A .ply that came without photographs gets views of its own: the right way up, of what is in its middle."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from fasttext2style.captures.around import look_around
from fasttext2style.captures.from_scene import HELD_OUT, VIEWS, capture_folder, capture_of_scene
from fasttext2style.scene.files.ply import write_ply
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render_values
from fasttext2style.toy.scene import toy_scene


@pytest.fixture(scope="module")
def toy():
    return toy_scene(clutter=1, width=64, height=64)


def turned(gaussians: Gaussians, matrix: torch.Tensor) -> Gaussians:
    """Places and orientations; colours may stay as they are where only places count."""
    turn = Rotation.from_matrix(matrix.numpy())
    old = Rotation.from_quat(gaussians.quats[:, [1, 2, 3, 0]].numpy())
    quats = torch.from_numpy((turn * old).as_quat()[:, [3, 0, 1, 2]]).float()
    means = gaussians.means @ matrix.T.float()
    return Gaussians(means, quats, gaussians.log_scales, gaussians.logit_opacities, gaussians.sh_dc, gaussians.sh_rest)


COLMAP = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""z up becomes -y up."""


@pytest.mark.parametrize(
    "name, turn, up", [("z", torch.eye(3), (0, 0, 1)), ("-y", COLMAP, (0, -1, 0)), ("y", COLMAP.T, (0, 1, 0))]
)
def test_up_is_where_the_deck_says(toy, name, turn, up):
    found = look_around(turned(toy.gaussians, turn))
    assert float(found.up @ torch.tensor(up).float()) > math.cos(math.radians(5))


def test_a_scene_that_was_reconstructed_at_a_tilt_is_put_upright(toy):
    turn = torch.from_numpy(Rotation.from_euler("x", 20, degrees=True).as_matrix()).float()
    found = look_around(turned(toy.gaussians, turn))
    assert float(found.up @ (turn @ torch.tensor([0.0, 0, 1]))) > math.cos(math.radians(5))


def test_the_statue_is_in_every_picture_and_in_the_middle(toy):
    found = look_around(toy.gaussians)
    assert not found.inside
    views = found.views(12, 48)
    shown = render_values(toy.gaussians, views, toy.object_weights[:, None])[0][..., 0]
    assert (shown.mean(dim=(1, 2)) > 0.02).all()
    rows = torch.linspace(-1, 1, 48)
    across = (shown.sum(dim=1) @ rows) / shown.sum(dim=(1, 2))
    assert across.abs().max() < 0.5


def test_a_room_is_seen_from_inside():
    generator = torch.Generator().manual_seed(0)
    faces = torch.randint(3, (6000,), generator=generator)
    points = 4 * torch.rand(6000, 3, generator=generator) - 2
    points[torch.arange(6000), faces] = 2.0 * (2 * torch.randint(2, (6000,), generator=generator) - 1)
    table = 0.3 * (torch.rand(3000, 3, generator=generator) - 0.5)
    means = torch.cat([points, table])
    room = Gaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(len(means), 1),
        torch.tensor([[0.12], [0.02]]).log().repeat_interleave(torch.tensor([6000, 3000]), dim=0).expand(-1, 3),
        torch.full((len(means),), 0.99).logit(),
        torch.zeros(len(means), 3),
        torch.zeros(len(means), 0, 3),
    )
    found = look_around(room, inside=True)
    assert found.inside
    assert (found.views(8, 32).centers - found.middle).norm(dim=1).max() < 1e-4


def test_views_come_nearer_where_something_stands_before_the_middle(toy):
    """A screen all around, farther away than the nearest ring and nearer than the farthest."""
    free = look_around(toy.gaussians)
    angle = torch.linspace(0, 2 * math.pi, 240)[:, None].expand(-1, 60).flatten()
    height = torch.linspace(-2, 5, 60).repeat(240)
    far = 0.9 * free.radius
    places = free.middle + torch.stack([far * angle.cos(), far * angle.sin(), height], dim=1)
    screen = toy.gaussians.subset(torch.zeros(len(places), dtype=torch.long))
    screen = replace(screen, means=places, log_scales=torch.full((len(places), 3), 0.08).log(),
                     logit_opacities=torch.full((len(places),), 6.0))  # fmt: skip
    found = look_around(Gaussians.concatenated([toy.gaussians, screen]))
    assert found.radius < far < free.radius


def test_what_a_killed_start_left_of_a_capture_is_made_anew(toy, tmp_path):
    (tmp_path / "capture" / "images").mkdir(parents=True)
    (tmp_path / "capture" / "images" / "train_000.png").write_bytes(b"half")
    write_ply(tmp_path / "toy.ply", toy.gaussians.subset(torch.arange(500)))
    capture_of_scene(tmp_path / "toy.ply", tmp_path / "capture", size=32)
    Image.open(tmp_path / "capture" / "images" / "train_000.png").load()


def test_gaussians_that_are_no_numbers_are_left_out_if_asked(toy, tmp_path):
    means = toy.gaussians.means[:500].clone()
    means[7] = math.nan
    write_ply(tmp_path / "toy.ply", replace(toy.gaussians.subset(torch.arange(500)), means=means))
    with pytest.raises(ValueError, match="--drop-invalid"):
        capture_of_scene(tmp_path / "toy.ply", tmp_path / "capture", size=32)
    capture_of_scene(tmp_path / "toy.ply", tmp_path / "capture", size=32, drop_invalid=True)
    assert (tmp_path / "capture" / "transforms.json").is_file()


def test_a_capture_is_whole_and_its_file_names_it(toy, tmp_path, capsys):
    write_ply(tmp_path / "toy.ply", toy.gaussians)
    capture_of_scene(tmp_path / "toy.ply", tmp_path / "capture", size=48)
    meta = json.loads((tmp_path / "capture" / "transforms.json").read_text())
    assert len(meta["frames"]) == VIEWS and len(meta["test_filenames"]) == HELD_OUT
    assert all((tmp_path / "capture" / frame["file_path"]).is_file() for frame in meta["frames"])
    assert not {*meta["train_filenames"]} & {*meta["test_filenames"]}
    assert re.search(r"up is \(-?0.00, -?0.00, 1.00\)", capsys.readouterr().out)
    with pytest.raises(ValueError, match="holds a capture already"):
        capture_of_scene(tmp_path / "toy.ply", tmp_path / "capture")
    one = capture_folder(tmp_path, tmp_path / "toy.ply")
    (tmp_path / "toy.ply").write_bytes((tmp_path / "toy.ply").read_bytes() + b" ")
    assert capture_folder(tmp_path, tmp_path / "toy.ply") != one


def test_what_is_smaller_than_what_is_drawn_is_said(toy):
    """In units of a thousand times the toy scene's: a hundredth of a unit is nearer than the nearest thing drawn."""
    tiny = replace(toy.gaussians, means=toy.gaussians.means / 1000)
    with pytest.raises(ValueError, match=r"within 0\.00\d+ units.*scale it up"):
        look_around(tiny)


def test_what_cannot_be_looked_at_is_said(toy, tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        capture_folder(tmp_path, tmp_path / "none.ply")
    write_ply(tmp_path / "toy.ply", toy.gaussians)
    with pytest.raises(ValueError, match="Up is auto or one of"):
        capture_of_scene(tmp_path / "toy.ply", tmp_path / "capture", up="w")
    with pytest.raises(ValueError, match=r"nothing\.ply does not exist; expected a 3DGS \.ply"):
        capture_of_scene(tmp_path / "nothing.ply", tmp_path / "capture")
    with pytest.raises(ValueError, match="at most 4096, got 100000"):
        capture_of_scene(tmp_path / "nothing.ply", tmp_path / "capture", size=100_000)
    with pytest.raises(ValueError, match="at least 32 pixels"):
        capture_of_scene(tmp_path / "toy.ply", tmp_path / "capture", size=8)
    faint = toy.gaussians.subset(torch.arange(100))
    faint = Gaussians(faint.means, faint.quats, faint.log_scales, torch.full((100,), -4.0), faint.sh_dc, faint.sh_rest)
    with pytest.raises(ValueError, match="Only 0 of 100 Gaussians are solid"):
        look_around(faint)
