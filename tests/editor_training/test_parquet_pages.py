"""What Parquet's pages are unpacked to is known before pyarrow unpacks them, also where the file lies about it."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_parquet_turns import NAME, PICTURE, pictures

from fasttext2style.editor_training.magic_brush import read_magic_brush
from fasttext2style.trust import sizes
from fasttext2style.trust.parquet_pages import unpacked_size
from tests.fuzz.fuzzer import _most_memory

KINDS = {
    "as it is": {},
    "without compression": {"compression": "none"},
    "many pages": {"compression": "zstd", "use_dictionary": False, "data_page_size": 100, "write_batch_size": 5},
    "pages of version 2": {"compression": "zstd", "data_page_version": "2.0", "row_group_size": 30},
    "checksums and an index": {"write_page_checksum": True, "write_page_index": True},
}


def written(folder, source: bytes, rows: int = 1, **settings):
    lists = {name: [{"bytes": content, "path": None}] * rows for name, content in pictures().items()}
    lists["source_img"] = [{"bytes": source, "path": None}] * rows
    columns = {name: pa.array(cells, PICTURE) for name, cells in lists.items()}
    pq.write_table(pa.table(columns | {"instruction": ["make it red"] * rows}), folder / NAME, **settings)
    return folder / NAME


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_pyarrow_says_without_headers(tmp_path, kind):
    path = written(tmp_path, pictures()["source_img"], rows=100, **KINDS[kind])
    about = pq.ParquetFile(path).metadata
    columns = [about.row_group(group).column(number) for group in range(about.num_row_groups) for number in (0, 6)]
    theirs, ours = (
        sum(one.total_uncompressed_size for one in columns),
        unpacked_size(path, ("source_img", "instruction")),
    )
    names = [column.path_in_schema for column in columns]
    assert {"source_img.bytes", "instruction"} == set(names)
    theirs += sum(
        about.row_group(group).column(1).total_uncompressed_size for group in range(about.num_row_groups)
    )  # source_img.path
    pages = 200 if kind == "many pages" else 12 * about.num_row_groups
    assert 0 < theirs - ours < 120 * pages


def number(value: int, length: int = 0) -> bytes:
    """As Thrift writes it, filled up to so many bytes."""
    groups = [(value << 1) >> shift & 127 for shift in range(0, 64, 7) if (value << 1) >> shift]
    groups += [0] * (length - len(groups))
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])


@pytest.mark.parametrize("is_said", [True, False])
def test_zeros_are_not_unpacked_whatever_the_file_says_of_its_columns(tmp_path, is_said):
    path = written(tmp_path, bytes(60_000_000), compression="zstd")
    if not is_said:
        group = pq.ParquetFile(path).metadata.row_group(0)
        for said in (group.column(0).total_uncompressed_size, group.total_byte_size):
            path.write_bytes(path.read_bytes().replace(number(said), number(100, len(number(said)))))
        group = pq.ParquetFile(path).metadata.row_group(0)
        assert group.column(0).total_uncompressed_size == group.total_byte_size == 100
    before = _most_memory(begins_anew=True)
    with pytest.raises(
        ValueError, match=rf"{NAME} cannot be read: it would be unpacked to 60,000,\d+ bytes, of a file"
    ):
        read_magic_brush(tmp_path, 8)
    assert _most_memory() - before < 20e6


def test_rows_that_share_a_great_cell_are_read_one_by_one(tmp_path):
    """A dictionary holds it once."""
    path = written(tmp_path, bytes(15_000_000), rows=16, compression="zstd")
    assert path.stat().st_size < 10_000
    before = _most_memory(begins_anew=True)
    with pytest.raises(ValueError, match="row 0: source_img cannot be read: cannot identify"):
        read_magic_brush(tmp_path, 8)
    assert _most_memory() - before < 200e6


def test_files_packed_as_tightly_as_is_allowed_are_read(tmp_path, monkeypatch):
    path = written(tmp_path, pictures()["source_img"])
    monkeypatch.setattr(sizes, "SMALL", unpacked_size(path, (*pictures(), "instruction")))
    monkeypatch.setattr(sizes, "MOST_UNPACKED", 0)
    assert len(read_magic_brush(tmp_path, 8)) == 1
    monkeypatch.setattr(sizes, "SMALL", sizes.SMALL - 1)
    with pytest.raises(ValueError, match=re.escape("are read: keep pictures as PNG or JPEG")):
        read_magic_brush(tmp_path, 8)


@pytest.mark.parametrize("kind", [3, 5, 7, 8, 12])
def test_a_list_without_end_ends_with_the_file(tmp_path, kind):
    """2^61 bytes, numbers, doubles, texts or structs in a footer of ten bytes."""
    footer = bytes([0x49, 0xF0 | kind]) + b"\xff" * 8 + b"\x1f"
    path = tmp_path / "endless.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match="it ends within its footer"):
        unpacked_size(path, ["source_img"])
