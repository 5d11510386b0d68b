"""Patches look where they should, lose no pixel to aliasing, and come out of the generator alone."""

import pytest
import torch
import torch.nn.functional as F

from fasttext2style.guidance.augment import sample_backgrounds, sample_patch_grids, take_patches


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def disc(side: int, radius: float, center: tuple[float, float]) -> torch.Tensor:
    places = torch.arange(side) + 0.5
    distances = ((places[None] - center[0]) ** 2 + (places[:, None] - center[1]) ** 2).sqrt()
    return (distances < radius).float()[None, :, :, None]


def coordinates(side: int) -> torch.Tensor:
    """An image whose colour is the place (x, y) of each pixel's centre."""
    places = torch.arange(side) + 0.5
    x, y = torch.meshgrid(places, places, indexing="xy")
    return torch.stack([x, y], -1)[None]


def test_patch_0_is_the_square_around_the_object():
    alphas = disc(100, 20, (60, 45))
    grids = sample_patch_grids(alphas, 0, 44, (0.5, 1.0), 0.2, generator())
    # 40 pixels wide and 5 % of margin on each side: 44 pixels from 38 to 82 and from 23 to 67.
    patch = take_patches(coordinates(100), grids, 44)[0]
    torch.testing.assert_close(patch[0, 0], torch.tensor([38.5, 23.5]))
    torch.testing.assert_close(patch[-1, -1], torch.tensor([81.5, 66.5]))


def test_a_patch_is_the_average_of_the_pixels_it_shrinks():
    image = torch.rand(1, 96, 96, 3)
    alphas = torch.ones(1, 96, 96, 1)
    grids = sample_patch_grids(alphas, 0, 33, (0.5, 1.0), 0.0, generator())
    patch = take_patches(torch.cat([image, alphas], -1), grids, 33)
    # The frame plus 5 % of margin is 105.6 pixels for 33 samples: 3.2 each. Nothing in between is left out.
    assert patch[..., :3].sum() * 3.2**2 == pytest.approx(image.sum().item(), rel=0.02)


@pytest.mark.parametrize("render", [64, 150, 400])
def test_every_pixel_of_the_object_gets_its_gradient(render):
    images = torch.rand(1, render, render, 3, requires_grad=True)
    alphas = torch.ones(1, render, render, 1)
    take_patches(images, sample_patch_grids(alphas, 0, 64, (0.5, 1.0), 0.0, generator()), 64).sum().backward()
    assert (images.grad[..., 0] == 0).float().mean() < 0.01


def test_random_patches_stay_inside_the_objects_square_and_show_it():
    alphas = torch.cat([disc(80, 15, (30, 50)), disc(80, 30, (40, 40))])
    grids = sample_patch_grids(alphas, 16, 32, (0.3, 0.6), 0.0, generator())
    shown = take_patches(alphas, grids, 32).unflatten(0, (2, 17))
    assert shown.mean((2, 3, 4)).min() > 0.2
    places = take_patches(coordinates(80).expand(2, -1, -1, -1), grids, 32).unflatten(0, (2, 17))
    for view, (x, y, half) in enumerate([(30, 50, 16.5), (40, 40, 33)]):
        assert (places[view, ..., 0] - x).abs().max() < half + 1
        assert (places[view, ..., 1] - y).abs().max() < half + 1
    widths = places[..., -1, -1, 0] - places[..., -1, 0, 0]
    assert 0.3 * 33 - 2 < widths[0, 1:].min() < widths[0, 1:].max() < 0.6 * 33


def test_random_patches_reach_every_side_of_the_object():
    """On a disc there is no side that they prefer."""
    alphas = disc(80, 30, (45, 38))
    grids = sample_patch_grids(alphas, 200, 8, (0.3, 0.6), 0.0, generator())
    centers = take_patches(coordinates(80), grids, 8)[1:].mean((1, 2)) - torch.tensor([45.0, 38.0])
    # A patch of half the square's side, 33 pixels, can move by 16.5 to each side.
    assert centers.mean(0).abs().max() < 3
    for axis in (0, 1):
        assert (centers[:, axis] < -5).sum() > 30 and (centers[:, axis] > 5).sum() > 30


def test_perspective_makes_one_side_of_a_patch_larger():
    alphas = disc(80, 30, (40, 40))
    grids = sample_patch_grids(alphas, 8, 16, (0.5, 0.5), 0.2, generator())[0]
    left, right = (grids[:, -1, column, 1] - grids[:, 0, column, 1] for column in (0, -1))
    assert (left[0] - right[0]).abs() < 1e-5, "the whole object is seen straight"
    assert ((left[1:] / right[1:]).log().abs() > 0.02).all()


def test_an_empty_view_gives_the_whole_frame():
    grids = sample_patch_grids(torch.zeros(1, 40, 40, 1), 2, 44, (0.5, 1.0), 0.1, generator())
    assert torch.isfinite(grids).all()
    torch.testing.assert_close(grids[0, 0, 2:-2, 2:-2].abs().max(), torch.tensor(39 / 40))


def test_the_generator_decides_everything():
    alphas = disc(40, 12, (20, 20))
    first, again = (sample_patch_grids(alphas, 4, 16, (0.5, 1.0), 0.1, generator(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, sample_patch_grids(alphas, 4, 16, (0.5, 1.0), 0.1, generator(6)))
    backgrounds = [sample_backgrounds(6, 8, ("noise", "white"), generator(1)) for _ in range(2)]
    assert torch.equal(*backgrounds)


def test_backgrounds_are_of_their_kinds():
    assert sample_backgrounds(3, 4, ("white",), generator()).eq(1).all()
    assert sample_backgrounds(3, 4, ("black",), generator()).eq(0).all()
    noise = sample_backgrounds(3, 32, ("noise",), generator())
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert noise.std() > 0.1
    mixed = sample_backgrounds(200, 2, ("black", "grey", "white"), generator())
    assert 40 < mixed[:, 0, 0, 0].eq(0.5).sum() < 95
    with pytest.raises(ValueError, match=r"at least one"):
        sample_backgrounds(3, 4, (), generator())


def test_settings_out_of_range_are_refused():
    alphas = disc(40, 12, (20, 20))
    with pytest.raises(ValueError, match=r"rise within"):
        sample_patch_grids(alphas, 4, 16, (0.8, 0.5), 0.1, generator())
    with pytest.raises(ValueError, match=r"less than 0\.5"):
        sample_patch_grids(alphas, 4, 16, (0.5, 0.8), 0.5, generator())


def test_a_premultiplied_patch_on_a_background_equals_the_patch_of_the_composite():
    """Sampling and compositing commute, so the background can be swapped after the patches are cut."""
    alphas = F.avg_pool2d(disc(64, 20, (32, 32)).permute(0, 3, 1, 2), 5, 1, 2).permute(0, 2, 3, 1)
    colors = torch.rand(1, 64, 64, 3)
    grids = sample_patch_grids(alphas, 3, 32, (0.4, 0.8), 0.1, generator())
    late = take_patches(colors * alphas, grids, 32) + 0.5 * (1 - take_patches(alphas, grids, 32))
    early = take_patches(colors * alphas + 0.5 * (1 - alphas), grids, 32)
    torch.testing.assert_close(late, early)
