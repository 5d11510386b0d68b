"""The objective is its parts put together, starts finite, follows its generator, and styles a disc of pixels."""

import math

import pytest
import torch
import tyro

from fasttext2style.guidance.encoder import Coverage
from fasttext2style.guidance.objective import TextStyleConfig, TextStyleObjective


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


class MiddlePixels:
    """An encoder of which everything is known: pictures are the colour in their middle, texts and junk are colours."""

    name, resolution = "middle pixels", 8
    texts = {"gold": (1.0, 0.0, 0.0), "grass": (0.0, 1.0, 0.0), "sky": (0.0, 0.0, 1.0), "a photo": (0.0, 0.0, 1.0)}

    def embed_texts(self, texts):
        return torch.tensor([self.texts[text] for text in texts])

    def embed_images(self, images):
        side = images.shape[1] // 2
        return torch.nn.functional.normalize(
            images[:, side - 1 : side + 1, side - 1 : side + 1].mean(dim=(1, 2)), dim=1
        )

    def image_features(self, images):
        return [images.movedim(-1, 1)]

    def junk_embeddings(self):
        return torch.tensor([[-1.0, 0.0, 0.0]])

    def coverage(self, text):
        return Coverage(known=tuple(text.split()), unknown=())


@pytest.mark.parametrize("patches", [0, 2])
@pytest.mark.parametrize(
    ("colors", "alpha", "cosines"),
    [
        # To gold, grass, sky and junk: of a red view, and of one that is more like grass than like gold.
        ([(1.0, 0.0, 0.0), (0.6, 0.8, 0.0)], 1.0, [(1.0, 0.0, 0.0, -1.0), (0.6, 0.8, 0.0, -0.6)]),
        # Half transparent red on white is (1, 0.5, 0.5), which is sqrt(1.5) long.
        ([(1.0, 0.0, 0.0)], 0.5, [(1.0 / 1.5**0.5, 0.5 / 1.5**0.5, 0.5 / 1.5**0.5, -1.0 / 1.5**0.5)]),
    ],
    ids=["opaque", "before white"],
)
def test_nll_is_that_of_algorithm_2_by_hand(colors, alpha, cosines, patches):
    """-log(exp(cos(image, prompt) / t) / sum over the prompt, its negatives and junk of exp(cos / t)), the mean of it
    over views and patches, times its weight."""
    images = alpha * torch.tensor(colors)[:, None, None].expand(-1, 16, 16, -1)
    alphas = torch.full((len(colors), 16, 16, 1), alpha)
    config = TextStyleConfig(
        **{"loss": "nll", "negatives": ("grass", "sky"), "temperature": 0.5, "text_weight": 3.0},
        **{"patches_per_view": patches, "noise": 0.0, "backgrounds": ("white",)},
    )
    losses = TextStyleObjective(config, MiddlePixels(), "gold")(images, alphas, images, alphas, generator())
    each = [-math.log(math.exp(row[0] / 0.5) / sum(math.exp(cosine / 0.5) for cosine in row)) for row in cosines]
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx({"text": 3 * sum(each) / len(each)})


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


@pytest.mark.parametrize("settings", [{"negatives": ("grass", "bl\udcfc")}, {"source_text": "bl\udcfc"}])
def test_texts_that_are_none_are_refused_before_anything_is_loaded(settings):
    with pytest.raises(ValueError, match=r"A text of the objective holds '\\udcfc' at character 3.*UTF-8"):
        TextStyleConfig(**settings).check()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_everything_follows_the_device(small_clip, disc):
    from fasttext2style.guidance.load import load_encoder

    encoder = load_encoder(*small_clip, "cuda")
    images, alphas = (part.cuda() for part in disc)
    objective = TextStyleObjective(TextStyleConfig(loss="nll+directional", content="trunk"), encoder, "gold", "cuda")
    losses = objective(images, alphas, images, alphas, torch.Generator("cuda").manual_seed(0))
    assert all(loss.is_cuda and torch.isfinite(loss) for loss in losses.values())
