"""After the last step of an edited NeRF: held-out views before and after, and a report in numbers.

A NeRF has no parameters that belong to its object, so nothing outside can be promised: it is measured, in pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from fasttext2style.evaluation.halo import outside_picture, pixels_outside
from fasttext2style.evaluation.image_metrics import Images, Weights, mean_color, mean_psnr, psnr
from fasttext2style.evaluation.report import write_before_after, write_png, write_report
from fasttext2style.evaluation.timing import Stopwatch, costs
from fasttext2style.terminal.console import say


@torch.no_grad()
def write_field_results(
    run: Path,
    title: str,
    before: Images,
    after: Images,
    coverage: Weights | None,
    held_out: tuple[UInt8[Tensor, "views height width 3"], Weights],
    facts: dict[str, Any],
    watch: Stopwatch,
) -> dict[str, Any]:
    """Write `results/` into a run's folder and say what came of it; returns the report.

    Args:
        before: held-out views before the first round; `after`: as they are now.
        coverage: how much of each pixel shows what was to be edited; None: everything, or unknown in these views.
        held_out: their photographs, and where the capture says that training would look at them.
        facts: what else is known about the run.

    Raises:
        ValueError: the disk is full.
    """
    folder, (photographs, masks) = run / "results", held_out
    weights = torch.ones_like(before[..., 0]) if coverage is None else coverage
    report = facts | {
        "reconstruction": {
            "held_out_psnr": mean_psnr(before, photographs / 255, masks),
            "held_out_views": len(before),
            "seconds": watch.seconds.get("reconstruction"),
        },
        "mean_color": {"before": mean_color(before, weights), "after": mean_color(after, weights)},
        "outside": {} if coverage is None else {"outside_mask": pixels_outside(before, after, coverage)},
    }
    if coverage is not None:
        # What changed may have come nearer to the photographs: they are trained on all the while.
        outside = (coverage <= 0.5).float() * masks
        truth = photographs / 255
        report["outside"]["psnr_to_photographs"] = {
            "before": psnr(before, truth, outside),
            "after": psnr(after, truth, outside),
        }
    try:
        write_before_after(folder, title, before, after)
        if coverage is not None:
            write_png(folder / "outside.png", outside_picture(before, after, coverage))
        report |= costs(watch)
        write_report(folder / "report.json", report)
    except OSError as error:
        raise ValueError(
            f"{folder} could not be written whole ({error}). The NeRF itself is saved. Free some disk space; "
            f"ft2s evaluate {run} measures it."
        ) from error
    _tell(folder, report)
    return report


def _tell(folder: Path, report: dict[str, Any]) -> None:
    colors = report["mean_color"]
    before, after = (" ".join(f"{value:.2f}" for value in colors[name]) for name in ("before", "after"))
    say(f"Mean colour of what was edited, held-out views: {before} -> {after}")
    pixels = report["outside"].get("outside_mask")
    if pixels is None:
        say("Outside: there is nothing, or the held-out views have no masks; each round's manifest tells of its views.")
    else:
        truth = report["outside"]["psnr_to_photographs"]
        say(
            f"Outside the masks: {pixels['psnr']:.1f} dB to before; to the photographs, on which it trains on, "
            f"{truth['before']:.1f} dB before and {truth['after']:.1f} dB now. All rays share the weights of a NeRF: "
            f"it cannot keep every bit, as Gaussians can. See {folder / 'outside.png'}"
        )
    say(f"Before and after: {folder / 'contact_sheet.png'}")
