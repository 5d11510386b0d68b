"""Masks: which one belongs to which photograph, and which of its pixels are white.

Tools write them grey, in colours, with alpha, by numbers of labels, soft, larger or smaller than the photograph, in one
folder or in a tree like the photographs', as NAME.png or NAME.jpg.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image

from fasttext2style.captures.photographs import (
    MODES,
    SIXTEEN_BITS,
    TURNS,
    UNREADABLE,
    Head,
    advice,
    in_colors,
    in_mode,
    opened,
    read_head,
    read_heads,
)

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"))
CUT_OUT = ("LA", "La", "PA", "RGBA", "RGBa", "P")
"""Modes of photographs that may be masks, too: of what they do not show."""
HALF = 128
"""From this value of 255 on a pixel is white: JPEGs ring around edges."""


def masks_of(folder: Path, photographs: Sequence[Path], others: Sequence[Path] = ()) -> list[Path]:
    """The mask of each photograph: the picture in `folder`, at any depth, whose path ends most like the photograph's.

    a/0001.png belongs to images/a/0001.jpg and not to images/b/0001.jpg; 0001.jpg.png to 0001.jpg.

    Args:
        others: photographs of the capture that need no mask, but may be the ones that a mask belongs to.

    Raises:
        ValueError: no such folder, a photograph without a mask, or it is not clear whose a mask is.
    """
    if folder.is_file():
        raise ValueError(
            f"The object masks {folder} are a file: give the folder that holds them, one for a photograph."
        )
    if not folder.is_dir():
        raise ValueError(f"The folder of object masks {folder} does not exist.")
    pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    by_stem: dict[str, list[Path]] = {}
    for path in pictures:
        for stem in {path.stem, _without_ending(path.stem)}:
            by_stem.setdefault(stem, []).append(path)
    taken = [photograph for photograph in others if photograph not in photographs]
    found = {}
    for photograph in (*photographs, *taken):
        candidates = by_stem.get(photograph.stem, [])
        folders = {other.parent for other in (*photographs, *taken)} - {photograph.parent}
        candidates = [path for path in candidates if not _lies_elsewhere(folder, path, photograph, folders)]
        mask = _nearest(folder, photograph, candidates)
        if mask is not None:
            found[photograph] = mask
    missing = [photograph for photograph in photographs if photograph not in found]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(photographs)} photographs have no mask in {folder}, first {missing[0]}: expected "
            f"{missing[0].stem}.png, in it or in a folder {missing[0].parent.name} in it; "
            f"{_what_is_there(folder, pictures)}."
        )
    same = next((mask for photograph, mask in found.items() if _is(mask, photograph)), None)
    if same is not None and read_head(same).mode not in CUT_OUT:
        raise ValueError(
            f"{folder} is no folder of masks: {same} is a photograph of the capture. Give the folder of pictures in "
            "which the object is white."
        )
    owners: dict[Path, Path] = {}
    for photograph, mask in found.items():
        other = owners.setdefault(mask, photograph)
        if other != photograph:
            raise ValueError(
                f"{mask} could be the mask of {other} or of {photograph}: where photographs in several folders have "
                f"one name, their masks need folders of these names, such as "
                f"{folder / photograph.parent.name / mask.name}."
            )
    return [found[photograph] for photograph in photographs]


def check_masks(masks: Sequence[Path], sizes: Sequence[tuple[int, int]], turns: Sequence[int]) -> None:
    """Look at the headers of masks.

    Args:
        sizes: width and height of each photograph, as its camera has them.
        turns: the EXIF orientation by which it becomes that.

    Raises:
        ValueError: one is missing, cannot be read, or has another shape than its photograph.
    """
    missing = [path for path in masks if not path.is_file()]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(masks)} masks are missing, first {missing[0]}. Restore them, or take their "
            "mask_path out of transforms.json (of all frames: masks are for all or for none)."
        )
    heads, broken = read_heads(masks)
    if broken:
        raise ValueError(f"{len(broken)} of {len(masks)} masks cannot be read, first {broken[0]}. Replace them.")
    for head, size, turn in zip(heads, sizes, turns):
        _turn(head, size, turn)


def check_some_white(masks: Sequence[Path]) -> None:
    """Raises ValueError when there is nothing white in any of these masks: then there is no object."""
    for path in masks:
        head = read_head(path)
        if read_mask(path, head.size, 1, head.size).any():
            return
    raise ValueError(f"All {len(masks)} masks are black, first {masks[0]}: the object is white.")


def read_mask(
    path: Path, size: tuple[int, int], turn: int, scaled: tuple[int, int]
) -> Bool[np.ndarray, "height width"]:
    """Where a mask is white: from half of its brightness on; of masks that hold 0 and 1, where they are 1.

    Args:
        size: width and height of its photograph, as the camera has them.
        turn: the EXIF orientation by which the photograph becomes that.
        scaled: width and height to bring the mask to.

    Raises:
        ValueError: it cannot be read, or has another shape than its photograph.
    """
    try:
        with opened(path) as image:
            image.load()
            whiteness = Image.fromarray(_whiteness(image))
    except UNREADABLE as error:
        raise ValueError(f"The mask {path} cannot be read: {advice(path, error)}.") from error
    turn = _turn(read_head(path), size, turn)
    if turn in TURNS:
        whiteness = whiteness.transpose(TURNS[turn])
    if whiteness.size != scaled:
        whiteness = whiteness.resize(scaled, resample=Image.Resampling.BILINEAR)
    return np.asarray(whiteness) >= HALF


def _whiteness(image: Image.Image) -> np.ndarray:
    """[height, width] from 0 to 255."""
    if image.mode in SIXTEEN_BITS:
        values = np.asarray(image)
        return _spread(values) if values.max() <= 1 else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.mode == "P" and "transparency" not in image.info:
        colors = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        numbers = np.asarray(image)
        if (colors[np.unique(numbers).clip(max=len(colors) - 1)].std(axis=1) > 0).any():
            # Labels in colours, however dark these are: 0 is what is no object.
            return _spread(numbers)
    if image.mode not in MODES:
        raise ValueError(f"mode {image.mode}: save it with 8 bits")
    colors = in_colors(image)
    if colors.mode == "RGBA":
        alpha = np.asarray(colors.getchannel("A"))
        if alpha.min() < alpha.max():
            # A cut-out: what it shows may have any colour.
            return alpha
    values = np.asarray(in_mode(in_mode(colors, "RGB"), "L"))
    return _spread(values) if values.max() <= 1 else values


def _spread(labels: np.ndarray) -> np.ndarray:
    return np.where(labels > 0, np.uint8(255), np.uint8(0))


def _is(mask: Path, photograph: Path) -> bool:
    return photograph.exists() and mask.samefile(photograph)


def _what_is_there(folder: Path, pictures: Sequence[Path]) -> str:
    if pictures:
        return f"there is {pictures[0].relative_to(folder)}, for one of {len(pictures)} pictures"
    kinds = sorted({path.suffix for path in folder.rglob("*") if path.is_file()})
    return f"there is no picture, but {', '.join(kinds) or 'nothing'} (masks are {', '.join(sorted(ENDINGS))})"


def _turn(head: Head, size: tuple[int, int], turn: int) -> int:
    """The orientation by which a mask gets its photograph's shape."""
    if _same_shape(head.size, size):
        return 1
    if turn >= 5 and _same_shape((head.height, head.width), size):
        return turn
    if head.orientation >= 5 and _same_shape(head.upright, size):
        return head.orientation
    raise ValueError(
        f"The mask {head.path} has {head.width} x {head.height} pixels, its photograph {size[0]} x {size[1]}: it may "
        "be larger or smaller, but not of another shape. Make it again from the photograph as it is."
    )


def _same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Equal but for scale and a pixel of rounding."""
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(*size, *other)


def _without_ending(stem: str) -> str:
    path = Path(stem)
    return path.stem if path.suffix.lower() in ENDINGS else stem


def _lies_elsewhere(folder: Path, mask: Path, photograph: Path, folders: set[Path]) -> bool:
    """Whether a mask lies in a tree like the photographs', and there where those of another folder are."""
    place = mask.relative_to(folder).parts[:-1]
    if not place or photograph.parent.parts[-len(place) :] == place:
        return False
    return any(other.parts[-len(place) :] == place for other in folders)


def _nearest(folder: Path, photograph: Path, candidates: Sequence[Path]) -> Path | None:
    def likeness(mask: Path) -> tuple[int, bool]:
        """How many folders agree from the end on, and whether the name has the photograph's ending in it."""
        places = zip(reversed(mask.relative_to(folder).parts[:-1]), reversed(photograph.parts[:-1]))
        agree = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], places))
        return agree, mask.stem == photograph.name

    best = max(map(likeness, candidates), default=None)
    nearest = [mask for mask in candidates if likeness(mask) == best]
    if len(nearest) > 1:
        raise ValueError(
            f"{nearest[0]} and {nearest[1]} could both be the mask of {photograph}: leave one, or put them into "
            "folders like the photographs'."
        )
    return nearest[0] if nearest else None
