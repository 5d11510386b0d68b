"""An edit fades in over its rim, by the share of the picture that its editor was loaded with."""

import math

import pytest
import torch
import torch.nn.functional as F

from fasttext2style.editors.editor import EditRequest, EditResult
from fasttext2style.editors.local_edit import LocalEditConfig, LocalEditor, feathered


class Blackener:
    """Paints everything black."""

    name, capabilities = "blackener", frozenset({"mask", "batch"})

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        return EditResult(request.images * 0 + 0.1)

    def close(self) -> None: ...


@pytest.mark.parametrize(("share", "radius"), [(0.0, 0), (0.1, 4)])
def test_a_straight_rim_fades_in_over_the_feather(share, radius):
    """A mask that is 1 in columns 20 to 39 of 40x40 pixels; a feather of 0.1 is a radius of 4: the first column inside
    has 5 of 9 neighbours inside, the fifth has all."""
    mask = torch.zeros(1, 40, 40, 1)
    mask[:, :, 20:] = 1
    images = torch.ones(1, 40, 40, 3)
    edited = LocalEditor(Blackener(), LocalEditConfig(feather=share)).edit(EditRequest(images, "x", mask=mask)).images
    row = edited[0, 20, :, 0]
    assert torch.equal(row[:20], torch.ones(20))
    for column in range(8):
        weight = min(1.0, (radius + 1 + column) / (2 * radius + 1))
        assert float(row[20 + column]) == pytest.approx(1 - 0.9 * weight, abs=1e-5)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.7, 1.0])
def test_a_mask_is_weighed_by_the_share_of_the_square_around_that_is_inside(share):
    """Of the part of the square that lies in the picture; also of a square that is larger than the picture."""
    mask = (torch.rand(23, 31, generator=torch.Generator().manual_seed(0)) > 0.4).float()
    radius, soft = round(share * 23), feathered(mask, share)
    for row, column in ((0, 0), (22, 30), (11, 15), (3, 28), (17, 2)):
        around = mask[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1]
        assert float(soft[row, column]) == pytest.approx(float(mask[row, column] * around.mean()), abs=1e-5)


def test_a_wide_feather_of_a_full_picture_asks_each_pixel_for_lines_and_not_for_a_square(monkeypatch):
    """Twice 107 numbers a pixel of 1600 x 1066: .4 s; the 11,449 of a square of that side take 24."""
    mask, share = torch.zeros(1066, 1600), 0.05
    mask[300:700, 500:900] = 1
    side, pooled, work = 2 * round(share * 1066) + 1, F.avg_pool2d, []

    def counted(values, size, *rest, **others):
        window = (size, size) if isinstance(size, int) else size
        work.append(math.prod(window))
        # Not to wait for what is counted.
        return pooled(values, size, *rest, **others) if math.prod(window) <= side else values

    monkeypatch.setattr(F, "avg_pool2d", counted)
    soft = feathered(mask, share)
    assert work and sum(work) <= 2 * side
    monkeypatch.undo()
    around = mask[300 : 300 + side // 2 + 1, 500 : 500 + side // 2 + 1].sum()
    assert float(soft[300, 500]) == pytest.approx(float(around) / side**2, rel=1e-4)
