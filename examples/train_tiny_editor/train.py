"""Trains the tiny instruction editor on pictures and instructions that it makes itself.

    python examples/train_tiny_editor/train.py --out outputs/tiny_editor

First the autoencoder, then all triplets are made and encoded once, then the text encoder and the UNet are trained on
them together. Started again with the same settings it goes on from the last checkpoint.
"""

from __future__ import annotations

import json
import os
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import tyro
from diffusers import AutoencoderTiny
from diffusers.models.attention_processor import AttnProcessor
from instructions import Instructions
from paint import LOOKS
from pipeline import (
    as_pipeline,
    new_autoencoder,
    new_scheduler,
    new_text_encoder,
    new_tokenizer,
    new_unet,
    save,
    tokens_of,
)
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTokenizer
from triplets import TripletMaker


@dataclass
class Settings:
    """What a run depends on; the packaged weights are those of the defaults."""

    out: Path = Path("outputs/tiny_editor")
    """Folder of the checkpoint, the encoded triplets, the log and the pipeline."""
    size: int = 64
    """Pixels of a picture's side."""
    stages: int = 2400
    """Views of objects, painted again and again."""
    triplets: int = 8_000
    autoencoder_steps: int = 1500
    steps: int = 2400
    stop: int | None = None
    """End the run early, after this many steps; a later call goes on."""
    batch: int = 32
    learning_rate: float = 1e-3
    checkpoint_steps: int = 100
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Latents:
    """Encoded triplets, float16."""

    before: Tensor
    """[count, 4, size / 2, size / 2]"""
    after: Tensor
    looks: Tensor
    """[count], indices into `LOOKS`."""


class Editor(nn.Module):
    """What the second stage trains."""

    def __init__(self, tokenizer: CLIPTokenizer, size: int) -> None:
        super().__init__()
        self.text_encoder, self.unet = new_text_encoder(tokenizer), new_unet(size)
        # torch's fused attention is slow backwards in bfloat16 on a CPU.
        self.unet.set_attn_processor(AttnProcessor())

    def forward(self, noisy: Tensor, condition: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
        return self.unet(torch.cat([noisy, condition], 1), times, self.text_encoder(tokens)[0]).sample


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    autoencoder, weights = new_autoencoder(), settings.out / "autoencoder.pt"
    if weights.exists():
        stored = torch.load(weights, weights_only=True)
        autoencoder.load_state_dict(stored["weights"])
        autoencoder.register_to_config(scaling_factor=stored["scaling_factor"])
    else:
        train_autoencoder(autoencoder, TripletMaker(settings.seed + 1, settings.size, settings.stages), settings)
        state = {"weights": autoencoder.state_dict(), "scaling_factor": autoencoder.config.scaling_factor}
        _write(state, weights)
    encoded = settings.out / "latents.pt"
    if not encoded.exists():
        # A maker of its own: the triplets are the same whether or not the run was interrupted before.
        maker = TripletMaker(settings.seed + 2, settings.size, settings.stages)
        _write(asdict(encode(autoencoder, maker, settings.triplets)), encoded)
    latents = Latents(**torch.load(encoded, weights_only=True))
    train_editor(autoencoder, latents, settings)


def train_autoencoder(autoencoder: AutoencoderTiny, maker: TripletMaker, settings: Settings) -> None:
    """Patches are to come back as they were, by latents around 0 that hardly leave [-1, 1]."""
    optimizer = torch.optim.AdamW(autoencoder.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=settings.autoencoder_steps)
    images, generator = torch.empty(0), torch.Generator().manual_seed(settings.seed)
    for step in range(settings.autoencoder_steps):
        if step % 50 == 0:
            triplets = maker.take(256)
            images = torch.cat([triplets.before, triplets.after]) * 2 - 1
        top, left = torch.randint(settings.size // 2 + 1, (2,), generator=generator).tolist()
        chosen = torch.randint(len(images), (32,), generator=generator)
        patches = images[chosen, :, top : top + settings.size // 2, left : left + settings.size // 2]
        with torch.autocast("cpu", torch.bfloat16):
            latents = autoencoder.encode(patches).latents
            decoded = autoencoder.decode(latents).sample.float()
        latents = latents.float()
        error = functional.l1_loss(decoded, patches) + functional.mse_loss(decoded, patches)
        # Without bounds black comes out twenty times as strong as all else, and the UNet learns nothing but black.
        bounds = functional.relu(latents.abs() - 1).square().mean() + 0.1 * latents.mean((0, 2, 3)).square().mean()
        optimizer.zero_grad(set_to_none=True)
        (error + 0.1 * bounds).backward()
        nn.utils.clip_grad_norm_(autoencoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            psnr = -10 * ((decoded - patches).square().mean() / 4).log10().item()
            print(f"autoencoder {step + 1}: PSNR {psnr:.1f} dB, largest latent {latents.abs().max():.1f}", flush=True)
    with torch.no_grad():
        deviation = autoencoder.encode(images[:128]).latents.std().item()
    autoencoder.register_to_config(scaling_factor=1 / deviation)


@torch.no_grad()
def encode(autoencoder: AutoencoderTiny, maker: TripletMaker, count: int, chunk: int = 200) -> Latents:
    chunks = []
    for _ in range(-(-count // chunk)):
        triplets = maker.take(chunk)
        with torch.autocast("cpu", torch.bfloat16):
            before, after = (autoencoder.encode(x * 2 - 1).latents.half() for x in (triplets.before, triplets.after))
        chunks.append((before, after, triplets.looks))
    return Latents(*(torch.cat(parts)[:count] for parts in zip(*chunks)))


def train_editor(autoencoder: AutoencoderTiny, latents: Latents, settings: Settings) -> None:
    tokenizer = new_tokenizer(_all_kinds_of_sentences(settings.seed))
    editor = Editor(tokenizer, settings.size)
    optimizer = torch.optim.AdamW(editor.parameters(), lr=settings.learning_rate, weight_decay=1e-2)
    average = {name: value.clone() for name, value in editor.state_dict().items()}
    checkpoint, start = settings.out / "checkpoint.pt", 0
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        editor.load_state_dict(stored["editor"])
        optimizer.load_state_dict(stored["optimizer"])
        average, start = stored["average"], stored["step"]
    last = settings.steps if settings.stop is None else min(settings.stop, settings.steps)
    while start < last:
        end, started = min(start + settings.checkpoint_steps, last), time.time()
        loss = _train_steps(editor, optimizer, average, autoencoder, tokenizer, latents, range(start, end), settings)
        log = {"step": end, "loss": round(loss, 4), "seconds": round(time.time() - started, 1)}
        print(log, flush=True)
        with (settings.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(log) + "\n")
        state = {"editor": editor.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "step": end}
        _write(state, checkpoint)
        start = end
        averaged = Editor(tokenizer, settings.size)
        averaged.load_state_dict(average)
        save(as_pipeline(autoencoder, averaged.unet, averaged.text_encoder, tokenizer), settings.out / "pipeline")


def _train_steps(
    editor: Editor,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    autoencoder: AutoencoderTiny,
    tokenizer: CLIPTokenizer,
    latents: Latents,
    steps: range,
    settings: Settings,
) -> float:
    """Steps of the optimiser and of the moving average of weights; returns the mean loss."""
    generator = torch.Generator().manual_seed(settings.seed + 1000 + steps.start)
    instructions = Instructions(settings.seed + 1000 + steps.start)
    scheduler, losses = new_scheduler(), []
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, (step + 1) / 200, 1.25 * (1 - step / settings.steps) + 0.01)
        condition, target, sentences = _batch(latents, instructions, settings.batch, generator)
        target = target * autoencoder.config.scaling_factor
        noise = torch.randn(target.shape, generator=generator)
        # Late times twice as often as even: what the object shall look like is decided in the noise.
        times = (1000 * torch.rand(len(target), generator=generator).sqrt()).long()
        noisy = scheduler.add_noise(target, noise, times)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = editor(noisy, condition, times, tokens_of(tokenizer, sentences)).float()
        loss = functional.mse_loss(predicted, scheduler.get_velocity(target, noise, times))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(editor.parameters(), 1.0)
        optimizer.step()
        keep = min(0.998, (step + 1) / (step + 10))
        for name, value in editor.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        losses.append(loss.item())
        if step % 50 == 49:
            print(step + 1, f"{sum(losses[-50:]) / len(losses[-50:]):.4f}", flush=True)
    return sum(losses) / len(losses)


def _batch(
    latents: Latents, instructions: Instructions, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, list[str]]:
    """Latents before, latents after, sentences.

    One in ten is told something that it cannot know and is to leave the picture; one in twenty is asked for what is
    there already. For classifier-free guidance text, picture or both are dropped in one case of twenty each, as in
    InstructPix2Pix.
    """
    chosen = torch.randint(len(latents.looks), (count,), generator=generator)
    before, after = latents.before[chosen].float(), latents.after[chosen].float()
    sentences = [instructions.asking_for(LOOKS[look]) for look in latents.looks[chosen].tolist()]
    kind, dropped = torch.rand(2, count, generator=generator)
    for i in range(count):
        if kind[i] < 0.10:
            after[i], sentences[i] = before[i], instructions.unknown()
        elif kind[i] < 0.15:
            before[i] = after[i]
        if dropped[i] < 0.10:
            sentences[i] = ""
        if 0.05 < dropped[i] < 0.15:
            before[i] = 0
    return before, after, sentences


def _all_kinds_of_sentences(seed: int) -> list[str]:
    instructions, draw = Instructions(seed), random.Random(seed)
    known = [instructions.asking_for(draw.choice(LOOKS)) for _ in range(20_000)]
    return known + [instructions.unknown() for _ in range(4000)]


def _write(state: dict, path: Path) -> None:
    torch.save(state, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


if __name__ == "__main__":
    main(tyro.cli(Settings))
