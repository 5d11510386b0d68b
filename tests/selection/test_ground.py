"""What stands on what, and where cameras look."""

import math
from dataclasses import replace

import pytest
import torch
from shared_scenes import ball, blobs, disc, orbit, toy

from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection.ground import Standing, find_plane, find_things
from fasttext2style.selection.neighbours import bodies, nearest
from fasttext2style.selection.seen import SeenScene, focus_of, look_at


def test_everything_on_the_deck_is_a_thing_of_its_own():
    """The statue, a ball and a crate; no part of deck, meadow, trees or sky."""
    scene = toy(1)
    things = find_things(scene.gaussians, scene.train_cameras)
    statue, striped, crate = things.of[:17_000], things.of[17_000:19_200], things.of[19_200:20_900]
    numbers = [int(part.mode().values) for part in (statue, striped, crate)]
    assert sorted(numbers) == [0, 1, 2] and things.under == (-1, -1, -1)
    for part, number in zip((statue, striped, crate), numbers):
        # The lowest parts cannot be told from the deck.
        assert (part == number).float().mean() > 0.9
        assert part.unique().tolist() in ([number], [-1, number])
    assert (things.of[20_900:] == -1).float().mean() > 0.999
    # The bear stands on its slab, which is 0.15 high; ball and crate stand on nothing of their own.
    height = scene.gaussians.means[:17_000, 2]
    on_base = things.on_base[:17_000]
    assert on_base[height > 0.2].float().mean() > 0.99 and not on_base[height < 0.14].any()
    assert not things.on_base[17_000:].any()


def test_a_thing_on_a_table_stands_on_a_thing():
    floor, table, thing = disc(3, 0, 8000), disc(0.6, 0.4, 2500), ball(0.2, 0.6, 1200)
    things = find_things(blobs(torch.cat([floor, table, thing])), orbit(0.6, radius=3.0))
    assert (things.of[:8000] == -1).all()
    upper, lower = int(things.of[10_500:].mode().values), int(things.of[8000:10_500].mode().values)
    assert lower >= 0 and things.under[upper] == lower and things.under[lower] == -1
    assert (things.of[8000:10_500] == lower).float().mean() > 0.95
    assert (things.of[10_500:] == upper).float().mean() > 0.85
    assert things.on(lower) == [lower, upper] and things.on(upper) == [upper]
    assert not things.on_base.any(), "a base is what does not stand free"


def test_a_base_goes_on_around_what_stands_on_it():
    """A ball on a drum hardly wider than it; and not the end of a block, as broad as it: a chair, a stair."""
    floor = disc(4, 0, 8000)
    drum = torch.cat([disc(0.6, 0.3, 2000), *(disc(0.6, height, 600)[-150:] for height in (0.06, 0.12, 0.18, 0.24))])
    things = find_things(blobs(torch.cat([floor, drum, ball(0.42, 0.72, 2000)])), orbit(0.7, radius=3.0))
    on_drum, on_ball = things.on_base[8000 : 8000 + len(drum)], things.on_base[8000 + len(drum) :]
    assert on_ball.float().mean() > 0.9 and on_drum.float().mean() < 0.05 and not things.on_base[:8000].any()
    chair = torch.cat(
        [_box((-0.8, 0.8), (-0.45, 0.45), (0.0, 0.3), 3000), _box((0.3, 0.8), (-0.45, 0.45), (0.3, 1.2), 3000)]
    )
    things = find_things(blobs(torch.cat([floor, chair])), orbit(0.7, radius=4.0))
    assert (things.of[8000:] >= 0).float().mean() > 0.9 and not things.on_base.any()


def _box(*sides: tuple[float, float] | int) -> torch.Tensor:
    """Points on the faces of a box, but not on the lower one."""
    *ranges, count = sides
    lows, highs = torch.tensor(ranges).T
    points = lows + torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) * (highs - lows)
    areas = torch.tensor([(highs - lows).prod() / (high - low) for low, high in ranges])
    faces = torch.multinomial(areas, count, replacement=True, generator=torch.Generator().manual_seed(1))
    upper = torch.rand(count, generator=torch.Generator().manual_seed(2)) < 0.5
    upper = upper | (faces == 2)
    points[torch.arange(count), faces] = torch.where(upper, highs[faces], lows[faces])
    return points


def test_a_thing_with_what_it_stands_on_and_all_that_stands_there_is_a_laid_table_on_the_ground_alone():
    floor, table, thing = disc(3, 0, 4000), disc(0.8, 0.7, 2500), ball(0.25, 0.97, 1200)
    seen = look_at(blobs(torch.cat([floor, table, thing])), orbit(0.97))
    rows, body = torch.arange(7700), torch.arange(6500, 7700)
    laid = Standing(seen, rows).carrier(body)
    assert 0.9 * 3700 < len(laid) <= 3700 and bool((laid >= 4000).all())
    assert len(Standing(seen, rows, floor=1).carrier(body)) == 0, "that of a thing on a table stands on a table"


@pytest.mark.parametrize(("gap", "things"), [(0.1, 1), (0.3, 2)])
def test_what_is_in_the_air_belongs_to_what_is_near_below_it(gap, things):
    """A shade over its pole, where the pole is too thin to be reconstructed; not a balloon over a post. They touch
    within 0.08, and what is in the air is carried across twice as much."""
    torch.manual_seed(0)
    floor, pole, shade = disc(3, 0, 4000), ball(0.15, 0.15, 900), ball(0.25, 0.55 + gap, 2000)
    of = find_things(blobs(torch.cat([floor, pole, shade])), orbit(0.5)).of
    numbers = {int(part.mode().values) for part in (of[4000:4900], of[4900:])}
    assert len(numbers) == things and -1 not in numbers


def test_a_low_plate_belongs_to_what_is_in_it_where_the_ground_is_smoother_than_elsewhere():
    """Farther away the floor is gravel as high as the plate."""
    torch.manual_seed(0)
    floor = disc(3, 0, 6000)
    rough = torch.where(floor[:, :2].norm(dim=1) > 0.8, 0.045, 0.002) * torch.randn(6000)
    floor[:, 2] += rough
    plate, thing = disc(0.3, 0.045, 1500), ball(0.3, 0.3, 1500)
    of = find_things(blobs(torch.cat([floor, plate, thing])), orbit(0.3)).of
    number = int(of[7500:].mode().values)
    assert number >= 0 and (of[6000:7500] == number).float().mean() > 0.9
    assert (of[:6000] == number).float().mean() < 0.02


def test_without_ground_what_touches_nothing_is_a_thing():
    one, other, far = ball(0.3, 0.0, 800), ball(0.15, 0.6, 500), ball(30.0, 0.0, 2000)
    things = find_things(blobs(torch.cat([one, other, far])), orbit(0.0))
    assert len(things.of[:800].unique()) == 1 and len(things.of[800:1300].unique()) == 1
    assert things.of[0] != things.of[800] and things.of[:1300].min() >= 0
    assert (things.of[1300:] == -1).all()


def test_focus_is_where_most_cameras_look():
    around = orbit(1.5)
    torch.testing.assert_close(focus_of(around), torch.tensor([0.0, 0, 1.5]), atol=1e-4, rtol=0)
    astray = Cameras.looking_at(torch.tensor([[2.0, 0, 0], [0, 2, 0]]), torch.tensor([9.0, 9, 9]), 96, 96)
    found = focus_of(Cameras.concatenated([around, astray]))
    torch.testing.assert_close(found, torch.tensor([0.0, 0, 1.5]), atol=0.02, rtol=0)


def test_cameras_side_by_side_still_have_a_focus():
    eyes = torch.tensor([[0.0, -4, 0], [1, -4, 0], [2, -4, 0]])
    focus = focus_of(Cameras.looking_at(eyes, eyes + torch.tensor([0.0, 1, 0]), 96, 96))
    assert focus.isfinite().all()
    assert focus[0].item() == pytest.approx(1.0, abs=0.01)


def test_cameras_whose_axes_meet_exactly_have_that_focus():
    eyes = torch.tensor([[2.0, 0, 0], [-2, 0, 0], [0, 2, 0], [0, -2, 0]])
    assert focus_of(Cameras.looking_at(eyes, torch.zeros(3), 96, 96)).tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_what_shows_in_the_middle_of_the_pictures_counts_most():
    """A bell of 0.4 of half the picture's side: at the middle of an edge exp(-1 / 0.32) = 4 % are left."""
    camera = Cameras.looking_at(torch.zeros(1, 3), torch.tensor([0.0, 0, 1]), 96, 96, fov_degrees=90.0, up=(0, -1, 0))
    places = torch.tensor([[0.0, 0], [0.4, 0], [-0.4, 0], [0, 0.4], [0, -0.4], [0.6, 0.6]])
    scene = look_at(blobs(torch.nn.functional.pad(places, (0, 1), value=1.0), 0.02), camera)
    expected = torch.exp(-places.square().sum(dim=1) / (2 * 0.4**2))
    torch.testing.assert_close(scene.central / scene.visible, expected, rtol=0.05, atol=0)


def test_at_the_foot_of_things_a_thirtieth_of_the_cameras_distance_cannot_be_told_from_the_ground():
    """One and a half times the half thickness of a plane, 0.02, times the distance, 2."""
    scene = blobs(torch.cat([disc(3, 0, 4000), ball(0.25, 0.3, 1200)]))
    assert find_things(scene, orbit(0.3)).foot == pytest.approx(0.06, rel=0.01)


def test_what_no_view_sees_belongs_to_what_lies_next_to_it():
    """Clear Gaussians inside a ball, 0.04 of the cameras' distance from its surface at most, and beyond that."""
    near, far = ball(0.2, 0.4, 60), ball(0.1, 0.4, 60)
    points = torch.cat([disc(3, 0, 4000), ball(0.25, 0.4, 1200), near, far])
    scene = blobs(points)
    scene.logit_opacities[5200:] = -12.0
    things = find_things(scene, orbit(0.4))
    thing = int(things.of[4000:5200].mode().values)
    assert thing >= 0 and (things.of[4000:5200] == thing).float().mean() > 0.9
    assert (things.of[5200:5260] == thing).float().mean() > 0.9 and (things.of[5260:] == -1).all()


def test_bodies_are_found_by_as_many_neighbours_as_are_asked_for():
    """Two clusters of three: each one's two nearest are of its own cluster, the third is of the other one."""
    corner = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]])
    points, widths = torch.cat([corner, corner + torch.tensor([1.0, 0, 0])]), torch.full((6,), 0.4)
    assert bodies(points, widths, neighbours=2).tolist() == [0, 0, 0, 1, 1, 1]
    assert bodies(points, widths, neighbours=3).tolist() == [0] * 6
    assert bodies(points, widths, longest=0.5, neighbours=3).tolist() == [0, 0, 0, 1, 1, 1]
    # Fewer than are asked for are all of them.
    assert bodies(points, torch.full((6,), 0.01)).tolist() == [0, 1, 2, 3, 4, 5]
    assert bodies(points[:1], widths[:1]).tolist() == [0] and len(bodies(points[:0], widths[:0])) == 0
    # They reach 2.5 times their width.
    assert bodies(points, torch.full((6,), 0.19), neighbours=3).tolist() == [0] * 6
    assert bodies(points, torch.full((6,), 0.17), neighbours=3).tolist() == [0, 0, 0, 1, 1, 1]


def test_the_nearest_are_others_also_at_the_same_place():
    points = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [3.0, 0, 0], [7.0, 0, 0]])
    assert nearest(points, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert nearest(points, 9).shape == (4, 3) and nearest(points[:1], 8).shape == (1, 0)
    together = nearest(torch.zeros(20, 3), 4)
    assert together.shape == (20, 4) and not (together == torch.arange(20)[:, None]).any()


def test_one_gaussian_that_no_view_sees_belongs_to_nothing():
    points = torch.cat([disc(3, 0, 4000), ball(0.25, 0.3, 1200), torch.tensor([[0.0, 0.0, 50.0]])])
    things = find_things(blobs(points), orbit(0.3))
    assert int(things.of[-1]) == -1 and int(things.of[4000:5200].mode().values) >= 0


def test_a_small_body_seen_through_few_of_its_gaussians_is_no_obstacle():
    """Weights that lie on one or two of twelve points: a plane fitted to some of them may hold fewer than three."""
    for seed in range(100):
        drawn = torch.Generator().manual_seed(seed)
        points = 0.5 * torch.randn(12, 3, generator=drawn) + torch.tensor([0.5, 0.0, 0.6])
        weights = torch.softmax(6 * torch.randn(12, generator=drawn), dim=0)
        widths, up, solid = torch.full((12,), 0.01), torch.tensor([0.0, 0.0, 1.0]), torch.ones(12, dtype=torch.bool)
        seen = SeenScene(points, widths, weights, weights, torch.zeros(3), 2.0, up, torch.zeros(3), solid, points)
        plane = find_plane(seen, torch.arange(12))
        if plane is not None:
            normal, offset = plane
            assert normal.norm() == pytest.approx(1.0, abs=1e-5) and normal[2] > 0 and math.isfinite(offset)


def test_what_is_faint_wide_and_misty_or_before_a_lens_holds_no_body_together():
    """By the cameras' distance of 2: wide is above 0.12, and near a lens is within 0.5 of one."""
    cameras = orbit(0.0)
    places = torch.cat([ball(0.3, 0.0, 500), cameras.centers[:1] * 0.8, cameras.centers[:1] * 0.7, torch.zeros(4, 3)])
    opacities, sizes = torch.full((506,), 0.9), torch.full((506, 1), 0.03)
    opacities[502:] = torch.tensor([0.15, 0.25, 0.4, 0.9])
    sizes[504:] = 0.15
    scene = blobs(places, sizes)
    scene = replace(scene, logit_opacities=opacities.logit())
    solid = look_at(scene, cameras).solid
    assert solid[:500].all()
    # In order: before a lens, not quite; faint, not quite; wide and misty, wide and solid.
    assert solid[500:].tolist() == [False, True, False, True, False, True]


def test_a_scene_that_is_faint_all_over_is_solid_as_far_as_it_goes():
    scene = blobs(ball(0.3, 0.0, 500), 0.03, opacity=0.1)
    assert look_at(scene, orbit(0.0)).solid.all()
