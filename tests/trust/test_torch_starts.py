"""What is no file of torch.save is said by how it begins: torch would tell how to run what it holds."""

from __future__ import annotations

import pytest
import torch

from fasttext2style.trust.torch_files import load_torch_file


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1", "wrote no file that begins with b'version https://git-'"),
        (b"<!DOCTYPE html><html>", "wrote no file that begins with b'<!DOCTYPE html><html'"),
        (b"PK\3\4 and no more", "it is cut short, or damaged"),
    ],
    ids=["nothing", "a pointer", "a page", "cut short"],
)
def test_what_is_no_file_of_torch_is_said(tmp_path, content, message, mmap):
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(ValueError) as refused:
        load_torch_file(tmp_path / "a.ckpt", mmap)
    assert message in str(refused.value) and "weights_only" not in str(refused.value)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("of_today", [True, False])
def test_files_of_torch_old_ones_too_are_read(tmp_path, of_today, mmap):
    torch.save({"a": torch.ones(3)}, tmp_path / "a.ckpt", _use_new_zipfile_serialization=of_today)
    assert load_torch_file(tmp_path / "a.ckpt", mmap)["a"].equal(torch.ones(3))
