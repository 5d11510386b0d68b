"""A run that cannot work is refused at the start, in words, by ns-train itself: nothing is begun, nothing is left."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio.scripts import train as ns_train

from fasttext2style.scene.files.ply import write_ply
from fasttext2style.scene.gaussians import Gaussians
from tests import forked
from tests.plugin.hosts import BALL, ball_on_floor, make_capture

RAW = ["nerfstudio-data", "--orientation-method", "none", "--center-method", "none", "--auto-scale-poses", "False"]
STYLE = ["fasttext2style", "--encoder", "tiny", "--prompt", "red"]
ROUNDS = ["fasttext2style-ip2p", "--editor", "tests.rounds.editors:Painter", "--prompt", "make it red"]
SCENE = ["fasttext2style-scene"]


def _checkpoint(
    folder: Path, tensors: dict[str, torch.Tensor], transform: torch.Tensor | None = None, **entries
) -> None:
    """A run of another method, as small as it can be."""
    (folder / "nerfstudio_models").mkdir(parents=True)
    state = {"step": 99, "pipeline": {f"_model.{name}": value for name, value in tensors.items()}, **entries}
    torch.save(state, folder / "nerfstudio_models" / "step-000000099.ckpt")
    if transform is not None:
        saved = {"transform": transform.tolist(), "scale": 1.0}
        (folder / "dataparser_transforms.json").write_text(json.dumps(saved))


def _parameters(gaussians: Gaussians) -> dict[str, torch.Tensor]:
    return {f"gauss_params.{name}": value for name, value in gaussians.to_splatfacto().items()}


def _changed_capture(folder: Path, name: str, change) -> None:
    shutil.copytree(folder / "capture", folder / name)
    path = folder / name / "transforms.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a good capture and good scenes, and everything that can be wrong with them."""
    folder = tmp_path_factory.mktemp("world")
    capture, scene = make_capture(folder / "capture", masks=True), ball_on_floor()
    write_ply(folder / "scene.ply", scene)
    np.save(folder / "ball.npy", (np.arange(len(scene)) < BALL).astype(np.float32))
    np.save(folder / "short.npy", np.ones(7, np.float32))
    np.save(folder / "table.npy", np.ones((7, 2), np.float32))
    (folder / "text.txt").write_text("no scene, no weights")
    (folder / "empty").mkdir()
    # Captures.
    _changed_capture(folder, "no_focal", lambda meta: meta.pop("fl_x"))
    _changed_capture(folder, "one_frame", lambda meta: meta.update(frames=meta["frames"][:1]))
    _changed_capture(folder, "no_frames", lambda meta: meta.update(frames=[]))
    _changed_capture(folder, "lost_picture", lambda meta: meta["frames"][3].update(file_path="images/lost.png"))
    shutil.copytree(capture, folder / "broken_picture")
    (folder / "broken_picture" / "images" / "frame_04.png").write_bytes(b"no picture")
    _changed_capture(folder, "lost_points", lambda meta: meta.update(ply_file_path="lost.ply"))
    _changed_capture(folder, "broken_points", lambda meta: meta.update(ply_file_path="transforms.json"))
    shutil.copytree(capture / "masks", folder / "few_masks")
    (folder / "few_masks" / "frame_01.png").unlink()
    # Scenes.
    write_ply(folder / "far.ply", Gaussians(**(vars(scene) | {"means": scene.means + 1000.0})))
    holes = scene.means.clone()
    holes[:3, 0] = float("nan")
    write_ply(folder / "nan.ply", Gaussians(**(vars(scene) | {"means": holes})))
    (folder / "cut.ply").write_bytes((folder / "scene.ply").read_bytes()[:-1000])
    _checkpoint(folder / "good", _parameters(scene))
    _checkpoint(folder / "turned", _parameters(scene), torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]]))
    _checkpoint(folder / "flat", _parameters(scene.with_sh_degree(1)))
    _checkpoint(folder / "nerfacto", {"field.weight": torch.zeros(2)})
    _checkpoint(folder / "finished", _parameters(scene), format="fasttext2style-1", method="fasttext2style-scene")
    shutil.copytree(folder / "good", folder / "damaged")
    path = folder / "damaged" / "nerfstudio_models" / "step-000000099.ckpt"
    path.write_bytes(path.read_bytes()[:-2000])
    shutil.copytree(folder / "good", folder / "bad_history")
    (folder / "bad_history" / "history").mkdir()
    (folder / "bad_history" / "history" / "history.json").write_text("{")
    return folder


PLY = ["--load-ply", "{}/scene.ply"]
BAD_STARTS = {
    # Settings.
    "no prompt": (["fasttext2style", "--encoder", "tiny"], "No style was given"),
    "blank prompt": (["fasttext2style", "--encoder", "tiny", "--prompt", "  "], "No style was given"),
    "no instruction": (["fasttext2style-ip2p", "--editor", "tiny"], "No instruction was given"),
    "no steps": ([*STYLE, "--max-num-iterations", "0"], "--max-num-iterations must be 1 or more, got 0"),
    "steps below nothing": ([*STYLE, "--max-num-iterations", "-5"], "must be 1 or more, got -5"),
    "steps beside rounds": ([*ROUNDS, *PLY, "--max-num-iterations", "50"], "--pipeline.rounds.schedule.steps"),
    "a tiny reconstruction": ([*STYLE, "--reconstruction-steps", "3"], "--reconstruction-steps 3"),
    "a tiny scene": ([*SCENE, "--max-num-iterations", "3"], "10 steps or more"),
    "two scenes": ([*STYLE, *PLY, "--load-dir", "{}/good"], "give one of them"),
    "live without viewer": ([*STYLE, "--live", "True", "--vis", "tensorboard"], "add --vis viewer"),
    "paused without viewer": ([*STYLE, "--start-paused", "True", "--vis", "tensorboard"], "add --vis viewer"),
    "a negative rate": ([*STYLE, "--optimizers.features-dc.optimizer.lr", "-1"], "learning rate of features_dc"),
    "no temperature": ([*STYLE, "--pipeline.styler.objective.temperature", "0"], "temperature must be above 0"),
    "a large patch": ([*STYLE, "--pipeline.styler.objective.patch-scale", "0.5", "3"], "patch scale must rise"),
    "nothing trains": ([*STYLE, "--pipeline.styler.train"], "names no parameter group"),
    "growth without means": ([*STYLE, "--pipeline.growth.enabled", "True"], "add means to --pipeline.styler.train"),
    "a negative film": ([*STYLE, "--pipeline.video-seconds", "-1"], "--pipeline.video-seconds must be 0"),
    "steps and epochs": (
        [*ROUNDS, "--pipeline.rounds.schedule.steps", "9", "--pipeline.rounds.schedule.epochs", "2"],
        "not both",
    ),
    "no such strength": ([*ROUNDS, "--pipeline.rounds.edit.strength", "0.9", "0.2"], "low <= high"),
    "nothing to refine": ([*ROUNDS, *PLY, "--refine", "10"], "no round to refine"),
    "a degree of 9": ([*SCENE, "--pipeline.model.sh-degree", "9"], "sh-degree is 0, 1, 2 or 3, got 9"),
    "a degree below 0": ([*STYLE, "--pipeline.model.sh-degree", "-1"], "sh-degree is 0, 1, 2 or 3, got -1"),
    "no interval of degrees": ([*SCENE, "--pipeline.model.sh-degree-interval", "0"], "interval is 1 or more, got 0"),
    "no schedule": ([*SCENE, "--pipeline.model.resolution-schedule", "0"], "schedule is 1 or more, got 0"),
    "refined never": ([*SCENE, "--pipeline.model.refine-every", "0"], "refine-every is 1 or more, got 0"),
    "reset never": ([*SCENE, "--pipeline.model.reset-alpha-every", "0"], "reset-alpha-every is 1 or more, got 0"),
    "no points to draw": ([*SCENE, "--pipeline.model.num-random", "0"], "num-random is 1 or more, got 0"),
    "a loss of NaN": ([*SCENE, "--pipeline.model.ssim-lambda", "nan"], "ssim-lambda is a share from 0 to 1, got nan"),
    "views scaled to nothing": (
        [*STYLE, "--pipeline.datamanager.camera-res-scale-factor", "0"],
        "camera-res-scale-factor is a finite number above 0, got 0",
    ),
    "rounds of views of NaN": (
        [*ROUNDS, "--pipeline.datamanager.camera-res-scale-factor", "nan"],
        "camera-res-scale-factor is a finite number above 0, got nan",
    ),
    "views scaled to dots": (
        [*SCENE, "--pipeline.datamanager.camera-res-scale-factor", "0.01"],
        "Views of 1 pixels are too small",
    ),
    "no name of an editor": ([*ROUNDS, "--editor", ""], "The name of the editor is empty"),
    "no name of an encoder": ([*STYLE, "--encoder", ""], "The name of the encoder is empty"),
    "nothing is logged at once": ([*STYLE, "--logging.max-buffer-size", "0"], "max-buffer-size is 1 or more, got 0"),
    # The machine.
    "two devices": ([*STYLE, "--machine.num-devices", "2"], "one device"),
    "another device": ([*STYLE, "--machine.device-type", "mps"], "is cuda or cpu here"),
    "a file for a folder": ([*STYLE, "--output-dir", "{}/text.txt"], "cannot be written"),
    "a folder of the system": ([*STYLE, "--output-dir", "/proc/outputs"], "cannot be written"),
    "a folder that is markup": ([*STYLE, "--output-dir", "{}/new[/b]"], "without [/"),
    "no such host": ([*STYLE, "--viewer.websocket-host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
    "no such port": ([*STYLE, "--viewer.websocket-port", "70000"], "from 1 to 65535, got 70000"),
    "no key": ([*STYLE, "--vis", "wandb"], "wandb login"),
    "a seed below 0": ([*STYLE, "--pipeline.seed", "-1"], "--pipeline.seed is a whole number from 0 to 2^63 - 1"),
    "rounds of a seed below 0": ([*ROUNDS, "--pipeline.seed", "-1"], "--pipeline.seed is a whole number from 0"),
    "a host's seed": ([*SCENE, "--machine.seed", "4294967296"], "--machine.seed is a whole number from 0 to 2^32 - 1"),
    "views of no size": ([*ROUNDS, "--pipeline.datamanager.max-image-size", "-5"], "max-image-size is 0 (chosen) or"),
    "views of a pixel": ([*STYLE, "--pipeline.datamanager.max-image-size", "1"], "max-image-size is 0 (chosen) or"),
    "a video of NaN": ([*STYLE, "--pipeline.video-seconds", "nan"], "video-seconds must be 0 (no video) to"),
    "rounds' video of NaN": ([*ROUNDS, "--pipeline.video-seconds", "nan"], "video-seconds must be 0 (no video) to 600"),
    "an endless video": ([*ROUNDS, "--pipeline.video-seconds", "inf"], "video-seconds must be 0 (no video) to 600"),
    "rounds that grow never": ([*ROUNDS, "--pipeline.growth.every", "0"], "growth.every counts steps"),
    "a folder beside a new one": ([*STYLE, *PLY, "--output-dir", "{}/new/../text.txt"], "cannot be written"),
    # The scene.
    "no such run": ([*STYLE, "--load-dir", "{}/nowhere"], "No checkpoint step-*.ckpt in"),
    "a run without checkpoint": ([*STYLE, "--load-dir", "{}/empty"], "No checkpoint step-*.ckpt in"),
    "no such checkpoint": ([*STYLE, "--load-checkpoint", "{}/step-000000001.ckpt"], "does not exist"),
    "a folder for a checkpoint": ([*STYLE, "--load-checkpoint", "{}/good"], "good is a folder; expected a step-*.ckpt"),
    "text for a checkpoint": ([*STYLE, "--load-checkpoint", "{}/text.txt"], "begins with b'no scene, no weights'"),
    "a damaged checkpoint": ([*STYLE, "--load-dir", "{}/damaged"], "cannot be read as a checkpoint"),
    "a run of nerfacto": ([*STYLE, "--load-dir", "{}/nerfacto"], "holds no Gaussians"),
    "rounds of nerfacto": ([*ROUNDS, "--load-dir", "{}/nerfacto"], "holds no Gaussians"),
    "a run of degree 1": ([*STYLE, "--load-dir", "{}/flat"], "Add --pipeline.model.sh-degree 1"),
    "a run in other coordinates": ([*STYLE, "--load-dir", "{}/turned"], "other coordinates"),
    "a damaged history": ([*STYLE, "--load-dir", "{}/bad_history"], "history.json"),
    "a finished run": ([*SCENE, "--load-dir", "{}/finished", "--max-num-iterations", "100"], "100 steps already"),
    "no such .ply": ([*STYLE, "--load-ply", "{}/nothing.ply"], "does not exist"),
    "no .ply": ([*STYLE, "--load-ply", "{}/text.txt"], "is no scene that is read here"),
    "a .ply with NaN": ([*STYLE, "--load-ply", "{}/nan.ply"], "3 of 300 Gaussians have NaN or infinite values: add"),
    "a point cloud": ([*STYLE, "--load-ply", "{}/capture/points.ply"], "is a point cloud or mesh"),
    "a .ply cut short": ([*STYLE, "--load-ply", "{}/cut.ply"], "cut short"),
    "a .ply of degree 3": ([*STYLE, *PLY, "--pipeline.model.sh-degree", "2"], "add --pipeline.model.sh-degree 3"),
    "a .ply in other coordinates": ([*STYLE, "--load-ply", "{}/far.ply"], "--orientation-method none"),
    "rounds on a .ply elsewhere": ([*ROUNDS, "--load-ply", "{}/far.ply"], "--orientation-method none"),
    # The capture.
    "no such capture": ([*STYLE, "--data", "{}/nowhere"], "does not exist"),
    "no capture": ([*STYLE, "--data", "{}/empty"], "holds no transforms.json"),
    "no frames": ([*STYLE, "--data", "{}/no_frames"], "has no frames"),
    "a lost photograph": ([*STYLE, "--data", "{}/lost_picture"], "lost.png"),
    "a broken photograph": ([*STYLE, "--data", "{}/broken_picture"], "frame_04.png"),
    "what the host asserts": ([*STYLE, "--data", "{}/no_focal"], "has no focal length"),
    "a lost point cloud": ([*STYLE, "--data", "{}/lost_points"], "point cloud"),
    "a broken point cloud": ([*STYLE, "--data", "{}/broken_points"], "is not a .ply file"),
    "one photograph": ([*STYLE, "--data", "{}/one_frame"], "The only camera stands at one place"),
    "a scene of nothing": ([*SCENE, "--data", "{}/nowhere"], "does not exist"),
    # The object.
    "no such file": ([*STYLE, *PLY, "--object-file", "{}/nothing.npy"], "does not exist"),
    "a folder for a selection": ([*STYLE, *PLY, "--object-file", "{}/empty"], "empty is a folder; expected a .npy"),
    "a file of another scene": ([*STYLE, *PLY, "--object-file", "{}/short.npy"], "7 weights, but"),
    "a file of another run": ([*STYLE, "--load-dir", "{}/good", "--object-file", "{}/short.npy"], "7 weights, but"),
    "no selection": ([*STYLE, *PLY, "--object-file", "{}/table.npy"], "weights should be numbers"),
    "a file and no scene": ([*STYLE, "--object-file", "{}/ball.npy"], "name the scene with --load-dir"),
    "two objects": ([*STYLE, "--object-text", "bear", "--object-click", "0", "1", "1"], "would say nothing"),
    "a box and a text": ([*STYLE, "--object", "box", "--object-text", "bear"], "would say nothing"),
    "clicks without any": ([*STYLE, "--object", "clicks"], "--object-click VIEW X Y"),
    "no such view": ([*STYLE, "--object-click", "9", "5", "5"], "training views 0 to 8"),
    "beside the picture": ([*STYLE, "--object-click", "0", "500", "5"], "48 x 48 pixels"),
    "rounds beside the picture": ([*ROUNDS, *PLY, "--object-click", "0", "500", "5"], "48 x 48 pixels"),
    "a rectangle elsewhere": ([*STYLE, "--object-rectangle", "0", "90", "90", "99", "99"], "lies outside view 0"),
    "masks without any": ([*STYLE, "--object", "masks"], "the capture has no masks"),
    "no such masks": ([*STYLE, "--pipeline.datamanager.object-masks", "{}/nowhere"], "does not exist"),
    "a mask is missing": ([*STYLE, "--pipeline.datamanager.object-masks", "{}/few_masks"], "have no mask"),
    "a sphere of nothing": ([*STYLE, "--object", "sphere", "--pipeline.object.radius", "-1"], "radius of a sphere"),
    "no such segmenter": ([*STYLE, "--object-text", "bear", "--object-segmenter", "clipsegg"], "no segmenter"),
    "a live segmenter": ([*STYLE, "--live", "True", "--segmenter", "clipsegg"], "no segmenter"),
    # Networks.
    "no known word": (["fasttext2style", "--encoder", "tiny", "--prompt", "a diamond horse"], "knows no word"),
    "a negative that is the prompt": ([*STYLE, "--pipeline.styler.objective.negatives", "Red"], "is the prompt itself"),
    "no such encoder": ([*STYLE, "--encoder", "ViT-B-33"], "Did you mean"),
    "no such weights": ([*STYLE, "--encoder-weights", "{}/nothing.safetensors"], "nothing.safetensors"),
    "no content weights": (
        [*STYLE, "--pipeline.styler.objective.content", "vgg", "--pipeline.styler.objective.content-weights", "{}/no"],
        "There is no file",
    ),
    "no such editor": ([*ROUNDS, "--editor", "painter"], "There is no editor"),
    "no such module": ([*ROUNDS, "--editor", "my.module:Editor"], "cannot be imported"),
    "no such setting": ([*ROUNDS, "--pipeline.editor-settings", "brush", "9"], "has no setting brush"),
    "rounds with a text that says nothing": (
        [*ROUNDS, "--encoder", "tiny", "--prompt", "a horse", "--pipeline.rounds.losses.text-weight", "1"],
        "knows no word",
    ),
}  # fmt: skip


def _start(arguments: list[str], world: Path, output: Path, monkeypatch, data: bool = True) -> int:
    """`ns-train ARGUMENTS` in this process; its exit code. Without `data` no capture is named."""
    arguments = [argument.replace("{}", str(world)) for argument in arguments]
    for name, value in (("--data", str(world / "capture")), ("--output-dir", str(output)), ("--vis", "viewer")):
        if name not in arguments and (data or name != "--data"):
            arguments += [name, value]
    monkeypatch.setattr(sys, "argv", ["ns-train", *arguments, *RAW])
    monkeypatch.chdir(world)
    with pytest.raises(SystemExit) as end:
        ns_train.entrypoint()
    return end.value.code


def _everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("arguments, message", BAD_STARTS.values(), ids=BAD_STARTS)
def test_a_bad_start_is_refused_in_one_message_and_leaves_nothing(
    world, tmp_path, capsys, monkeypatch, arguments, message
):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "COMET_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # where wandb looks for keys
    before = _everything(world)
    output = tmp_path / "out"
    assert _start(arguments, world, output, monkeypatch) == 1
    said = capsys.readouterr()
    above, _, error = said.out.partition("\nError: ")
    assert message in error
    # One message, the last thing that is said, under few lines; and nothing was begun.
    assert len(error.strip().splitlines()) == 1 and said.out.count("\nError:") == 1
    assert len(above.splitlines()) < 15
    assert "Traceback" not in said.out + said.err and "Reconstructing" not in said.out
    assert not output.exists() and _everything(world) == before


BAD_SCENES_ALONE = {
    "no such .ply": ([*STYLE, "--load-ply", "{}/nothing.ply"], "cannot be read"),
    "a folder": ([*STYLE, "--load-ply", "{}/capture"], "is a folder; a scene in it is"),
    "no .ply": ([*STYLE, "--load-ply", "{}/text.txt"], "is no scene that is read here"),
    "a .ply with NaN": ([*STYLE, "--load-ply", "{}/nan.ply"], "3 of 300 Gaussians have NaN or infinite values: add"),
    "no known word": (["fasttext2style", "--encoder", "tiny", "--prompt", "a diamond horse", *PLY], "knows no word"),
    "no such editor": ([*ROUNDS, *PLY, "--editor", "painter"], "There is no editor"),
    "two scenes": ([*STYLE, *PLY, "--load-dir", "{}/good"], "give one of them"),
}


@pytest.mark.parametrize("arguments, message", BAD_SCENES_ALONE.values(), ids=BAD_SCENES_ALONE)
def test_a_scene_without_photographs_is_refused_before_views_are_made_of_it(
    world, tmp_path, capsys, monkeypatch, arguments, message
):
    assert _start(arguments, world, tmp_path / "out", monkeypatch, data=False) == 1
    said = capsys.readouterr()
    assert message in said.out.partition("\nError: ")[2] and "Traceback" not in said.out + said.err
    assert not (tmp_path / "out").exists()


def test_a_port_that_is_taken_is_said(world, tmp_path, capsys, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert (
            _start([*STYLE, "--live", "True", "--viewer.websocket-port", port], world, tmp_path / "o", monkeypatch) == 1
        )
    assert f"127.0.0.1:{port} (Address already in use)" in capsys.readouterr().out


def test_without_weights_the_error_names_the_embedded_encoder(world, tmp_path, capsys, monkeypatch):
    """As on a machine that has none and reaches no server: before anything is reconstructed."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert _start(["fasttext2style", "--prompt", "gold"], world, tmp_path / "out", monkeypatch) == 1
    said = capsys.readouterr().out
    assert "--encoder tiny" in said and "--encoder-weights" in said and "Reconstructing" not in said
    assert not (tmp_path / "out").exists()


def test_in_a_process_of_its_own_the_error_is_the_last_thing_that_is_said(world, tmp_path):
    """A word that is not known, before a reconstruction."""
    arguments = [*STYLE[:-1], "a diamond horse", "--data", world / "capture", "--output-dir", tmp_path / "out", *RAW]
    done = forked.run("ns-train", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    *above, error = done.stdout.rstrip().splitlines()
    assert error.startswith("Error: ") and len(above) < 15, done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
