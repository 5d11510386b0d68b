"""One training step: alike in our own loop and in a host's, gated, with densification, refused when it diverges.

The object is a small grey ball, the loss how far its render is from red.
"""

import pytest
import torch

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig, ObjectGrowth
from fasttext2style.styling.steps import ObjectSteps, TrainingDiverged, with_enough_memory

COUNT = 40
VIEWS = Cameras.orbit((0.0, 0.0, 0.0), 1.4, 2, 32, 32)
RED = torch.tensor([1.0, 0.0, 0.0])
GROWS = GrowthConfig(enabled=True, every=2, gradient_threshold=0.0)


def _object(weights: torch.Tensor) -> EditableObject:
    directions = torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(0))
    scene = Gaussians(
        means=0.3 * torch.nn.functional.normalize(directions, dim=1),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(COUNT, 1),
        log_scales=torch.full((COUNT, 3), 0.08).log(),
        logit_opacities=torch.full((COUNT,), 2.0),
        sh_dc=torch.zeros(COUNT, 3),
        sh_rest=torch.zeros(COUNT, 3, 3),
    )
    return EditableObject(scene, Selection(weights, "test"))


def _optimizers(edit: EditableObject, make=torch.optim.Adam, lr: float = 0.01) -> dict:
    return {name: make([parameter], lr=lr) for name, parameter in edit.parameters.items()}


def _losses(edit: EditableObject) -> tuple[dict, dict]:
    images, _, info = render(edit.gaussians(), VIEWS)
    return {"red": (images - RED).square().mean(), "still": 0.01 * edit.parameters["means"].square().mean()}, info


def _bits(edit: EditableObject) -> dict:
    return {name: parameter.detach().clone() for name, parameter in edit.parameters.items()}


def _same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_whole_steps_do_what_a_host_does_between_begin_and_end():
    weights = torch.linspace(0.1, 1, COUNT)
    ours, hosts = _object(weights), _object(weights)
    our_optimizers, host_optimizers = _optimizers(ours), _optimizers(hosts)
    our_steps = ObjectSteps(ours, our_optimizers, ObjectGrowth(GROWS, ours, our_optimizers, 10))
    host_steps = ObjectSteps(hosts, host_optimizers, ObjectGrowth(GROWS, hosts, host_optimizers, 10))
    for number in range(5):
        torch.manual_seed(number)
        our_steps.take(*_losses(ours), number)
        torch.manual_seed(number)
        for optimizer in host_optimizers.values():
            optimizer.zero_grad()
        losses, info = _losses(hosts)
        host_steps.begin(info)
        sum(losses.values()).backward()
        for optimizer in host_optimizers.values():
            optimizer.step()
        host_steps.end(number)
    assert len(ours) > COUNT
    assert _same(_bits(ours), _bits(hosts)) and torch.equal(ours.weights, hosts.weights)


def test_steps_go_down_the_loss_and_say_what_it_was():
    edit = _object(torch.ones(COUNT))
    steps, told = ObjectSteps(edit, _optimizers(edit)), []
    for number in range(20):
        losses, info = _losses(edit)
        told.append(steps.take(losses, info, number))
        assert told[-1] == pytest.approx(float(sum(losses.values()).detach()))
    assert told[-1] < 0.9 * told[0]


def test_gradients_of_one_step_do_not_reach_the_next():
    """A loss with gradient 1 everywhere: each step of SGD moves by its rate, not by the sum of all steps so far."""
    edit = _object(torch.ones(COUNT))
    steps, before = ObjectSteps(edit, _optimizers(edit, torch.optim.SGD, lr=0.25)), _bits(edit)["means"]
    for number in range(4):
        steps.take({"slope": edit.parameters["means"].sum()}, {}, number)
    torch.testing.assert_close(edit.parameters["means"].detach(), before - 1.0)


def test_a_row_moves_by_the_share_of_its_weight_until_the_steps_are_closed():
    """Adam under a constant gradient moves by its rate: 10 steps of 0.1 are 1, and 0.3 for a weight of 0.3."""
    weights = torch.ones(COUNT)
    weights[0] = 0.3
    edit = _object(weights)
    optimizers, before = _optimizers(edit, lr=0.1), _bits(edit)["means"]
    steps = ObjectSteps(edit, optimizers)
    for number in range(10):
        steps.take({"slope": edit.parameters["means"].sum()}, {}, number)
    moved = (before - edit.parameters["means"].detach()).mean(dim=1)
    torch.testing.assert_close(moved[:2], torch.tensor([0.3, 1.0]), rtol=1e-3, atol=0)
    steps.close()
    edit.parameters["means"].sum().backward()
    optimizers["means"].step()
    moved = (before - edit.parameters["means"].detach()).mean(dim=1)
    torch.testing.assert_close(moved[:2], torch.tensor([0.4, 1.1]), rtol=1e-3, atol=0)


def test_who_asked_hears_of_growth_before_the_next_losses():
    edit = _object(torch.full((COUNT,), 0.5))
    optimizers, heard = _optimizers(edit), []
    growth = ObjectGrowth(GROWS, edit, optimizers, 10)
    steps = ObjectSteps(edit, optimizers, growth, lambda: heard.append((number, len(edit), len(edit.weights))))
    for number in range(4):
        count, told = len(edit), len(heard)
        steps.take(*_losses(edit), number)
        assert (len(heard) > told) == (len(edit) != count)
    # gsplat counts from 1 and refines after a multiple of `every` that is past the start: after steps 2 and 4.
    assert [it[0] for it in heard] and all(gaussians == weights for _, gaussians, weights in heard)
    assert (edit.weights == 0.5).all()


def test_a_step_that_diverges_is_refused_and_changes_nothing():
    edit = _object(torch.ones(COUNT))
    steps, before = ObjectSteps(edit, _optimizers(edit)), _bits(edit)
    losses, info = _losses(edit)
    with pytest.raises(TrainingDiverged, match=r"diverged at step 3 \(loss nan\)"):
        steps.take(losses | {"broken": edit.parameters["means"].sum() * float("nan")}, info, 2)
    assert _same(_bits(edit), before)
    steps.take(*_losses(edit), 3)
    assert not _same(_bits(edit), before)


def _needs(most: int, batch: list[int], taken: list[int]):
    """A step that fits into memory with at most so many views, and what halves them."""

    def step() -> str:
        if batch[0] > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        taken.append(batch[0])
        return "done"

    def halve() -> int:
        before = batch[0]
        batch[0] = max(1, before // 2)
        return before

    return step, halve


def test_a_step_that_does_not_fit_is_done_again_with_half_as_many_views(caplog):
    edit, taken = _object(torch.ones(COUNT)), []
    optimizers = _optimizers(edit)
    edit.parameters["means"].grad = torch.ones(COUNT, 3)
    step, halve = _needs(5, [16], taken)
    assert with_enough_memory(step, optimizers.values(), halve) == "done"
    assert taken == [4]
    assert edit.parameters["means"].grad is None, "half a step's gradients would count in the next one"
    assert "going on with 8" in caplog.text and "going on with 4" in caplog.text


def test_a_single_view_that_does_not_fit_is_refused_in_words():
    step, halve = _needs(0, [2], [])
    with pytest.raises(ValueError, match="memory does not suffice for a training step on one view"):
        with_enough_memory(step, [], halve)
