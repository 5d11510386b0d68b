"""A panorama is edited by a sentence: it comes to fit it, without a seam, and its sun stays."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.gains import total_variation
from fasttext2style.envmaps.inversion import PanoramaEdit, random_look, rate_factor, working_rows
from fasttext2style.envmaps.seam import seam_ratio
from fasttext2style.envmaps.sphere import directions
from fasttext2style.envmaps.tones import to_display
from fasttext2style.guidance.tiny_encoder import TinyEncoder

SUN = 5000.0


@pytest.fixture(scope="module")
def encoder():
    return TinyEncoder()


@pytest.fixture(scope="module")
def panorama():
    """A blue sky, brown ground, soft clouds that know no border, and a sun."""
    along = directions(96, 192).float()
    up = along[..., 2:]
    sky, ground = torch.tensor([0.25, 0.45, 0.9]), torch.tensor([0.25, 0.18, 0.1])
    light = torch.where(up > 0, sky, ground) * (1 + 0.3 * (9 * along[..., :1]).sin() * (7 * along[..., 1:2]).cos())
    sun = torch.nn.functional.normalize(torch.tensor([1.0, 0.5, 0.8]), dim=0)
    return torch.where((along @ sun)[..., None] > math.cos(math.radians(2.5)), SUN, light)


def _edit(panorama, encoder, prompt="gold", **settings):
    edit = PanoramaEdit(panorama, prompt, encoder, EditSettings(**{"steps": 12, "crops": 3, "rate": 0.2} | settings))
    for _ in range(edit.settings.steps):
        edit.step()
    return edit


@pytest.fixture(scope="module")
def golden(panorama, encoder):
    return _edit(panorama, encoder)


def test_it_comes_to_fit_the_sentence_and_the_picture_says_so(golden, panorama):
    assert golden.similarity() > golden.similarity(0.0) + 0.1
    changed = panorama.clone()
    golden.apply(changed)
    red, _, blue = (to_display(changed, golden.exposure_stops) - to_display(panorama, golden.exposure_stops)).mean(
        (0, 1)
    )
    assert red - blue > 0.03, "gold is warmer than a blue sky"
    assert changed.shape == panorama.shape and bool((changed >= 0).all())


def test_there_is_no_seam(golden, panorama):
    changed = panorama.clone()
    golden.apply(changed)
    assert seam_ratio(to_display(panorama, golden.exposure_stops)) <= 1.1, "the source has none"
    assert seam_ratio(to_display(changed, golden.exposure_stops)) <= 1.1


def test_the_suns_energy_survives_and_is_measured(golden, panorama):
    changed = panorama.clone()
    light = golden.apply(changed)
    suns = panorama[..., 0] == SUN
    assert suns.any() and torch.equal(changed[suns], panorama[suns])
    assert light.lamps_after == pytest.approx(light.lamps_before) and light.lamps_before > 0.5 * light.before
    assert light.after != light.before and "100.0% stayed" in str(light)


def test_strength_nothing_changes_no_bit_and_half_lies_between(golden, panorama):
    untouched, half, whole = (panorama.clone() for _ in range(3))
    golden.apply(untouched, 0.0)
    assert torch.equal(untouched, panorama)
    golden.apply(half, 0.5)
    golden.apply(whole)
    assert 0 < float((half - panorama).abs().mean()) < float((whole - panorama).abs().mean())


def test_a_seed_decides_everything(panorama, encoder):
    one, same, other = (_edit(panorama, encoder, steps=2, seed=seed).seen() for seed in (3, 3, 4))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_pixels_by_themselves_are_noisier_than_the_pyramid(golden, panorama, encoder):
    """The paper's failing baseline: the loss falls, and what comes is no picture."""
    pixels = _edit(panorama, encoder, variables="pixels", smooth=0.0)
    assert pixels.similarity() > pixels.similarity(0.0)

    def roughness(edit):
        change = edit.seen() - edit.seen(0.0)
        return float(total_variation(change)) / float(change.abs().mean())

    assert roughness(pixels) > 2 * roughness(golden)


def test_the_original_stays_as_much_as_it_is_asked_for(golden, panorama, encoder):
    held = _edit(panorama, encoder, keep=5.0)
    change, little = (float((edit.seen() - edit.seen(0.0)).abs().mean()) for edit in (golden, held))
    assert little < 0.5 * change


@pytest.mark.parametrize("loss", ["nll", "directional", "cosine+directional"])
def test_other_losses_go_the_same_way(panorama, encoder, loss):
    edit = _edit(panorama, encoder, loss=loss, steps=8)
    assert edit.similarity() > edit.similarity(0.0) + 0.02


def test_views_are_the_whole_map_turned_and_crops(encoder):
    """A panorama that says its azimuth: turned views say another one, and see it all."""
    rows = working_rows(encoder)
    assert rows == 128
    azimuth = (torch.arange(2 * rows) / (2 * rows)).expand(rows, -1)[..., None].expand(-1, -1, 3)
    look = random_look(2, 64, rows, torch.Generator().manual_seed(0))
    views = look(azimuth)
    assert views.shape == (3, 64, 64, 3)
    assert torch.equal(look(azimuth), views), "the same views at every call"
    assert float(views[0].max()) > 0.96 and float(views[0].min()) < 0.04
    assert abs(float(views[0, 0, 0, 0]) - 0.5 / 64) > 0.02, "not turned"
    assert len(random_look(0, 64, rows, torch.Generator())(azimuth)) == 1


@given(st.integers(1, 400), st.data())
def test_the_rate_rises_and_falls_and_is_never_nothing(steps, data):
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < rate_factor(step, steps) <= 1


def test_the_rate_is_whole_in_the_middle():
    assert rate_factor(50, 100) == 1.0 and rate_factor(0, 100) < 0.3 and rate_factor(99, 100) < 0.1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "--steps"),
        ({"crops": -1}, "--crops"),
        ({"rate": 0.0}, "--rate"),
        ({"rate": math.nan}, "--rate"),
        ({"keep": -1.0}, "--keep"),
        ({"smooth": math.inf}, "--smooth"),
        ({"temperature": 0.0}, "--temperature"),
        ({"loss": "nil"}, "nil"),
    ],
)
def test_settings_out_of_range_are_refused(panorama, encoder, settings, said):
    with pytest.raises(ValueError, match=said):
        PanoramaEdit(panorama, "gold", encoder, EditSettings(**settings))


@pytest.mark.parametrize(("prompt", "said"), [("", "no sentence"), ("  ", "no sentence"), ("sunset", "knows no word")])
def test_sentences_that_say_nothing_are_refused(panorama, encoder, prompt, said):
    with pytest.raises(ValueError, match=said):
        PanoramaEdit(panorama, prompt, encoder, EditSettings())


def test_words_that_are_guessed_are_named(panorama, encoder):
    assert "'sunset'" in PanoramaEdit(panorama, "a golden sunset", encoder, EditSettings()).warning


def test_black_and_white_panoramas_are_edited_as_far_as_they_can(encoder):
    for value in (0.0, 1.0, 60000.0):
        flat = torch.full((16, 32, 3), value)
        edit = _edit(flat, encoder, steps=2)
        light = edit.apply(flat)
        assert bool(torch.isfinite(flat).all()) and math.isfinite(light.after)
