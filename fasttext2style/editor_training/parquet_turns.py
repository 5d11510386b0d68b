"""MagicBrush in Hugging Face's layout: Parquet files, read by pyarrow where it is installed.

    data/train-00000-of-00001.parquet    a row per edit, with the columns
        source_img, mask_img, target_img    pictures, within the file; target_img may be missing or empty
        instruction                         "make it red"
        img_id, turn_index                  not asked for

Where there are files of several splits, those of train are read. Nothing is fetched, and no copy is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from fasttext2style.editor_training.turns import Turn, decoded
from fasttext2style.scene.files.starts import not_what_it_is_called, read_start
from fasttext2style.trust.parquet_pages import unpacked_size
from fasttext2style.trust.sizes import check_is_file, most_unpacked

PICTURES = ("source_img", "mask_img", "target_img")
COLUMNS = "expected the columns source_img, mask_img, instruction and, if known, target_img"


def parquet_files(folder: Path) -> list[Path]:
    """Those of the split train in a folder, or in its data/; of all splits if none is called so; in order."""
    found = sorted([*folder.glob("*.parquet"), *(folder / "data").glob("*.parquet")])
    return [path for path in found if path.name.startswith("train")] or found


def parquet_turns(folder: Path) -> Iterator[Turn]:
    """All rows of a folder, one by one.

    Raises:
        ValueError: pyarrow is missing, a file or a picture that is damaged, columns that are missing.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(
            f"{folder} is in Hugging Face's layout, which pyarrow reads, and that cannot be imported ({error}): "
            'pip install "fasttext2style[parquet]"'
        ) from error
    number = 0
    for path in parquet_files(folder):
        check_is_file(path)
        start = read_start(path)
        if not start.startswith(b"PAR1"):
            raise ValueError(f"{path} is {not_what_it_is_called(start) or 'no Parquet file; ' + COLUMNS}.")
        for row, cells in enumerate(_rows(pyarrow.parquet.ParquetFile, path)):
            yield _turn(cells, f"{path}, row {row}", f"{number} ({path.name}, row {row})")
            number += 1


def _rows(opened: Callable[[Path], Any], path: Path) -> Iterator[dict[str, Any]]:
    """As they are in the file: pictures as bytes, and the name that they had."""
    try:
        with opened(path) as file:
            names = file.schema_arrow.names
            if not {"source_img", "mask_img", "instruction"} <= set(names):
                raise ValueError(f"{COLUMNS}, got {', '.join(names)[:200]}")
            wanted = [name for name in (*PICTURES, "instruction") if name in names]
            _check_size(path, wanted)
            # Row by row: all may share one great cell of a dictionary.
            for batch in file.iter_batches(batch_size=1, columns=wanted):
                yield from batch.to_pylist()
    except Exception as error:  # a damaged file fails in as many ways as there are damages
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())[:300]}") from error


def _check_size(path: Path, wanted: list[str]) -> None:
    needed, most = unpacked_size(path, wanted), most_unpacked(path.stat().st_size)
    if needed > most:
        raise ValueError(
            f"it would be unpacked to {needed:,} bytes, of a file of its size at most {most:,} are read: keep pictures "
            "as PNG or JPEG, which are packed already"
        )


def _turn(cells: dict[str, Any], where: str, name: str) -> Turn:
    instruction = cells["instruction"]
    if not isinstance(instruction, str):
        raise ValueError(f"{where}: instruction should be text, got {str(instruction)[:80]!r}.")
    pictures = {}
    for column in PICTURES:
        cell = cells.get(column)
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes) and (cell is not None or column != "target_img"):
            # The name of a file would lead out of the data set.
            raise ValueError(f"{where}: {column} holds no picture; {COLUMNS}, pictures as bytes.")
        pictures[column] = None if content is None else decoded(BytesIO(content), f"{where}: {column}")
    return Turn(name, pictures["source_img"], pictures["mask_img"], pictures["target_img"], instruction, instruction)
