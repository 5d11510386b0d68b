"""One styling loss: the object's renders in, weighted losses out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.augment import (
    Background,
    check_patches,
    sample_backgrounds,
    sample_patch_grids,
    take_patches,
)
from fasttext2style.guidance.encoder import KnowsColors, TextImageEncoder
from fasttext2style.guidance.image_losses import Content, load_content_loss
from fasttext2style.guidance.local_colors import local_colors
from fasttext2style.guidance.prompts import embed_prompt
from fasttext2style.guidance.text_loss import Compared, load_text_losses
from fasttext2style.trust.text import check_text
from fasttext2style.trust.typed import OrPath


@dataclass
class TextStyleConfig:
    """How renders are compared with the prompt and with the original."""

    loss: str = "nll"
    """How images are compared with the prompt. nll: against negative texts (FastText2ObjectStyle, Algorithm 2); cosine:
    directly (Algorithm 1; weak); directional: by the way from source_text to the prompt (StyleGAN-NADA); one of your
    own as module:attribute (see guidance/text_loss.py); or several, such as nll+directional."""
    text_weight: float = 1.0
    """Weight of all of these but directional."""
    directional_weight: float = 1.0
    """Weight of the directional part."""
    temperature: float = 0.07
    """Divides the cosines in nll. Lower follows the nearest negative only, higher flattens the loss; 0.03 to 0.1."""
    num_negatives: int = 9
    """Negative words drawn from the bank by the run's seed (the paper's ten texts include the prompt)."""
    negatives: tuple[str, ...] = ()
    """Negative texts of your own instead of drawn ones: what the object should not look like."""
    color_weight: float = 1000.0
    """Weight of the palette that the encoder knows of the prompt, put where the pattern has it (encoder offline; see
    guidance/local_colors.py); not with a composite. 0 leaves colours to the text loss."""
    source_text: str = "a photo"
    """What the original shows, for the directional loss, such as "a bear"."""
    patches_per_view: int = 2
    """Random patches of each view, besides the whole object; each costs the encoder as much as a view. With the
    embedded encoder 8 look like 2 (measured); methods on real CLIP use 8 to 64 (CLIPGaussian, AnyStyle)."""
    patch_scale: tuple[float, float] = (0.5, 1.0)
    """Smallest and largest side of a patch relative to the object's. With the embedded encoder patches below half the
    object mislead (measured); methods on real CLIP use smaller ones too (CLIPGaussian: 128 pixels)."""
    perspective: float = 0.15
    """Strongest tilt of a patch; 0 is none, and 0.5 or more folds it over."""
    backgrounds: tuple[Background, ...] = ("black", "white", "grey", "noise")
    """What may stand behind the object in a patch."""
    noise: float = 0.1
    """Largest standard deviation of Gaussian noise added to a patch, in [0, 1] colours. Free, and leaves fewer spots
    of a wrong colour (measured with the embedded encoder)."""
    content: Content = "none"
    """What keeps the original recognisable. trunk: the encoder's own features; structure: edges of luminance, free in
    colour; vgg: the paper's; lpips: perceptual. The last two need weights (see content_weights)."""
    content_weight: float = 1.0
    """Weight of the content loss. Beside nll: structure 1, trunk 0.1 to 0.3, lpips 0.3; several times more undo the
    style. The paper's factor for vgg is not given."""
    content_weights: Annotated[str, OrPath()] = ""
    """File with torchvision's weights for content vgg (vgg16) or lpips (squeezenet1_1), when there is no download."""

    def check(self) -> None:
        """Raises ValueError for an unknown loss or numbers out of range; takes no time, so that it can come first."""
        for text in (*self.negatives, self.source_text):
            check_text(text, "A text of the objective")
        load_text_losses(self.loss)
        for name in ("text_weight", "directional_weight", "content_weight", "color_weight", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"objective.{name} must be 0 or more, got {getattr(self, name)}.")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"objective.temperature must be above 0, got {self.temperature}.")
        for name in ("num_negatives", "patches_per_view"):
            if getattr(self, name) < 0:
                raise ValueError(f"objective.{name} must be 0 or more, got {getattr(self, name)}.")
        check_patches(self.patch_scale, self.perspective, self.backgrounds)


class TextStyleObjective:
    """The loss of one prompt on batches of renders.

    Everything random comes from `seed` (the negatives) and from the generator of each call (patches, backgrounds).

    Raises:
        ValueError: a prompt without a word the encoder knows, weights that cannot be had, settings out of range.
    """

    def __init__(
        self,
        config: TextStyleConfig,
        encoder: TextImageEncoder,
        prompt: str,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ):
        self.config, self.encoder = config, encoder
        self._losses = load_text_losses(config.loss)
        texts = embed_prompt(encoder, prompt, config.negatives, config.num_negatives, seed)
        self.negatives, self.warning = texts.negatives, texts.warning
        self._texts = texts.embeddings.to(device)
        self._source_text = encoder.embed_texts([config.source_text])[0].to(device)
        self._palette, self._embed = None, encoder.embed_images
        if isinstance(encoder, KnowsColors) and config.color_weight:
            self._palette = encoder.palette(prompt)
            self._embed = encoder.embed_images if self._palette is None else encoder.embed_patterns
        self._content = None
        if config.content != "none":
            self._content = load_content_loss(config.content, encoder, config.content_weights, device)

    @property
    def has_palette(self) -> bool:
        """Whether the encoder knows the colours that the prompt asks for, and puts them on the object as they are."""
        return self._palette is not None

    def __call__(
        self,
        images: Float[Tensor, "views height width 3"],
        alphas: Float[Tensor, "views height width 1"],
        originals: Float[Tensor, "views height width 3"],
        original_alphas: Float[Tensor, "views height width 1"],
        generator: torch.Generator,
    ) -> dict[str, Float[Tensor, ""]]:
        """Weighted losses by name of a batch of views: "text", "directional", "content" and others, as configured.

        Images show the object alone, premultiplied on black; `originals` are the untouched renders of the same views.
        Of a prompt that asks for a plain colour nll has nothing to say: its words to get away from would leave stripes.
        What else was asked for as a loss is heard.
        """
        losses: dict[str, Tensor] = {}
        if self._palette is None or not self._palette.alone or self.config.loss != "nll":
            losses |= self._compared(images, alphas, originals, original_alphas, generator)
        if self._palette is not None:
            losses["colors"] = self.config.color_weight * local_colors(images, alphas, self._palette)
        if self._content is not None:
            losses["content"] = self.config.content_weight * self._content(images, originals)
        return losses

    def _compared(
        self, images: Tensor, alphas: Tensor, originals: Tensor, original_alphas: Tensor, generator: torch.Generator
    ) -> dict[str, Float[Tensor, ""]]:
        config, side = self.config, self.encoder.resolution
        with torch.no_grad():
            grids = sample_patch_grids(
                alphas, config.patches_per_view, side, config.patch_scale, config.perspective, generator
            )
            count = grids.shape[0] * grids.shape[1]
            backgrounds = sample_backgrounds(count, side, config.backgrounds, generator).to(images)
            noise = _sample_noise(backgrounds, config.noise, generator)

        def embed(pictures: Tensor, opacities: Tensor) -> Tensor:
            patches = take_patches(torch.cat([pictures, opacities], -1), grids, side)
            return self._embed(patches[..., :3] + (1 - patches[..., 3:]) * backgrounds + noise)

        @torch.no_grad()
        def embed_originals() -> Tensor:
            return embed(originals, original_alphas)  # the same patches: only the style differs

        embeddings = embed(images, alphas)
        seen = Compared(embeddings, self._texts, self._source_text, config.temperature, embed_originals)
        losses: dict[str, Tensor] = {}
        for name, weight, loss in self._losses:
            value = loss(seen)
            if value.shape != ():
                raise ValueError(f"The text loss {name!r} should give one number, it gave {list(value.shape)}.")
            losses[name] = losses.get(name, 0) + getattr(config, weight) * value
        return losses

    @torch.no_grad()
    def similarity(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, " views"]:
        """Cosine between each image as it is and the prompt."""
        embeddings = torch.cat([self.encoder.embed_images(chunk) for chunk in images.split(16)])
        return embeddings @ self._texts[0]


def _sample_noise(
    like: Float[Tensor, "patches side side 3"], largest: float, generator: torch.Generator
) -> Float[Tensor, "patches side side 3"]:
    """Gaussian noise whose standard deviation is drawn per patch from [0, `largest`]."""
    shape, device = like.shape, generator.device
    deviations = largest * torch.rand((shape[0], 1, 1, 1), generator=generator, device=device)
    return (deviations * torch.randn(shape, generator=generator, device=device)).to(like)
