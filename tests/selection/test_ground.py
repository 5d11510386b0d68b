"""What stands on what, and where cameras look."""

import pytest
import torch
from shared_scenes import ball, blobs, disc, orbit, toy

from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection.ground import find_things, focus_of


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


def test_a_thing_on_a_table_stands_on_a_thing():
    floor, table, thing = disc(3, 0, 4000), disc(0.8, 0.7, 2500), ball(0.25, 0.97, 1200)
    things = find_things(blobs(torch.cat([floor, table, thing])), orbit(0.97))
    assert (things.of[:4000] == -1).all()
    upper, lower = int(things.of[6500:].mode().values), int(things.of[4000:6500].mode().values)
    assert things.under[upper] == lower and things.under[lower] == -1
    assert (things.of[4000:6500] == lower).float().mean() > 0.95
    assert (things.of[6500:] == upper).float().mean() > 0.85
    assert things.on(lower) == [lower, upper] and things.on(upper) == [upper]


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


def test_one_gaussian_that_no_view_sees_belongs_to_nothing():
    points = torch.cat([disc(3, 0, 4000), ball(0.25, 0.3, 1200), torch.tensor([[0.0, 0.0, 50.0]])])
    things = find_things(blobs(points), orbit(0.3))
    assert int(things.of[-1]) == -1 and int(things.of[4000:5200].mode().values) >= 0


def test_a_small_body_seen_through_few_of_its_gaussians_has_no_plane():
    """Weights that lie on two of twelve points: the plane through the drawn ones holds fewer than three."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        small = 0.02 * torch.randn(12, 3, generator=generator) + torch.tensor([0.5, 0.0, 0.6])
        scene = blobs(torch.cat([disc(3, 0, 1500), ball(0.2, 0.3, 600), small]))
        scene.logit_opacities[-12:] = 4 * torch.randn(12, generator=generator)
        assert len(find_things(scene, orbit(0.3)).of) == len(scene)
