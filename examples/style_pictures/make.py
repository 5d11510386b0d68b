"""Styles the embedded scene's bear by pictures, and puts each picture beside what came of it, from four sides.

    python examples/style_pictures/make.py [PICTURE ...] [--loss gram] [--features FILE] [--steps 90] [--out SHEET.png]

Without a picture it takes the three paintings of paintings.py, which are made from nothing. Needs no network and no
GPU; about half a minute for each picture on one core. It fails if anything outside the bear changed by one bit.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from paintings import PAINTINGS
from PIL import Image

import fasttext2style as ft
from fasttext2style.captures.style_pictures import StylePicture, read_style_picture
from fasttext2style.evaluation.report import to_uint8
from fasttext2style.guidance.feature_maps import FeatureMaps, load_feature_maps
from fasttext2style.guidance.picture_objective import PictureObjective, PictureStyleConfig

RATES = {"features_dc": 0.02, "features_rest": 0.001}
"""Learning rates of the colours, those of the method `fasttext2style`."""


def styled(
    scene: ft.ToyScene,
    encoder: ft.TextImageEncoder,
    features: FeatureMaps,
    picture: StylePicture,
    config: PictureStyleConfig,
    steps: int,
    prompt: str = "",
) -> tuple[ft.Gaussians, float]:
    """The scene with its bear in the style of a picture, and seconds."""
    started = time.perf_counter()
    edit = ft.EditableObject(scene.gaussians, ft.Selection(scene.object_weights, "the statue"))
    compared = PictureObjective(config, features, picture.tensor)
    styler = ft.ObjectStyler(edit, scene.train_cameras, encoder, prompt, ft.StylerConfig(), picture=compared)
    training = ft.ObjectSteps(edit, {name: torch.optim.Adam([edit.parameters[name]], lr=RATES[name]) for name in RATES})
    for step in range(steps):
        training.take(*styler.losses(), step)
    training.close()
    after, outside = edit.merged(), scene.object_weights == 0
    for name, column in scene.gaussians.to_splatfacto().items():
        if not torch.equal(column[outside], after.to_splatfacto()[name][outside]):
            raise SystemExit(f"{name} changed outside the bear")
    return after, time.perf_counter() - started


def row_of(picture: StylePicture, views: torch.Tensor) -> np.ndarray:
    """A picture, fitted into a square, and views of the same height beside it."""
    side = views.shape[1]
    image = Image.fromarray(picture.pixels[..., :3])
    square = image.crop((0, 0, min(image.size), min(image.size))).resize((side, side), Image.Resampling.LANCZOS)
    return np.concatenate([np.asarray(square), *to_uint8(views)], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path, nargs="*")
    parser.add_argument("--loss", choices=("matching+gram", "matching", "gram"), default=PictureStyleConfig.loss)
    parser.add_argument("--features", default="", help="file of vgg16 or squeezenet1_1 weights")
    parser.add_argument("--steps", type=int, default=90)
    parser.add_argument("--size", type=int, default=PictureStyleConfig.size)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("style_pictures.png"))
    options = parser.parse_args()

    pictures = [read_style_picture(path) for path in options.pictures]
    for name, paint in {} if pictures else PAINTINGS.items():
        pixels = np.full((256, 256, 4), 255, np.uint8)
        pixels[..., :3] = (paint() * 255).round().astype(np.uint8)
        pictures.append(StylePicture(name, pixels))

    scene, encoder = ft.toy_scene(width=192, height=192), ft.load_encoder("tiny")
    features = load_feature_maps(encoder, options.features)
    sides = ft.Cameras.orbit((0.05, 0.0, 0.62), 2.3, 4, 192, 192, elevation_degrees=18.0, fov_degrees=45.0)
    config = PictureStyleConfig(loss=options.loss, size=options.size)
    rows = []
    for picture in pictures:
        after, seconds = styled(scene, encoder, features, picture, config, options.steps)
        print(f"{picture.name}: {seconds:.0f} s, {features.name}, {config.loss}")
        with torch.no_grad():
            rows.append(row_of(picture, ft.render(after, sides)[0].clamp(0, 1)))
    Image.fromarray(np.concatenate(rows)).quantize(256).save(options.out, optimize=True)
    print(options.out)


if __name__ == "__main__":
    main()
