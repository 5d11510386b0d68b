"""A folder of panoramas with what is said of them, and who may learn from which."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.folder import Captioned, open_folder, split
from fasttext2style.envmaps.formats import SUFFIXES
from fasttext2style.envmaps.sphere import integral
from fasttext2style.envmaps.tones import luminance

POLY_HAVEN = {
    "kloppenheim_06": {
        "name": "Kloppenheim 06",
        "type": 0,
        "categories": ["outdoor", "night"],
        "tags": ["grass", "moon"],
    },
    "autumn_park": {"name": "Autumn Park", "type": 0, "categories": ["outdoor"], "tags": ["tree"]},
}
"""As https://api.polyhaven.com/assets?t=hdris answers, shortened."""


@pytest.fixture()
def folder(tmp_path):
    for name in ("a_512.hdr", "low/b_1k.exr", "kloppenheim_06_4k.hdr", "kloppenheim_06.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_panorama(tmp_path / name, torch.ones(2, 4, 3))
    return tmp_path


def _captions(folder, **options):
    return {str(one.path.relative_to(folder)): one.caption for one in open_folder(folder, **options)}


def test_a_list_of_files_says_what_they_show(folder):
    entries = [{"file": "low/b_1k.exr", "categories": ["indoor", "studio"], "tags": ["lamp", "indoor"], "more": 1}]
    (folder / "list.json").write_text(json.dumps(entries))
    found = _captions(folder)
    assert found == {
        "a_512.hdr": "",
        "kloppenheim_06.png": "",
        "kloppenheim_06_4k.hdr": "",
        "low/b_1k.exr": "lamp, indoor, studio",
    }


def test_poly_havens_answers_find_files_of_any_resolution(folder):
    (folder / "assets.json").write_text(json.dumps(POLY_HAVEN))
    (folder / "a.json").write_text(json.dumps({"categories": ["sky"], "tags": ["blue"], "name": "A"}))
    found = _captions(folder)
    assert found["kloppenheim_06_4k.hdr"] == found["kloppenheim_06.png"] == "grass, moon, outdoor, night"
    assert found["a_512.hdr"] == "blue, sky" and found["low/b_1k.exr"] == ""


def test_captions_may_lie_elsewhere(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "answer.json"
    elsewhere.write_text(json.dumps(POLY_HAVEN))
    assert _captions(folder, captions=elsewhere)["kloppenheim_06.png"] == "grass, moon, outdoor, night"


@pytest.mark.parametrize(
    "content",
    ["{", "3", "[3]", '[{"categories": []}]', '[{"file": "../a_512.hdr"}]', '[{"file": "c.hdr"}]', '{"a": 3}',
     "[" * 10**5,
     '[{"file": "a_512.hdr", "tags": "sun"}]', '[{"file": "a_512.hdr", "tags": [3]}]', '{"a": {"tags": {"sun": 1}}}'],
)  # fmt: skip
def test_what_says_nothing_is_refused_by_name(folder, content):
    (folder / "words.json").write_text(content)
    with pytest.raises(ValueError, match=r"words.json cannot be taken for captions \(.+\): expected a list"):
        open_folder(folder)


def test_folders_without_panoramas_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no panoramas"):
        open_folder(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        open_folder(tmp_path / "none")


# --- the split -------------------------------------------------------------------------------------------------------


def _many(count):
    return [Captioned(SHOWN / f"place_{number:02d}_1k.hdr") for number in range(count)]


SHOWN = Path("panoramas")


@given(st.integers(3, 60), st.integers(0, 5))
def test_each_place_is_in_one_part_and_no_part_is_empty(count, seed):
    panoramas = _many(count)
    parts = split(panoramas, seed)
    assert sorted(one.slug for part in parts for one in part) == sorted(one.slug for one in panoramas)
    assert all(len(part) >= 1 for part in parts) and len(parts.train) >= len(parts.test)
    assert abs(len(parts.test) - count / 10) <= 1 and abs(len(parts.validation) - count / 10) <= 1


def test_a_split_depends_on_the_seed_and_on_nothing_else():
    panoramas = _many(40)
    assert split(panoramas, 1) == split(panoramas[::-1], 1) != split(panoramas, 2)


@pytest.mark.parametrize("seed", range(12))
def test_the_test_part_does_not_know_what_training_saw(seed):
    """The same place at two resolutions, and its sky alone."""
    names = ["a_1k.hdr", "a_4k.exr", "a_puresky_1k.hdr", "b_1k.hdr", "b_2k.hdr", "c_1k.hdr", "d_puresky_2k.hdr"]
    parts = split([Captioned(SHOWN / name) for name in names], seed)
    places = [{one.slug[0] for one in part} for part in parts]
    assert sum(map(len, places)) == 4 == len(set.union(*places))


def test_a_split_is_printed_by_name():
    assert str(split(_many(3), 0)).count("place_") == 3 and str(split(_many(30), 0)).startswith("24 for train: ")


def test_what_cannot_be_split_is_refused():
    same = [Captioned(SHOWN / name) for name in ("a_1k.hdr", "a_2k.hdr", "a_4k.hdr", "b.hdr")]
    with pytest.raises(ValueError, match="at least 3 panoramas of different places, got 2"):
        split(same, 0)
    for shares in ((0, 0, 0), (1, -1, 1)):
        with pytest.raises(ValueError, match="Shares"):
            split(_many(9), 0, shares)


# --- real ones -------------------------------------------------------------------------------------------------------


def test_the_shared_panoramas_are_a_data_set(shared_data):
    panoramas = open_folder(shared_data / "hdri")
    assert len(panoramas) == 90 and all(one.caption for one in panoramas)
    by_slug = {one.slug: one for one in panoramas}
    assert {"night", "moonlit road"} & set(
        by_slug["narrow_moonlit_road"].categories + by_slug["narrow_moonlit_road"].tags
    )
    parts = split(panoramas, 0)
    assert sum(map(len, parts)) == 90
    for one in parts.test:
        panorama = read_panorama(one.path)
        assert panorama.shape == (256, 512, 3) and panorama.dtype == torch.float32


def test_a_real_panorama_is_the_light_that_its_makers_wrote_down(shared_data, tmp_path):
    """hdri.json says mean, median and maximum of their luminance; and rewriting loses what 8 bits of a colour lose."""
    known = {entry["name"]: entry for entry in json.loads((shared_data / "hdri" / "hdri.json").read_text())}
    for name in ("adams_place_bridge", "snowy_field", "narrow_moonlit_road"):
        panorama = read_panorama(shared_data / "hdri" / known[name]["file"])
        bright = luminance(panorama)
        found = {"mean": bright.mean(), "median": bright.median(), "max": bright.max()}
        assert {key: float(value) for key, value in found.items()} == pytest.approx(known[name]["stats"], rel=1e-3)
        write_panorama(tmp_path / "again.hdr", panorama)
        np.testing.assert_allclose(integral(read_panorama(tmp_path / "again.hdr")), integral(panorama), rtol=0.01)


def test_every_ending_is_taken_for_a_panorama(tmp_path):
    for suffix in SUFFIXES:
        write_panorama(tmp_path / f"a{suffix.upper() if suffix == '.png' else suffix}", torch.ones(2, 4, 3))
    assert len(open_folder(tmp_path)) == len(SUFFIXES)
