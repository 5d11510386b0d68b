"""With the embedded encoder the objective does what it is for: pixels take on the colour that the prompt names."""

import pytest
import torch

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.objective import TextStyleConfig, TextStyleObjective


@pytest.fixture(scope="module")
def tiny():
    return load_encoder("tiny")


def styled_disc(tiny: TextImageEncoder, prompt: str, **settings) -> torch.Tensor:
    """[pixels, 3] colours of a coarse, shaded grey disc after 40 steps."""
    places = (torch.arange(64) + 0.5) / 32 - 1
    alphas = ((places[None] ** 2 + places[:, None] ** 2) < 0.7).float()[None, :, :, None]
    grey = 0.5 + 0.1 * torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).mean(1, keepdim=True)
    cells = grey.expand(-1, 3, -1, -1).clone().requires_grad_()

    def picture() -> torch.Tensor:
        smooth = torch.nn.functional.interpolate(cells, (64, 64), mode="bilinear", align_corners=False)
        return smooth.permute(0, 2, 3, 1).clamp(0, 1) * alphas

    originals = picture().detach()
    objective = TextStyleObjective(TextStyleConfig(**settings), tiny, prompt)
    before = objective.similarity(originals)
    optimizer = torch.optim.Adam([cells], lr=0.03)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        optimizer.zero_grad()
        sum(objective(picture(), alphas, originals, alphas, generator).values()).backward()
        optimizer.step()
    assert objective.similarity(picture().detach()) > before
    return picture().detach()[alphas[..., 0] > 0]


def test_a_red_bear_is_red_everywhere(tiny):
    red, green, blue = styled_disc(tiny, "a red bear").T
    assert red.mean() > 0.5 and green.mean() < 0.25 and blue.mean() < 0.25
    assert ((red > 0.3) & (green < 0.35) & (blue < 0.35)).float().mean() > 0.97


@pytest.mark.parametrize(
    ("prompt", "channel", "weight"),
    [
        *[("red", 0, 1000.0), ("a green bear", 1, 0.0), ("blue", 2, 1000.0)],
        *[
            pytest.param(*others, marks=pytest.mark.slow)
            for others in (("red", 0, 0.0), ("a green bear", 1, 1000.0), ("blue", 2, 0.0))
        ],
    ],
)
def test_a_grey_disc_takes_on_the_prompts_colour(tiny, prompt, channel, weight):
    color = styled_disc(tiny, prompt, color_weight=weight).mean(0)
    others = [color[other] for other in range(3) if other != channel]
    assert color[channel] > max(others) + 0.15


def test_keeping_the_structure_does_not_keep_the_colour(tiny):
    red, green, blue = styled_disc(tiny, "red", content="structure").mean(0).tolist()
    assert red > max(green, blue) + 0.15


def test_a_plain_colour_is_not_looked_for_by_the_networks(tiny, monkeypatch):
    """It is put on as it is: a step has nothing else to reckon."""
    plain, other = (TextStyleObjective(TextStyleConfig(), tiny, prompt) for prompt in ("a red bear", "gold"))
    monkeypatch.setattr(tiny.image_tower, "forward", None)
    pictures = (torch.rand(1, 16, 16, 3), torch.ones(1, 16, 16, 1)) * 2
    assert set(plain(*pictures, torch.Generator())) == {"colors"}
    with pytest.raises(TypeError):
        other(*pictures, torch.Generator())


@pytest.mark.parametrize("loss", ["cosine", "directional", "nll+directional"])
def test_a_loss_that_was_asked_for_is_heard_of_a_plain_colour_too(tiny, loss):
    objective = TextStyleObjective(TextStyleConfig(loss=loss), tiny, "a red bear")
    images = torch.rand(1, 16, 16, 3, requires_grad=True)
    losses = objective(images, torch.ones(1, 16, 16, 1), images.detach(), torch.ones(1, 16, 16, 1), torch.Generator())
    text = sum(value for name, value in losses.items() if name != "colors")
    assert torch.autograd.grad(text, images)[0].abs().max() > 0


@pytest.mark.parametrize("prompt", ["a golden bear", "a red wooden bear", "a red and blue bear", "a bear"])
def test_only_a_plain_colour_is_put_on_as_it_is(tiny, prompt):
    assert tiny.palette(prompt) is None


def test_the_embedding_of_patterns_is_the_same_and_moves_lightness_alone(tiny):
    picture = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    embedded = tiny.embed_patterns(picture)
    assert torch.equal(embedded, tiny.embed_images(picture))
    (gradient,) = torch.autograd.grad(embedded[0, 0], picture)
    assert gradient.abs().max() > 0 and torch.equal(gradient, gradient[..., :1].expand_as(gradient))


def test_negatives_of_the_tiny_encoder_are_style_words(tiny):
    """Words it never saw match no picture: as negatives they would push nowhere."""
    objective = TextStyleObjective(TextStyleConfig(), tiny, "a golden bear")
    assert len(objective.negatives) == 9
    assert all(tiny.coverage(word).known for word in objective.negatives)


def test_prompts_it_cannot_serve_say_what_it_knows(tiny):
    with pytest.raises(ValueError, match=r"knows no word.*for example: "):
        TextStyleObjective(TextStyleConfig(), tiny, "a xylophone")
    assert "xylophone" in TextStyleObjective(TextStyleConfig(), tiny, "a golden xylophone").warning
