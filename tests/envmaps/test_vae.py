"""A panorama becomes a code and comes back, whichever way it is turned; training learns, and can be gone on with."""

import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from fasttext2style.envmaps.files import write_panorama
from fasttext2style.envmaps.folder import open_folder, split
from fasttext2style.envmaps.sphere import directions
from fasttext2style.envmaps.vae import (
    AroundConv2d,
    PanoramaVAE,
    Residual,
    columns_to_middle,
    divergence,
    load_vae,
    rolled,
    save_vae,
)
from fasttext2style.envmaps.vae_settings import TrainVAE, VAEReport, VAEShape
from fasttext2style.envmaps.vae_training import VAETraining, drawn, train_vae, ws_psnr

SMALL = {"global": (6, 8, 8), "spatial": (6, 8)}


def _vae(code, curve="log", rows=16):
    """A VAE with weights by chance, also where training begins with zeros."""
    torch.manual_seed(0)
    vae = PanoramaVAE(VAEShape(code, rows, curve, SMALL[code], 12, 5))
    for module in vae.modules():
        if isinstance(module, Residual):
            torch.nn.init.normal_(module.second.weight, std=0.1)
    return vae


def _panoramas(count, rows=16, seed=0):
    return torch.rand(count, rows, 2 * rows, 3, generator=torch.Generator().manual_seed(seed)) ** 3 * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six panoramas of one kind: a bright side, and a colour above and below."""
    folder, along = tmp_path_factory.mktemp("panoramas"), directions(16, 32).float()
    generator = torch.Generator().manual_seed(1)
    for number in range(6):
        up, side = along[..., 2:] > 0, along @ torch.randn(3, generator=generator)
        colours = torch.rand(2, 3, generator=generator)
        light = torch.where(up, colours[0], colours[1]) * (1.2 + side[..., None].tanh())
        write_panorama(folder / f"place_{'abcdef'[number]}.hdr", light)
    return folder


def test_a_convolution_goes_around():
    """A kernel that takes what lies left: column 0 gets the last one."""
    convolution = AroundConv2d(1, 1)
    with torch.no_grad():
        convolution.weight.zero_()[0, 0, 1, 0] = 1
        convolution.bias.zero_()
        row = torch.arange(6.0).expand(1, 1, 3, 6)
        assert convolution(row)[0, 0, 1].tolist() == [5, 0, 1, 2, 3, 4]
        convolution.weight.zero_()[0, 0, 0, 1] = 1
        rows = torch.arange(3.0)[:, None].expand(1, 1, 3, 6)
        assert convolution(rows)[0, 0, :, 0].tolist() == [0, 0, 1], "the first row is repeated at the pole"


@pytest.mark.parametrize("curve", ["log", "pu21"])
@pytest.mark.parametrize(("code", "columns"), [("spatial", 4), ("spatial", 12), ("global", 1), ("global", 7)])
def test_turning_a_panorama_turns_its_reconstruction(code, columns, curve):
    """A map of codes by its own pixels, which are 4 columns here; a vector by any."""
    vae, panoramas = _vae(code, curve), _panoramas(2)
    turned = vae.reconstruct(panoramas.roll(columns, dims=2))
    torch.testing.assert_close(turned, vae.reconstruct(panoramas).roll(columns, dims=2), rtol=1e-4, atol=1e-4)
    assert float((turned - turned.roll(1, dims=2)).abs().mean()) > 1e-3, "it shows nothing that could turn"


def test_a_map_of_codes_and_the_features_of_a_vector_turn_by_their_pixels():
    spatial, panoramas = _vae("spatial"), _panoramas(1)
    code = spatial.moments(spatial.encode(panoramas).fc)[0]
    assert code.shape == (1, 5, 4, 8)
    none = torch.zeros(1, dtype=torch.long)
    turned = spatial.decode(code.roll(3, dims=3), none)
    torch.testing.assert_close(turned, spatial.decode(code, none).roll(12, dims=2), rtol=1e-4, atol=1e-4)
    values = torch.randn(1, 3, 16, 32, generator=torch.Generator().manual_seed(2))
    vae = _vae("global")
    features = vae.features(values)
    assert features.shape == (1, 8, 2, 4)
    torch.testing.assert_close(vae.features(values.roll(8, dims=3)), features.roll(1, dims=3), rtol=1e-4, atol=1e-4)


def test_light_is_brought_to_the_middle():
    """A bright column 3 of 16, and each panorama by itself."""
    values = torch.zeros(2, 8, 16, 3)
    values[0, :, 3], values[1, :, 12] = 1, 1
    turn = columns_to_middle(values)
    assert turn.tolist() == [8 - 3, (8 - 12) % 16]
    assert rolled(values, turn)[:, 0, :, 0].argmax(dim=1).tolist() == [8, 8]
    assert torch.equal(rolled(rolled(values, turn), -turn), values)


def test_divergence_is_known_by_hand_and_by_torch():
    assert float(divergence(torch.ones(4), torch.zeros(4))) == pytest.approx(0.5)
    mean, log_variance = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    theirs = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean()
    assert float(divergence(mean, log_variance)) == pytest.approx(float(theirs), rel=1e-5)


def test_ws_psnr_is_known_by_hand():
    """0.1 off everywhere: 20 dB; only on the upper half of the sphere: 3 dB more."""
    one = torch.full((8, 16, 3), 0.5)
    assert ws_psnr(one, one + 0.1) == pytest.approx(20, abs=1e-4)
    half = one.clone()
    half[:4] += 0.1
    assert ws_psnr(one, half) == pytest.approx(20 + 10 * math.log10(2), abs=1e-3)
    pole = one.clone()
    pole[0] += 0.1
    assert ws_psnr(one, pole) > 20 + 10 * math.log10(8) + 5, "a row at the pole is small"
    assert ws_psnr(one, one) == math.inf


def test_batches_are_drawn_by_seed_and_turned():
    panoramas = _panoramas(3)
    one, same, other = (drawn(panoramas, 4, 0.5, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert one.shape == (4, 16, 32, 3)
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("code", ["global", "spatial"])
def test_training_learns_and_what_is_resumed_ends_as_if_never_stopped(folder, tmp_path, code):
    parts = split(open_folder(folder), 0)
    settings = TrainVAE(code, rows=16, curve="log", steps=30, batch=4, rate=4e-3, look_every=15, widths=SMALL[code])
    whole = VAETraining(parts, settings, tmp_path / "whole")
    before = whole.measure(whole.train)
    whole.run()
    after = whole.measure(whole.train)
    assert after["ws_psnr"] > before["ws_psnr"] + 2 and after["error_in_stops"] < before["error_in_stops"]

    stopped = VAETraining(parts, settings, tmp_path / "parts")
    step = stopped.step

    def interrupted():
        if stopped.done == 20:
            raise KeyboardInterrupt
        return step()

    stopped.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    again = VAETraining(parts, settings, tmp_path / "parts")
    again.resume()
    assert again.done == 15, "the last picture"
    again.run()
    for name, value in whole.vae.state_dict().items():
        assert torch.equal(value, again.vae.state_dict()[name]), name

    assert Image.open(tmp_path / "parts" / "reconstructions.png").size[0] == 32 * len(parts.validation)
    assert list((tmp_path / "parts" / "tensorboard").iterdir())
    vae, report = load_vae(again.finish(), code)
    assert report.steps == 30 and report.trained_on == [one.slug for one in parts.train]
    assert report.measured["ws_psnr"] > 5
    torch.testing.assert_close(vae.reconstruct(whole.train), whole.vae.reconstruct(whole.train), rtol=0.05, atol=0.02)


def test_a_training_is_not_overwritten_nor_gone_on_with_otherwise(folder, tmp_path):
    parts = split(open_folder(folder), 0)
    settings = TrainVAE(rows=16, steps=1, batch=1, widths=SMALL["spatial"])
    with pytest.raises(ValueError, match=r"checkpoint.pt cannot be gone on with"):
        train_vae(parts, settings, tmp_path, resumes=True)
    train_vae(parts, settings, tmp_path, resumes=False)
    with pytest.raises(ValueError, match="holds a training already"):
        train_vae(parts, settings, tmp_path, resumes=False)
    with pytest.raises(ValueError, match="other settings: rate"):
        train_vae(parts, replace(settings, rate=1e-3), tmp_path, resumes=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rows": 100}, "--rows should be a multiple of 8"),
        ({"steps": 0}, "--steps"),
        ({"rate": math.nan}, "--rate"),
        ({"mix": 1.5}, "--mix"),
        ({"kl": -1.0}, "--kl"),
        ({"look_every": 0}, "--look-every"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        TrainVAE(**settings).check()


def test_other_files_and_sizes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no VAE of panoramas at"):
        load_vae(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(ValueError, match="is no VAE of panoramas, or damaged"):
        load_vae(tmp_path / "text.safetensors")
    save_vae(tmp_path / "global.safetensors", _vae("global"), VAEReport())
    with pytest.raises(ValueError, match="kind global, expected spatial"):
        load_vae(tmp_path / "global.safetensors")
    with pytest.raises(ValueError, match="panoramas of 16 rows"):
        _vae("global").encode(_panoramas(1, rows=32))
    with pytest.raises(ValueError, match="a multiple of 4 rows"):
        _vae("spatial").encode(_panoramas(1, rows=6))
    assert _vae("spatial").reconstruct(_panoramas(1, rows=32)).shape == (1, 32, 64, 3)
