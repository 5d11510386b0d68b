"""Damaged camera paths: refused by a ValueError, or read by nerfstudio."""

import json
import os

import pytest
from nerfstudio.cameras.camera_paths import get_path_from_json
from nerfstudio.scripts.render import get_crop_from_json

from fasttext2style.plugin.host.camera_path import LENSES, check_camera_path
from tests.fuzz.fuzzer import fuzz
from tests.fuzz.targets import TARGETS, Target
from tests.plugin.test_camera_path import CROP, GOOD


def _seeds(_) -> list[bytes]:
    crop = CROP | {"crop_rot": [0.0, 0.5, 0.0]}
    return [json.dumps(GOOD | {"camera_type": lens, "crop": crop}).encode() for lens in LENSES]


def _read(folder) -> None:
    check_camera_path(folder / "path.json")
    document = json.loads((folder / "path.json").read_bytes())
    get_crop_from_json(document)
    get_path_from_json(document)


def test_damaged_camera_paths_are_refused_in_words_or_read(monkeypatch):
    monkeypatch.setitem(TARGETS, "camera path", Target("path.json", _seeds, _read))
    places = fuzz("camera path", 200)
    assert places.total() == 200 and len(places) >= 3


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_no_camera_path(tmp_path, kind):
    path = tmp_path / "path.json"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="it is no file, but a pipe or a device"):
        check_camera_path(path)
