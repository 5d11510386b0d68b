"""Selections: their files, and what they say when they do not fit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttext2style.selection.selection import Selection


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
