"""The CPU rasterizer against readable references: our dense float64 twin, and gsplat's own torch functions."""

import pytest
import torch
from dense_reference import blend, rasterize_dense
from splat_scenes import GEOMETRY, ball, dots, relative_error, require_grad, to_float64, wild

from fasttext2style.scene.rasterize import rasterize

MODES = [
    ("RGB", "classic", 3),
    ("RGB", "antialiased", None),
    ("D", "classic", 0),
    ("ED", "antialiased", 1),
    ("RGB+D", "antialiased", 2),
    ("RGB+ED", "classic", 3),
]


def loss_weights(shape: tuple[int, ...], decided: torch.Tensor) -> torch.Tensor:
    """Random gradients of the image; none where rounding may decide a threshold either way."""
    generator = torch.Generator().manual_seed(5)
    return torch.randn(*shape, generator=generator) * decided[..., None]


@pytest.mark.parametrize(("render_mode", "rasterize_mode", "sh_degree"), MODES)
def test_image_and_gradients_equal_dense_float64(render_mode, rasterize_mode, sh_degree):
    scene = ball(bases=0 if sh_degree is None else 16)
    backgrounds = torch.rand(2, 3) if "RGB" in render_mode else None
    options = {"sh_degree": sh_degree, "render_mode": render_mode, "rasterize_mode": rasterize_mode}
    ours, exact = require_grad(scene), require_grad(to_float64(scene))
    image, alphas, info = rasterize(**ours, **options, backgrounds=backgrounds)
    expected, expected_alphas, expected_info = rasterize_dense(
        **exact, **options, backgrounds=None if backgrounds is None else backgrounds.double(), find_decided=True
    )
    decided = expected_info["decided"]
    assert decided.double().mean() > 0.99
    assert torch.equal(info["radii"], expected_info["radii"])
    assert relative_error(image * decided[..., None], expected * decided[..., None]) < 1e-5
    assert relative_error(alphas * decided[..., None], expected_alphas * decided[..., None]) < 1e-5

    weights, alpha_weights = loss_weights(image.shape, decided), loss_weights(alphas.shape, decided)
    ((image * weights).sum() + (alphas * alpha_weights).sum()).backward()
    ((expected * weights).sum() + (expected_alphas * alpha_weights).sum()).backward()
    for name in GEOMETRY:
        if name == "colors" and "RGB" not in render_mode:
            continue
        assert relative_error(ours[name].grad, exact[name].grad) < 1e-4, name


def test_more_than_four_channels_per_view_equal_dense_float64():
    scene = ball(count=150, bases=0)
    scene["colors"] = torch.randn(2, 150, 6)
    ours = require_grad(scene)
    image, _, _ = rasterize(**ours, render_mode="RGB+ED")
    weights = torch.randn_like(image)
    views = []
    exact = require_grad(to_float64(scene))
    for view in range(2):
        one = {
            **exact,
            "colors": exact["colors"][view],
            "viewmats": exact["viewmats"][[view]],
            "Ks": exact["Ks"][[view]],
        }
        views.append(rasterize_dense(**one, render_mode="RGB+ED", find_decided=True))
    expected = torch.cat([view[0] for view in views])
    weights = weights * torch.cat([view[2]["decided"] for view in views])[..., None]
    assert relative_error(image * weights, expected * weights) < 1e-5
    (image * weights).sum().backward()
    (expected * weights).sum().backward()
    for name in GEOMETRY:
        assert relative_error(ours[name].grad, exact[name].grad) < 1e-4, name


def test_gradient_of_the_background():
    scene = ball(count=100, bases=0)
    ours = torch.rand(2, 3).requires_grad_()
    image, alphas, _ = rasterize(**scene, backgrounds=ours)
    weights = torch.randn_like(image)
    (image * weights).sum().backward()
    torch.testing.assert_close(ours.grad, (weights * (1 - alphas)).sum((1, 2)))


@pytest.mark.parametrize("block", range(4))
def test_wild_scenes_stay_as_exact_as_float32_allows(block):
    """Needles and giants around the camera: where dense float32 torch errs too, we may err twice as much."""
    for seed in range(10 * block, 10 * block + 10):
        scene = wild(seed)
        ours, single, exact = require_grad(scene), require_grad(scene), require_grad(to_float64(scene))
        image, _, info = rasterize(**ours)
        expected, _, expected_info = rasterize_dense(**exact, find_decided=True)
        single_image, _, _ = rasterize_dense(**single)
        decided = expected_info["decided"][..., None]
        radii = (info["radii"] - expected_info["radii"]).abs()
        assert radii.max() <= 1 and (radii > 0).float().mean() < 0.02  # ceil decides either way at a whole number
        error = ((image - expected) * decided).abs().max()
        single_error = ((single_image - expected) * decided).abs().max()
        assert error < max(1e-3, 2 * single_error), (seed, error, single_error)
        weights = loss_weights(image.shape, decided[..., 0])
        for rendered in (image, single_image, expected):
            (rendered * weights).sum().backward()
        for name in GEOMETRY:
            norm = exact[name].grad.norm()
            off, single_off = ((leaves[name].grad - exact[name].grad).norm() for leaves in (ours, single))
            assert off <= max(3e-3 * norm, 2 * single_off), (seed, name, off / norm, single_off / norm)


def test_absgrad_sums_absolute_gradients_over_pixels():
    scene = dots([7.0, 12.5, 20.0], [8.0, 6.0, 11.0], [2.0, 3.0, 4.0], [0.8, 0.6, 0.9], 2.5, width=24, height=18)
    scene["colors"] = torch.rand(3, 3)
    scene["scales"] = scene["scales"] * torch.tensor([1.0, 0.6, 1.5])  # not round: the cross term counts
    leaves = require_grad(scene)
    image, _, info = rasterize(**leaves, absgrad=True)
    info["means2d"].retain_grad()
    weights = torch.randn_like(image)
    (image * weights).sum().backward()

    _, _, reference = rasterize_dense(**to_float64(scene))
    means2d = reference["means2d"][0].requires_grad_()
    conics, radii, depths = reference["conics"][0], reference["radii"][0], reference["depths"][0]
    expected, _, _ = blend(
        radii, means2d, depths, conics, scene["opacities"].double(), scene["colors"].double(), 24, 18
    )
    pixels = (expected * weights[0]).sum(-1).flatten()
    each = torch.stack([torch.autograd.grad(pixel, means2d, retain_graph=True)[0] for pixel in pixels])
    assert relative_error(info["means2d"].grad[0], each.sum(0)) < 1e-5
    assert relative_error(info["means2d"].absgrad[0], each.abs().sum(0)) < 1e-5


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
def test_projection_equals_gsplats_torch_functions(rasterize_mode):
    reference = pytest.importorskip("gsplat.cuda._torch_impl")
    scene = to_float64(ball(count=500))
    covariances, _ = reference._quat_scale_to_covar_preci(scene["quats"], scene["scales"], compute_preci=False)
    radii, means2d, depths, conics, compensations = reference._fully_fused_projection(
        scene["means"], covariances, scene["viewmats"], scene["Ks"], scene["width"], scene["height"],
        calc_compensations=True,
    )  # fmt: skip
    _, _, info = rasterize(**ball(count=500), sh_degree=3, rasterize_mode=rasterize_mode)
    seen = info["radii"] > 0
    assert torch.equal(info["radii"], radii) and seen.any()
    for name, values in {"means2d": means2d, "depths": depths, "conics": conics}.items():
        torch.testing.assert_close(info[name][seen].double(), values[seen], rtol=1e-4, atol=1e-4, msg=name)
        assert (info[name][~seen] == 0).all()
    opacities = scene["opacities"] * (compensations if rasterize_mode == "antialiased" else torch.ones_like(depths))
    torch.testing.assert_close(info["opacities"][seen].double(), opacities[seen], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("degree", range(4))
def test_harmonics_equal_gsplats_torch_functions(degree):
    reference = pytest.importorskip("gsplat.cuda._torch_impl")
    # Looked at from afar and one at a time, splats show their own colour over the weight alpha.
    scene = ball(count=1, views=24, width=32, height=32)
    scene["means"] = torch.tensor([[0.1, -0.2, 0.15]])
    scene["scales"] = torch.full((1, 3), 0.2)
    image, alphas, _ = rasterize(**scene, sh_degree=degree)
    centers = torch.linalg.inv(scene["viewmats"])[:, :3, 3]
    coefficients = scene["colors"].expand(24, -1, -1)
    expected = (reference._spherical_harmonics(degree, scene["means"] - centers, coefficients) + 0.5).clamp_min(0)
    peak = alphas.flatten(1).argmax(1)
    color = image.flatten(1, 2)[torch.arange(24), peak] / alphas.flatten(1)[torch.arange(24), peak, None]
    torch.testing.assert_close(color, expected, rtol=1e-4, atol=1e-5)
