"""Six sentences on nine panoramas that nothing was trained on: one sheet, to be looked at.

    python examples/benchmarks/panorama_edits.py --folder FOLDER --out outputs/panorama_edits

FOLDER holds panoramas with captions, as for `ft2s envmap finetune`; those held out for testing (seed 0) are edited, at
half a minute each on one core. A row is a sentence; the first is the panoramas as they are.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import tyro

from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.folder import open_folder, split
from fasttext2style.envmaps.inversion import PanoramaEdit
from fasttext2style.envmaps.seam import seam_ratio
from fasttext2style.envmaps.tones import to_display
from fasttext2style.envmaps.vae_training import read_all
from fasttext2style.evaluation.report import labelled_rows, write_png
from fasttext2style.guidance.load import load_encoder

SENTENCES = (
    "sunset",
    "A sunset in a forest, cloudy, with trees",
    "A sunny day at the beach, clear sky, sand terrain",
    "night",
    "snowy field",
    "indoor studio",
)


@dataclass
class Settings:
    folder: Path
    """Panoramas and a .json with captions."""
    out: Path = Path("outputs/panorama_edits")
    sentences: tuple[str, ...] = SENTENCES
    panoramas: int = 9
    rows: int = 128
    """At which they are edited and shown."""
    encoder: str = "panorama"
    edit: EditSettings = field(default_factory=EditSettings)


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    encoder = load_encoder(settings.encoder)
    parts = split(open_folder(settings.folder), 0)
    panoramas = read_all(parts.test[: settings.panoramas], settings.rows)
    rows, report = {"as they are": to_display(panoramas)}, {}
    for sentence in settings.sentences:
        started, outcomes, found = time.process_time(), [], []
        for panorama in panoramas:
            edit = PanoramaEdit(panorama, sentence, encoder, settings.edit, 0.0, settings.rows)
            for _ in range(settings.edit.steps):
                edit.step()
            outcomes.append(edit.seen())
            found.append((edit.similarity(0.0), edit.similarity(), seam_ratio(outcomes[-1])))
        rows[sentence] = torch.stack(outcomes)
        means = torch.tensor(found).mean(dim=0).tolist()
        seconds = (time.process_time() - started) / len(panoramas)
        report[sentence] = dict(zip(("cosine_before", "cosine_after", "seam", "seconds"), [*means, seconds]))
        print(sentence, {name: round(value, 3) for name, value in report[sentence].items()}, flush=True)
        settings.out.mkdir(parents=True, exist_ok=True)
        write_png(settings.out / "sheet.png", labelled_rows(rows, columns=len(panoramas)))
    (settings.out / "sheet.json").write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Settings))
