"""Panoramas in the light of a word: its colours, and what stands there."""

from pathlib import Path

import torch

from fasttext2style.envmaps.folder import Captioned
from fasttext2style.envmaps.looks import PAINTED
from fasttext2style.envmaps.relit import relit, said_of_relit
from fasttext2style.envmaps.tones import luminance


def test_words_have_the_colours_that_everybody_knows():
    panorama = 0.05 + 0.3 * torch.rand(1, 16, 32, 3, generator=torch.Generator().manual_seed(0))
    shown = {name: relit(panorama, look)[0] for name, look in PAINTED.items()}
    red, _, blue = shown["sunset"][5:8].mean((0, 1))
    assert red > 2 * blue, "a warm horizon"
    assert float(luminance(shown["night"]).max()) < 0.15 and float(luminance(shown["snow"]).min()) > 0.3
    assert shown["sunny day"][0].mean(0)[2] > 2 * shown["sunny day"][0].mean(0)[0], "a blue zenith"
    red, green, blue = shown["beach"][-4:].mean((0, 1))
    assert red > green > blue, "sand"
    green = shown["forest"].mean((0, 1))
    assert green[1] > green[0] and green[1] > green[2]


def test_what_stands_there_stays():
    panorama = torch.full((1, 16, 32, 3), 0.18)
    panorama[0, 8:12, 4:8] = 0.02
    for look in PAINTED.values():
        shine = luminance(relit(panorama, look)[0])
        assert float(shine[10, 6]) < 0.7 * float(shine[10, 20])


def test_what_is_said_is_no_longer_of_the_old_light():
    one = Captioned(Path("a.hdr"), tags=("park",), categories=("midday", "clear", "outdoor"))
    said = said_of_relit(one, PAINTED["night"])
    assert "night" in said and "night, park, outdoor" in said
    assert not any("midday" in text or "clear" in text for text in said)
