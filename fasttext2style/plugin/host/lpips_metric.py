"""LPIPS of nerfstudio's eval steps and of ns-eval: made when it is asked for, never fetched unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from fasttext2style.terminal.console import say

WEIGHTS = "alexnet-owt-7be5be79.pth"
"""Of torchvision's AlexNet, in torch's cache."""


class LpipsMetric:
    """Holds torchmetrics' LPIPS (AlexNet). No module itself: frozen networks stay out of checkpoints and of train()."""

    def __init__(self, wanted: Literal["auto", "on", "off"]) -> None:
        self.wanted = wanted
        self._network: nn.Module | None = None
        self._said_it_is_missing = False

    def network(self, device: torch.device) -> nn.Module | None:
        """Made at the first call; None without its weights, unless asked for.

        Raises:
            ValueError: asked for by "on", and the weights can neither be found nor fetched.
        """
        if self._network is not None:
            return self._network
        cached = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
        if self.wanted == "off" or (self.wanted == "auto" and not cached.is_file()):
            if self.wanted == "auto" and not self._said_it_is_missing:
                say(f"LPIPS is left out: its AlexNet weights are not in {cached.parent}.")
                self._said_it_is_missing = True
            return None
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        try:
            network = LearnedPerceptualImagePatchSimilarity(normalize=True)
        except OSError as error:
            raise ValueError(
                f"LPIPS was asked for (lpips_metric=on), but its AlexNet weights cannot be fetched: {error}. "
                f"Put {WEIGHTS} into {cached.parent}, or leave lpips_metric at auto."
            ) from error
        self._network = network.to(device).eval().requires_grad_(False)
        return self._network
