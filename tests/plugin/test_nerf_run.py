"""Method fasttext2style-nerf on a small capture, through the real trainer and nerfstudio's real commands."""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import yaml
from nerfstudio.configs.method_configs import method_configs
from nerfstudio.scripts.eval import ComputePSNR
from nerfstudio.scripts.render import DatasetRender

from fasttext2style.commands.compare import Compare
from fasttext2style.commands.rounds import List, Reset, Resume
from fasttext2style.evaluation.settings import EvaluationSettings
from fasttext2style.plugin.host.checkpoints import checkpoints_in, read_checkpoint
from fasttext2style.plugin.nerf.base import base_settings
from fasttext2style.plugin.nerf.field import NerfactoField, pictures
from fasttext2style.plugin.nerf.masks import MaskConfig
from fasttext2style.plugin.nerf.model import NerfModelConfig
from fasttext2style.plugin.runs.evaluate import evaluate_run
from fasttext2style.plugin.runs.field_run import open_any_run
from fasttext2style.plugin.runs.run import OpenedRun
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from tests.ball import BALL, ball_on_floor
from tests.plugin.hosts import make_capture, train
from tests.plugin.nerf_host import SMALL, nerf_config
from tests.plugin.ns_viewer import assert_shows, ns_viewer


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return make_capture(tmp_path_factory.mktemp("capture") / "ball", size=32, masks=True)


@pytest.fixture(scope="module")
def nothing_fetched():
    """Whoever asks torch's hub for weights is found out, with a network and without."""

    def refuse(url, *arguments, **settings):
        raise AssertionError(f"{url} is fetched")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.hub.load_state_dict_from_url", refuse)
        patch.setattr("torchvision._internally_replaced_utils.load_state_dict_from_url", refuse)
        patch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
        yield


@pytest.fixture(scope="module")
def base(capture, tmp_path_factory, nothing_fetched):
    return train(nerf_config(capture, tmp_path_factory.mktemp("base"), small=True)).base_dir


@pytest.fixture(scope="module")
def red(capture, base, tmp_path_factory, nothing_fetched):
    """The edit starts from the base's folder; its own model settings are the method's."""
    return train(nerf_config(capture, tmp_path_factory.mktemp("red"), "make it red", base)).base_dir


@pytest.fixture
def copied(red, tmp_path):
    """The run, moved elsewhere: it may be changed, and must not need its old place."""
    return shutil.copytree(red, tmp_path / "moved")


def _weights(path):
    return read_checkpoint(path)["pipeline"]


def _last(run):
    return _weights(checkpoints_in(run / "nerfstudio_models")[-1])


def _round(run, number):
    return load_tensors(RoundsFolder(run / "rounds").rounds()[number].snapshot)


# --- the base ---------------------------------------------------------------------------------------------------------


def test_a_nerf_of_the_capture_comes_near_its_photographs(base):
    """A picture of one colour, the mean of all photographs, is what a field shows that has learnt no place."""
    run_config = yaml.load((base / "config.yml").read_text(), Loader=yaml.Loader)
    pipeline = run_config.pipeline.setup(device="cpu", test_mode="val", world_size=1, local_rank=0)
    pipeline.load_pipeline(_last(base), 149)
    data = pipeline.datamanager
    seen, photographs = pictures(pipeline.model, data.cameras("eval")), data.photographs("eval").float() / 255
    mean = data.photographs("train").float().mean(dim=(0, 1, 2)) / 255
    assert (seen - photographs).square().mean() < 0.7 * (mean - photographs).square().mean()


def test_an_edit_takes_the_settings_of_its_base_and_begins_with_the_same_bits(base, red):
    """average_init_density is a factor in every density: another one would render another scene."""
    settings = open_any_run(red).config.pipeline.model
    assert {name: getattr(settings, name) for name in SMALL} == SMALL
    assert settings.average_init_density != NerfModelConfig.for_cpu().average_init_density
    begun, left = _round(red, 0), _last(base)
    names = [name for name in left if name.startswith("_model.") and name != "_model.device_indicator_param"]
    assert all(torch.equal(begun[name.removeprefix("_") and f"model.{name[7:]}"], left[name]) for name in names)
    assert int(begun["model.sampling"][0]) == 150


def test_every_group_of_weights_trains_after_the_load(red):
    before, after = _round(red, 0), _round(red, 2)
    for group in ("field.mlp_base", "field.mlp_head", "field.embedding", "proposal_networks.0", "proposal_networks.1"):
        moved = [name for name in before if name.startswith(f"model.{group}") and before[name].is_floating_point()]
        assert any(not torch.equal(before[name], after[name]) for name in moved), group
    assert not torch.equal(
        before["model.camera_optimizer.pose_adjustment"], after["model.camera_optimizer.pose_adjustment"]
    )


def test_a_run_of_nerfacto_itself_is_a_base(capture, base, tmp_path):
    """Its checkpoint carries AlexNet and not how long it has trained; what it shows is what round 0 shows."""
    config = deepcopy(method_configs["nerfacto"])
    for name, value in SMALL.items():
        setattr(config.pipeline.model, name, value)
    folder = tmp_path / "nerfacto"
    (folder / "nerfstudio_models").mkdir(parents=True)
    (folder / "config.yml").write_text(yaml.dump(config))
    shutil.copy(base / "dataparser_transforms.json", folder)
    state = {name: value for name, value in _last(base).items() if "sampling" not in name}
    state |= {"_model.lpips.net.weight": torch.zeros(3)}
    torch.save({"step": 1234, "pipeline": state}, folder / "nerfstudio_models" / "step-000001234.ckpt")
    edit = nerf_config(capture, tmp_path / "out", "make it red", folder)
    edit.pipeline.rounds.schedule.rounds = edit.pipeline.rounds.schedule.steps = 1
    run = train(edit).base_dir
    begun = _round(run, 0)
    assert int(begun["model.sampling"][0]) == 1235
    table = "field.mlp_base.encoder.hash_table"
    found = [name for name in begun if name.endswith("hash_table")]
    assert found and all(torch.equal(begun[name], state[f"_{name}"]) for name in found), table
    assert not any("lpips" in name for name in _last(run))


# --- the edit ---------------------------------------------------------------------------------------------------------


def test_the_ball_turns_red_and_what_changed_outside_is_said(red):
    report = json.loads((red / "results" / "report.json").read_text())
    rounds = RoundsFolder(red / "rounds").rounds()
    assert len(rounds) == 3 and (red / "rounds" / "index.html").is_file()
    moments = [list(entry.manifest["metrics"].values())[-1] for entry in rounds[1:]]
    assert all(
        moment["outside"]["psnr"] > 0 and "share_changed" in moment["outside"]["outside_mask"] for moment in moments
    )
    assert report["object"].startswith("the masks in") and report["rounds"][1]["trained"] == moments[1]
    run = open_any_run(red)
    views, masks = rounds[2].manifest["round_views"], _round(red, 0)["masks"]
    field = NerfactoField(run.pipeline.model, run.cameras())
    inside = torch.stack([masks[view][..., 0] > 127 for view in views])
    now = torch.stack([field.picture(view) for view in views])[inside].mean(dim=0)
    field.load_state(_round(red, 0))
    before = torch.stack([field.picture(view) for view in views])[inside].mean(dim=0)
    assert (now[0] - now[1:].max()) - (before[0] - before[1:].max()) > 0.1, (before, now)


def test_nerfactos_own_losses_are_trained_with_the_pictures(red):
    """That of the poses among them, which the public plugin of Instruct-NeRF2NeRF loses."""
    run = open_any_run(red)
    field = NerfactoField(run.pipeline.model, run.cameras())
    _, losses = field.boxes(torch.tensor([0, 3]), torch.tensor([[0, 0, 8, 8], [5, 6, 13, 14]]), seed=1)
    assert losses.keys() == {"interlevel_loss", "distortion_loss", "camera_opt_regularizer"}
    penalty = run.pipeline.model.camera_optimizer
    moved = penalty.pose_adjustment.detach()
    expected = moved[:, :3].norm(dim=1).mean() * 1e-2 + moved[:, 3:].norm(dim=1).mean() * 1e-3
    assert float(expected) > 0 and torch.isclose(losses["camera_opt_regularizer"].detach(), expected)


def test_samples_along_rays_jitter_by_the_seed_and_by_nothing_else(red):
    run = open_any_run(red)
    field = NerfactoField(run.pipeline.model, run.cameras())
    box = torch.tensor([0]), torch.tensor([[0, 0, 16, 16]])
    first = field.boxes(*box, seed=1)[0]
    torch.rand(3)
    again, other = field.boxes(*box, seed=1)[0], field.boxes(*box, seed=2)[0]
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_view_is_shown_from_the_pose_that_was_learnt_for_it(red):
    run = open_any_run(red)
    field = NerfactoField(run.pipeline.model, run.cameras())
    before = [field.picture(view) for view in (2, 3)]
    with torch.no_grad():
        run.pipeline.model.camera_optimizer.pose_adjustment[3, :3] += 0.2
    after = [field.picture(view) for view in (2, 3)]
    assert torch.equal(before[0], after[0]) and not torch.allclose(before[1], after[1], atol=0.02)


def test_a_box_shows_the_pixels_that_the_picture_shows_there(red):
    """But for the jitter of the samples and the view's own appearance: nearer than to any other place."""
    run = open_any_run(red)
    field = NerfactoField(run.pipeline.model, run.cameras())
    picture, (x, y) = field.picture(4), (6, 11)
    box, _ = field.boxes(torch.tensor([4]), torch.tensor([[x, y, x + 16, y + 16]]), seed=1)
    places = picture.unfold(0, 16, 1).unfold(1, 16, 1).permute(0, 1, 3, 4, 2)
    errors = (places - box[0].detach()).square().mean(dim=(2, 3, 4))
    assert divmod(int(errors.argmin()), errors.shape[1]) == (y, x)


@pytest.fixture
def splats(red, tmp_path):
    """A run of Gaussians of the same capture, the ball selected."""
    scene, weights = ball_on_floor(), torch.zeros(len(ball_on_floor()))
    weights[:BALL] = 1
    state = {f"_model.gauss_params.{name}": value for name, value in scene.to_splatfacto().items()}
    (tmp_path / "splats" / "nerfstudio_models").mkdir(parents=True)
    shutil.copy(red / "dataparser_transforms.json", tmp_path / "splats")
    path = tmp_path / "splats" / "nerfstudio_models" / "step-000000001.ckpt"
    torch.save({"step": 1, "pipeline": state | {"_model.selection": weights}}, path)
    return tmp_path / "splats"


def test_the_object_of_a_run_of_gaussians_is_the_mask_of_every_view(red, splats):
    """The capture's own mask files were made of that ball."""
    data = open_any_run(red).pipeline.datamanager
    for split, count in (("train", 9), ("eval", 1)):
        masks = MaskConfig(run=splats).masks(data, split)
        assert masks.shape == (count, 32, 32, 1)
    found, files = MaskConfig(run=splats).masks(data, "train")[..., 0] > 127, data.masks()
    assert (found & files).sum() / (found | files).sum() > 0.9


def test_a_text_finds_its_mask_in_the_photographs_or_says_that_it_does_not(red):
    data = open_any_run(red).pipeline.datamanager
    masks = MaskConfig(text="the green grass").masks(data, "train")
    floor = data.photographs()[..., 1].float() > 1.5 * data.photographs()[..., 0].float() + 10
    found = masks[..., 0] > 127
    assert (found & floor).sum() / found.sum() > 0.9
    with pytest.raises(ValueError, match="knows no word"):
        MaskConfig(text="xyzzy").masks(data, "train")


def test_masks_of_a_run_in_other_coordinates_are_refused(red, splats):
    (splats / "dataparser_transforms.json").write_text(
        json.dumps({"transform": [[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]], "scale": 2.0})
    )
    with pytest.raises(ValueError, match="other coordinates"):
        MaskConfig(run=splats).masks(open_any_run(red).pipeline.datamanager, "train")


def test_a_run_set_back_and_resumed_ends_with_the_same_bits(copied):
    expected = _last(copied)
    Reset(copied, to=1).run()
    assert not torch.equal(_last(copied)["_model.sampling"], expected["_model.sampling"])
    Resume(copied).run()
    again = _last(copied)
    assert again.keys() == expected.keys() and all(torch.equal(again[name], expected[name]) for name in expected)


def test_results_that_a_killed_run_could_not_write_are_written_when_it_is_resumed(copied):
    report = copied / "results" / "report.json"
    said = json.loads(report.read_text())
    shutil.rmtree(report.parent)
    Resume(copied).run()
    assert json.loads(report.read_text())["mean_color"] == said["mean_color"]


def test_its_rounds_are_listed(red, capsys):
    List(red).run()
    assert '"make it red", restyle' in capsys.readouterr().out


def test_nerfstudio_renders_and_evaluates_it(red, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ComputePSNR(red / "config.yml", Path("numbers.json")).main()
    results = json.loads(Path("numbers.json").read_text())["results"]
    assert results["psnr"] > 0 and "lpips" not in results
    DatasetRender(
        load_config=red / "config.yml",
        output_path=tmp_path,
        image_format="png",
        split="test",
        rendered_output_names=["rgb"],
    ).main()
    assert len(list(tmp_path.rglob("*.png"))) == 1


def test_nerfstudios_viewer_shows_what_came_of_it(red, tmp_path):
    run = open_any_run(red)
    cameras = run.cameras("train")[:2]
    seen = pictures(run.pipeline.model, cameras).numpy()
    with ns_viewer(red, tmp_path) as viewer:
        shown = viewer.picture(cameras[0])
    assert_shows(shown, seen)


def test_runs_of_other_photographs_are_not_compared(red, copied, capture, tmp_path):
    other, config = shutil.copytree(capture, tmp_path / "other"), copied / "config.yml"
    (other / "images" / "frame_00.png").rename(other / "images" / "renamed.png")
    (other / "masks" / "frame_00.png").rename(other / "masks" / "renamed.png")
    frames = (other / "transforms.json").read_text().replace("frame_00", "renamed")
    (other / "transforms.json").write_text(frames)
    places = yaml.load(config.read_text(), Loader=yaml.Loader)
    places.data = places.pipeline.datamanager.data = other
    places.pipeline.datamanager.object_masks = other / "masks"
    config.write_text(yaml.dump(places))
    with pytest.raises(ValueError, match="have not the same views"):
        Compare(red, copied, split="train").run()


@pytest.mark.slow  # 48 frames of a path, eight times
def test_it_is_evaluated_and_compared_as_any_other_run(red, copied, tmp_path, monkeypatch):
    settings = EvaluationSettings(encoders=("tiny",), split="train", max_views=3)
    report = evaluate_run(red, settings)
    assert report["method"] == "fasttext2style-nerf" and report["views"]["count"] == 3
    before, after = report["mean_color"]["before"], report["mean_color"]["after"]
    assert after[0] - max(after[1:]) > before[0] - max(before[1:])
    assert report["inside"]["to_targets"]["psnr"] > 0 and "gaussians" not in report
    opened, opens = [], OpenedRun.__init__
    monkeypatch.setattr(OpenedRun, "__init__", lambda run, *it: (opened.append(it[0]), opens(run, *it))[1])
    beside = tmp_path / "beside"
    Compare(red, copied, (red,), output=beside, encoders=("tiny",), split="train", max_views=3).run()
    assert opened == [red, copied, red]
    table = (beside / "comparison.md").read_text()
    assert "| A: fasttext2style-nerf | B: fasttext2style-nerf | C: fasttext2style-nerf |" in table
    row = next(line for line in table.splitlines() if "mean colour" in line).split("|")
    assert row[2].strip() == row[3].strip() == row[4].strip() == " ".join(f"{value:.2f}" for value in after)
    assert (beside / "comparison.png").stat().st_size > 1000


# --- bad input --------------------------------------------------------------------------------------------------------


def _set(place, value):
    def change(config, folder):
        *owners, name = place.split(".")
        owner = config
        for each in owners:
            owner = getattr(owner, each)
        setattr(owner, name, value)

    return change


def _no_config(config, folder):
    config.load_dir = shutil.copytree(config.load_dir, folder / "bare")
    (config.load_dir / "config.yml").unlink()


def _in_tcnn(config, folder):
    config.load_dir = shutil.copytree(config.load_dir, folder / "tcnn")
    path = checkpoints_in(config.load_dir / "nerfstudio_models")[-1]
    state = torch.load(path, weights_only=True)
    state["pipeline"] = {name: value for name, value in state["pipeline"].items() if "hash_table" not in name}
    torch.save(state, path)


def _fewer_photographs(config, folder):
    config.data = config.pipeline.datamanager.data = shutil.copytree(config.data, folder / "fewer")
    meta = json.loads((config.data / "transforms.json").read_text())
    (config.data / "transforms.json").write_text(json.dumps(meta | {"frames": meta["frames"][:-2]}))


def _other_coordinates(config, folder):
    config.pipeline.datamanager.dataparser.orientation_method = "up"
    config.pipeline.datamanager.dataparser.center_method = "poses"


def _by_nosuch(config, tmp_path):
    masks = config.pipeline.masks
    config.pipeline.datamanager.object_masks, masks.text, masks.segmenter = None, "ball", "nosuch"


BAD_STARTS = {
    "no folder": (_set("load_dir", Path("nowhere")), "No checkpoint step-*.ckpt"),
    "no settings": (_no_config, "lies in no run"),
    "tiny-cuda-nn": (_in_tcnn, "tiny-cuda-nn"),
    "fewer photographs": (_fewer_photographs, "was trained on 9 photographs, this one has"),
    "other coordinates": (_other_coordinates, "other coordinates"),
    "nothing to remove": (_set("pipeline.mode", "remove"), "--mode restyle or replace"),
    "no patches": (_set("pipeline.rounds.schedule.patch", 0), "patch must be 1 or more"),
    "two masks": (_set("pipeline.masks.text", "ball"), "give one"),
    "no run of masks": (_set("pipeline.masks.run", Path("nowhere")), "give one"),
    "no segmenter": (_by_nosuch, "nosuch"),
    "steps": (_set("max_num_iterations", 5), "--pipeline.rounds.schedule.steps"),
    "a text loss": (_set("pipeline.rounds.losses.text_weight", 1.0), "leave it 0"),
    "negative steps": (_set("reconstruction_steps", -1), "--reconstruction-steps must be 0 or more"),
    "small patches for LPIPS": (_set("pipeline.rounds.losses.lpips", "on"), "LPIPS needs patches of 32"),
}


@pytest.mark.parametrize("name", BAD_STARTS)
def test_bad_input_gives_one_error_and_leaves_nothing(name, capture, base, tmp_path, capsys):
    change, message = BAD_STARTS[name]
    config = nerf_config(capture, tmp_path / "out", "make it red", base)
    change(config, tmp_path)
    with pytest.raises(SystemExit) as end:
        config.save_config()
    said = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 1 and "Error:" in said and message in said, said
    assert not (tmp_path / "out").exists()


def test_masks_of_a_run_without_an_object_are_refused(capture, base, tmp_path, capsys):
    config = nerf_config(capture, tmp_path / "out", "make it red", base)
    config.pipeline.datamanager.object_masks, config.pipeline.masks.run = None, base
    with pytest.raises(SystemExit):
        config.save_config()
    assert "has no object" in " ".join(capsys.readouterr().out.split())


def test_settings_of_a_run_of_gaussians_are_no_base(tmp_path):
    (tmp_path / "config.yml").write_text(yaml.dump(method_configs["splatfacto"]))
    with pytest.raises(ValueError, match="is a run of splatfacto; expected one of nerfacto"):
        base_settings(tmp_path / "nerfstudio_models" / "step-000000001.ckpt", {}, NerfModelConfig())
