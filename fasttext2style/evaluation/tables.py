"""An evaluation for people: one markdown table, one sheet of pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from fasttext2style.evaluation.report import labelled_rows


def metric_table(report: dict[str, Any]) -> str:
    """Markdown: a metric a line, before and after the edit, and which way is better; only what was measured."""
    rows = [("metric", "before", "after", "better"), ("---", "---:", "---:", "---"), *_rows(report)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2]), row[3].ljust(widths[3])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def comparison_table(reports: dict[str, dict[str, Any]]) -> str:
    """Markdown: a metric a line, after each edit, and which way is better; "-" where a run has no such number."""
    columns = {
        name: {metric: (after, better) for metric, _, after, better in _rows(it)} for name, it in reports.items()
    }
    metrics = list(dict.fromkeys(metric for column in columns.values() for metric in column))
    rows = [("metric", *columns, "better"), ("---", *["---:"] * len(columns), "---")]
    for metric in metrics:
        found = [column.get(metric, ("-", "")) for column in columns.values()]
        rows.append((metric, *(value for value, _ in found), max((better for _, better in found), key=len)))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def picture_sheet(pictures: dict[str, Tensor], title: str) -> Any:
    """[height, width, 3] bytes: views before, after, the object and what changed, then targets if there were any."""
    before, after = pictures["before"], pictures["after"]
    shape = before.shape[1:3]
    rows = {
        f"{title}: before": before,
        "after": after,
        "change, 4 times as strong": ((after - before).abs() * 4).clamp(0, 1),
        "the object's share of each pixel": pictures["object"][..., None].expand_as(before),
    }
    for name in ("targets", "renders"):
        if name in pictures:
            channels_first = pictures[name].permute(0, 3, 1, 2)
            resized = F.interpolate(channels_first, shape, mode="bilinear", antialias=True)
            rows[f"training views: {name}"] = resized.permute(0, 2, 3, 1)
    return labelled_rows(rows)


def _rows(report: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, text in report["text"].items():
        if name == report.get("optimised_encoder"):
            name += " (optimised)"
        yield f"similarity, {name}", _number(text["similarity_before"]), _number(text["similarity_after"]), "higher"
        yield f"direction similarity, {name}", "", _number(text["direction_similarity"]), "higher"
        yield f"direction consistency, {name}", "", _number(text["direction_consistency"]), "higher"
    if "similarity_of_run" in report:
        said = report["similarity_of_run"]
        label = "similarity by the run's report: object alone, training views"
        yield label, _number(said["before"]), _number(said["after"]), "higher"
    if "mean_color" in report:
        colors = report["mean_color"]
        before, after = (" ".join(f"{value:.2f}" for value in colors[when]) for when in ("before", "after"))
        yield "mean colour of the object, sRGB", before, after, ""
    for part, label in (("to_targets", "object to targets"), ("to_before", "object to before")):
        better = ("higher", "higher", "lower") if part == "to_targets" else ("", "", "")
        yield from _distance_rows(label, report["inside"].get(part, {}), better)
    outside = report["outside"]
    yield from _distance_rows("outside to before", outside, ("higher", "higher", "lower"))
    yield "outside, largest change of a pixel", "", _number(outside["largest_pixel_change"]), "lower"
    if "gaussians_changed" in outside:
        changed = outside["gaussians_changed"]
        yield "outside, Gaussians changed", "", "not measured" if changed is None else f"{changed:,}", "0"
    mask = outside["outside_mask"]
    yield "outside the object's mask to before, PSNR, dB", "", _number(mask["psnr"], 2), "higher"
    yield "outside the object's mask, share of pixels changed", "", _number(mask["share_changed"]), "lower"
    yield "beyond its rim, share changed visibly, worst view", "", _number(mask["halo"]["share"]), "lower"
    for name, pair in report["agreement"].items():
        for metric in ("rmse", "lpips"):
            if metric in pair["after"]:
                before, after = _number(pair["before"][metric]), _number(pair["after"][metric])
                yield f"{name}-range warped {metric.upper()}", before, after, "lower"
    if "footprint_deviation" in report:
        deviation = report["footprint_deviation"]
        yield "deviation per footprint", _number(deviation["before"]), _number(deviation["after"]), "lower"
        if "targets" in deviation:
            yield "deviation per footprint, targets", "", _number(deviation["targets"]), "lower"
    if "gaussians" in report:
        counts = report["gaussians"]
        yield "Gaussians", f"{counts['before']:,}", f"{counts['after']:,}", ""
        yield "Gaussians of the object", f"{counts['object_before']:,}", f"{counts['object_after']:,}", ""
    for phase, seconds in report.get("seconds", {}).items():
        yield f"seconds, {phase}", "", f"{seconds:.1f}", ""
    for place, gib in report.get("peak_memory_gib", {}).items():
        yield f"peak memory of the run, {place}, GiB", "", f"{gib:.2f}", ""


def _distance_rows(label: str, distances: dict[str, Any], better: tuple[str, str, str]) -> Iterator:
    for metric, name, way in zip(("psnr", "ssim", "lpips"), ("PSNR, dB", "SSIM", "LPIPS"), better):
        if metric in distances:
            digits = 2 if metric == "psnr" else 4
            yield f"{label}, {name}", "", _number(distances[metric], digits), way


def _number(value: float, digits: int = 4) -> str:
    if math.isnan(value):
        return "-"
    return "unchanged" if math.isinf(value) else f"{value:.{digits}f}"
