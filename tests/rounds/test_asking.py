"""What the editor is asked, and what becomes of its answer."""

import pytest
import torch

from fasttext2style.editors.local_edit import LocalEditor
from fasttext2style.rounds import targets
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.targets import EditConfig
from tests.ball import BALL, ball_on_floor
from tests.rounds.balls import ball_rounds, run
from tests.rounds.editors import Flat, Painter, Slow, Surveyor

LUMINANCE = torch.tensor([0.299, 0.587, 0.114])
ONE_STEP = Schedule(rounds=1, steps=1)


def _asked(folder, editor, edit=None, **settings):
    """Rounds whose first edit is done."""
    rounds = ball_rounds(folder, editor, config=RoundsConfig(ONE_STEP, edit or EditConfig()), **settings)
    rounds.start()
    assert rounds.begin_step()
    return rounds


def test_every_setting_reaches_the_editor(tmp_path):
    painter = Painter()
    config = EditConfig(
        negative="fog", strength=(0.3, 0.4), steps=7, guidance=5.5, image_guidance=1.25, shared_noise=False
    )
    _asked(tmp_path, painter, config, mode="replace", instruction="a red ball")
    (request,) = painter.requests
    assert (request.negative, request.strength, request.steps) == ("fog", (0.3, 0.4), 7)
    assert (request.guidance, request.image_guidance, request.shared_noise) == (5.5, 1.25, False)
    assert (request.mode, request.instruction, request.view_ids) == ("replace", "a red ball", tuple(range(10)))


@pytest.mark.parametrize("name, expected", [("tiny", 3.0), ("another", 7.5)])
def test_guidance_left_open_is_what_suits_the_editor(tmp_path, name, expected):
    painter = Painter()
    painter.name = name
    _asked(tmp_path, painter)
    assert painter.requests[0].guidance == expected
    assert painter.requests[0].shared_noise


def test_the_editor_sees_the_scene_as_it_is_now_in_its_mask(tmp_path):
    painter = Painter()
    rounds = ball_rounds(tmp_path, painter, config=RoundsConfig(Schedule(rounds=2, steps=10)))
    rounds.start()
    run(rounds, steps=10)
    rounds.begin_step()
    first, second = painter.requests
    torch.testing.assert_close(first.images, rounds.views.originals / 255, atol=0.5 / 255 + 1e-6, rtol=0)
    assert torch.equal(second.images, rounds.subject.render(list(range(10))))
    assert (second.images - first.images).abs().max() > 0.1
    assert torch.equal(first.mask, rounds.views.original_masks / 255)


def test_depth_is_the_distance_to_the_object_for_editors_that_want_it(tmp_path):
    """Cameras stand 1.4 from the middle of a ball of radius 0.3, whose Gaussians are 0.05 wide."""
    surveyor = Surveyor()
    rounds = _asked(tmp_path, surveyor)
    depth = surveyor.requests[0].depth[rounds.views.original_masks > 250]
    assert 1.4 - 0.3 - 0.1 < depth.median() < 1.4
    painter = Painter()
    _asked(tmp_path / "painter", painter)
    assert painter.requests[0].depth is None


def test_progress_of_the_editor_is_told(tmp_path):
    told = []
    rounds = ball_rounds(tmp_path, Slow(), on_edit_step=lambda done, total: told.append((done, total)))
    rounds.start()
    rounds.begin_step()
    assert told == [(1, 3), (2, 3), (3, 3)]


def _speckled_ball():
    scene = ball_on_floor()
    generator = torch.Generator().manual_seed(3)
    scene.sh_dc[:BALL] += 1.5 * torch.randn(BALL, 1, generator=generator)
    return scene


@pytest.mark.parametrize(
    "mode, detail, keeps", [("restyle", True, True), ("restyle", False, False), ("replace", True, False)]
)
def test_a_restyled_object_keeps_its_fine_light_and_dark(tmp_path, mode, detail, keeps):
    """The editor answers with one colour; the speckles that it was too coarse to see are in the target, or are not."""
    rounds = _asked(tmp_path, LocalEditor(Flat()), EditConfig(detail=detail), mode=mode, scene=_speckled_ball())
    inside = rounds.views.original_masks[..., 0] > 250
    originals = rounds.views.originals / 255 @ LUMINANCE
    edited = torch.stack([rounds.targets[view].image for view in range(10)]) / 255 @ LUMINANCE
    fine = [picture[inside] - picture[inside].mean() for picture in (originals, edited)]
    likeness = float((fine[0] * fine[1]).sum() / (fine[0].norm() * fine[1].norm()).clamp_min(1e-6))
    if keeps:
        assert likeness > 0.7 and fine[1].std() > 0.05, (likeness, fine[1].std())
    else:
        assert fine[1].std() < 0.02, fine[1].std()


def test_many_views_are_asked_for_some_at_a_time_and_come_out_the_same(tmp_path, monkeypatch):
    """All at once would take gigabytes: ten views by three and three and three and one."""
    reported: list[tuple[int, int]] = []
    whole, parts = LocalEditor(Painter()), LocalEditor(Painter())
    at_once = _asked(tmp_path / "whole", whole)
    monkeypatch.setattr(targets, "AT_ONCE", 3)
    rounds = ball_rounds(tmp_path / "parts", parts, config=RoundsConfig(ONE_STEP, EditConfig()))
    rounds._on_edit_step = lambda done, total: reported.append((done, total))
    rounds.start()
    assert rounds.begin_step()
    assert [len(request.images) for request in parts.editor.requests] == [3, 3, 3, 1]
    assert [view for request in parts.editor.requests for view in request.view_ids] == list(range(10))
    for view in range(10):
        ours, theirs = rounds.targets[view], at_once.targets[view]
        assert torch.equal(ours.image, theirs.image) and torch.equal(ours.mask, theirs.mask), view
    assert rounds.targets.round_views == at_once.targets.round_views
    assert reported == sorted(reported) and all(done <= total for done, total in reported)


def test_an_editor_that_compares_views_gets_all_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "AT_ONCE", 3)
    painter = Painter()
    painter.key_views = 2
    _asked(tmp_path, painter)
    assert [len(request.images) for request in painter.requests] == [10]
