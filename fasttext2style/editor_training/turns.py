"""Edits as MagicBrush tells them: a picture, the same with a region painted white, a sentence, what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from fasttext2style.captures.photographs import UNREADABLE, pillow_is_quiet
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editors.resolution import native_crop_size, resized

LARGEST_PIXELS = 4096 * 4096
"""Of a picture: edits see some hundred thousand of them."""
WHITE = 250 / 255
"""From here on a channel is white: masks were saved by people, some as JPEG."""


class Turn(NamedTuple):
    """One edit; pictures are [height, width, 3 or 4], sRGB in [0, 1]."""

    name: str
    """For people: its number and where it is from."""
    picture: Tensor
    painted: Tensor
    """The picture with the region that is to change white, or transparent."""
    target: Tensor | None
    instruction: str
    caption: str


def cases_of_turns(turns: Iterable[Turn], side: int, source: Path) -> EditCases:
    """Each resized to about side x side pixels.

    Args:
        source: where they are from, for people.

    Raises:
        ValueError: none, a mask or a target of another size than its picture, pictures of several proportions.
    """
    lots: list[EditCases] = []
    for turn in turns:
        picture = turn.picture[..., :3]
        mask = mask_of(picture, turn.painted, turn.name)
        target = None if turn.target is None else turn.target[..., :3]
        if target is not None and target.shape != picture.shape:
            raise ValueError(f"Case {turn.name}: its target is {_size(target)}, the picture {_size(picture)}")
        size = native_crop_size(picture.shape[0], picture.shape[1], side)
        images = [resized(one, *size)[None] for one in (picture, mask, *(() if target is None else (target,)))]
        if lots and images[0].shape != lots[0].images.shape:
            raise ValueError(
                f"Case {turn.name} is {_size(picture)}, of other proportions than those before: pictures of a training "
                "are of one shape. Cut them to it."
            )
        lots.append(
            EditCases(
                images[0],
                images[1],
                (turn.instruction,),
                images[2] if target is not None else None,
                (turn.caption,),
                (turn.name,),
            )
        )
    if not lots:
        raise ValueError(f"{source} holds no edits")
    return EditCases.concatenated(lots)


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


def decoded(stream: BufferedReader | BytesIO, where: str) -> Float[Tensor, "height width channels"]:
    """The pixels of a picture, 3 channels or 4, in [0, 1].

    Raises:
        ValueError: damaged, or more than `LARGEST_PIXELS`; `where` is named.
    """
    try:
        with pillow_is_quiet(), Image.open(stream) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels, at most {LARGEST_PIXELS:,} are read")
            pixels = np.asarray(image.convert("RGBA" if "A" in image.getbands() else "RGB"))
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise ValueError(f"{where} cannot be read: {error}") from error
    return torch.from_numpy(pixels.copy()).float() / 255


def _size(image: Tensor) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
