"""Pictures, video and report: what is written reads back, and nothing is left half written."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.evaluation import report
from fasttext2style.evaluation.timing import Stopwatch, peak_memory_gib


def _images(views: int = 3) -> torch.Tensor:
    return torch.rand(views, 20, 31, 3, generator=torch.Generator().manual_seed(0))


def test_pictures_read_back_to_8_bits(tmp_path):
    images = _images()
    paths = report.write_pictures(tmp_path / "after", images)
    assert [path.name for path in paths] == ["view_00.png", "view_01.png", "view_02.png"]
    for path, image in zip(paths, images):
        read = torch.from_numpy(np.asarray(Image.open(path)).astype(np.float32)) / 255
        assert (read - image).abs().max() <= 0.5 / 255 + 1e-6


def test_contact_sheet_holds_both_rows():
    before, after = torch.zeros(6, 8, 100, 3), torch.ones(6, 8, 100, 3)
    sheet = report.contact_sheet(before, after, "a bear made of gold", columns=4)
    assert sheet.shape == (8 + 26 + 8 + 26, 400, 3)
    assert sheet[26 : 26 + 8].max() == 0
    assert sheet[-8:].min() == 255


def test_contact_sheet_refuses_other_views():
    with pytest.raises(ValueError, match="same views"):
        report.contact_sheet(torch.zeros(2, 8, 8, 3), torch.zeros(3, 8, 8, 3), "x")


def test_video_has_the_frames_at_even_size(tmp_path):
    # One colour a frame: H.264 loses detail, not order.
    frames = np.stack([np.full((21, 31, 3), value, np.uint8) for value in (0, 60, 120, 180, 240)])
    report.write_video(tmp_path / "turn.mp4", frames, frames_per_second=10)
    with av.open(str(tmp_path / "turn.mp4")) as video:
        read = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(read) == 5
    assert read[0].shape == (20, 30, 3)
    assert np.allclose([frame.mean() for frame in read], [0, 60, 120, 180, 240], atol=4)


def test_report_has_versions_and_replaces_whole(tmp_path):
    path = tmp_path / "report.json"
    report.write_report(path, {"prompt": "ice", "similarity": {"before": 0.1, "after": 0.7}})
    report.write_report(path, {"prompt": "gold"})
    read = json.loads(path.read_text())
    assert read["prompt"] == "gold"
    assert read["versions"]["torch"] == torch.__version__.split("+")[0] or read["versions"]["torch"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.json"
    report.write_report(path, {"prompt": "ice"})
    with pytest.raises(TypeError):
        report.write_report(path, {"prompt": torch.zeros(1)})
    assert json.loads(path.read_text())["prompt"] == "ice"


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="Linux tells it in a second way")
def test_peak_memory_is_what_the_kernel_says():
    said = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert peak_memory_gib()["host"] == pytest.approx(int(said.split()[1]) / 2**20, abs=0.01)


def test_a_phase_entered_twice_adds_up(monkeypatch):
    clock = iter([0.0, 0.0, 1.5, 10.0, 12.0, 20.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    watch = Stopwatch()
    for _ in range(2):
        with watch.phase("styling"):
            pass
    assert watch.seconds == {"styling": 3.5}
    assert watch.elapsed == 20.0
