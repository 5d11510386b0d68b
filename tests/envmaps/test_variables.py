"""Codes of a VAE that an edit moves: they begin at the source, and what is painted becomes a change of its light."""

from pathlib import Path

import pytest
import torch

from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.gains import DARKEST, doubled, lit
from fasttext2style.envmaps.inversion import PanoramaEdit
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.seam import seam_ratio
from fasttext2style.envmaps.sphere import directions
from fasttext2style.envmaps.tones import to_display
from fasttext2style.envmaps.vae import PanoramaVAE, divergence, load_vae, save_vae
from fasttext2style.envmaps.vae_settings import VAEReport, VAEShape
from fasttext2style.envmaps.variables import CODES, variables_of
from fasttext2style.guidance.tiny_encoder import TinyEncoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small VAEs with weights by chance, by their kind."""
    found = {}
    for code, widths in (("global", (6, 8, 8)), ("spatial", (6, 8))):
        torch.manual_seed(1)
        vae = PanoramaVAE(VAEShape(code, 16, "log", widths, 12, 5))
        path = tmp_path_factory.mktemp("vae") / f"{code}.safetensors"
        save_vae(path, vae, VAEReport())
        found[code] = str(path)
    return found


@pytest.fixture(scope="module")
def source():
    """Soft light that knows no border, 32 rows, and a lamp."""
    along = directions(32, 64).float()
    light = 0.3 + 0.2 * torch.stack([along[..., 0], along[..., 1] * along[..., 2], along[..., 2]], dim=-1)
    light[8, 20] = 900.0
    return light


def _settings(files, variables, **more):
    return EditSettings(variables=variables, vae=files[CODES[variables]], crops=1, **more)


@pytest.mark.parametrize("variables", list(CODES))
def test_an_edit_begins_at_the_source(files, source, variables):
    change = variables_of(_settings(files, variables), source, 0.0, CPU).change()
    assert change.stops.shape == source.shape and float(change.stops.detach().abs().max()) < 1e-4
    assert not change.moved.detach().abs().gt(1e-4).any()


@pytest.mark.parametrize("variables", list(CODES))
def test_without_detail_the_vae_paints(files, source, variables):
    """What is lit by these stops is what the VAE makes of the source, at its size."""
    stops = variables_of(_settings(files, variables, detail=0.0), source, 0.0, CPU).change().stops.detach()
    vae, _ = load_vae(Path(files[CODES[variables]]), CODES[variables])
    shift = 1 if variables == "spatial" else 0  # the border lies inside of a code's four columns
    decoded = vae.reconstruct(resized(source, 16).roll(shift, dims=1)[None])[0].roll(-shift, dims=1)
    expected = doubled((decoded + DARKEST).log2()).exp2() - DARKEST
    dim = (source < 1).all(dim=2)
    torch.testing.assert_close(lit(source, stops, 0.0)[dim], expected.clamp(0, 1)[dim], rtol=1e-3, atol=1e-3)


def test_every_code_can_be_learnt_and_drawn_codes_differ(files, source):
    for variables in CODES:
        own = variables_of(_settings(files, variables), source, 0.0, CPU)
        drawn = own.change(torch.Generator().manual_seed(0))
        ((drawn.stops**2).sum() + drawn.moved.sum() + drawn.divergence).backward()
        assert all(tensor.grad is not None and tensor.grad.any() for tensor in own.groups[0]["params"]), variables
        is_noisy = bool((drawn.stops - own.change().stops).detach().abs().max() > 1e-4)
        assert is_noisy == (variables == "mulogvar")
    assert float(variables_of(EditSettings(), source, 0.0, CPU).change().divergence) == 0


@pytest.mark.parametrize("variables", list(CODES))
def test_codes_come_to_fit_the_sentence_without_a_seam_and_the_lamp_stays(source, variables):
    """Of the packaged VAEs."""
    edit = PanoramaEdit(source, "gold", TinyEncoder(), EditSettings(variables=variables, crops=0, steps=8, rate=0.5))
    for _ in range(8):
        edit.step()
    assert edit.similarity() > edit.similarity(0.0) + 0.02
    changed = source.clone()
    light = edit.apply(changed)
    assert seam_ratio(to_display(changed, edit.exposure_stops)) <= 1.1
    assert light.lamps_after == pytest.approx(light.lamps_before) and light.after != light.before
    untouched = source.clone()
    edit.apply(untouched, 0.0)
    assert torch.equal(untouched, source)


def test_kl_draws_codes_to_a_normal_distribution(files, source):
    """With nothing but that, and from far away."""
    ends = []
    for kl in (0.0, 50.0):
        settings = _settings(files, "mulogvar", steps=10, rate=0.4, kl=kl, keep=0.0, smooth=0.0)
        edit = PanoramaEdit(source, "gold", TinyEncoder(), settings)
        with torch.no_grad():
            edit._variables.groups[0]["params"][0].add_(3.0)
        for _ in range(10):
            edit.step()
        ends.append(float(divergence(*edit._variables.groups[0]["params"]).detach()))
    assert ends[1] < 0.5 * ends[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"variables": "fc", "detail": 1.5}, "--detail lies between 0"),
        ({"variables": "fc", "kl": -1.0}, "--kl"),
        ({"variables": "pyramid", "kl": 1.0}, "are for --variables fc"),
        ({"variables": "pixels", "detail": 0.5}, "are for --variables fc"),
        ({"variables": "spatial", "vae": "none.safetensors"}, "no VAE of panoramas at none"),
    ],
)
def test_what_does_not_go_together_is_refused(source, settings, said):
    with pytest.raises(ValueError, match=said):
        PanoramaEdit(source, "gold", TinyEncoder(), EditSettings(**settings))
