"""What happens within a round, step by step: what begins it, what its losses hold, how it ends."""

import math

import pytest
import torch

from fasttext2style.editors.local_edit import LocalEditor
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import KeepConfig, RoundsFolder
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.records import measure
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.tools import Tools
from fasttext2style.rounds.views import to_bytes
from tests.ball import BALL
from tests.rounds.balls import RATES, ball_rounds, ball_subject, object_of, run
from tests.rounds.editors import Idle, MoodyPainter, Painter, TwoMinded


def _started(folder, editor=None, schedule=None, losses=None, **settings):
    config = RoundsConfig(schedule or Schedule(rounds=2, steps=6), losses=losses or LossConfig())
    rounds = ball_rounds(folder, editor or Painter(), config=config, **settings)
    rounds.start()
    return rounds


def _manifests(rounds):
    return [entry.manifest for entry in rounds.folder.rounds()[1:]]


def _files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


# --- steps ----------------------------------------------------------------------------------------------------------


def test_losses_are_asked_as_often_as_one_likes_and_change_nothing(tmp_path):
    painter = Painter()
    rounds = _started(tmp_path, painter)
    assert rounds.begin_step()
    files, asked = _files(tmp_path), len(painter.requests)
    (first, _), (second, _) = rounds.losses(), rounds.losses()
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert _files(tmp_path) == files and len(painter.requests) == asked == 1


def test_a_step_tells_whether_there_are_new_pictures(tmp_path):
    rounds = _started(tmp_path, schedule=Schedule(rounds=2, steps=4, views=2, edit_every=2, refinement_steps=2))
    told = []
    for _ in range(rounds.steps_left):
        told.append(rounds.begin_step())
        rounds.end_step()
    assert told == [True, False, True, False, False, False] * 2


def test_a_round_may_be_given_another_length_and_the_next_has_its_own_again(tmp_path):
    rounds = _started(tmp_path)
    rounds.plan_round(3)
    assert (rounds.steps_left_in_round, rounds.steps_left) == (3, 9)
    run(rounds)
    assert [manifest["steps_done"] for manifest in _manifests(rounds)] == [3, 6]
    assert rounds.done


def test_a_round_ended_by_hand_is_complete_and_can_be_refined(tmp_path):
    painter = Painter()
    rounds = _started(tmp_path, painter, Schedule(rounds=1, steps=40))
    run(rounds, steps=4)
    assert rounds.end_round().manifest["steps_done"] == 4
    rounds.refine(3)
    assert rounds.steps_left == 3
    run(rounds)
    (manifest,) = _manifests(rounds)
    assert (manifest["steps_done"], manifest["plan"]["steps"]) == (7, 4)
    assert manifest["metrics"].keys() == {"trained", "refined"} and len(painter.requests) == 1
    assert manifest["metrics"]["refined"]["inside"]["l1"] < manifest["metrics"]["trained"]["inside"]["l1"]
    rounds.refine(2)
    run(rounds)
    assert _manifests(rounds)[0]["steps_done"] == 9
    assert _manifests(rounds)[0]["metrics"]["trained"] == manifest["metrics"]["trained"]


def test_there_is_nothing_to_refine_before_the_first_round(tmp_path):
    with pytest.raises(ValueError, match="no edited round to refine yet"):
        _started(tmp_path).refine(5)


@pytest.mark.parametrize("resets", [True, False])
def test_optimizers_begin_a_round_afresh_or_go_on(tmp_path, resets):
    rounds = _started(tmp_path, schedule=Schedule(rounds=2, steps=3, reset_adam=resets))
    optimizers = {name: torch.optim.Adam([value], lr=RATES[name]) for name, value in rounds.subject.parameters.items()}
    rounds.attach(optimizers)
    for _ in range(3):
        rounds.begin_step()
        sum(rounds.losses()[0].values()).backward()
        for optimizer in optimizers.values():
            optimizer.step()
        rounds.end_step()
    assert optimizers["features_dc"].state
    rounds.begin_step()
    assert bool(optimizers["features_dc"].state) != resets


# --- losses ---------------------------------------------------------------------------------------------------------


def test_every_round_holds_gaussians_to_where_it_found_them(tmp_path):
    rounds = _started(tmp_path)
    run(rounds, steps=5)
    rounds.begin_step()
    anchors = ("position_anchor", "scale_anchor", "consistency")
    assert all(float(rounds.losses()[0][name].detach()) > 0 for name in anchors)
    rounds.end_step()
    rounds.begin_step()
    assert rounds.round == 2
    assert all(float(rounds.losses()[0][name].detach()) == 0 for name in anchors)


def test_a_change_of_view_dependence_costs_its_variance():
    """By default a tenth of it: one coefficient of one channel of one Gaussian among all, changed by 1."""
    subject = ball_subject()
    subject.parameters["features_rest"].data[0, 4, 1] += 1.0
    assert float(subject.losses()["consistency"].detach()) == pytest.approx(0.1 / (4 * math.pi) / 3 / BALL)


def test_views_that_disagree_are_not_stored_as_view_dependence(tmp_path):
    """An editor that paints every other view green asks for a ball whose colour depends on where one looks from."""
    stored = []
    for weight in (0.0, LossConfig.consistency_weight, 1000.0):
        losses = LossConfig(consistency_weight=weight, preservation_weight=0.0)
        rounds = _started(tmp_path / str(weight), TwoMinded(), Schedule(rounds=1, steps=60), losses)
        run(rounds)
        edit = object_of(rounds)
        stored.append(float((edit.parameters["features_rest"].detach() - edit.original.sh_rest).square().sum()))
    assert stored[0] > stored[1] > 10 * stored[2], stored


@pytest.mark.parametrize(
    "mode, moves",
    [
        ("restyle", {"features_dc", "features_rest", "scales", "means"}),
        ("replace", {"features_dc", "features_rest", "scales", "means", "opacities", "quats"}),
    ],
)
def test_a_mode_moves_its_groups_and_no_others(tmp_path, mode, moves):
    rounds = run(_started(tmp_path, mode=mode, schedule=Schedule(rounds=1, steps=3)))
    edit, original = object_of(rounds), object_of(rounds).original.to_splatfacto()
    assert {name for name, value in edit.parameters.items() if not torch.equal(value, original[name])} == moves
    assert ("position_anchor" in rounds.subject.losses()) == (mode == "restyle")


def test_a_perceptual_loss_is_trained_and_reported(tmp_path):
    def perceptual(images, targets):
        return (images - targets).abs().amax()

    tools = Tools(Painter(), perceptual)
    rounds = _started(tmp_path, tools=tools, schedule=Schedule(rounds=1, steps=2), losses=LossConfig(lpips_weight=3.0))
    rounds.begin_step()
    losses, _ = rounds.losses()
    assert float(losses["lpips"].detach()) > 0 and losses["lpips"].requires_grad
    rounds.end_step()
    run(rounds)
    assert 0 < _manifests(rounds)[0]["metrics"]["trained"]["inside"]["lpips"] <= 1


def test_where_nothing_has_changed_the_books_say_so(tmp_path):
    """The editor gives every picture back, nothing was trained: 100 dB stands for equal pictures."""
    rounds = _started(tmp_path, Idle())
    rounds.begin_step()
    metrics = measure(rounds.subject, rounds.views, rounds.targets, None).metrics
    assert metrics["inside"] == {"l1": 0.0, "psnr": 100.0}
    outside = metrics["outside"]
    assert outside["psnr"] == outside["outside_mask"]["psnr"] == 100.0
    assert outside["outside_mask"]["share_of_pixels"] > 0.3


def test_where_the_scene_before_is_gone_the_books_say_that_nothing_was_measured(tmp_path):
    rounds = _started(tmp_path, schedule=Schedule(rounds=1, steps=1))
    (tmp_path / "round_0000" / "scene.safetensors").unlink()
    outside = _manifests(run(rounds))[0]["metrics"]["trained"]["outside"]
    assert outside["gaussians_changed"] is None and "is gone" in outside["not_measured"]


# --- which views ----------------------------------------------------------------------------------------------------


def test_residual_takes_the_views_that_the_last_round_fitted_worst(tmp_path):
    rounds = run(_started(tmp_path, LocalEditor(MoodyPainter()), Schedule(rounds=1, steps=4)))
    residuals = {int(view): value for view, value in rounds.folder.rounds()[1].manifest["residuals"].items()}
    assert residuals.keys() == {0, 3, 4, 5, 6, 7, 8, 9}
    config = RoundsConfig(Schedule(rounds=2, steps=2, views=4, choice="residual"))
    again = ball_rounds(tmp_path, Painter(), config=config)
    again.resume()
    run(again)
    worst = sorted(residuals, key=lambda view: -residuals[view])
    assert _manifests(again)[1]["edits"][0]["views"][:2] == worst[:2]


def test_residuals_are_how_far_views_are_from_their_edits_inside_the_mask(tmp_path):
    rounds = run(_started(tmp_path, schedule=Schedule(rounds=1, steps=4)))
    entry = rounds.folder.rounds()[1]
    for view in (0, 6):
        after, edited, mask = (entry.picture(kind, view) / 255 for kind in ("after", "edited", "mask"))
        expected = ((after - edited).abs() * mask).sum() / (3 * mask.sum())
        assert entry.manifest["residuals"][str(view)] == pytest.approx(float(expected), rel=1e-4)
        assert torch.equal(entry.picture("after", view), to_bytes(rounds.subject.render([view]))[0])


def test_in_turn_goes_on_from_round_to_round(tmp_path):
    rounds = run(_started(tmp_path, schedule=Schedule(rounds=3, steps=2, views=3, choice="turn")))
    chosen = [view for manifest in _manifests(rounds) for view in manifest["edits"][0]["views"]]
    assert len(chosen) == len(set(chosen)) == 9


def test_every_edit_has_its_own_seed(tmp_path):
    painter = Painter()
    run(_started(tmp_path, painter, Schedule(rounds=2, steps=4, views=2, edit_every=2)))
    assert len({request.seed for request in painter.requests}) == len(painter.requests) == 4


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_quality_is_that_of_lossy_pictures(tmp_path):
    sizes = []
    for quality in (20, 95):
        config = RoundsConfig(Schedule(rounds=1, steps=1), keep=KeepConfig("jpg", quality))
        rounds = ball_rounds(tmp_path / str(quality), LocalEditor(Painter()), config=config)
        rounds.start()
        run(rounds)
        folder = RoundsFolder(tmp_path / str(quality)).rounds()[1].folder
        sizes.append(sum(path.stat().st_size for path in (folder / "edited").iterdir()))
        assert all(path.suffix == ".png" for path in (folder / "mask").iterdir())
    assert sizes[0] < 0.7 * sizes[1]


def test_a_complete_round_is_never_begun_again(tmp_path):
    run(_started(tmp_path, schedule=Schedule(rounds=1, steps=1)))
    with pytest.raises(ValueError, match="Round 1 is complete"):
        RoundsFolder(tmp_path).begin(1)
