"""The whole evaluation of edits whose effects are known."""

import json
import math
from dataclasses import replace

import pytest
import torch

from fasttext2style.evaluation.edit import EditedScene, look
from fasttext2style.evaluation.evaluate import Captions, Targets, evaluate_edit
from fasttext2style.evaluation.graders import Graders
from fasttext2style.evaluation.report import write_report
from fasttext2style.evaluation.seen import LoadObserver, Observer
from fasttext2style.evaluation.tables import metric_table, picture_sheet
from fasttext2style.guidance.offline.packages import offline_is_here
from fasttext2style.guidance.tiny_encoder import TinyEncoder
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from tests.workers.several import Several

BALL = 150
AROUND = Cameras.orbit((0.0, 0.0, 0.0), 1.4, 10, 64, 64, elevation_degrees=25.0)
VIEWS, PATH = AROUND[::3], AROUND.interpolate(16)
CAPTIONS = Captions("a grey ball", "a red ball")


def ball_on_floor() -> Gaussians:
    """A grey ball (the first BALL Gaussians) on a green floor."""
    generator = torch.Generator().manual_seed(0)
    ball = torch.nn.functional.normalize(torch.randn(BALL, 3, generator=generator), dim=1) * 0.3
    floor = torch.rand(150, 3, generator=generator) * torch.tensor([2.0, 2.0, 0.0]) - torch.tensor([1.0, 1.0, 0.35])
    scene = Gaussians(
        means=torch.cat([ball, floor]),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(300, 1),
        log_scales=torch.cat([torch.full((BALL, 3), 0.05), torch.full((150, 3), 0.09)]).log(),
        logit_opacities=torch.full((300,), 3.0),
        sh_dc=torch.zeros(300, 3),
        sh_rest=torch.zeros(300, 15, 3),
    )
    return _painted(scene, ~_is_ball(scene), (0.2, 0.5, 0.2))


def _is_ball(scene: Gaussians) -> torch.Tensor:
    return torch.arange(len(scene)) < BALL


def _painted(scene: Gaussians, rows: torch.Tensor, color: tuple[float, float, float]) -> Gaussians:
    sh_dc = scene.sh_dc.clone()
    sh_dc[rows] = (torch.tensor(color) - 0.5) / 0.28209479177387814
    return replace(scene, sh_dc=sh_dc)


def _evaluate(before: Gaussians, after: Gaussians, is_object: torch.Tensor | None = None, **kwargs):
    edit = EditedScene.matched(before, after, _is_ball(after) if is_object is None else is_object)
    return evaluate_edit(edit, VIEWS, PATH, CAPTIONS, **kwargs)


@pytest.fixture(scope="module")
def red():
    """The report and the pictures of a ball painted red."""
    scene = ball_on_floor()
    return _evaluate(scene, _painted(scene, _is_ball(scene), (0.8, 0.1, 0.1)), encoders=[TinyEncoder()])


def test_a_local_edit_changes_the_object_alone(red):
    report, pictures = red
    assert report["inside"]["to_before"]["psnr"] < 15
    assert report["outside"]["gaussians_changed"] == 0
    assert report["outside"]["largest_parameter_change"] == 0.0
    assert report["outside"]["psnr"] > 45
    assert 0.2 < report["outside"]["share_of_pixels"] < 0.9
    assert report["gaussians"]["object_after"] == BALL
    center = pictures["after"][0, 32, 32]
    assert center[0] > 0.7 and center[1] < 0.2


def test_a_red_ball_is_nearer_to_red_than_a_grey_one(red):
    text = red[0]["text"]["tiny"]
    assert text["similarity_after"] > text["similarity_before"] + 0.3
    assert text["direction_similarity"] > 0.5
    # One colour from all sides is the same edit in every view.
    assert text["direction_consistency"] > 0.9


def test_one_colour_from_all_sides_agrees_better_than_patches_that_turn_with_the_view(red):
    scene = ball_on_floor()
    sh_rest = scene.sh_rest.clone()
    sh_rest[:BALL, :3] = 0.5
    report, _ = _evaluate(scene, replace(scene, sh_rest=sh_rest))
    for name in ("short", "long"):
        assert report["agreement"][name]["after"]["rmse"] > 2 * red[0]["agreement"][name]["after"]["rmse"]
        assert 0 < report["agreement"][name]["after"]["share_seen_twice"] <= 1
    assert report["agreement"]["long"]["after"]["rmse"] > report["agreement"]["short"]["after"]["rmse"]
    assert report["footprint_deviation"]["after"] > 2 * red[0]["footprint_deviation"]["after"]


def test_an_edit_that_leaks_is_seen():
    scene = ball_on_floor()
    report, _ = _evaluate(scene, _painted(scene, torch.arange(len(scene)) >= BALL - 20, (0.8, 0.1, 0.1)))
    assert report["outside"]["gaussians_changed"] == len(scene) - BALL
    assert report["outside"]["largest_parameter_change"] == pytest.approx(0.6 / 0.28209479177387814, abs=1e-5)
    assert report["outside"]["psnr"] < 25
    assert report["outside"]["largest_pixel_change"] > 0.2


def test_no_edit_is_no_change():
    scene = ball_on_floor()
    report, _ = _evaluate(scene, scene, encoders=[TinyEncoder()])
    assert report["inside"]["to_before"]["psnr"] == report["outside"]["psnr"] == math.inf
    assert report["text"]["tiny"]["direction_similarity"] == pytest.approx(0, abs=1e-6)
    assert report["footprint_deviation"]["before"] == report["footprint_deviation"]["after"]


def test_an_object_that_grew_is_still_compared_with_what_it_was():
    scene = ball_on_floor()
    ball, floor = scene.subset(_is_ball(scene)), scene.subset(~_is_ball(scene))
    extra = replace(ball.subset(torch.arange(10)), means=ball.means[:10] * 1.1)
    grown = Gaussians.concatenated([floor, ball, extra])
    edit = EditedScene.matched(scene, grown, torch.arange(len(grown)) >= len(floor))
    assert torch.equal(edit.object_before, _is_ball(scene))
    assert edit.foreign_rows == 0
    assert edit.largest_outside_change() == 0.0
    moved = replace(grown, means=grown.means + 0.0)
    moved.means[0, 0] += 1e-6
    leaked = EditedScene.matched(scene, moved, torch.arange(len(grown)) >= len(floor))
    assert leaked.foreign_rows == 1
    assert leaked.largest_outside_change() is None


def test_targets_equal_to_the_renders_are_reached():
    scene = ball_on_floor()
    painted = _painted(scene, _is_ball(scene), (0.8, 0.1, 0.1))
    images = look(painted, _is_ball(scene), VIEWS).images
    report, pictures = _evaluate(scene, painted, targets=Targets(VIEWS, images))
    assert report["inside"]["to_targets"]["psnr"] == math.inf
    assert report["inside"]["to_targets"]["ssim"] == pytest.approx(1, abs=1e-6)
    assert report["footprint_deviation"]["targets"] < 0.1
    assert {"targets", "renders"} <= pictures.keys()
    report, _ = _evaluate(scene, painted, targets=Targets(VIEWS, (images + 0.1).clamp(0, 1)))
    assert report["inside"]["to_targets"]["psnr"] == pytest.approx(20, abs=1)


def test_views_that_miss_the_object_are_refused():
    scene = ball_on_floor()
    away = Cameras.looking_at(torch.tensor([[3.0, 0, 0.5]]), torch.tensor([[9.0, 0, 0.5]]), 32, 32)
    with pytest.raises(ValueError, match="shows the selected object"):
        evaluate_edit(EditedScene.matched(scene, scene, _is_ball(scene)), away, PATH, CAPTIONS)


def test_scenes_that_do_not_fit_are_refused():
    scene = ball_on_floor()
    with pytest.raises(ValueError, match="weights"):
        EditedScene.matched(scene, scene, torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="degree"):
        EditedScene.matched(scene.with_sh_degree(0), scene, _is_ball(scene))


def test_the_table_names_what_was_measured_and_the_json_is_valid(red, tmp_path):
    report, pictures = red
    report = report | {"optimised_encoder": "tiny", "seconds": {"styling": 12.34}, "peak_memory_gib": {"host": 1.5}}
    table = metric_table(report)
    assert "similarity, tiny (optimised)" in table
    assert "LPIPS" not in table
    assert f"{report['text']['tiny']['similarity_after']:.4f}" in table
    assert "| seconds, styling" in table
    assert len({len(line) for line in table.splitlines()}) == 1
    write_report(tmp_path / "evaluation.json", report | {"unchanged": math.inf, "unseen": math.nan})

    def refuse(name):
        raise ValueError(f"{name} is no JSON")

    read = json.loads((tmp_path / "evaluation.json").read_text(), parse_constant=refuse)
    assert read["unchanged"] == "inf" and read["unseen"] is None
    sheet = picture_sheet(pictures, "a red ball")
    assert sheet.shape == (4 * (26 + 64), 4 * 64, 3)


def test_an_encoder_that_was_not_asked_for_may_be_missing():
    graders = Graders("ViT-B-32:datacomp_xl_s13b_b90k")
    graders.add_usual_encoders("a red ball", "cpu")
    assert [encoder.name for encoder in graders.encoders] == ["offline" if offline_is_here() else "tiny"]
    assert graders.optimised is None
    assert "datacomp" in graders.left_out[0]
    with pytest.raises(ValueError, match="neither a file"):
        graders.add_encoder("ViT-B-32:/nowhere.pt", "a red ball", "cpu", required=True)
    with pytest.raises(ValueError, match="qwrtz"):
        graders.add_encoder("tiny", "qwrtz", "cpu", required=True)


def test_the_optimised_encoder_is_named():
    graders = Graders("tiny")
    graders.add_usual_encoders("a red ball", "cpu")
    assert graders.optimised == graders.encoders[0].name == "tiny"


def test_lpips_is_left_out_unless_a_file_was_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("fasttext2style.guidance.image_losses.reachable", lambda url: False)
    graders = Graders()
    graders.add_lpips(None, "cpu")
    assert graders.lpips is None and "LPIPS" in graders.left_out[0]
    with pytest.raises(ValueError, match="no file"):
        graders.add_lpips(tmp_path / "missing.pth", "cpu")


def test_an_edit_of_everything_has_no_outside():
    scene = ball_on_floor()
    everything = torch.ones(len(scene), dtype=torch.bool)
    edit = EditedScene.matched(scene, _painted(scene, everything, (0.8, 0.1, 0.1)), everything)
    assert edit.foreign_rows == 0
    assert edit.largest_outside_change() == 0.0


class _Stumbling(Observer):
    """Raises when it is asked for the camera path's view 9 among others."""

    def do(self, request, on_step=None):
        if 9 in request.part_ids and len(request.part_ids) > 1:
            raise RuntimeError("out of memory")
        return super().do(request, on_step)


def test_several_observers_come_to_the_numbers_and_pictures_of_one_process(red):
    """Four views of one set and sixteen of the other: three pieces, the last one begun ends first."""
    scene = ball_on_floor()
    after = _painted(scene, _is_ball(scene), (0.8, 0.1, 0.1))
    load = LoadObserver.of(EditedScene.matched(scene, after, _is_ball(after)), ["tiny"])
    report, pictures = _evaluate(scene, after, encoders=[TinyEncoder()], crew=Several(*(load("cpu") for _ in range(3))))
    assert report == red[0]
    assert all(torch.equal(picture, red[1][name]) for name, picture in pictures.items())


def test_a_view_that_cannot_be_looked_at_is_named_and_the_others_are_tried_alone():
    scene = ball_on_floor()
    edit = EditedScene.matched(scene, _painted(scene, _is_ball(scene), (0.8, 0.1, 0.1)), _is_ball(scene))
    report, _ = evaluate_edit(edit, VIEWS, PATH, CAPTIONS, crew=Several(_Stumbling(edit, [])))
    assert report["views"]["path"] == 16, "alone it could be"

    class Broken(Observer):
        def do(self, request, on_step=None):
            if 9 in request.part_ids:
                raise RuntimeError("out of memory")
            return super().do(request, on_step)

    with pytest.raises(
        ValueError, match="View 9 of the camera path could not be measured: RuntimeError: out of memory"
    ):
        evaluate_edit(edit, VIEWS, PATH, CAPTIONS, crew=Several(Broken(edit, [])))
