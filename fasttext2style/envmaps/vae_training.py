"""A VAE learns panoramas of a folder: resumable, with TensorBoard and a picture of reconstructions.

Folder: checkpoint.pt, vae_CODE.safetensors (weights and report), reconstructions.png, tensorboard/.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.files import read_panorama
from fasttext2style.envmaps.folder import Captioned, Split
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.sphere import solid_angles
from fasttext2style.envmaps.tones import exposed, middle_exposure, to_curve, to_display
from fasttext2style.envmaps.vae import PACKAGED, PanoramaVAE, divergence, save_vae
from fasttext2style.envmaps.vae_settings import TrainVAE, VAEReport
from fasttext2style.evaluation.report import labelled_rows, write_png
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.terminal.console import say
from fasttext2style.terminal.progress import PhaseProgress
from fasttext2style.trust.lock import WriteLock
from fasttext2style.trust.torch_files import load_torch_file

EXPOSURE_JITTER = 0.5
_RISE = 0.02
_SHOWN = 6


def read_all(panoramas: Sequence[Captioned], rows: int) -> Float[Tensor, "panoramas rows width 3"]:
    """At one size, each exposed so that its median is middle grey.

    Raises:
        ValueError: one cannot be read; says which.
    """
    read = []
    for one in panoramas:
        light = resized(read_panorama(one.path, at_most=rows), rows)
        read.append(exposed(light, middle_exposure(light)))
    return torch.stack(read) if read else torch.zeros(0, rows, 2 * rows, 3)


def train_vae(parts: Split, settings: TrainVAE, folder: Path, resumes: bool) -> Path:
    """Train, or go on; returns the file of the weights.

    Raises:
        ValueError: settings out of range, a panorama that cannot be read, a folder that holds another training.
    """
    settings.check()
    with WriteLock(folder):
        training = VAETraining(parts, settings, folder)
        if resumes:
            training.resume()
        elif training.checkpoint.exists():
            raise ValueError(f"{folder} holds a training already: go on with it (--resume), or name another --output")
        say(f"{parts}")
        say(f"{training.weights_count:,} weights of a {settings.code} VAE learn at {settings.shape.rows} rows.")
        try:
            training.run()
        except KeyboardInterrupt:
            say(f"Interrupted. {training.kept()}")
            raise SystemExit(130) from None
        path = training.finish()
    return path


class VAETraining:
    """One training; `resume` and then `run` ends as an uninterrupted `run` would have."""

    def __init__(self, parts: Split, settings: TrainVAE, folder: Path) -> None:
        self.settings, self.folder, self.parts = settings, folder, parts
        self.train, self.validation = (read_all(part, settings.shape.rows) for part in (parts.train, parts.validation))
        torch.manual_seed(settings.seed)
        self.vae = PanoramaVAE(settings.shape)
        self.optimizer = torch.optim.Adam(self.vae.parameters(), lr=settings.rate, betas=(0.9, 0.98))
        self.done = 0
        self.checkpoint = folder / "checkpoint.pt"
        self.weights_count = sum(parameter.numel() for parameter in self.vae.parameters())
        self._angles = solid_angles(settings.shape.rows, 2 * settings.shape.rows).float()[:, None, None] / (4 * math.pi)
        self._identity = asdict(settings) | {"trained_on": [one.slug for one in parts.train]}

    def run(self) -> None:
        """All steps that are left, with their books."""
        from torch.utils.tensorboard import SummaryWriter

        settings, began = self.settings, self.done
        with (
            SummaryWriter(str(self.folder / "tensorboard")) as board,
            PhaseProgress("Training", settings.steps, began) as progress,
        ):
            while self.done < settings.steps:
                losses = self.step()
                progress.update(self.done - 1, losses["loss"])
                if self.done % settings.look_every == 0 or self.done == settings.steps:
                    losses |= self.measure(self.validation)
                    self.save()
                    self.draw()
                if self.done % 10 == 0 or self.done == settings.steps:
                    for name, value in losses.items():
                        board.add_scalar(name, value, self.done)

    def step(self) -> dict[str, float]:
        """One batch; its losses.

        Raises:
            ValueError: the loss is no longer finite; the weights are those of the step before.
        """
        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + self.done)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate * rate_factor(self.done, settings.steps)
        panoramas = drawn(self.train, settings.batch, settings.mix, generator)
        encoded = self.vae.encode(panoramas)
        mean, log_variance = self.vae.moments(encoded.fc)
        noise = torch.randn(mean.shape, generator=generator)
        values = self.vae.decode_values(mean + (log_variance / 2).exp() * noise, encoded.turn)
        error = self.error(values, panoramas)
        kl = divergence(mean, log_variance)
        loss = error + settings.kl_weight * kl
        if not bool(torch.isfinite(loss)):
            raise ValueError(f"The loss is no longer a number after {self.done} steps: lower --rate. {self.kept()}")
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        self.done += 1
        return {"loss": float(loss.detach()), "error": float(error.detach()), "kl": float(kl.detach())}

    def error(
        self, values: Float[Tensor, "views rows width 3"], panoramas: Float[Tensor, "views rows width 3"]
    ) -> Float[Tensor, ""]:
        """Mean absolute difference on the curve, over the sphere."""
        difference = (values - to_curve(panoramas, self.settings.curve)).abs().mean(dim=3, keepdim=True)
        return (difference * self._angles).sum(dim=(1, 2, 3)).mean()

    @torch.no_grad()
    def measure(self, panoramas: Float[Tensor, "views rows width 3"]) -> dict[str, float]:
        """WS-PSNR of reconstructions as a screen shows them, mean and worst; and their error in stops."""
        found = self.vae.reconstruct(panoramas)
        psnr = [ws_psnr(to_display(one), to_display(other)) for one, other in zip(found, panoramas)]
        stops = ((found + 0.01) / (panoramas + 0.01)).log2().abs().mean(dim=3, keepdim=True) * self._angles
        return {
            "ws_psnr": sum(psnr) / len(psnr),
            "ws_psnr_worst": min(psnr),
            "error_in_stops": float(stops.sum(dim=(1, 2, 3)).mean()),
        }

    def draw(self) -> None:
        """The picture of reconstructions, of panoramas that were not trained on."""
        some = self.validation[:_SHOWN]
        rows = {"panoramas for validation": to_display(some), "reconstructed": to_display(self.vae.reconstruct(some))}
        write_png(self.folder / "reconstructions.png", labelled_rows(rows, columns=len(some)))

    def save(self) -> None:
        state = {"vae": self.vae.state_dict(), "optimizer": self.optimizer.state_dict(), "done": self.done}
        buffer = io.BytesIO()
        torch.save(state | {"settings": self._identity}, buffer)
        with atomic_write(self.checkpoint) as stream:
            stream.write(buffer.getvalue())

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            ValueError: there is none, it is damaged, or belongs to other settings or panoramas.
        """
        try:
            state = load_torch_file(self.checkpoint)
            stored: dict[str, Any] = state["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.checkpoint} cannot be gone on with ({error})") from error
        other = [name for name, value in self._identity.items() if stored.get(name) != value]
        if other:
            raise ValueError(f"The training in {self.folder} has other settings: {', '.join(other)}")
        self.vae.load_state_dict(state["vae"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = int(state["done"])

    def finish(self) -> Path:
        """Write the weights and what they do on the panoramas held out for testing."""
        measured = self.measure(read_all(self.parts.test, self.settings.shape.rows))
        report = VAEReport(self.done, asdict(self.settings), measured, [one.slug for one in self.parts.train])
        path = self.folder / PACKAGED.format(self.settings.code)
        save_vae(path, self.vae, report)
        say(
            f"Held-out panoramas: WS-PSNR {measured['ws_psnr']:.2f} dB, the worst {measured['ws_psnr_worst']:.2f} dB, "
            f"{measured['error_in_stops']:.2f} stops off in the mean.\nVAE: {path}\n"
            f"Reconstructions: {self.folder / 'reconstructions.png'}"
        )
        return path

    def kept(self) -> str:
        if not self.checkpoint.exists():
            return "Nothing was saved yet."
        return f"{self.checkpoint} keeps what was learnt; go on with --output {quote(str(self.folder))} --resume."


def drawn(
    panoramas: Float[Tensor, "panoramas rows width 3"], count: int, mix: float, generator: torch.Generator
) -> Float[Tensor, "views rows width 3"]:
    """A batch: panoramas by chance, turned, mirrored, brighter or darker; of some the ground is another one's."""
    rows, width = panoramas.shape[1:3]

    def some() -> Tensor:
        which = torch.randint(len(panoramas), (count,), generator=generator).tolist()
        turns = torch.randint(width, (count,), generator=generator).tolist()
        mirrored = (torch.rand(count, generator=generator) < 0.5).tolist()
        return torch.stack(
            [
                (panoramas[index].flip(1) if flipped else panoramas[index]).roll(turn, dims=1)
                for index, turn, flipped in zip(which, turns, mirrored)
            ]
        )

    batch, grounds = some(), some()
    is_mixed = torch.rand(count, generator=generator) < mix
    batch[is_mixed, rows // 2 :] = grounds[is_mixed, rows // 2 :]
    stops = EXPOSURE_JITTER * (2 * torch.rand(count, generator=generator) - 1)
    return batch * torch.exp2(stops)[:, None, None, None]


def ws_psnr(one: Float[Tensor, "rows width channels"], other: Float[Tensor, "rows width channels"]) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1], weighted by solid angle (Sun et al. 2017, WS-PSNR).

    0.1 off everywhere: 20. Infinite for the same picture.
    """
    angles = solid_angles(*one.shape[:2]).to(one.device)
    squares = (one - other).double().square().mean(dim=2).sum(dim=1)
    mean = float((squares * angles).sum() / (4 * math.pi))
    return math.inf if mean == 0 else -10 * math.log10(mean)


def rate_factor(step: int, steps: int) -> float:
    """Rises linearly over the first 2 % of the steps and then falls as a cosine."""
    at = (step + 1) / (steps + 1)
    return min(1.0, at / _RISE) * (0.5 + 0.5 * math.cos(math.pi * at))
