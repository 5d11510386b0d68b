"""How long the check of a capture takes: 1,000 JPEGs of a phone's size, by their headers.

    python examples/benchmarks/capture_check.py

The bar: one second. A photograph of noise is written once and linked under a thousand names, each with a pose of its
own. Prints the seconds of the slowest of three checks.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from fasttext2style.captures.checks import check_capture
from fasttext2style.scene.cameras import Cameras

WIDTH, HEIGHT = 4032, 3024


def write_capture(folder: Path, views: int) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A maker of phones", 1
    Image.effect_noise((WIDTH, HEIGHT), 20).convert("RGB").save(folder / "0000.jpg", exif=exif)
    poses = torch.eye(4).repeat(views, 1, 1)
    poses[:, :3] = Cameras.orbit((0, 0, 0), 2.0, views, WIDTH, HEIGHT).to_opengl()
    for view in range(1, views):
        os.link(folder / "0000.jpg", folder / f"{view:04d}.jpg")
    frames = [
        {"file_path": f"{view:04d}.jpg", "transform_matrix": pose.tolist(), "w": WIDTH, "h": HEIGHT}
        for view, pose in enumerate(poses)
    ]
    (folder / "transforms.json").write_text(json.dumps({"fl_x": 3000.0, "frames": frames}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, default=1000)
    views = parser.parse_args().views
    with tempfile.TemporaryDirectory() as folder:
        write_capture(Path(folder), views)
        seconds = []
        for _ in range(3):
            begin, used = time.perf_counter(), time.process_time()
            check_capture(Path(folder), read_pixels=False)
            seconds.append((time.perf_counter() - begin, time.process_time() - used))
    slowest = max(seconds)
    print(f"{views} photographs of {WIDTH} x {HEIGHT}: {slowest[0]:.2f} s, {slowest[1]:.2f} s of them computing")


if __name__ == "__main__":
    main()
