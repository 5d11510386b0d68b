"""Writes pyliblzfse-0.4.1+lzfse-py3-none-any.whl beside this file: `python wheels/pyliblzfse.py`.

nerfstudio pins viser 0.2.7, which requires pyliblzfse (for files of the Record3D app). That has no wheels, so pip would
compile it, and a machine without a C compiler could install nothing. lzfse is the same library with wheels, under
another name: this one requires it and passes it on. constraints.txt names this folder, so that pip finds it there.

A wheel is a zip file; this one is not compressed and has no dates, so that git shows its text and it is the same
whenever and wherever it is written.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

VERSION = "0.4.1+lzfse"
INFO = f"pyliblzfse-{VERSION}.dist-info"
WHEEL = Path(__file__).parent / f"pyliblzfse-{VERSION}-py3-none-any.whl"
FILES = {
    "liblzfse.py": '"""What pyliblzfse offers, from lzfse."""\n\nfrom lzfse import compress, decompress, error\n',
    f"{INFO}/METADATA": (
        f"Metadata-Version: 2.1\nName: pyliblzfse\nVersion: {VERSION}\n"
        "Summary: pyliblzfse by the wheels of lzfse, for machines without a C compiler; comes with fasttext2style\n"
        "Requires-Dist: lzfse>=0.4.2\n"
    ),
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: fasttext2style\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def write(path: Path) -> None:
    """Write the wheel, with the checksums that pip asks for."""
    record = f"{INFO}/RECORD"
    lines = [f"{name},sha256={_checksum(text)},{len(text.encode())}\n" for name, text in FILES.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in (FILES | {record: "".join(lines) + f"{record},,\n"}).items():
            wheel.writestr(zipfile.ZipInfo(name), text)


def _checksum(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


if __name__ == "__main__":
    write(WHEEL)
