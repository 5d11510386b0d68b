"""A run of nerfstudio's own `ns-train nerfacto`, by its command line, is what an edit starts from."""

import copy

import pytest
import torch
import yaml
from nerfstudio.engine.callbacks import TrainingCallbackLocation
from torchvision.models import alexnet

from fasttext2style.plugin.host.checkpoints import checkpoints_in, read_checkpoint
from fasttext2style.plugin.runs.field_run import open_any_run
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.toy.scene import WORLD_OPTIONS
from tests import forked
from tests.plugin.hosts import make_capture, train
from tests.plugin.nerf_host import nerf_config

pytestmark = pytest.mark.slow  # nerfacto as it is shipped starts processes of its own for its rays

SMALL = ("--num-levels", "4", "--log2-hashmap-size", "11", "--max-res", "64", "--hidden-dim", "16",
         "--hidden-dim-color", "16", "--num-proposal-samples-per-ray", "12", "8",
         "--num-nerf-samples-per-ray", "6", "--implementation", "torch")  # fmt: skip


def _alexnet_of_nothing(folder):
    """The constructor of nerfacto wants AlexNet's weights for its LPIPS: a file of the right shapes, a few KB."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in alexnet().state_dict().items()}
    path = folder / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    path.parent.mkdir(parents=True)
    torch.save({name: torch.full((1,), 1e-3).expand(shape) for name, shape in shapes.items()}, path)
    return folder


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return make_capture(tmp_path_factory.mktemp("capture") / "ball", size=32, masks=True)


@pytest.fixture(scope="module")
def stock(capture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    model = [word if not word.startswith("--") else f"--pipeline.model.{word[2:]}" for word in SMALL]
    done = forked.run(
        *("ns-train", "nerfacto", "--data", capture, "--output-dir", folder, "--timestamp", "base"),
        *("--machine.device-type", "cpu", "--max-num-iterations", "30", "--vis", "tensorboard"),
        *("--viewer.quit-on-train-completion", "True", "--mixed-precision", "False"),
        *("--pipeline.datamanager.num-processes", "1", "--pipeline.datamanager.train-num-rays-per-batch", "256"),
        *("--steps-per-eval-image", "0", "--steps-per-eval-batch", "0", "--steps-per-eval-all-images", "0"),
        *(*model, "nerfstudio-data", *WORLD_OPTIONS),
        cwd=folder,
        TORCH_HOME=str(_alexnet_of_nothing(folder / "torch")),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "ball" / "nerfacto" / "base"


@pytest.fixture(scope="module")
def red(capture, stock, tmp_path_factory):
    config = nerf_config(capture, tmp_path_factory.mktemp("red"), "make it red", stock)
    config.pipeline.rounds.schedule.rounds = 1
    return train(config).base_dir


def _before_and_after(run):
    entries = RoundsFolder(run / "rounds").rounds()
    return load_tensors(entries[0].snapshot), load_tensors(entries[1].snapshot)


def test_its_settings_are_read_from_its_config_and_its_weights_are_round_0(stock, red):
    settings = open_any_run(red).config.pipeline.model
    theirs = yaml.load((stock / "config.yml").read_text(), Loader=yaml.Loader).pipeline.model
    assert theirs.average_init_density == settings.average_init_density == 0.01
    assert settings.num_proposal_samples_per_ray == (12, 8) and settings.hidden_dim == 16
    begun, _ = _before_and_after(red)
    left = read_checkpoint(checkpoints_in(stock / "nerfstudio_models")[-1])["pipeline"]
    names = [name for name in left if name.startswith(("_model.field.", "_model.proposal_networks."))]
    assert names and all(torch.equal(begun[name.removeprefix("_")], left[name]) for name in names)
    assert int(begun["model.sampling"][0]) == 30


def test_it_shows_what_nerfacto_shows(stock, red, tmp_path, monkeypatch):
    """nerfstudio's own model with nerfstudio's own load; 1.0 in place of 0.01 would be another picture."""
    monkeypatch.setenv("TORCH_HOME", str(_alexnet_of_nothing(tmp_path)))
    run = open_any_run(red)
    begun, _ = _before_and_after(red)
    own = {name.removeprefix("model."): value for name, value in begun.items() if name.startswith("model.")}
    run.pipeline.model.load_state_dict(own)
    data = run.pipeline.datamanager
    theirs = yaml.load((stock / "config.yml").read_text(), Loader=yaml.Loader).pipeline.model
    weights = read_checkpoint(checkpoints_in(stock / "nerfstudio_models")[-1])["pipeline"]
    camera = data.eval_dataset.cameras[:1]

    def seen(settings):
        box, count = data.train_dataset.scene_box, len(data.train_dataset)
        model = settings.setup(scene_box=box, num_train_data=count, metadata={}, device="cpu").eval()
        model.load_state_dict({name.removeprefix("_model."): it for name, it in weights.items()})
        for callback in model.get_training_callbacks(None):  # in its first 1,000 steps it samples by its age
            callback.run_callback_at_location(30, TrainingCallbackLocation.BEFORE_TRAIN_ITERATION)
        return model.get_outputs_for_camera(camera)["rgb"]

    ours = run.pipeline.model.get_outputs_for_camera(camera)["rgb"]
    assert torch.allclose(ours, seen(theirs), atol=1e-5)
    other = copy.deepcopy(theirs)
    other.average_init_density = 1.0
    assert (ours - seen(other)).abs().max() > 1e-3


def test_training_moves_its_weights(red):
    """Not its proposal networks, whose gradients were exactly 0 after so short a base run; that they train after a load
    is a claim of test_nerf_run.py."""
    before, after = _before_and_after(red)
    for group in ("field.mlp_base", "field.mlp_head", "field.embedding", "camera_optimizer"):
        names = [name for name in before if name.startswith(f"model.{group}") and before[name].is_floating_point()]
        assert any(not torch.equal(before[name], after[name]) for name in names), group
