"""Pieces of a round by one editor in this process: order, progress, failures. Ray is not needed, and not started."""

import os
import re
import signal
import sys
import tempfile
import time
from contextlib import closing, nullcontext

import pytest
import torch

from fasttext2style.editors.editor import EditRequest, EditResult
from fasttext2style.editors.load import load_editor
from fasttext2style.editors.local_edit import LocalEditConfig, LocalEditor
from fasttext2style.plug_ins import NotTrusted, named_by_others
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.packed import Packed
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.targets import EditConfig
from fasttext2style.rounds.workers import (
    EditingTool,
    LoadEditingTool,
    edit_pieces,
    here,
    settings_for_workers,
    workers_of,
)
from fasttext2style.trust.lock import WriteLock
from fasttext2style.workers import ray_folder
from fasttext2style.workers.choice import read_workers
from fasttext2style.workers.in_process import do_or_say_why
from fasttext2style.workers.pieces import Failed
from fasttext2style.workers.ray_folder import RayFolder
from fasttext2style.workers.worker import Worker
from tests.rounds.balls import ball_rounds, run
from tests.rounds.editors import Painter, Slow
from tests.workers.several import Several


class Falling(Painter):
    """Raises when it is asked for some views, as often as it is told for each; then it paints."""

    name = "falling"

    def __init__(self, falls: dict[int, int], error: Exception | None = None) -> None:
        super().__init__()
        self.falls, self.error = dict(falls), error or RuntimeError("the GPU has fallen off the bus")

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        result = super().edit(request, on_step)
        for view in request.view_ids:
            if self.falls.get(view, 0) > 0:
                self.falls[view] -= 1
                raise self.error
        return result


def several(*editors: Painter) -> Several:
    return Several(*map(EditingTool, editors))


ALWAYS = 10**6


def _request(*views: int) -> EditRequest:
    generator = torch.Generator().manual_seed(views[0])
    return EditRequest(torch.rand(len(views), 6, 8, 3, generator=generator), "make it red", view_ids=views)


def _answers(crew, requests, views, on_step=None) -> dict[int, EditResult]:
    with closing(edit_pieces(crew, requests, views, on_step)) as answers:
        return dict(answers)


PIECES = [_request(4, 2), _request(7, 1), _request(0)]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_answers_are_those_of_one_editor_whoever_edits_and_whoever_ends_first(count):
    expected = [Painter().edit(request).images for request in PIECES]
    answers = _answers(several(*(Painter() for _ in range(count))), PIECES, 5)
    assert sorted(answers) == [0, 1, 2]
    for place, images in enumerate(expected):
        assert torch.equal(answers[place].images, images)
        assert "done_again" not in answers[place].info


def test_everybody_has_something_to_do():
    painters = [Painter() for _ in range(3)]
    _answers(several(*painters), PIECES, 5)
    assert [len(painter.requests) for painter in painters] == [1, 1, 1]


def test_a_request_is_made_when_somebody_can_take_it_and_one_ahead():
    """Requests hold pictures: all of a round at once would be gigabytes."""
    made, ended = [], []

    def requests():
        for view in range(6):
            made.append(view)
            yield _request(view)

    class Counting(Painter):
        def edit(self, request, on_step=None):
            ended.append(len(made))
            return super().edit(request, on_step)

    _answers(here(Counting()), requests(), 6)
    assert ended == [1, 2, 3, 4, 5, 6]
    made.clear(), ended.clear()
    _answers(several(Counting(), Counting()), requests(), 6)
    assert ended[0] == 3 and max(now - done for done, now in enumerate(ended)) <= 3


def test_a_piece_that_failed_once_is_done_again_as_it_was():
    """As it was: an editor's answer may depend on which views stand beside each other, by a bit."""
    editor = Falling({7: 1})
    answers = _answers(here(editor), PIECES, 5)
    assert [request.view_ids for request in editor.requests] == [(4, 2), (7, 1), (7, 1), (0,)]
    assert torch.equal(answers[1].images, Painter().edit(PIECES[1]).images) and not answers[1].failed
    reason = "RuntimeError: the GPU has fallen off the bus"
    assert answers[1].info["done_again"] == {7: reason, 1: reason}
    assert "done_again" not in answers[0].info


def test_a_view_that_fails_alone_is_given_up_and_those_beside_it_are_not():
    editor = Falling({1: ALWAYS}, ValueError("no memory\n  for view 1"))
    answers = _answers(here(editor), PIECES, 5)
    assert [request.view_ids for request in editor.requests] == [(4, 2), (7, 1), (7, 1), (7,), (1,), (0,)]
    assert answers[1].failed == {1: "no memory for view 1"}
    assert torch.equal(answers[1].images[0], Painter().edit(PIECES[1]).images[0])
    assert torch.equal(answers[1].images[1], PIECES[1].images[1])
    assert not answers[0].failed and not answers[2].failed


def test_a_piece_that_fails_only_as_a_whole_is_put_together_of_its_views():
    editor = Falling({7: 2}, ValueError("no memory for two"))
    answers = _answers(here(editor), PIECES, 5)
    assert [request.view_ids for request in editor.requests] == [(4, 2), (7, 1), (7, 1), (7,), (1,), (0,)]
    assert not answers[1].failed and list(answers[1].info["done_again"]) == [7, 1]
    assert torch.equal(answers[1].images, Painter().edit(PIECES[1]).images)


def test_failures_of_the_editor_itself_keep_their_rows_when_a_piece_is_taken_apart():
    class Picky(Falling):
        def edit(self, request, on_step=None):
            failed = {index: "too dark" for index, view in enumerate(request.view_ids) if view == 2}
            return EditResult(super().edit(request, on_step).images, {}, failed)

    answers = _answers(here(Picky({3: ALWAYS})), [_request(8), _request(1, 2, 3)], 4)
    assert answers[1].failed == {1: "too dark", 2: "RuntimeError: the GPU has fallen off the bus"}


def test_an_editor_that_never_works_is_not_asked_for_all_views():
    editor = Falling(dict.fromkeys(range(9), ALWAYS))
    with pytest.raises(ValueError, match="none of the first 2 views: RuntimeError: the GPU has fallen off the bus"):
        _answers(here(editor), PIECES, 5)
    assert {view for request in editor.requests for view in request.view_ids} == {4, 2}


def test_what_progress_raises_ends_the_edit_and_is_no_failure():
    """A session's Stop comes this way."""

    class Stopped(Exception):
        pass

    def stop(done, total):
        raise Stopped

    editor = Slow()
    with pytest.raises(Stopped):
        _answers(here(editor), PIECES, 5, stop)
    assert not editor.requests


def test_progress_counts_all_workers():
    """Three steps a piece: of 1 view of 4 a step is a twelfth of all, of 2 views a sixth; said in whole steps."""
    told = []
    requests = [_request(0), _request(1), _request(2, 3)]
    _answers(several(Slow(), Slow()), requests, 4, lambda done, total: told.append(done / total))
    assert told == pytest.approx([1 / 12, 2 / 12, 3 / 12, 5 / 12, 7 / 12, 9 / 12, 10 / 12, 11 / 12, 1], abs=0.0834)


def test_one_editor_is_asked_as_before(tmp_path):
    editor = LocalEditor(Painter())
    workers = workers_of(editor)
    assert (workers.name, workers.capabilities, workers.key_views) == (editor.name, editor.capabilities, 0)
    assert (workers.batch_size, workers.count) == (8, 1)
    assert workers_of(workers) is workers


def test_pieces_are_batches_of_the_editor(tmp_path):
    editor = LocalEditor(Painter(), LocalEditConfig(batch_size=4))
    rounds = ball_rounds(tmp_path, editor, config=RoundsConfig(Schedule(rounds=1, steps=1), EditConfig()))
    rounds.start()
    rounds.begin_step()
    assert [request.view_ids for request in editor.editor.requests] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]


@pytest.mark.parametrize(
    "error, reason",
    [
        (RuntimeError("the GPU has fallen off the bus"), "RuntimeError: the GPU has fallen off the bus"),
        (torch.OutOfMemoryError("CUDA out of memory"), r"The GPU's memory does not suffice for 1 view.*"),
    ],
    ids=["error", "out of memory"],
)
def test_a_view_that_fails_keeps_its_last_target_and_is_named_in_the_manifest(tmp_path, error, reason):
    editor = Falling({}, error)
    rounds = ball_rounds(tmp_path, LocalEditor(editor, LocalEditConfig(batch_size=4)))
    rounds.start()
    run(rounds, rounds.plan.steps_per_round)
    before = rounds.targets[5]
    editor.falls = {5: ALWAYS}
    run(rounds)
    assert torch.equal(rounds.targets[5].image, before.image) and 5 in rounds.targets.round_views
    last = rounds.folder.rounds()[-1]
    (edit,) = last.manifest["edits"]
    assert list(edit["failed"]) == ["5"] and re.match(reason, edit["failed"]["5"])
    assert list(edit["editor"]["done_again"]) == ["4", "5", "6", "7"]
    assert last.manifest["edited_in"]["5"] == 1 and last.manifest["edited_in"]["4"] == 2


NO_WORKERS = ["0", "-1", "1.5", "eight", "", " ", "1e3", "²", "99999999", "ray://", "ray://head", "ray://head:0",
              "ray://head:70000", "http://head:8265", "head:10001/8", "a b:1"]  # fmt: skip


@pytest.mark.parametrize("text", NO_WORKERS)
def test_what_is_no_number_of_workers_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match=r"--workers is a number from 1 to 1024 .* ray://HEAD:10001; got") as told:
        read_workers(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["2", "ray://head:10001", "10.0.0.7:6379"])
def test_without_ray_the_error_names_what_to_install(text, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "fasttext2style\[workers\]"'):
        read_workers(text)
    assert read_workers("1").in_process


@pytest.mark.parametrize("text, count, address", [("2", 2, ""), (" 8 ", 8, ""), ("ray://head:10001", 1, "ray://head:10001"),
                                                  ("ray://[::1]:10001", 1, "ray://[::1]:10001")])  # fmt: skip
def test_a_number_or_an_address_is_understood(text, count, address, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    choice = read_workers(text)
    assert (choice.count, choice.address, choice.in_process) == (count, address, False)


def test_settings_of_strangers_send_no_views_to_their_machines():
    with named_by_others("config.yml"):
        with pytest.raises(NotTrusted, match="Ray cluster at ray://theirs:10001"):
            read_workers("ray://theirs:10001")
        assert read_workers("1").in_process


def test_who_has_nothing_to_do_is_said():
    assert settings_for_workers(12, 8, 2) == ""
    assert "2 for 4 workers: 2 have nothing to do" in settings_for_workers(12, 8, 4)
    assert "batch_size 3 " in settings_for_workers(12, 8, 4)
    assert "batch_size" not in settings_for_workers(1, 1, 2)


def test_pictures_of_8_bits_travel_as_such_and_arrive_as_they_were():
    """The render is no picture of 8 bits; a mask may have any values."""
    generator = torch.Generator().manual_seed(1)
    photograph = torch.randint(0, 256, (2, 5, 4, 3), generator=generator).float() / 255
    renders, soft = torch.rand(2, 5, 4, 3, generator=generator), torch.rand(2, 5, 4, 1, generator=generator)
    request = EditRequest(
        renders, "x", condition=photograph.clone(), mask=soft, detail=photograph, depth=soft + 3, view_ids=(3, 1)
    )
    packed = Packed.of(request)
    assert sorted(packed.bytes) == ["condition", "detail"] and packed.rest.detail is None
    assert packed.bytes["condition"] is packed.bytes["detail"], "the same picture travels once"
    arrived = packed.request()
    for name in ("images", "condition", "mask", "detail", "depth"):
        assert torch.equal(getattr(arrived, name), getattr(request, name)), name
    assert arrived.view_ids == (3, 1)


def test_a_worker_says_in_words_why_it_has_no_editor_and_stops_at_the_next_step_when_nobody_waits():
    worker = Worker(threads=1)
    assert worker.load(LoadEditingTool(lambda device: load_editor("tests.rounds.editors:Nobody")), "cpu") == (
        "The editor 'tests.rounds.editors:Nobody' cannot be imported: module 'tests.rounds.editors' has no attribute "
        "'Nobody'. Write module:attribute, and see that the module is installed or in a folder of PYTHONPATH"
    )
    told = worker.load(LoadEditingTool(lambda device: Slow()), "cpu")
    assert told.about.name == "slow"
    packed = Packed.of(_request(3, 4))
    whole = worker.do(1, packed, [0, 1])
    assert torch.equal(whole.images, Painter().edit(_request(3, 4)).images)
    assert worker.steps() == (1, 3, 3)
    assert torch.equal(worker.do(2, packed, [1]).images, whole.images[1:])
    worker.stop(3)
    assert worker.do(3, packed, [0, 1]).reason == "stopped" and worker.steps() == (3, 1, 3)
    assert torch.equal(worker.do(4, packed, [0, 1]).images, whole.images)


def test_a_worker_that_runs_out_of_memory_after_it_had_enough_ends_and_a_fresh_one_does_not():
    """Whoever calls it, Ray, replaces those that raise. Where even a fresh one lacks memory the run would load editors
    for an hour before it said so."""
    lacks = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
    fresh, told = Worker(threads=1), "OutOfMemoryError: CUDA out of memory. Tried to allocate 20 GiB"
    fresh.load(LoadEditingTool(lambda device: Falling({5: ALWAYS}, lacks)), "cpu")
    for number in range(2):
        assert fresh.do(number, Packed.of(_request(5)), [0]) == Failed(told, out_of_memory=True)
    assert torch.equal(fresh.do(2, Packed.of(_request(4)), [0]).images, Painter().edit(_request(4)).images)
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate 20 GiB"):
        fresh.do(3, Packed.of(_request(5)), [0])
    # Other failures leave a worker in place.
    sound = Worker(threads=1)
    sound.load(LoadEditingTool(lambda device: Falling({5: ALWAYS})), "cpu")
    sound.do(0, Packed.of(_request(4)), [0])
    assert not sound.do(1, Packed.of(_request(5)), [0]).out_of_memory


@pytest.mark.parametrize("how", ["of a view that does not fit", "of Python", "of the CPU"])
def test_whatever_lacks_memory_is_known_for_it(how):
    class Greedy(Painter):
        def edit(self, request, on_step=None):
            if how == "of Python":
                raise MemoryError
            if how == "of the CPU":
                torch.empty(10**15)
            raise torch.OutOfMemoryError("CUDA out of memory")

    outcome = do_or_say_why(EditingTool(LocalEditor(Greedy())), _request(5), None)
    assert outcome.out_of_memory and outcome.reason


class Told(Several):
    """Remembers what it was busy with when it was told that nobody waits."""

    def __init__(self, *editors):
        super().__init__(*map(EditingTool, editors))
        self.stopped = []

    def stop(self):
        self.stopped.append(len(self._order))
        super().stop()


@pytest.mark.parametrize("how", ["left early", "progress raises", "an editor that never works", "to the end"])
def test_workers_are_told_once_that_nobody_waits_for_what_was_begun(how):
    never = Falling(dict.fromkeys((4, 2, 7, 1, 0), ALWAYS))
    one, other = {"progress raises": (Slow(), Slow()), "an editor that never works": (never, never)}.get(
        how, (Painter(), Painter())
    )
    crew = Told(one, other)

    def told(done, total):
        raise RuntimeError("stop")

    answers = edit_pieces(crew, PIECES, 5, told if how == "progress raises" else None)
    if how == "left early":
        next(answers)
        assert crew.stopped == []
        answers.close()
        assert crew.stopped == [1], "the other one was at work"
        return
    with nullcontext() if how == "to the end" else pytest.raises((RuntimeError, ValueError)):
        list(answers)
    assert len(crew.stopped) == 1


def test_folders_of_rays_that_were_killed_are_removed_by_the_next_one_and_those_of_living_ones_stay(
    tmp_path, monkeypatch
):
    """As kill -9 and SIGTERM leave them: with their lock, which nobody holds."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ray_folder, "LONGEST_PARENT", 500)
    names = ["killed", "living", "just_made", "link"]
    folders = [tmp_path / f"{ray_folder.PREFIX}{name}" for name in names]
    for folder in folders[:3]:
        folder.mkdir()
        (folder / "session").mkdir()
    folders[3].symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".lock").touch()
    read, write = os.pipe()
    killed, living = os.fork(), None
    if killed == 0:
        WriteLock(folders[0])
        os._exit(0)
    os.waitpid(killed, 0)
    living = os.fork()
    if living == 0:
        held = WriteLock(folders[1])
        os.write(write, b"held")
        time.sleep(60)
        held.release()
    assert os.read(read, 4) == b"held" and (folders[0] / ".lock").exists()
    try:
        own = RayFolder()
        assert [folder.exists() for folder in folders] == [False, True, True, True]
        assert own.path.stat().st_mode & 0o777 == 0o700
        own.remove()
        assert not own.path.exists() and (tmp_path / "elsewhere" / ".lock").exists()
    finally:
        os.kill(living, signal.SIGKILL)
        os.waitpid(living, 0)
