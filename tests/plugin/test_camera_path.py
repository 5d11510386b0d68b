"""`ns-render camera-path` of our runs: what cannot be rendered is said before the run is opened, nothing is written.

nerfstudio itself shows a traceback, or writes a video of nothing over the one that was there.
"""

import json
import math
import sys
from copy import deepcopy

import pytest

from fasttext2style.plugin.host.camera_path import check_camera_path
from fasttext2style.plugin.host.datamanager import SceneDatamanagerConfig
from tests import forked
from tests.plugin.hosts import make_capture, scene_config, train

POSE = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.4, 0.0, 1.0, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0]
CROP = {"crop_bg_color": {"r": 0, "g": 0, "b": 0}, "crop_center": [0, 0, 0], "crop_scale": [1, 1, 1]}
GOOD = {
    "camera_type": "perspective",
    "render_height": 16,
    "render_width": 16,
    "seconds": 1,
    "camera_path": [{"camera_to_world": POSE, "fov": 50, "aspect": 1}] * 2,
}
ABSENT = object()


def _of(**changes) -> dict:
    return {name: value for name, value in {**deepcopy(GOOD), **changes}.items() if value is not ABSENT}


def _with(**changes) -> dict:
    """One camera of the path changed."""
    camera = {**GOOD["camera_path"][1], **changes}
    return _of(camera_path=[GOOD["camera_path"][0], {n: value for n, value in camera.items() if value is not ABSENT}])


@pytest.mark.parametrize(
    "document",
    [
        GOOD,
        _of(camera_type=ABSENT),
        _of(render_width=10_000, render_height=5_000, seconds=86_400),
        _of(camera_type="Fisheye"),
        _of(camera_type="equirectangular", camera_path=[{"camera_to_world": POSE}]),
        _of(crop=None),
        _of(crop=CROP),
        _of(crop=CROP | {"crop_rot": [0.0, 0.5, 0.0]}),
        _with(camera_to_world=[POSE[row : row + 4] for row in (0, 4, 8, 12)]),
    ],
)
def test_what_can_be_rendered_is_left_alone(tmp_path, document):
    (tmp_path / "path.json").write_text(json.dumps(document))
    check_camera_path(tmp_path / "path.json")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1, 2], "expected a mapping, got a list"),
        ({}, "seconds is a number above 0, got None"),
        *((_of(seconds=value), "seconds is a number above 0") for value in (0, -1, math.nan, "1", True, 10**400)),
        *((_of(render_width=value), "render_width is a number of 1 or more") for value in (0, -4, 0.5, "x", ABSENT)),
        *((_of(seconds=value), "seconds is at most 86,400, a day") for value in (86_401, 1e9, 1e29)),
        *(
            (_of(render_width=width, render_height=height), "a picture has at most 50,000,000 pixels, got")
            for width, height in ((60_000, 60_000), (200_000, 200_000), (1e29, 1e29), (10_000, 5_001))
        ),
        (_of(camera_type="pinhole"), "camera_type is one of perspective, fisheye"),
        *((_of(camera_path=value), "camera_path holds no camera") for value in ([], None, ABSENT, {})),
        (_of(camera_path=[GOOD["camera_path"][0], 3]), "of camera 1, expected a mapping, got a int"),
        *(
            (_with(camera_to_world=value), "of camera 1, camera_to_world is a list of 16 numbers")
            for value in ([1.0] * 7, [math.nan] * 16, "pose", None, ABSENT, [["a"]], [[1.0] * 8])
        ),
        *(
            (_with(camera_to_world=value), "of camera 1, camera_to_world holds no rotation")
            for value in ([0.0] * 16, [1.0] * 16, [-1.0, *POSE[1:]], [1e20] * 16)
        ),
        *(
            (_with(fov=value), "of camera 1, fov is an angle between 0 and 180 degrees")
            for value in (0, 180, -50, math.nan, "wide", ABSENT)
        ),
        (_of(crop={"x": 1}), "crop has crop_bg_color"),
        (_of(crop=[]), "crop has crop_bg_color"),
        (_of(crop=CROP | {"crop_scale": [1, 1]}), "crop_scale is a list of 3 numbers"),
        (_of(crop=CROP | {"crop_rot": [0, 0, 0]}), "crop_rot is a list of 3 numbers with decimal points"),
    ],
)
def test_what_is_no_camera_path_is_said(tmp_path, document, message):
    (tmp_path / "path.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message):
        check_camera_path(tmp_path / "path.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{hello", "no JSON"),
        (b"", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "many brackets"),
        (b"[" + b"[]," * 3_000_000 + b"[]]", "more than the 8,388,608 bytes"),
    ],
    ids=["text", "empty", "bytes", "brackets", "30 megabytes of brackets"],
)
def test_a_file_that_is_no_json_is_said(tmp_path, content, message):
    (tmp_path / "path.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        check_camera_path(tmp_path / "path.json")


def test_pixels_are_counted_as_they_are_rendered(tmp_path):
    (tmp_path / "path.json").write_text(json.dumps(_of(render_width=20_000, render_height=10_000)))
    check_camera_path(tmp_path / "path.json", downscale_factor=2.0)
    with pytest.raises(ValueError, match=r"at most 50,000,000 pixels, got 10,050\.3 x 5,025\.13"):
        check_camera_path(tmp_path / "path.json", downscale_factor=1.99)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--camera-path-filename", "none.json"], "The camera path none.json cannot be read (No such file"),
        (["--camera_path_filename=."], "The camera path . cannot be read (Is a directory)"),
        ([], "The camera path camera_path.json cannot be read (No such file"),
        (
            ["--camera-path-filename", "path.json", "--output-path", "path.json/a.mp4"],
            "cannot be written (File exists)",
        ),
        (["--camera-path-filename", "path.json", "--output-path", "a.gif"], "The video is written as .mp4, got"),
        (["--camera-path-filename", "path.json", "--downscale-factor", "0"], "--downscale-factor is more than 0"),
    ],
)
def test_a_command_that_can_render_nothing_ends_before_the_run_is_opened(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path.json").write_text(json.dumps(GOOD))
    monkeypatch.setattr(sys, "argv", ["/bin/ns-render", "camera-path", "--load-config", "config.yml", *words])
    with pytest.raises(SystemExit) as end:
        SceneDatamanagerConfig(data=tmp_path / "no capture").setup()
    assert end.value.code == 1
    said = " ".join(capsys.readouterr().out.split())
    assert message in said and "capture" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["path.json"]


@pytest.mark.slow  # a run, for what the test above says without one
def test_ns_render_says_it_and_keeps_the_video_that_was_there(tmp_path):
    run = train(scene_config(make_capture(tmp_path / "capture"), tmp_path / "outputs", steps=10)).base_dir
    (tmp_path / "video.mp4").write_bytes(b"of yesterday")
    (tmp_path / "path.json").write_text(json.dumps(_with(fov=math.nan)))
    words = ["--load-config", run / "config.yml", "--camera-path-filename", "path.json", "--output-path", "video.mp4"]
    done = forked.run("ns-render", "camera-path", *words, cwd=tmp_path)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1 and "of camera 1, fov is an angle" in said and "Traceback" not in said
    assert (tmp_path / "video.mp4").read_bytes() == b"of yesterday"
