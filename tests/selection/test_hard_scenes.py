"""The object is found in captures from one side, before walls, on tables and plinths, and in poor reconstructions."""

from dataclasses import replace

import hard_scenes
import pytest
import torch
from hard_scenes import SCENES, HardScene, foggy, from_parallel_views, reconstructed, sparse
from shared_scenes import ball, blobs, coverage, disc, orbit

from fasttext2style.selection.automatic import candidates, select_automatic
from fasttext2style.selection.doubts import doubts

BAR = 0.85


def iou(scene: HardScene, weights: torch.Tensor) -> float:
    """Of the rendered selection and the object, mean over the views."""
    found, exact = (coverage(scene.gaussians, w, scene.cameras) > 0.4 for w in (weights, scene.exact))
    return ((found & exact).sum(dim=(1, 2)) / (found | exact).sum(dim=(1, 2)).clamp_min(1)).mean().item()


def _made(name: str, how: str) -> HardScene:
    generator = torch.Generator().manual_seed(7)
    scene = SCENES[name](generator)
    match how:
        case "sparse":
            scene = sparse(scene, generator)
        case "parallel views":
            scene = from_parallel_views(scene, generator)
        case "few views":
            scene = HardScene(scene.gaussians, scene.exact, scene.cameras.evenly(5))
    scene = reconstructed(scene, generator, shake=0.03 if how == "shaken" else 0.01)
    return foggy(scene, generator) if how == "fog" else scene


@pytest.mark.parametrize(
    "name, how",
    [
        *(("bust", how) for how in ("shaken", "sparse", "few views")),
        *(("trophy", how) for how in ("shaken", "fog", "sparse", "parallel views")),
        *(("table", how) for how in ("shaken", "fog", "sparse")),
        *(("plinth", how) for how in ("shaken", "fog", "few views")),
        *(("face", "shaken"), ("desk", "shaken"), ("corner", "shaken"), ("portrait", "")),
    ],
)
def test_the_object_is_found(name, how):
    scene = _made(name, how)
    assert iou(scene, select_automatic(scene.gaussians, scene.cameras).weights) > BAR


def test_a_chest_is_no_wall_behind_its_face():
    """With much debris in the air."""
    generator = torch.Generator().manual_seed(3)
    scene = reconstructed(SCENES["bust"](generator), generator, debris=0.3)
    assert iou(scene, select_automatic(scene.gaussians, scene.cameras).weights) > BAR


def test_where_it_goes_wrong_there_is_a_warning_and_the_object_is_a_candidate():
    """A face from views that are only shifted: shoulders pass for a ground."""
    scene = _made("bust", "parallel views")
    found = candidates(scene.gaussians, scene.cameras)
    assert doubts(scene.gaussians, scene.cameras, found[0].weights)
    assert max(iou(scene, one.weights) for one in found) > BAR


@pytest.mark.parametrize(
    ("name", "debris", "fog"), [("table", 0.4, False), ("trophy", 0.4, False), ("bust", 0.05, True)]
)
def test_debris_and_fog_before_the_object_are_said(name, debris, fog):
    """And not of the same scene without them."""
    generator = torch.Generator().manual_seed(3)
    clean = SCENES[name](generator)
    poor = reconstructed(clean, generator, debris=debris)
    poor = foggy(poor, generator) if fog else poor
    for scene, veiled in ((clean, False), (poor, True)):
        weights = select_automatic(scene.gaussians, scene.cameras).weights
        said = " ".join(doubts(scene.gaussians, scene.cameras, weights))
        assert ("fog or debris hangs before it" in said) == veiled, (veiled, said)


def test_what_fog_dims_in_every_view_is_found_whole():
    """Seen without the fog: with it, most pixels of the face are nobody's."""
    generator, count = torch.Generator().manual_seed(7), 80
    clear = reconstructed(SCENES["bust"](generator), generator)
    scene = foggy(clear, generator, count)
    weights = select_automatic(scene.gaussians, scene.cameras).weights
    assert iou(clear, weights[:-count]) > 0.95 and not weights[-count:].any()


def test_what_stands_behind_a_veil_is_found_though_no_pixel_is_half_its_own():
    """A shell of faint Gaussians around ball and floor, inside of the cameras' ring."""
    torch.manual_seed(0)
    floor, thing, veil = disc(0.9, 0.3, 4000), ball(0.3, 0.65, 1500), ball(1.2, 0.6, 4000)
    scene = blobs(torch.cat([floor, thing, veil]))
    faint = torch.cat([torch.full((5500,), 0.95), torch.full((4000,), 0.19)])
    wide = torch.cat([scene.log_scales[:5500], torch.full((4000, 3), 0.08).log()])
    scene = replace(scene, logit_opacities=faint.logit(), log_scales=wide)
    exact = torch.zeros(9500)
    exact[4000:5500] = 1.0
    own = coverage(scene, exact, orbit(0.6))
    assert own.max() < 0.5
    weights = select_automatic(scene, orbit(0.6)).weights
    assert weights[4000:5500].mean() > 0.85 and weights[:4000].mean() < 0.05


def test_a_picture_on_a_wall_is_not_taken_for_the_wall():
    """Seen from the front, a relief: nearly nothing stands before its plane."""
    generator = torch.Generator().manual_seed(1)
    relief = hard_scenes.rounded_box((0, 0, 0), (0.05, 0.5, 0.4), 0.01)
    thing = hard_scenes._thing(relief, (-0.1, -0.7, -0.6), (0.1, 0.7, 0.6), 4000, (0.8, 0.4, 0.2), generator)
    cameras = hard_scenes._arc((0, 0, 0), 1.6, 12, 80, (0, 15, -10))
    scene = hard_scenes._scene([thing], [], cameras)
    assert iou(scene, select_automatic(scene.gaussians, scene.cameras).weights) > BAR


def test_what_else_stands_there_are_candidates_by_number():
    scene = _made("table", "")
    found = candidates(scene.gaussians, scene.cameras)
    assert 2 <= len(found) <= 3
    assert iou(scene, found[0].weights) > BAR
    for number, candidate in enumerate(found, start=1):
        again = select_automatic(scene.gaussians, scene.cameras, number)
        assert torch.equal(again.weights, candidate.weights) and again.origin == candidate.origin
    # No two are the same.
    pairs = [(a.mask & b.mask).sum() / (a.mask | b.mask).sum() for a in found for b in found if a is not b]
    assert max(pairs) < 0.7
    with pytest.raises(ValueError, match=r"There is no object 9: [23] candidates stand out"):
        select_automatic(scene.gaussians, scene.cameras, 9)


def test_the_table_with_all_that_is_on_it_is_a_candidate_too():
    scene = _made("table", "")
    means = scene.gaussians.means
    solid = scene.gaussians.logit_opacities.sigmoid() > 0.2
    table_and_more = (means[:, 2] > 0.1) & (means[:, :2].abs() < torch.tensor([0.8, 0.55])).all(dim=1) & solid
    scene = HardScene(scene.gaussians, table_and_more.float(), scene.cameras)
    assert max(iou(scene, one.weights) for one in candidates(scene.gaussians, scene.cameras)) > 0.8
