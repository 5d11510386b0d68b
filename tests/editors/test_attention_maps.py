"""Attention is read beside what the network computes, and means something only over content words."""

from __future__ import annotations

import pytest
import torch
from tiny_pipelines import tiny_unet

from fasttext2style.editors.diffusion.attention_maps import AttentionMaps, reading_attention

TOKENS = 7


def inputs(samples: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(samples, 8, 16, 12, generator=generator)
    return latents, torch.randn(samples, TOKENS, 32, generator=generator)


def run(unet, latents, texts):
    return unet(latents, 500, encoder_hidden_states=texts, return_dict=False)[0]


def content(*tokens: int, samples: int = 2) -> torch.Tensor:
    chosen = torch.zeros(samples, TOKENS, dtype=torch.bool)
    chosen[:, list(tokens)] = True
    return chosen


@torch.no_grad()
def test_reading_leaves_the_output_as_it_was_to_the_bit():
    unet, (latents, texts) = tiny_unet(), inputs()
    before, processors = run(unet, latents, texts), dict(unet.attn_processors)
    maps = AttentionMaps(content(1))
    with reading_attention(unet, maps):
        assert torch.equal(run(unet, latents, texts), before)
    assert unet.attn_processors == processors
    assert maps.mean(16, 12).shape == (2, 16, 12)


@torch.no_grad()
def test_a_map_is_the_softmax_of_queries_and_keys():
    """By the definition: hooks on the projections, and a plain loop over heads."""
    torch.manual_seed(0)
    unet, (latents, texts) = tiny_unet(), inputs(samples=1)
    layers = {name: module for name, module in unet.named_modules() if name.endswith(".attn2")}
    seen: dict[str, dict[str, torch.Tensor]] = {name: {} for name in layers}
    for name, layer in layers.items():
        for part in ("to_q", "to_k"):
            getattr(layer, part).register_forward_hook(
                lambda module, given, output, name=name, part=part: seen[name].__setitem__(part, output[0])
            )
    run(unet, latents, texts)
    expected = []
    for name, layer in layers.items():
        queries, keys = seen[name]["to_q"].double(), seen[name]["to_k"].double()
        width, total = queries.shape[1] // layer.heads, torch.zeros(len(queries), dtype=torch.float64)
        for head in range(layer.heads):
            part = slice(head * width, (head + 1) * width)
            weights = (queries[:, part] @ keys[:, part].T / width**0.5).softmax(-1)
            total += weights[:, [2, 4]].mean(-1) / layer.heads
        expected.append(total.view(16, 12) if len(total) == 192 else total.view(8, 6))
    # Of this network's layers the one in the middle has half of the latents' sides; the others see every pixel.
    (half,) = (one for one in expected if one.shape == (8, 6))
    enlarged = torch.nn.functional.interpolate(half[None, None], (16, 12), mode="bilinear")[0, 0]
    maps = AttentionMaps(content(2, 4, samples=1))
    with reading_attention(unet, maps):
        run(unet, latents, texts)
    torch.testing.assert_close(maps.mean(16, 12)[0].double(), enlarged, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_the_mean_over_all_tokens_is_the_same_number_everywhere():
    """What the paper's equation 3 says literally cannot be learned from; over content words it can."""
    unet, (latents, texts) = tiny_unet(), inputs()
    for tokens, varies in ((range(TOKENS), False), ((1, 3), True)):
        maps = AttentionMaps(content(*tokens))
        with reading_attention(unet, maps):
            run(unet, latents, texts)
        spread = maps.mean(16, 12).std() / maps.mean(16, 12).mean()
        assert (spread > 1e-4) == varies


@torch.no_grad()
def test_only_the_rows_with_the_instruction_are_read():
    unet, (latents, texts) = tiny_unet(), inputs(samples=3)
    alone, among = AttentionMaps(content(1, samples=1)), AttentionMaps(content(1, samples=1), first=2)
    with reading_attention(unet, alone):
        run(unet, latents[2:], texts[2:])
    with reading_attention(unet, among):
        run(unet, latents, texts)
    torch.testing.assert_close(alone.mean(16, 12), among.mean(16, 12))


@torch.no_grad()
def test_several_evaluations_are_averaged():
    unet, (latents, texts) = tiny_unet(), inputs()
    lots = []
    for factor in (1.0, 3.0):
        maps = AttentionMaps(content(1))
        with reading_attention(unet, maps):
            run(unet, factor * latents, texts)
        lots.append(maps.mean(16, 12))
    both = AttentionMaps(content(1))
    with reading_attention(unet, both):
        run(unet, latents, texts)
        run(unet, 3.0 * latents, texts)
    torch.testing.assert_close(both.mean(16, 12), torch.stack(lots).mean(0))


def test_nothing_read_is_said():
    with pytest.raises(ValueError, match="No cross-attention"):
        AttentionMaps(content(1)).mean(4, 4)
