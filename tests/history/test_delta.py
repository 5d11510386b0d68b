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


def test_the_last_bit_of_a_step_done_counts_but_not_of_a_blended_one():
    """Blends are computed anew, on whatever machine; what a step left whole was stored."""
    before, after = random_state(9), random_state(9, seed=1)
    delta = Delta.between(before, after)
    done = delta.moved(before.copied(), 0.0, 1.0)
    nudged = torch.nextafter(done.columns["means"][4], torch.tensor(math.inf))
    done.columns["means"][4] = nudged
    with pytest.raises(ValueError, match="means of 1 Gaussians differs"):
        delta.check(done, 1.0, 0.0)
    half = delta.moved(before.copied(), 0.0, 0.5)
    half.columns["means"][4] = torch.nextafter(half.columns["means"][4], torch.tensor(math.inf))
    delta.check(half, 0.5, 1.0)
    half.columns["means"][4:6] += 0.01
    with pytest.raises(ValueError, match="means of 2 Gaussians differs"):
        delta.check(half, 0.5, 1.0)


@pytest.mark.parametrize("side", ["added", "removed"])
def test_growth_is_taken_back_or_repeated_only_with_the_gaussians_it_left(side):
    before = random_state(9)
    after = grown(before.copied(), [2, 3], 2, first_id=9)
    delta = Delta.between(before, after)
    state, old, new = (after, 1.0, 0.0) if side == "added" else (before, 0.0, 1.0)
    selected = state.copied()
    selected.columns["selection"].fill_(0.5)
    delta.check(selected, old, new)  # what is selected meanwhile does not matter
    other = state.copied()
    other.columns["scales"][other.rows_of(getattr(delta, side).ids[:1])] += 1
    with pytest.raises(ValueError, match="scales of 1 Gaussians differs"):
        delta.check(other, old, new)


def test_steps_are_done_in_the_parameters_of_a_model():
    before, after = random_state(5), random_state(5, seed=1)
    parameters = {name: torch.nn.Parameter(column.clone()) for name, column in before.columns.items()}
    delta = Delta.between(before, after)
    state = SceneState(dict(parameters), before.ids)
    delta.check(state, 0.0, 1.0)
    done = delta.moved(state, 0.0, 1.0)
    assert all(done.columns[name] is column and column.is_leaf for name, column in parameters.items())
    assert_same(SceneState({name: column.detach() for name, column in done.columns.items()}, done.ids), after)
    Delta.of_rows(before.ids, {"selection": before.selection}, {"selection": torch.ones(5)}).select_again(done)
    assert parameters["selection"].tolist() == [1.0] * 5


def test_footprints_meet_where_a_column_of_a_gaussian_is_shared():
    def footprint(columns: set[str], changed: list[int], exchanged: list[int] = ()) -> Footprint:
        return Footprint(frozenset(columns), *(torch.tensor(ids, dtype=torch.long) for ids in (changed, exchanged)))

    colours, sizes = footprint({"features_dc"}, [1, 2]), footprint({"scales"}, [2, 3])
    assert colours.meets(footprint({"features_dc", "scales"}, [2]))
    assert not colours.meets(sizes), "other columns of the same Gaussian"
    assert not colours.meets(footprint({"features_dc"}, [3])), "the same column of other Gaussians"
    growth = footprint(set(), [], [2, 9])
    assert growth.meets(colours) and colours.meets(growth) and growth.meets(footprint(set(), [], [9]))
    assert not growth.meets(footprint({"features_dc"}, [3])) and not growth.meets(footprint(set(), [], [10]))
    selection = footprint({"selection"}, [1, 2, 9])
    assert selection.meets(footprint({"selection"}, [9]))
    assert not selection.meets(growth) and not growth.meets(selection) and not selection.meets(colours)


def test_a_file_says_without_its_rows_whether_it_is_a_selection(tmp_path):
    before = random_state(9)
    selected, recolored, both = before.copied(), before.copied(), before.copied()
    for state in (selected, both):
        state.columns["selection"].zero_()
    for state in (recolored, both):
        state.columns["features_dc"].zero_()
    for after, expected in ((selected, True), (recolored, False), (both, False), (grown(selected, [2], 1, 9), False)):
        delta = Delta.between(before, after)
        delta.save(tmp_path / "delta.safetensors")
        assert Footprint.load(tmp_path / "delta.safetensors").is_selection == delta.is_selection == expected


@pytest.mark.parametrize("removed", [[], [0]])
def test_a_scene_of_one_gaussian_grows_and_comes_back(removed):
    before = random_state(1)
    after = grown(before.copied(), removed, 2, first_id=1)
    assert after.ids.tolist() == [0, 1, 2][len(removed) :]
    delta = Delta.between(before, after)
    assert_same(delta.moved(before.copied(), 0.0, 1.0), after)
    assert_same(delta.moved(after.copied(), 1.0, 0.0), before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_bits_are_compared_in_every_precision(dtype):
    ours = torch.tensor([1.0, 0.0, math.nan, 2.0], dtype=dtype)
    theirs = torch.tensor([1.0, -0.0, math.nan, 3.0], dtype=dtype)
    assert same_bits(ours, theirs).tolist() == [True, False, True, False]
    other = torch.float64 if dtype is torch.float32 else torch.float32
    with pytest.raises(ValueError, match="Cannot compare the bits"):
        same_bits(ours, theirs.to(other))


def test_identities_begin_at_0_and_go_on_after_the_largest():
    assert SceneState.empty().next_id == 0 and len(SceneState.empty()) == 0
    assert random_state(5).ids.tolist() == [0, 1, 2, 3, 4] and random_state(5).next_id == 5
    assert random_state(9).at(torch.tensor([2, 7])).next_id == 8


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


@pytest.mark.parametrize("shape", [(2, 5, 3), (4, 2, 3), (0, 0, 3)])
def test_surroundings_are_a_panorama_of_radiance(shape):
    with pytest.raises(ValueError, match=r"environment should be a panorama \[height, 2 height, 3\], got"):
        Delta.of_environment(torch.ones(shape))
    for radiance in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="environment should be finite radiance from 0 on"):
            Delta.of_environment(torch.full((2, 4, 3), radiance))


def test_growth_needs_new_identities():
    state = random_state(5)
    with pytest.raises(ValueError, match="new identities"):
        Delta.of_growth(state.at(torch.tensor([1, 2])), state.at(torch.tensor([2, 3])))
