"""The encoder that is always there: two small towers that put pictures and texts of materials and colours in one space.

It stands in for CLIP where CLIP's weights cannot be had (tests, demos, laptops, machines without a network). It knows
some hundred words (see tiny_encoder.md beside this file) and was trained for one purpose: that a picture optimised by a
text looks like the text. Images are [views, height, width, 3], sRGB in [0, 1]; embeddings have unit norm.
"""

from __future__ import annotations

import zlib
from importlib.resources import as_file, files
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from fasttext2style.guidance.encoder import Coverage
from fasttext2style.guidance.local_colors import Palette
from fasttext2style.guidance.offline.palette import painted_in
from fasttext2style.guidance.offline.sentences import parts_of, words_of
from fasttext2style.guidance.oklab import oklab_of
from fasttext2style.guidance.tiny_words import PACKAGED_WEIGHTS, read_vocabulary

RESOLUTION = 64
GRAM_BUCKETS = 4096


class TinyEncoder:
    """The packaged encoder (implements `TextImageEncoder`). Its networks are frozen and in eval mode."""

    name = "tiny"
    resolution = RESOLUTION

    def __init__(self, weights: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        """Loads the packaged weights, or those of another run of `examples/train_tiny_encoder`.

        Raises:
            ValueError: the file is not there or holds another model.
        """
        if weights is None:
            with as_file(files("fasttext2style.guidance") / PACKAGED_WEIGHTS) as path:
                self.image_tower, self.text_tower = load_towers(path)
        else:
            self.image_tower, self.text_tower = load_towers(Path(weights))
        self.device = torch.device(device)
        for tower in (self.image_tower, self.text_tower):
            tower.to(self.device).float().eval().requires_grad_(False)

    def embed_texts(self, texts: list[str]) -> Float[Tensor, "texts embedding"]:
        """Unit embeddings. The order of a text's words plays no part; words that say nothing about looks hardly any."""
        return self.text_tower(texts)

    def embed_images(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        """Unit embeddings, differentiable with respect to the pixels, at whatever size the images come."""
        return self.image_tower(self._prepared(images))

    def image_features(self, images: Float[Tensor, "views height width 3"]) -> list[Float[Tensor, "views _ _ _"]]:
        """Feature maps [views, channels, height, width] at 1/2, 1/4 and 1/8 of `resolution`, for a content loss."""
        return self.image_tower.trunk(self._prepared(images))

    def embed_patterns(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        """The numbers of `embed_images`; gradients change how bright a pixel is, not its colour."""
        lightness = images.mean(dim=-1, keepdim=True)
        return self.embed_images(images.detach() + (lightness - lightness.detach()))

    def palette(self, text: str) -> Palette | None:
        """The colour of a text that asks for a plain one ("a red bear"): it is put on the object as it is, and not
        searched by these small networks, which leave patches. None of any other text."""
        parts = parts_of(text)
        words = {word for colour in parts.colours for word in colour.split()}
        if parts.look or len(parts.colours) != 1 or not words.issuperset(self.coverage(text).known):
            return None
        painted = painted_in(parts.colours)
        return Palette(oklab_of(painted.rgb).to(self.device), painted.shares.to(self.device), alone=True)

    def junk_embeddings(self) -> Float[Tensor, "junk embedding"]:
        """Learned texts for no style at all (speckle, patchwork, half-styled objects): always among the negatives."""
        return functional.normalize(self.text_tower.junk, dim=-1)

    def coverage(self, text: str) -> Coverage:
        """Splits the words of `text`: "a golden truck" has known "golden", neutral "a" and "truck"."""
        words = tuple(dict.fromkeys(words_of(text)))
        style, neutral = self.text_tower.style_words, self.text_tower.neutral_words
        return Coverage(
            known=tuple(word for word in words if word in style),
            unknown=tuple(word for word in words if word not in style and word not in neutral),
            neutral=tuple(word for word in words if word in neutral),
        )

    @property
    def known_words(self) -> tuple[str, ...]:
        """All words that move the picture, sorted, for messages such as "try one of these"."""
        return tuple(sorted(self.text_tower.style_words))

    def _prepared(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views 3 _ _"]:
        channels_first = images.to(self.device, torch.float32).permute(0, 3, 1, 2)
        if channels_first.shape[-2:] != (RESOLUTION, RESOLUTION):
            # Antialiased: without it many pixels of a large render get no gradient and turn into noise.
            size = (RESOLUTION, RESOLUTION)
            channels_first = functional.interpolate(channels_first, size, mode="bilinear", antialias=True)
        return channels_first


class ImageTower(nn.Module):
    """A convolutional trunk whose every place casts a bounded vote for what it looks like; the votes are averaged.

    Bounded, so that no bright speck can outvote the rest: to score as gold, an object must be gold nearly everywhere.
    Average pooling only (max-pooling rewards single pixels) and no normalisation layers, whose division by a small
    deviation would turn faint noise on a plain background into evidence.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (32, 64, 128, 192), embedding: int = 128) -> None:
        super().__init__()
        half, quarter, eighth, deep = widths
        self.stem = nn.Conv2d(3, half, 3, padding=1)
        self.to_quarter = nn.Conv2d(half, quarter, 3, padding=1)
        self.to_eighth = nn.Conv2d(quarter, eighth, 3, padding=1)
        self.eighth_residual = nn.Conv2d(eighth, eighth, 3, padding=1)
        self.to_deep = nn.Conv2d(eighth, deep, 3, padding=1)
        self.deep_residual = nn.Conv2d(deep, deep, 3, padding=1)
        self.fine_votes = nn.Conv2d(eighth, embedding // 2, 1)
        self.coarse_votes = nn.Conv2d(deep, embedding, 1)
        # Mean votes say what is there; mean squared votes say whether it is there everywhere or a patchwork.
        statistics = 2 * (embedding // 2 + embedding)
        self.direct = nn.Linear(statistics, embedding)
        self.mixed = nn.Sequential(nn.Linear(statistics, 2 * embedding), nn.GELU(), nn.Linear(2 * embedding, embedding))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                # Without normalisation layers PyTorch's default fades the signal to a hundredth on its way up.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                assert layer.bias is not None, "a Conv2d has a bias unless told otherwise"
                nn.init.zeros_(layer.bias)

    def forward(self, images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views embedding"]:
        """Unit embeddings of images in [0, 1]."""
        _, fine, coarse = self.trunk(images)
        votes = [_bounded(self.fine_votes(fine)), _bounded(self.coarse_votes(coarse))]
        statistics = torch.cat([v.pow(power).mean((2, 3)) for power in (1, 2) for v in votes], -1)
        return functional.normalize((self.direct(statistics) + self.mixed(statistics)).float(), dim=-1)

    def trunk(self, images: Float[Tensor, "views 3 height width"]) -> list[Float[Tensor, "views _ _ _"]]:
        """Feature maps at 1/2, 1/4 and 1/8 of the images' size."""
        pooled, silu = functional.avg_pool2d, functional.silu
        # Channels last is what makes the small convolutions quick on CPUs (measured: by about a third).
        centred = (4 * images - 2).contiguous(memory_format=torch.channels_last)
        half = pooled(silu(self.stem(centred)), 2)
        quarter = pooled(silu(self.to_quarter(half)), 2)
        quarter = silu(self.to_eighth(quarter))
        quarter = quarter + silu(self.eighth_residual(quarter))
        eighth = silu(self.to_deep(pooled(quarter, 2)))
        eighth = eighth + silu(self.deep_residual(eighth))
        return [half, quarter, eighth]


class TextTower(nn.Module):
    """Words (known-word embedding + hashed letter groups) pooled by learned attention, then one hidden layer.

    A word never seen has only its letter groups; among known style words it is ignored, alone it matches no picture.
    """

    def __init__(self, style_words: list[str], neutral_words: list[str], width: int = 96, embedding: int = 128) -> None:
        super().__init__()
        self.style_words = {word: index for index, word in enumerate(style_words)}
        self.neutral_words = {word: index + len(style_words) for index, word in enumerate(neutral_words)}
        self.words = nn.Embedding(len(style_words) + len(neutral_words), width)
        self.grams = nn.Embedding(GRAM_BUCKETS, width)
        self.attention = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.nothing = nn.Parameter(torch.zeros(width))
        self.hidden = nn.Sequential(nn.Linear(width, 2 * embedding), nn.GELU(), nn.Linear(2 * embedding, embedding))
        self.direct = nn.Linear(width, embedding)
        self.junk = nn.Parameter(torch.randn(4, embedding))

    def forward(
        self, texts: list[str], forgotten: float = 0.0, generator: torch.Generator | None = None
    ) -> Float[Tensor, "texts embedding"]:
        """Unit embeddings. In training a share `forgotten` of the known words is read by its letter groups alone."""
        sentences = [words_of(text) for text in texts]
        vocabulary = sorted({word for sentence in sentences for word in sentence})
        row = {word: index for index, word in enumerate(vocabulary)}
        length = max(1, *map(len, sentences)) if sentences else 1
        device = self.nothing.device
        # Row len(vocabulary) is padding.
        rows = torch.tensor([[row[w] for w in s] + [len(row)] * (length - len(s)) for s in sentences], device=device)
        vectors = torch.cat([self._word_vectors(vocabulary, forgotten, generator), self.nothing[None]])[rows]
        scores = self.attention(vectors).squeeze(-1).masked_fill(rows == len(row), -torch.inf)
        # The extra entry "nothing" competes with the words: a sentence of empty words means nothing.
        weights = torch.cat([scores, scores.new_zeros(len(texts), 1)], -1).softmax(-1)
        values = torch.cat([vectors, self.nothing.expand(len(texts), 1, -1)], 1)
        pooled = (weights[..., None] * values).sum(1)
        return functional.normalize(self.direct(pooled) + self.hidden(pooled), dim=-1)

    def _word_vectors(
        self, vocabulary: list[str], forgotten: float, generator: torch.Generator | None
    ) -> Float[Tensor, "words width"]:
        device = self.nothing.device
        grams = [grams_of(word) for word in vocabulary]
        flat = torch.tensor([gram for word in grams for gram in word], dtype=torch.long, device=device)
        starts = torch.tensor([0, *(len(word) for word in grams)][:-1] or [0], device=device).cumsum(0)
        if not vocabulary:
            return self.nothing.new_zeros(0, self.nothing.shape[0])
        vectors = functional.embedding_bag(flat, self.grams.weight, starts, mode="mean")
        known = [self.style_words.get(word, self.neutral_words.get(word, -1)) for word in vocabulary]
        indices = torch.tensor(known, device=device)
        remembered = (indices >= 0) & (torch.rand(len(known), generator=generator).to(device) >= forgotten)
        return vectors + self.words(indices.clamp(min=0)) * remembered[:, None]


def grams_of(word: str) -> list[int]:
    """Buckets of the 3- to 5-letter groups of "<word>". CRC-32, for Python's own hash differs from run to run."""
    framed = f"<{word}>"
    groups = [framed[i : i + n] for n in (3, 4, 5) for i in range(len(framed) - n + 1)]
    return [zlib.crc32(group.encode()) % GRAM_BUCKETS for group in groups]


def load_towers(path: Path) -> tuple[ImageTower, TextTower]:
    """Towers with the weights and the vocabulary of a file written by `examples/train_tiny_encoder/train.py`.

    Raises:
        ValueError: another model's, or damaged.
    """
    vocabulary = read_vocabulary(path)
    with safe_open(path, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118 (no mapping)
    image_tower = ImageTower()
    text_tower = TextTower(vocabulary.style, vocabulary.neutral)
    for prefix, tower in (("image.", image_tower), ("text.", text_tower)):
        state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        try:
            tower.load_state_dict(state)
        except RuntimeError as error:  # missing, unknown, or of another shape
            reason = " ".join(str(error).split())[:300]
            raise ValueError(f"{path} does not fit this tiny encoder: {reason}") from error
    return image_tower, text_tower


def _bounded(votes: Float[Tensor, "views channels height width"]) -> Float[Tensor, "views channels height width"]:
    """Each place's vote, kept in direction and squashed to a norm below sqrt(channels)."""
    votes = votes.float()
    return votes * (1 + votes.square().mean(1, keepdim=True)).rsqrt()
