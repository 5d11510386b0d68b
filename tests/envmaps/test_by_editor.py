"""A panorama edited by an image editor in views that overlap: what it paints comes to stand around, without a seam."""

import math
from dataclasses import replace

import pytest
import torch

from fasttext2style.editors.editor import EditResult
from fasttext2style.envmaps.by_editor import VIEWS, ViewEdit, blended, view_cameras, working_rows
from fasttext2style.envmaps.edit_settings import ViewEditSettings
from fasttext2style.envmaps.seam import seam_ratio
from fasttext2style.envmaps.sphere import crops, directions
from fasttext2style.envmaps.tones import from_display, luminance

SIDE = 32
ONCE = ViewEditSettings(passes=1)


class Painter:
    """An editor that does what a function of the request says, and remembers what it was asked."""

    name, capabilities, native_size, batch_size = "painter", frozenset({"condition"}), SIDE, 5

    def __init__(self, paint):
        self.paint, self.asked = paint, []

    def edit(self, request, on_step=None):
        self.asked.append(request)
        painted = self.paint(request)
        return painted if isinstance(painted, EditResult) else EditResult(painted)

    def close(self):
        pass


def smooth(rows=2 * SIDE):
    """Brightness and colours that change slowly, around middle grey."""
    x, y, z = directions(rows, 2 * rows).float().unbind(-1)
    return 0.2 + 0.08 * torch.stack([x, y * z, z], dim=-1)


def edited(panorama, paint, settings=ONCE, **more):
    edit = ViewEdit(panorama, "make it so", Painter(paint), settings, **more)
    while edit.steps_done < edit.steps:
        edit.step()
    return edit


@pytest.mark.parametrize("turn", [0.0, 20.0, 61.0])
def test_the_views_cover_the_sphere_and_give_the_panorama_back(turn):
    panorama = smooth()
    assert torch.allclose(blended(torch.ones(VIEWS, SIDE, SIDE, 1), 64, turn), torch.ones(64, 128, 1))
    again = blended(crops(panorama, view_cameras(64, turn)), len(panorama), turn)
    assert float((again - panorama).abs().max()) < 0.002  # of values that differ by up to .16


def test_an_editor_that_changes_nothing_changes_no_bit():
    """Neither of light that no screen shows."""
    panorama = smooth()
    panorama[5, 7] = 900.0
    edit, after = edited(panorama, lambda request: request.images, ViewEditSettings()), panorama.clone()
    edit.apply(after)
    assert torch.equal(after, panorama) and edit.metrics()["disagreement"] == 0


def test_what_is_painted_everywhere_stands_everywhere_without_a_seam_and_the_sun_stays():
    red, panorama = torch.tensor([0.8, 0.2, 0.1]), smooth()
    panorama[20, 30] = 900.0
    edit = edited(panorama, lambda request: red.expand_as(request.images))
    seen = edit.seen()
    is_sun = torch.zeros(len(seen), seen.shape[1], dtype=torch.bool)
    is_sun[18:23, 28:33] = True  # beside it a view shows a mixture
    assert float((seen - red).abs()[~is_sun].max()) < 0.02
    after = panorama.clone()
    edit.apply(after)
    assert seam_ratio(after) < 1.1 and float(luminance(after)[20, 30]) > 100


def test_what_is_finer_than_the_views_is_left_to_the_source():
    """Lines of single pixels in a panorama eight times as large as what the editor sees."""
    rows = 16 * SIDE
    panorama = smooth(rows)
    panorama[:, ::2] *= 1.2
    edit = edited(panorama, lambda request: 0.5 * request.images)
    after = panorama.clone()
    edit.apply(after)
    lines = after[rows // 2, ::2].mean() / after[rows // 2, 1::2].mean()
    assert float(lines) == pytest.approx(
        float(panorama[rows // 2, ::2].mean() / panorama[rows // 2, 1::2].mean()), rel=0.05
    )
    wanted = from_display(torch.tensor(0.5 * 0.46))  # middle grey is .46 of a screen's range
    assert float(after.mean() / panorama.mean()) == pytest.approx(float(wanted) / 0.18, rel=0.1)


def test_views_that_disagree_agree_the_second_time():
    """At much noise it paints each view in a brightness of its own; at little it keeps to what it sees."""

    def paint(request):
        if request.strength[0] < 0.6:
            return request.images
        shades = torch.tensor([0.3 + 0.4 * (number % 2) for number in request.view_ids])
        return shades[:, None, None, None].expand_as(request.images)

    panorama = smooth()
    once, twice = edited(panorama, paint), edited(panorama, paint, ViewEditSettings(passes=2))
    assert once.metrics()["disagreement"] > 20 and twice.metrics()["disagreement"] < 2
    seen = once.seen()
    steps = (seen - seen.roll(1, dims=1)).abs().max(), seen.diff(dim=0).abs().max()
    assert max(map(float, steps)) < 0.2, "of 0.4: neighbours fade into each other"


def test_the_editor_is_asked_for_all_views_with_the_source_to_look_at():
    edit = edited(smooth(), lambda request: 0.5 * request.images, ViewEditSettings(passes=2, denoising=7), seed=3)
    asked = edit.editor.asked
    assert [list(it.view_ids) for it in asked] == 2 * [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13]]
    assert {(it.steps, it.seed, it.instruction) for it in asked} == {(7, 3, "make it so")}
    assert [it.strength for it in asked] == 3 * [(0.7, 0.98)] + 3 * [(0.3, 0.5)]
    first, again = asked[0], asked[3]
    assert torch.equal(first.images, first.condition) and first.images.shape == (5, SIDE, SIDE, 3)
    ratio = again.images.mean() / again.condition.mean()
    assert float(ratio) == pytest.approx(0.5, abs=0.03), "it sees what came of it, and looks at the source"
    assert not torch.equal(first.condition, again.condition), "from elsewhere, so that borders do not meet"


def test_views_that_fail_are_said_and_left_as_they_were():
    def paint(request):
        failed = {0: "black picture"} if 3 in request.view_ids else {}
        images = 0.5 * request.images
        images[list(failed)] = request.images[list(failed)]
        return EditResult(images, failed=failed)

    edit = edited(smooth(), paint)
    metrics = edit.metrics()
    assert metrics["failed_views"] == 1 and "1 of them failed: black picture" in edit.summary(metrics)

    everything = ViewEdit(
        smooth(), "make it so", Painter(lambda it: EditResult(it.images, failed=dict.fromkeys(range(5), "no"))), ONCE
    )
    everything.step(), everything.step()
    with pytest.raises(ValueError, match="painter failed at every view: no"):
        everything.step()


@pytest.mark.parametrize(
    ("prompt", "settings", "said"),
    [(" ", {}, "There is no instruction"), ("night", {"passes": 0}, "--passes should be 1 or more"),
     ("night", {"noise": (0.9, 0.3)}, "strength is an interval"), ("night", {"later_noise": (0.0, 0.3)}, "strength is"),
     ("night", {"guidance": math.nan}, "Guidance is 0 or more"), ("night", {"denoising": 0}, "at least 1 step")],
)  # fmt: skip
def test_what_no_editor_can_follow_is_refused_before_it_is_asked(prompt, settings, said):
    painter = Painter(lambda request: request.images)
    with pytest.raises(ValueError, match=said):
        ViewEdit(smooth(), prompt, painter, replace(ViewEditSettings(), **settings))
    assert not painter.asked


def test_it_works_at_what_the_editor_edits_best():
    assert working_rows(Painter(None)) == 2 * SIDE
