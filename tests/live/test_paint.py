"""One plain colour, where a sentence asks for nothing else: evenly, on the object alone, as a step."""

from dataclasses import replace

import pytest
import torch

from fasttext2style.live import jobs
from fasttext2style.live.asked_color import plain_color
from fasttext2style.live.grade import ApplyGrade, grade_of
from fasttext2style.live.objects import objects_of
from fasttext2style.live.paint import Paint
from fasttext2style.live.session import LiveSession
from fasttext2style.scene.gaussians import SH_C0
from fasttext2style.styling.grade_settings import Grade
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, SelectRows, bits, open_session, same

BLUE = torch.tensor([25.0, 50.0, 220.0]) / 255


@pytest.fixture()
def session(tmp_path) -> LiveSession:
    session = open_session(PlainHost(ball_on_floor(), tmp_path / "scene.pt"), capture_cameras(), tmp_path)
    assert session.do(SelectRows(0, BALL))
    return session


@pytest.mark.parametrize(
    ("sentence", "color"),
    [
        *[(said, "blue") for said in ("blue", "make the ball blue", "a blue ball", "Paint the old crate blue, please")],
        *[("a dark blue bear", "dark blue"), ("turn it into a light green object", "light green")],
        *[(said, None) for said in ("", "gold", "a bear made of gold", "blue denim", "turn it into red bricks")],
        *[(said, None) for said in ("red and white stripes", "make it ivory", "a blue crate", "a blue ball of ice")],
    ],
)
def test_a_plain_color_is_one_that_a_sentence_asks_for_alone(sentence, color):
    found = plain_color(sentence)
    assert (found and found.name) == color


def test_a_shade_is_darker_or_lighter_than_its_color():
    dark, blue, light = (plain_color(f"{shade} blue ball") for shade in ("dark", "", "light"))
    assert blue is not None and torch.allclose(torch.tensor(blue.srgb), BLUE)
    assert all(d < b <= li for d, b, li in zip(dark.srgb, blue.srgb, light.srgb))


def _mean(session: LiveSession) -> torch.Tensor:
    gaussians = session.scene.gaussians.subset(torch.arange(BALL))
    colors = 0.5 + SH_C0 * gaussians.sh_dc
    return (colors * gaussians.opacities[:, None]).sum(0) / gaussians.opacities.sum()


def test_the_objects_mean_color_is_the_one_asked_for_and_nothing_else_changes(session):
    start = bits(session)
    assert session.do(Paint("make the ball blue")) and "Painted blue" in session.status.message
    session.scene.settle()
    painted = bits(session)
    torch.testing.assert_close(_mean(session), BLUE, rtol=0, atol=0.01)
    assert all(torch.equal(painted[name][BALL:], start[name][BALL:]) for name in start)
    assert [step.kind for step in session.scene.history.steps] == ["selection", "edit"]
    assert session.do(jobs.Undo()) and same(bits(session), start)
    assert session.status.message == "Undone: make the ball blue."


def test_another_color_replaces_it_and_starts_from_what_was_there_before(session):
    assert session.do(Paint("red"))
    session.scene.settle()
    assert session.do(Paint("make the ball blue")), session.status.message
    session.scene.settle()
    torch.testing.assert_close(_mean(session), BLUE, rtol=0, atol=0.01)
    assert len(session.scene.history.edits) == 1 and grade_of(session.scene).tint == 1.0
    assert session.do(ApplyGrade(Grade()))  # the sliders stand for it, and go back
    session.scene.settle()
    assert not session.scene.history.edits


def test_the_step_has_the_sentence_as_long_as_the_color_is_the_one_it_asks_for(session):
    assert session.do(Paint("make the ball blue"))
    session.scene.settle()
    assert [(thing.name, thing.edits[0].prompt) for thing in objects_of(session.scene)] == [
        ("ball", "make the ball blue")
    ]
    grade = grade_of(session.scene)
    for changes, prompt in (({"contrast": 0.5}, "make the ball blue"), ({"hue_degrees": 90.0}, "")):
        assert session.do(ApplyGrade(replace(grade, **changes)))
        session.scene.settle()
        assert session.scene.history.edits[0].prompt == prompt


def test_a_pattern_does_not_show_through(session):
    """A white band around a red ball: under the paint both have one mean colour, which all of it had not."""
    scene, band = session.scene, torch.arange(BALL) % 3 == 0
    colors = torch.where(band[:, None], torch.tensor([0.9, 0.9, 0.9]), torch.tensor([0.7, 0.1, 0.1]))
    scene.state.columns["features_dc"][:BALL] = (colors - 0.5) / SH_C0
    assert session.do(Paint("make the ball blue")), session.status.message
    painted = 0.5 + SH_C0 * scene.gaussians.sh_dc[:BALL]
    torch.testing.assert_close(painted[band].mean(dim=0), painted[~band].mean(dim=0), rtol=0.05, atol=0.01)


def test_without_a_plain_color_or_an_object_nothing_is_painted(session):
    before = bits(session)
    assert not session.do(Paint("a bear made of gold")) and "no plain color" in session.status.message
    assert session.do(jobs.SelectNothing()) and not session.do(Paint("blue"))
    assert "Nothing is selected" in session.status.message
    assert session.do(jobs.Undo()) and same(bits(session), before)
