"""Crops, batches, checks and composites around editors that are as simple as can be."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.editors.editor import EditRequest, EditResult, ImageEditor
from fasttext2style.editors.local_edit import (
    LocalEditConfig,
    LocalEditor,
    feathered,
    object_box,
    spread_rows,
)
from fasttext2style.editors.resolution import native_crop_size, resized, with_detail


class Painter:
    """Paints everything in one colour and remembers what it was shown."""

    name = "painter"
    capabilities = frozenset({"batch"})

    def __init__(self, color: float = 0.25, native_size: int = 64):
        self.color, self.native_size = color, native_size
        self.shown: list[EditRequest] = []

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        self.shown.append(request)
        for step in range(2):
            if on_step is not None:
                on_step(step + 1, 2)
        return EditResult(torch.full_like(request.images, self.color), {"model": "paint 1.0"})

    def close(self) -> None:
        self.shown.clear()


class Faulty(Painter):
    """Returns rubbish for the views whose ids are in `rubbish`."""

    def __init__(self, **rubbish: float):
        super().__init__()
        self.rubbish = {int(name.removeprefix("view")): value for name, value in rubbish.items()}

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        result = super().edit(request, on_step)
        for row, view in enumerate(request.view_ids):
            if view in self.rubbish:
                result.images[row] = self.rubbish[view]
        return result


class Hungry(Painter):
    """Runs out of GPU memory with more than `most` views at once."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        if len(request.images) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return super().edit(request, on_step)


def scene(views: int = 3, height: int = 48, width: int = 64) -> torch.Tensor:
    return 0.5 + 0.5 * torch.rand(views, height, width, 3)


def disc(views: int = 3, height: int = 48, width: int = 64, radius: float = 8) -> torch.Tensor:
    """A mask around column 20 of row 24, with an edge of 2 pixels."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distances = ((rows - 24) ** 2 + (columns - 20) ** 2).sqrt()
    return ((radius - distances) / 2 + 0.5).clamp(0, 1)[None, :, :, None].repeat(views, 1, 1, 1)


def test_outside_the_mask_not_one_bit_changes_and_inside_it_does():
    images, mask = scene(), disc()
    result = LocalEditor(Painter()).edit(EditRequest(images, "paint it", mask=mask))
    outside = (mask == 0).expand_as(images)
    assert torch.equal(result.images[outside], images[outside])
    middle = (disc(radius=6) == 1).expand_as(images)
    torch.testing.assert_close(result.images[middle], torch.full_like(images[middle], 0.25))
    assert isinstance(LocalEditor(Painter()), ImageEditor)


def test_soft_mask_mixes_by_its_weight():
    images, mask = torch.ones(1, 32, 32, 3), torch.full((1, 32, 32, 1), 0.5)
    editor = LocalEditor(Painter(0.2, native_size=0), LocalEditConfig(feather=0.0))
    result = editor.edit(EditRequest(images, "x", mask=mask))
    torch.testing.assert_close(result.images, torch.full_like(images, 0.6))


def test_editor_sees_the_object_large_and_everything_in_the_same_crop():
    painter = Painter(native_size=64)
    mask, images = disc(1, radius=4), scene(1)
    LocalEditor(painter).edit(EditRequest(images, "x", condition=images / 2, mask=mask, depth=images[..., :1]))
    shown = painter.shown[0]
    assert shown.images.shape == (1, 56, 72, 3)  # 48 x 64 in proportion, about 64 x 64 pixels, multiples of 8
    # 9 of 64 columns would be 10; the crop shows the disc 3 times as large on 72.
    assert (shown.mask > 0.5).any(1).sum() > 30
    # Bicubic resizing is linear but for the clamp to [0, 1].
    torch.testing.assert_close(shown.condition, shown.images / 2, atol=0.02, rtol=0)
    assert shown.depth.shape == (1, 56, 72, 1)


@pytest.mark.parametrize("native_size", [0, 64])
def test_without_a_mask_the_whole_picture_is_edited(native_size):
    images = scene(2)
    result = LocalEditor(Painter(native_size=native_size)).edit(EditRequest(images, "x"))
    torch.testing.assert_close(result.images, torch.full_like(images, 0.25))
    assert result.info["edited_at"] == ([48, 64] if native_size == 0 else [56, 72])


def test_views_that_do_not_show_the_object_are_not_edited():
    images, mask, painter = scene(), disc(), Painter()
    mask[1] = 0
    result = LocalEditor(painter).edit(EditRequest(images, "x", mask=mask, view_ids=(7, 8, 9)))
    assert torch.equal(result.images[1], images[1])
    assert (painter.shown[0].view_ids, result.info["unseen_views"], result.failed) == ((7, 9), [8], {})
    nothing = LocalEditor(painter).edit(EditRequest(images, "x", mask=torch.zeros_like(mask)))
    assert torch.equal(nothing.images, images)


@pytest.mark.parametrize(
    ("value", "reason"), [(float("nan"), "NaN"), (float("inf"), "NaN"), (0.0, "black"), (255.0, "[0, 1]")]
)
def test_a_view_that_came_back_broken_keeps_its_image_and_is_named(value, reason):
    images = scene()
    result = LocalEditor(Faulty(view1=value)).edit(EditRequest(images, "x", mask=disc()))
    assert list(result.failed) == [1]
    assert reason in result.failed[1]
    assert torch.equal(result.images[1], images[1])
    assert not torch.equal(result.images[0], images[0])


def test_black_stays_allowed_where_the_scene_is_black():
    images = torch.zeros(1, 48, 64, 3)
    assert LocalEditor(Painter(0.0)).edit(EditRequest(images, "x")).failed == {}


def test_wrong_sizes_fail_in_words():
    class Shrinking(Painter):
        def edit(self, request: EditRequest, on_step=None) -> EditResult:
            return EditResult(request.images[:, ::2])

    images = scene(2)
    result = LocalEditor(Shrinking()).edit(EditRequest(images, "x"))
    assert sorted(result.failed) == [0, 1]
    assert "[2, 28, 72, 3] for images of [2, 56, 72, 3]" in result.failed[0]
    assert torch.equal(result.images, images)


def test_failures_of_the_editor_itself_are_passed_on_by_row():
    class Choosy(Painter):
        def edit(self, request: EditRequest, on_step=None) -> EditResult:
            return EditResult(request.images, failed={0: "I do not like it"})

    result = LocalEditor(Choosy(), LocalEditConfig(batch_size=2)).edit(EditRequest(scene(4), "x"))
    assert result.failed == {0: "I do not like it", 2: "I do not like it"}


def test_out_of_memory_halves_the_batch_says_so_and_goes_on(caplog):
    hungry = Hungry(most=2)
    editor, images = LocalEditor(hungry, LocalEditConfig(batch_size=8)), scene(7)
    result = editor.edit(EditRequest(images, "x"))
    torch.testing.assert_close(result.images, torch.full_like(images, 0.25))
    # 7 views at once, then 3, then 1; and it is remembered for the next round.
    assert [len(request.images) for request in hungry.shown] == [1] * 7
    assert "with 7 views at once; going on with 3" in caplog.text
    assert result.info["batch_size"] == 1


def test_batches_are_never_cut_below_the_key_views_and_one_more():
    hungry = Hungry(most=3)
    hungry.key_views = 2
    editor, images = LocalEditor(hungry, LocalEditConfig(batch_size=8)), scene(7)
    result = editor.edit(EditRequest(images, "x"))
    torch.testing.assert_close(result.images, torch.full_like(images, 0.25))
    assert [len(request.images) for request in hungry.shown] == [3] * 5
    hungry.most = 2
    with pytest.raises(ValueError, match=r"does not suffice for 3 view\(s\).*fewer key_views"):
        editor.edit(EditRequest(images, "x"))


def test_no_memory_for_one_view_is_an_error_in_words():
    with pytest.raises(ValueError, match=r"does not suffice for 1 view\(s\) of 72 x 56 pixels in painter") as told:
        LocalEditor(Hungry(most=0)).edit(EditRequest(scene(), "x"))
    assert isinstance(told.value, torch.OutOfMemoryError), "workers are told by its class"


def test_progress_runs_from_batch_to_batch():
    seen = []
    LocalEditor(Painter(), LocalEditConfig(batch_size=2)).edit(
        EditRequest(scene(3), "x"), on_step=lambda done, total: seen.append((done, total))
    )
    assert seen == [(2, 6), (4, 6), (5, 6), (6, 6)]


def test_every_batch_starts_with_the_same_key_views():
    painter = Painter()
    painter.key_views = 2
    images, seen = scene(7), []
    editor = LocalEditor(painter, LocalEditConfig(batch_size=4))
    result = editor.edit(EditRequest(images, "x"), on_step=lambda done, total: seen.append((done, total)))
    assert [request.view_ids for request in painter.shown] == [(1, 5, 0, 2), (1, 5, 3, 4), (1, 5, 6)]
    torch.testing.assert_close(result.images, torch.full_like(images, 0.25))
    assert seen[-1] == (14, 14)
    assert [spread_rows(*counts) for counts in ((8, 2), (3, 5), (4, 0))] == [[2, 6], [0, 1, 2], []]


def test_what_an_editor_does_not_heed_is_said():
    images = scene(1)
    request = EditRequest(images, "x", condition=images, negative="fog", strength=(0.1, 0.2))
    info = LocalEditor(Painter()).edit(request).info
    assert info["left_out"] == ["condition", "negative", "strength"]
    assert info["model"] == "paint 1.0"


def test_the_request_is_not_changed():
    images, mask = scene(), disc()
    copies = images.clone(), mask.clone()
    LocalEditor(Painter()).edit(EditRequest(images, "x", mask=mask))
    assert torch.equal(images, copies[0])
    assert torch.equal(mask, copies[1])


@given(
    height=st.integers(8, 90),
    width=st.integers(8, 90),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    size=st.floats(0, 1),
    margin=st.floats(0, 1),
)
def test_boxes_hold_the_object_and_lie_in_the_picture(height, width, x, y, size, margin):
    mask = torch.zeros(height, width)
    left, top = int(x * (width - 1)), int(y * (height - 1))
    right, bottom = left + 1 + int(size * (width - left - 1)), top + 1 + int(size * (height - top - 1))
    mask[top:bottom, left:right] = 1
    x0, y0, x1, y1 = object_box(mask, margin)
    assert 0 <= x0 <= left < right <= x1 <= width
    assert 0 <= y0 <= top < bottom <= y1 <= height
    # The picture's proportions, to the pixel that rounding up costs.
    assert abs((x1 - x0) * height - (y1 - y0) * width) <= max(height, width)


def test_box_by_hand():
    mask = torch.zeros(100, 200)
    mask[40:50, 90:100] = 1
    assert object_box(mask, 0.25) == (80, 38, 110, 53)
    with pytest.raises(ValueError, match="empty"):
        object_box(mask * 0, 0.25)


@pytest.mark.parametrize(
    ("height", "width", "side", "expected"),
    [(480, 640, 512, (448, 576)), (100, 100, 512, (512, 512)), (1080, 1920, 512, (384, 704)), (3, 4, 8, (7, 9))],
)
def test_native_size_by_hand(height, width, side, expected):
    assert native_crop_size(height, width, side) == expected


def test_resizing_keeps_masks_in_range_and_equal_sizes_bitwise():
    mask = (torch.rand(20, 30, 1) > 0.5).float()
    assert resized(mask, 7, 50).min() >= 0
    assert resized(mask, 7, 50).max() <= 1
    assert resized(mask, 20, 30) is mask
    image = torch.rand(20, 30, 3)
    assert resized(image, 40, 61).shape == (40, 61, 3)


def test_feather_fades_inwards():
    mask = torch.zeros(100, 100)
    mask[20:80, 20:80] = 1
    soft = feathered(mask, 0.04)
    assert torch.equal(soft > 0, mask > 0)
    assert soft[50, 50] == 1
    assert (soft[50, 20:26].diff() > 0)[:4].all()
    assert feathered(mask, 0.0) is mask


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"batch_size": 0}, "at least 1"), ({"margin": -1.0}, "0 or more"), ({"feather": -1.0}, "0 or more")],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(ValueError, match=words):
        LocalEditConfig(**settings)


# --- editors that want to see the object alone ------------------------------------------------------------------------


class Darkener(Painter):
    """Halves what it is shown, which it wants to be the object alone."""

    object_alone = True

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        self.shown.append(request)
        return EditResult(request.images / 2)


def _smooth(height: int = 48, width: int = 64) -> torch.Tensor:
    """[1, height, width, 3]: each place has a colour of its own, nowhere black."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return (0.3 + 0.6 * torch.stack([rows, columns, 1 - rows], -1))[None]


def test_beside_the_object_an_editor_that_wants_it_alone_sees_black_and_others_the_scene():
    images, mask = _smooth(), disc(1)
    alone, other = Darkener(), Painter()
    for painter in (alone, other):
        LocalEditor(painter).edit(EditRequest(images, "x", condition=images * 0.9, mask=mask))
    shown, usual = alone.shown[0], other.shown[0]
    assert torch.equal(shown.mask, usual.mask)
    object_, far = (shown.mask > 0.1)[..., 0], (shown.mask == 0)[..., 0]
    rim = torch.nn.functional.max_pool2d(object_.float(), 3, 1, 1) > 0
    for seen, whole in ((shown.images, usual.images), (shown.condition, usual.condition)):
        assert torch.equal(seen[rim], whole[rim])
        assert (seen[~rim] == 0).all() and (whole[~rim] > 0.2).all()
    assert (far & ~rim).any() and (rim & ~object_).any()


@pytest.mark.parametrize("size", [16, 64, 200])
@pytest.mark.parametrize(("down", "right"), [(-0.25, 0), (0.75, 0), (0, -0.25), (0, 0.75), (-0.2, -0.2), (0.8, 0.8)])
def test_an_object_that_the_frame_cuts_is_seen_with_a_margin_and_pasted_where_it_was(size, down, right):
    images = _smooth(96, 128)
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 128), indexing="ij")
    top, left = (max(shift, 0) for shift in (down, right))
    inside = (rows >= top) & (rows <= down + 1) & (columns >= left) & (columns <= right + 1)
    mask = inside.float()[None, ..., None]
    darkener = Darkener(native_size=size)
    edited = LocalEditor(darkener, LocalEditConfig(feather=0.0)).edit(EditRequest(images, "x", mask=mask)).images
    assert torch.equal(edited[~inside[None]], images[~inside[None]])
    assert (edited - images / 2)[inside[None]].abs().max() < 0.05
    shown = (darkener.shown[0].mask > 0.1)[0, ..., 0]
    for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1]):
        assert not edge.any(), "the object reaches the edge of the crop"


def test_without_a_mask_an_editor_that_wants_the_object_alone_sees_the_picture():
    images, darkener = _smooth(), Darkener(native_size=0)
    LocalEditor(darkener).edit(EditRequest(images, "x"))
    assert torch.equal(darkener.shown[0].images, images)


def test_fine_detail_comes_back_at_the_frame_too():
    images, mask = _speckled(), torch.zeros(1, 96, 96, 1)
    mask[:, 40:, 30:] = 1
    wanted, inside = images / 2, (mask[..., 0] > 0)
    coarse, fine = (
        LocalEditor(Darkener(native_size=24), LocalEditConfig(feather=0.0))
        .edit(EditRequest(images, "x", mask=mask, detail=detail))
        .images
        for detail in (None, images)
    )
    strips = torch.zeros_like(inside)
    strips[:, -4:], strips[:, :, -4:] = True, True
    for where in (inside, inside & strips):
        assert (fine - wanted)[where].abs().mean() < 0.2 * (coarse - wanted)[where].abs().mean()


# --- detail that an editor is too coarse to see -----------------------------------------------------------------------


class Bluish(Painter):
    """Halves red and green of what it is shown."""

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        return EditResult(request.images * torch.tensor([0.5, 0.5, 1.0]), {})


def _speckled(size: int = 96) -> torch.Tensor:
    """[1, size, size, 3] grey of .4 to .6, each pixel by itself."""
    return (0.4 + 0.2 * torch.rand(1, size, size, 1, generator=torch.Generator().manual_seed(0))).expand(-1, -1, -1, 3)


def test_a_coarse_edit_keeps_the_detail_that_the_editor_could_not_see():
    images = _speckled()
    wanted = images * torch.tensor([0.5, 0.5, 1.0])
    coarse, fine = (
        LocalEditor(Bluish(native_size=24)).edit(EditRequest(images, "bluish", detail=detail)).images
        for detail in (None, images)
    )
    assert (fine - wanted).abs().mean() < 0.1 * (coarse - wanted).abs().mean()
    assert (coarse - wanted).abs().mean() > 0.02


def test_detail_changes_brightness_but_not_hue():
    edited = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(1)) * 0.5
    finer = with_detail(edited, _speckled(64)[0], (16, 16))
    assert (finer - edited).abs().max() > 0.05
    shares = [image / image.sum(dim=-1, keepdim=True) for image in (edited, finer)]
    torch.testing.assert_close(*shares, atol=1e-5, rtol=1e-4)


def test_an_editor_that_sees_every_pixel_is_left_alone():
    edited, original = torch.rand(32, 32, 3), torch.rand(32, 32, 3)
    assert torch.equal(with_detail(edited, original, (32, 32)), edited)
    assert torch.equal(with_detail(edited, original, (64, 64)), edited)
