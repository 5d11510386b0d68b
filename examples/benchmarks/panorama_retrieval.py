"""Does tuning make an encoder find panoramas by what is said of them? Ten times, on panoramas that it never saw.

    python examples/benchmarks/panorama_retrieval.py --folder ../shared/data/hdri --out outputs/panorama_retrieval.json

Nine test panoramas say little of an encoder: with six found or four, chance decides. So all panoramas are cut into ten
parts (a place is in one part alone); ten adapters are fitted as `ft2s envmap finetune` fits one, each to nine parts,
and find the captions of the tenth. Expected, and exit code 1 where it is missed: five times as many as guessing finds,
and more than the encoder finds before tuning (one-sided sign test over the captions that one of both finds: 5 %).
"""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path

import torch

from fasttext2style.envmaps.folder import Captioned, open_folder
from fasttext2style.envmaps.inversion import working_rows
from fasttext2style.envmaps.tuned_encoders import relit_seen
from fasttext2style.envmaps.tuning import JUNK_VIEWS, VIEWS_MEASURED, embedded, fit_adapter, junk_views, views_of
from fasttext2style.envmaps.tuning_settings import TuneSettings
from fasttext2style.envmaps.vae_training import read_all
from fasttext2style.evaluation.report import versions
from fasttext2style.guidance.load import load_encoder

FOLDS = 10
TIMES_CHANCE = 5.0
DOUBT = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("outputs/panorama_retrieval.json"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    encoder, settings = load_encoder("offline"), TuneSettings()
    panoramas = [one for one in open_folder(options.folder) if one.caption]
    pictures = read_all(panoramas, working_rows(encoder))
    with torch.no_grad():
        seen = embedded(encoder.embed_images, views_of(pictures, encoder.resolution, settings.views, 1))
        looked = embedded(encoder.embed_images, views_of(pictures, encoder.resolution, VIEWS_MEASURED, 0))
        lit = [relit_seen(encoder, pictures[[row]], panoramas[row : row + 1], 0) for row in range(len(panoramas))]
        sentences = encoder.text_tower.sentences
        captions = sentences([one.caption for one in panoramas])
        untuned_captions = encoder.embed_texts([one.caption for one in panoramas])
    found: dict[str, list[bool]] = {"untuned": [], "tuned": []}
    ten = parts(panoramas, options.seed)
    for part in ten:
        rest = [row for row in range(len(panoramas)) if row not in part]
        with torch.no_grad():
            views = views_of(pictures[rest[:JUNK_VIEWS]], encoder.resolution, 2, 1).flatten(0, 1)
            junk = encoder.embed_images(junk_views(JUNK_VIEWS, views, 0))
        more = tuple(torch.cat([lit[row][side] for row in rest]) for side in (0, 1))
        said = [panoramas[row] for row in rest]
        adapter = fit_adapter(seen[rest], junk, said, sentences, settings, (more[0], more[1]))
        images = torch.stack([adapter.images(looked[row]) for row in part])
        found["tuned"] += first(images, adapter.texts(captions[part]))
        found["untuned"] += first(looked[part], untuned_captions[part])
    # By guessing one of each part is found, on average.
    report = summary(found, len(ten), len(panoramas)) | {"versions": versions()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({name: value for name, value in report.items() if name != "versions"}, indent=2))
    raise SystemExit(f"Missed: {report['missed']}" if report["missed"] else 0)


def parts(panoramas: list[Captioned], seed: int) -> list[list[int]]:
    """Rows of each part."""
    places: dict[str, list[int]] = {}
    for row, one in enumerate(panoramas):
        places.setdefault(one.place, []).append(row)
    names = sorted(places)
    random.Random(seed).shuffle(names)
    return [[row for name in names[start::FOLDS] for row in places[name]] for start in range(FOLDS)]


def first(images: torch.Tensor, texts: torch.Tensor) -> list[bool]:
    """Which captions fit their own panorama best; a panorama is the mean of its views."""
    cosines = texts @ images.mean(dim=1).mT
    return (cosines.argmax(dim=1) == torch.arange(len(cosines))).tolist()


def summary(found: dict[str, list[bool]], chance: int, count: int) -> dict[str, object]:
    before, after = sum(found["untuned"]), sum(found["tuned"])
    won = sum(b < a for b, a in zip(found["untuned"], found["tuned"]))
    lost = sum(b > a for b, a in zip(found["untuned"], found["tuned"]))
    tossed = sum(math.comb(won + lost, heads) for heads in range(won, won + lost + 1)) / 2 ** (won + lost)
    missed = [
        name
        for name, met in {
            f"{TIMES_CHANCE:.0f} times chance": after >= TIMES_CHANCE * chance,
            "more than before tuning": tossed <= DOUBT,
        }.items()
        if not met
    ]
    return {
        "panoramas": count, "parts": FOLDS, "found_by_chance": chance, "found_before": before, "found_after": after,
        "only_after": won, "only_before": lost, "as_often_by_tossing": tossed, "missed": missed,
    }  # fmt: skip


if __name__ == "__main__":
    main()
