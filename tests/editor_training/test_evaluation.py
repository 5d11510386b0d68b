"""Numbers of edits against other libraries and by hand; an editor that does nothing wins nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_editor import some_cases
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fasttext2style.editor_training.evaluation import (
    INPUT,
    Answer,
    compare_editors,
    comparison_sheet,
    comparison_table,
    mean_and_spread,
)
from fasttext2style.editor_training.measures import asked_share, attention_iou, measures


def test_measures_are_those_of_skimage():
    cases = some_cases(2, size=24)
    edited = (cases.images + 0.1 * torch.randn(cases.images.shape)).clamp(0, 1)
    found = measures(cases, edited)
    for name, reference in (("original", cases.images), ("target", cases.targets)):
        one, other = edited.double().numpy(), reference.double().numpy()
        assert found[f"psnr_to_{name}"] == pytest.approx(peak_signal_noise_ratio(other, one, data_range=1.0), abs=1e-3)
        ssim = np.mean(
            [
                structural_similarity(a, b, channel_axis=-1, data_range=1.0, gaussian_weights=True, sigma=1.5,
                                      use_sample_covariance=False, full=True)[1].mean()
                for a, b in zip(one, other)
            ]
        )  # fmt: skip
        assert found[f"ssim_to_{name}"] == pytest.approx(ssim, abs=5e-3)
    target = cases.targets.numpy()
    assert found["l1_to_target"] == pytest.approx(np.abs(edited.numpy() - target).mean(), rel=1e-5)
    assert found["l2_to_target"] == pytest.approx(((edited.numpy() - target) ** 2).mean(), rel=1e-5)


def test_psnr_inside_and_outside_look_where_they_say():
    cases = some_cases(1)
    edited = torch.where(cases.masks > 0, cases.images, cases.images + 0.1)
    found = measures(cases, edited)
    assert found["psnr_to_original_outside"] == pytest.approx(20, abs=1e-3)
    assert found["outside_change"] == pytest.approx(0.1, abs=1e-5) and found["inside_change"] == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.3, -0.2])
def test_the_asked_share_is_how_far_the_colour_went(share):
    """What changes across the way that was asked for does not count."""
    cases = some_cases(2)
    way = cases.targets - cases.images
    assert asked_share(cases, cases.images + share * way).tolist() == pytest.approx([share, share], abs=1e-4)
    colour = (way * cases.masks).sum((1, 2)) / cases.masks.sum((1, 2))
    across = torch.linalg.cross(colour, torch.tensor([[0.0, 0.0, 1.0]]).expand(2, 3), dim=1)[:, None, None]
    edited = cases.images + share * way + 0.3 * across
    assert asked_share(cases, edited).tolist() == pytest.approx([share, share], abs=1e-4)


def test_an_edit_that_asks_for_no_colour_has_no_share():
    cases = some_cases(2)
    assert asked_share(replace(cases, targets=cases.images), cases.images).isnan().all()


def test_the_attention_iou_is_the_overlap_of_as_many_pixels():
    masks = torch.zeros(1, 4, 4, 1)
    masks[0, :2, :2] = 1
    on_it, beside, half = torch.zeros(3, 1, 4, 4)
    on_it[0, :2, :2], beside[0, 2:, 2:], half[0, :2, 1:3] = 1, 1, 1
    found = [attention_iou(map_ + 0.01 * torch.rand(1, 4, 4), masks).item() for map_ in (on_it, beside, half)]
    assert found == pytest.approx([1.0, 0.0, 2 / 6])


def towards(share: float, everywhere: float = 0.0):
    """An editor that goes so far, and makes all else brighter."""

    def edit(cases):
        return Answer(cases.images + share * (cases.targets - cases.images) + everywhere * (cases.masks == 0))

    return edit


def test_an_editor_that_returns_its_input_is_below_the_floor_though_it_changes_least():
    """As one that edits a little; what follows as well as the untuned one and spares the rest counts."""
    cases = some_cases(3)
    editors = {"untuned": towards(0.9, 0.3), "timid": towards(0.5), "tuned": towards(0.85, 0.1)}
    report, pictures = compare_editors(editors, cases, None)
    rows = report["editors"]
    assert report["floor"] == pytest.approx(0.81, abs=1e-3)
    assert {name: row["counts"] for name, row in rows.items()} == {
        INPUT: False, "untuned": True, "timid": False, "tuned": True,
    }  # fmt: skip
    assert rows[INPUT]["outside_change"] == 0 and rows[INPUT]["following"] == 0
    table = comparison_table(report)
    assert f"{INPUT} (below the floor)" in table and "| tuned |" in table and "SSIM to original" in table
    sheet = comparison_sheet(cases, pictures)
    assert sheet.shape == (5 * (16 + 26), 3 * 16, 3), "before, target, and three editors"


def test_without_targets_an_encoder_has_to_say_what_was_followed():
    cases = replace(some_cases(2), targets=None)
    with pytest.raises(ValueError, match="an encoder is needed"):
        compare_editors({"untuned": lambda cases: Answer(cases.images)}, cases, None)


def test_seeds_have_a_mean_and_the_spread_of_a_sample():
    reports = [{"editors": {"tuned": {"asked": value}}} for value in (0.5, 0.7, 0.9)]
    assert mean_and_spread(reports)["tuned"]["asked"] == pytest.approx((0.7, 0.2))
