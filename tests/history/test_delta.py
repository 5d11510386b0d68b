"""What a step changed: exact, small, and applied only to the scene that it was made on."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttext2style.history.delta import Delta, Footprint
from fasttext2style.history.state import SceneState
from fasttext2style.scene.bits import same_bits
from tests.history.scenes import assert_same, random_state


def grown(state: SceneState, removed: list[int], added: int, first_id: int) -> SceneState:
    fresh = random_state(added, seed=7)
    fresh = SceneState(fresh.columns, torch.arange(first_id, first_id + added))
    return state.exchanged(torch.tensor(removed, dtype=torch.long), fresh)


@given(removed=st.sets(st.integers(0, 19), max_size=20), added=st.integers(0, 5), changed=st.integers(0, 19))
@settings(max_examples=40)
def test_what_lies_between_two_states_leads_from_one_to_the_other_and_back(removed, added, changed):
    before = random_state(20)
    after = grown(before.copied(), sorted(removed), added, first_id=20)
    if changed not in removed:
        after.columns["scales"][after.rows_of(torch.tensor([changed]))] += 1
    delta = Delta.between(before, after)
    delta.check(before, 0.0, 1.0)
    forth = delta.moved(before.copied(), 0.0, 1.0)
    assert_same(forth, after)
    delta.check(forth, 1.0, 0.0)
    assert_same(delta.moved(forth, 1.0, 0.0), before)


@given(order=st.permutations(range(6)))
@settings(max_examples=20)
def test_rows_may_be_given_in_any_order(order):
    state, after = random_state(6), random_state(6, seed=1)
    rows = torch.tensor(order)
    columns = ({name: column[rows] for name, column in side.columns.items()} for side in (state, after))
    delta = Delta.of_rows(rows, *columns)
    assert_same(delta.moved(state.copied(), 0.0, 1.0), after)


def test_only_changed_rows_and_columns_are_kept():
    before = random_state(1000)
    after = before.copied()
    after.columns["features_dc"][[3, 500], 1] += 1
    delta = Delta.between(before, after)
    assert delta.changed_ids.tolist() == [3, 500]
    assert set(delta.before) == set(delta.after) == {"features_dc"}


def test_no_number_and_the_sign_of_zero_survive():
    before = random_state(4)
    before.columns["scales"][0] = math.nan
    before.columns["means"][1] = 0.0
    after = before.copied()
    after.columns["means"][1] = -0.0
    after.columns["scales"][2] = math.nan
    delta = Delta.between(before, after)
    assert delta.changed_ids.tolist() == [1, 2], "NaN equals itself, -0.0 is not 0.0"
    forth = delta.moved(before.copied(), 0.0, 1.0)
    assert_same(forth, after)
    delta.check(forth, 1.0, 0.0)
    assert_same(delta.moved(forth, 1.0, 0.0), before)


def test_a_file_keeps_every_bit(tmp_path):
    before = random_state(20)
    before.columns["features_rest"][3, 2, 1] = math.nan
    after = grown(before.copied(), [2, 5], 3, first_id=20)
    after.columns["quats"][0] *= 2
    delta = Delta.between(before, after)
    delta.save(tmp_path / "delta.safetensors")
    loaded = Delta.load(tmp_path / "delta.safetensors")
    assert_same(loaded.moved(before.copied(), 0.0, 1.0), after)
    footprint = Footprint.load(tmp_path / "delta.safetensors")
    assert footprint.columns == {"quats"}
    assert footprint.changed_ids.tolist() == [0] and footprint.exchanged_ids.tolist() == [2, 5, 20, 21, 22]


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "delta.safetensors"
    Delta.between(random_state(9), random_state(9, seed=1)).save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="cannot be read as a history step"):
        Delta.load(path)


def test_another_scene_is_refused_and_left_alone():
    before, after = random_state(9), random_state(9, seed=1)
    delta = Delta.between(before, after)
    other = before.copied()
    other.columns["opacities"][4] += 1e-6
    with pytest.raises(ValueError, match="opacities of 1 Gaussians differs"):
        delta.check(other, 0.0, 1.0)
    with pytest.raises(ValueError, match="are gone"):
        delta.check(before.at(torch.arange(8)), 0.0, 1.0)


def test_blending_is_exact_at_both_ends_and_halfway_in_the_middle():
    before, after = random_state(9), random_state(9, seed=1)
    after.columns["opacities"][0] = before.columns["opacities"][0] = math.inf
    delta = Delta.between(before, after)
    for name in delta.before:
        assert bool(same_bits(delta.value(name, 0.0), before.columns[name]).all())
        assert bool(same_bits(delta.value(name, 1.0), after.columns[name]).all())
    halfway = delta.value("means", 0.5)
    torch.testing.assert_close(halfway, (before.columns["means"] + after.columns["means"]) / 2)
    assert delta.value("opacities", 0.5)[0] == math.inf, "what did not change stays, infinite or not"


def test_rotations_are_blended_on_the_shorter_arc():
    """A quarter turn about z given with the other sign: halfway is an eighth of a turn, not three eighths back."""
    before, after = random_state(1), random_state(1)
    eighth = math.pi / 4
    before.columns["quats"][0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    after.columns["quats"][0] = -3 * torch.tensor([math.cos(eighth), 0.0, 0.0, math.sin(eighth)])
    halfway = Delta.between(before, after).value("quats", 0.5)[0]
    torch.testing.assert_close(halfway, torch.tensor([math.cos(eighth / 2), 0.0, 0.0, math.sin(eighth / 2)]))


def test_what_cannot_be_blended_says_so():
    before = random_state(9)
    growth = Delta.between(before, grown(before, [2], 1, first_id=9))
    with pytest.raises(ValueError, match="added or removed Gaussians, so it cannot be blended"):
        growth.check(before, 0.0, 0.5)
    selected = before.copied()
    selected.columns["selection"].zero_()
    with pytest.raises(ValueError, match="cannot be blended"):
        Delta.between(before, selected).check(before, 0.0, 0.5)


def test_growth_needs_new_identities():
    state = random_state(5)
    with pytest.raises(ValueError, match="new identities"):
        Delta.of_growth(state.at(torch.tensor([1, 2])), state.at(torch.tensor([2, 3])))
