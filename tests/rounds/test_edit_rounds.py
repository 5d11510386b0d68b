"""Rounds on a ball: it takes the editor's colour, nothing else changes, everything is kept, and a resumed run ends as
the uninterrupted one."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from fasttext2style.editors.local_edit import LocalEditor
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import KINDS, KeepConfig, RoundsFolder
from fasttext2style.rounds.gaussian_subject import scene_of_round
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.targets import EditConfig
from fasttext2style.rounds.views import to_bytes
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from tests.ball import BALL, ball_on_floor
from tests.rounds.balls import ball_rounds, ball_selection, object_of, parameters, run, sunk_ball
from tests.rounds.editors import Eraser, MoodyPainter, Painter


def _editor(kind=Painter):
    return LocalEditor(kind())


def _started(folder, *arguments, **settings):
    rounds = ball_rounds(folder, *arguments, **settings)
    rounds.start()
    return rounds


def _resumed(folder, *arguments, refine=0, **settings):
    rounds = ball_rounds(folder, *arguments, **settings)
    rounds.resume(refine)
    return rounds


def _color(scene):
    return (scene.sh_dc[:BALL] * 0.28209479177387814 + 0.5).mean(dim=0)


@pytest.fixture(scope="module")
def red(tmp_path_factory):
    folder = tmp_path_factory.mktemp("red")
    rounds = _started(folder, _editor(), config=RoundsConfig(Schedule(rounds=2, steps=30)))
    return run(rounds), folder


def test_the_ball_takes_the_editors_colour(red):
    color = _color(object_of(red[0]).merged())
    assert color[0] > 0.5 and color[1:].max() < 0.15, color


def test_outside_the_object_no_bit_changes_on_disk_and_pictures_stay(red):
    """The scene as anyone would put it together from the files of the last round."""
    before = ball_on_floor().to_splatfacto()
    rounds = RoundsFolder(red[1]).rounds()
    after = scene_of_round(rounds, 2)[0].to_splatfacto()
    for name in before:
        assert torch.equal(before[name][BALL:], after[name][BALL:]), name
    assert not torch.equal(before["features_dc"][:BALL], after["features_dc"][:BALL])
    for entry in rounds[1:]:
        outside = entry.manifest["metrics"]["trained"]["outside"]
        assert outside["gaussians_changed"] == outside["largest_parameter_change"] == 0
        assert outside["gaussians_compared"] == len(before["means"]) - BALL
        assert outside["psnr"] > 45
        assert outside["outside_mask"]["psnr"] > 25 and 0.3 < outside["outside_mask"]["share_of_pixels"] < 0.9


@pytest.mark.parametrize("name", ["means", "features_rest"])
def test_a_changed_rest_on_disk_is_in_the_books(tmp_path, name):
    rounds = _started(tmp_path, _editor(), config=RoundsConfig(Schedule(rounds=2, steps=2)))
    run(rounds, steps=2)
    path = tmp_path / "round_0000" / "scene.safetensors"
    tensors = load_file(path)
    tensors[name][BALL:].flatten(1)[[0, 9, -1], 0] += 0.5
    save_file(tensors, path)
    run(rounds)
    first, second = (entry.manifest["metrics"]["trained"]["outside"] for entry in RoundsFolder(tmp_path).rounds()[1:])
    assert first["gaussians_changed"] == 0
    assert second["gaussians_changed"] == 3
    assert second["largest_parameter_change"] == pytest.approx(0.5, rel=1e-5)


def test_every_round_keeps_pictures_snapshot_weights_and_provenance(red):
    rounds = RoundsFolder(red[1]).rounds()
    assert [entry.number for entry in rounds] == [0, 1, 2]
    for entry in rounds[1:]:
        for kind in KINDS:
            assert len(list((entry.folder / kind).iterdir())) == 10, kind
        assert entry.snapshot.is_file()
        weights = Selection.load(entry.folder / "weights.npy")
        assert torch.equal(weights.weights, ball_selection().weights)
        manifest = entry.manifest
        assert manifest["instruction"] == "make it red"
        assert manifest["edits"][0]["editor"]["model"] == "painter"
        assert manifest["edits"][0]["views"] == list(range(10))
        assert {"torch", "diffusers", "fasttext2style"} <= manifest["versions"].keys()
        assert {"editing", "all"} <= manifest["seconds"].keys()
        assert manifest["settings"]["schedule"]["steps"] == 30
    # Round 2 starts from what round 1 left, and edits that.
    assert torch.equal(rounds[2].picture("before", 3), rounds[1].picture("after", 3))
    metrics = [entry.manifest["metrics"]["trained"]["inside"]["l1"] for entry in rounds[1:]]
    assert metrics[1] < metrics[0]


def test_the_scene_of_any_round_can_be_had_again(red):
    rounds, folder = red
    books = RoundsFolder(folder).rounds()
    for name, value in scene_of_round(books, 0)[0].to_splatfacto().items():
        assert torch.equal(value, ball_on_floor().to_splatfacto()[name])
    scene, weights = scene_of_round(books, 2)
    assert torch.equal(scene.sh_dc, object_of(rounds).merged().sh_dc)
    assert torch.equal(weights, ball_selection().weights)
    with pytest.raises(ValueError, match="no complete round 3"):
        scene_of_round(books, 3)


def test_what_moves_within_a_round_is_held_by_its_anchors(tmp_path):
    rounds = run(_started(tmp_path, _editor()), steps=3)
    rounds.begin_step()
    losses, _ = rounds.losses()
    assert all(float(losses[name].detach()) > 0 for name in ("position_anchor", "scale_anchor"))


def test_the_editor_is_asked_as_the_sources_say(tmp_path):
    conditions = {}
    for condition in ("original", "render", "photograph", "masked photograph"):
        painter = Painter()
        config = RoundsConfig(Schedule(rounds=2, steps=3), EditConfig(condition=condition, strength=(0.5, 0.6)))
        run(_started(tmp_path / condition, painter, config=config))
        first, second = painter.requests
        assert first.strength == (0.5, 0.6) and first.mask is not None
        assert first.seed != second.seed
        assert first.view_ids == tuple(range(10))
        conditions[condition] = second.condition
    assert conditions["render"] is None
    # The original and the photograph are the same in every round, whatever the scene has become.
    views = _started(tmp_path / "x", Painter()).views
    assert torch.equal(conditions["original"], views.originals.float() / 255)
    photograph, masked = conditions["photograph"], conditions["masked photograph"]
    assert torch.equal(photograph, views.photographs.float() / 255)
    assert torch.equal(masked, torch.where(masked > 0, photograph, 0.0)) and (masked == 0).any()


SOURCES = {
    "instruct-gs, some views": RoundsConfig(Schedule(rounds=3, steps=6, views=4, refinement_steps=2)),
    "all views, latest": RoundsConfig(Schedule(rounds=3, steps=6, views=3, train_on="latest", choice="coverage")),
    "Instruct-NeRF2NeRF": RoundsConfig(
        Schedule(rounds=3, steps=6, views=1, edit_every=2, choice="turn", train_on="dataset", reset_adam=False),
        EditConfig(condition="photograph"),
    ),
    "Algorithm 3": RoundsConfig(
        Schedule(rounds=2, steps=5, views=1, edit_every=1, choice="turn", train_on="newest", reset_adam=False),
        EditConfig(condition="masked photograph"),
    ),
    "Algorithm 4": RoundsConfig(Schedule(rounds=2, epochs=2, batch=4), losses=LossConfig(l2_weight=1.0)),
    "Instruct-GS2GS": RoundsConfig(Schedule(rounds=2, steps=6, reset_adam=False), EditConfig(condition="photograph")),
    "lossy pictures": RoundsConfig(Schedule(rounds=3, steps=4, views=4, train_on="latest"), keep=KeepConfig("webp")),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_resumed_run_ends_as_the_uninterrupted_one(name, tmp_path):
    config = SOURCES[name]
    whole = run(_started(tmp_path / "whole", _editor(), config=config))
    interrupted = _started(tmp_path / "half", _editor(), config=config)
    run(interrupted, steps=interrupted.plan.steps_per_round + 3)
    resumed = run(_resumed(tmp_path / "half", _editor(), config=config))
    for group, value in parameters(whole).items():
        assert torch.equal(parameters(resumed)[group], value), group
    pairs = list(zip(*(RoundsFolder(tmp_path / part).rounds()[1:] for part in ("whole", "half"))))
    assert len(pairs) == config.schedule.rounds
    for entry, other in pairs:
        assert entry.manifest["metrics"] == other.manifest["metrics"]
        assert [edit["seed"] for edit in entry.manifest["edits"]] == [edit["seed"] for edit in other.manifest["edits"]]


def test_an_interruption_in_the_first_round_starts_it_again(tmp_path):
    whole = run(_started(tmp_path / "whole", _editor()))
    run(_started(tmp_path / "half", _editor()), steps=2)
    resumed = run(_resumed(tmp_path / "half", _editor()))
    assert torch.equal(resumed.subject.parameters["features_dc"], whole.subject.parameters["features_dc"])


def test_refinement_is_part_of_its_round_and_asks_no_editor(tmp_path):
    rounds = run(_started(tmp_path, _editor()))
    assert rounds.done
    painter = Painter()
    refined = run(_resumed(tmp_path, painter, refine=20))
    assert painter.requests == [] and refined.done
    books = RoundsFolder(tmp_path).rounds()
    assert len(books) == 3
    metrics = books[2].manifest["metrics"]
    assert metrics["refined"]["inside"]["l1"] < metrics["trained"]["inside"]["l1"]
    assert books[2].manifest["steps_done"] == 26
    assert len(list(books[2].folder.glob("snapshot_*"))) == 1
    # More rounds can follow.
    config = RoundsConfig(Schedule(rounds=3, steps=6))
    assert run(_resumed(tmp_path, _editor(), config=config)).done


def test_planned_refinement_is_measured_apart(tmp_path):
    config = RoundsConfig(Schedule(rounds=1, steps=6, refinement_steps=20))
    run(_started(tmp_path, _editor(), config=config))
    metrics = RoundsFolder(tmp_path).rounds()[1].manifest["metrics"]
    assert metrics["refined"]["inside"]["l1"] < metrics["trained"]["inside"]["l1"]


def test_views_that_the_editor_spoilt_keep_their_last_target_and_are_named(tmp_path):
    config = RoundsConfig(Schedule(rounds=1, steps=4))
    run(_started(tmp_path, _editor(), config=config))
    config = RoundsConfig(Schedule(rounds=2, steps=4))
    run(_resumed(tmp_path, _editor(MoodyPainter), config=config))
    _, second = RoundsFolder(tmp_path).rounds()[1:]
    failed = second.manifest["edits"][0]["failed"]
    assert set(failed) == {"1", "2"}
    assert "NaN" in failed["1"] and "black" in failed["2"]
    assert second.manifest["edited_in"]["1"] == 1 and second.manifest["edited_in"]["0"] == 2
    assert second.manifest["round_views"] == list(range(10))
    assert not (second.folder / "edited" / "view_0001.png").exists()


def test_a_view_that_was_never_edited_well_is_not_trained_on(tmp_path):
    run(_started(tmp_path, _editor(MoodyPainter), config=RoundsConfig(Schedule(rounds=1, steps=4))))
    assert RoundsFolder(tmp_path).rounds()[1].manifest["round_views"] == [0, 3, 4, 5, 6, 7, 8, 9]


def test_only_some_pictures_are_kept_when_so_wished(tmp_path):
    config = RoundsConfig(Schedule(rounds=1, steps=2), keep=KeepConfig("jpg", views=3))
    run(_started(tmp_path, _editor(), config=config))
    folder = RoundsFolder(tmp_path).rounds()[1].folder
    counts = {kind: len(list((folder / kind).iterdir())) for kind in KINDS}
    assert counts == {"before": 3, "edited": 10, "after": 3, "mask": 10}
    assert next((folder / "edited").iterdir()).suffix == ".jpg"


def test_removing_shows_the_editor_the_hole_and_fills_it(tmp_path):
    scene = sunk_ball()
    config = RoundsConfig(Schedule(rounds=2, steps=80))
    rounds = ball_rounds(tmp_path, LocalEditor(Eraser()), "remove the ball", "remove", config, scene=scene)
    rounds.start()
    assert 0 < len(object_of(rounds)) < BALL
    run(rounds)
    books = RoundsFolder(tmp_path).rounds()
    view = books[1].manifest["round_views"][0]
    floor = scene.subset(torch.arange(BALL, 300))
    shown = render(floor, rounds.views.cameras[view])[0][0].clamp(0, 1)
    assert torch.equal(books[1].picture("before", view), to_bytes(shown))
    # Once there is something in it, that is what the editor goes on from.
    assert torch.equal(books[2].picture("before", view), books[1].picture("after", view))
    now, wanted = (books[2].picture(kind, view).float() / 255 for kind in ("after", "edited"))
    hole = rounds.views.original_masks[view][..., 0] > 128
    assert (now - wanted)[hole].abs().mean() < 0.5 * (shown - wanted)[hole].abs().mean()
    # Outside the hole hardly anything of the ball is left to see.
    assert books[2].manifest["metrics"]["trained"]["outside"]["psnr"] > 25


def test_everything_may_be_edited(tmp_path):
    painter = Painter()
    selection = Selection.everything(len(ball_on_floor()))
    rounds = run(_started(tmp_path, painter, selection=selection, config=RoundsConfig(Schedule(rounds=1, steps=4))))
    assert painter.requests[0].mask is None
    assert "psnr" not in RoundsFolder(tmp_path).rounds()[1].manifest["metrics"]["trained"]["outside"]
    assert not torch.equal(object_of(rounds).merged().sh_dc[BALL:], ball_on_floor().sh_dc[BALL:])


def test_a_soft_weight_holds_the_update_back(tmp_path):
    weights = ball_selection().weights
    weights[: BALL // 2] = 0.1
    selection = Selection(weights, "half soft")
    rounds = run(_started(tmp_path, _editor(), selection=selection, config=RoundsConfig(Schedule(rounds=1, steps=10))))
    moved = (object_of(rounds).merged().sh_dc - ball_on_floor().sh_dc).abs().mean(dim=1)
    assert 0 < moved[: BALL // 2].mean() < 0.3 * moved[BALL // 2 : BALL].mean()
