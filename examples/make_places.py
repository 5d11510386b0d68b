"""Make fasttext2style/envmaps/places.json: what places look like, tag by tag, from a folder of panoramas with captions.

    python examples/make_places.py FOLDER

Each panorama (of those that are for training, seed 0) is exposed to middle grey; a tag has the mean colours, in
logarithms, of zenith, horizon and ground of all that have it. Left out are nights, which are exposed like days, and
words of light.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import torch

from fasttext2style.envmaps.captions import UNSAID
from fasttext2style.envmaps.folder import open_folder, split
from fasttext2style.envmaps.looks import look_of
from fasttext2style.envmaps.relit import LIGHT_CATEGORIES
from fasttext2style.envmaps.vae_training import read_all

NOT_PLACES = LIGHT_CATEGORIES | UNSAID
PACKAGED = Path(__file__).parents[1] / "fasttext2style/envmaps/places.json"


def main(folder: Path) -> None:
    panoramas = [one for one in split(open_folder(folder), 0).train if "night" not in one.categories]
    looks: dict[str, list[torch.Tensor]] = defaultdict(list)
    for one, panorama in zip(panoramas, read_all(panoramas, 64)):
        look = torch.tensor(look_of(panorama))
        for tag in {*one.tags, *one.categories} - NOT_PLACES:
            looks[tag].append(look.clamp_min(1e-3).log())
    means = {tag: torch.stack(found).mean(dim=0).exp() for tag, found in sorted(looks.items())}
    lines = [
        f"{json.dumps(tag)}: {[[round(value, 3) for value in part] for part in mean.tolist()]}"
        for tag, mean in means.items()
    ]
    PACKAGED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(means)} tags of {len(panoramas)} panoramas: {PACKAGED}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
