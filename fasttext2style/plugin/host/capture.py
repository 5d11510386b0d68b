"""A capture before it is loaded: which photographs and cameras a run will train on, as nerfstudio's parser says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig, DataparserOutputs
from nerfstudio.data.dataparsers.colmap_dataparser import ColmapDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from torch import Tensor

from fasttext2style.captures.cameras import stand_at_one_place
from fasttext2style.captures.checks import check_capture
from fasttext2style.captures.masks import check_masks, check_some_white, masks_of
from fasttext2style.captures.photographs import read_head, scaled_size, turned_as
from fasttext2style.captures.plain import places
from fasttext2style.plugin.host.chatter import host_is_quiet
from fasttext2style.plugin.host.convert import to_scene_cameras
from fasttext2style.plugin.host.data_parser import SceneDataParser, check_settings, with_our_parser
from fasttext2style.plugin.host.datamanager import SMALLEST_SIDE, SceneDatamanagerConfig
from fasttext2style.plugin.host.errors import host_in_words
from fasttext2style.terminal.console import warn


@dataclass(frozen=True)
class Capture:
    """The training views of a capture. Sizes are those before undistortion, which may take a few pixels away."""

    outputs: DataparserOutputs
    """What nerfstudio's parser says."""
    width: int
    height: int
    has_masks: bool
    """Of the object, or of what to train on."""
    notes: tuple[str, ...] = ()
    """What the reader should know although the run goes on."""

    def tell(self) -> None:
        """Print the notes."""
        for note in self.notes:
            warn(note)

    @property
    def photographs(self) -> list[Path]:
        return self.outputs.image_filenames

    def sees(self, points: Float[Tensor, "points 3"]) -> Bool[Tensor, " points"]:
        """Which points lie inside the picture of some view."""
        return to_scene_cameras(self.outputs.cameras).see(points)


def read_capture(config: SceneDatamanagerConfig, device: str, reconstructs: bool) -> Capture:
    """Check a capture whole (see `check_capture`), and parse it as the run will.

    Raises:
        ValueError: what is wrong with it, or with its masks of the object.
    """
    data = Path(config.data) if config.data is not None else Path(config.dataparser.data)
    settings = with_our_parser(copy(config.dataparser))
    settings.data = data
    if isinstance(settings, NerfstudioDataParserConfig):
        settings.load_3D_points = reconstructs
    check_settings(settings)
    with _parser_in_words(data, settings):
        parser = settings.setup()
    if isinstance(parser, SceneDataParser):
        parser.capture = check_capture(data, downscale_factor=parser.config.downscale_factor)
        parser.notes += parser.capture.notes
        if reconstructs:
            _check_parallax(data, places(parser.capture.meta))
    with _parser_in_words(data, settings):
        train, held_out = (parser.get_dataparser_outputs(split=split) for split in ("train", "val"))
    for name, outputs in (("training", train), ("evaluation", held_out)):
        if not outputs.image_filenames:
            raise ValueError(
                f"Of the photographs of {data} none is left for {name}. Add `nerfstudio-data --eval-mode all` at the "
                "end of the command: then all are taken for both."
            )
        if outputs.cameras.camera_to_worlds.shape[-2:] != (3, 4):
            # numpy takes nerfstudio's list of one number for that number.
            raise ValueError(
                f"{type(settings).__name__.removesuffix('DataParserConfig')}, nerfstudio's parser of {data}, makes no "
                f"camera of the only photograph for {name}. Put `nerfstudio-data` in its place at the end of the "
                "command, which reads files of instant-ngp, too, or have it split the photographs in another way "
                "(--eval-mode)."
            )
        _check_lenses(data, outputs)
    if reconstructs and not isinstance(parser, SceneDataParser):
        _check_parallax(data, train.cameras.camera_to_worlds.numpy())
    sides = torch.cat([train.cameras.width, train.cameras.height], dim=-1).reshape(-1, 2).tolist()
    sizes = [(int(width), int(height)) for width, height in sides]
    if config.object_masks is not None:
        _check_object_masks(config.object_masks, train, held_out, sizes)
    limit = config.longest_side(device)
    scaled = [scaled_size(*size, config.camera_res_scale_factor, limit) for size in sizes]
    if config.camera_res_scale_factor < 1 and max(map(max, scaled)) < SMALLEST_SIDE:
        raise ValueError(
            f"Views of {max(map(max, scaled))} pixels are too small: --pipeline.datamanager.camera-res-scale-factor "
            f"{config.camera_res_scale_factor} leaves no more of {max(map(max, sizes))}; {SMALLEST_SIDE} are needed."
        )
    has_masks = config.object_masks is not None or train.mask_filenames is not None
    notes = tuple(parser.notes) if isinstance(parser, SceneDataParser) else ()
    return Capture(train, max(width for width, _ in scaled), max(height for _, height in scaled), has_masks, notes)


@contextmanager
def _parser_in_words(data: Path, settings: DataParserConfig) -> Iterator[None]:
    doing = f"nerfstudio's parser cannot read the capture {data}"
    hint = "Was it made for another data parser? `nerfstudio-data` at the end of the command names that of nerfstudio."
    if isinstance(settings, ColmapDataParserConfig):
        hint += (
            " Of `colmap`, --colmap-path names the folder of the model, such as sparse/0, --images-path that of the "
            "photographs; --load-3D-points False does without its points."
        )
    try:
        with host_in_words(doing, hint), host_is_quiet():
            try:
                yield
            except EOFError as error:
                raise ValueError(
                    f"nerfstudio's parser would make smaller photographs of {data}, and asks first, where nobody "
                    "answers: leave --downscale-factor out, or give the command in a terminal."
                ) from error
    except OSError as error:
        raise ValueError(f"{doing}: it looks for {error.filename} ({error.strerror}). {hint}") from error


def _check_object_masks(
    folder: Path, train: DataparserOutputs, held_out: DataparserOutputs, sizes: list[tuple[int, int]]
) -> None:
    photographs = train.image_filenames
    masks = masks_of(folder, photographs, held_out.image_filenames)
    turns = [turned_as(read_head(path), size) or 1 for path, size in zip(photographs, sizes)]
    check_masks(masks, sizes, turns)
    check_some_white(masks)


def _check_lenses(data: Path, outputs: DataparserOutputs) -> None:
    """Other parsers than ours hand on whatever their files say."""
    cameras = outputs.cameras
    for what, values in (("focal length", torch.cat([cameras.fx, cameras.fy])), ("pose", cameras.camera_to_worlds)):
        bad = ~values.isfinite() if what == "pose" else ~(values.isfinite() & (values > 0))
        if bool(bad.any()):
            raise ValueError(
                f"Of the cameras of {data} one has a {what} with {values[bad][0]:.4g} in it: correct it in the files "
                "that the capture is read from (angles of view are in radians), or make them again."
            )


def _check_parallax(data: Path, poses: np.ndarray) -> None:
    if stand_at_one_place(poses):
        place = ", ".join(f"{value:.4g}" for value in poses[0, :3, 3])
        count = f"All {len(poses)} cameras stand" if len(poses) > 1 else "The only camera stands"
        raise ValueError(
            f"{count} at one place ({place}) in {data}: nothing has a depth then, so nothing can be reconstructed. "
            "Take photographs from several places, or give a scene with --load-dir or --load-ply."
        )
