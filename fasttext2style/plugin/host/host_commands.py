"""What `ns-render`, `ns-export`, `ns-eval` and `ns-viewer` are asked for, looked at before a run of ours is opened.

nerfstudio looks at it late: after the rendering, and when what lay in the place of the result is gone.
"""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nerfstudio.configs.base_config import ViewerConfig

from fasttext2style.plugin.host.camera_path import check_camera_path
from fasttext2style.plugin.host.visitors import check_address
from fasttext2style.scene.files.atomic import check_folder, check_place

WITH_H264 = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".avi", ".ts", ".flv"))
"""Endings of files into which ffmpeg puts the video that nerfstudio asks it for."""
NOTHING = Path()
OF_RAYS = ("pointcloud", "poisson", "marching-cubes")
"""Exports that draw rays from a data manager of pixels, or have a network of distances."""


def check_command(words: Sequence[str]) -> None:
    """Look at a command line; at nothing if it is another command's.

    Raises:
        ValueError: options with which nothing can come of it, or a place where nothing can be written.
    """
    check = COMMANDS.get(Path(words[0]).stem)
    if check is not None:
        check(words[1:])


def named_config(words: Sequence[str]) -> Path:
    """The config.yml that the command opens; `NOTHING` if it names none."""
    return _asked(words[1:], load_config=NOTHING).load_config


def needs_two_views(words: Sequence[str]) -> bool:
    """Whether the command goes from one held-out view to the next."""
    if Path(words[0]).stem != "ns-render" or list(words[1:2]) != ["interpolate"]:
        return False
    return _asked(words[2:], pose_source="eval").pose_source == "eval"


def _asked(words: Sequence[str], **defaults: Any) -> Namespace:
    """Options with the types of their defaults, lists of words among them; the host's own parser has taken them all."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    for name, default in defaults.items():
        kind, count = (str, "*") if isinstance(default, list) else (type(default), None)
        parser.add_argument(f"--{name.replace('_', '-')}", f"--{name}", type=kind, nargs=count, default=default)
    # argparse takes -1e-3 and -inf for options.
    return parser.parse_known_args([f" {word}" if _is_negative(word) else word for word in words])[0]


def _is_negative(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return word.startswith("-")


# --- ns-render ----------------------------------------------------------------------------------------------------


def _check_render(words: Sequence[str]) -> None:
    kind, words = words[0], words[1:]
    if kind == "spiral":
        raise ValueError(
            "ns-render spiral takes runs that train on single rays alone. Take ns-render interpolate, a path of the "
            "viewer with ns-render camera-path, or ft2s turntable RUN."
        )
    is_dataset = kind == "dataset"
    asked = _asked(
        words,
        output_path=Path("renders" if is_dataset else "renders/output.mp4"),
        output_format="images" if is_dataset else "video",
        image_format="jpeg",
        downscale_factor=1.0,
        rendered_output_names=["rgb"],
        camera_path_filename=Path("camera_path.json"),
        interpolation_steps=10,
        frame_rate=24,
    )
    if not 0 < asked.downscale_factor < math.inf:
        raise ValueError(f"--downscale-factor is more than 0, got {asked.downscale_factor}.")
    for option in ("interpolation_steps", "frame_rate"):
        if getattr(asked, option) < 1:
            raise ValueError(f"--{option.replace('_', '-')} is 1 or more, got {getattr(asked, option)}.")
    _check_outputs(asked, is_dataset)
    if is_dataset:
        check_folder(asked.output_path, "--output-path")
    elif asked.output_format == "images":
        # nerfstudio's folder for them: the name without its ending.
        check_folder(asked.output_path.parent / asked.output_path.stem, "--output-path")
    else:
        ending, added = asked.output_path.suffix.lower(), kind == "camera-path" and not asked.output_path.suffix
        if ending not in WITH_H264 and not added:
            raise ValueError(f"The video is written as .mp4, got --output-path {asked.output_path}.")
        check_place(asked.output_path.with_suffix(".mp4") if added else asked.output_path)
    if kind == "camera-path":
        check_camera_path(asked.camera_path_filename, asked.downscale_factor)


def _check_outputs(asked: Namespace, is_dataset: bool) -> None:
    names = asked.rendered_output_names
    if not names:
        raise ValueError("--rendered-output-names names no output: rgb is one, or leave it out.")
    if "rgba" not in names:
        return
    if asked.output_format != "images" or asked.image_format != "png" or not (is_dataset or len(names) == 1):
        formats = "--image-format png" if is_dataset else "--output-format images --image-format png, and no other name"
        raise ValueError(f"The output rgba is partly transparent: with it goes {formats}.")


# --- the others ---------------------------------------------------------------------------------------------------


def _check_export(words: Sequence[str]) -> None:
    kind, words = words[0], words[1:]
    if kind in OF_RAYS:
        raise ValueError(
            f"ns-export {kind} takes runs that train on single rays alone. Take ns-export gaussian-splat, or, for a "
            "NeRF, ns-export tsdf."
        )
    boxes = {f"obb_{part}": [] for part in ("center", "rotation", "scale")}
    asked = _asked(words, output_dir=Path(), output_filename="splat.ply", **boxes)
    check_folder(asked.output_dir, "--output-dir")
    if kind != "gaussian-splat":
        return
    if Path(asked.output_filename).name != asked.output_filename:
        raise ValueError(f"--output-filename is a name without folders, got {asked.output_filename!r}.")
    check_place(asked.output_dir / asked.output_filename)
    given = [name for name in boxes if getattr(asked, name)]
    if given and len(given) < len(boxes):
        # The host would leave the box out, and export everything.
        missing = " and ".join(f"--{name.replace('_', '-')}" for name in boxes if name not in given)
        raise ValueError(f"A box has --obb-center, --obb-rotation and --obb-scale: {missing} missing.")
    numbers = [float(number) for name in given for number in getattr(asked, name)]
    if not all(map(math.isfinite, numbers)) or not all(float(side) > 0 for side in asked.obb_scale):
        raise ValueError(f"A box has finite numbers, and an --obb-scale above 0, got {numbers}.")


def _check_eval(words: Sequence[str]) -> None:
    asked = _asked(words, output_path=Path("output.json"), render_output_path=Path())
    if asked.output_path.suffix != ".json":
        raise ValueError(f"The measurements are written as .json, got --output-path {asked.output_path}.")
    check_place(asked.output_path)
    check_folder(asked.render_output_path, "--render-output-path")


def _check_viewer(words: Sequence[str]) -> None:
    names = {"viewer.websocket_host": ViewerConfig.websocket_host, "viewer.websocket_port": 0}
    asked = vars(_asked(words, **names))
    # A port that is taken is no matter here: the next free one is.
    check_address(*(asked[name] for name in names), may_be_taken=True)


COMMANDS = {"ns-render": _check_render, "ns-export": _check_export, "ns-eval": _check_eval, "ns-viewer": _check_viewer}
"""Of nerfstudio, with the check of what they are asked for."""
