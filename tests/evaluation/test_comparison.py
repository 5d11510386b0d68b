"""Two evaluations in one table and one sheet."""

import json

import pytest
import torch
from PIL import Image

from fasttext2style.evaluation.comparison import write_comparison

INF, NAN = float("inf"), float("nan")


def _report(psnr, **more):
    mask = {"psnr": psnr, "share_changed": 0.1, "halo": {"share": 0.0}}
    outside = {"psnr": psnr, "ssim": 1.0, "largest_pixel_change": 0.5, "outside_mask": mask}
    color = {"before": [0.5, 0.5, 0.5], "after": [0.75, 0.1, 0.125]}
    empty = {"text": {}, "inside": {}, "agreement": {}}
    return {"prompt": "make it red", "outside": outside, "mean_color": color, **empty, **more}


def _pictures(size, views=2):
    return {"before": torch.zeros(views, size, size, 3), "after": torch.ones(views, size, size, 3)}


def test_a_table_has_a_column_per_run_and_a_dash_where_one_has_no_such_number(tmp_path):
    splats = _report(INF, gaussians={"before": 9, "after": 9, "object_before": 4, "object_after": 4})
    nerf = _report(31.25, seconds={"total": 12.0})
    table = write_comparison(tmp_path, {"A": (splats, _pictures(8)), "B": (nerf, _pictures(4))})
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:-1]]
        for cells in map(lambda it: it.split("|"), table.splitlines())
    }
    assert rows["metric"] == ["A", "B", "better"]
    assert rows["outside to before, PSNR, dB"] == ["unchanged", "31.25", "higher"]
    assert rows["mean colour of the object, sRGB"] == ["0.75 0.10 0.12", "0.75 0.10 0.12", ""]
    assert rows["Gaussians of the object"] == ["4", "-", ""] and rows["seconds, total"] == ["-", "12.0", ""]
    assert (tmp_path / "comparison.md").read_text() == table
    assert json.loads((tmp_path / "comparison.json").read_text())["B"]["seconds"] == {"total": 12.0}
    # Four rows of two views of 8 pixels, each under a band of 26.
    assert Image.open(tmp_path / "comparison.png").size == (16, 4 * (26 + 8))


def test_evaluations_of_other_views_are_not_put_side_by_side(tmp_path):
    with pytest.raises(ValueError, match="different numbers of views"):
        write_comparison(tmp_path, {"A": (_report(1.0), _pictures(8)), "B": (_report(1.0), _pictures(8, views=3))})
