"""Which pictures a LoRA was trained on: its training writes them down, who measures it asks for them.

A picture is known again by its name or by its pixels: views of a run that was edited since have other pixels, rows of a
data set that grew have other names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from fasttext2style.editor_training.cases import EditCases
from fasttext2style.evaluation.report import to_uint8
from fasttext2style.trust.documents import is_mapping, is_text, read_document

BOOK = "training.json"
"""What a training leaves beside its LoRA."""
Pictures = dict[str, str]
"""Name -> the beginning of the SHA-256 of the pixels, in 8 bits."""


def pictures_of(cases: EditCases) -> Pictures:
    """Each once, whatever is asked of it."""
    return dict(zip(cases.names, map(_digest, cases.images)))


def trained_on(lora: Path) -> Pictures | None:
    """What the training.json beside a LoRA, or in its folder, says; None where there is none, or it does not say.

    Raises:
        ValueError: it is damaged.
    """
    book = (lora if lora.is_dir() else lora.parent) / BOOK
    if not book.exists():
        return None
    try:
        found = read_document(book).get("trained_on")
        if found is not None and not (is_mapping(found) and all(is_text(digest) for digest in found.values())):
            raise ValueError("trained_on should be a mapping of pictures' names to digests")
    except ValueError as error:
        raise ValueError(
            f"{book} is damaged ({error}), so that nobody knows what {lora.name} was trained on. Move it away to "
            "measure on all cases."
        ) from error
    return found


def rows_among(cases: EditCases, pictures: Mapping[str, str]) -> list[int]:
    """Cases that show one of these pictures, by its name or by its pixels."""
    digests = set(pictures.values())
    return [row for row, name in enumerate(cases.names) if name in pictures or _digest(cases.images[row]) in digests]


def unseen_by_all(cases: EditCases, trainings: Iterable[Mapping[str, str] | None]) -> EditCases:
    """Those that none of some trainings had; all, where there are none."""
    seen = {row for pictures in trainings if pictures is not None for row in rows_among(cases, pictures)}
    rows = [row for row in range(len(cases)) if row not in seen]
    return cases.select(rows) if rows else cases


def _digest(image: Float[Tensor, "height width 3"]) -> str:
    return hashlib.sha256(to_uint8(image).tobytes()).hexdigest()[:16]
