"""The objective is its parts put together, starts finite, follows its generator, and styles a disc of pixels."""

import pytest
import torch
import tyro

from fasttext2style.guidance.augment import sample_backgrounds, sample_patch_grids, take_patches
from fasttext2style.guidance.objective import TextStyleConfig, TextStyleObjective
from fasttext2style.guidance.text_losses import nll_with_negatives


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def disc():
    """Three views of a grey disc, premultiplied on black, and its alphas."""
    places = (torch.arange(32) + 0.5) / 16 - 1
    alphas = ((places[None] ** 2 + places[:, None] ** 2) < 0.64).float()[None, :, :, None].expand(3, -1, -1, -1)
    shades = torch.tensor([0.4, 0.5, 0.6])[:, None, None, None]
    return (shades * alphas).expand(-1, -1, -1, 3).contiguous(), alphas.contiguous()


def gold(encoder, **settings) -> TextStyleObjective:
    return TextStyleObjective(TextStyleConfig(**settings), encoder, "gold")


def test_nll_is_put_together_from_its_parts(small_encoder, disc):
    images, alphas = disc
    objective = gold(small_encoder, loss="nll", patches_per_view=2, noise=0.0, text_weight=3.0)
    losses = objective(images, alphas, images, alphas, generator(7))

    draws = generator(7)
    grids = sample_patch_grids(alphas, 2, 32, (0.5, 1.0), 0.15, draws)
    backgrounds = sample_backgrounds(9, 32, ("black", "white", "grey", "noise"), draws)
    opacities = take_patches(alphas, grids, 32)
    embeddings = small_encoder.embed_images(take_patches(images, grids, 32) + (1 - opacities) * backgrounds)
    texts = torch.cat([small_encoder.embed_texts(["gold", *objective.negatives]), small_encoder.junk_embeddings()])
    assert losses.keys() == {"text"}
    torch.testing.assert_close(losses["text"], 3 * nll_with_negatives(embeddings, texts, 0.07))


@pytest.mark.parametrize(
    ("loss", "content", "names"),
    [
        ("nll", "none", {"text"}),
        ("cosine", "structure", {"text", "content"}),
        ("directional", "none", {"directional"}),
        ("nll+directional", "trunk", {"text", "directional", "content"}),
    ],
)
def test_losses_have_names_and_finite_gradients_from_the_very_first_step(small_encoder, disc, loss, content, names):
    images, alphas = disc
    objective = gold(small_encoder, loss=loss, content=content, noise=0.1)
    pixels = images.clone().requires_grad_()
    losses = objective(pixels, alphas, images, alphas, generator())
    assert losses.keys() == names
    sum(losses.values()).backward()
    assert torch.isfinite(pixels.grad).all()
    assert pixels.grad.abs().max() > 0


def test_the_directional_loss_compares_the_same_patches(small_encoder, disc):
    """Untouched images have gone nowhere, whatever patches and backgrounds were drawn: the loss is exactly 1."""
    images, alphas = disc
    objective = gold(small_encoder, loss="directional", directional_weight=2.0, noise=0.1)
    chosen = torch.tensor([2, 0])
    losses = objective(images[chosen], alphas[chosen], images[chosen], alphas[chosen], generator())
    assert losses["directional"].item() == pytest.approx(2.0, abs=1e-5)


def test_the_content_loss_of_untouched_images_is_0(small_encoder, disc):
    images, alphas = disc
    objective = gold(small_encoder, content="trunk", content_weight=5.0)
    assert objective(images, alphas, images, alphas, generator())["content"].item() == pytest.approx(0, abs=1e-5)


def test_the_generator_alone_decides_a_step(small_encoder, disc):
    images, alphas = disc
    objective = gold(small_encoder, noise=0.1)
    first, again, other = (objective(images, alphas, images, alphas, generator(seed))["text"] for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_similarity_is_the_cosine_of_each_view(small_encoder, disc):
    images, _ = disc
    objective = gold(small_encoder)
    expected = small_encoder.embed_images(images) @ small_encoder.embed_texts(["gold"])[0]
    torch.testing.assert_close(objective.similarity(images), expected)
    many = images.repeat(10, 1, 1, 1)  # more than one chunk
    torch.testing.assert_close(objective.similarity(many), expected.repeat(10))


def test_optimised_pixels_come_closer_to_the_prompt(small_encoder, disc):
    """With any encoder, even a random one: the loss's gradient points towards the text."""
    images, alphas = disc
    objective = gold(small_encoder, patches_per_view=1)
    pixels = images.clone().requires_grad_()
    optimizer = torch.optim.Adam([pixels], lr=0.02)
    draws = generator()
    for _ in range(15):
        optimizer.zero_grad()
        objective(pixels * alphas, alphas, images, alphas, draws)["text"].backward()
        optimizer.step()
    assert (objective.similarity(pixels.detach() * alphas) > objective.similarity(images) + 0.05).all()


def test_the_config_is_a_command_line():
    arguments = "--loss nll+directional --negatives wood stone --patch-scale 0.3 0.8 --content structure"
    config = tyro.cli(TextStyleConfig, args=arguments.split())
    assert config.loss == "nll+directional"
    assert config.negatives == ("wood", "stone")
    assert config.patch_scale == (0.3, 0.8)
    assert config.content == "structure"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_everything_follows_the_device(small_clip, disc):
    from fasttext2style.guidance.load import load_encoder

    encoder = load_encoder(*small_clip, "cuda")
    images, alphas = (part.cuda() for part in disc)
    objective = TextStyleObjective(TextStyleConfig(loss="nll+directional", content="trunk"), encoder, "gold", "cuda")
    losses = objective(images, alphas, images, alphas, torch.Generator("cuda").manual_seed(0))
    assert all(loss.is_cuda and torch.isfinite(loss) for loss in losses.values())
