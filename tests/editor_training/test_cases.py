"""What an editor learns from: of views, of folders in MagicBrush's format, of the toy scene; or a refusal in words."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from random_editor import some_cases

from fasttext2style.editor_training import magic_brush, turns
from fasttext2style.editor_training.cases import EditCases, cases_of_views, split_cases
from fasttext2style.editor_training.magic_brush import read_magic_brush, write_magic_brush
from fasttext2style.editor_training.toy_cases import toy_cases
from fasttext2style.editor_training.turns import mask_of

# --- cases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masks": torch.zeros(3, 16, 16, 1)}, "mask of case 0 is empty"),
        ({"masks": torch.ones(3, 16, 16, 1)}, "mask of case 0 covers everything"),
        ({"masks": torch.full((3, 16, 16, 1), 2.0)}, r"not in \[0, 1\]"),
        ({"masks": torch.full((3, 16, 16, 1), float("nan"))}, r"not in \[0, 1\]"),
        ({"masks": torch.ones(3, 8, 16, 1)}, r"as large as its picture, \[3, 16, 16, 1\]; got \[3, 8, 16, 1\]"),
        ({"targets": torch.ones(3, 8, 8, 3)}, "target should be as large"),
        ({"instructions": ("red", " ", "red")}, "Case 1 has no instruction"),
        ({"instructions": ("red",)}, "need as many instructions, got 1"),
        ({"images": torch.ones(0, 16, 16, 3)}, "at least one"),
    ],
)
def test_cases_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(some_cases(3), **changes)


def test_views_are_cropped_to_the_object_with_what_stands_around_it():
    images, masks = torch.rand(4, 40, 60, 3), torch.zeros(4, 40, 60, 1)
    masks[0, 10:20, 20:32] = 1
    masks[2, 30:40, 40:60] = 1
    masks[3] = 1  # nothing but the object: nothing to spare
    cases = cases_of_views(images, masks, ("make it red", "turn it into ice"), 32, ("red", "ice"))
    assert cases.names == ("view 0", "view 2", "view 0", "view 2"), "view 1 does not show it"
    assert cases.instructions == ("make it red",) * 2 + ("turn it into ice",) * 2
    assert cases.captions == ("red",) * 2 + ("ice",) * 2
    share = cases.masks.mean((1, 2, 3))
    assert ((share > 0.15) & (share < 0.6)).all(), "the object fills a crop, and not all of it"


def test_an_object_that_no_view_shows_is_refused():
    with pytest.raises(ValueError, match="None of 2 views shows the object"):
        cases_of_views(torch.rand(2, 20, 20, 3), torch.zeros(2, 20, 20, 1), ("make it red",), 16)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_held_out_picture_is_never_trained_on(share):
    """Not with another instruction either."""
    one = some_cases(8)
    both = EditCases.concatenated([one, replace(one, instructions=("make it blue",) * 8)])
    trained, held = split_cases(both, share)
    assert not set(trained.names) & set(held.names)
    assert len(trained) + len(held) == 16 and len(held) == 2 * max(1, round(8 * share))


def test_one_picture_cannot_be_split():
    with pytest.raises(ValueError, match="At least 2 pictures"):
        split_cases(some_cases(1), 0.25)


# --- MagicBrush -----------------------------------------------------------------------------------------------------


def test_what_is_written_in_magicbrushs_format_is_read_again(tmp_path):
    cases = some_cases(3, size=32)
    write_magic_brush(tmp_path, cases)
    again = read_magic_brush(tmp_path, 32)
    assert again.instructions == cases.instructions
    for one, other in ((again.images, cases.images), (again.masks, cases.masks), (again.targets, cases.targets)):
        torch.testing.assert_close(one, other, rtol=0, atol=0.6 / 255)


def test_the_mask_is_where_white_was_painted_and_not_where_white_was():
    picture = torch.full((6, 6, 3), 0.3)
    picture[0] = 1.0  # a white wall
    painted = picture.clone()
    painted[3:5, 3:5] = 1.0
    expected = torch.zeros(6, 6, 1)
    expected[3:5, 3:5] = 1
    assert torch.equal(mask_of(picture, painted), expected)


def magic_folder(folder, mask_size=(8, 8), **turn):
    """One edit as MagicBrush publishes it: the region painted white."""
    (folder / "images" / "7").mkdir(parents=True)
    picture = np.full((8, 8, 3), 90, np.uint8)
    painted = np.full((*mask_size, 3), 90, np.uint8)
    painted[2:5, 2:5] = 255
    target = picture.copy()
    target[2:5, 2:5] = (200, 20, 20)
    for name, image in (("7-input.png", picture), ("7-mask1.png", painted), ("7-output1.png", target)):
        Image.fromarray(image).save(folder / "images" / "7" / name)
    known = {"input": "7-input.png", "mask": "7-mask1.png", "output": "7-output1.png", "instruction": "make it red"}
    (folder / "edit_turns.json").write_text(json.dumps([known | turn]))
    return folder


def test_a_folder_as_magicbrush_publishes_it_is_read(tmp_path):
    cases = read_magic_brush(magic_folder(tmp_path), 8)
    expected = torch.zeros(8, 8)
    expected[2:5, 2:5] = 1
    assert torch.equal(cases.masks[0, ..., 0], expected)
    assert cases.targets is not None and cases.targets[0, 3, 3].tolist() == pytest.approx(
        [200 / 255, 20 / 255, 20 / 255]
    )


def test_targets_may_be_missing(tmp_path):
    assert read_magic_brush(magic_folder(tmp_path, output=None), 8).targets is None


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({"input": "8-input.png"}, r"8-input\.png cannot be read"),
        ({"mask": 3}, "expected a list of"),
        ({"mask": "../7-mask1.png"}, "name of a file"),
        ({"output": ["7"]}, "name of a file"),
        ({"instruction": ""}, "has no instruction"),
        ({"instruction": "half \ud800"}, "edit 0: instruction holds"),
        ({"caption": ["red"]}, "edit 0: caption should be text"),
        ({"input": ".."}, "name of a file"),
        ({"mask": "7-input.png"}, "is empty"),
    ],
)
def test_a_damaged_index_is_refused_with_the_edit_that_is_wrong(tmp_path, turn, message):
    with pytest.raises(ValueError, match=message):
        read_magic_brush(magic_folder(tmp_path, **turn), 8)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[1]", b"\xff", b"[" * 100_000])
def test_an_index_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "edit_turns.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"edit_turns\.json"):
        read_magic_brush(tmp_path, 8)


def test_a_mask_of_another_size_than_its_picture_is_refused_with_both(tmp_path):
    with pytest.raises(ValueError, match="its mask is 6 x 12, the picture 8 x 8"):
        read_magic_brush(magic_folder(tmp_path, mask_size=(12, 6)), 8)


def test_an_index_and_pictures_as_large_as_are_allowed_are_read(tmp_path, monkeypatch):
    assert magic_brush.LARGEST_INDEX == 64 * 2**20 and turns.LARGEST_PIXELS == 4096**2, "the limits that are stated"
    size = (magic_folder(tmp_path) / "edit_turns.json").stat().st_size
    monkeypatch.setattr(magic_brush, "LARGEST_INDEX", size)
    monkeypatch.setattr(turns, "LARGEST_PIXELS", 64)
    assert len(read_magic_brush(tmp_path, 8)) == 1
    monkeypatch.setattr(turns, "LARGEST_PIXELS", 63)
    with pytest.raises(ValueError, match=r"7-input\.png cannot be read: it has 8 x 8 pixels, at most 63 are read"):
        read_magic_brush(tmp_path, 8)
    monkeypatch.setattr(magic_brush, "LARGEST_INDEX", size - 1)
    with pytest.raises(ValueError, match=r"edit_turns\.json has more than the"):
        read_magic_brush(tmp_path, 8)


def test_brackets_alone_are_no_index(tmp_path):
    (tmp_path / "edit_turns.json").write_bytes(b"[" + b"[]," * 5_000_000 + b"[]]")
    with pytest.raises(ValueError, match="there are only brackets"):
        read_magic_brush(tmp_path, 8)


def test_a_picture_that_is_cut_off_is_refused(tmp_path):
    path = magic_folder(tmp_path) / "images" / "7" / "7-input.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"7-input\.png cannot be read"):
        read_magic_brush(tmp_path, 8)


# --- the toy scene --------------------------------------------------------------------------------------------------


def test_of_the_toy_scene_everything_is_known():
    """One edit of each kind: outside the mask picture and target are the same to the bit, inside they are not."""
    cases = toy_cases(5, seed=3, size=32, kinds=("color", "material", "insertion", "removal", "replacement"))
    assert cases.targets is not None
    outside = (cases.masks == 0).expand_as(cases.images)
    assert torch.equal(cases.targets[outside], cases.images[outside])
    for number in range(5):
        inside = cases.masks[number, ..., 0] > 0.9
        assert 0.03 < inside.float().mean() < 0.7
        assert (cases.targets[number] - cases.images[number])[inside].abs().mean() > 0.02, cases.instructions[number]
    again = toy_cases(2, seed=3, size=32, kinds=("color", "material", "insertion", "removal", "replacement"))
    assert torch.equal(again.images, cases.images[:2]) and again.instructions == cases.instructions[:2]
    with pytest.raises(ValueError, match="Kinds of edits are"):
        toy_cases(1, seed=0, kinds=("weather",))
