"""A few clicks find the object."""

import functools
import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shared_scenes import TOY_CLICKS, ball, blobs, disc, held_out_iou, orbit, random_points, toy

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.clicks import TOLERANCE, ClickSelector, _Clicked, _unlikeness
from fasttext2style.selection.patches import Patches
from fasttext2style.selection.picking import pick
from fasttext2style.selection.pointed import meanings


@functools.cache
def selector(clutter: int = 1, cameras: bool = True) -> ClickSelector:
    return ClickSelector(toy(clutter).gaussians, toy(clutter).train_cameras if cameras else None)


def clicked(clutter: int, pixels: list[tuple[int, int, int]]) -> torch.Tensor:
    scene = toy(clutter)
    cameras = scene.train_cameras.resized(256, 256)
    points = [pick(scene.gaussians, cameras[view], x, y).position for view, x, y in pixels]
    return torch.stack(points) if points else torch.zeros(0, 3)


@pytest.mark.parametrize("cameras", [True, False])
@pytest.mark.parametrize(
    "clutter", [pytest.param(0, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.slow), 2]
)
def test_three_clicks_select_the_statue(clutter, cameras):
    chosen = [
        selector(clutter, cameras).select(clicked(clutter, on), clicked(clutter, beside)).weights
        for on, beside in TOY_CLICKS.values()
    ]
    ious = [held_out_iou(toy(clutter), weights) for weights in chosen]
    assert min(ious) > (0.97 if cameras else 0.9), ious


@pytest.mark.parametrize(
    "clutter", [pytest.param(0, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.slow), 2]
)
def test_one_click_anywhere_on_the_statue_selects_it(clutter):
    points = {pixel for on, _ in TOY_CLICKS.values() for pixel in on}
    ious = [held_out_iou(toy(clutter), selector(clutter).select(clicked(clutter, [p])).weights) for p in points]
    assert min(ious) > 0.97, ious


def test_more_points_make_it_no_worse():
    """Points drawn from the statue's pixels and from those around it, whatever they hit."""
    scene, drawn = toy(2), torch.Generator().manual_seed(0)
    masks = scene.masks(scene.test_cameras) > 0.5
    for _ in range(4):
        on, beside = (
            random_points(scene.gaussians, scene.test_cameras, masks, inside, count, drawn)
            for inside, count in ((True, 3), (False, 2))
        )
        for count in (1, 2, 3):
            assert held_out_iou(scene, selector(2).select(on[:count], beside[: count - 1]).weights) > 0.97


@pytest.mark.parametrize("rows", [slice(17_000, 19_200), slice(19_200, 20_900)], ids=["striped ball", "crate"])
def test_one_click_selects_other_things_on_the_deck(rows):
    scene = toy(1).gaussians
    highest = rows.start + int(scene.means[rows, 2].argmax())
    chosen = selector().select(scene.means[highest][None]).mask
    assert chosen[rows].float().mean() > 0.9
    assert not chosen[: rows.start].any() and not chosen[rows.stop :].any()


def test_a_point_on_the_ground_leaves_what_stands_there():
    deck = clicked(1, [(4, 25, 245)])
    chosen = selector().select(deck).mask
    assert chosen[20_900:29_944].sum() > 1_000
    assert chosen[:17_000].float().mean() < 0.05


def test_points_on_one_thing_part_it():
    """The back and not the slab: likeness decides within a thing."""
    scene = toy(1)
    back, slab = clicked(1, [(4, 128, 100), (6, 150, 100)]), scene.gaussians.means[_slab_rows()]
    chosen = selector().select(back, slab).mask
    body = scene.object_weights.bool() & (scene.gaussians.means[:, 2] > 0.3)
    assert chosen[body].float().mean() > 0.9
    assert not chosen[_slab_rows()].any()
    assert not chosen[17_000:].any()


def test_a_click_on_a_statue_may_mean_it_without_its_base_or_the_base():
    """From the smallest on; at first it means both."""
    scene = toy(1)
    statue, height = scene.object_weights.bool(), scene.gaussians.means[:, 2]
    for point, what, truth in (
        (clicked(1, [(4, 128, 100)])[0], "{} without its base", statue & (height > 0.16)),
        (scene.gaussians.means[_slab_rows()[0]], "the base of {}", statue & (height < 0.16)),
    ):
        found, at_first = meanings(selector(), point, TOLERANCE)
        assert found[at_first].what == "{} and its base" and found[at_first - 1].what == what
        mask, truth = found[at_first - 1].mask, truth & found[at_first].mask  # its lowest part is taken for the deck
        assert float((mask & truth).sum() / (mask | truth).sum()) > 0.95
        sizes = [int(it.mask.sum()) for it in found]
        assert sizes == sorted(sizes) and found[0].what == "a part of {}" and found[-1].what == "{} and what it touches"
    found, at_first = meanings(selector(), scene.gaussians.means[18_000], TOLERANCE)
    assert found[at_first].what == "{}" and not any("base" in it.what for it in found)


def test_what_has_no_base_or_lost_it_to_an_edit_of_rows_keeps_its_meanings():
    """After edits the rows are others: what stood on a base still does."""
    scene = toy(1)
    rows = torch.arange(len(scene.gaussians)).flip(0)
    after = selector().after_edits(scene.gaussians.subset(rows), rows)
    back = clicked(1, [(4, 128, 100)])[0]
    here, there = (it.parts_at(back)["{} without its base"] for it in (selector(), after))
    assert torch.equal(there.flip(0), here)


def _slab_rows() -> torch.Tensor:
    """A Gaussian on each side of the slab."""
    means = toy(1).gaussians.means
    return torch.cdist(torch.tensor([[0.3, 0.42, 0.08], [-0.3, -0.42, 0.08], [0.85, 0, 0.08]]), means).argmin(dim=1)


def test_a_table_and_what_stands_on_it():
    floor, table, thing = disc(3, 0, 4000), disc(0.8, 0.7, 2500), ball(0.25, 0.97, 1200)
    find = ClickSelector(blobs(torch.cat([floor, table, thing])), orbit(0.97)).select
    on_table, on_thing = torch.tensor([[0.6, 0.0, 0.7]]), torch.tensor([[0.0, 0.0, 1.22]])
    for chosen, expected in (
        (find(on_thing).mask, (0, 0, 1)),
        (find(on_table, on_thing).mask, (0, 1, 0)),
        (find(on_thing, on_table).mask, (0, 0, 1)),
        (find(torch.cat([on_table, on_thing])).mask, (0, 1, 1)),
    ):
        shares = [float(part.float().mean()) for part in chosen.split([4000, 2500, 1200])]
        assert shares == pytest.approx(expected, abs=0.15)


def test_a_click_on_a_table_may_mean_it_alone_and_one_on_the_thing_the_table_too():
    floor, table, thing = disc(3, 0, 8000), disc(0.6, 0.4, 2500), ball(0.2, 0.6, 1200)
    click = ClickSelector(blobs(torch.cat([floor, table, thing])), orbit(0.6, radius=3.0))
    on_table, on_thing = torch.tensor([0.5, 0.0, 0.4]), torch.tensor([0.0, 0.0, 0.8])
    for point, first, other, expected in (
        (on_table, "{} and what stands on it", "{} without what stands on it", (0, 1, 0)),
        (on_thing, "{}", "{} and what it stands on", (0, 1, 1)),
    ):
        found, at_first = meanings(click, point, TOLERANCE)
        assert found[at_first].what == first
        (mask,) = (it.mask for it in found if it.what == other)
        shares = [float(part.float().mean()) for part in mask.split([8000, 2500, 1200])]
        assert shares == pytest.approx(expected, abs=0.15)


def test_after_edits_things_are_found_by_their_first_looks():
    """The statue painted like the deck, a third of it gone, and others in its place."""
    scene, fresh = toy(1).gaussians, selector()
    kept = torch.cat([torch.arange(0, 17_000, 3), torch.arange(1, 17_000, 3), torch.arange(17_000, len(scene))])
    origins = torch.cat([kept, torch.full((500,), -1)])
    new = scene.subset(torch.arange(2, 17_000, 3)[:500])
    edited = Gaussians.concatenated([scene.subset(kept), new])
    edited.sh_dc.copy_(scene.sh_dc[25_000])
    point = clicked(1, [(4, 128, 100)])
    chosen = fresh.after_edits(edited, origins).select(point)
    chosen.check_matches(edited)
    before = fresh.select(point).mask
    assert torch.equal(chosen.mask[: len(kept)], before[kept])
    # New ones are told by what they lie next to.
    assert (chosen.mask[len(kept) :] == before[2 : 2 + 1500 : 3]).float().mean() > 0.98
    assert len(fresh.select(point)) == len(scene)


def test_other_things_are_selected_as_well():
    """One click on a ball of one colour selects the ball and not the deck under it."""
    red, green = (torch.randn(600, 3) for _ in range(2))
    scene = blobs(torch.cat([torch.nn.functional.normalize(red), torch.nn.functional.normalize(green) + 2.05]))
    colors = torch.cat([torch.tensor([1.5, -1.5, -1.5]).expand(600, 3), torch.tensor([-1.5, 1.5, -1.5]).expand(600, 3)])
    scene.sh_dc.copy_(colors)
    chosen = ClickSelector(scene).select(scene.means[:1]).mask
    assert chosen[:600].float().mean() > 0.95
    assert not chosen[600:].any()


def test_a_click_means_the_nearest_solid_thing():
    """A veil hangs before a ball. Where all is veil, the veil is meant."""
    veil, wall = ball(0.2, 2.0, 300), ball(0.2, 0.0, 300)
    scene, point = blobs(torch.cat([veil, wall])), veil[:1]
    scene.logit_opacities[:300] = torch.tensor(0.3).logit()
    chosen = ClickSelector(scene).select(point).mask
    assert chosen[300:].all() and not chosen[:300].any()
    scene.logit_opacities[:] = torch.tensor(0.3).logit()
    chosen = ClickSelector(scene).select(point).mask
    assert chosen[:300].all() and not chosen[300:].any()


def test_a_second_click_at_the_foot_of_a_thing_means_the_thing():
    """So near to it, a thirtieth of the cameras' distance, ground cannot be told from the thing that stands there. By
    itself the click means the deck."""
    scene, back, deck = toy(1).gaussians, clicked(1, [(4, 128, 100)]), torch.arange(20_900, 29_944)
    things = selector()._things
    statue = scene.means[things.of == int(things.of[:17_000].mode().values)]
    rows = deck[(things.of[deck] == -1) & (scene.opacities[deck] > 0.5)]
    foot = scene.means[rows[torch.cdist(scene.means[rows], statue).min(dim=1).values < things.foot]][:1]
    assert selector().select(foot).mask[deck].float().mean() > 0.1
    chosen = selector().select(torch.cat([back, foot])).mask
    assert chosen[deck].float().mean() < 0.02 and chosen[:17_000].float().mean() > 0.89


# --- how like a point a patch is, by hand ----------------------------------------------------------------------------


def _graph(means, colors=None, ends=(), contrasts=(), lengths=()) -> Patches:
    """Patches of one Gaussian each."""
    means = np.array(means, dtype=float)
    count = len(means)
    return Patches(
        *(np.arange(count), np.ones(count), means, np.zeros((count, 3)) if colors is None else np.array(colors)),
        *(np.array(ends, dtype=np.int64).reshape(-1, 2), np.array(contrasts, dtype=float), np.array(lengths, float)),
    )


def _clicked_at(patches: Patches, patch: int) -> _Clicked:
    return _Clicked(patches.means[[patch]], np.array([patch]))


def test_unlikeness_is_color_and_place_in_their_units():
    """Lightness counts a fifth; 0.07 of hue are 1, and one spread of place is 1."""
    patches = _graph(
        [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 3, 0], [0, 3, 0]],
        [[0.5, 0, 0], [0.5, 0.07, 0], [0.85, 0, 0], [0.5, 0, 0], [0.5, 0, 0.14]],
    )
    found = _unlikeness(patches, _clicked_at(patches, 0), 1.5, flats=False)
    assert found == pytest.approx([0.0, 1.0, 1.0, 2.0, math.sqrt(2**2 + 2**2)])
    assert np.isinf(_unlikeness(patches, _Clicked(np.zeros((0, 3)), np.zeros(0, np.int64)), 1.5)).all()
    # Of several points the likest counts.
    two = _Clicked(patches.means[[0, 3]], np.array([0, 3]))
    assert _unlikeness(patches, two, 1.5, flats=False)[[3, 4]] == pytest.approx([0.0, 2.0])


@pytest.mark.parametrize(("thick", "across", "along"), [(1 / 8, 0.575, 1.75), (1 / 400, 0.157, 2.485), (1.0, 1.0, 1.0)])
def test_on_something_flat_a_place_in_its_plane_is_nearer_than_one_out_of_it(thick, across, along):
    """A cross as thick as 1/8 of its width is half as flat as a sheet (1 - 4/8): 0.15 and 2.5 for a sheet, 1 and 1 for
    a lump, the middle of both here."""
    patches = _graph([[0, 0, 0], *(sign * length * axis for length, axis in zip((0.5, 0.5, 0.5 * thick), np.eye(3))
                                   for sign in (1, -1))])  # fmt: skip
    found = _unlikeness(patches, _clicked_at(patches, 0), 1.0)
    assert found[1:5] == pytest.approx([0.5 / along] * 4, rel=0.01)
    assert found[5:] == pytest.approx([0.5 * thick / across] * 2, rel=0.01)


def test_a_point_on_a_thing_and_one_beside_it_on_the_same_flat_side_share_that_side():
    """Neither means the whole of the plane, as it would on the ground: all is nearer to the one or to the other."""
    patches = _graph([[x, y, 0.0] for x in range(-4, 5) for y in range(-4, 5)])
    side, everywhere = ClickSelector.__new__(ClickSelector), SimpleNamespace(on=lambda thing: [thing])
    vars(side).update(_patches=patches, _thing_of=np.zeros(81, np.int64), _things=everywhere)
    left, right = (int(np.flatnonzero((patches.means == (x, 0, 0)).all(axis=1))[0]) for x in (-3, 3))
    favour = side._favour(_clicked_at(patches, left), _clicked_at(patches, right), 0, 5 * TOLERANCE)
    assert np.array_equal(np.sign(favour.round(9)), -np.sign(patches.means[:, 0]))


def test_clicks_are_marked_and_named():
    scene = toy(1)
    selection = selector().select(clicked(1, [(4, 128, 100)]))
    assert selection.origin == "1 points on it"
    selection.check_matches(scene.gaussians)
    assert selector().select(clicked(1, [(4, 128, 100)]), clicked(1, [(4, 25, 245)])).origin == (
        "1 points on it, 1 beside it"
    )


CRATE, DECK = slice(19_200, 20_900), slice(20_900, 29_944)


def _top_of_the_crate() -> torch.Tensor:
    means = toy(1).gaussians.means
    return means[CRATE.start + int(means[CRATE, 2].argmax())][None]


@given(
    where=st.sampled_from(["statue", "crate", "deck"]),
    tolerances=st.tuples(st.floats(0.2, 9), st.floats(0.2, 9)),
)
def test_more_tolerance_selects_more(where, tolerances):
    statue, deck = clicked(1, TOY_CLICKS["from the side"][0]), clicked(1, [(4, 25, 245)])
    points = {"statue": statue, "crate": _top_of_the_crate(), "deck": deck}[where]
    less, more = (selector().select(points, tolerance=tolerance).mask for tolerance in sorted(tolerances))
    assert (less <= more).all()


def test_the_tolerance_takes_a_part_of_a_thing_or_all_of_it_or_what_it_touches_too():
    """A face of the crate is one of the five that show; the crate; and the deck that it stands on."""
    top = _top_of_the_crate()
    part, thing, more = (selector().select(top, tolerance=tolerance).mask for tolerance in (0.5, 2.0, 8.0))
    assert 0.05 < part[CRATE].float().mean() < 0.4
    assert thing[CRATE].float().mean() > 0.9 and thing.sum() == thing[CRATE].sum()
    assert more[DECK].sum() > 100 and more[CRATE].float().mean() > 0.9


def test_the_tolerance_of_the_ground_goes_over_to_what_stands_on_it():
    deck = clicked(1, [(4, 25, 245)])
    ground, more = (selector().select(deck, tolerance=tolerance).mask for tolerance in (2.0, 8.0))
    assert ground[:17_000].float().mean() < 0.05 and more[:17_000].float().mean() > 0.5


def test_points_beside_a_thing_hold_with_any_tolerance():
    """The crate, not the deck around it: it stays with the crate."""
    means = toy(1).gaussians.means
    around = means[DECK][torch.cdist(means[DECK], _top_of_the_crate()).argsort(dim=0)[:400:40, 0]]
    beside = selector().select(_top_of_the_crate(), around, tolerance=8.0).mask
    alone = selector().select(_top_of_the_crate(), tolerance=8.0).mask
    assert beside[DECK].sum() < 0.5 * alone[DECK].sum() and beside[CRATE].float().mean() > 0.9


def test_the_points_themselves_are_obeyed():
    on, beside = clicked(1, [(4, 128, 100), (4, 25, 245)]), clicked(1, [(4, 120, 172)])
    means = toy(1).gaussians.means
    chosen = selector().select(on, beside).mask
    assert chosen[torch.cdist(on, means).argmin(dim=1)].all()
    assert not chosen[torch.cdist(beside, means).argmin(dim=1)].any()


def test_the_same_clicks_select_the_same():
    points = clicked(1, TOY_CLICKS["from the front"][0])
    fresh = ClickSelector(toy(1).gaussians, toy(1).train_cameras)
    assert torch.equal(selector().select(points).weights, fresh.select(points).weights)


def test_clicks_that_make_no_sense_are_refused_in_words():
    point = clicked(1, [(4, 128, 100)])
    with pytest.raises(ValueError, match="at least one point on the object"):
        selector().select(torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"same patch of the scene.*farther apart"):
        selector().select(point, point)
    with pytest.raises(ValueError, match="tolerance of clicks is above 0"):
        selector().select(point, tolerance=0)
    with pytest.raises(ValueError, match="no Gaussians"):
        ClickSelector(blobs(torch.zeros(0, 3), 0.1))


@pytest.mark.parametrize("count", [1, 2, 5, 50])
def test_tiny_scenes_work(count):
    scene = blobs(torch.rand(count, 3), 0.1)
    assert ClickSelector(scene).select(scene.means[:1]).count >= 1


def test_later_clicks_take_no_time():
    points = clicked(1, TOY_CLICKS["from the side"][0])
    selector().select(points)
    started = time.process_time()
    selector().select(points)
    assert time.process_time() - started < 1.0
