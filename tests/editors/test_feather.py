"""An edit fades in over its rim, by the share of the picture that its editor was loaded with."""

import pytest
import torch

from fasttext2style.editors.editor import EditRequest, EditResult
from fasttext2style.editors.local_edit import LocalEditConfig, LocalEditor


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
