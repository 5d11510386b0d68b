"""How a name becomes an encoder, and whether it can."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import torch

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.offline.packages import INSTALL, offline_is_here
from fasttext2style.guidance.weights import CLIP, clip_is_here
from fasttext2style.plug_ins import PlugIns
from fasttext2style.terminal.console import say

PLUG_INS = PlugIns("encoder")

ENCODERS = {
    "tiny": "fasttext2style.guidance.tiny_encoder:TinyEncoder",
    "offline": "fasttext2style.guidance.offline.encoder:OfflineEncoder",
    "panorama": "fasttext2style.guidance.offline.panorama:PanoramaEncoder",
    "panorama-vae": "fasttext2style.guidance.offline.panorama:panorama_vae_encoder",
}
"""Our own beside open_clip's: a name, and a class that is made with `device`, and `weights` if there are any."""


AUTO = "auto"


def load_encoder(name: str, weights: str | None = None, device: torch.device | str = "cpu") -> TextImageEncoder:
    """Load an encoder, frozen and in eval mode.

    `name` is one of
    - "tiny": embedded in this package, knows colours and materials, needs no download;
    - "offline": things, patterns, materials and colours, by packages that are an optional extra; "offline-224" looks at
      224 pixels a side (96 to 224);
    - "panorama": words of places, weather and times of day, by the same packages and what was tuned on panoramas;
      "panorama-vae" was tuned on what a VAE leaves of them;
    - "auto": see `chosen_encoder`; says which it takes;
    - any model name of open_clip;
    - an entry point of the group "fasttext2style.encoders";
    - "module:attribute", a class or function that is called with `device`, and with `weights` if they are given, and
      returns a `TextImageEncoder`.

    `weights` is a path to a file, a tag of open_clip, or None for the model's default.

    Raises:
        ValueError: unknown model, unknown tag, weights that cannot be had or do not fit; says what to do instead.
    """
    if name == AUTO:
        name, why = chosen_encoder(weights)
        say(why)
    sized = re.fullmatch(r"(offline)-(\d{1,5})", name)
    ours = ENCODERS.get(sized[1] if sized else name)
    factory = _imported(ours) if ours else PLUG_INS.find(name)
    if factory is None:
        from fasttext2style.guidance.open_clip_encoder import load_open_clip_encoder

        return load_open_clip_encoder(name, weights, device)
    arguments = {"device": device} | ({"weights": weights} if weights else {})
    if sized:
        arguments |= {"resolution": int(sized[2])}
    return PLUG_INS.make(name, factory, TextImageEncoder, **arguments)


def _imported(ours: str) -> Callable[..., TextImageEncoder]:
    """A class of this package, whoever names it: runs of others may use what is packaged."""
    module, _, name = ours.partition(":")
    return getattr(import_module(module), name)


class Choice(NamedTuple):
    """An encoder, and why it is this one, for the user."""

    name: str
    why: str


def chosen_encoder(weights: str | None = None, of_panoramas: bool = False) -> Choice:
    """The best encoder that can be had without a network: CLIP, else "offline" ("panorama"), else "tiny".

    Args:
        weights: a file or a tag of CLIP's; given, CLIP is what is meant.
        of_panoramas: to be shown panoramas.
    """
    if weights or clip_is_here():
        return Choice(CLIP, f"Encoder {CLIP}: its weights are on this machine.")
    ours = "panorama" if of_panoramas else "offline"
    if offline_is_here():
        return Choice(ours, f"Encoder {ours}: its packages are installed, and no weights of {CLIP} are here.")
    return Choice("tiny", f"Encoder tiny: neither weights of {CLIP} are here nor the packages of {ours} ({INSTALL}).")


def encoder_is_here(name: str, weights: str | None = None) -> bool:
    """Whether an encoder can be loaded from this machine; else its weights would be downloaded first.

    Raises:
        ValueError: as `load_encoder`, but for weights that do not fit.
    """
    if name in ("panorama", "panorama-vae") or re.fullmatch(r"offline(-\d+)?", name):
        return offline_is_here()
    if name in (AUTO, *ENCODERS) or PLUG_INS.find(name) is not None:
        return True
    from fasttext2style.guidance.open_clip_encoder import open_clip_encoder_is_here

    return open_clip_encoder_is_here(name, weights)


def name_and_weights(text: str) -> tuple[str, str | None]:
    """Of NAME, NAME:WEIGHTS, module:attribute or module:attribute:WEIGHTS, as `load_encoder` takes them."""
    first, _, rest = text.partition(":")
    if first not in (AUTO, *ENCODERS) and rest and _is_module(first):
        attribute, _, rest = rest.partition(":")
        first = f"{first}:{attribute}"
    return first, rest or None


def _is_module(name: str) -> bool:
    try:
        # Of the package alone: to look for a.b, a is imported, which `PlugIns.find` decides about.
        return find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):  # no name of a module at all
        return False
