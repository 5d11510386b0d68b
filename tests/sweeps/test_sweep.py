"""Many sentences on one object: each a step that is not in force, whoever tried it, and none is tried twice."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.live import jobs
from fasttext2style.live.objects import objects_of
from fasttext2style.sweeps.sheet import GAP, SIZE, contact_sheet, report_of, write_sheet
from fasttext2style.sweeps.trial import Stylist, Trial
from fasttext2style.workers.in_process import InProcess
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.history.scenes import assert_same
from tests.live.plain_host import PlainHost, SelectRows, open_session
from tests.sweeps.balls import PROMPTS, ball_state, ball_sweep, how_to_style
from tests.workers.several import Several


class Watched(Stylist):
    """Says what it was asked; for some sentences it raises, as often as it is told."""

    def __init__(self, stylist: Stylist, raises: dict[str, int] | None = None, error: BaseException | None = None):
        self.__dict__.update(stylist.__dict__)
        self.asked: list[str] = []
        self.raises, self.error = dict(raises or {}), error or RuntimeError("the GPU has fallen off the bus")

    def do(self, trial: Trial, on_step=None):
        self.asked.append(trial.prompt)
        if self.raises.get(trial.prompt, 0) > 0:
            self.raises[trial.prompt] -= 1
            raise self.error
        return super().do(trial, on_step)


def _run(sweep, **watched) -> Watched:
    stylist = Watched(sweep.studio("cpu"), **watched)
    sweep.run(lambda: InProcess(stylist))
    return stylist


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with three sentences tried."""
    folder = tmp_path_factory.mktemp("kept")
    _run(ball_sweep(folder))
    return folder


def _deltas(folder) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("history/steps/*/delta.safetensors"))]


def test_every_sentence_is_a_step_that_is_not_in_force(kept):
    history = History.open(kept / "history")
    assert [(step.prompt, step.strength, step.active, step.kind) for step in history.steps] == [
        (prompt, 0.0, False, "edit") for prompt in PROMPTS
    ]
    assert not history.applied and not history.can_undo
    for step in history.steps:
        delta = history.delta(step.id)
        assert delta.changed_ids.max() < BALL and {*delta.before} == {"features_dc", "features_rest"}
        assert {"similarity_before", "similarity_after"} <= step.metrics.keys() and step.thumbnail is not None


def test_the_scene_keeps_every_bit_while_sentences_are_tried_and_shown(tmp_path):
    sweep = ball_sweep(tmp_path, PROMPTS[:1])
    _run(sweep)
    contact_sheet(sweep)
    assert_same(sweep.state, ball_state())


@pytest.mark.parametrize("count", [2, 3])
def test_it_is_the_same_to_the_bit_whoever_tries_them_and_whoever_ends_first(tmp_path, kept, count):
    """Steps stand in the order in which they ended; each is what it would have been alone."""
    sweep = ball_sweep(tmp_path)
    sweep.run(lambda: Several(*(sweep.studio("cpu") for _ in range(count))))
    assert [step.prompt for step in sweep.history.steps] != list(PROMPTS), "the last one to begin ends first"
    theirs = dict(zip(PROMPTS, _deltas(kept)))
    ours = {step.prompt: (step.folder / "delta.safetensors").read_bytes() for step in sweep.history.steps}
    assert ours == theirs


def test_what_is_done_is_not_done_again_and_what_is_new_is(tmp_path):
    _run(ball_sweep(tmp_path, PROMPTS[:1]))
    before = _deltas(tmp_path)
    sweep = ball_sweep(tmp_path, ("striped zebra", PROMPTS[0]))
    assert [trial.prompt for trial in sweep.left] == ["striped zebra"]
    assert _run(sweep).asked == ["striped zebra"] and not sweep.left
    assert _deltas(tmp_path)[:1] == before
    nobody = ball_sweep(tmp_path, ("striped zebra", PROMPTS[0]))
    nobody.run(lambda: pytest.fail("nothing is left, so nobody is hired"))
    other_seed = ball_sweep(tmp_path, PROMPTS[:1], seeds=(0, 1))
    assert [trial.seed for trial in other_seed.left] == [1]
    assert len(ball_sweep(tmp_path, PROMPTS[:1], how_to_style(grows=True)).left) == 1, "another way to style"
    moved = ball_state()
    moved.columns["features_dc"][0] += 1
    assert len(ball_sweep(tmp_path, PROMPTS[:1], state=moved).left) == 1, "another object"


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(tmp_path, kept):
    sweep = ball_sweep(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _run(sweep, raises={PROMPTS[1]: 1}, error=KeyboardInterrupt())
    assert [trial.prompt for trial in sweep.left] == list(PROMPTS[1:])
    assert [entry.get("failed") for entry in report_of(sweep)["sentences"]] == [None, "not tried yet", "not tried yet"]
    assert _run(ball_sweep(tmp_path)).asked == list(PROMPTS[1:])
    assert _deltas(tmp_path) == _deltas(kept)


def test_a_sentence_that_fails_once_is_tried_again_and_one_that_always_fails_is_given_up_alone(tmp_path, kept):
    sweep = ball_sweep(tmp_path)
    stylist = _run(sweep, raises={PROMPTS[0]: 10**6, PROMPTS[1]: 1})
    assert stylist.asked == [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2 + [PROMPTS[2]]
    assert sweep.failed == {0: "RuntimeError: the GPU has fallen off the bus"}
    assert _deltas(tmp_path) == _deltas(kept)[1:] and not sweep.left
    assert report_of(sweep)["sentences"][0]["failed"] == sweep.failed[0]


def test_one_is_put_in_force_to_the_bit_and_another_one_only_without_it(tmp_path):
    _run(ball_sweep(tmp_path, PROMPTS[:2]))
    history, state = History.open(tmp_path / "history"), ball_state()
    state = history.blend(1, 1.0, state)
    assert torch.equal(state.columns["features_dc"][:BALL], history.delta(1).after["features_dc"])
    with pytest.raises(ValueError, match=r"blue denim changes the same Gaussians as red, .* take it out first"):
        history.blend(2, 1.0, state)
    state = history.blend(2, 1.0, history.blend(1, 0.0, state))
    assert torch.equal(state.columns["features_dc"][:BALL], history.delta(2).after["features_dc"])
    with pytest.raises(ValueError, match="blue denim builds on red"):
        history.blend(1, 1.0, state)
    for _ in range(3):
        state = history.undo(state)
    assert_same(state, ball_state())
    assert not history.can_undo and len(history.steps) == 2


def test_sentences_are_tried_beside_one_that_is_in_force_and_not_on_top_of_it(tmp_path):
    _run(ball_sweep(tmp_path, PROMPTS[:1]))
    state = History.open(tmp_path / "history").blend(1, 1.0, ball_state())
    sweep = ball_sweep(tmp_path, PROMPTS[:2], state=state)
    assert [trial.prompt for trial in sweep.left] == [PROMPTS[1]]
    assert_same(sweep.state, ball_state())
    assert not torch.equal(state.columns["features_dc"], sweep.state.columns["features_dc"]), "that one is as it was"


def test_an_edit_on_top_of_one_that_is_in_force_makes_both_part_of_the_scene(tmp_path):
    _run(ball_sweep(tmp_path, PROMPTS[:1]))
    history = History.open(tmp_path / "history")
    state = history.blend(1, 1.0, ball_state())
    rows = torch.arange(10)
    before = {"features_dc": state.columns["features_dc"][rows].clone()}
    delta = Delta.of_rows(state.ids[rows], before, {"features_dc": before["features_dc"] + 1})
    history.record(delta, "brighter")
    state = delta.moved(state, 0.0, 1.0)
    sweep = ball_sweep(tmp_path, PROMPTS[:1], state=state)
    assert sweep.state is state and len(sweep.left) == 1


def test_an_object_that_grows_is_put_in_force_and_taken_out_to_the_bit(tmp_path):
    sweep = ball_sweep(tmp_path, PROMPTS[:2], how_to_style(grows=True))
    _run(sweep)
    assert_same(sweep.state, ball_state())
    assert contact_sheet(sweep).std() > 0
    history = History.open(tmp_path / "history")
    state = history.blend(1, 1.0, ball_state())
    assert len(state) > len(ball_state())
    state = history.blend(2, 1.0, history.blend(1, 0.0, state))
    assert_same(history.blend(2, 0.0, state), ball_state())


def test_a_live_session_shows_them_as_edits_of_one_object_and_puts_one_in_force(kept, tmp_path):
    folder = tmp_path / "run"
    History.open(kept / "history").carried_to(folder / "history")
    host = PlainHost(ball_on_floor(), folder / "scene.pt")
    session = open_session(host, capture_cameras(), folder)
    session.do(SelectRows(0, BALL))
    (thing,) = objects_of(session.scene)
    assert [step.prompt for step in thing.edits] == list(PROMPTS)
    step = thing.edits[2]
    assert session.do(jobs.Blend(step.id, 1.0)), session.status.message
    assert torch.equal(
        host.shown.columns["features_dc"][:BALL], session.scene.history.delta(step.id).after["features_dc"]
    )


def test_the_picture_has_a_tile_for_the_object_as_it_is_and_one_for_each_sentence(kept, tmp_path):
    sweep = ball_sweep(kept, (*PROMPTS, "striped zebra"))
    write_sheet(sweep, tmp_path / "sheet.png")
    sheet = contact_sheet(sweep)
    tiles = [
        sheet[top : top + SIZE, left : left + 2 * SIZE]
        for top in range(GAP, len(sheet) - SIZE, (len(sheet) - GAP) // 3)
        for left in (GAP, 2 * GAP + 2 * SIZE)
    ]
    pictures = [tile for tile in tiles if tile.shape == (SIZE, 2 * SIZE, 3)][:5]
    assert [bool((tile == 235).all()) for tile in pictures] == [False, False, False, False, True]
    assert len({tile.tobytes() for tile in pictures}) == 5
    entries = json.loads((tmp_path / "sheet.json").read_text())["sentences"]
    assert [entry.get("edit") for entry in entries] == [1, 2, 3, None]
    assert np.asarray(sheet).shape[1] == 2 * (2 * SIZE + GAP) + GAP


def test_what_an_object_grows_depends_on_sentence_and_seed_alone(tmp_path):
    """Densification draws from torch's own generator, from which others draw, too."""
    sweep = ball_sweep(tmp_path, PROMPTS[:2], how_to_style(grows=True))
    one, other = sweep.studio("cpu"), sweep.studio("cpu")
    first, second = (one.do(trial) for trial in sweep.trials)
    torch.rand(7)
    following = torch.random.get_rng_state()
    turned = [other.do(trial) for trial in reversed(sweep.trials)]
    assert torch.equal(torch.random.get_rng_state(), following), "and whoever else draws does not notice"
    for ours, theirs in zip(reversed(turned), (first, second)):
        assert ours.has_grown and ours.columns.keys() == theirs.columns.keys()
        assert all(torch.equal(column, theirs.columns[name]) for name, column in ours.columns.items())
