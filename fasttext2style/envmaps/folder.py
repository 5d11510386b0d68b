"""A folder of panoramas as a data set: what shows what, in words, and which are for training.

Words come from JSON files in the folder: a list of {"file", "categories", "tags"}, or Poly Haven's own answers, saved
as they come: of /assets?t=hdris (all assets by their slugs) or of /info/SLUG (one, named SLUG.json). A slug finds its
file at any resolution: kloppenheim_06 names kloppenheim_06_4k.exr.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fasttext2style.envmaps.formats import SUFFIXES
from fasttext2style.trust.documents import LARGEST
from fasttext2style.trust.sizes import check_is_file
from fasttext2style.trust.text import one_line

SHARES = (0.8, 0.1, 0.1)
"""Of train, validation and test."""
_SIZE = re.compile(r"_(\d+k|\d{3,})$", re.IGNORECASE)
"""Names end on their resolution; numbers of two digits are part of the name."""


@dataclass(frozen=True)
class Captioned:
    """A panorama and what is said of it."""

    path: Path
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """Its name without a resolution: kloppenheim_06 of kloppenheim_06_4k.exr."""
        return slug_of(self.path)

    @property
    def place(self) -> str:
        """Where it was taken: one at two resolutions, with and without its ground (Poly Haven's _puresky)."""
        return self.slug.removesuffix("_puresky")

    @property
    def caption(self) -> str:
        """Tags, then categories, with commas; empty if nothing is said."""
        return ", ".join(dict.fromkeys((*self.tags, *self.categories)))


class Split(NamedTuple):
    """Panoramas for training, for choosing settings, and for the numbers that are reported."""

    train: list[Captioned]
    validation: list[Captioned]
    test: list[Captioned]

    def __str__(self) -> str:
        lines = [
            f"{len(part)} for {name}: {', '.join(one.slug for one in part)}" for name, part in self._asdict().items()
        ]
        return "\n".join(lines)


def open_folder(folder: Path | str, captions: Path | str | None = None) -> list[Captioned]:
    """All panoramas in a folder and below, by name, with what its JSON files say of them; no picture is opened.

    Args:
        captions: the one JSON file to take, which may lie elsewhere; without it all that lie in `folder` itself.

    Raises:
        ValueError: no folder, no panorama in it, JSON of another kind, or JSON that names a file that is not there.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: expected one with panoramas ({', '.join(SUFFIXES)})")
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise ValueError(f"{folder} holds no panoramas ({', '.join(SUFFIXES)})")
    said: dict[Path, Captioned] = {}
    for sidecar in [Path(captions)] if captions is not None else sorted(folder.glob("*.json")):
        said |= _said_by(sidecar, folder, paths)
    return [said.get(path, Captioned(path)) for path in paths]


def split(
    panoramas: Sequence[Captioned], seed: int, shares: tuple[float | int, float | int, float | int] = SHARES
) -> Split:
    """The same split for the same panoramas and seed; each part gets at least one place, and no place is in two parts.

    A place at two resolutions, and with and without its ground (Poly Haven's _puresky), counts as one: otherwise the
    test would know what training saw.

    Raises:
        ValueError: fewer than three places, or shares that are negative or all 0.
    """
    if min(shares) < 0 or sum(shares) <= 0:
        raise ValueError(f"Shares of train, validation and test should be at least 0 and not all 0, got {shares}")
    places: dict[str, list[Captioned]] = {}
    for panorama in sorted(panoramas, key=lambda one: str(one.path)):
        places.setdefault(panorama.place, []).append(panorama)
    if len(places) < 3:
        raise ValueError(
            f"A split into train, validation and test needs at least 3 panoramas of different places, got {len(places)}"
        )
    names = sorted(places)
    random.Random(seed).shuffle(names)
    validation, test = (max(1, round(len(names) * share / sum(shares))) for share in shares[1:])
    test = min(test, len(names) - 2)
    validation = min(validation, len(names) - 1 - test)
    parts = names[validation + test :], names[:validation], names[validation : validation + test]
    return Split(*([one for name in sorted(part) for one in places[name]] for part in parts))


def slug_of(path: Path) -> str:
    return _SIZE.sub("", path.stem)


def _said_by(sidecar: Path, folder: Path, paths: Sequence[Path]) -> dict[Path, Captioned]:
    check_is_file(sidecar)
    try:
        with open(sidecar, "rb") as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        document = json.loads(content)
        if isinstance(document, dict) and isinstance(document.get("categories"), list):
            document = {sidecar.stem: document}
        if isinstance(document, dict):
            return _by_slug(document, paths)
        if isinstance(document, list):
            return _by_file(document, folder, paths)
        raise ValueError(f"it is a {type(document).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{sidecar} cannot be taken for captions ({error}): expected a list of mappings with file, categories and "
            "tags, or an answer of Poly Haven's API"
        ) from error


def _by_file(entries: list[Any], folder: Path, paths: Sequence[Path]) -> dict[Path, Captioned]:
    known, said = {str(path.relative_to(folder)): path for path in paths}, {}
    for number, entry in enumerate(entries):
        name = entry.get("file") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise ValueError(f"entry {number} names no file")
        if name not in known:
            raise ValueError(f"entry {number} names {one_line(name)}, which is not in {folder}")
        said[known[name]] = _captioned(known[name], entry)
    return said


def _by_slug(entries: dict[str, Any], paths: Sequence[Path]) -> dict[Path, Captioned]:
    """Of Poly Haven; it says something about more assets than anybody has."""
    if not all(isinstance(entry, dict) for entry in entries.values()):
        raise ValueError("its values are no mappings")
    return {path: _captioned(path, entries[slug_of(path)]) for path in paths if slug_of(path) in entries}


def _captioned(path: Path, entry: dict[str, Any]) -> Captioned:
    words = {}
    for name in ("categories", "tags"):
        found = entry.get(name, [])
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            raise ValueError(f"{name} of {path.name} should be a list of words")
        words[name] = tuple(one_line(word) for word in found)
    return Captioned(path, **words)
