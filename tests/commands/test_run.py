"""ft2s run: what it prints is what it runs, and what a run leaves repeats it."""

import hashlib
import shlex

import pytest

from fasttext2style.recipes.recipe import read_recipe
from tests import forked
from tests.plugin.hosts import make_capture

RECIPE = """
about: gold in two steps
method: fasttext2style
prompt: a ball made of gold
settings:
  max_num_iterations: 7
  reconstruction_steps: 20
  vis: tensorboard
  pipeline:
    encoder: tiny
    video_seconds: 0.0
    object: {by: sphere, radius: 0.45}
dataparser:
  nerfstudio-data: {orientation_method: none, center_method: none, auto_scale_poses: false}
"""


def _run(*words, cwd, code=0):
    done = forked.run("ft2s", "run", *words, cwd=cwd)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """What a run of a recipe printed, and the folder that it left."""
    folder = tmp_path_factory.mktemp("run")
    make_capture(folder / "capture")
    (folder / "gold.yaml").write_text(RECIPE)
    said = _run("gold.yaml", "--data", "capture", "--max-num-iterations", "2", cwd=folder)
    return said, next((folder / "outputs" / "capture" / "fasttext2style").iterdir())


def test_the_line_is_printed_first(first):
    said, _ = first
    assert shlex.split(said.splitlines()[0]) == [
        *["ns-train", "fasttext2style", "--prompt", "a ball made of gold", "--reconstruction-steps", "20"],
        *["--vis", "tensorboard", "--encoder", "tiny", "--pipeline.video-seconds", "0.0", "--object", "sphere"],
        *["--pipeline.object.radius", "0.45", "--data", "capture", "--max-num-iterations", "2", "nerfstudio-data"],
        *["--orientation-method", "none", "--center-method", "none", "--auto-scale-poses", "False"],
    ]


def test_a_run_leaves_a_recipe_of_what_it_was_set_to(first):
    _, run = first
    recipe = read_recipe(run / "recipe.yaml")
    assert recipe.data == run.parents[3] / "capture" and recipe.prompt == "a ball made of gold"
    given = {setting.field.path: setting.value for setting in recipe.settings}
    # That of the command line, where both said something.
    assert given == {
        **{"max_num_iterations": 2, "reconstruction_steps": 20, "vis": "tensorboard", "pipeline.encoder": "tiny"},
        **{"pipeline.video_seconds": 0.0, "pipeline.object.by": "sphere", "pipeline.object.radius": 0.45},
    }
    # The reconstruction is a run of its own.
    (base,) = (run.parents[1] / "fasttext2style-scene").iterdir()
    assert read_recipe(base / "recipe.yaml").method == "fasttext2style-scene"


def test_the_recipe_of_a_run_repeats_it_elsewhere(first, tmp_path):
    _, run = first
    _run(run, cwd=tmp_path)
    again = next((tmp_path / "outputs" / "capture" / "fasttext2style").iterdir())
    plys = [hashlib.sha256((place / "results" / "styled.ply").read_bytes()).hexdigest() for place in (run, again)]
    assert plys[0] == plys[1]


@pytest.mark.parametrize(
    "words, reason",
    [
        (["labtop"], "Did you mean laptop?"),
        (["wrong.yaml"], "settings.max_num_iteration: there is no such setting; did you mean max_num_iterations?"),
    ],
)
def test_mistakes_are_one_message(tmp_path, words, reason):
    (tmp_path / "wrong.yaml").write_text("method: fasttext2style\nsettings: {max_num_iteration: 3}\n")
    said = _run(*words, cwd=tmp_path, code=1)
    assert reason in " ".join(said.split()) and "Traceback" not in said


def test_a_wrong_option_is_refused_as_ns_train_does(tmp_path):
    said = _run("laptop", "--promt", "gold", cwd=tmp_path, code=2)
    assert said.startswith("ns-train fasttext2style --vis tensorboard --encoder tiny --promt gold\n")
