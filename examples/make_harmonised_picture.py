"""Draws examples/pictures/harmonised.jpg: the embedded scene before four skies, as it is and tinted by their light.

python examples/make_harmonised_picture.py
"""

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from fasttext2style.envmaps.around import seen_behind
from fasttext2style.envmaps.harmony import harmonised
from fasttext2style.envmaps.skies import sky
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.far import far_away
from fasttext2style.toy.scene import toy_scene

SKIES = ("clear noon", "sunset", "night", "overcast")


def seen(gaussians: Gaussians, cameras: Cameras, panorama: Tensor) -> Tensor:
    """[height, width of all views, 3], sRGB."""
    colors, alphas = render(gaussians, cameras)[:2]
    pictures = (colors + (1 - alphas.reshape(*colors.shape[:3], 1)) * seen_behind(panorama, cameras)).clamp(0, 1)
    return torch.cat(list(pictures), dim=1)


def main() -> None:
    scene = toy_scene(width=224, height=224)
    gaussians, cameras = scene.gaussians, scene.train_cameras
    without_sky = gaussians.subset(far_away(gaussians, cameras) == 0)
    shown, rows = cameras[[0, len(cameras) // 3]], []
    for name in SKIES:
        panorama = sky(name)
        columns = harmonised(without_sky, torch.ones(len(without_sky)), cameras, panorama)
        tinted = replace(without_sky, sh_dc=columns["features_dc"], sh_rest=columns["features_rest"])
        rows.append(torch.cat([seen(it, shown, panorama) for it in (without_sky, tinted)], dim=1))
    picture = (torch.cat(rows) * 255).round().byte().numpy()
    Image.fromarray(picture).save(Path(__file__).parent / "pictures" / "harmonised.jpg", quality=85)


if __name__ == "__main__":
    main()
