"""MagicBrush in Hugging Face's layout comes to what its folder comes to, or is refused with file and row."""

from __future__ import annotations

import io
import socket
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from test_cases import magic_folder

from fasttext2style.editor_training import turns
from fasttext2style.editor_training.magic_brush import read_magic_brush
from fasttext2style.editor_training.settings import ToyConfig
from fasttext2style.editor_training.tuning import cases_of_data

NAME = "train-00000-of-00001.parquet"
# What datasets 4.8 writes.
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = {
    "img_id": pa.string(),
    "turn_index": pa.int64(),
    "source_img": PICTURE,
    "mask_img": PICTURE,
    "instruction": pa.string(),
    "target_img": PICTURE,
}


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def pictures(size: int = 8) -> dict[str, bytes]:
    """Those of `magic_folder`."""
    picture = np.full((size, size, 3), 90, np.uint8)
    painted, target = picture.copy(), picture.copy()
    painted[2:5, 2:5], target[2:5, 2:5] = 255, (200, 20, 20)
    return {"source_img": png(picture), "mask_img": png(painted), "target_img": png(target)}


def parquet(folder: Path, *rows: dict, name: str = NAME, without: str = "", plain: bool = False) -> Path:
    """A file as `push_to_hub` writes it, each row with these changes; plain: pictures as bytes alone, without names."""
    known = {"img_id": "7", "turn_index": 1, "instruction": "make it red"}
    known |= {column: {"bytes": content, "path": f"7-{column}.png"} for column, content in pictures().items()}
    lists = {column: [(known | row)[column] for row in rows] for column in COLUMNS if column != without}
    if plain:
        lists |= {column: [cell["bytes"] for cell in lists[column]] for column in pictures() if column != without}
    types = {column: pa.binary() if plain and kind == PICTURE else kind for column, kind in COLUMNS.items()}
    table = pa.table({column: pa.array(cells, types[column]) for column, cells in lists.items()})
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "data" / name)
    return folder


@pytest.mark.parametrize("plain", [False, True])
def test_rows_come_to_what_the_folder_comes_to(tmp_path, plain):
    rows = read_magic_brush(parquet(tmp_path / "rows", {}, {"instruction": "make it blue"}, plain=plain), 8)
    folder = read_magic_brush(magic_folder(tmp_path / "folder"), 8)
    assert rows.instructions == ("make it red", "make it blue") == rows.captions
    assert rows.names == (f"0 ({NAME}, row 0)", f"1 ({NAME}, row 1)")
    assert rows.targets is not None and folder.targets is not None
    for one, other in (
        (rows.images, folder.images),
        (rows.masks, folder.masks),
        (rows.targets, folder.targets),
    ):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[0])


def test_the_files_of_train_are_read_in_order_and_no_others(tmp_path):
    """Numbers of cases go on from file to file, those of rows begin anew."""
    parquet(tmp_path, {"instruction": "three"}, name="train-00001-of-00002.parquet")
    parquet(tmp_path, {"instruction": "one"}, {"instruction": "two"}, name="train-00000-of-00002.parquet")
    parquet(tmp_path, {"instruction": "four"}, name="dev-00000-of-00001.parquet")
    found = cases_of_data(str(tmp_path), ToyConfig(), 8)
    assert found.instructions == ("one", "two", "three")
    assert found.names[2] == "2 (train-00001-of-00002.parquet, row 0)"
    assert cases_of_data(str(tmp_path), ToyConfig(), 8, at_most=2).instructions == ("one", "two")
    for path in (tmp_path / "data").glob("train*"):
        path.unlink()
    assert cases_of_data(str(tmp_path), ToyConfig(), 8).instructions == ("four",)


@pytest.mark.parametrize("without", [{"without": "target_img"}, {}])
def test_targets_may_be_missing(tmp_path, without):
    changes = {} if without else {"target_img": None}
    assert read_magic_brush(parquet(tmp_path, changes, **without), 8).targets is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"source_img": {"bytes": b"no picture", "path": None}}, "row 1: source_img cannot be read"),
        ({"source_img": {"bytes": pictures()["source_img"][:50], "path": None}}, "row 1: source_img cannot be read"),
        ({"target_img": {"bytes": b"", "path": None}}, "row 1: target_img cannot be read"),
        ({"mask_img": None}, "row 1: mask_img holds no picture"),
        ({"mask_img": {"bytes": None, "path": "/etc/hostname"}}, "row 1: mask_img holds no picture"),
        ({"target_img": {"bytes": None, "path": "7.png"}}, "row 1: target_img holds no picture"),
        ({"instruction": None}, "row 1: instruction should be text, got 'None'"),
        ({"instruction": " "}, rf"Case 1 \({NAME}, row 1\) has no instruction"),
        ({"mask_img": {"bytes": pictures(9)["mask_img"], "path": None}}, "row 1.*its mask is 9 x 9, the picture 8 x 8"),
        ({"target_img": {"bytes": pictures(9)["mask_img"], "path": None}}, "row 1.*its target is 9 x 9, the picture 8"),
        ({"mask_img": {"bytes": pictures()["source_img"], "path": None}}, r"row 1\) is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_that_is_wrong_is_refused_with_file_and_row(tmp_path, row, message):
    with pytest.raises(ValueError, match=message) as told:
        read_magic_brush(parquet(tmp_path, {}, row), 8)
    assert NAME in str(told.value) and len(str(told.value).splitlines()) == 1


def test_pictures_as_large_as_are_allowed_are_read(tmp_path, monkeypatch):
    parquet(tmp_path, {})
    monkeypatch.setattr(turns, "LARGEST_PIXELS", 64)
    assert len(read_magic_brush(tmp_path, 8)) == 1
    monkeypatch.setattr(turns, "LARGEST_PIXELS", 63)
    with pytest.raises(ValueError, match="row 0: source_img cannot be read: it has 8 x 8 pixels, at most 63 are read"):
        read_magic_brush(tmp_path, 8)


def test_reading_asks_nobody_and_leaves_nothing_beside(tmp_path, monkeypatch):
    def asked(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", asked)
    read_magic_brush(parquet(tmp_path, {}), 8)
    assert {path.name for path in tmp_path.rglob("*")} == {"data", NAME}


@pytest.mark.parametrize(("column", "kind"), [("instruction", pa.int64()), ("source_img", pa.string())])
def test_a_column_of_another_type_is_refused(tmp_path, column, kind):
    table = pq.read_table(parquet(tmp_path, {}) / "data" / NAME)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array([7], pa.int64()).cast(kind)), tmp_path / "data" / NAME)
    with pytest.raises(ValueError, match=f"row 0: {column} (should be text|holds no picture)"):
        read_magic_brush(tmp_path, 8)


def test_a_file_that_breaks_off_is_refused(tmp_path):
    path = parquet(tmp_path, {}, {}) / "data" / NAME
    content = path.read_bytes()
    for length in range(4, len(content), len(content) // 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=f"{NAME} cannot be read") as told:
            read_magic_brush(tmp_path, 8)
        assert len(str(told.value).splitlines()) == 1


def test_missing_columns_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"expected the columns source_img, mask_img.*got .*source_img"):
        read_magic_brush(parquet(tmp_path, {}, without="mask_img"), 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"{}", "no Parquet file"),
        (b"PAR1" + bytes(60) + b"PAR1", "cannot be read"),
    ],
)
def test_files_of_something_else_are_refused_by_name(tmp_path, content, message):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / NAME).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{NAME} .*{message}") as told:
        read_magic_brush(tmp_path, 8)
    assert len(str(told.value).splitlines()) == 1


def test_where_the_package_is_missing_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / NAME).write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match=r'pyarrow reads.*pip install "fasttext2style\[parquet\]"') as told:
        cases_of_data(str(tmp_path), ToyConfig(), 8)
    assert len(str(told.value).splitlines()) == 1


def test_a_folder_of_neither_layout_is_told_of_both(tmp_path):
    with pytest.raises(ValueError, match=r"edit_turns\.json or data/train-\*\.parquet"):
        cases_of_data(str(tmp_path), ToyConfig(), 8)
