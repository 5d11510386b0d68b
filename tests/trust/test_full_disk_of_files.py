"""Whatever writes a file by itself: on a disk that is full at any moment the old file stays, and it is said which."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from fasttext2style.captures.write import write_picture
from fasttext2style.evaluation.report import write_png, write_report, write_video
from fasttext2style.rounds.backup import pack
from fasttext2style.rounds.folder import KeepConfig, RoundsFolder
from fasttext2style.rounds.snapshot import save_tensors
from fasttext2style.scene.files.export import WRITERS, export
from fasttext2style.scene.files.ply import write_ply
from fasttext2style.selection.selection import SceneMark, Selection
from tests.ball import ball_on_floor
from tests.full_disk import IS_FULL, files, full_disk, moments
from tests.history.scenes import random_state

PICTURE = (np.arange(24 * 32 * 3).reshape(24, 32, 3) % 251).astype(np.uint8)


def _kept(path: Path, value: int, ending: str) -> None:
    books = RoundsFolder(path.parents[2], KeepConfig(ending))
    books.write_picture(1, "edited", 0, torch.from_numpy(PICTURE) + value)


def _selection(path: Path, value: int) -> None:
    scene = random_state(9).gaussians()
    Selection(torch.full((9,), value / 9), "a box", SceneMark.of(scene)).save(path)


def _backup(path: Path, value: int) -> None:
    run = path.parent.parent / f"run_{value}"
    if not run.exists():
        run.mkdir()
        (run / "config.yml").write_text(f"value: {value}\n" * 999)
    pack(run, path)


WRITE = {
    **{f"scene.{it}": lambda path, value: export(path, ball_on_floor(), torch.ones(300) * value) for it in WRITERS},
    "round.ply": lambda path, value: write_ply(path, ball_on_floor()),
    "report.json": lambda path, value: write_report(path, {"value": value, "more": list(range(999))}),
    "view_00.png": lambda path, value: write_png(path, PICTURE + np.uint8(value)),
    "before_after.mp4": lambda path, value: write_video(path, np.stack([PICTURE + np.uint8(value)] * 3)),
    "photograph.png": lambda path, value: write_picture(path, torch.from_numpy(PICTURE) / 255),
    "object.npz": _selection,
    "run.tar": _backup,
    "snapshot.safetensors": lambda path, value: save_tensors(path, {"a": torch.full((999,), value)}),
    "round_0001/edited/view_0000.png": lambda path, value: _kept(path, value, "png"),
    "round_0001/edited/view_0000.webp": lambda path, value: _kept(path, value, "webp"),
    "round_0001/manifest.json": lambda path, value: RoundsFolder(path.parents[1]).finish(1, {"value": value}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITE)
@pytest.mark.parametrize("there", [True, False], ids=["replaced", "new"])
def test_a_file_that_finds_the_disk_full_anywhere_is_the_old_one_and_is_named(tmp_path, name, there):
    write = WRITE[name]

    def begun(folder: Path) -> Path:
        path = folder / "out" / name
        path.parent.mkdir(parents=True) if there else folder.mkdir()
        if there:
            write(path, 1)
        return path

    path = begun(tmp_path / "counted")
    write(path, 0) if name == "run.tar" else None  # what is packed is made here, once
    with full_disk(tmp_path / "counted" / "out") as used:
        write(path, 2)
    written = path.read_bytes()
    found = moments(used)
    assert len(found) >= 4
    for number, moment in enumerate(found):
        folder = tmp_path / str(number)
        path = begun(folder)
        if name == "run.tar":
            write(path.with_name("other"), 2)
            path.with_name("other").unlink()
        before = files(folder / "out")
        with full_disk(folder / "out", **moment), pytest.raises((ValueError, OSError), match=IS_FULL) as refused:
            write(path, 2)
        assert files(folder / "out") == before, moment
        # Of folders that could not be made their own name.
        assert re.search(rf"{re.escape(str(folder / 'out'))}", str(refused.value)), refused.value
        assert ".tmp" not in str(refused.value)
        write(path, 2)
        assert files(folder / "out").keys() == {name}
        if not name.endswith((".json", ".tar")):  # those say when they were made
            assert path.read_bytes() == written
