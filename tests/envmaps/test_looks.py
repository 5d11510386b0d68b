"""Sky, horizon and ground take the colours of the place that a sentence speaks of."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.folder import open_folder, split
from fasttext2style.envmaps.inversion import PanoramaEdit
from fasttext2style.envmaps.looks import PAINTED, all_looks, look_for, look_of
from fasttext2style.envmaps.tones import luminance
from fasttext2style.envmaps.vae_training import read_all
from fasttext2style.guidance.encoder import Coverage

HDRI = Path(__file__).parents[2].parent / "shared/data/hdri"


class Words:
    """Sentences are near as they share words; pictures all look the same to it."""

    resolution, device, name = 16, torch.device("cpu"), "words"

    def __init__(self, *unknown):
        self.unknown, self.numbers = set(unknown), {}

    def embed_texts(self, texts):
        rows = torch.full((len(texts), 4096), 1e-3)
        for row, text in zip(rows, texts):
            for word in text.replace(",", "").split():
                row[self.numbers.setdefault(word, len(self.numbers))] = 1.0
        return torch.nn.functional.normalize(rows, dim=1)

    def embed_images(self, images):
        return (0 * images.sum((1, 2, 3)))[:, None] + torch.nn.functional.normalize(torch.ones(4096), dim=0)

    def image_features(self, images):
        return []

    def junk_embeddings(self):
        return torch.zeros(0, 4096)

    def coverage(self, text):
        words = text.replace(",", "").split()
        unknown = tuple(word for word in words if word in self.unknown)
        return Coverage(tuple(word for word in words if word not in unknown), unknown, ())


def _brightness(look):
    return float(luminance(torch.tensor(look[:3])).mean())


def test_a_sentence_gets_the_look_of_what_it_speaks_of():
    for name in ("sunset", "night", "beach"):
        found = look_for(name, Words())
        assert found is not None and found.words[0] == name
        expected = torch.tensor(PAINTED[name][:3])
        expected *= min(1.0, 0.8 / float(expected.max()))
        torch.testing.assert_close(torch.tensor(found[:3]), expected, rtol=0.02, atol=1e-3)
    between = look_for("snowy field night", Words())
    assert _brightness(PAINTED["night"]) < _brightness(between) < _brightness(PAINTED["snow"])


def test_of_what_no_place_is_called_there_is_no_look():
    assert look_for("xylophone", Words()) is None
    all_but_night = {word for look in all_looks() for said in look.words for word in said.split()} - {"night"}
    assert look_for("night", Words(*all_but_night)) is None, "an encoder that knows hardly any place"


@pytest.fixture(scope="module")
def panorama():
    """Green all around, brighter and darker in checks of 45 degrees and of 6."""
    light = torch.tensor([0.1, 0.3, 0.1]).expand(32, 64, 3).clone()
    rows, columns = torch.arange(32)[:, None], torch.arange(64)
    light[(rows // 4 + columns // 8) % 2 == 0] *= 1.5
    light[(rows + columns) % 2 == 0] *= 1.2
    return light


def _edited(panorama, prompt, **settings):
    settings = EditSettings(steps=60, rate=0.3, crops=0, keep=0.0, **settings)
    edit = PanoramaEdit(panorama, prompt, Words(), settings, rows=32)
    for _ in range(settings.steps):
        edit.step()
    changed = panorama.clone()
    edit.apply(changed)
    return changed


def test_the_surroundings_take_its_colours_and_keep_what_is_fine(panorama):
    sunset, night, snow = (_edited(panorama, name) for name in ("sunset", "night", "snow"))
    (_, (red, _, blue), _) = look_of(sunset)
    assert red > 3 * blue, "a warm horizon"
    assert float(luminance(night).mean()) < 0.25 * float(luminance(panorama).mean())
    red, green, blue = look_of(snow)[2]
    assert min(red, green, blue) > 0.4 and green < 1.3 * red, "no longer green"
    fine = luminance(sunset)[14, :-1] / luminance(sunset)[14, 1:]
    assert float(torch.cat([fine, 1 / fine]).amin()) < 0.9, "the checks are seen"


def test_without_weight_and_without_a_place_the_encoder_is_alone(panorama):
    torch.testing.assert_close(_edited(panorama, "sunset", look=0.0), panorama)
    torch.testing.assert_close(_edited(panorama, "xylophone"), panorama)


def test_a_weight_below_nothing_is_refused():
    with pytest.raises(ValueError, match="--look"):
        EditSettings(look=-1.0).check()


def test_parts_are_where_they_are_called():
    light = torch.zeros(36, 72, 3)
    light[:12, :, 2], light[16:20, :, 0], light[22:, :, 1] = 0.5, 2.0, 0.25
    zenith, horizon, ground = look_of(light)
    assert zenith == pytest.approx((0, 0, 0.5)) and horizon == pytest.approx((1, 0, 0)), "white at most"
    assert ground == pytest.approx((0, 0.25, 0))


def test_the_packaged_table_has_what_panoramas_show_and_no_words_of_light():
    table = json.loads((files("fasttext2style.envmaps") / "places.json").read_text(encoding="utf-8"))
    assert len(table) > 100 and not {"night", "sunset", "overcast", "clear"} & {
        look.words[0] for look in all_looks()[len(PAINTED) :]
    }
    colours = torch.tensor(list(table.values()))
    assert colours.shape[1:] == (3, 3) and float(colours.min()) > 0 and float(colours.max()) <= 1
    if not HDRI.is_dir():
        pytest.skip("the panoramas that it was made of are not here")
    with_it = [
        one for one in split(open_folder(HDRI), 0).train if "hangar" in one.tags and "night" not in one.categories
    ]
    looks = torch.stack([torch.tensor(look_of(one)) for one in read_all(with_it, 64)])
    torch.testing.assert_close(torch.tensor(table["hangar"]), looks.log().mean(0).exp(), atol=6e-4, rtol=0)
