"""MagicBrush's format (Zhang et al. 2023, CC BY 4.0): a folder with edit_turns.json and pictures.

    edit_turns.json          [{"input": "12-input.png", "mask": "12-mask1.png", "output": "12-output1.png",
                               "instruction": "make it red"}, ...]
    images/12/12-input.png   the picture; its folder is what stands before the first dash
    images/12/12-mask1.png   the picture with the region that is to change painted white (or made transparent)
    images/12/12-output1.png the picture afterwards

"output" may be missing: reinforcement needs none. "caption" is ours: what the outcome shows. Hugging
Face's layout of the same data is read by `parquet_turns`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.parquet_turns import parquet_files, parquet_turns
from fasttext2style.editor_training.turns import Turn, cases_of_turns, decoded
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.trust.documents import check_density
from fasttext2style.trust.sizes import BoundedReader, check_is_file
from fasttext2style.trust.text import check_text

INDEX = "edit_turns.json"
LARGEST_INDEX = 64 << 20
"""Bytes; MagicBrush's own, of 8,807 edits, has 2 million."""


def read_magic_brush(folder: Path, side: int, at_most: int = 0) -> EditCases:
    """All turns of a folder, or the first `at_most`, each resized to about side x side pixels.

    With edit_turns.json, or of Parquet files in Hugging Face's layout (`parquet_turns`).

    Raises:
        ValueError: no such folder, an index or a picture that is missing, damaged or larger than `LARGEST_INDEX` or
            `LARGEST_PIXELS`, a mask of another size than its picture, pictures of several proportions.
    """
    turns = parquet_turns(folder) if not _has_index(folder) and parquet_files(folder) else _turns_of_index(folder)
    return cases_of_turns(islice(turns, at_most or None), side, folder)


def write_magic_brush(folder: Path, cases: EditCases) -> None:
    """Write cases in this format; the index comes last."""
    turns = []
    for number in range(len(cases)):
        one = cases.select([number])
        files = {"input": f"{number}-input.png", "mask": f"{number}-mask1.png"}
        opaque = torch.cat([one.images, 1 - one.masks], dim=3)[0]
        pictures = {"input": one.images[0], "mask": opaque}
        if one.targets is not None:
            files["output"], pictures["output"] = f"{number}-output1.png", one.targets[0]
        for what, name in files.items():
            with atomic_write(_place(folder, name)) as stream:
                # As transparency, which is exact, and also says how much of a pixel belongs to the region.
                pixels = (pictures[what].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
                Image.fromarray(pixels).save(stream, format="PNG")
        turns.append(files | {"instruction": one.instructions[0], "caption": one.captions[0]})
    with atomic_write(folder / INDEX) as stream:
        stream.write(json.dumps(turns, indent=1).encode())


def is_magic_brush(folder: Path) -> bool:
    """Whether a folder has this format's index, or Parquet files."""
    return _has_index(folder) or bool(parquet_files(folder))


def _has_index(folder: Path) -> bool:
    return (folder / INDEX).is_file()


def _turns_of_index(folder: Path) -> Iterator[Turn]:
    for number, turn in enumerate(_turns(folder)):
        yield Turn(
            f"{number} ({turn['input']})",
            _picture(folder, turn["input"]),
            _picture(folder, turn["mask"]),
            _picture(folder, turn["output"]) if turn.get("output") else None,
            turn["instruction"],
            turn.get("caption") or turn["instruction"],
        )


def _turns(folder: Path) -> list[dict[str, Any]]:
    index = folder / INDEX
    how = 'expected a list of {"input", "mask", "instruction"} and, if known, "output"'
    check_is_file(index)
    try:
        with open(index, "rb") as stream:
            content = stream.read(LARGEST_INDEX + 1)
        if len(content) > LARGEST_INDEX:
            raise ValueError(f"{index} has more than the {LARGEST_INDEX:,} bytes that are read of such a file")
        check_density(content)
        turns = json.loads(content)
    except OSError as error:
        raise ValueError(f"{index} cannot be read ({error.strerror}); {how}.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{index} is no JSON ({error}); {how}.") from error
    if not isinstance(turns, list) or not turns:
        raise ValueError(f"{index} holds no edits; {how}.")
    for number, turn in enumerate(turns):
        if not isinstance(turn, dict) or not all(
            isinstance(turn.get(key), str) for key in ("input", "mask", "instruction")
        ):
            raise ValueError(f"{index}, edit {number}: {how}.")
        for key in ("input", "mask", "output"):
            if (name := turn.get(key)) and (not isinstance(name, str) or Path(name).name != name or ".." in name):
                raise ValueError(f"{index}, edit {number}: {key} should be the name of a file, got {str(name)[:80]!r}.")
        if not isinstance(turn.get("caption", ""), str):
            raise ValueError(f"{index}, edit {number}: caption should be text, got {str(turn['caption'])[:80]!r}.")
        for key in ("instruction", "caption"):
            check_text(turn.get(key, ""), f"{index}, edit {number}: {key}")
    return turns


def _place(folder: Path, name: str) -> Path:
    return folder / "images" / name.split("-")[0] / name


def _picture(folder: Path, name: str) -> Float[Tensor, "height width channels"]:
    path = _place(folder, name)
    try:
        check_is_file(path)
        with BoundedReader(path) as stream:
            return decoded(stream, str(path))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
