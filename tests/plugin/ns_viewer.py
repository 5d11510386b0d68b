"""nerfstudio's `ns-viewer` on a run, in a process of its own, and what it serves."""

from __future__ import annotations

import io
import math
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO
from PIL import Image
from viser._messages import ViewerCameraMessage
from viser.transforms import SO3
from websockets.sync.client import connect

from fasttext2style.scene.cameras import Cameras
from tests import forked


@dataclass
class NsViewer:
    """It answers on this port."""

    port: int

    def picture(self, camera: Cameras, seconds: float = 120) -> np.ndarray:
        """[height, width, 3] 8 bits, the first picture that a tab is sent which looks from a camera."""
        pose = camera.viewmats[0].inverse().double().numpy()
        turned = SO3.from_matrix(pose[:3, :3])
        eye = tuple(VISER_NERFSTUDIO_SCALE_RATIO * pose[:3, 3])
        fov = 2 * math.atan(camera.height / 2 / float(camera.Ks[0, 1, 1]))
        told = ViewerCameraMessage(
            wxyz=tuple(turned.wxyz), position=eye, fov=fov, aspect=camera.width / camera.height,
            look_at=tuple(np.array(eye) + pose[:3, 2]), up_direction=(0.0, 0.0, 1.0),
        )  # fmt: skip
        with connect(f"ws://127.0.0.1:{self.port}", max_size=None, compression=None) as tab:
            tab.send(msgspec.msgpack.encode(told.as_serializable_dict()))
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                messages = msgspec.msgpack.decode(tab.recv(timeout=seconds))
                for message in messages if isinstance(messages, list) else [messages]:
                    if message["type"] == "BackgroundImageMessage" and message.get("rgb_bytes") is not None:
                        return np.asarray(Image.open(io.BytesIO(message["rgb_bytes"])).convert("RGB"))
        raise AssertionError(f"no picture came in {seconds:.0f} s")


@contextmanager
def ns_viewer(run: Path, folder: Path) -> Iterator[NsViewer]:
    """`ns-viewer` on a run; `folder` is for what it prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    command = ["ns-viewer", "--load-config", run / "config.yml", "--viewer.websocket-port", port]
    viewer = forked.start([*command, "--viewer.websocket-host", "127.0.0.1"], folder, str(log), str(log))
    try:
        deadline = time.monotonic() + 240
        page = b""
        while b"<html" not in page and time.monotonic() < deadline and viewer.is_alive():
            time.sleep(0.2)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}") as answer:
                    page = answer.read()
            except OSError:
                continue
        assert b"<html" in page, log.read_text()[-3000:]
        yield NsViewer(port)
    finally:
        viewer.kill()
        viewer.join()


def assert_shows(shown: np.ndarray, seen: np.ndarray) -> None:
    """What is shown, at any size, is the first of some renders [views, height, width, 3] in [0, 1], up to JPEG."""
    _, height, width, _ = seen.shape
    small = np.asarray(Image.fromarray(shown).resize((width, height), Image.Resampling.BOX), dtype=np.float32)
    differences = np.abs(small - 255 * seen).mean(axis=(1, 2, 3))
    assert differences[0] < 3 and differences[0] < 0.5 * differences[1:].min(), differences
