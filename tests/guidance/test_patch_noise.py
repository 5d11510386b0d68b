"""Patches are looked at under noise of the strength that was asked for."""

import torch

from fasttext2style.guidance.objective import TextStyleConfig, TextStyleObjective
from fasttext2style.guidance.tiny_encoder import TinyEncoder


class Watched(TinyEncoder):
    """Keeps what it is shown."""

    def embed_images(self, images):
        self.shown = images.detach()
        return super().embed_images(images)


def shown(noise: float) -> torch.Tensor:
    encoder = Watched()
    objective = TextStyleObjective(
        TextStyleConfig(noise=noise, patches_per_view=40, backgrounds=("grey",)), encoder, "gold"
    )
    # Grey on grey: whatever differs from 0.5 in a patch is noise.
    images, alphas = torch.full((2, 48, 48, 3), 0.5), torch.ones(2, 48, 48, 1)
    objective(images, alphas, images, alphas, torch.Generator().manual_seed(1))
    return encoder.shown - 0.5


def test_without_noise_a_patch_is_what_was_rendered():
    assert float(shown(0.0).abs().max()) < 1e-5


def test_each_patch_has_its_own_strength_of_noise_up_to_the_one_asked_for():
    """Deviations are drawn evenly from 0 to 0.2: their mean is 0.1, none is above, and they are not all alike."""
    noise = shown(0.2)
    deviations = noise.flatten(1).std(dim=1)
    assert float(noise.mean().abs()) < 0.005
    assert abs(float(deviations.mean()) - 0.1) < 0.02
    assert float(deviations.max()) < 0.2 * 1.05 and float(deviations.min()) < 0.03
