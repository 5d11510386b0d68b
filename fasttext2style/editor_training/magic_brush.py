"""MagicBrush's format (Zhang et al. 2023, CC BY 4.0): a folder with edit_turns.json and pictures.

    edit_turns.json          [{"input": "12-input.png", "mask": "12-mask1.png", "output": "12-output1.png",
                               "instruction": "make it red"}, ...]
    images/12/12-input.png   the picture; its folder is what stands before the first dash
    images/12/12-mask1.png   the picture with the region that is to change painted white (or made transparent)
    images/12/12-output1.png the picture afterwards

"output" may be missing: reinforcement needs none. "caption" is ours: what the outcome shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from fasttext2style.captures.photographs import UNREADABLE, pillow_is_quiet
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editors.resolution import native_crop_size, resized
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.trust.documents import check_density
from fasttext2style.trust.sizes import BoundedReader, check_is_file
from fasttext2style.trust.text import check_text

INDEX = "edit_turns.json"
LARGEST_INDEX = 64 << 20
"""Bytes; MagicBrush's own, of 8,807 edits, has 2 million."""
LARGEST_PIXELS = 4096 * 4096
"""Of a picture: edits see some hundred thousand of them."""
WHITE = 250 / 255
"""From here on a channel is white: masks were saved by people, some as JPEG."""


def read_magic_brush(folder: Path, side: int, at_most: int = 0) -> EditCases:
    """All turns of a folder, or the first `at_most`, each resized to about side x side pixels.

    Raises:
        ValueError: no such folder, an index or a picture that is missing, damaged or larger than `LARGEST_INDEX` or
            `LARGEST_PIXELS`, a mask of another size than its picture, pictures of several proportions.
    """
    turns = _turns(folder)
    turns = turns[:at_most] if at_most else turns
    lots: list[EditCases] = []
    for number, turn in enumerate(turns):
        name = f"{number} ({turn['input']})"
        picture = _picture(folder, turn["input"])[..., :3]
        mask = mask_of(picture, _picture(folder, turn["mask"]), name)
        target = _picture(folder, turn["output"])[..., :3] if turn.get("output") else None
        if target is not None and target.shape != picture.shape:
            raise ValueError(f"Case {name}: {turn['output']} is {_size(target)}, and {turn['input']} {_size(picture)}")
        size = native_crop_size(picture.shape[0], picture.shape[1], side)
        images = [resized(one, *size)[None] for one in (picture, mask, *(() if target is None else (target,)))]
        if lots and images[0].shape != lots[0].images.shape:
            raise ValueError(
                f"Case {name} is {_size(picture)}, of other proportions than those before: pictures of a training are "
                "of one shape. Cut them to it."
            )
        caption = turn.get("caption") or turn["instruction"]
        lots.append(
            EditCases(
                images[0],
                images[1],
                (turn["instruction"],),
                images[2] if target is not None else None,
                (caption,),
                (name,),
            )
        )
    return EditCases.concatenated(lots)


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


def mask_of(
    picture: Float[Tensor, "height width 3"], painted: Float[Tensor, "rows columns channels"], name: str = ""
) -> Float[Tensor, "height width 1"]:
    """Where the painted picture is white and the picture is not, or as far as it is transparent.

    White that was there before is no mask: a white cat in a picture is not asked about.

    Raises:
        ValueError: another size.
    """
    if painted.shape[:2] != picture.shape[:2]:
        raise ValueError(
            f"Case {name}: its mask is {_size(painted)}, the picture {_size(picture)}; they should be of one size."
        )
    if painted.shape[2] == 4 and bool((painted[..., 3] < 1).any()):
        return 1 - painted[..., 3:]
    now, before = ((image[..., :3] >= WHITE).all(dim=-1) for image in (painted, picture))
    return (now & ~before).float()[..., None]


def is_magic_brush(folder: Path) -> bool:
    """Whether a folder has this format's index."""
    return (folder / INDEX).is_file()


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
        with pillow_is_quiet(), BoundedReader(path) as stream, Image.open(stream) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels, at most {LARGEST_PIXELS:,} are read")
            pixels = np.asarray(image.convert("RGBA" if "A" in image.getbands() else "RGB"))
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return torch.from_numpy(pixels.copy()).float() / 255


def _size(image: Tensor) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
