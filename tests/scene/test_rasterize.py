"""What a render means: the rules one by one, the conveniences, what broken input may do, what is refused."""

import math

import pytest
import torch
from random_scene import as_users_run_it
from splat_scenes import GEOMETRY, ball, dots, require_grad, ring

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions, rasterize, render


def alpha_at(alphas: torch.Tensor, x: float, y: float) -> float:
    """Alpha of the pixel whose centre is at x, y."""
    return alphas[0, int(y), int(x), 0].item()


# --- the rules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opacity", "drawn"), [(0.99 / 255, False), (1.01 / 255, True)])
def test_alpha_below_1_255_is_not_drawn(opacity, drawn):
    _, alphas, _ = rasterize(**dots([20.5], [20.5], [2.0], [opacity]))
    assert alpha_at(alphas, 20.5, 20.5) == pytest.approx(opacity if drawn else 0.0, abs=1e-7)
    assert (alphas > 0).sum() == int(drawn)


def test_alpha_follows_the_gaussian():
    _, alphas, _ = rasterize(**dots([20.5], [20.5], [2.0], [0.8], deviation=3.0))
    for dx, dy in [(0, 0), (2, 0), (0, -3), (4, 5)]:
        expected = 0.8 * math.exp(-0.5 * (dx * dx + dy * dy) / 9.0)
        assert alpha_at(alphas, 20.5 + dx, 20.5 + dy) == pytest.approx(expected, rel=1e-4)


def test_alpha_is_clamped_at_0_999_and_the_clamp_passes_no_gradient():
    scene = require_grad(dots([20.5], [20.5], [2.0], [1.0]))
    _, alphas, _ = rasterize(**scene)
    assert alpha_at(alphas, 20.5, 20.5) == pytest.approx(0.999, abs=1e-6)
    alphas[0, 20, 20, 0].backward(retain_graph=True)
    assert scene["opacities"].grad.item() == 0 and scene["scales"].grad.abs().max() == 0
    alphas[0, 20, 23, 0].backward()  # one standard deviation away: below the clamp
    assert scene["opacities"].grad.item() == pytest.approx(math.exp(-0.5), rel=1e-4)


def test_a_pixel_ends_before_the_splat_that_would_leave_1e_4():
    image, alphas, _ = rasterize(**dots([20.5] * 3, [20.5] * 3, [2.0, 3.0, 4.0], [0.99, 0.995, 0.5]))
    # 0.01 is left behind the first; the second would leave 5e-5, so neither it nor anything behind is drawn.
    torch.testing.assert_close(image[0, 20, 20], torch.tensor([0.99, 0.0, 0.0]), rtol=1e-5, atol=1e-6)
    assert alpha_at(alphas, 20.5, 20.5) == pytest.approx(0.99, rel=1e-5)
    image, _, _ = rasterize(**dots([20.5] * 3, [20.5] * 3, [2.0, 3.0, 4.0], [0.99, 0.985, 0.2]))
    torch.testing.assert_close(
        image[0, 20, 20], torch.tensor([0.99, 0.00985, 0.000030]), rtol=1e-3, atol=1e-7
    )  # 1.5e-4 is left, then 1.2e-4


def test_a_splat_is_cut_at_the_tiles_that_its_3_sigma_square_touches():
    # Deviation 10: radius 31 reaches from 16.5 to 47.5, so tiles end at 48; alpha there is still above 1/255.
    _, alphas, info = rasterize(**dots([16.5], [20.5], [2.0], [1.0], deviation=10.0))
    assert info["radii"].item() == 31
    assert alpha_at(alphas, 47.5, 20.5) == pytest.approx(math.exp(-0.5 * 3.1**2), rel=1e-3)
    assert math.exp(-0.5 * 3.2**2) > 1 / 255 and alpha_at(alphas, 48.5, 20.5) == 0


def test_near_things_hide_far_things_and_ties_go_by_index():
    for depths, first in [([2.0, 3.0], 0), ([3.0, 2.0], 1), ([2.0, 2.0], 0)]:
        image, _, _ = rasterize(**dots([20.5, 20.5], [20.5, 20.5], depths, [0.75, 0.75]))
        expected = torch.zeros(3)
        expected[first], expected[1 - first] = 0.75, 0.25 * 0.75
        torch.testing.assert_close(image[0, 20, 20], expected, rtol=1e-5, atol=1e-6)


def test_order_of_gaussians_does_not_matter():
    scene = ball()
    image, _, _ = rasterize(**scene, sh_degree=3)
    order = torch.randperm(len(scene["means"]))
    shuffled, _, _ = rasterize(**{**scene, **{name: scene[name][order] for name in GEOMETRY}}, sh_degree=3)
    torch.testing.assert_close(shuffled, image, rtol=0, atol=0)


def test_planes_and_radius_clip_cull():
    scene = dots([20.5, 40.5], [20.5, 20.5], [1.0, 4.0], [0.5, 0.5])
    for options, seen in [
        ({}, [True, True]),
        ({"near_plane": 2.0}, [False, True]),
        ({"far_plane": 2.0}, [True, False]),
        ({"radius_clip": 10.0}, [False, False]),
    ]:
        _, alphas, info = rasterize(**scene, **options)
        assert (info["radii"][0] > 0).tolist() == seen
        assert [alpha_at(alphas, x, 20.5) > 0 for x in (20.5, 40.5)] == seen


def test_background_shows_through_colours_but_not_through_depth():
    scene = dots([20.5], [20.5], [2.0], [0.75])
    image, _, _ = rasterize(**scene, render_mode="RGB+D", backgrounds=torch.tensor([[0.2, 0.4, 0.8]]))
    torch.testing.assert_close(image[0, 0, 63], torch.tensor([0.2, 0.4, 0.8, 0.0]))
    torch.testing.assert_close(image[0, 20, 20], torch.tensor([0.75 + 0.05, 0.1, 0.2, 1.5]), rtol=1e-5, atol=1e-6)


def test_expected_depth_is_the_depth_where_something_is_and_zero_where_nothing_is():
    scene = require_grad(dots([20.5], [20.5], [2.0], [0.3]))
    image, alphas, _ = rasterize(**scene, render_mode="RGB+ED")
    seen = alphas[..., 0] > 0
    torch.testing.assert_close(image[..., 3][seen], torch.full_like(image[..., 3][seen], 2.0), rtol=1e-5, atol=1e-5)
    assert (image[..., 3][~seen] == 0).all()
    image[..., 3].sum().backward()
    assert scene["means"].grad[0, 2].item() == pytest.approx(seen.sum().item(), rel=1e-4)
    assert scene["opacities"].grad.abs().max() < 1e-3  # one splat's expected depth does not depend on its opacity


def test_antialiased_keeps_the_light_of_a_speck():
    scene = dots([20.5], [20.5], [2.0], [0.8], deviation=0.6)
    classic, _, _ = rasterize(**scene)
    smooth, _, _ = rasterize(**scene, rasterize_mode="antialiased")
    # The determinant of the covariance grew from 0.06^2 to 0.36^2.
    assert (smooth[0, 20, 20, 0] / classic[0, 20, 20, 0]).item() == pytest.approx(0.06 / 0.36, rel=1e-3)


# --- what training reads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("absgrad", [False, True])
def test_gsplats_strategy_densifies_from_our_info(absgrad):
    gsplat = pytest.importorskip("gsplat")
    scene = ball(count=200, bases=0)
    parameters = torch.nn.ParameterDict(
        {
            "means": scene["means"],
            "quats": scene["quats"],
            "scales": scene["scales"].log(),
            "opacities": scene["opacities"].logit(),
            "colors": scene["colors"],
        }
    )
    optimizers = {name: torch.optim.Adam([value], lr=1e-3) for name, value in parameters.items()}
    strategy = gsplat.DefaultStrategy(grow_grad2d=1e-6, refine_start_iter=0, refine_every=1, absgrad=absgrad)
    strategy.check_sanity(parameters, optimizers)
    state = strategy.initialize_state()
    cameras = {name: scene[name] for name in ("viewmats", "Ks", "width", "height")}
    for step in (1, 2):
        image, _, info = rasterize(
            parameters["means"], parameters["quats"], parameters["scales"].exp(), parameters["opacities"].sigmoid(),
            parameters["colors"], **cameras, absgrad=absgrad,
        )  # fmt: skip
        strategy.step_pre_backward(parameters, optimizers, state, step, info)
        (image - 0.5).square().mean().backward()
        assert info["means2d"].grad[info["radii"] == 0].abs().sum() == 0
        if absgrad:
            assert (info["means2d"].absgrad >= info["means2d"].grad.abs() * 0.999).all()
        count = len(parameters["means"])
        strategy.step_post_backward(parameters, optimizers, state, step, info, packed=False)
        assert len(parameters["means"]) > count


def test_training_three_views_gains_10_db():
    truth = ball(count=800, views=3, width=64, height=64, bases=0, seed=3)
    target, _, _ = rasterize(**truth)
    start = ball(count=800, views=3, width=64, height=64, bases=0, seed=4)
    scene = require_grad({**start, "colors": torch.full((800, 3), 0.5)})
    optimizer = torch.optim.Adam([scene[name] for name in GEOMETRY], lr=5e-3)
    errors = []
    for _ in range(150):
        image, _, _ = rasterize(**{**scene, "opacities": scene["opacities"].clamp(0, 0.99)})
        loss = (image - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert 10 * math.log10(errors[0] / errors[-1]) > 10


# --- conveniences -----------------------------------------------------------------------------------------------


def nouns(count: int = 200, views: int = 3) -> tuple[Gaussians, Cameras]:
    scene = ball(count=count, views=views)
    gaussians = Gaussians(
        scene["means"], scene["quats"], scene["scales"].log(), scene["opacities"].logit(), scene["colors"][:, 0],
        scene["colors"][:, 1:],
    )  # fmt: skip
    return gaussians, Cameras(scene["viewmats"], scene["Ks"], scene["width"], scene["height"])


def test_render_takes_the_two_nouns():
    gaussians, cameras = nouns()
    scene = ball(count=200, views=3)
    image, alphas, _ = render(gaussians, cameras, background=torch.ones(3), render_mode="RGB+ED")
    expected, expected_alphas, _ = rasterize(**scene, sh_degree=3, render_mode="RGB+ED", backgrounds=torch.ones(3, 3))
    torch.testing.assert_close(image, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(alphas, expected_alphas, rtol=1e-4, atol=1e-4)
    flat, _, _ = render(gaussians, cameras, sh_degree=0)
    assert not torch.allclose(flat, image[..., :3], atol=1e-2)


def test_contributions_are_the_blend_weights_inside_the_masks(monkeypatch):
    gaussians, cameras = nouns(count=40)
    size = (cameras.width, cameras.height)
    geometry = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)
    masks = torch.rand(3, cameras.height, cameras.width, 2)
    ours = contributions(gaussians, cameras, masks)
    # The blend weight of one Gaussian is what appears if it alone is white.
    for index in range(0, 40, 7):
        white = torch.zeros(40, 1)
        white[index] = 1
        weights, _, _ = rasterize(*geometry, white, cameras.viewmats, cameras.Ks, *size)
        torch.testing.assert_close(ours[index], (weights * masks).sum((0, 1, 2)), rtol=1e-4, atol=1e-4)
    monkeypatch.setattr("fasttext2style.scene.rasterize.CONTRIBUTION_BATCH", 40)  # one view at a time
    torch.testing.assert_close(contributions(gaussians, cameras, masks), ours, rtol=1e-5, atol=1e-5)


def test_contributions_with_full_masks_sum_to_alpha():
    gaussians, cameras = nouns()
    _, alphas, _ = render(gaussians, cameras)
    sums = contributions(gaussians, cameras, torch.ones(3, cameras.height, cameras.width, 1)).sum()
    assert sums.item() == pytest.approx(alphas.sum().item(), rel=1e-5)


def test_contributions_refuse_masks_of_another_size():
    gaussians, cameras = nouns(count=5)
    with pytest.raises(ValueError, match="masks must be"):
        contributions(gaussians, cameras, torch.ones(3, cameras.width, cameras.height, 1))


# --- broken and empty input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0])
@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities"])
def test_a_broken_gaussian_harms_nobody_else(name, value):
    scene = ball(count=60, bases=0)
    broken = {key: tensor.clone() if isinstance(tensor, torch.Tensor) else tensor for key, tensor in scene.items()}
    broken[name][17] = value
    without = {**scene, **{key: torch.cat([scene[key][:17], scene[key][18:]]) for key in GEOMETRY}}
    harmless = name in ("means", "quats", "scales") and value == 0.0  # a point, a default rotation, a flat disc: drawn
    ours, expected = require_grad(broken), require_grad(without)
    image, alphas, _ = rasterize(**ours, render_mode="RGB+ED")
    expected_image, _, _ = rasterize(**expected, render_mode="RGB+ED")
    assert image.isfinite().all() and alphas.isfinite().all()
    if not harmless:
        assert torch.equal(image, expected_image)
    image.square().sum().backward()
    expected_image.square().sum().backward()
    for key in GEOMETRY:
        assert ours[key].grad.isfinite().all(), key
        if not harmless:
            others = torch.cat([ours[key].grad[:17], ours[key].grad[18:]])
            torch.testing.assert_close(others, expected[key].grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
def test_flat_and_unrotated_gaussians_have_finite_gradients(rasterize_mode):
    scene = ball(count=60, bases=0)
    scene["scales"][:20, 0] = 0.0
    scene["scales"][10:15] = 0.0
    scene["quats"][20:40] = 0.0
    leaves = require_grad(scene)
    image, _, _ = rasterize(**leaves, rasterize_mode=rasterize_mode)
    image.square().sum().backward()
    assert all(leaves[name].grad.isfinite().all() for name in GEOMETRY)
    assert (leaves["quats"].grad[20:40] == 0).all()


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("render_mode", ["RGB", "ED", "RGB+D"])
def test_few_gaussians(count, render_mode):
    scene = require_grad(ball(count=count, bases=0))
    background = torch.tensor([[0.1, 0.2, 0.3]] * 2)
    image, alphas, _ = rasterize(**scene, render_mode=render_mode, backgrounds=background)
    image.sum().backward()
    assert all(scene[name].grad is None or scene[name].grad.isfinite().all() for name in GEOMETRY)
    empty = alphas[..., 0] == 0
    assert empty.any() and (count == 1) == (not empty.all())
    nothing = {"RGB": [0.1, 0.2, 0.3], "ED": [0.0], "RGB+D": [0.1, 0.2, 0.3, 0.0]}[render_mode]
    torch.testing.assert_close(image[empty], torch.tensor(nothing).expand(int(empty.sum()), -1))


def test_nothing_in_view():
    scene = require_grad(dots([-500.0], [20.5], [2.0], [0.9]))
    image, alphas, info = rasterize(**scene)
    image.sum().backward()
    assert (image == 0).all() and (alphas == 0).all() and info["radii"].item() == 0
    assert all((scene[name].grad == 0).all() for name in GEOMETRY)


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": torch.zeros(4, 2)}, r"means must have shape \[4, 3\], got \[4, 2\]"),
        ({"opacities": torch.zeros(4, 1)}, "opacities must have shape"),
        ({"quats": torch.zeros(4, 4).double()}, "quats must be float32"),
        ({"viewmats": torch.eye(4)}, r"viewmats should be \[views, 4, 4\]"),
        ({"colors": torch.zeros(5, 3)}, "colors must be"),
        ({"sh_degree": 2}, "colors must be"),
        ({"sh_degree": 4}, "sh_degree must be 0 to 3"),
        ({"render_mode": "RGBD"}, "render_mode"),
        ({"rasterize_mode": "smooth"}, "rasterize_mode"),
        ({"backgrounds": torch.zeros(3)}, "backgrounds must be"),
        ({"width": 0}, "at least 1 x 1 pixels"),
        ({"near_plane": 0.0}, "near_plane"),
        ({"viewmats": torch.eye(4)[None].requires_grad_()}, "not differentiable"),
        ({"backend": "gsplat"}, "cannot render tensors on 'cpu'"),
        ({"backend": "vulkan"}, "backend must be"),
        ({"colors": torch.zeros(4, 5), "absgrad": True}, "at most 4 channels"),
        ({"scales": torch.zeros(4, 3, device="meta")}, "move all to one device"),
    ],
)
def test_wrong_input_is_refused_with_a_reason(change, message):
    scene = {**ball(count=4, views=1, bases=0), **ring(1, 20, 20)}
    with as_users_run_it(), pytest.raises(ValueError, match=message):
        rasterize(**{**scene, **change})
