"""Rounds hold pictures of all views as 8 bits only: as floats those of 300 views in full HD are 7 GiB each time."""

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from fasttext2style.editors.local_edit import LocalEditor
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import Capture
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.setup import new_rounds
from fasttext2style.rounds.tools import Tools
from fasttext2style.scene import rasterize
from fasttext2style.scene.cameras import Cameras
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import StylerConfig
from tests.ball import ball_on_floor
from tests.rounds.balls import ball_selection, run, sunk_ball
from tests.rounds.editors import Painter

VIEWS, SIZE = 96, 48


class Largest(TorchDispatchMode):
    """The most bytes that a tensor takes which an operation makes; what is expanded takes none."""

    def __init__(self) -> None:
        super().__init__()
        self.size, self.by = 0, ""
        self.peak = 0
        """The most bytes of all that was made here and lives, but for small things."""
        self._there: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (list, tuple)) else [made]:
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes() > self.size:
                self.size, self.by = tensor.untyped_storage().nbytes(), f"{func} {tensor.dtype} {list(tensor.shape)}"
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes() >= SIZE**2:
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._there:
            self._there = {key: it for key, it in self._there.items() if not it[0].expired()}
        self._there[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._there.values()))


@pytest.mark.parametrize("mode", ["restyle", "remove"])
def test_no_tensor_is_larger_than_8_bit_pictures_of_all_views(tmp_path, monkeypatch, mode):
    """From the first look at the views over an edit of all of them to the numbers at the end of the round."""
    # As many pixels of these small pictures as there are pictures in what it is for large ones.
    monkeypatch.setattr(rasterize, "CONTRIBUTION_PIXELS", rasterize.CONTRIBUTION_PIXELS * SIZE**2 // (1920 * 1080))
    cameras = Cameras.orbit((0.0, 0.0, 0.0), 1.4, VIEWS, SIZE, SIZE, elevation_degrees=25.0)
    photographs = torch.zeros(VIEWS, SIZE, SIZE, 3, dtype=torch.uint8)
    scene = sunk_ball() if mode == "remove" else ball_on_floor()
    edit = EditableObject(scene, ball_selection())
    capture, tools = Capture(cameras, photographs, torch.zeros(3)), Tools(LocalEditor(Painter()))
    config = RoundsConfig(Schedule(rounds=1, steps=1))
    with Largest() as largest:
        rounds = new_rounds(
            edit, capture, tools, Task("make it red", mode), config, StylerConfig(),
            RoundsFolder(tmp_path / "rounds", config.keep),
        )  # fmt: skip
        rounds.start()
        run(rounds)
    assert len(rounds.targets.edited_in) >= VIEWS // 2
    assert largest.size <= photographs.numel(), largest.by


class Forgetful(Painter):
    """Keeps no request."""

    def edit(self, request, on_step=None):
        result = super().edit(request, on_step)
        self.requests.clear()
        return result


def _peaks(views: int, folder) -> list[int]:
    """Bytes that live at once in a first and in a second round which edit all views."""
    cameras = Cameras.orbit((0.0, 0.0, 0.0), 1.4, views, SIZE, SIZE, elevation_degrees=25.0)
    photographs = torch.zeros(views, SIZE, SIZE, 3, dtype=torch.uint8)
    edit, config = EditableObject(ball_on_floor(), ball_selection()), RoundsConfig(Schedule(rounds=2, steps=1))
    capture, tools = Capture(cameras, photographs, torch.zeros(3)), Tools(LocalEditor(Forgetful()))
    books, peaks = RoundsFolder(folder, config.keep), []
    with Largest() as held:
        rounds = new_rounds(edit, capture, tools, Task("make it red"), config, StylerConfig(), books)
        rounds.start()
        for _ in range(2):
            held.peak = 0
            run(rounds, rounds.plan.steps_per_round)
            peaks.append(held.peak + photographs.numel())
    return peaks


def test_pictures_of_300_views_in_full_hd_take_6_4_gib(tmp_path, monkeypatch):
    """By what a view more takes. Of each pixel 11 bytes: photograph, original, coverage, edited picture, its mask. On
    top come the floats of a batch of the editor, on the host where there is no GPU, whatever the number of views."""
    monkeypatch.setattr(rasterize, "CONTRIBUTION_PIXELS", rasterize.CONTRIBUTION_PIXELS * SIZE**2 // (1920 * 1080))
    few, more = 16, 32
    peaks = zip(_peaks(few, tmp_path / "few"), _peaks(more, tmp_path / "more"))
    for bytes_of_a_pixel in ((large - small) / ((more - few) * SIZE**2) for small, large in peaks):
        assert 300 * 1920 * 1080 * bytes_of_a_pixel / 2**30 < 6.5, bytes_of_a_pixel
