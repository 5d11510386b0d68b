"""Any model of open_clip as a `TextImageEncoder`. The only file that imports open_clip, and only inside functions:
the import alone takes five seconds.

Default: ViT-B-32 with the `laion2b_s34b_b79k` weights. ViT-B/32 is the paper's model and the cheapest real CLIP per
image (50 tokens; ViT-B-16 costs four times as much). The weights are MIT-licensed, classify ImageNet better than
OpenAI's (66.6 % against 63.3 %, open_clip's table), and their training set was not filtered towards everyday objects
like DataComp's (`datacomp_xl_s13b_b90k`, 69.2 %), which is why we expect them to know more styles; we have not
measured that. DataComp's make a good second encoder for reports.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.encoder import Coverage
from fasttext2style.guidance.prompts import JUNK_TEXTS, TEMPLATES
from fasttext2style.guidance.weights import CLIP, CLIP_REPOSITORIES, reachable

DEFAULT_WEIGHTS = {CLIP: next(iter(CLIP_REPOSITORIES))}

WAYS_OUT = (
    "Two ways out: `--encoder tiny` uses the embedded encoder (colours and materials, no download); "
    "`--encoder-weights /path/to/file` reads weights that you downloaded elsewhere."
)


def load_open_clip_encoder(name: str, weights: str | None, device: torch.device | str) -> OpenClipEncoder:
    """Load open_clip model `name` with `weights`: a tag, a path (.safetensors, .pt, .bin), or None for the default.

    Tags whose weights were trained with QuickGELU (`openai`, `metaclip_*`) get it, under whichever name the model was
    asked for. A path carries no such sign: OpenAI's own file needs the name "ViT-B-32-quickgelu".

    Raises:
        ValueError: see `load_encoder`.
    """
    if config := _config_known_here(name, weights):
        _check_can_be_had(name, weights or DEFAULT_WEIGHTS[CLIP], config)
    import open_clip

    name = _known(name)
    source, quick_gelu = _find_weights(name, weights)
    try:
        model = open_clip.create_model(name, pretrained=source, force_quick_gelu=quick_gelu, device=device)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # open_clip lets through whatever torch, safetensors, the hub or a tokenizer raise
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"Encoder {name} could not be loaded with weights {source!r}: {reason}. {WAYS_OUT}") from error
    return OpenClipEncoder(model, tokenizer, f"{name} ({Path(source).name if Path(source).is_file() else source})")


def open_clip_encoder_is_here(name: str, weights: str | None) -> bool:
    """Whether an encoder's weights lie on this machine; else they would be downloaded.

    Raises:
        ValueError: see `load_encoder`.
    """
    if config := _config_known_here(name, weights):
        _check_can_be_had(name, weights or DEFAULT_WEIGHTS[CLIP], config)
        return _in_cache(config)
    import open_clip

    name = _known(name)
    source, _ = _find_weights(name, weights)
    return Path(source).is_file() or _in_cache(open_clip.get_pretrained_cfg(name, source))


class OpenClipEncoder:
    """A frozen open_clip model. Texts are averaged over `TEMPLATES`, renormalised and kept in memory."""

    def __init__(self, model: Any, tokenizer: Any, name: str):
        """`model` and `tokenizer` as open_clip makes them (CLIP, CustomTextCLIP, CoCa share no typed interface)."""
        self.name = name
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        size = model.visual.image_size
        self.resolution = int(size[0] if isinstance(size, (tuple, list)) else size)
        preprocess = getattr(model.visual, "preprocess_cfg", {})
        device = next(model.parameters()).device
        self._mean = torch.tensor(preprocess.get("mean", (0.5, 0.5, 0.5)), device=device)
        self._std = torch.tensor(preprocess.get("std", (0.5, 0.5, 0.5)), device=device)
        self._texts: dict[str, Tensor] = {}

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> Float[Tensor, "texts embedding"]:
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        for start in range(0, len(new), 32):
            chunk = new[start : start + 32]
            tokens = self._tokenizer([template.format(text) for text in chunk for template in TEMPLATES])
            embeddings = F.normalize(self._model.encode_text(tokens.to(self._mean.device)).float(), dim=-1)
            averages = F.normalize(embeddings.unflatten(0, (len(chunk), len(TEMPLATES))).mean(1), dim=-1)
            self._texts.update(zip(chunk, averages))
        return torch.stack([self._texts[text] for text in texts])

    def embed_images(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        return F.normalize(self._model.encode_image(self._as_input(images)).float(), dim=-1)

    def image_features(self, images: Float[Tensor, "views height width 3"]) -> list[Float[Tensor, "views c h w"]]:
        """Maps after a quarter and a half of the blocks: what is where, before it becomes what it means."""
        trunk = self._model.visual
        if not hasattr(trunk, "forward_intermediates"):
            raise ValueError(f"Encoder {self.name} shows no inner feature maps; choose content 'structure' or 'lpips'.")
        blocks = len(trunk.transformer.resblocks) if hasattr(trunk, "transformer") else 4
        indices = sorted({max(blocks // 4 - 1, 0), max(blocks // 2 - 1, 0)})
        output = trunk.forward_intermediates(
            self._as_input(images), indices=indices, stop_early=True, intermediates_only=True, output_fmt="NCHW"
        )
        return [features.float() for features in output["image_intermediates"]]

    def junk_embeddings(self) -> Float[Tensor, "junk embedding"]:
        return self.embed_texts(list(JUNK_TEXTS))

    def coverage(self, text: str) -> Coverage:
        """Every word is known: byte-pair encoding spells whatever it has not seen as a whole."""
        return Coverage(known=tuple(re.findall(r"\w+", text.lower())), unknown=())

    def _as_input(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views 3 side side"]:
        pixels = images.permute(0, 3, 1, 2)
        if pixels.shape[-2:] != (self.resolution, self.resolution):
            # Antialiased, or up to four of five pixels would get no gradient. Squashes what is not square.
            size = (self.resolution, self.resolution)
            pixels = F.interpolate(pixels, size, mode="bicubic", align_corners=False, antialias=True)
        return (pixels - self._mean[:, None, None]) / self._std[:, None, None]


def _known(name: str) -> str:
    """open_clip's spelling of a model's name."""
    import open_clip

    name = name.replace("/", "-")  # OpenAI's spelling, ViT-B/32
    if name not in open_clip.list_models():
        close = difflib.get_close_matches(name, ["tiny", *open_clip.list_models()], n=4, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else "`open_clip.list_models()` lists what there is."
        raise ValueError(f"There is no encoder called {name!r}. {hint}")
    return name


def _find_weights(name: str, weights: str | None) -> tuple[str, bool]:
    """What to hand to open_clip as `pretrained`, and whether to force QuickGELU; fails fast when it cannot be had."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    if weights is None:
        weights = DEFAULT_WEIGHTS.get(name) or (tags[0] if len(tags) == 1 else None)
        if weights is None:
            raise ValueError(f"Encoder {name} comes with several weights: choose --encoder-weights from {tags}.")
    if Path(weights).is_file():
        return weights, False
    if weights not in tags:
        close = difflib.get_close_matches(weights, tags, n=3, cutoff=0.4) or tags
        raise ValueError(
            f"Weights {weights!r} are neither a file nor a tag of {name}. Its tags: {', '.join(close) or 'none'}."
        )
    config = open_clip.get_pretrained_cfg(name, weights)
    _check_can_be_had(name, weights, config)
    return weights, bool(config.get("quick_gelu"))


def _config_known_here(name: str, weights: str | None) -> dict[str, str] | None:
    """What open_clip says of where weights lie, if it can be said without its import, which takes seconds."""
    repository = CLIP_REPOSITORIES.get(weights or DEFAULT_WEIGHTS[CLIP]) if name.replace("/", "-") == CLIP else None
    return {"hf_hub": f"{repository}/"} if repository else None


def _check_can_be_had(name: str, weights: str, config: dict) -> None:
    if not _in_cache(config) and not _hub_reachable(config):
        raise ValueError(
            f"The weights {weights!r} of encoder {name} are not on this machine and cannot be downloaded "
            f"(the hub did not answer). {WAYS_OUT}"
        )


def _in_cache(config: dict) -> bool:
    from huggingface_hub import try_to_load_from_cache

    if not config.get("hf_hub"):
        return (Path("~/.cache/clip").expanduser() / Path(config.get("url", "none")).name).is_file()
    repository, _, file = config["hf_hub"].rpartition("/")
    candidates = [file] if file else ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    return any(isinstance(try_to_load_from_cache(repository, candidate), str) for candidate in candidates)


def _hub_reachable(config: dict) -> bool:
    from huggingface_hub import constants

    if config.get("hf_hub"):
        return not constants.HF_HUB_OFFLINE and reachable(constants.ENDPOINT)
    return reachable(config.get("url", ""))
