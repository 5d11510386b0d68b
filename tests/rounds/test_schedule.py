"""Schedules of all sources in numbers, and which views are chosen."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.rounds.schedule import Schedule, choose_views, derived_seed
from fasttext2style.scene.cameras import Cameras


def test_instruct_gs2gs_edits_all_views_every_2500_steps():
    plan = Schedule(rounds=3, steps=2500).resolved(shown_views=60, on_cuda=True)
    assert (plan.total_steps, plan.views) == (7500, 60)
    assert [step for step in range(2500) if plan.edits_at(step)] == [0]


def test_instruct_nerf2nerf_edits_one_view_every_ten_steps():
    schedule = Schedule(rounds=15, steps=1000, views=1, edit_every=10, choice="turn", train_on="dataset")
    plan = schedule.resolved(shown_views=60, on_cuda=True)
    assert plan.total_steps == 15000
    assert sum(plan.edits_at(step) for step in range(plan.steps)) == 100
    assert plan.edits_at(10) and not plan.edits_at(11)


def test_algorithm_4_edits_every_so_many_epochs_of_batches():
    plan = Schedule(rounds=4, epochs=20, batch=64).resolved(shown_views=251, on_cuda=True)
    assert plan.steps == 20 * 4
    assert plan.batch == 64


@pytest.mark.parametrize(("on_cuda", "steps", "batch"), [(False, 100, 2), (True, 2500, 4)])
def test_what_is_left_open_is_three_rounds_of_all_views_as_long_as_the_device_allows(on_cuda, steps, batch):
    plan = Schedule().resolved(shown_views=60, on_cuda=on_cuda)
    assert (plan.rounds, plan.steps, plan.batch, plan.views) == (3, steps, batch, 60)
    assert (plan.refinement_steps, plan.edit_every) == (0, 0)
    assert Schedule().resolved(shown_views=1, on_cuda=on_cuda).batch == 1


def test_refinement_belongs_to_its_round_and_edits_nothing():
    plan = Schedule(rounds=2, steps=20, refinement_steps=5, views=1, edit_every=10).resolved(8, on_cuda=False)
    assert plan.steps_per_round == 25
    assert [step for step in range(25) if plan.edits_at(step)] == [0, 10]
    assert [step for step in range(25) if plan.refines_at(step)] == [20, 21, 22, 23, 24]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"rounds": 0}, "at least 1 round"),
        ({"steps": 10, "epochs": 2}, "not both"),
        ({"edit_every": 10}, "schedule.views"),
        ({"batch": -1}, "schedule.batch"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**settings).check()


def _circle(views):
    return Cameras.orbit((0.0, 0.0, 0.0), 2.0, views, 8, 8).directions


def _choose(how, count, turn=0, coverage=None, residuals=None, seed=0, views=12):
    coverage = torch.ones(views) if coverage is None else coverage
    return choose_views(how, count, turn, coverage, _circle(len(coverage)), residuals or {}, seed)


@given(
    st.sampled_from(["turn", "order", "coverage", "residual"]),
    st.integers(1, 14),
    st.integers(0, 30),
    st.lists(st.sampled_from([0.0, 0.1, 0.5]), min_size=12, max_size=12).filter(any),
    st.dictionaries(st.integers(0, 11), st.floats(0, 1)),
)
def test_chosen_views_are_different_and_show_the_object(how, count, turn, coverage, residuals):
    chosen = _choose(how, count, turn, torch.tensor(coverage), residuals)
    shown = sum(share > 0 for share in coverage)
    assert len(chosen) == len(set(chosen)) == min(count, shown)
    assert all(coverage[view] > 0 for view in chosen)


def test_in_order_views_come_as_in_the_capture_again_and_again():
    coverage = torch.tensor([0.5, 0.0, 0.1, 0.9])
    assert [_choose("order", 1, turn, coverage) for turn in range(5)] == [[0], [2], [3], [0], [2]]
    assert _choose("order", 2, 1, coverage) == [3, 0]


def test_a_step_takes_as_many_patches_as_are_asked_for_however_few_views_there_are():
    assert Schedule(patch=32).resolved(shown_views=5, on_cuda=True).batch == 16
    assert Schedule(patch=32, batch=7).resolved(shown_views=5, on_cuda=False).batch == 7


def test_in_turn_every_view_comes_once_before_any_comes_again():
    order = [_choose("turn", 1, turn)[0] for turn in range(24)]
    assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))
    assert order[:12] != order[12:] != list(range(12))


def test_coverage_prefers_views_that_show_much_from_different_sides():
    coverage = torch.tensor([0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    chosen = _choose("coverage", 2, coverage=coverage)
    # 0 and 1 are neighbours; 6 looks from the other side.
    assert chosen == [0, 6]


def test_coverage_counts_as_much_as_the_angle_but_for_the_last_fifth():
    """After a view along x, 1 - cosine times coverage is 1 x 0.5 for one along y and 2 x 0.2 for the opposite one. Of
    five views the last one is chosen by the angle alone."""
    along = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0]])
    assert choose_views("coverage", 2, 0, torch.tensor([0.6, 0.5, 0.2]), along, {}, 0) == [0, 1]
    along = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0.8, 0.6], [0, 0.6, 0.8], [-1, 0, 0]])
    coverage = torch.tensor([0.6, 0.5, 0.5, 0.5, 0.5, 1e-6])
    chosen = choose_views("coverage", 5, 0, coverage, along, {}, 0)
    assert chosen[-1] == 5 and set(chosen[:-1]) < {0, 1, 2, 3, 4}


def test_residual_takes_the_worst_first_and_leaves_room_for_others():
    chosen = _choose("residual", 4, residuals={3: 0.9, 4: 0.8, 5: 0.1, 6: 0.2})
    assert chosen[:2] == [3, 4]
    assert len(set(chosen[2:]) - {5, 6}) == 2


def test_seeds_differ_by_purpose_and_repeat():
    assert derived_seed(0, 1, 2) == derived_seed(0, 1, 2)
    assert len({derived_seed(0, 1), derived_seed(1, 0), derived_seed(0, 1, 0), derived_seed(0, 2)}) == 4
    torch.Generator().manual_seed(derived_seed(2**31, 5))
    seeds = [derived_seed(number) for number in range(100)]
    assert all(0 <= seed < 2**63 for seed in seeds), "torch and numpy take these"
    assert max(seeds) > 2**62 and len({seed % 2 for seed in seeds}) == 2
