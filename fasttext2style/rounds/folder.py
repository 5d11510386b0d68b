"""What a run of rounds leaves on disk, and how it is found again.

rounds/
  round_0000/        scene.safetensors: the scene before any edit, and the object's weights
  round_0001/        before, edited, after, mask: a picture per view; snapshot; weights.npy
    manifest.json    written last, by an atomic rename: a round without it was interrupted, and is done again
  index.html         all rounds side by side
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from shlex import quote
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from fasttext2style.rounds.manifest import FORMAT, check_complete, check_views, read_manifest
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.trust.sizes import check_is_file

Kind = Literal["before", "edited", "after", "mask"]
LARGEST_PICTURE = 50_000_000
"""Pixels of a kept picture: views of photographs are smaller, and are scaled down before they are edited."""
MOST_THREADS = 16
"""That encode pictures at once."""
KINDS: tuple[Kind, ...] = ("before", "edited", "after", "mask")


@dataclass
class KeepConfig:
    """What is kept of each round, beside what resuming needs: edited views, masks, a snapshot."""

    format: Literal["png", "jpg", "webp"] = "png"
    """Of pictures. The last two are a fifth the size and lose a little; training uses what can be read back. Masks are
    always png."""
    quality: int = 92
    """Of jpg and webp, 1 to 100."""
    views: int = 0
    """Of how many views the pictures before and after are kept; 0 keeps all."""

    def check(self) -> None:
        """Raises ValueError for numbers out of range."""
        if not 1 <= self.quality <= 100:
            raise ValueError(f"keep.quality of jpg and webp is 1 to 100, got {self.quality}.")
        if self.views < 0:
            raise ValueError(f"keep.views must be 0 (all) or more, got {self.views}.")


@dataclass(frozen=True)
class Round:
    """A complete round."""

    number: int
    folder: Path
    manifest: dict[str, Any]

    def check_complete(self) -> None:
        """Raises ValueError if its manifest lacks what the page shows and the next round begins with."""
        check_complete(self.folder / "manifest.json", self.number, self.manifest)

    def check_views(self, count: int) -> None:
        """Raises ValueError if it is of a capture with more than so many views."""
        check_views(self.folder / "manifest.json", self.number, self.manifest, count)

    def remove_older_snapshots(self) -> None:
        """Those that its manifest, written anew, names no more."""
        named = {self.manifest["snapshot"], self.manifest.get("ahead", {}).get("snapshot")}
        for path in (*self.folder.glob("snapshot_*.safetensors"), *self.folder.glob("ahead_*.safetensors")):
            if path.name not in named:
                path.unlink()

    @property
    def snapshot(self) -> Path:
        """Of round 0 the scene, of others the object."""
        if "snapshot" not in self.manifest:
            self.check_complete()
        return self.folder / self.manifest["snapshot"]

    def picture(self, kind: Kind, view: int) -> UInt8[Tensor, "height width channels"]:
        """A kept picture; masks have one channel.

        Raises:
            ValueError: missing or damaged, with the way back.
        """
        paths = sorted(self.folder.joinpath(kind).glob(f"view_{view:04d}.*"))
        try:
            if not paths:
                raise OSError("it is missing")
            check_is_file(paths[0])
            return _decode(paths[0].read_bytes())
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            name = paths[0] if paths else self.folder / kind / f"view_{view:04d}"
            raise ValueError(
                f"The picture {name} cannot be read ({error}). Put it back from a backup, or go back to the round "
                f"before: ft2s rounds reset {quote(str(self.folder.parents[1]))} --to {self.number - 1}"
            ) from error


class RoundsFolder:
    """The folder `rounds` of a run."""

    def __init__(self, path: Path, keep: KeepConfig | None = None, go_on: str = "") -> None:
        self.path, self.keep = path, keep or KeepConfig()
        self.go_on = go_on or f"ft2s rounds resume {quote(str(path.parent))}"
        """How to continue after an error, for people."""

    def folder(self, number: int) -> Path:
        return self.path / f"round_{number:04d}"

    def rounds(self, up_to: int | None = None) -> list[Round]:
        """Complete rounds in order, from round 0 on; ends before the first that is not complete, or after `up_to`.

        Raises:
            ValueError: a damaged manifest, or one of another scene.
        """
        found: list[Round] = []
        while (path := self.folder(len(found)) / "manifest.json").is_file() and (up_to is None or len(found) <= up_to):
            manifest = read_manifest(path, len(found))
            if found and manifest.get("scene") != found[0].manifest.get("scene"):
                raise ValueError(
                    f"{path} belongs to another scene than {found[0].folder}. Move {path.parent} away; if it was "
                    f"copied here, resume it in its own run."
                )
            found.append(Round(len(found), path.parent, manifest))
        return found

    def begin(self, number: int) -> Path:
        """An empty folder for a round; what an interrupted one left there is removed."""
        folder = self.folder(number)
        if (folder / "manifest.json").is_file():
            raise ValueError(f"Round {number} is complete in {folder}; it cannot be started again.")
        with self.writing(folder):
            if folder.is_dir():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        return folder

    def write_picture(
        self, number: int, kind: Kind, view: int, picture: UInt8[Tensor, "height width channels"]
    ) -> UInt8[Tensor, "height width channels"]:
        """Keep a picture; returns it as it will be read."""
        return self.write_pictures(number, [(kind, view, picture)])[0]

    def write_pictures(
        self, number: int, pictures: Sequence[tuple[Kind, int, UInt8[Tensor, "_ _ _"]]]
    ) -> list[UInt8[Tensor, "_ _ _"]]:
        """Keep pictures of views, in this order; returns them as they will be read.

        They are encoded on all cores, which is what takes the time: a .png of 1600x1066 some 90 ms, to write it 3.
        """
        endings = ["png" if kind == "mask" else self.keep.format for kind, _, _ in pictures]
        read = []
        with ThreadPoolExecutor(max_workers=min(MOST_THREADS, os.cpu_count() or 1)) as pool:
            encoded = pool.map(_encode, (it[2] for it in pictures), endings, repeat(self.keep.quality))
            for (kind, view, picture), ending, content in zip(pictures, endings, encoded):
                path = self.folder(number) / kind / f"view_{view:04d}.{ending}"
                with self.writing(path), atomic_write(path) as stream:
                    stream.write(content)
                read.append(picture if ending == "png" else _decode(content))
        return read

    def finish(self, number: int, manifest: dict[str, Any]) -> Round:
        """Write the manifest: from now on the round is complete."""
        manifest = {"format": FORMAT, "round": number, "written": time.strftime("%Y-%m-%d %H:%M:%S")} | manifest
        path = self.folder(number) / "manifest.json"
        with self.writing(path), atomic_write(path) as stream:
            content = json.dumps(manifest, indent=1, ensure_ascii=False, default=str)
            # What is no UTF-8 is written as \udc80, which is JSON.
            stream.write(content.encode("utf8", "backslashreplace"))
        return Round(number, path.parent, manifest)

    def set_aside(self, after: int) -> Path | None:
        """Move all rounds behind `after` into a folder beside; None when there are none.

        Raises:
            ValueError: they could not be moved; then they are where they were.
        """
        with self.setting_aside(after) as aside:
            return aside

    @contextmanager
    def setting_aside(self, after: int) -> Iterator[Path | None]:
        """As `set_aside`; they are moved back if the block fails.

        The last first, and back the first first, so that an interruption leaves an unbroken row.
        """
        # Others' folders, such as "round_0001 (copy)", stay where they are.
        named = [path for path in self.path.glob("round_[0-9]*") if re.fullmatch("[0-9]{4,9}", path.name[6:])]
        later = sorted(path for path in named if int(path.name[6:]) > after)
        if not later:
            yield None
            return
        now = self.path / "set_aside" / time.strftime("%Y-%m-%d_%H%M%S")
        aside, count = now, 1
        while aside.exists():  # two within one second
            count += 1
            aside = now.with_name(f"{now.name}_{count}")
        try:
            with self.writing(aside):
                aside.mkdir(parents=True)
                for path in reversed(later):
                    path.rename(aside / path.name)
            yield aside
        except BaseException:
            for path in later:
                if (aside / path.name).exists():
                    (aside / path.name).rename(path)
            with suppress(OSError):  # empty now, and no harm
                aside.rmdir()
            raise

    @contextmanager
    def writing(self, what: Path) -> Iterator[None]:
        """A full disk in words, with what to do."""
        try:
            yield
        except OSError as error:
            raise ValueError(
                f"{what} could not be written ({error}). Complete rounds are untouched: free some disk space, then "
                f"{self.go_on}"
            ) from error

    def bytes_per_picture(self, picture: UInt8[Tensor, "height width channels"]) -> int:
        """Of such a picture on disk."""
        return len(_encode(picture, self.keep.format, self.keep.quality))


def _encode(picture: UInt8[Tensor, "height width channels"], ending: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(picture[..., 0].numpy() if picture.shape[-1] == 1 else picture.numpy())
    if ending == "png":
        # 1: hardly larger than the default, and several times faster.
        image.save(buffer, format="PNG", compress_level=1)
    else:
        image.save(buffer, format={"jpg": "JPEG", "webp": "WEBP"}[ending], quality=quality)
    return buffer.getvalue()


def _decode(encoded: bytes) -> UInt8[Tensor, "height width channels"]:
    with Image.open(io.BytesIO(encoded)) as image:
        if image.width * image.height > LARGEST_PICTURE:
            raise OSError(f"it promises {image.width:,} x {image.height:,} pixels")
        pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    return torch.from_numpy(pixels.copy()).reshape(*pixels.shape[:2], -1)
