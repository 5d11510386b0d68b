"""The frozen networks that grade an edit: text-image encoders and LPIPS, as far as their weights can be had."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.image_losses import LpipsContent
from fasttext2style.guidance.load import encoder_is_here, load_encoder, name_and_weights
from fasttext2style.guidance.offline.packages import INSTALL
from fasttext2style.plug_ins import NotTrusted

SECOND_ENCODERS = ("ViT-B-32:datacomp_xl_s13b_b90k", "offline", "tiny")
"""Encoders that grade beside the one that was optimised: the first that is another one and can be had."""


def second_judge(optimised: TextImageEncoder, prompt: str, device: str) -> TextImageEncoder | None:
    """An encoder that was not optimised and that is here at once: offline, and for offline's own work tiny.

    None without the extra of offline for all but it, or where the judge knows no word of the prompt.
    """
    name = "tiny" if optimised.name.startswith("offline") else "offline"
    if not encoder_is_here(name):
        return None
    judge = _judge(name, device)
    return judge if judge.coverage(prompt).known else None


@lru_cache(maxsize=2)
def _judge(name: str, device: str) -> TextImageEncoder:
    # Kept: a process that styles again has it at once.
    return load_encoder(name, device=device)


@dataclass
class Graders:
    """What grades, and what does not, with the reason."""

    optimised_spec: str | None = None
    """NAME or NAME:WEIGHTS of the encoder that the edit was optimised for, if any."""
    optimised: str | None = None
    """That encoder's own name, once it is loaded."""
    encoders: list[TextImageEncoder] = field(default_factory=list)
    specs: list[str] = field(default_factory=list)
    """NAME or NAME:WEIGHTS of each of them."""
    lpips: LpipsContent | None = None
    left_out: list[str] = field(default_factory=list)

    def add_usual_encoders(self, caption: str, device: str) -> None:
        """The encoder that was optimised, if any, and one other; what cannot be had is noted."""
        if self.optimised_spec is not None:
            self.add_encoder(self.optimised_spec, caption, device, required=False)
        wanted = len(self.encoders) + 1
        for spec in SECOND_ENCODERS:
            if spec != self.optimised_spec and len(self.encoders) < wanted:
                self.add_encoder(spec, caption, device, required=False)

    def add_encoder(self, spec: str, caption: str, device: str, required: bool) -> None:
        """Load NAME or NAME:WEIGHTS (a tag of open_clip or a file); NAME may be module:attribute.

        Raises:
            ValueError: it is `required` and cannot be had, or knows no word of the caption.
        """
        try:
            encoder = load_encoder(*name_and_weights(spec), torch.device(device))
        except NotTrusted:
            raise
        except ValueError:
            if required:
                raise
            way = INSTALL if spec == "offline" else "Another one: --encoders NAME:FILE"
            self.left_out.append(f"encoder {spec}: its weights are not here. {way}")
            return
        if encoder.coverage(caption).known:
            self.encoders.append(encoder)
            self.specs.append(spec)
            if spec == self.optimised_spec:
                self.optimised = encoder.name
        elif required:
            raise ValueError(f"Encoder {spec} knows no word of {caption!r}; give another --caption.")
        else:
            self.left_out.append(f"encoder {spec}: it knows no word of {caption!r}.")

    def add_lpips(self, weights: Path | None, device: str) -> None:
        """Load LPIPS from a file of torchvision's squeezenet1_1, or from torch's cache or the network.

        Raises:
            ValueError: the file is not there or another one.
        """
        try:
            self.lpips = LpipsContent(str(weights or ""), device)
        except ValueError:
            if weights is not None:
                raise
            self.left_out.append(
                "LPIPS: no weights of SqueezeNet 1.1 here; give torchvision's file with --lpips-weights."
            )
