"""The gate: what it protects keeps every bit, what it softens moves by its share, densification does not break it."""

from functools import partial

import gsplat.strategy.ops as strategy_ops
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttext2style.styling.gate import UpdateGate

SHAPES = {"means": (3,), "scales": (3,), "quats": (4,), "features_dc": (3,), "features_rest": (8, 3), "opacities": (1,)}


ADAM = partial(torch.optim.Adam, eps=1e-15)


def scene(count: int, make=ADAM, lr: float = 0.01):
    """A splatfacto-like set of parameters with one optimizer each."""
    params = {name: torch.nn.Parameter(torch.randn(count, *shape)) for name, shape in SHAPES.items()}
    return params, {name: make([param], lr=lr) for name, param in params.items()}


def step(params, optimizers) -> None:
    """Pull all parameters towards a random place: gradients of every size, down to 1e-12, in every row."""
    loss = sum(((p - 3) ** 2 * torch.rand_like(p) * 10.0 ** (-12 * torch.rand_like(p))).sum() for p in params.values())
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers.values():
        optimizer.step()


def bits(params, rows) -> dict[str, bytes]:
    return {name: param.detach()[rows].numpy().tobytes() for name, param in params.items()}


OPTIMIZERS = {
    "adam as in nerfstudio": ADAM,
    "adam with foreach": partial(torch.optim.Adam, eps=1e-15, foreach=True),
    "amsgrad": partial(torch.optim.Adam, amsgrad=True),
    "weight decay": partial(torch.optim.AdamW, weight_decay=0.1),
    "sgd with momentum": partial(torch.optim.SGD, momentum=0.9),
    "rmsprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=[pytest.mark.slow] * (name in ("amsgrad", "rmsprop")))
        for name, make in OPTIMIZERS.items()
    ],
)
def test_weight_zero_keeps_every_bit_over_a_run_after_warm_momentum(make):
    params, optimizers = scene(20, make)
    params["means"].data[0] = -0.0
    for _ in range(50):
        step(params, optimizers)
    weights = (torch.arange(20) % 3 == 0).float()
    before, gate = bits(params, weights == 0), UpdateGate()
    moving = {name: param.detach()[weights == 1].clone() for name, param in params.items()}
    gate.attach(optimizers, lambda: weights)
    for _ in range(200):
        step(params, optimizers)
    assert bits(params, weights == 0) == before
    for name, param in params.items():
        assert ((param.detach()[weights == 1] - moving[name]).abs() > 0).all(), name


def test_protected_rows_keep_no_momentum_for_the_day_they_are_selected():
    params, optimizers = scene(6)
    for _ in range(20):
        step(params, optimizers)
    weights, gate = torch.tensor([0.0, 0, 0, 1, 1, 1]), UpdateGate()
    gate.attach(optimizers, lambda: weights)
    step(params, optimizers)
    for name, optimizer in optimizers.items():
        state = optimizer.state[params[name]]
        assert not state["exp_avg"][:3].any()
        assert not state["exp_avg_sq"][:3].any()
        assert state["exp_avg"][3:].any()


def test_selected_rows_move_as_without_a_gate():
    torch.manual_seed(1)
    params, optimizers = scene(10)
    torch.manual_seed(1)
    twins, twin_optimizers = scene(10)
    weights, gate = torch.ones(10), UpdateGate()
    weights[:4] = 0
    gate.attach(optimizers, lambda: weights)
    for number in range(30):
        for these in ((params, optimizers), (twins, twin_optimizers)):
            torch.manual_seed(number)
            step(*these)
    assert bits(params, slice(4, 10)) == bits(twins, slice(4, 10))


def test_soft_weights_scale_the_update_and_not_only_the_gradient():
    """Weights (1, 0.3, 0) under a constant gradient: Adam moves lr per step, so 50 steps of 0.1 move 5, 1.5 and 0."""
    parameter = torch.nn.Parameter(torch.zeros(3, 1))
    optimizer, gate = torch.optim.Adam([parameter], lr=0.1), UpdateGate()
    gate.attach({"means": optimizer}, lambda: torch.tensor([1.0, 0.3, 0.0]))
    for _ in range(50):
        parameter.grad = torch.ones(3, 1)
        optimizer.step()
    torch.testing.assert_close(parameter.detach()[:, 0], torch.tensor([-5.0, -1.5, 0.0]), rtol=1e-4, atol=0)


@given(weights=st.lists(st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1, width=32)), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_one_step_moves_each_row_by_its_weight(weights):
    weights = torch.tensor(weights)
    parameter = torch.nn.Parameter(torch.randn(len(weights), 2, 3))
    optimizer, gate, before = torch.optim.SGD([parameter], lr=0.5), UpdateGate(), parameter.detach().clone()
    gate.attach({"features_rest": optimizer}, lambda: weights)
    parameter.grad = torch.randn_like(parameter)
    gradient = parameter.grad.clone()
    optimizer.step()
    moved = before - 0.5 * weights[:, None, None] * gradient
    torch.testing.assert_close(parameter.detach(), moved, rtol=1e-5, atol=1e-6)
    assert torch.equal(parameter.detach()[weights == 0], before[weights == 0])


def test_a_diverged_step_does_not_reach_protected_rows():
    params, optimizers = scene(8)
    weights, gate = torch.tensor([0.0, 1] * 4), UpdateGate()
    gate.attach(optimizers, lambda: weights)
    before = bits(params, weights == 0)
    for param, optimizer in zip(params.values(), optimizers.values()):
        param.grad = torch.full_like(param, float("nan"))
        optimizer.step()
    assert bits(params, weights == 0) == before


def test_the_gate_outlives_clone_split_and_prune():
    """gsplat's strategy replaces every Parameter; the weights ride in its state."""
    params, optimizers = scene(12)
    for _ in range(10):
        step(params, optimizers)
    state = {"edit_weights": (torch.arange(12) >= 6).float(), "label": torch.arange(12)}
    gate = UpdateGate()
    gate.attach(optimizers, lambda: state["edit_weights"])
    protected = [bits(params, index) for index in range(6)]

    def run_and_check() -> None:
        for _ in range(60):
            step(params, optimizers)
        assert len(params["means"]) == len(state["edit_weights"])
        for row in (state["edit_weights"] == 0).nonzero()[:, 0].tolist():
            assert bits(params, row) == protected[state["label"][row]]

    run_and_check()
    for operation, labels in (
        (strategy_ops.duplicate, [6, 9]),
        (strategy_ops.split, [7, 8]),
        (strategy_ops.remove, [10]),
    ):
        operation(params, optimizers, state, torch.isin(state["label"], torch.tensor(labels)))
        run_and_check()
    # 12 and two clones; two split into two each; one pruned.
    assert sorted(state["label"].tolist()) == [0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9, 9, 11]
    assert int((state["edit_weights"] == 0).sum()) == 6


def test_frozen_groups_and_detached_gates_are_left_alone():
    params, optimizers = scene(4)
    gate = UpdateGate()
    gate.attach(optimizers, lambda: torch.zeros(4))
    before = bits(params, slice(None))
    params["means"].grad = torch.ones(4, 3)
    for optimizer in optimizers.values():
        optimizer.step()
    assert bits(params, slice(None)) == before
    gate.detach()
    step(params, optimizers)
    assert all(a != b for a, b in zip(bits(params, slice(None)).values(), before.values()))
    gate.attach(optimizers, lambda: torch.zeros(4))


def test_what_cannot_be_gated_says_why():
    params, optimizers = scene(4)
    gate = UpdateGate()
    gate.attach(optimizers, lambda: torch.zeros(5))
    with pytest.raises(ValueError, match="weights for 5 Gaussians but a parameter of shape"):
        step(params, optimizers)
    with pytest.raises(ValueError, match="attached already"):
        gate.attach(optimizers, lambda: torch.zeros(4))


def test_weights_that_change_in_place_are_noticed():
    """Which rows are held is found once for each state of the weights, not once for each tensor."""
    params, optimizers = scene(6)
    weights, gate = torch.ones(6), UpdateGate()
    gate.attach(optimizers, lambda: weights)
    step(params, optimizers)
    weights[:3] = 0.0
    before = bits(params, slice(0, 3))
    step(params, optimizers)
    assert bits(params, slice(0, 3)) == before
