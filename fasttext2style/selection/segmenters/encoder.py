"""What a text names, found with nothing but an encoder that puts whole pictures and texts in one space."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.prompts import known_words_of_the_bank

CROPS_PER_SIDE = 4
"""A crop is a quarter of the picture's shorter side, the next one begins half a crop further.

Measured on the toy scene: smaller crops, or two sizes together, cost two to five times as much and find no more.
"""
OTHER_WORDS = 128
"""Texts whose mean says what is common to all texts."""
COLOR_BINS = 16
"""Per channel."""
BEST_SHARE = 0.01
"""Of all pixels, those with the highest scores; the lowest of them is the measure."""
CUT = 0.5
"""A pixel is found above this share of that score, where 0 is the mean. Mean IoU of twelve queries on the toy scene
with 0.5, 0.55, 0.6 and 0.7: 0.58, 0.54, 0.51 and 0.46."""
SOFTNESS = 0.1
"""How wide the border between found and not found is, in the same unit."""
LEAST_SIMILARITY = 0.15
"""Cosine to the packaged encoder's text that some crop must reach. Purple, which the toy scene lacks, has 0.12; wood,
which it has, 0.20; lava, which it lacks, 0.23: it refuses little."""


class EncoderSegmenter:
    """Says of overlapping crops how well they fit the text, then of every pixel by its colour (a `Segmenter`).

    Rough, and honest about colours and materials only: it needs no download, and names of things mean nothing to the
    packaged encoder. `select_by_text` with it on 8 views of the toy scene, 128 pixels, IoU of the rendered selection in
    held-out views: "the blue crate" 0.94, "brown" (the deck) 0.84, "wooden planks" 0.82, but "wood" 0.22; "the grey
    bear" 0.73, but "stone" 0.37, for light decides: it takes shadows on the deck and leaves the sunlit back; "the green
    grass" 0.67. What is smaller than a crop is lost ("red", a ball: 0.02), and for most of what the scene lacks
    ("lava", "gold") it takes what comes nearest: look at the result, or click. With CLIP as encoder it has
    not been measured.
    """

    def __init__(self, encoder: TextImageEncoder, least_similarity: float | int = 0.0) -> None:
        """Nothing is found if no crop has a cosine of `least_similarity` to the text."""
        self.name, self.encoder, self.least_similarity = f"encoder {encoder.name}", encoder, least_similarity
        self._mean_text: Tensor | None = None
        self._last: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def masks(self, images: Float[Tensor, "views height width 3"], text: str) -> Float[Tensor, "views height width"]:
        target, mean_target = self._text(text)
        step = max(1, min(images.shape[1:3]) // CROPS_PER_SIDE // 2)
        crops = self._crops(images, step)
        if float((crops @ target).max()) < self.least_similarity:
            return images.new_zeros(images.shape[:3])
        # What all crops share (that they are crops, of this scene) would drown what tells them apart; so with texts.
        contrast = functional.normalize(crops - crops.mean(dim=(0, 1, 2)), dim=-1)
        similarity = contrast @ functional.normalize(target - mean_target, dim=0)
        scores = by_color(spread(similarity, step, images.shape[1], images.shape[2]).to(images), images)
        scores = scores - scores.mean()
        best = scores.flatten().sort().values[int((1 - BEST_SHARE) * (scores.numel() - 1))].clamp_min(1e-6)
        return ((scores / best - CUT) / SOFTNESS).sigmoid()

    def _text(self, text: str) -> tuple[Float[Tensor, " embedding"], Float[Tensor, " embedding"]]:
        """The text's embedding, and the mean of other texts."""
        if not self.encoder.coverage(text).known:
            examples = ", ".join(self._other_words()[:20])
            raise ValueError(
                f"Encoder {self.encoder.name} knows no word of {text!r} that says how something looks. It knows, for "
                f"example: {examples}. A segmentation model knows names of things: clipseg, grounded-sam, sam3."
            )
        if self._mean_text is None:
            self._mean_text = self.encoder.embed_texts(self._other_words()).mean(dim=0)
        return self.encoder.embed_texts([text])[0], self._mean_text

    def _other_words(self) -> list[str]:
        return list(known_words_of_the_bank(self.encoder)[:OTHER_WORDS])

    def _crops(
        self, images: Float[Tensor, "views height width 3"], step: int
    ) -> Float[Tensor, "views rows columns embedding"]:
        """Unit embeddings of crops two steps wide; centres lie every step from the first pixel to beyond the last."""
        # People ask for one thing after the other in the same views, and here is where the time goes.
        if self._last is None or not torch.equal(self._last[0], images):
            padded = functional.pad(images.permute(0, 3, 1, 2), (step, 2 * step, step, 2 * step), mode="reflect")
            crops = padded.unfold(2, 2 * step, step).unfold(3, 2 * step, step).permute(0, 2, 3, 4, 5, 1)
            flat = crops.flatten(0, 2)
            parts = [self.encoder.embed_images(flat[start : start + 64]) for start in range(0, len(flat), 64)]
            self._last = (images.clone(), torch.cat(parts).unflatten(0, crops.shape[:3]))
        return self._last[1]


def spread(
    grid: Float[Tensor, "views rows columns"], step: int, height: int, width: int
) -> Float[Tensor, "views height width"]:
    """Bilinear between values that stand `step` pixels apart, the first at the first pixel."""
    size = ((grid.shape[1] - 1) * step + 1, (grid.shape[2] - 1) * step + 1)
    return functional.interpolate(grid[:, None], size=size, mode="bilinear", align_corners=True)[:, 0, :height, :width]


def by_color(
    scores: Float[Tensor, "views height width"], images: Float[Tensor, "views height width 3"]
) -> Float[Tensor, "views height width"]:
    """Every pixel gets the mean score of all pixels, of all views, of about its colour: borders become sharp."""
    bins = (images.clamp(0, 1) * (COLOR_BINS - 1)).round().long()
    color = ((bins[..., 0] * COLOR_BINS + bins[..., 1]) * COLOR_BINS + bins[..., 2]).flatten()
    sums = scores.new_zeros(2, COLOR_BINS**3).index_add_(
        1, color, torch.stack([scores.flatten(), torch.ones_like(scores.flatten())])
    )
    near = functional.avg_pool3d(sums.reshape(2, 1, *[COLOR_BINS] * 3), 3, stride=1, padding=1).reshape(2, -1)
    return (near[0] / near[1].clamp_min(1e-9))[color].reshape(scores.shape)
