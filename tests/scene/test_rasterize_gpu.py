"""Twins: the CPU backend against gsplat on CUDA. Needs a CUDA device; run with -m gpu."""

import pytest
import torch
from splat_scenes import GEOMETRY, ball, require_grad

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions, rasterize

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

# Where a splat is within rounding of a threshold (1/255, 1e-4), twins may decide differently: that many pixels.
FLIPS = 1e-3


def on_cuda(scene: dict) -> dict:
    return {key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in scene.items()}


@pytest.mark.parametrize("render_mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
def test_cpu_and_cuda_are_twins(render_mode, rasterize_mode):
    scene = ball(count=5000, views=3, width=130, height=100)
    background = torch.rand(3, 3)
    options = {"sh_degree": 3, "render_mode": render_mode, "rasterize_mode": rasterize_mode, "absgrad": True}
    ours, theirs = require_grad(scene), require_grad(on_cuda(scene))
    image, alphas, info = rasterize(**ours, **options, backgrounds=background)
    cuda_image, cuda_alphas, cuda_info = rasterize(**theirs, **options, backgrounds=background.cuda())
    off = ((image - cuda_image.cpu()).abs() > 1e-4) | ((alphas - cuda_alphas.cpu()).abs() > 1e-4)
    assert off.any(-1).float().mean() < FLIPS
    assert ((info["radii"] - cuda_info["radii"].cpu()).abs() > 0).float().mean() < FLIPS

    agreed = ~off.any(-1, keepdim=True)
    weights = torch.randn(image.shape) * agreed
    info["means2d"].retain_grad()
    cuda_info["means2d"].retain_grad()
    (image * weights).sum().backward()
    (cuda_image * weights.cuda()).sum().backward()
    pairs = {name: (ours[name].grad, theirs[name].grad) for name in GEOMETRY if ours[name].grad is not None}
    pairs["means2d"] = (info["means2d"].grad, cuda_info["means2d"].grad)
    pairs["absgrad"] = (info["means2d"].absgrad, cuda_info["means2d"].absgrad)
    for name, (mine, other) in pairs.items():
        other = other.cpu()
        if name in ("means2d", "absgrad"):  # gsplat leaves rows of culled Gaussians undefined
            mine, other = mine[info["radii"] > 0], other[info["radii"] > 0]
        assert (mine - other).norm() <= 1e-3 * other.norm(), name


def test_contributions_agree():
    scene = ball(count=2000, views=3)
    gaussians = Gaussians(
        scene["means"], scene["quats"], scene["scales"].log(), scene["opacities"].logit(), scene["colors"][:, 0],
        scene["colors"][:, 1:],
    )  # fmt: skip
    cameras = Cameras(scene["viewmats"], scene["Ks"], scene["width"], scene["height"])
    masks = torch.rand(3, cameras.height, cameras.width, 2)
    ours = contributions(gaussians, cameras, masks)
    theirs = contributions(gaussians.to("cuda"), cameras.to("cuda"), masks.cuda()).cpu()
    assert (ours - theirs).norm() < 1e-3 * theirs.norm()
