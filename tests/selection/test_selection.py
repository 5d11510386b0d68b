"""Selections: their files, and what they say when they do not fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_scenes import blobs

from fasttext2style.selection.selection import SceneMark, Selection


@given(weights=st.lists(st.floats(0, 1, width=32), min_size=0, max_size=40), origin=st.text(max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_saved_selection_comes_back_bit_for_bit(tmp_path_factory, weights, origin):
    # NumPy's strings end at their last character that is not NUL.
    origin = origin.rstrip("\0")
    path = tmp_path_factory.mktemp("selection") / "bear.npz"
    Selection(torch.tensor(weights), origin).save(path)
    loaded = Selection.load(path)
    assert torch.equal(loaded.weights, torch.tensor(weights))
    assert loaded.origin == origin
    assert [file.name for file in path.parent.iterdir()] == ["bear.npz"]


@pytest.mark.parametrize(
    "array", [np.array([True, False, True]), np.array([1, 0, 1], np.uint8), np.array([1.0, 0.0, 1.0], np.float64)]
)
def test_plain_npy_files_of_anybody_are_read(tmp_path, array):
    np.save(tmp_path / "mask.npy", array)
    loaded = Selection.load(tmp_path / "mask.npy")
    assert loaded.weights.tolist() == [1.0, 0.0, 1.0]
    assert "mask.npy" in loaded.origin


def test_files_that_are_no_selection_say_so(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npy").write_bytes(b"")
    np.savez(tmp_path / "other.npz", colors=np.ones(3))
    np.save(tmp_path / "names.npy", np.array(["a", "b"]))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "table.npy", np.ones((3, 2)))
    for name in ("text.npz", "empty.npy", "objects.npy"):
        with pytest.raises(ValueError, match=f"{name} is no selection"):
            Selection.load(tmp_path / name)
    with pytest.raises(ValueError, match=r"has \['colors'\], not weights"):
        Selection.load(tmp_path / "other.npz")
    with pytest.raises(ValueError, match="should be numbers"):
        Selection.load(tmp_path / "names.npy")
    with pytest.raises(ValueError, match=r"\[gaussians\], got float64 \[3, 2\]"):
        Selection.load(tmp_path / "table.npy")
    with pytest.raises(FileNotFoundError):
        Selection.load(tmp_path / "missing.npz")


def test_a_npz_without_origin_is_named_after_its_file(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.ones(3))
    assert "a.npz" in Selection.load(tmp_path / "a.npz").origin


def test_a_failing_save_leaves_the_old_selection(tmp_path, monkeypatch):
    Selection.everything(3).save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()
    monkeypatch.setattr(np, "savez_compressed", lambda stream, **_: stream.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Selection.everything(5).save(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("wrong", [float("nan"), -0.1, 1.1, float("inf")])
def test_weights_outside_zero_to_one_are_refused(wrong):
    with pytest.raises(ValueError, match="1 of 3 do not"):
        Selection(torch.tensor([0.0, wrong, 1.0]), "test")


def test_a_selection_of_another_scene_says_what_to_do():
    selection = Selection.everything(48_210)
    selection.check_matches(48_210)
    with pytest.raises(ValueError, match=r"48,210 weights but the scene has 51,003 Gaussians; .*`ft2s select` again"):
        selection.check_matches(51_003)


def test_nothing_is_an_error_and_everything_a_warning():
    with pytest.raises(ValueError, match=r"Nothing is selected \(box: 0 of 4 Gaussians\)"):
        Selection(torch.zeros(4), "box").check_usable()
    assert "All 4 Gaussians" in Selection.everything(4).check_usable()
    partly = Selection(torch.tensor([0.0, 0.25]), "box")
    assert partly.check_usable() is None
    assert partly.mask.tolist() == [False, True]
    assert partly.count == 1


def cloud(seed: int, count: int = 500):
    return blobs(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), 0.1)


def test_a_selection_knows_its_scene_also_after_a_restart(tmp_path):
    scene = cloud(0)
    Selection.everything(500).for_scene(scene).save(tmp_path / "a.npz")
    loaded = Selection.load(tmp_path / "a.npz")
    loaded.check_matches(scene)
    loaded.check_matches(500)
    with pytest.raises(ValueError, match=r"another scene of 500 Gaussians: only \d+% of them lie where they lay.*Run"):
        loaded.check_matches(cloud(1))


def test_edits_of_colour_and_small_moves_are_the_same_scene():
    scene = cloud(0)
    selection = Selection.everything(500).for_scene(scene)
    selection.check_matches(replace(scene, sh_dc=scene.sh_dc + 1, logit_opacities=-scene.logit_opacities))
    selection.check_matches(replace(scene, means=scene.means + 0.01 * torch.randn(500, 3)))
    # A third of it, the object, may even have gone elsewhere.
    selection.check_matches(replace(scene, means=scene.means + 9.0 * (torch.arange(500) < 160)[:, None]))
    with pytest.raises(ValueError, match="another scene"):
        selection.check_matches(replace(scene, means=scene.means.flip(0)))


def test_files_from_before_the_mark_are_read_and_match_by_number(tmp_path):
    np.savez(tmp_path / "old.npz", weights=np.ones(500, np.float32), origin=np.array("box"))
    old = Selection.load(tmp_path / "old.npz")
    assert old.scene_mark is None
    old.check_matches(cloud(0))
    with pytest.raises(ValueError, match="500 weights but the scene has 400"):
        old.check_matches(cloud(0, 400))


def test_the_extent_of_a_mark_is_the_median_distance_from_the_middle():
    """Places 0, 1, 2, 3 and 100 on each axis: the middle is 2, and the distances are 2, 1, 0, 1, 98 times sqrt(3)."""
    places = torch.tensor([0.0, 1.0, 2.0, 3.0, 100.0])[:, None].repeat(1, 3)
    assert SceneMark(5, places).extent == pytest.approx(3**0.5)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_tiny_scenes_have_marks_too(count):
    scene = cloud(0, count)
    Selection.everything(count).for_scene(scene).check_matches(scene)


def test_a_selection_cannot_be_marked_for_a_scene_that_it_does_not_fit():
    with pytest.raises(ValueError, match="3 weights but the scene has 500"):
        Selection.everything(3).for_scene(cloud(0))


def test_a_file_that_is_not_there_or_a_folder_is_said(tmp_path):
    for path, what in ((tmp_path, "is a folder"), (tmp_path / "none.npz", "does not exist")):
        with pytest.raises(OSError, match=rf"{what}; expected a \.npz of `ft2s select` or a \.npy of weights"):
            Selection.load(path)
