"""A round with the embedded editor on the embedded scene: the statue takes the colour that is asked for, as seen from
where nobody trained, and nothing else moves."""

import pytest
import torch

from fasttext2style.editors.load import load_editor
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import Capture
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.setup import new_rounds
from fasttext2style.rounds.targets import EditConfig
from fasttext2style.rounds.tools import Tools
from fasttext2style.rounds.views import to_bytes
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import StylerConfig
from fasttext2style.toy.scene import toy_scene
from tests.rounds.balls import run


@pytest.fixture(scope="module")
def scene():
    return toy_scene(width=96, height=96, train_views=6, test_views=3)


@pytest.fixture(scope="module")
def editor():
    return load_editor("tiny", "cpu")


def _seen(scene, gaussians):
    """Held-out views: mean colour of the statue, and all pixels without it."""
    images, masks = render(gaussians, scene.test_cameras)[0].clamp(0, 1), scene.masks(scene.test_cameras)
    return images[masks > 0.9].mean(dim=0), images[masks == 0]


@pytest.mark.parametrize(
    ("instruction", "asked"),
    [
        ("make it red", (0.65, 0.08, 0.05)),
        pytest.param("turn it into ice", (0.54, 0.65, 0.73), marks=pytest.mark.slow),
    ],
)
def test_the_statue_takes_the_colour_that_is_asked_for(scene, editor, tmp_path, instruction, asked):
    """Colours are those of the pictures that the editor was trained with; a third of the way may be left."""
    edit = EditableObject(scene.gaussians, Selection(scene.object_weights, "the statue"))
    photographs = to_bytes(render(scene.gaussians, scene.train_cameras)[0])
    capture = Capture(scene.train_cameras, photographs, torch.zeros(3))
    config, books = RoundsConfig(Schedule(rounds=1, steps=40), EditConfig(steps=10)), RoundsFolder(tmp_path / "rounds")
    rounds = new_rounds(edit, capture, Tools(editor), Task(instruction), config, StylerConfig(), books)
    rounds.start()
    run(rounds)
    after, outside_after = _seen(scene, edit.merged())
    before, outside_before = _seen(scene, scene.gaussians)
    asked = torch.tensor(asked)
    assert (after - asked).norm() < 0.33 * (before - asked).norm(), (before, after)
    assert -10 * (outside_after - outside_before).square().mean().log10() > 45
