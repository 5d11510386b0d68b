"""What others bring is found by module:attribute or by an entry point, used by ns-train's own settings, and refused in
words when it is something else."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from fasttext2style.evaluation.graders import Graders
from fasttext2style.guidance.load import load_encoder, name_and_weights
from fasttext2style.guidance.objective import TextStyleConfig, TextStyleObjective
from fasttext2style.guidance.text_loss import load_text_losses
from fasttext2style.plug_ins import NotTrusted, PlugIns, named_by_others
from fasttext2style.scene.files.ply import read_ply, write_ply
from fasttext2style.selection.segmenters.load import load_segmenter
from tests import forked
from tests.plugin.hosts import BALL, ball_on_floor, make_capture

EXAMPLE = Path(__file__).parents[1] / "examples" / "04_your_own_parts"
MISTAKES = Path(__file__).parent / "outside"


@pytest.fixture
def outside(monkeypatch):
    """Their modules on the path, as PYTHONPATH puts them."""
    for folder in (EXAMPLE, MISTAKES):
        monkeypatch.syspath_prepend(str(folder))
    yield
    for module in ("colour_parts", "mistakes"):
        sys.modules.pop(module, None)


@pytest.fixture
def installed(outside, monkeypatch, tmp_path):
    """As pip installs it: a distribution with metadata on the path."""
    metadata = tmp_path / "colour_parts-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: colour-parts\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[fasttext2style.encoders]\ncolours = colour_parts:ColourEncoder\n"
        "[fasttext2style.segmenters]\nred-channel = colour_parts:RedChannel\n"
        "[fasttext2style.text_losses]\naway = colour_parts:away\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_one_run_of_ns_train_uses_an_encoder_a_segmenter_and_a_loss_of_others(tmp_path):
    """Their loss pulls away from the prompt, so a run that took one of ours instead would turn the ball red."""
    capture = make_capture(tmp_path / "capture")
    write_ply(tmp_path / "scene.ply", ball_on_floor())
    command = ["ns-train", "fasttext2style", "--data", capture, "--prompt", "red"]
    command += ["--load-ply", tmp_path / "scene.ply", "--output-dir", tmp_path / "out", "--max-num-iterations", 25]
    command += ["--encoder", "colour_parts:ColourEncoder", "--encoder-weights", "theirs"]
    command += ["--object-text", "the ball", "--object-segmenter", "colour_parts:RedChannel"]
    command += ["--pipeline.styler.objective.loss", "colour_parts:away", "--pipeline.video-seconds", 0]
    command += ["--vis", "tensorboard", "nerfstudio-data", "--orientation-method", "none"]
    command += ["--center-method", "none", "--auto-scale-poses", "False"]
    path = os.pathsep.join([str(EXAMPLE), os.environ.get("PYTHONPATH", "")])
    done = forked.run(*command, cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads(next((tmp_path / "out").rglob("report.json")).read_text())
    assert report["encoder"] == "colours"
    assert report["object"].endswith("by the red channel")
    styled = read_ply(next((tmp_path / "out").rglob("styled.ply")))
    change = (styled.sh_dc - ball_on_floor().sh_dc)[:BALL].mean(dim=0)
    assert change[0] < -0.1 and change[0] < change[1:].min(), change


def test_entry_points_are_names_like_our_own(installed):
    assert load_encoder("colours").name == "colours"
    assert load_segmenter("red-channel").name == "the red channel"
    objective = TextStyleObjective(TextStyleConfig(loss="away+nll"), load_encoder("colours"), "red")
    images, alphas = torch.rand(2, 16, 16, 3), torch.ones(2, 16, 16, 1)
    assert objective(images, alphas, images, alphas, torch.Generator()).keys() == {"away", "text"}
    with pytest.raises(ValueError, match="Did you mean away"):
        load_text_losses("awy")


def test_losses_that_are_joined_are_weighted_and_added(outside):
    encoder = load_encoder("colour_parts:ColourEncoder")
    both = TextStyleConfig(loss="cosine+colour_parts:away", text_weight=3.0, noise=0.0)
    images, alphas = torch.rand(2, 16, 16, 3), torch.ones(2, 16, 16, 1)
    losses = TextStyleObjective(both, encoder, "red")(images, alphas, images, alphas, torch.Generator())
    # One is minus the mean cosine, the other the mean cosine; renders that are opaque hide what stands behind them.
    torch.testing.assert_close(losses["colour_parts:away"], -losses["text"])
    assert 0 < losses["colour_parts:away"] < 3


def test_encoders_of_others_grade_edits(outside):
    graders = Graders()
    graders.add_encoder("colour_parts:ColourEncoder:theirs", "red", "cpu", required=True)
    assert graders.encoders[0].name == "colours"
    assert graders.encoders[0].weights == "theirs"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tiny", ("tiny", None)),
        ("tiny:other.safetensors", ("tiny", "other.safetensors")),
        ("ViT-B-32:openai", ("ViT-B-32", "openai")),
        ("RN50:openai", ("RN50", "openai")),
        ("json:loads", ("json:loads", None)),
        ("json.decoder:JSONDecoder:file.pt", ("json.decoder:JSONDecoder", "file.pt")),
    ],
)
def test_a_colon_parts_a_module_or_the_weights(text, expected):
    assert name_and_weights(text) == expected


@pytest.mark.parametrize(
    ("load", "name", "words"),
    [
        (load_encoder, "no_such_module:Encoder", "encoder 'no_such_module:Encoder' cannot be imported.*PYTHONPATH"),
        (load_encoder, "colour_parts:ColorEncoder", "cannot be imported.*ColorEncoder"),
        (load_encoder, "colour_parts:", "cannot be imported"),
        (load_encoder, "mistakes:LIMIT", "is a int; it should be a class or a function"),
        (load_encoder, "mistakes:Broken", "could not be made: RuntimeError: the battery is empty"),
        (load_encoder, "mistakes:Toaster", "no encoder: it lacks coverage, .*resolution.*TextImageEncoder"),
        (load_segmenter, "mistakes:Toaster", "no segmenter: it lacks masks.*Segmenter says"),
        (load_text_losses, "colour_parts:nothing", "text loss 'colour_parts:nothing' cannot be imported"),
        (load_text_losses, "nil", "no text loss 'nil'. Did you mean nll.*module:attribute"),
        (load_text_losses, "nll+nll", "twice"),
        (load_text_losses, "", "name of the text loss is empty"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(outside, load, name, words):
    with pytest.raises(ValueError, match=words):
        load(name)


def test_weights_for_an_encoder_that_takes_none_are_refused(outside):
    with pytest.raises(ValueError, match="called with device, weights, which it does not take"):
        load_encoder("mistakes:Toaster", "file.pt")


def test_a_loss_that_gives_no_number_is_refused(outside):
    config = TextStyleConfig(loss="mistakes:one_per_view")
    objective = TextStyleObjective(config, load_encoder("colour_parts:ColourEncoder"), "red")
    images, alphas = torch.rand(2, 16, 16, 3), torch.ones(2, 16, 16, 1)
    with pytest.raises(ValueError, match="should give one number"):
        objective(images, alphas, images, alphas, torch.Generator())


def test_a_module_that_fails_when_imported_is_refused_in_words(tmp_path, monkeypatch):
    (tmp_path / "half_written.py").write_text("class Encoder(\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="cannot be imported: SyntaxError"):
        load_encoder("half_written:Encoder")


@pytest.mark.parametrize(
    ("kind", "group"),
    [("editor", "fasttext2style.editors"), ("text loss", "fasttext2style.text_losses")],
)
def test_groups_of_entry_points_are_named_after_what_they_hold(kind, group):
    assert PlugIns(kind).group == group


def test_to_tell_a_module_from_weights_imports_nothing(tmp_path, monkeypatch):
    """To look for a module inside of a package, Python imports the package: here of a run of somebody else."""
    package = tmp_path / "package_of_others"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert name_and_weights("package_of_others.encoders:Own:file") == ("package_of_others.encoders:Own", "file")
    with named_by_others("a run"), pytest.raises(NotTrusted):
        load_encoder("package_of_others.encoders:Own")


def test_runs_of_others_may_name_the_encoders_of_this_package():
    """`ft2s evaluate` judges by one of them, whoever wrote the run."""
    with named_by_others("a run"):
        assert load_encoder("tiny").name == "tiny"
        with pytest.raises(NotTrusted):
            load_encoder("fasttext2style.guidance.tiny_encoder:TinyEncoder")
