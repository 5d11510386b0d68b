"""What keeps styled objects free of fine colour noise, each measured by leaving it out, or by putting it in.

    python examples/benchmarks/clean_pictures.py                                  # the toy bear, 12 minutes
    python examples/benchmarks/clean_pictures.py --run RUN --steps 80             # the object of a capture

Optimised features leave a fine noise of colours. Six of the 24 sentences of docs/offline_encoder.md are styled by
encoder "offline" as it was before its hues were smooth; without held hues (the network's gradients then move hues as
freely as brightness); without the palette (the colour prior); without the noise on patches; without their jitter (the
whole object alone, seen straight); and with a smoothness prior over each Gaussian's eight nearest neighbours, on its
colour, on the change of it, or on its hue alone. The last, with 1000, is what ships since.

Measured on renders of the object from four sides: fine noise of colour and of brightness (root mean square of what a
pixel differs from the mean of its 3 x 3, in Oklab, times 100), the pattern's contrast and its agreement between two
cameras 15 degrees apart (evaluation/pattern_frequency.py), and likeness to the sentence by this encoder and, of what it
knows, by the embedded one, that nobody optimised for.

Expected, written down before the first run, of means over the sentences: each of the four takes away a tenth or more of
the colour noise, and at most a tenth of the contrast; the prior does so, too, and should else not ship.
Prints a table, writes JSON and a sheet: a row for each, a column for each sentence.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from unittest import mock

import torch
import tyro
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from torch.nn import functional

import fasttext2style as ft
from fasttext2style.evaluation.graders import second_judge
from fasttext2style.evaluation.pattern_frequency import pattern_of, patterns_agree
from fasttext2style.evaluation.report import to_uint8, versions
from fasttext2style.guidance.offline import encoder as offline
from fasttext2style.guidance.oklab import oklab
from fasttext2style.scene.gaussians import SH_C0
from fasttext2style.scene.rasterize import render_values
from fasttext2style.selection.neighbours import nearest
from fasttext2style.styling.smoothness import NEIGHBOURS

sys.path.append(str(Path(__file__).resolve().parents[1]))
from subjects import Subject

SENTENCES = (
    "zebra stripes",
    "leopard print",
    "a red zebra",
    "covered in strawberries",
    "covered in moss",
    "knitted from red wool",
)
SIZE = 160


@dataclass
class Settings:
    """What to measure."""

    out: Path = Path("outputs/clean_pictures")
    run: Path | None = None
    """Folder of a run of fasttext2style-scene, whose object takes the place of the toy bear."""
    front: float = 0.0
    """Degrees around the run's object at which its face is."""
    steps: int = 40
    rate: float = 0.04
    seed: int = 0
    encoder: str = "offline"
    sentences: tuple[str, ...] = SENTENCES
    only: tuple[str, ...] = ()
    """Names of what is left out or put in; by default all."""


@dataclass(frozen=True)
class Way:
    """One way to style."""

    objective: dict
    """What differs of the objective's settings."""
    hues_held: bool = True
    smooth: float = 0.0
    """Weight of the smoothness prior."""
    of: Literal["colours", "changes"] = "colours"
    """What is to be smooth."""
    hues: float = 0.0
    """`hue_smoothness`."""


WAYS = {
    "before": Way({}),
    "hues not held": Way({}, hues_held=False),
    "no palette": Way({"color_weight": 0.0}),
    "neither": Way({"color_weight": 0.0}, hues_held=False),
    "no noise on patches": Way({"noise": 0.0}),
    "no jitter": Way({"patches_per_view": 0, "perspective": 0.0}),
    "smooth colours, 1000": Way({}, smooth=1000.0),
    "smooth colours, 100": Way({}, smooth=100.0),
    "smooth colours, 300": Way({}, smooth=300.0),
    "smooth changes, 100": Way({}, smooth=100.0, of="changes"),
    "smooth changes, 300": Way({}, smooth=300.0, of="changes"),
    "smooth hues, 3000": Way({}, hues=3000.0),
    "smooth hues, 1000, and colours, 100": Way({}, hues=1000.0, smooth=100.0),
    "smooth hues, 1000": Way({}, hues=1000.0),
    "smooth hues, 100": Way({}, hues=100.0),
}


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    settings.out.mkdir(parents=True, exist_ok=True)
    subject, encoder = Subject.of(settings.run, settings.front), ft.load_encoder(settings.encoder)
    near = nearest(subject.edit().original.means, NEIGHBOURS)
    rows: dict[str, dict[str, dict]] = {}
    pictures: dict[str, list[Tensor]] = {}
    untouched, _ = seen(subject, subject.scene)
    print("| | colour noise | brightness noise | contrast | agreement | likeness | second judge | CPU s |", flush=True)
    print(line("untouched", [untouched]), flush=True)
    for name in settings.only or WAYS:
        rows[name], pictures[name] = {}, []
        for sentence in settings.sentences:
            facts, picture = styled(subject, encoder, sentence, WAYS[name], near, settings)
            rows[name][sentence] = facts
            pictures[name].append(picture)
        print(line(name, list(rows[name].values())), flush=True)
        about = {"steps": settings.steps, "rate": settings.rate, "seed": settings.seed, "versions": versions()}
        (settings.out / "clean_pictures.json").write_text(
            json.dumps(about | {"untouched": untouched, "ways": rows}, indent=1)
        )
        sheet = torch.cat([torch.cat(row, dim=1) for row in pictures.values()])
        Image.fromarray(to_uint8(sheet[None])[0]).save(settings.out / "sheet.png")


def line(name: str, rows: list[dict]) -> str:
    def mean(fact: str) -> str:
        values = [row[fact] for row in rows if row.get(fact) is not None]
        return f"{statistics.mean(values):.3f}" if values else ""

    facts = ("colour_noise", "brightness_noise", "contrast", "agreement", "likeness", "second_judge", "seconds")
    return f"| {name} | " + " | ".join(mean(fact) for fact in facts) + " |"


def styled(
    subject: Subject,
    encoder: ft.TextImageEncoder,
    sentence: str,
    way: Way,
    near: Int[Tensor, "gaussians 8"],
    settings: Settings,
) -> tuple[dict, Tensor]:
    started, edit = time.process_time(), subject.edit()
    objective = replace(ft.StylerConfig().objective, **way.objective)
    free: Callable[[Tensor, float], Tensor] = lambda pixels, share: pixels  # noqa: E731
    with mock.patch.object(offline, "_hue_held", offline._hue_held if way.hues_held else free):
        config = ft.StylerConfig(objective=objective, hue_smoothness=way.hues)
        styler = ft.ObjectStyler(edit, subject.cameras, encoder, sentence, config, settings.seed)
        rates = {"features_dc": settings.rate, "features_rest": settings.rate / 20}
        training = ft.ObjectSteps(
            edit, {name: torch.optim.Adam([edit.parameters[name]], lr=rate) for name, rate in rates.items()}
        )
        for step in range(settings.steps):
            losses, info = styler.losses()
            if way.smooth:
                losses["smooth"] = way.smooth * roughness(edit, near, way.of)
            training.take(losses, info, step)
        training.close()
    seconds, after = time.process_time() - started, edit.merged()
    facts, picture = seen(subject, after)
    now, judge = edit.gaussians(()), second_judge(encoder, sentence, "cpu")
    facts |= {"seconds": seconds, "likeness": float(styler.similarity(now, 12).mean())}
    facts["second_judge"] = styler.judged(now, judge, sentence) if judge else None
    return facts, picture


def roughness(edit: ft.EditableObject, near: Int[Tensor, "gaussians 8"], of: str) -> Float[Tensor, ""]:
    """Mean squared distance of a colour from the mean of its neighbours', in [0, 1] colours."""
    colors = SH_C0 * edit.gaussians(("features_dc",)).sh_dc
    if of == "changes":
        colors = colors - SH_C0 * edit.original.sh_dc
    return (colors - colors[near].mean(dim=1)).square().sum(dim=1).mean()


@torch.no_grad()
def seen(subject: Subject, after: ft.Gaussians) -> tuple[dict, Tensor]:
    """Numbers of the object alone, and a picture of it."""
    alone, turns = after.subset(subject.weights > 0), subject.around((45.0, 60.0), SIZE)
    images, alphas, _ = ft.render(alone, subject.around((0.0, 90.0, 180.0, 270.0), SIZE))
    images = images.clamp(0, 1)
    turned, opacities, _ = ft.render(alone, turns)
    turned = turned.clamp(0, 1)
    depths = render_values(alone, turns, torch.ones(len(alone), 1), render_mode="RGB+ED")[0][..., 1]
    lightness, hues = fine(images, alphas)
    facts = {
        "colour_noise": 100 * hues,
        "brightness_noise": 100 * lightness,
        "contrast": statistics.mean(pattern_of(*view).contrast for view in zip(images, alphas)),
        "agreement": patterns_agree(turned, opacities, depths, turns),
    }
    return facts, turned[0] + 0.5 * (1 - opacities[0])


def fine(
    images: Float[Tensor, "views height width 3"], alphas: Float[Tensor, "views height width 1"]
) -> tuple[float, float]:
    """Root mean square of what differs from the mean of 3 x 3 pixels: of lightness, and of hue and chroma. Where all
    nine are opaque."""
    solid = (alphas > 0.95).permute(0, 3, 1, 2).float()
    inside = (functional.avg_pool2d(solid, 3, 1, 1) > 0.999).float()
    seen = oklab(images.permute(0, 3, 1, 2))
    varies = (seen - functional.avg_pool2d(seen, 3, 1, 1)) * inside
    power = varies.square().sum((0, 2, 3)) / inside.sum().clamp(min=1)
    return float(power[0].sqrt()), float(power[1:].sum().sqrt())


if __name__ == "__main__":
    main(tyro.cli(Settings))
