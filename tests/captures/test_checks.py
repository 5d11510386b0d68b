"""What is wrong with a capture is said before anything is computed, and says what to do."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fasttext2style.captures.checks import check_capture, look_at_capture

EYE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.fixture()
def capture(tmp_path):
    (tmp_path / "images").mkdir()
    frames = []
    for view in range(3):
        name = f"images/{view}.jpg"
        Image.effect_noise((64, 48), 80).convert("RGB").save(tmp_path / name)
        frames.append({"file_path": name, "transform_matrix": EYE})
    _write(tmp_path, {"fl_x": 60, "frames": frames})
    return tmp_path


def _write(folder, meta):
    (folder / "transforms.json").write_text(json.dumps(meta))


def _meta(folder):
    return json.loads((folder / "transforms.json").read_text())


def test_a_good_capture_passes_as_folder_and_as_file(capture):
    check_capture(capture)
    check_capture(capture / "transforms.json")


def test_a_capture_is_found_from_where_one_stands(capture, monkeypatch):
    """Its plain form lies elsewhere, so it names whole paths."""
    monkeypatch.chdir(capture.parent)
    meta = check_capture(Path(capture.name)).meta
    assert [frame["file_path"] for frame in meta["frames"]] == [
        str(capture / f"images/{view}.jpg") for view in range(3)
    ]


def test_no_such_folder(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        check_capture(tmp_path / "nowhere")


def test_no_transforms(tmp_path):
    with pytest.raises(ValueError, match="ns-process-data"):
        check_capture(tmp_path)


@pytest.mark.parametrize("meta", [{}, {"frames": []}, {"frames": None}, [1]])
def test_no_frames(capture, meta):
    _write(capture, meta)
    with pytest.raises(ValueError, match="has no frames"):
        check_capture(capture)


def test_broken_json(capture):
    (capture / "transforms.json").write_text('{"frames": [')
    with pytest.raises(ValueError, match="not valid JSON"):
        check_capture(capture)


def test_a_frame_without_pose(capture):
    meta = _meta(capture)
    del meta["frames"][1]["transform_matrix"]
    _write(capture, meta)
    with pytest.raises(ValueError, match=r"Frame 1 .* no 4x4 `transform_matrix`"):
        check_capture(capture)


def test_a_missing_photograph(capture):
    (capture / "images/1.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of the 3 photographs .* are missing, first .*1\.jpg"):
        check_capture(capture)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"no picture", lambda data: b""])
def test_a_corrupt_photograph(capture, damage):
    path = capture / "images/2.jpg"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"1 of 3 photographs cannot be read, first .*2\.jpg"):
        check_capture(capture)


def test_photographs_that_lie_in_a_downscaled_folder_are_fine(capture):
    (capture / "images").rename(capture / "images_2")
    check_capture(capture)


def test_a_look_at_a_capture_reads_heads_only(capture):
    Image.effect_noise((90, 70), 80).convert("RGB").save(capture / "images" / "2.jpg")
    whole = (capture / "images" / "1.jpg").read_bytes()
    (capture / "images" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    look = look_at_capture(capture)
    assert [path.name for path in look.photographs] == ["0.jpg", "1.jpg", "2.jpg"]
    assert (look.width, look.height) == (90, 70)
    assert look.bytes == sum(path.stat().st_size for path in (capture / "images").iterdir())
    (capture / "images" / "1.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 of 3 photographs cannot be read, first .*1\.jpg"):
        look_at_capture(capture)
