"""A field in rounds: patches, masks, photographs outside them, its own losses, and a resume that draws the same."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.field_subject import FieldSubject
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.rounds.subject import Subject
from fasttext2style.rounds.targets import EditConfig
from fasttext2style.rounds.tools import Tools
from fasttext2style.rounds.views import to_bytes
from fasttext2style.scene.rasterize import render
from tests.ball import ball_on_floor, capture_cameras
from tests.rounds.editors import Painter

GREY = 0.5
LEFT = 16


class Slides:
    """A field of ten slides, each pixel a weight, seen through a jitter that is drawn from the seed."""

    def __init__(self, size: int = 32) -> None:
        self.weights = nn.Parameter(torch.full((10, size, size, 3), GREY))
        self.seeds: list[int] = []
        self.pictures = 0

    @property
    def parameters(self):
        return {"slides": self.weights}

    def picture(self, view, with_depth=False):
        self.pictures += 1
        return self.weights.detach()[view]

    def boxes(self, views, boxes, seed):
        self.seeds.append(seed)
        jitter = torch.randn(3, generator=torch.Generator().manual_seed(seed)) * 1e-3
        seen = [self.weights[view, y0:y1, x0:x1] for view, (x0, y0, x1, y1) in zip(views.tolist(), boxes.tolist())]
        return torch.stack(seen) + jitter, {"own": 0.25 * self.weights.square().mean()}

    def state(self):
        return {"model.slides": self.weights.detach().clone()}

    def load_state(self, tensors):
        self.weights.data.copy_(tensors["model.slides"])


SCHEDULE = Schedule(rounds=2, steps=30, views=1, edit_every=3, choice="order", train_on="dataset", patch=8, batch=32)


def _rounds(folder, masks=None, schedule=SCHEDULE, editor=None, condition="photograph"):
    cameras = capture_cameras(32)
    photographs = to_bytes(render(ball_on_floor(), cameras)[0].clamp(0, 1))
    subject = FieldSubject(Slides(), cameras, photographs, masks)
    config = RoundsConfig(schedule, EditConfig(condition=condition))
    return EditRounds(
        subject, subject.views(), Tools(editor or Painter()), Task("make it red"), config, RoundsFolder(folder)
    )


def _run(rounds, steps=None):
    optimizers = {name: torch.optim.Adam([value], lr=0.05) for name, value in rounds.subject.parameters.items()}
    rounds.attach(optimizers)
    for _ in range(rounds.steps_left if steps is None else steps):
        rounds.begin_step()
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        sum(rounds.losses()[0].values()).backward()
        for optimizer in optimizers.values():
            optimizer.step()
        rounds.subject.end_step()
        rounds.end_step()
    return rounds


def _left_half():
    masks = torch.zeros(10, 32, 32, 1, dtype=torch.uint8)
    masks[:, :, :LEFT] = 255
    return masks


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    rounds = _rounds(tmp_path_factory.mktemp("masked"), _left_half())
    rounds.start()
    return _run(rounds)


def test_a_field_is_a_subject():
    assert isinstance(
        FieldSubject(Slides(), capture_cameras(32), torch.zeros(10, 32, 32, 3, dtype=torch.uint8)), Subject
    )


def test_inside_its_masks_a_field_becomes_what_was_edited_and_outside_the_photographs(masked):
    edited = sorted(masked.targets.edited_in)
    now, photographs = masked.subject.render(edited), masked.views.photographs[edited].float() / 255
    inside, outside = now[:, :, :LEFT], now[:, :, LEFT:]
    assert (inside[..., 0] - inside[..., 1]).mean() > 0.15
    # Held to what the field was at first, which is grey, nothing would come nearer; pixels are hit some ten times.
    before = (GREY - photographs[:, :, LEFT:]).abs().mean()
    assert (outside - photographs[:, :, LEFT:]).abs().mean() < 0.5 * before


def test_drift_outside_is_measured_against_the_field_before_any_edit(masked):
    """20 dB is an error of 0.1; the field began grey and is now like photographs that differ from grey by more."""
    outside = masked.folder.rounds()[-1].manifest["metrics"]["trained"]["outside"]
    views = masked.folder.rounds()[-1].manifest["round_views"]
    now = to_bytes(masked.subject.render(views))[:, :, LEFT:].double() / 255
    error = (now - round(GREY * 255) / 255).square().mean()
    assert outside["psnr"] == pytest.approx(float(-10 * error.log10()), abs=0.01)
    assert outside["outside_mask"]["share_changed"] > 0.5


def test_its_own_losses_are_trained_with_the_pictures(tmp_path):
    rounds = _rounds(tmp_path)
    rounds.start()
    rounds.begin_step()
    losses, _ = rounds.losses()
    assert float(losses["own"].detach()) == pytest.approx(0.25 * GREY**2, abs=1e-4)


def test_views_are_edited_in_the_order_of_the_capture_one_every_three_steps(masked):
    edits = [edit for entry in masked.folder.rounds()[1:] for edit in entry.manifest["edits"]]
    assert [edit["views"] for edit in edits] == [[number % 10] for number in range(20)]
    assert [edit["step"] for edit in edits] == [*range(0, 30, 3), *range(0, 30, 3)]


def test_every_step_has_a_jitter_of_its_own_and_asked_again_the_same(tmp_path):
    rounds = _rounds(tmp_path)
    rounds.start()
    _run(rounds, steps=6)
    seeds = rounds.subject.field.seeds
    assert len(set(seeds)) == 6
    rounds.begin_step()
    first, second = rounds.losses()[0]["photometric"], rounds.losses()[0]["photometric"]
    assert torch.equal(first, second)


def test_a_view_is_rendered_once_until_a_step_has_changed_the_field(tmp_path):
    """Ten views before the first round, which begins with them, and ten after each of two: the second begins with
    those of the first's end."""
    rounds = _rounds(tmp_path, schedule=Schedule(rounds=2, steps=2, patch=8, batch=4))
    rounds.start()
    _run(rounds)
    assert rounds.subject.field.pictures == 30
    shown, weights = rounds.subject.render([3])[0], rounds.subject.field.weights.detach()[3]
    assert torch.allclose(shown, weights.clamp(0, 1), atol=0.51 / 255)
    rounds.subject.load_state({"model.slides": torch.ones_like(rounds.subject.field.weights)})
    assert bool((rounds.subject.render([3]) == 1).all())


def test_a_resumed_field_ends_as_the_uninterrupted_one(tmp_path):
    short = replace(SCHEDULE, steps=6, batch=4)
    whole, half = (_rounds(tmp_path / name, _left_half(), short) for name in ("whole", "half"))
    for rounds in (whole, half):
        rounds.start()
    _run(whole)
    _run(half, steps=8)
    resumed = _rounds(tmp_path / "half", _left_half(), short)
    resumed.resume()
    _run(resumed)
    assert torch.equal(resumed.subject.field.weights, whole.subject.field.weights)


def test_a_field_that_is_another_one_is_not_resumed(tmp_path):
    short = replace(SCHEDULE, steps=1)
    rounds = _rounds(tmp_path, schedule=short)
    rounds.start()
    _run(rounds, steps=1)
    other = _rounds(tmp_path, schedule=short)
    other.subject.field.weights.data[0, 0, 0, 0] += 0.01
    other._scene = other.subject.fingerprint()
    with pytest.raises(ValueError, match="another scene"):
        other.resume()


def test_empty_masks_are_refused():
    nothing = torch.zeros(10, 32, 32, 1, dtype=torch.uint8)
    with pytest.raises(ValueError, match="empty"):
        FieldSubject(Slides(), capture_cameras(32), torch.zeros(10, 32, 32, 3, dtype=torch.uint8), nothing)


def test_a_field_whose_rounds_overlap_resumes_as_if_nothing_had_been(tmp_path):
    plan = Schedule(rounds=3, steps=8, overlap=0.5, patch=8, batch=32, train_on="dataset")
    whole, half = _rounds(tmp_path / "whole", schedule=plan), _rounds(tmp_path / "half", schedule=plan)
    whole.start(), half.start()
    _run(whole), _run(half, 11)
    again = _rounds(tmp_path / "half", schedule=plan)
    again.resume()
    assert torch.equal(_run(again).subject.parameters["slides"], whole.subject.parameters["slides"])
    early = load_tensors(next((tmp_path / "whole" / "round_0001").glob("ahead_*")))["model.slides"]
    late = load_tensors(whole.folder.rounds()[1].snapshot)["model.slides"]
    assert not torch.equal(early, late)
