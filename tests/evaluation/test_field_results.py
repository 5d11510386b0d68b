"""What is said of an edited NeRF in numbers: colours inside, drift outside, and whether that came nearer the truth."""

import json

import pytest
import torch

from fasttext2style.evaluation.field_results import write_field_results
from fasttext2style.evaluation.timing import Stopwatch


def test_a_report_tells_colours_inside_and_what_became_of_the_outside(tmp_path):
    """Left the object, right its surroundings: .3 off the photograph before and .1 after."""
    coverage = torch.zeros(2, 16, 16)
    coverage[:, :, :8] = 1
    before = torch.full((2, 16, 16, 3), 0.5)
    after = before.clone()
    after[:, :, :8] = torch.tensor([1.0, 0.0, 0.25])
    after[:, :, 8:] = 0.7
    photographs = torch.full((2, 16, 16, 3), 204, dtype=torch.uint8)  # .8
    held_out = (photographs, torch.ones(2, 16, 16))
    write_field_results(tmp_path, "red", before, after, coverage, held_out, {"prompt": "red"}, Stopwatch())
    report = json.loads((tmp_path / "results" / "report.json").read_text())
    assert report["mean_color"] == {"before": [0.5, 0.5, 0.5], "after": [1.0, 0.0, 0.25]}
    # 20 dB is an error of .1, 10.46 of .3, 13.98 of .2.
    truth = report["outside"]["psnr_to_photographs"]
    assert truth["before"] == pytest.approx(10.457, abs=0.01) and truth["after"] == pytest.approx(20, abs=0.01)
    assert report["outside"]["outside_mask"]["psnr"] == pytest.approx(13.979, abs=0.01)
    assert {"contact_sheet.png", "outside.png", "before", "after"} <= {
        it.name for it in (tmp_path / "results").iterdir()
    }


def test_without_masks_everything_is_what_was_edited(tmp_path, capsys):
    pictures = torch.rand(1, 8, 8, 3)
    held_out = (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.ones(1, 8, 8))
    report = write_field_results(tmp_path, "red", pictures, pictures, None, held_out, {"prompt": "red"}, Stopwatch())
    assert report["outside"] == {} and report["mean_color"]["before"] == report["mean_color"]["after"]
    assert "Outside: there is nothing" in capsys.readouterr().out


def test_a_full_disk_is_said_and_where_the_nerf_is(tmp_path):
    (tmp_path / "results").write_text("no folder")
    pictures, held_out = torch.rand(1, 8, 8, 3), (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.ones(1, 8, 8))
    with pytest.raises(ValueError, match="The NeRF itself is saved"):
        write_field_results(tmp_path, "red", pictures, pictures, None, held_out, {"prompt": "red"}, Stopwatch())
