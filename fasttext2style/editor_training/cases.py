"""What an editor is tuned and measured on: pictures, where the object is, what is asked, and, if known, the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editors.local_edit import SEEN, object_box
from fasttext2style.editors.resolution import native_crop_size, resized

MARGIN = 0.25
"""Surroundings on each side of the object, as a share of its width and height: as much as edit rounds show."""


@dataclass(frozen=True)
class EditCases:
    """Some pictures with an instruction each, all of one size. Shapes are checked here, in words.

    Raises:
        ValueError: shapes that do not fit together, a mask of nothing or of everything, an empty instruction.
    """

    images: Tensor
    """[cases, height, width, 3]: sRGB in [0, 1]."""
    masks: Tensor
    """[cases, height, width, 1]: 1 where the object is that the instruction speaks of, 0 where nothing should change,
    soft between."""
    instructions: tuple[str, ...]
    targets: Tensor | None = None
    """[cases, height, width, 3]: the pictures as they should become."""
    captions: tuple[str, ...] = ()
    """What the pictures should show afterwards, for encoders; empty: the instructions."""
    names: tuple[str, ...] = ()
    """For people, and by which a picture is known again; empty: 0, 1, 2 ..."""

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.ndim != 4 or self.images.shape[3] != 3 or count == 0:
            raise ValueError(f"Pictures are [cases, height, width, 3], at least one; got {list(self.images.shape)}")
        if self.masks.shape != (*self.images.shape[:3], 1):
            raise ValueError(
                f"A mask should be as large as its picture, {[*self.images.shape[:3], 1]}; got {list(self.masks.shape)}"
            )
        if self.targets is not None and self.targets.shape != self.images.shape:
            raise ValueError(
                f"A target should be as large as its picture, {list(self.images.shape)}; got {list(self.targets.shape)}"
            )
        if not self.captions:
            object.__setattr__(self, "captions", self.instructions)
        if not self.names:
            object.__setattr__(self, "names", tuple(str(number) for number in range(count)))
        for what, texts in (("instruction", self.instructions), ("caption", self.captions), ("name", self.names)):
            if len(texts) != count:
                raise ValueError(f"{count} pictures need as many {what}s, got {len(texts)}")
        for name, mask, instruction in zip(self.names, self.masks, self.instructions):
            _check_mask(mask, name)
            if not instruction.strip():
                raise ValueError(f'Case {name} has no instruction; expected a sentence such as "make it red"')

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: Sequence[int]) -> EditCases:
        """Some of the cases, in this order; a row may come several times."""
        rows = list(rows)
        return EditCases(
            self.images[rows],
            self.masks[rows],
            tuple(self.instructions[row] for row in rows),
            None if self.targets is None else self.targets[rows],
            tuple(self.captions[row] for row in rows),
            tuple(self.names[row] for row in rows),
        )

    @staticmethod
    def concatenated(parts: Sequence[EditCases]) -> EditCases:
        """All cases of some lots; they have targets only if all of them have."""
        targets = [part.targets for part in parts if part.targets is not None]
        return EditCases(
            torch.cat([part.images for part in parts]),
            torch.cat([part.masks for part in parts]),
            sum((part.instructions for part in parts), ()),
            torch.cat(targets) if len(targets) == len(parts) else None,
            sum((part.captions for part in parts), ()),
            sum((part.names for part in parts), ()),
        )


def cases_of_views(
    images: Float[Tensor, "views height width 3"],
    masks: Float[Tensor, "views height width 1"],
    instructions: Sequence[str],
    side: int,
    captions: Sequence[str] = (),
    names: Sequence[str] = (),
) -> EditCases:
    """Each view that shows the object, with each instruction: cropped as edit rounds crop, about side x side pixels.

    Args:
        masks: how much of each pixel shows the object.
        side: the editor's native size.
        captions: one per instruction; none: the instructions.
        names: of the views; none: view 0, view 1, ...

    Raises:
        ValueError: no view shows the object, or it fills every crop.
    """
    size, kept = native_crop_size(images.shape[1], images.shape[2], side), []
    names = names or [f"view {view}" for view in range(len(images))]
    for name, image, mask in zip(names, images, masks):
        if bool((mask > SEEN).any()):
            x0, y0, x1, y1 = object_box(mask[..., 0], MARGIN)
            crop = resized(mask[y0:y1, x0:x1], *size)
            if _wrong_mask(crop) is None:
                kept.append((name, resized(image[y0:y1, x0:x1], *size), crop))
    if not kept:
        raise ValueError(
            f"None of {len(images)} views shows the object with something beside it; there is nothing to learn where "
            "an edit should stop. Select another object."
        )
    kept_names, crops, crop_masks = zip(*kept)
    lots = [
        EditCases(
            torch.stack(crops),
            torch.stack(crop_masks),
            (instruction,) * len(kept),
            captions=(caption,) * len(kept),
            names=kept_names,
        )
        for instruction, caption in zip(instructions, captions or instructions)
    ]
    return EditCases.concatenated(lots)


def split_cases(cases: EditCases, held_out_share: float) -> tuple[EditCases, EditCases]:
    """Cases to train on, and cases by name that are held out, evenly spread; a picture is never in both.

    Raises:
        ValueError: fewer than two pictures.
    """
    names = list(dict.fromkeys(cases.names))
    if len(names) < 2:
        raise ValueError(f"At least 2 pictures are needed, one of them to measure on; got {len(names)}")
    every = max(2, round(1 / held_out_share))
    held = {name for number, name in enumerate(names) if number % every == every - 1} or {names[-1]}
    rows = [[row for row, name in enumerate(cases.names) if (name in held) == side] for side in (False, True)]
    return cases.select(rows[0]), cases.select(rows[1])


def _check_mask(mask: Float[Tensor, "height width 1"], name: str) -> None:
    if wrong := _wrong_mask(mask):
        raise ValueError(f"The mask of case {name} {wrong}. White (1) is where the edit belongs, black (0) the rest.")


def _wrong_mask(mask: Tensor) -> str | None:
    if not bool(((mask >= 0) & (mask <= 1)).all()):
        return "is not in [0, 1]"
    if not bool((mask > SEEN).any()):
        return "is empty: there is nothing to hit"
    if not bool((mask <= SEEN).any()):
        return "covers everything: there is nothing outside that could be spared"
    return None
