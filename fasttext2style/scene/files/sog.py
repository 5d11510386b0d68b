"""Reads .sog, PlayCanvas's and SuperSplat's: WebP pictures whose pixels are Gaussians, and a meta.json, in a zip.

Versions 1 (values between a least and a largest one) and 2 (values looked up in lists of 256). Source: the format's
specification (developer.playcanvas.com, "The SOG Format") and splat-transform (MIT), src/lib/readers/read-sog.ts.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image

from fasttext2style.scene.files.values import OPAQUE, quats_of_smallest_three
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.trust.documents import LARGEST, is_count, parsed_document
from fasttext2style.trust.sizes import most_unpacked, open_entry

REST = {1: 3, 2: 8, 3: 15}
"""Bands -> coefficients of spherical harmonics beyond the constant."""
ACROSS = 64
"""Entries of spherical harmonics in a row of their picture."""
CHANNELS = 4
"""Bytes of a pixel, as it is decoded. A Gaussian has five, with spherical harmonics six."""


def read_sog(path: Path | str) -> Gaussians:
    """The scene in a .sog, on the CPU.

    Raises:
        ValueError: no .sog, of another version, no Gaussians in it, or damaged.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as pack, np.errstate(all="ignore"):
            return _Sog(pack, most_unpacked(path.stat().st_size)).gaussians()
    except _Unknown as error:
        raise ValueError(f"{path} {error}") from None
    except Exception as error:  # a damaged file fails in as many ways as there are damages
        raise ValueError(
            f"{path} is not a whole .sog ({type(error).__name__}: {error}); copy or export it again"
        ) from error


class _Unknown(ValueError):
    """Goes on a sentence that begins with the name of the file."""


class _Sog:
    def __init__(self, pack: zipfile.ZipFile, most: int) -> None:
        """`most`: bytes that its pictures may be unpacked to, all together."""
        self.pack, self.most = pack, most
        names = [name for name in pack.namelist() if name.rpartition("/")[2] == "meta.json"]
        if not names:
            raise _Unknown(
                f"holds no meta.json, so it is no .sog (it has {len(pack.namelist())} files); export it again"
            )
        self.folder = names[0].removesuffix("meta.json")
        self.meta = parsed_document(self._unpacked(names[0], LARGEST))
        version = self.meta.get("version", 1)
        if version not in (1, 2):
            raise _Unknown(f"is a .sog of version {str(version)[:20]}; 1 and 2 are read: export it as .ply")
        self.has_lists = version == 2
        count = self.meta["count"] if self.has_lists else self.meta["means"]["shape"][0]
        if not is_count(count):
            raise ValueError(f"it counts {str(count)[:40]} Gaussians")
        if count == 0:
            raise _Unknown("holds no Gaussians; was everything pruned or cropped away?")
        self.count = count
        self._check_sizes()

    def _check_sizes(self) -> None:
        """By the headers of the pictures, before any is decoded."""
        parts = [self.meta[part] for part in ("means", "scales", "sh0", "quats")]
        names = [name for part in (*parts, self.meta.get("shN") or {"files": ()}) for name in part["files"][:2]]
        needed = 0
        for name in names:
            with self._opened(name) as image:
                needed += CHANNELS * image.width * image.height
        if needed > self.most:
            raise ValueError(
                f"it promises {self.count:,} Gaussians in pictures of {needed:,} bytes; of a file of its size at most "
                f"{self.most:,} are read"
            )

    def gaussians(self) -> Gaussians:
        scales, colors = self.meta["scales"], self.meta["sh0"]
        places = self._places(self.meta["means"])
        sizes = self._values(scales, self._pixels(scales, 0)[: self.count, :3])
        shown = self._pixels(colors, 0)[: self.count]
        if self.has_lists:
            sh_dc, opacities = self._values(colors, shown[:, :3]), shown[:, 3].astype(np.float32) / 255
            logits = np.clip(np.log(opacities) - np.log1p(-opacities), -OPAQUE, OPAQUE)
        else:
            four = self._between(colors, shown.astype(np.float32) / 255)
            sh_dc, logits = four[:, :3], four[:, 3]
        return Gaussians(
            means=_tensor(places),
            quats=_tensor(_quats(self._pixels(self.meta["quats"], 0)[: self.count])),
            log_scales=_tensor(sizes),
            logit_opacities=_tensor(logits),
            sh_dc=_tensor(sh_dc),
            sh_rest=_tensor(self._sh_rest()),
        )

    def _places(self, meta: Mapping[str, Any]) -> Float32[np.ndarray, "gaussians 3"]:
        low, high = (self._pixels(meta, number)[: self.count, :3].astype(np.float32) for number in (0, 1))
        places = self._between(meta, (low + 256 * high) / np.float32(65535))
        return np.sign(places) * np.expm1(np.abs(places))

    def _sh_rest(self) -> Float32[np.ndarray, "gaussians rest 3"]:
        meta = self.meta.get("shN")
        if not meta:
            return np.zeros((self.count, 0, 3), np.float32)
        labels = self._pixels(meta, 1)[: self.count].astype(np.int64)
        labels = labels[:, 0] + 256 * labels[:, 1]
        entries = self._picture(meta["files"][0])
        rest = REST[meta["bands"]] if self.has_lists else entries.shape[1] // ACROSS
        if rest not in REST.values() or entries.shape[1] != ACROSS * rest:
            raise ValueError(f"its spherical harmonics are {entries.shape[1]} pixels wide")
        entries = entries[..., :3].reshape(-1, rest, 3)
        return self._values(meta, entries[labels])

    def _values(self, meta: Mapping[str, Any], stored: UInt8[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
        if not self.has_lists:
            return self._between(meta, stored.astype(np.float32) / 255)
        values = _numbers(meta["codebook"])
        if values.shape != (256,):
            raise ValueError(f"a list of {values.size} values, expected 256")
        return values[stored]

    @staticmethod
    def _between(meta: Mapping[str, Any], shares: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
        low, high = _numbers(meta["mins"]), _numbers(meta["maxs"])
        return low + shares * (high - low)

    def _pixels(self, meta: Mapping[str, Any], number: int) -> UInt8[np.ndarray, "pixels 4"]:
        """Of a picture, row by row: at least one for each Gaussian."""
        pixels = self._picture(meta["files"][number]).reshape(-1, 4)
        if len(pixels) < self.count:
            raise ValueError(f"{meta['files'][number]} holds {len(pixels):,} of {self.count:,} Gaussians")
        return pixels

    def _picture(self, name: str) -> UInt8[np.ndarray, "height width 4"]:
        with self._opened(name) as image:
            return np.asarray(image.convert("RGBA"))

    def _opened(self, name: str) -> Image.Image:
        """Its pixels are decoded when they are asked for."""
        return Image.open(io.BytesIO(self._unpacked(self.folder + name, self.most)), formats=("WEBP",))

    def _unpacked(self, name: str, most: int) -> bytes:
        entry = self.pack.getinfo(name)
        if entry.file_size > most:
            raise ValueError(f"{name} has {entry.file_size:,} bytes, at most {most:,} are read")
        with open_entry(self.pack, entry) as stream:
            return stream.read(entry.file_size)


def _numbers(values: Any) -> Float32[np.ndarray, "..."]:
    return np.asarray(values, dtype=np.float32)


def _quats(pixels: UInt8[np.ndarray, "gaussians 4"]) -> Float32[np.ndarray, "gaussians 4"]:
    """The three smaller of w, x, y, z in 8 bits from -sqrt(1/2) to sqrt(1/2); alpha is 252 and which is left out."""
    if int(pixels[:, 3].min()) < 252:
        raise ValueError(f"a rotation of kind {int(pixels[:, 3].min())}, expected 252 to 255")
    others = (pixels[:, :3].astype(np.float32) / np.float32(255) - np.float32(0.5)) * np.float32(math.sqrt(2))
    return quats_of_smallest_three(others, (pixels[:, 3] - 252).astype(np.uint32))


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
