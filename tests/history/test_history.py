"""Steps on disk: undo, redo, drop and blend bit by bit, also after a restart."""

import json
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image

from fasttext2style.history.checkpoint import history_tensors, state_of_checkpoint
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.history.steps import steps_of_run
from tests.history.scenes import assert_same, random_state


def recolored(state: SceneState, ids: list[int], value: float) -> Delta:
    rows = state.rows_of(torch.tensor(ids))
    before = {"features_dc": state.columns["features_dc"][rows]}
    return Delta.of_rows(torch.tensor(ids), before, {"features_dc": torch.full_like(before["features_dc"], value)})


def reselected(state: SceneState, ids: list[int]) -> Delta:
    weights = torch.zeros(len(state))
    weights[state.rows_of(torch.tensor(ids))] = 1
    return Delta.of_rows(state.ids, {"selection": state.selection}, {"selection": weights})


def densified(state: SceneState, ids: list[int], count: int, history: History) -> Delta:
    fresh = random_state(count, seed=count)
    return Delta.of_growth(state.at(torch.tensor(ids)), SceneState(fresh.columns, history.fresh_ids(state, count)))


def do(history: History, state: SceneState, delta: Delta, **facts) -> SceneState:
    """An edit as a host does it: the scene changes, then the step is kept."""
    state = delta.moved(state, 0.0, 1.0)
    kind = "selection" if delta.is_selection else "edit"
    history.record(delta, **{"name": "an edit", "kind": kind} | facts)
    return state


@pytest.fixture
def history(tmp_path) -> History:
    return History.open(tmp_path / "history")


def test_undo_and_redo_after_growth_restore_every_bit_also_after_a_restart(history):
    state = random_state(20)
    original = state.copied()
    state = do(history, state, recolored(state, [3, 4, 5], 0.5))
    state = do(history, state, densified(state, [4, 5, 9], 6, history))
    after = state.copied()
    history = History.open(history.folder)
    state = history.undo(history.undo(state))
    assert_same(state, original)
    assert not history.can_undo and history.can_redo
    history = History.open(history.folder)
    state = history.redo(history.redo(state))
    assert_same(state, after)
    assert [step.active for step in history.steps] == [True, True]


def test_an_edit_that_keeps_the_number_of_gaussians_is_undone_in_the_models_own_tensors(history):
    state = random_state(5)
    state = do(history, state, recolored(state, [1], 0.5))
    undone = history.undo(state)
    assert all(undone.columns[name] is column for name, column in state.columns.items())


def test_what_is_known_of_a_step_comes_back(history):
    state = random_state(5)
    picture = np.full((6, 8, 3), 200, dtype=np.uint8)
    facts = {"prompt": "a bear made of gold", "settings": {"steps": 200}, "seed": 3, "seconds": 1.5}
    do(history, state, recolored(state, [1, 2], 0.5), name="gold", thumbnail=picture, metrics={"clip": 0.3}, **facts)
    step = History.open(history.folder).steps[0]
    assert (step.id, step.name, step.kind, step.gaussians_changed, step.strength) == (1, "gold", "edit", 2, 1.0)
    assert {name: getattr(step, name) for name in facts} == facts and step.metrics == {"clip": 0.3}
    assert step.thumbnail is not None and step.created[:2] == "20"


def test_the_steps_of_a_run_are_read_without_opening_it(history, tmp_path):
    """By its folder, or by what people point at: its config.yml or its checkpoints."""
    with pytest.raises(ValueError, match="is no run: expected a folder"):
        steps_of_run(tmp_path)
    (tmp_path / "config.yml").touch()
    assert steps_of_run(tmp_path).all == []
    state = do(history, random_state(9), recolored(random_state(9), [1], 0.5), name="gold")
    history.undo(do(history, state, recolored(state, [2], 0.5), name="ice"))
    (tmp_path / "nerfstudio_models").mkdir()
    for path in (tmp_path, tmp_path / "config.yml", tmp_path / "nerfstudio_models"):
        assert [(step.name, step.active) for step in steps_of_run(path).all] == [("gold", True), ("ice", False)]
    (tmp_path / "config.yml").unlink()
    assert len(steps_of_run(tmp_path).all) == 2, "a session that was saved has steps, too"


def test_disk_use_follows_what_changed(history):
    state = random_state(10_000)
    do(history, state, recolored(state, list(range(100)), 0.5))
    assert history.steps[0].megabytes * 1e6 == pytest.approx(100 * (8 + 2 * 12), abs=3000)


def test_a_new_step_ends_redo_and_its_files_go_when_a_checkpoint_was_saved(history):
    state = random_state(5)
    state = do(history, state, recolored(state, [1], 0.5))
    state = history.undo(state)
    do(history, state, recolored(state, [2], 0.5))
    assert [step.id for step in history.steps] == [2] and not history.can_redo
    assert (history.folder / "steps" / "0001").is_dir(), "a checkpoint may still contain it"
    history.purge()
    assert not (history.folder / "steps" / "0001").exists()


def test_steps_on_disjoint_objects_are_dropped_independently(history):
    state = random_state(9)
    state = do(history, state, reselected(state, [1, 2]))
    state = do(history, state, densified(state, [1, 2], 4, history))
    without = history.undo(state)
    state = history.redo(without.copied())
    state = do(history, state, reselected(state, [5, 6]))
    state = do(history, state, recolored(state, [5, 6], 0.5))
    both = state.copied()
    state = history.drop(2, state)
    assert 1 in state.ids and 9 not in state.ids
    assert not history.step(2).active and history.step(4).active
    state = history.undo(state)
    assert_same(state, both)
    state = history.drop(4, history.drop(3, history.drop(2, state)))
    assert_same(state, without)
    state = history.blend(2, 1.0, state)
    assert 9 in state.ids and history.step(2).active


def test_gaussians_that_come_back_are_selected_as_later_steps_say(history):
    state = random_state(9)
    state = do(history, state, densified(state, [1, 2], 4, history))
    state = do(history, state, reselected(state, [5, 6]))
    now = state.copied()
    state = history.blend(1, 1.0, history.drop(1, state))
    assert_same(state, now)


def test_a_step_that_a_later_one_builds_on_cannot_be_dropped(history):
    state = random_state(9)
    state = do(history, state, recolored(state, [1, 2], 0.25), name="red")
    state = do(history, state, recolored(state, [2, 3], 0.5), name="blue")
    before = state.copied()
    with pytest.raises(ValueError, match="blue builds on red"):
        history.drop(1, state)
    assert_same(state, before)
    state = history.drop(1, history.drop(2, state))
    assert_same(state, random_state(9))


def test_steps_on_other_columns_of_the_same_gaussians_are_dropped_independently(history):
    state = random_state(9)
    state = do(history, state, recolored(state, [1, 2], 0.25))
    sizes = {"scales": state.columns["scales"][[1, 2]]}
    state = do(history, state, Delta.of_rows(torch.tensor([1, 2]), sizes, {"scales": torch.zeros(2, 3)}))
    state = history.drop(1, state)
    expected = random_state(9)
    expected.columns["scales"][[1, 2]] = 0
    assert_same(state, expected)


def test_a_change_of_strength_is_undone_and_done_again_in_its_turn(history):
    state = random_state(9)
    for number in (1, 2, 3):
        state = do(history, state, recolored(state, [number], 0.5))
    moments = [state.copied()]
    for step_id, strength in ((2, 0.0), (1, 0.25), (2, 0.5)):
        state = history.blend(step_id, strength, state)
        moments.append(state.copied())
    history = History.open(history.folder)
    for moment in moments[-2::-1]:
        state = history.undo(state)
        assert_same(state, moment)
    assert [step.strength for step in history.steps] == [1.0, 1.0, 1.0]
    for moment in moments[1:]:
        state = history.redo(state)
        assert_same(state, moment)
    assert not history.can_redo and [step.strength for step in history.steps] == [0.25, 0.5, 1.0]


def test_positions_of_a_slider_are_undone_as_one(history):
    state = random_state(9)
    state = do(history, state, recolored(state, [1], 0.5))
    made = state.copied()
    for strength in (0.9, 0.5, 0.2):
        state = history.blend(1, strength, state, goes_on=True)
    assert history.last_move == (1, 1.0, 0.2)
    assert_same(history.undo(state), made)
    state = history.blend(1, 0.7, state)
    state = history.blend(1, 1.0, state, goes_on=True)
    assert history.last_move == (1, 0.0, 1.0), "back where it began is nothing to undo"
    assert history.undo(state) is not None and not history.can_undo


def test_a_slider_takes_no_earlier_step_with_it(history):
    state = random_state(9)
    for number in (1, 2, 3):
        state = do(history, state, recolored(state, [number], 0.5))
    made = state.copied()
    for strength in (0.9, 0.5):
        state = history.blend(1, strength, state, goes_on=True)
    state = history.undo(state)
    assert_same(state, made)
    for _ in range(3):
        assert history.can_undo
        state = history.undo(state)
    assert_same(state, random_state(9))


def test_a_step_made_while_another_was_not_in_force_says_which_is_in_its_way(history):
    state = random_state(9)
    state = do(history, state, recolored(state, [1, 2], 0.25), name="red")
    state = history.blend(1, 0.0, state)
    state = do(history, state, recolored(state, [2, 3], 0.5), name="blue")
    state = history.blend(1, 1.0, history.blend(2, 0.0, state))
    before = state.copied()
    with pytest.raises(ValueError, match="blue changes the same Gaussians as red, and was made when that was not in"):
        history.blend(2, 1.0, state)
    assert_same(state, before)


def test_a_change_of_strength_ends_redo(history):
    state = random_state(9)
    state = do(history, do(history, state, recolored(state, [1], 0.5)), recolored(state, [2], 0.5))
    state = history.undo(state)
    state = history.blend(1, 1.0, state)
    assert history.can_redo, "nothing has changed"
    state = history.blend(1, 0.5, state)
    assert not history.can_redo and [step.id for step in history.steps] == [1]
    with pytest.raises(ValueError, match="nothing to redo"):
        history.redo(state)


def test_a_history_of_an_earlier_version_is_read(history):
    """It knew strengths, and how many of the steps are done."""
    state = random_state(9)
    for number in (1, 2, 3):
        state = do(history, state, recolored(state, [number], 0.5))
    state = history.blend(1, 0.5, history.undo(history.undo(state)))
    steps = [{"step": 1, "strength": 0.5}, {"step": 2, "strength": 0.0}, {"step": 3, "strength": 1.0}]
    index = {"strengths": steps, "done": 1, "next_step_id": 4, "next_gaussian_id": 9}
    (history.folder / "history.json").write_text(json.dumps(index | {"format": "fasttext2style-history-1"}))
    history = History.open(history.folder)
    assert [(step.id, step.strength, step.active) for step in history.steps] == [
        (1, 0.5, True), (2, 0.0, False), (3, 1.0, False)]  # fmt: skip
    assert history.next_move == (3, 0.0, 1.0), "dropped steps are passed over"
    assert_same(history.undo(state), random_state(9))


def test_the_first_gaussian_of_an_empty_scene_has_identity_0(history):
    assert history.fresh_ids(SceneState.empty(), 2).tolist() == [0, 1]


def test_what_is_not_said_of_a_step_is_empty(history):
    state = random_state(5)
    do(history, state, recolored(state, [1], 0.5))
    step = history.step(1)
    assert (step.prompt, step.settings, step.seed, step.seconds, step.metrics) == ("", {}, None, 0.0, {})
    assert step.thumbnail is None


@pytest.mark.parametrize("sides, shown", [((1024, 1), True), ((1, 1024), True), ((1025, 1), False), ((1, 1025), False)])
def test_a_small_picture_is_one_of_at_most_1024_pixels_a_side(history, sides, shown):
    state = random_state(5)
    do(history, state, recolored(state, [1], 0.5))
    path = history.step(1).folder / "thumbnail.png"
    Image.new("L", sides).save(path)
    assert history.step(1).thumbnail == (path if shown else None)


def test_an_unknown_step_is_answered_with_those_that_are_known(history):
    state = random_state(5)
    with pytest.raises(ValueError, match=r"no step 7 .*there are: none"):
        history.step(7)
    do(history, do(history, state, recolored(state, [1], 0.5)), recolored(state, [2], 0.5))
    with pytest.raises(ValueError, match=r"no step 7 .*there are: 1, 2"):
        history.before(state, 7)


def test_a_step_is_blended_between_before_and_after(history):
    state = random_state(9)
    before = state.columns["features_dc"][1].clone()
    state = do(history, state, recolored(state, [1], 0.5))
    state = history.blend(1, 0.25, state)
    torch.testing.assert_close(state.columns["features_dc"][1], before + 0.25 * (0.5 - before))
    assert History.open(history.folder).steps[0].strength == 0.25
    state = history.redo(history.undo(state))
    torch.testing.assert_close(state.columns["features_dc"][1], before + 0.25 * (0.5 - before))
    assert history.blend(1, 1.0, state).columns["features_dc"][1].tolist() == [0.5] * 3


def test_the_scene_before_a_step_is_a_copy(history):
    state = random_state(9)
    original = state.copied()
    state = do(history, state, recolored(state, [1], 0.25))
    state = do(history, state, densified(state, [1, 2], 3, history))
    now = state.copied()
    assert_same(history.before(state, 1), original)
    assert_same(state, now)


def test_there_is_no_before_of_another_scene(history):
    """Also where the difference is only in a Gaussian that the step brought."""
    state = do(history, random_state(9), densified(random_state(9), [1, 2], 3, history))
    history.before(state, 1)
    state.columns["scales"][-1] += 1
    with pytest.raises(ValueError, match="scales of 1 Gaussians differs"):
        history.before(state, 1)


@pytest.mark.parametrize(
    "action, message",
    [
        (lambda history, state: history.undo(state), "nothing to undo"),
        (lambda history, state: history.redo(state), "nothing to redo"),
        (lambda history, state: history.drop(7, state), "no step 7"),
        (lambda history, state: history.blend(1, 1.5, state), "between 0"),
        (lambda history, state: history.record(Delta.between(state, state), "the same"), "changed nothing"),
        (
            lambda history, state: history.record(Delta.between(state, random_state(9, seed=1)), "both"),
            "either a selection or an edit",
        ),
    ],
)
def test_bad_requests_are_answered_in_words(history, action, message):
    with pytest.raises(ValueError, match=message):
        action(history, random_state(9))
    assert not history.folder.exists()


def test_an_undone_step_cannot_be_blended(history):
    state = random_state(9)
    state = history.undo(do(history, state, recolored(state, [1], 0.25)))
    with pytest.raises(ValueError, match="redo it first"):
        history.blend(1, 0.5, state)


def test_a_history_goes_on_in_another_run(history, tmp_path):
    state = random_state(9)
    state = do(history, state, recolored(state, [1], 0.25))
    other = history.carried_to(tmp_path / "other")
    do(other, state.copied(), recolored(state, [2], 0.5))
    assert [step.id for step in other.steps] == [1, 2] and [step.id for step in history.steps] == [1]
    delta = "steps/0001/delta.safetensors"
    assert (history.folder / delta).samefile(other.folder / delta), "a hard link takes no space"
    assert_same(history.undo(state), random_state(9))
    with pytest.raises(ValueError, match="has a history of 2 steps"):
        history.carried_to(tmp_path / "other")


class AnyOrderOfActions(RuleBasedStateMachine):
    """Whatever is done in whatever order, the scene is what the steps in force make of the first scene.

    The oracle is a plain ledger of every Gaussian's bytes, to which the steps are applied anew each time.
    """

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.history = History.open(Path(self.folder.name) / "history")
        self.state = random_state(8)
        self.first = as_ledger(self.state)
        self.past, self.future = [], []

    def teardown(self):
        self.folder.cleanup()

    @rule(which=st.sets(st.integers(0, 7), min_size=1, max_size=3), value=st.floats(-2, 2, width=32))
    def recolor(self, which, value):
        self._do(recolored(self.state, self._ids(which), value))

    @rule(which=st.sets(st.integers(0, 7), min_size=1, max_size=3), count=st.integers(1, 3))
    def densify(self, which, count):
        self._do(densified(self.state, self._ids(which), count, self.history))

    @rule(which=st.sets(st.integers(0, 7), min_size=1, max_size=3))
    def select(self, which):
        self._do(reselected(self.state, self._ids(which)))

    @precondition(lambda self: self.history.can_undo)
    @rule()
    def undo(self):
        self.future.append(as_ledger(self.state))
        self.state = self.history.undo(self.state)
        np.testing.assert_equal(as_ledger(self.state), self.past.pop())

    @precondition(lambda self: self.history.can_redo)
    @rule()
    def redo(self):
        self.past.append(as_ledger(self.state))
        self.state = self.history.redo(self.state)
        np.testing.assert_equal(as_ledger(self.state), self.future.pop())

    @invariant()
    def there_is_as_much_to_undo_and_redo_as_was_done(self):
        assert self.history.can_undo == bool(self.past) and self.history.can_redo == bool(self.future)

    @precondition(lambda self: self.history.steps)
    @rule(which=st.integers(0, 5), strength=st.sampled_from([0.0, 0.0, 0.3, 1.0]))
    def blend(self, which, strength):
        steps = self.history.steps
        self._if_allowed(lambda: self.history.blend(steps[which % len(steps)].id, strength, self.state))

    @rule()
    def save_and_load(self):
        entries = {f"_model.{name}": value for name, value in history_tensors(self.state, self.history).items()}
        self.history = History.open(self.history.folder)
        self.state = state_of_checkpoint(self.state.gaussians(), self.state.selection, entries, self.history)

    @invariant()
    def scene_is_what_the_steps_make_of_the_first_scene(self):
        ledger = dict(self.first)
        for step in self.history.applied:
            apply_to_ledger(ledger, self.history.delta(step.id), step.strength)
        now = as_ledger(self.state)
        assert list(now) == sorted(ledger), "rows are in the order of identities"
        for step_id, columns in ledger.items():
            for name, value in columns.items():
                np.testing.assert_array_equal(now[step_id][name].view(np.int32), value.view(np.int32), err_msg=name)

    def _ids(self, which):
        return sorted({int(self.state.ids[number % len(self.state)]) for number in which})

    def _do(self, delta):
        if not delta.is_empty:
            self.past, self.future = [*self.past, as_ledger(self.state)], []
            self.state = do(self.history, self.state, delta)

    def _if_allowed(self, action):
        before, index = as_ledger(self.state), (self.history.folder / "history.json").read_bytes()
        try:
            self.state = action()
            if (self.history.folder / "history.json").read_bytes() != index:
                self.past, self.future = [*self.past, before], []
        except ValueError:
            np.testing.assert_equal(as_ledger(self.state), before)
            assert (self.history.folder / "history.json").read_bytes() == index


def as_ledger(state: SceneState) -> dict[int, dict[str, np.ndarray]]:
    return {
        int(identity): {name: column[row].numpy().copy().reshape(-1) for name, column in state.columns.items()}
        for row, identity in enumerate(state.ids)
    }


def apply_to_ledger(ledger, delta: Delta, strength: float) -> None:
    for row, identity in enumerate(delta.changed_ids.tolist()):
        for name in delta.before:
            if identity in ledger:
                value = delta.value(name, strength)[row].numpy().reshape(-1)
                ledger[identity] = ledger[identity] | {name: value}
    for identity in delta.removed.ids.tolist():
        del ledger[identity]
    ledger |= as_ledger(delta.added)


TestAnyOrderOfActions = AnyOrderOfActions.TestCase
TestAnyOrderOfActions.settings = settings(max_examples=25, stateful_step_count=14, deadline=None, derandomize=True)


def test_a_step_that_is_not_in_force_is_passed_over_by_undo_and_comes_back_with_what_was_done_before_it(tmp_path):
    """Done, kept, done, kept: two undos and two redos, and all four are there as they were."""
    history, state = History.open(tmp_path / "history"), random_state()
    first = state.copied()
    steps = []
    for rows, in_force in (([0, 1], True), ([2], False), ([3], True), ([4], False)):
        before = {"features_dc": state.columns["features_dc"][rows].clone()}
        delta = Delta.of_rows(state.ids[rows], before, {"features_dc": before["features_dc"] + 1})
        steps.append(history.record(delta, f"rows {rows}", in_force=in_force).id)
        state = delta.moved(state, 0.0, 1.0) if in_force else state
    last = state.copied()
    state = history.undo(history.undo(state))
    assert_same(state, first)
    assert not history.can_undo
    state = history.redo(history.redo(state))
    assert_same(state, last)
    again = History.open(tmp_path / "history")
    assert [again.is_done(step) for step in steps] == [True] * 4 and not again.can_redo
    assert_same(again.blend(steps[3], 0.0, again.blend(steps[3], 1.0, state)), last)
