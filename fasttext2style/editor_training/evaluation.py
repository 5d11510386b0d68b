"""Editors side by side on cases with known outcomes: the paper's tables, and what they leave out.

In the paper the reward for small changes alone wins L1 and L2 while the instruction is followed less. So an editor that
returns its input stands in every table, and an editor counts only if it still follows: at least `FLOOR` of what the
untuned editor does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.measures import caption_similarity, measures
from fasttext2style.editor_training.policy import EditorPolicy, derived_seed
from fasttext2style.evaluation.report import labelled_rows
from fasttext2style.guidance.encoder import TextImageEncoder

FLOOR = 0.9
"""Share of the untuned editor's following of the instruction that a tuned one must keep to count as better."""
INPUT = "returns its input"

COLUMNS = {
    "l1_to_target": ("L1 to target", "lower", 4),
    "l2_to_target": ("L2 to target", "lower", 4),
    "clip_t": ("CLIP-T", "higher", 4),
    "ssim_to_target": ("SSIM to target", "higher", 4),
    "ssim_to_original": ("SSIM to original", "", 4),
    "psnr_to_target": ("PSNR to target", "higher", 2),
    "psnr_to_original": ("PSNR to original", "", 2),
    "psnr_to_target_inside": ("PSNR inside, to target", "higher", 2),
    "psnr_to_original_outside": ("PSNR outside, to original", "higher", 2),
    "outside_change": ("change outside", "lower", 4),
    "inside_change": ("change inside", "", 4),
    "asked": ("asked colour reached", "1", 3),
    "attention_iou": ("attention IoU", "higher", 3),
    "following": ("following", "higher", 3),
}
"""Measure -> heading, which way is better, digits."""


@dataclass(frozen=True)
class Answer:
    """What an editor made of some cases."""

    edited: Float[Tensor, "cases height width 3"]
    attention: Float[Tensor, "cases h w"] | None = None


Editor = Callable[[EditCases], Answer]


def unchanged(cases: EditCases) -> Answer:
    """The editor that returns its input."""
    return Answer(cases.images)


def edits_of(policy: EditorPolicy, seed: int, batch: int) -> Editor:
    """An editor as rounds use it: no noise on the way; where it starts follows from the seed and the case."""

    def answer(cases: EditCases) -> Answer:
        seeds = [derived_seed(seed, number, 7) for number in range(len(cases))]
        lots = Batches(batch).each(
            range(len(cases)),
            lambda some: policy.rollouts(
                cases.select(some), [seeds[row] for row in some], reads_attention=True, eta=0.0
            ),
        )
        attention = [lot.attention for lot in lots if lot.attention is not None]
        return Answer(torch.cat([lot.edited for lot in lots]), torch.cat(attention))

    return answer


def compare_editors(
    editors: Mapping[str, Editor], cases: EditCases, encoder: TextImageEncoder | None
) -> tuple[dict[str, Any], dict[str, Float[Tensor, "cases height width 3"]]]:
    """Numbers of each editor, the first of them the untuned one, and the edited pictures.

    `following` is the share of the asked change of colour that was made, where targets are known; else how much nearer
    the caption pictures came, by the encoder. 0 for an editor that returns its input.

    Raises:
        ValueError: neither targets nor an encoder: nobody could say whether an instruction was followed.
    """
    if cases.targets is None and encoder is None:
        raise ValueError("Without targets an encoder is needed to say whether instructions are followed: --encoder.")
    rows: dict[str, dict[str, float]] = {}
    pictures = {}
    for name, editor in {INPUT: unchanged, **editors}.items():
        answer = editor(cases)
        row = measures(cases, answer.edited, encoder, answer.attention)
        row["following"] = row["asked"] if "asked" in row else row["clip_t"] - _unedited(cases, encoder)
        rows[name], pictures[name] = row, answer.edited
    base = next(iter(editors))
    floor = FLOOR * rows[base]["following"]
    return {
        "cases": len(cases),
        "encoder": None if encoder is None else encoder.name,
        "untuned": base,
        "floor": floor,
        "editors": {name: row | {"counts": row["following"] >= floor} for name, row in rows.items()},
    }, pictures


def comparison_table(report: Mapping[str, Any]) -> str:
    """Markdown, a line per editor; those below the floor say so."""
    rows = report["editors"]
    used = [name for name in COLUMNS if any(name in row for row in rows.values())]
    lines = [
        "| editor | " + " | ".join(_heading(name) for name in used) + " |",
        "|---|" + "---:|" * len(used),
    ]
    for editor, row in rows.items():
        label = editor if row["counts"] else f"{editor} (below the floor)"
        lines.append(f"| {label} | " + " | ".join(_number(row, name) for name in used) + " |")
    lines.append("")
    lines.append(
        f"Floor: an editor counts only if it follows at least {FLOOR:.0%} as well as the untuned one "
        f"({report['floor']:.3f})."
    )
    return "\n".join(lines) + "\n"


def comparison_sheet(
    cases: EditCases, pictures: Mapping[str, Float[Tensor, "cases height width 3"]], columns: int = 8
) -> Any:
    """[height, width, 3] bytes: a row before, one of targets, one per editor."""
    rows = {"before": cases.images}
    if cases.targets is not None:
        rows["target"] = cases.targets
    rows |= {name: edited for name, edited in pictures.items() if name != INPUT}
    return labelled_rows(rows, columns)


def mean_and_spread(reports: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Of several seeds' reports: editor -> measure -> mean and standard deviation (of the sample)."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for editor, first in reports[0]["editors"].items():
        found[editor] = {}
        for name in COLUMNS:
            if name in first:
                values = [report["editors"][editor][name] for report in reports]
                mean = sum(values) / len(values)
                spread = math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))
                found[editor][name] = mean, spread
    return found


def _unedited(cases: EditCases, encoder: TextImageEncoder | None) -> float:
    assert encoder is not None, "checked before"
    return float(caption_similarity(cases, cases.images, encoder).mean())


def _heading(name: str) -> str:
    heading, better, _ = COLUMNS[name]
    return f"{heading} ({better})" if better else heading


def _number(row: Mapping[str, float], name: str) -> str:
    value = row.get(name, math.nan)
    if math.isnan(value):
        return "-"
    return "unchanged" if math.isinf(value) else f"{value:.{COLUMNS[name][2]}f}"
