"""An InstructPix2Pix editor as a policy: states are latents with picture, instruction and timestep, actions the next
latents (InstructRL4Pix, equations 12 and following). What is learned is a LoRA on its UNet; without it, it is the
reference.

Every sample has noise of its own seed, so that what comes out does not depend on the batches that it is computed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.content import content_tokens
from fasttext2style.editor_training.settings import SamplingConfig
from fasttext2style.editor_training.transitions import Transition, log_prob, transition
from fasttext2style.editors.diffusion.attention_maps import AttentionMaps, reading_attention
from fasttext2style.editors.diffusion.instruct_pix2pix import InstructPix2PixEditor
from fasttext2style.editors.diffusion.lora import ATTENTION, add_lora, without_lora
from fasttext2style.editors.diffusion.noise import make_scheduler, partial_timesteps
from fasttext2style.editors.editor import ImageEditor
from fasttext2style.editors.local_edit import LocalEditor


@dataclass(frozen=True)
class Conditions:
    """What the network is told besides the latents, of some samples."""

    latents: Float[Tensor, "samples channels h w"]
    """Of the picture before, scaled: where noise is added."""
    bare: Float[Tensor, "samples channels h w"]
    """The same without the VAE's factor: what the network looks at."""
    texts: Float[Tensor, "samples tokens embedding"]
    negative: Float[Tensor, "samples tokens embedding"]
    content: Bool[Tensor, "samples tokens"]
    masks: Float[Tensor, "samples 1 h w"]
    """Latents that the object touches, 1 or 0."""

    def select(self, rows: Sequence[int]) -> Conditions:
        rows = list(rows)
        return Conditions(*(getattr(self, field.name)[rows] for field in fields(Conditions)))


@dataclass(frozen=True)
class Rollouts:
    """Sampled edits and the way that led to them; steps without a density are not in it."""

    edited: Float[Tensor, "samples height width 3"]
    states: Float[Tensor, "samples steps channels h w"]
    actions: Float[Tensor, "samples steps channels h w"]
    log_probs: Float[Tensor, "samples steps h w"]
    steps: tuple[int, ...]
    """Their places in the scheduler's timesteps."""
    attention: Float[Tensor, "samples h w"] | None


class EditorPolicy:
    """An editor that is being tuned.

    Args:
        editor: of `load_editor`.
        rank: of the LoRA; 0 adds none, to measure an editor as it is.
        seed: of the LoRA's first weights.

    Raises:
        ValueError: an editor of another kind, or settings without a density.
    """

    def __init__(
        self,
        editor: ImageEditor,
        sampling: SamplingConfig,
        rank: int = 0,
        seed: int = 0,
        targets: tuple[str, ...] = ATTENTION,
    ) -> None:
        inner = editor.editor if isinstance(editor, LocalEditor) else editor
        if not isinstance(inner, InstructPix2PixEditor):
            raise ValueError(
                f"{editor.name} cannot be tuned: expected an InstructPix2Pix on Stable Diffusion, whose UNet attends "
                'to the instruction: "tiny", "timbrooks/instruct-pix2pix", or a folder of such a model.'
            )
        sampling.check()
        self.editor, self.sampling, self.name = inner, sampling, inner.name
        self.unet: Any = inner.pipeline.unet
        if not any(".attn2." in name for name in self.unet.attn_processors):
            raise ValueError(f"{self.name} has no cross-attention: it does not attend to an instruction")
        self.guidance = sampling.guidance or (3.0 if self.name == "tiny" else 7.5)
        self.scheduler = make_scheduler(sampling.scheduler, inner.pipeline.scheduler.config)
        self.timesteps = partial_timesteps(self.scheduler, sampling.steps, sampling.strength, inner.device)
        self.first = len(self.scheduler.timesteps) - len(self.timesteps)
        self.parameters: list[nn.Parameter] = add_lora(self.unet, rank, seed, targets) if rank else []
        self.dtype: torch.dtype = self.unet.dtype  # diffusers looks through all modules each time

    @property
    def native_size(self) -> int:
        return self.editor.native_size

    @torch.no_grad()
    def conditions(self, cases: EditCases) -> Conditions:
        """Raises ValueError for an instruction without content words."""
        content = content_tokens(self.editor.pipeline.tokenizer, list(cases.instructions))
        latents = self.editor.encode(cases.images)
        instructions = list(dict.fromkeys(cases.instructions))
        embedded = self.editor.embed([*instructions, ""]).float()
        rows = [instructions.index(instruction) for instruction in cases.instructions]
        masks = F.adaptive_max_pool2d((cases.masks > 0).float().movedim(-1, 1), latents.shape[2:])
        return Conditions(
            latents,
            latents / self.editor.pipeline.vae.config.scaling_factor,
            embedded[rows],
            embedded[-1:].expand(len(cases), -1, -1),
            content.to(latents.device),
            masks.to(latents.device),
        )

    def step(
        self,
        conditions: Conditions,
        latents: Float[Tensor, "samples channels h w"],
        index: int,
        eta: float | None = None,
    ) -> Transition:
        """The step from `scheduler.timesteps[index]`, with guidance by three branches, as the editor itself does it."""
        prediction = self.prediction(conditions, latents, index)
        return transition(self.scheduler, prediction, index, latents, self.sampling.eta if eta is None else eta)

    def prediction(
        self, conditions: Conditions, latents: Float[Tensor, "samples channels h w"], index: int
    ) -> Float[Tensor, "samples channels h w"]:
        """What the network says, guided: text and picture first, so that attention is read of the first rows."""
        image_guidance = self.sampling.image_guidance
        branches = [
            (self.guidance, conditions.texts, conditions.bare),
            (image_guidance - self.guidance, conditions.negative, conditions.bare),
            (1 - image_guidance, conditions.negative, torch.zeros_like(conditions.bare)),
        ]
        used = [branch for branch in branches if branch[0] != 0]
        texts, bare = torch.cat([text for _, text, _ in used]), torch.cat([seen for _, _, seen in used])
        outputs = self._network(torch.cat([latents] * len(used)), bare, texts, index).chunk(len(used))
        return torch.stack([scale * output for (scale, _, _), output in zip(used, outputs)]).sum(0)

    @torch.no_grad()
    def rollouts(
        self,
        cases: EditCases,
        seeds: Sequence[int],
        groups: Sequence[int] | None = None,
        reads_attention: bool = False,
        eta: float | None = None,
    ) -> Rollouts:
        """One edit per case.

        Args:
            seeds: of each sample's noise.
            groups: of each sample; noise outside the mask is shared within a group, if the settings say so.
            reads_attention: also run the network that attention is read of.
            eta: in place of the settings'; 0 as rounds edit.
        """
        conditions = self.conditions(cases)
        maps = AttentionMaps(conditions.content) if reads_attention else None
        noise = self._noise(conditions, seeds, groups)
        latents = self.start(conditions, next(noise))
        states, actions, log_probs, kept = [], [], [], []
        for index in range(self.first, len(self.scheduler.timesteps)):
            step = self._watched_step(conditions, latents, index, maps, eta)
            following = step.mean
            if step.has_density:
                following = step.mean + step.deviation * next(noise)
                states.append(latents)
                actions.append(following)
                log_probs.append(log_prob(following, step))
                kept.append(index)
            latents = following
        height, width = cases.images.shape[1:3]
        none = latents[:, None][:, :0]
        return Rollouts(
            self.editor.decode(latents, height, width).to(cases.images),
            torch.stack(states, 1) if states else none,
            torch.stack(actions, 1) if actions else none,
            torch.stack(log_probs, 1) if log_probs else none[:, :, 0],
            tuple(kept),
            None if maps is None else maps.mean(*latents.shape[2:]),
        )

    def start(
        self, conditions: Conditions, noise: Float[Tensor, "samples channels h w"]
    ) -> Float[Tensor, "samples channels h w"]:
        """Latents of the pictures at the noise level that denoising starts from."""
        timestep = self.scheduler.timesteps[self.first]
        return self.scheduler.add_noise(conditions.latents, noise, timestep.expand(len(noise)))

    def _watched_step(
        self, conditions: Conditions, latents: Tensor, index: int, maps: AttentionMaps | None, eta: float | None
    ) -> Transition:
        if maps is None:
            return self.step(conditions, latents, index, eta)
        if self.sampling.attention_from == "policy" or not self.parameters:
            with reading_attention(self.unet, maps):
                return self.step(conditions, latents, index, eta)
        with without_lora(self.unet), reading_attention(self.unet, maps):
            self._network(latents, conditions.bare, conditions.texts, index)
        return self.step(conditions, latents, index, eta)

    def _network(self, latents: Tensor, bare: Tensor, texts: Tensor, index: int) -> Tensor:
        timestep = self.scheduler.timesteps[index]
        if hasattr(self.scheduler, "sigmas"):
            # scale_model_input counts its calls; here steps are taken in any order.
            latents = latents / (self.scheduler.sigmas[index].item() ** 2 + 1) ** 0.5
        inputs = torch.cat([latents, bare], dim=1).to(self.dtype)
        return self.unet(inputs, timestep, encoder_hidden_states=texts.to(inputs), return_dict=False)[0].float()

    def _noise(
        self, conditions: Conditions, seeds: Sequence[int], groups: Sequence[int] | None
    ) -> Iterator[Float[Tensor, "samples channels h w"]]:
        """Of the start, then of each step; drawn on the CPU, so that all devices draw the same."""
        shape = conditions.latents.shape[1:]
        own = [torch.Generator().manual_seed(seed) for seed in seeds]
        shares = self.sampling.shared_outside and groups is not None
        common = [torch.Generator().manual_seed(derived_seed(group, 1)) for group in groups or ()]
        while True:
            noise = torch.stack([torch.randn(shape, generator=generator) for generator in own])
            noise = noise.to(conditions.latents)
            if shares:
                outside = torch.stack([torch.randn(shape, generator=generator) for generator in common])
                noise = torch.where(conditions.masks > 0, noise, outside.to(noise))
            yield noise


def derived_seed(*numbers: int) -> int:
    """A seed for one purpose from the run's seed, the epoch, the sample's number: in [0, 2^63)."""
    words = np.random.SeedSequence((len(numbers), *numbers)).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))
