"""Encoders are tuned on a folder from start to end: what they learn from, what they could before and can after.

Folder: NAME.safetensors or NAME.pt (for --encoder-weights), tuning.json (settings and what was measured).
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.captions import learnt_phrases, sentence
from fasttext2style.envmaps.folder import Captioned, Split
from fasttext2style.envmaps.inversion import random_look, working_rows
from fasttext2style.envmaps.looks import PAINTED
from fasttext2style.envmaps.relit import relit, said_of_relit
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.tones import to_display
from fasttext2style.envmaps.tuning import (
    JUNK_VIEWS,
    Measured,
    contrast,
    embedded,
    fit_adapter,
    junk_views,
    measure_encoder,
    said_of,
    views_of,
)
from fasttext2style.envmaps.tuning_settings import TuneSettings
from fasttext2style.envmaps.vae import load_vae
from fasttext2style.envmaps.vae_training import read_all
from fasttext2style.evaluation.report import write_report
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.offline.encoder import OfflineEncoder
from fasttext2style.guidance.offline.panorama import PACKAGED, PanoramaEncoder, packed_adapter
from fasttext2style.guidance.open_clip_encoder import OpenClipEncoder
from fasttext2style.guidance.open_clip_tuning import OpenClipTuning
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.terminal.console import say
from fasttext2style.terminal.progress import PhaseProgress

_RELIT_VIEWS = 3
"""Of each panorama in each look."""


def tune_encoder(encoder: TextImageEncoder, parts: Split, settings: TuneSettings, folder: Path) -> Path:
    """Tune, measure on the panoramas for testing before and after, and write; returns the file of the weights.

    Raises:
        ValueError: an encoder that cannot be tuned, settings out of range, panoramas that cannot be read or of which
            nothing is said.
    """
    settings.check()
    ways = {OfflineEncoder: _tune_offline, OpenClipEncoder: _tune_open_clip}
    way = next((way for kind, way in ways.items() if isinstance(encoder, kind)), None)
    if way is None:
        raise ValueError(f"Encoder {encoder.name} cannot be tuned on panoramas; offline and models of open_clip can")
    for name, part in parts._asdict().items():
        if silent := [one.slug for one in part if not one.caption]:
            raise ValueError(f"Nothing is said of {', '.join(silent[:5])} ({name}): captions come from a .json there")
    say(f"{parts}")
    rows = working_rows(encoder)
    test, captions = read_all(parts.test, rows), [one.caption for one in parts.test]
    before, started = measure_encoder(encoder, test, captions), time.monotonic()
    # Nothing is chosen on the panoramas for validation here.
    said = [*parts.train, *parts.validation]
    tuned, path = way(encoder, seen_by_vae(read_all(said, rows), settings), said, settings, folder)
    after = measure_encoder(tuned, test, captions)
    report = {"settings": asdict(settings), "trained_on": [one.slug for one in said]}
    report |= {"before": before._asdict(), "after": after._asdict(), "seconds": round(time.monotonic() - started, 1)}
    write_report(folder / "tuning.json", report)
    say(f"{verdict(before, after, len(captions))}\nEncoder: {path}")
    return path


def seen_by_vae(
    panoramas: Float[Tensor, "panoramas rows width 3"], settings: TuneSettings
) -> Float[Tensor, "panoramas rows width 3"]:
    """Panoramas as they are, or what the VAE leaves of them, at the same size.

    Raises:
        ValueError: a VAE that cannot be read.
    """
    if settings.on == "photographs":
        return panoramas
    vae, _ = load_vae(Path(settings.vae) if settings.vae else None, "global")
    small = [vae.reconstruct(resized(one, vae.shape.rows)[None])[0] for one in panoramas]
    return torch.stack([resized(one, panoramas.shape[1]) for one in small])


def verdict(before: Measured, after: Measured, count: int) -> str:
    return (
        f"On {count} held-out panoramas: captions that find theirs first {before.top_1:.0%} before, {after.top_1:.0%} "
        f"after, by chance {after.chance:.0%}; mean cosine of captions {before.caption_cosine:.3f} before, "
        f"{after.caption_cosine:.3f} after."
    )


def _tune_offline(
    encoder: Any, panoramas: Tensor, said: Sequence[Captioned], settings: TuneSettings, folder: Path
) -> tuple[TextImageEncoder, Path]:
    views = views_of(panoramas, encoder.resolution, settings.views, settings.seed + 1)
    say(f"Looking at {views.shape[0]} x {views.shape[1]} views")
    seen = embedded(encoder.embed_images, views)
    with torch.no_grad():
        junk = encoder.embed_images(junk_views(JUNK_VIEWS, views.flatten(0, 1), settings.seed))
    more = relit_seen(encoder, panoramas, said, settings.seed)
    adapter = fit_adapter(seen, junk, said, encoder.text_tower.sentences, settings, more)
    name = "panorama" if settings.on == "photographs" else "panorama-vae"
    about: dict[str, object] = {"settings": asdict(settings), "trained_on": [one.slug for one in said]}
    path = folder / PACKAGED[name]
    with atomic_write(path) as stream:
        stream.write(packed_adapter(adapter, learnt_phrases(said), about))
    return PanoramaEncoder(path, encoder.device, encoder.resolution, name), path


@torch.no_grad()
def relit_seen(
    encoder: Any, panoramas: Tensor, said: Sequence[Captioned], seed: int
) -> tuple[Float[Tensor, "rows seen"], Float[Tensor, "rows 384"]]:
    """Some views of each panorama in each look, and the mean of what may be said of them."""
    seen, texts = [], []
    for number, look in enumerate(PAINTED.values()):
        views = views_of(relit(panoramas, look), encoder.resolution, _RELIT_VIEWS, seed + 2 + number)
        seen.append(embedded(encoder.embed_images, views).flatten(0, 1))
        sentences = [said_of_relit(one, look) for one in said]
        mean = encoder.text_tower.sentences([text for some in sentences for text in some])
        mean = mean.unflatten(0, (len(said), len(sentences[0]))).mean(dim=1)
        texts.append(mean.repeat_interleave(_RELIT_VIEWS, dim=0))
    return torch.cat(seen), torch.cat(texts)


def _tune_open_clip(
    encoder: Any, panoramas: Tensor, said: Sequence[Captioned], settings: TuneSettings, folder: Path
) -> tuple[TextImageEncoder, Path]:
    tuning = OpenClipTuning(encoder, settings.blocks)
    say(f"{tuning.weights_count:,} weights of the last {settings.blocks} blocks of both towers learn")
    generator, draw = torch.Generator().manual_seed(settings.seed), random.Random(settings.seed)
    optimizer = torch.optim.AdamW(tuning.parameters, lr=settings.rate)
    seen, rows, batch = to_display(panoramas), panoramas.shape[1], min(settings.batch, len(said))
    with PhaseProgress("Tuning", settings.steps) as progress:
        for step in range(settings.steps):
            which = torch.randperm(len(said), generator=generator)[:batch].tolist()
            # Half of the steps see whole maps, the others crops.
            look = random_look(1, encoder.resolution, rows, generator)
            views = torch.stack([look(seen[index])[step % 2] for index in which])
            texts, parts = zip(*(sentence(said[index], draw) for index in which))
            belongs = said_of([said[index] for index in which], parts)
            images, sentences = tuning.embed_images(views), tuning.embed_texts(list(texts))
            loss = contrast(images, sentences, belongs, settings.temperature)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress.update(step, float(loss.detach()))
    path = folder / "tuned_clip.pt"
    tuned = tuning.finished()
    buffer = io.BytesIO()
    torch.save(tuning.weights(), buffer)
    with atomic_write(path) as stream:
        stream.write(buffer.getvalue())
    return tuned, path
