"""Trains the tiny text-image encoder on pictures and captions that it makes itself.

    python examples/train_tiny_encoder/train.py --out outputs/tiny_encoder

Resumable: started again with the same settings, it goes on from the last finished chapter and ends with the same
weights. A chapter is `chapter_steps` steps on one store of surfaces and textures, all of it drawn from the seed and the
chapter's number.
"""

from __future__ import annotations

import json
import os
import random
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import tyro
from captions import (
    PLAIN,
    Look,
    caption,
    neutral_words,
    plain_caption,
    relation,
    stranger_words,
    style_words,
    unknown_caption,
)
from materials import COLOURS, MATERIALS
from pictures import Pictures, Studio
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from fasttext2style.guidance.tiny_encoder import ImageTower, TextTower

TEMPERATURE = 0.07
"""The one that the text losses use: trained at it, a picture's likelihood means then what it means here."""


@dataclass
class Settings:
    """What a run depends on; the packaged weights are those of the defaults."""

    out: Path = Path("outputs/tiny_encoder")
    """Folder of the checkpoint, the log and the weights."""
    steps: int = 2000
    """Length of the schedules of learning rate and attacks."""
    stop: int | None = None
    """End the run early, after this many steps; a later call goes on."""
    batch: int = 76
    steps_batch: int = 26
    """Pictures per step of training of which also a step further and a step astray is shown."""
    chapter_steps: int = 200
    learning_rate: float = 2e-3
    attack_size: float = 5.0
    """Largest L2 norm of an adversarial change to a 64x64 image (5 is 0.045 per value, root mean square)."""
    surfaces: int = 1400
    """Shapes in each chapter's store."""
    seed: int = 0
    threads: int = 1


@dataclass
class Texts:
    """A batch's captions with what each claims: a look, or None for a text that fits no picture."""

    sentences: list[str]
    claims: list[Look | None]


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    towers = torch.nn.ModuleDict({"image": ImageTower(), "text": TextTower(style_words(), neutral_words())})
    optimizer = torch.optim.AdamW(towers.parameters(), lr=settings.learning_rate, weight_decay=1e-3)
    average = {name: value.clone() for name, value in towers.state_dict().items()}
    checkpoint, start = settings.out / "checkpoint.pt", 0
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        towers.load_state_dict(stored["towers"])
        optimizer.load_state_dict(stored["optimizer"])
        average, start = stored["average"], stored["step"]
    last = settings.steps if settings.stop is None else min(settings.stop, settings.steps)
    while start < last:
        end = min(start + settings.chapter_steps, last)
        started = time.time()
        log = _chapter(towers, optimizer, average, start, end, settings)
        log |= {"step": end, "seconds": round(time.time() - started, 1)} | accuracies(
            average_of(average), settings.seed
        )
        with (settings.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(log) + "\n")
        print(log, flush=True)
        state = {"towers": towers.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "step": end}
        torch.save(state, checkpoint.with_suffix(".new"))
        os.replace(checkpoint.with_suffix(".new"), checkpoint)
        start = end
        save(average, settings)


def save(average: dict[str, Tensor], settings: Settings) -> Path:
    """Writes the averaged weights as fp16, with the vocabulary and the settings as metadata."""
    path = settings.out / "tiny_encoder.safetensors"
    metadata = {"style_words": json.dumps(style_words()), "neutral_words": json.dumps(neutral_words())}
    metadata["settings"] = json.dumps(
        {k: v for k, v in asdict(settings).items() if k not in ("out", "threads", "stop")}
    )
    save_file({name: value.half().contiguous() for name, value in average.items()}, path, metadata)
    return path


def average_of(average: dict[str, Tensor]) -> torch.nn.ModuleDict:
    towers = torch.nn.ModuleDict({"image": ImageTower(), "text": TextTower(style_words(), neutral_words())})
    towers.load_state_dict(average)
    return towers.eval()


def _chapter(
    towers: torch.nn.ModuleDict,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    start: int,
    end: int,
    settings: Settings,
) -> dict[str, float]:
    chapter = start // settings.chapter_steps
    studio = Studio(settings.seed + 1000 * (chapter + 1), surfaces=settings.surfaces)
    draw = random.Random(f"{settings.seed}-{chapter}")
    strangers = stranger_words()
    generator = torch.Generator().manual_seed(settings.seed + 1000 * (chapter + 1) + 1)
    losses = []
    for step in range(start, end):
        progress = step / settings.steps
        warm = min(1.0, step / 100)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * warm * max(0.01, 1 - progress) ** 0.75
        pictures = studio.take(settings.batch)
        ways = studio.steps(settings.steps_batch)
        texts = _texts_for([*pictures.looks.tolist(), *ways.looks.tolist()], studio.looks, draw, strangers)
        relations = _relations(pictures.looks, pictures.below, studio.looks, texts)
        embedded = towers["text"](texts.sentences, 0.2, generator)
        junk = functional.normalize(towers["text"].junk, dim=-1)
        size = settings.attack_size * min(1.0, step / (0.15 * settings.steps + 1))
        images = pictures.images
        if size > 0:
            # Three fifths of the batch (its order is random): the others keep it good at plain recognition.
            some = slice(0, 3 * settings.batch // 5)
            chosen = Pictures(*(getattr(pictures, field.name)[some] for field in fields(Pictures)))
            all_texts = torch.cat([embedded, junk]).detach()
            changed = attacked(towers["image"], chosen, all_texts, relations[some], size, generator)
            images = torch.cat([changed, images[len(changed) :]])
        with torch.autocast("cpu", torch.bfloat16):
            seen = towers["image"](torch.cat([images, ways.here, ways.further, ways.astray])).float()
        loss = _contrast(seen[: settings.batch], embedded, junk, relations, pictures.shares)
        ways_relations = _relations(ways.looks, torch.full_like(ways.looks, -1), studio.looks, texts)
        loss = loss + _ranking(seen[settings.batch :], embedded, junk, ways_relations)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(towers.parameters(), 1.0)
        optimizer.step()
        keep = min(0.998, (step + 1) / (step + 10))
        for name, value in towers.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        losses.append(loss.item())
        if step % 20 == 0:
            print(step, f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", flush=True)
    return {"loss": round(sum(losses) / len(losses), 4)}


def _texts_for(indices: list[int], looks: list[Look], draw: random.Random, strangers: list[str]) -> Texts:
    """A caption for each picture (of a coloured material sometimes only half of what it is), others, and strangers."""
    claims: list[Look | None] = []
    for index in indices:
        look = looks[index]
        if look.colour and look.material and draw.random() < 0.4:
            look = draw.choice([Look(look.colour, None), Look(None, look.material)])
        claims.append(look)
    claims += draw.sample(looks, 24)
    sentences = [caption(claim, draw, strangers) for claim in claims]
    sentences += [plain_caption(draw) for _ in range(12)]
    sentences += [unknown_caption(draw, strangers) for _ in range(32)]
    return Texts(sentences, claims + [PLAIN] * 12 + [None] * 32)


def _relations(shown: Tensor, below: Tensor, looks: list[Look], texts: Texts) -> Tensor:
    """[pictures, texts]: 1 right, -1 wrong, 0 left out (see `captions.relation`)."""
    table = {c: [relation(c, look) for look in looks] + [-1] for c in sorted({c for c in texts.claims if c}, key=repr)}
    # The last column stands for "no look below".
    by_text = torch.tensor([table[claim] if claim else [-1] * (len(looks) + 1) for claim in texts.claims])
    own, beneath = by_text[:, shown].mT, by_text[:, below].mT
    return torch.where((own == -1) & (beneath >= 0), 0, own)


def _likelihood(seen: Tensor, texts: Tensor, junk: Tensor, relations: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy of each picture over texts and junk: its share spread over the right texts, the rest on junk."""
    logits = (seen @ texts.mT / TEMPERATURE).masked_fill(relations == 0, -torch.inf)
    junk_logit = (seen @ junk.mT / TEMPERATURE).logsumexp(-1, keepdim=True)
    log_likelihoods = torch.cat([logits, junk_logit], -1).log_softmax(-1)
    right = (relations == 1).float()
    right = shares[:, None] * right / right.sum(1, keepdim=True).clamp(min=1)
    target = torch.cat([right, 1 - right.sum(1, keepdim=True)], -1)
    return -(target * log_likelihoods.clamp(min=-100)).sum(-1)


def _contrast(seen: Tensor, texts: Tensor, junk: Tensor, relations: Tensor, shares: Tensor) -> Tensor:
    """Pictures choose texts, and texts that are right somewhere choose pictures."""
    to_texts = _likelihood(seen, texts, junk, relations, shares).mean()
    whole = shares > 0.95
    right = (relations == 1) & whole[:, None]
    chosen = right.any(0)
    unsure = (relations == 0) | ((shares > 0.1) & ~whole)[:, None]
    logits = (seen @ texts.mT / TEMPERATURE).masked_fill(unsure, -torch.inf)[:, chosen].log_softmax(0)
    target = right[:, chosen].float()
    to_pictures = -(target / target.sum(0) * logits.clamp(min=-100)).sum(0).mean()
    return to_texts + 0.5 * to_pictures


def _ranking(seen: Tensor, texts: Tensor, junk: Tensor, relations: Tensor) -> Tensor:
    """Each step further must raise the likelihood of the right texts, each step astray lower it, however small."""
    logits = (seen @ texts.mT / TEMPERATURE).view(3, *relations.shape).masked_fill(relations == 0, -torch.inf)
    junk_logits = (seen @ junk.mT / TEMPERATURE).view(3, len(relations), -1)
    everything = torch.cat([logits, junk_logits], -1).logsumexp(-1)
    here, further, astray = logits.masked_fill(relations != 1, -torch.inf).logsumexp(-1) - everything
    return functional.softplus(2 * (here - further)).mean() + functional.softplus(2 * (astray - here)).mean()


def attacked(
    tower: torch.nn.Module,
    pictures: Pictures,
    texts: Tensor,
    relations: Tensor,
    size: float,
    generator: torch.Generator,
) -> Tensor:
    """Changes pictures, within a ball, the way an optimiser would that wants them to be called what they are not.

    Three in five are driven to a wrong text, the others just away from the right ones; a quarter of the batches in
    single pixels, the rest in coarser cells, which is where splats' colours live.
    """
    images, count = pictures.images, len(pictures.images)
    junk_count = texts.shape[0] - relations.shape[1]
    named, junk = texts[:-junk_count], texts[-junk_count:]
    wrong = torch.where(relations == -1, torch.rand(relations.shape, generator=generator), -1.0).argmax(1)
    to_wrong = -torch.ones_like(relations)
    to_wrong[torch.arange(count), wrong] = 1
    driven = torch.rand(count, generator=generator) < 0.6
    radius = size * torch.rand(count, 1, 1, 1, generator=generator)
    cells = (64, 32, 16, 8)[int(torch.randint(4, (), generator=generator))]
    radius = radius * (1.0 if cells == 64 else 1.5)
    rounds = 1 + int(torch.randint(2, (), generator=generator))
    change = torch.zeros_like(images)
    for parameter in tower.parameters():
        parameter.requires_grad_(False)
    for _ in range(rounds):
        shifted = (images + change).clamp(0, 1).requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16):
            seen = tower(shifted).float()
        away = _likelihood(seen, named, junk, relations, pictures.shares)
        towards = -_likelihood(seen, named, junk, to_wrong, torch.ones(count))
        (slope,) = torch.autograd.grad(torch.where(driven, towards, away).sum(), shifted)
        if cells < 64:
            slope = functional.interpolate(
                functional.adaptive_avg_pool2d(slope, cells), images.shape[-2:], mode="bilinear"
            )
        slope = slope / slope.flatten(1).norm(dim=1).clamp(min=1e-9).view(-1, 1, 1, 1)
        change = change + slope * radius * (1.0 if rounds == 1 else 0.7)
        change = change * (radius / change.flatten(1).norm(dim=1).clamp(min=1e-9).view(-1, 1, 1, 1)).clamp(max=1)
    for parameter in tower.parameters():
        parameter.requires_grad_(True)
    return (images + change).clamp(0, 1)


@torch.no_grad()
def accuracies(towers: torch.nn.ModuleDict, seed: int, count: int = 384) -> dict[str, float]:
    """Share of fresh pictures whose own name is the nearest, among all materials and among all colours."""
    studio = Studio(seed + 999_999, surfaces=300)
    taken = [studio.take(96) for _ in range(count // 96)]
    images, looks, shares = (torch.cat([getattr(p, f) for p in taken]) for f in ("images", "looks", "shares"))
    seen = towers["image"](images)
    result = {}
    for kind, names in (("material", list(MATERIALS)), ("colour", list(COLOURS))):
        texts = towers["text"]([f"a photo of a {name} thing" for name in names])
        truth = [getattr(studio.looks[i], kind) if s == 1 else None for i, s in zip(looks.tolist(), shares.tolist())]
        if kind == "colour":
            truth = [t if studio.looks[i].material is None else None for t, i in zip(truth, looks.tolist())]
        chosen = [i for i, name in enumerate(truth) if name is not None]
        nearest = (seen[chosen] @ texts.mT).argmax(1).tolist()
        result[kind] = round(sum(names[n] == truth[i] for n, i in zip(nearest, chosen)) / max(1, len(chosen)), 3)
    return result


if __name__ == "__main__":
    main(tyro.cli(Settings))
