"""Two evaluations side by side: the same views in two rows each, and one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fasttext2style.evaluation.image_metrics import Images
from fasttext2style.evaluation.report import labelled_rows, write_png, write_report
from fasttext2style.evaluation.tables import comparison_table
from fasttext2style.scene.files.atomic import atomic_write


def write_comparison(folder: Path, found: Mapping[str, tuple[dict[str, Any], Mapping[str, Tensor]]]) -> str:
    """Write comparison.md, comparison.png and comparison.json; returns the table.

    Args:
        found: name -> report and pictures of an evaluation; all of the same views, at whatever size each was measured.

    Raises:
        ValueError: not the same number of views.
    """
    counts = {name: len(pictures["before"]) for name, (_, pictures) in found.items()}
    if len({*counts.values()}) > 1:
        raise ValueError(f"The evaluations are of different numbers of views: {counts}.")
    largest = max((pictures["before"].shape[1:3] for _, pictures in found.values()), key=lambda size: size[0] * size[1])
    rows = {
        f"{name}, {when}: {report['prompt']}" if when == "after" else f"{name}, {when}": _sized(pictures[when], largest)
        for name, (report, pictures) in found.items()
        for when in ("before", "after")
    }
    table = comparison_table({name: report for name, (report, _) in found.items()})
    with atomic_write(folder / "comparison.md") as stream:
        stream.write(table.encode())
    write_png(folder / "comparison.png", labelled_rows(rows))
    write_report(folder / "comparison.json", {name: report for name, (report, _) in found.items()})
    return table


def _sized(images: Images, size: Sequence[int]) -> Float[Tensor, "views h w 3"]:
    """At the size of the largest, each pixel a square: smaller pictures have no more to show."""
    channels_first = images.cpu().permute(0, 3, 1, 2)
    return functional.interpolate(channels_first, tuple(size), mode="nearest").permute(0, 2, 3, 1)
