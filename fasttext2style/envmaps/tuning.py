"""An encoder learns what is said of panoramas.

Two kinds: encoder "offline" gets an adapter (`guidance/offline/panorama.py`), by regression; the last blocks of a model
of open_clip learn by contrast between views and sentences that belong together, and others. Measured on panoramas that
nothing saw: the mean cosine of captions (the paper, Figure 4), which an encoder can raise by finding everything alike,
and how many captions find their panorama, which it cannot.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.envmaps.captions import sentence
from fasttext2style.envmaps.folder import Captioned
from fasttext2style.envmaps.inversion import random_look
from fasttext2style.envmaps.tones import to_display
from fasttext2style.envmaps.tuning_settings import TuneSettings
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.offline.palette import NAMED, SPREADS
from fasttext2style.guidance.offline.panorama import Adapter

VIEWS_MEASURED = 12
PALETTE = len(NAMED) * len(SPREADS)
_SENTENCES = 24
"""Made of each panorama's words."""
JUNK_VIEWS, _JUNK_KEPT = 48, 8

Embed = Callable[[Float[Tensor, "views side side 3"]], Float[Tensor, "views embedding"]]


class Measured(NamedTuple):
    """Of an encoder on panoramas and their captions."""

    caption_cosine: float
    """Mean over panoramas of the cosine with their own caption."""
    top_1: float
    """Share of captions that fit their own panorama better than all others."""
    chance: float
    """The share that guessing would reach."""


def views_of(
    panoramas: Float[Tensor, "panoramas rows width 3"], side: int, count: int, seed: int
) -> Float[Tensor, "panoramas views side side 3"]:
    """What an edit shows an encoder: the whole map, turned, and crops in random directions, sRGB."""
    rows, found = panoramas.shape[1], []
    for number, panorama in enumerate(panoramas):
        look = random_look(count - 1, side, rows, torch.Generator().manual_seed(seed * 100_003 + number))
        found.append(look(to_display(panorama)))
    return torch.stack(found)


@torch.no_grad()
def embedded(embed: Embed, views: Float[Tensor, "panoramas views side side 3"]) -> Float[Tensor, "panoramas views _"]:
    """Views of one panorama at a time."""
    return torch.stack([embed(some) for some in views])


def measured(
    images: Float[Tensor, "panoramas views embedding"], captions: Float[Tensor, "panoramas embedding"]
) -> Measured:
    """A panorama is the mean of its views. Two panoramas, both found: (_, 1, 0.5)."""
    cosines = captions @ images.mean(dim=1).mT
    # As they are compared: a caption that fits all alike finds none.
    others = cosines.masked_fill(torch.eye(len(cosines), dtype=torch.bool, device=cosines.device), -torch.inf)
    found = cosines.diagonal() > others.amax(dim=1)
    return Measured(float(cosines.diagonal().mean()), float(found.float().mean()), 1 / len(cosines))


def measure_encoder(
    encoder: TextImageEncoder,
    panoramas: Float[Tensor, "panoramas rows width 3"],
    captions: Sequence[str],
) -> Measured:
    """Of an encoder as it is, by the same views for all of one resolution."""
    views = views_of(panoramas, encoder.resolution, VIEWS_MEASURED, 0)
    return measured(embedded(encoder.embed_images, views), encoder.embed_texts(list(captions)))


def contrast(
    images: Float[Tensor, "views embedding"],
    texts: Float[Tensor, "texts embedding"],
    belongs: Bool[Tensor, "views texts"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy in both directions, each spread evenly over all that belong together (InfoNCE with several
    positives). Where all fits alike: the mean of log(texts) and log(views). What belongs to nothing (junk) counts only
    against others."""
    logits = images @ texts.mT / temperature
    losses = []
    for scores, right in ((logits, belongs), (logits.mT, belongs.mT)):
        some = right.any(dim=1)
        likelihoods = scores[some].log_softmax(dim=1)
        targets = right[some].to(scores) / right[some].sum(dim=1, keepdim=True)
        losses.append(-(targets * likelihoods).sum(dim=1).mean())
    return (losses[0] + losses[1]) / 2


def said_of(panoramas: Sequence[Captioned], said: Sequence[Sequence[str]]) -> Bool[Tensor, "panoramas texts"]:
    """Whether all that a sentence is made of is said of a panorama, too."""
    words = [{*one.tags, *one.categories} for one in panoramas]
    return torch.tensor([[own.issuperset(parts) for parts in said] for own in words])


def junk_views(count: int, views: Float[Tensor, "some side side 3"], seed: int) -> Float[Tensor, "count side side 3"]:
    """What no sentence means: noise of several sizes, and pictures whose tiles were shuffled with bright noise."""
    generator, side = torch.Generator().manual_seed(seed), views.shape[1]
    found = []
    for number in range(count):
        cells = (side, side // 2, side // 4, side // 8)[number % 4]
        noise = torch.rand(1, 3, cells, cells, generator=generator)
        noise = F.interpolate(noise, (side, side), mode="nearest")[0].permute(1, 2, 0)
        picture = views[int(torch.randint(len(views), (), generator=generator))]
        share = 1.0 if number % 2 else 0.5
        found.append((share * noise + (1 - share) * picture).clamp(0, 1))
    return torch.stack(found)


@torch.no_grad()
def fit_adapter(
    seen: Float[Tensor, "panoramas views seen"],
    junk: Float[Tensor, "junk seen"],
    panoramas: Sequence[Captioned],
    embed_texts: Callable[[list[str]], Float[Tensor, "texts 384"]],
    settings: TuneSettings,
    more: tuple[Float[Tensor, "rows seen"], Float[Tensor, "rows 384"]] | None = None,
) -> Adapter:
    """Kernel ridge regression from what encoder "offline" sees of views to MiniLM's embedding of what is said.

    What is said of a panorama is half its caption and half short sentences made of it; of junk it is nothing.

    Args:
        more: further views, and the embedding of what is said of each.

    Raises:
        ValueError: nothing is said of the panoramas.
    """
    if not any(one.caption for one in panoramas):
        raise ValueError("Nothing is said of these panoramas: captions come from a .json in the folder")
    draw, (_, views, _) = random.Random(settings.seed), seen.shape
    generator = torch.Generator().manual_seed(settings.seed)
    sentences = [sentence(one, draw)[0] for one in panoramas for _ in range(_SENTENCES)]
    short = embed_texts(sentences).unflatten(0, (len(panoramas), _SENTENCES)).mean(dim=1)
    captions = (embed_texts([one.caption for one in panoramas]) + short) / 2
    said = captions.mean(dim=0)
    further, said_of_further = more or (junk[:0], captions[:0])
    rows = torch.cat([seen.flatten(0, 1), further, junk])
    targets = (captions - said).repeat_interleave(views, dim=0)
    targets = torch.cat([targets, said_of_further - said, captions.new_zeros(len(junk), 384)])
    scale = settings.sharpness**0.5 * scale_of(seen.shape[2], settings.colours, seen)
    centres = rows[torch.randperm(len(rows), generator=generator)[: settings.centres]] * scale
    adapter = Adapter(scale, centres, centres.new_zeros(384, len(centres)), said, junk[:0, :384])
    near, gram = adapter.near(rows).double(), adapter.near(centres / scale).double()
    # Nystroem: the penalty is that of kernel ridge regression, on the functions that the centres span.
    normal = near.mT @ near + settings.ridge * gram + 1e-6 * len(rows) * torch.eye(len(centres), dtype=gram.dtype)
    to_said = torch.linalg.solve(normal, near.mT @ targets.double()).mT.to(seen)
    adapter = adapter._replace(to_said=to_said)
    return adapter._replace(junk=adapter.images(junk[:_JUNK_KEPT]))


def scale_of(width: int, colours: float, like: Tensor) -> Float[Tensor, " seen"]:
    """What "offline" sees, with its palette of colours longer by a factor: that is the last part."""
    scale = like.new_ones(width)
    scale[width - PALETTE :] = colours
    return scale
