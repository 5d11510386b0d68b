"""The paper's table (CLIP-guided Editing of Environment Maps, Figure 3), and the columns that make it mean something.

A row is an encoder that is optimised and what is moved; its numbers are means over held-out panoramas. The cosine by
the encoder that was optimised says that the optimiser works; those by others, how far anybody else agrees. Beside them:
the seam, how near the outcome is to a panorama that was trained on, and seconds. The first row is the panoramas
untouched.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.evaluation_settings import VARIANTS, EvaluationSettings
from fasttext2style.envmaps.folder import Split
from fasttext2style.envmaps.inversion import PanoramaEdit, check_words, random_look
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.seam import seam_ratio
from fasttext2style.envmaps.sphere import solid_angles
from fasttext2style.envmaps.tones import to_display
from fasttext2style.envmaps.vae_training import read_all
from fasttext2style.evaluation.report import labelled_rows, write_png, write_report
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.terminal.console import say, warn
from fasttext2style.terminal.progress import PhaseProgress

ROWS = 64
"""Panoramas are edited at the size of the packaged VAE with a global code."""
UNTOUCHED = "untouched"
_COMPARED_ROWS = 16
_VIEWS = 5


def evaluate(
    encoders: Mapping[str, TextImageEncoder], parts: Split, settings: EvaluationSettings, folder: Path
) -> dict[str, Any]:
    """Measure all rows; writes evaluation.json after each, and evaluation.md and a sheet for each sentence at the end.

    Raises:
        ValueError: settings out of range, panoramas that cannot be read, or a sentence without a word that one of the
            encoders knows.
    """
    settings.check()
    for encoder in encoders.values():
        for prompt in settings.prompts:
            if warning := check_words(encoder, prompt, EditSettings()):
                warn(warning)
    held_out = parts.test[: settings.panoramas]
    panoramas = read_all(held_out, ROWS)
    train = torch.stack([to_display(resized(one, _COMPARED_ROWS)) for one in read_all(parts.train, ROWS)])
    judge = _Judge(encoders, settings.prompts, train)
    report: dict[str, Any] = {
        "settings": asdict(settings) | {"panoramas": [one.slug for one in held_out]},
        "rows": [{"optimised": "", "variant": UNTOUCHED, "prompts": judge.untouched(panoramas)}],
    }
    sheets = {prompt: {UNTOUCHED: to_display(panoramas)} for prompt in settings.prompts}
    edits = len(encoders) * len(VARIANTS) * len(settings.prompts) * len(panoramas)
    with PhaseProgress("Editing", edits, unit="panoramas") as progress:
        done = 0
        for name, encoder in encoders.items():
            for variant in VARIANTS:
                row: dict[str, Any] = {"optimised": name, "variant": variant, "prompts": {}}
                for prompt in settings.prompts:
                    started, outcomes = time.monotonic(), []
                    for panorama in panoramas:
                        outcomes.append(edited(panorama, prompt, encoder, settings.edit(variant)))
                        progress.update(done, f"{name}, {variant}")
                        done += 1
                    seconds = (time.monotonic() - started) / len(panoramas)
                    row["prompts"][prompt] = judge(torch.stack(outcomes), prompt) | {"seconds": seconds}
                    sheets[prompt][f"{name}: {variant}"] = torch.stack(outcomes)
                report["rows"].append(row)
                write_report(folder / "evaluation.json", report)
    table = evaluation_table(report)
    with atomic_write(folder / "evaluation.md") as stream:
        stream.write(table.encode())
    for number, (prompt, rows) in enumerate(sheets.items()):
        sheet = labelled_rows({f"{prompt}: {label}": images for label, images in rows.items()}, len(panoramas))
        write_png(folder / f"sheet_{number}.png", sheet)
    say(table)
    say(f"Table, JSON and a sheet for each sentence: {folder}")
    return report


def edited(
    panorama: Float[Tensor, "rows width 3"], prompt: str, encoder: TextImageEncoder, settings: EditSettings
) -> Float[Tensor, "rows width 3"]:
    """What a screen shows of a panorama, exposed to middle grey, after an edit."""
    edit = PanoramaEdit(panorama, prompt, encoder, settings, exposure_stops=0.0, rows=len(panorama))
    for _ in range(settings.steps):
        edit.step()
    return edit.seen()


def distance_to_nearest(picture: Float[Tensor, "rows width 3"], others: Float[Tensor, "others rows width 3"]) -> float:
    """Root mean square difference over the sphere to the nearest of other panoramas, however they are turned.

    0: it is one of them.
    """
    weights = (solid_angles(*picture.shape[:2]) / (4 * torch.pi)).to(picture)[:, None, None]
    turned = torch.stack([picture.roll(turn, dims=1) for turn in range(picture.shape[1])])
    one, many = ((it * weights.sqrt()).flatten(1) for it in (turned, others))
    return float(torch.cdist(one, many).min()) / 3**0.5


def evaluation_table(report: Mapping[str, Any]) -> str:
    """Markdown: for each sentence the cosine by the encoder that was optimised and the mean of the others; then means
    over sentences."""
    prompts = report["settings"]["prompts"]
    short = [f"“{prompt if len(prompt) < 24 else prompt[:21] + '...'}”" for prompt in prompts]
    head = ["optimised", "variant", *(f"{name} {by}" for name in short for by in ("own", "others"))]
    head += ["seam", "nearest training panorama", "seconds"]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for row in report["rows"]:
        cells = [row["optimised"] or "-", row["variant"]]
        found = [row["prompts"][prompt] for prompt in prompts]
        for one in found:
            own = one["cosines"].get(row["optimised"])
            others = [value for name, value in one["cosines"].items() if name != row["optimised"]]
            cells += ["-" if own is None else f"{own:.3f}", f"{sum(others) / len(others):.3f}" if others else "-"]
        for name, digits in (("seam", 2), ("nearest", 3), ("seconds", 1)):
            values = [one[name] for one in found if name in one]
            cells.append(f"{sum(values) / len(values):.{digits}f}" if values else "-")
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


class _Judge:
    """Numbers of finished pictures, by all encoders, whichever was optimised."""

    def __init__(
        self,
        encoders: Mapping[str, TextImageEncoder],
        prompts: Sequence[str],
        train: Float[Tensor, "panoramas rows width 3"],
    ) -> None:
        self.encoders, self.train = encoders, train
        self.texts = {name: encoder.embed_texts(list(prompts)) for name, encoder in encoders.items()}
        self.prompts = list(prompts)

    @torch.no_grad()
    def __call__(self, pictures: Float[Tensor, "panoramas rows width 3"], prompt: str) -> dict[str, Any]:
        return self._measured(pictures, [prompt])[prompt]

    @torch.no_grad()
    def untouched(self, panoramas: Float[Tensor, "panoramas rows width 3"]) -> dict[str, Any]:
        return self._measured(to_display(panoramas), self.prompts)

    def _measured(self, pictures: Tensor, prompts: Sequence[str]) -> dict[str, dict[str, Any]]:
        nearest = [distance_to_nearest(resized(one, _COMPARED_ROWS), self.train) for one in pictures]
        seams = [seam_ratio(one) for one in pictures]
        found: dict[str, dict[str, Any]] = {
            prompt: {"cosines": {}, "seam": sum(seams) / len(seams), "nearest": sum(nearest) / len(nearest)}
            for prompt in prompts
        }
        for name, encoder in self.encoders.items():
            look = random_look(_VIEWS - 1, encoder.resolution, len(pictures[0]), torch.Generator().manual_seed(0))
            images = torch.stack([encoder.embed_images(look(one)).mean(dim=0) for one in pictures])
            for prompt in prompts:
                text = self.texts[name][self.prompts.index(prompt)]
                found[prompt]["cosines"][name] = float((images @ text).mean())
        return found
