"""Which pictures a round trains towards, by Schedule.train_on, and how many at a time."""

import pytest
import torch

from fasttext2style.editors.local_edit import LocalEditor
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.targets import Target, Targets
from tests.rounds.balls import ball_rounds, ball_subject, run
from tests.rounds.editors import MoodyPainter, Painter


@pytest.fixture(scope="module")
def views():
    return ball_subject().views()


def _target(value: int) -> Target:
    return Target(torch.full((48, 48, 3), value, dtype=torch.uint8), torch.full((48, 48, 1), 255, dtype=torch.uint8))


def _edited(targets: Targets, chosen: list[int], number: int, spoilt: tuple[int, ...] = ()) -> None:
    for view in chosen:
        if view not in spoilt:
            targets.set(view, _target(10 * number + view), number)
    targets.asked(chosen)


@pytest.mark.parametrize(
    "train_on, after_each_edit",
    [
        ("newest", [[1, 2], [3], [5], [1]]),
        ("round", [[1, 2], [1, 2, 3], [5], [1, 5]]),
        ("latest", [[1, 2], [1, 2, 3], [1, 2, 3, 5], [1, 2, 3, 5]]),
        ("dataset", [list(range(10))] * 4),
    ],
)
def test_a_round_trains_on_the_views_that_its_schedule_names(views, train_on, after_each_edit):
    targets, trained_on = Targets(views, train_on), []
    for number, edits in enumerate([[[2, 1], [3]], [[5], [1]]], start=1):
        targets.begin_round()
        for chosen in edits:
            _edited(targets, chosen, number)
            trained_on.append(targets.train_views)
    assert trained_on == after_each_edit
    assert targets.edited_in == {1: 2, 2: 1, 3: 1, 5: 2}


def test_the_last_edit_of_a_view_counts_and_a_photograph_stands_in_for_none(views):
    targets = Targets(views, "dataset")
    _edited(targets, [1, 2], 1)
    _edited(targets, [1, 2], 2, spoilt=(2,))
    assert [int(targets[view].image[0, 0, 0]) for view in (1, 2)] == [21, 12]
    assert torch.equal(targets[3].image, views.photographs[3])
    assert torch.equal(targets[3].mask, views.original_masks[3])
    crops, masks = targets.crops(torch.tensor([3, 1]))
    x0, y0, x1, y1 = views.boxes[3].tolist()
    torch.testing.assert_close(crops[0], views.photographs[3, y0:y1, x0:x1] / 255)
    assert torch.equal(crops[1], torch.full_like(crops[1], 21 / 255)) and bool((masks[1] == 1).all())


def test_a_view_that_was_asked_for_and_spoilt_is_trained_on_if_it_has_an_older_edit(views):
    targets = Targets(views, "newest")
    _edited(targets, [1, 2], 1, spoilt=(2,))
    assert targets.train_views == [1]
    targets.begin_round()
    _edited(targets, [1, 2], 2, spoilt=(1,))
    assert targets.train_views == [1, 2]


def _steps_on(tmp_path, schedule: Schedule, editor=None) -> list[list[int]]:
    """Views of each training step."""
    rounds, seen = ball_rounds(tmp_path, editor or Painter(), config=RoundsConfig(schedule)), []
    rounds.start()
    render_boxes = rounds.subject.render_boxes
    rounds.subject.render_boxes = lambda views, boxes: (seen.append(views.tolist()), render_boxes(views, boxes))[1]
    run(rounds)
    return seen


def test_steps_are_taken_on_these_views_in_batches(tmp_path):
    steps = _steps_on(tmp_path, Schedule(rounds=1, steps=5, batch=2))
    assert [len(set(step)) for step in steps] == [2] * 5
    assert sorted(view for step in steps for view in step) == list(range(10)), "every view once before any comes again"


def test_algorithm_3_takes_each_step_on_the_view_just_edited(tmp_path):
    schedule = Schedule(rounds=1, steps=6, views=1, edit_every=1, choice="turn", train_on="newest")
    steps = _steps_on(tmp_path, schedule)
    edits = RoundsFolder(tmp_path).rounds()[1].manifest["edits"]
    assert [edit["step"] for edit in edits] == list(range(6))
    assert steps == [edit["views"] for edit in edits] and len(set(map(tuple, steps))) == 6


def test_a_spoilt_view_is_never_trained_on(tmp_path):
    steps = _steps_on(tmp_path, Schedule(rounds=1, steps=8, batch=1), LocalEditor(MoodyPainter()))
    assert sorted(view for step in steps for view in step) == [0, 3, 4, 5, 6, 7, 8, 9]
