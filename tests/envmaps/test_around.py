"""What surrounds a scene is what the steps in force say, bit by bit: undone, dropped, blended, after a restart."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttext2style.envmaps.around import environment_of, seen_behind, set_environment, set_sky, surroundings_of
from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.skies import sky
from fasttext2style.envmaps.sphere import turned
from fasttext2style.envmaps.tones import from_display, to_display
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.scene.cameras import Cameras
from tests.history.scenes import assert_same, random_state

GREY = torch.tensor([0.25, 0.5, 0.75])


def _file(folder, name, height=4, brightest=3.0):
    generator = torch.Generator().manual_seed(len(name) + height)
    write_panorama(folder / name, torch.rand(height, 2 * height, 3, generator=generator) * brightest)
    return folder / name


@pytest.fixture()
def around(tmp_path):
    """A history with two panoramas, of different sizes, and an edit of Gaussians between them; and what is in it."""
    history, state = History.open(tmp_path / "history"), random_state()
    first = set_environment(history, _file(tmp_path, "first.exr")).id
    delta = Delta.of_rows(state.ids, {"means": state.columns["means"].clone()}, {"means": state.columns["means"] + 1})
    history.record(delta, "edit")
    state = delta.moved(state, 0.0, 1.0)
    second = set_environment(history, _file(tmp_path, "second.exr", 6)).id
    one, other = (read_panorama(tmp_path / name) for name in ("first.exr", "second.exr"))
    return history, state, first, second, one, other


def _now(history):
    """By the history as it is, and as it is after a restart."""
    found, again = (environment_of(one, GREY) for one in (history, History.open(history.folder)))
    assert (found is None and again is None) or torch.equal(found, again)
    return found


def test_undo_and_redo_bring_back_every_bit(around):
    history, state, _, _, one, other = around
    edited = state.copied()
    assert torch.equal(_now(history), other)
    state = history.undo(state)
    assert torch.equal(_now(history), one)
    assert_same(state, edited)
    state = history.undo(state)
    assert torch.equal(_now(history), one)
    state = history.undo(state)
    assert _now(history) is None
    assert_same(state, random_state())
    for expected in (one, one, other):
        state = history.redo(state)
        assert torch.equal(_now(history), expected)
    assert_same(state, edited)


def test_a_panorama_below_another_can_be_taken_out(around):
    history, state, first, second, one, other = around
    state = history.drop(first, state)
    assert torch.equal(_now(history), other)
    state = history.drop(second, state)
    assert _now(history) is None
    state = history.blend(first, 1.0, state)
    assert torch.equal(_now(history), one)
    for _ in range(3):
        state = history.undo(state)
    assert torch.equal(_now(history), other)


def test_a_blend_is_the_mixture_of_light(around):
    history, state, first, second, one, other = around
    state = history.blend(second, 0.25, state)
    expected = 0.75 * resized(one, 6) + 0.25 * other
    torch.testing.assert_close(_now(history), expected)
    state = history.blend(second, 0.0, state)
    # Alone it is mixed with the colour of the background, as light.
    history.blend(first, 0.5, state)
    torch.testing.assert_close(_now(history), 0.5 * one + 0.5 * from_display(GREY))
    torch.testing.assert_close(to_display(from_display(GREY)), GREY)


def test_a_step_says_what_was_set_and_keeps_it_without_the_file(tmp_path):
    history = History.open(tmp_path / "history")
    file = _file(tmp_path, "sky.exr")
    step = set_environment(history, file, yaw_degrees=90, exposure_stops=1)
    expected = 2 * turned(read_panorama(file), 90)
    file.unlink()
    assert torch.equal(_now(history), expected)
    assert step.name == "surroundings: sky.exr" and step.kind == "edit" and step.gaussians_changed == 0
    assert step.settings == {"environment": {"file": str(file), "yaw": 90.0, "exposure": 1.0}}
    assert step.thumbnail is not None


@settings(max_examples=30)
@given(st.floats(allow_nan=True), st.floats(allow_nan=True))
def test_other_settings_are_refused_and_leave_nothing(tmp_path_factory, yaw, exposure):
    folder = tmp_path_factory.mktemp("settings")
    history, file = History.open(folder / "history"), _file(folder, "sky.exr")
    if abs(yaw) <= 3600 and abs(exposure) <= 20:
        set_environment(history, file, yaw, exposure)
        assert len(history.steps) == 1
    else:
        with pytest.raises(ValueError, match=r"--yaw is an angle|--exposure is in stops"):
            set_environment(history, file, yaw, exposure)
        assert not history.steps and not (folder / "history").exists()


def test_too_much_light_is_refused_and_leaves_nothing(tmp_path):
    history, file = History.open(tmp_path / "history"), _file(tmp_path, "sky.exr", brightest=3e38)
    with pytest.raises(ValueError, match="finite radiance"):
        set_environment(history, file, exposure_stops=8)
    assert not history.steps


@pytest.mark.parametrize(
    "panorama",
    [
        torch.ones(4, 8),
        torch.ones(4, 4, 3),
        torch.ones(0, 0, 3),
        -torch.ones(2, 4, 3),
        torch.full((2, 4, 3), torch.nan),
    ],
)
def test_steps_of_others_with_no_panorama_are_refused(tmp_path, panorama):
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "delta.safetensors"
    Delta.of_environment(torch.ones(2, 4, 3)).save(path)
    with safe_open(path, "pt") as opened:
        tensors, about = {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118
    save_file(tensors | {"environment": panorama}, path, metadata=about)
    for read in (Delta.load, Delta.environment_in):
        with pytest.raises(ValueError, match="cannot be read as a history step"):
            read(path)


def test_steps_without_a_panorama_leave_what_is_there(around):
    history, _, _, _, _, other = around
    assert history.environment(2) is None and history.delta(2).environment is None
    assert torch.equal(history.delta(3).environment, other)


def test_what_is_behind_a_scene_is_shown_in_display_colours():
    """Light of 0.5 everywhere is 0.7354 in sRGB, light of 7 white."""
    panorama = torch.full((8, 16, 3), 0.5)
    panorama[:, :, 1] = 7.0
    view = seen_behind(panorama, Cameras.looking_at(torch.zeros(1, 3), torch.tensor([[1.0, 0, 0]]), 6, 4))
    expected = torch.tensor([0.7354, 1.0, 0.7354]).expand(1, 4, 6, 3)
    torch.testing.assert_close(view, expected, rtol=0, atol=1e-3)


def test_a_sky_of_the_program_is_around_the_scene_turned_and_exposed(tmp_path):
    history = History.open(tmp_path / "history")
    set_sky(history, "sunset", 90.0, 1.0)
    torch.testing.assert_close(_now(history), 2 * turned(sky("sunset"), 90.0), rtol=1e-3, atol=1e-4)
    about = surroundings_of(history)
    assert about is not None and about["step"] == "surroundings: sunset"
    assert (about["sky"], about["yaw"], about["exposure"]) == ("sunset", 90.0, 1.0)
    with pytest.raises(ValueError, match="no sky called"):
        set_sky(history, "plaid")
    with pytest.raises(ValueError, match="--yaw"):
        set_sky(history, "sunset", float("nan"))
    assert len(history.steps) == 1, "what was refused is no step"
