"""When a GPU's memory does not suffice, fewer samples are computed at once, and the same comes of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from test_training import RED, same, settings, state, training

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.reinforcement import PpoLearner
from fasttext2style.editor_training.training import EditorTraining


def on_a_small_gpu(trained: EditorTraining, most: int, moment: str = "first") -> EditorTraining:
    """Its networks run out of memory with more than `most` samples: at once ("first"), in the UNet's last step
    ("late"), there with gradients only ("learning"), or in the network without its LoRA ("reference")."""
    policy = trained.policy
    vae: Any = policy.editor.pipeline.vae

    def bounded(method):
        def call(rows, *arguments, **named):
            check(rows, moment == "first")
            return method(rows, *arguments, **named)

        return call

    def check(rows: torch.Tensor, now: bool) -> None:
        if now and len(rows) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    def before(unet, inputs) -> None:
        is_last = bool((inputs[1] == policy.timesteps[-1]).all())
        now = {"first": True, "late": is_last, "learning": is_last and torch.is_grad_enabled()}
        check(inputs[0], (now | {"reference": unet.conv_out.disable_adapters})[moment])

    vae.encode, vae.decode = bounded(vae.encode), bounded(vae.decode)
    policy.unet.register_forward_pre_hook(before)
    return trained


LEASHED = {"kl_weight": 1.0, "leash": "object"}


@pytest.mark.parametrize(
    ("changes", "moment", "sizes"),
    [
        # Reinforcement samples all 12 first, the others draw what an update needs.
        ({}, "first", [6, 3]),
        ({"reward": (RED, "attention=1"), "learning": LEASHED}, "late", [6, 3]),
        ({"method": "draft", "reward": ("inside=1",)}, "first", [3]),
        ({"method": "draft", "reward": ("inside=1",)}, "learning", [3]),
        ({"method": "supervised"}, "first", [3]),
    ],
    ids=str,
)
def test_what_ran_out_of_memory_ends_at_the_bits_of_small_batches(tmp_path, caplog, changes, moment, sizes):
    """12 samples an epoch, 6 an update, of which 3 fit: a batch that ran out has left nothing behind."""
    changes = changes | {"learning": {"samples": 6, **changes.get("learning", {})}}
    small = training(tmp_path / "small", settings(batch=3, **changes))
    history = small.run()
    assert not caplog.records and history[-1]["gradient_norm"] > 0
    shrunk = on_a_small_gpu(training(tmp_path / "shrunk", settings(batch=16, **changes)), 3, moment)
    again = shrunk.run()
    assert same(state(shrunk), state(small)) and shrunk.lora.read_bytes() == small.lora.read_bytes()
    facts = {"seconds": 0, "peak_memory_gib": 0}
    assert [record | facts for record in again] == [record | facts for record in history]
    assert [record.getMessage() for record in caplog.records] == [
        f"Out of GPU memory; going on with {size} samples at once" for size in sizes
    ]


@pytest.mark.parametrize("moment", ["learning", "reference"])
def test_gradients_that_run_out_of_memory_are_those_of_small_batches(tmp_path, moment):
    """Sampling takes less than learning does: all are sampled at once here, and learned from by threes."""
    found = []
    for name, batch in (("small", 3), ("shrunk", 16)):
        trained = training(tmp_path / name, settings(learning=LEASHED))
        for parameter in trained.policy.parameters:  # else the leash does not pull yet
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
        cases = trained.cases.select([0] * 6)
        rollouts = trained.policy.rollouts(cases, range(6))
        if name == "shrunk":
            on_a_small_gpu(trained, 3, moment)
        batches, learner = Batches(batch), trained.learner
        assert isinstance(learner, PpoLearner)
        work = partial(
            learner._accumulate, total=6, cases=cases, rollouts=rollouts, advantages=torch.linspace(-1, 1, 6)
        )
        told = batches.each(range(6), work)
        assert batches.size == 3
        found.append((told, [parameter.grad for parameter in trained.policy.parameters]))
    (small_told, small), (shrunk_told, shrunk) = found
    assert small_told == shrunk_told and all(map(torch.equal, small, shrunk))


def test_one_sample_that_does_not_fit_is_an_error_in_words_and_the_last_epoch_stays(tmp_path):
    whole = training(tmp_path / "whole", settings(epochs=1))
    whole.run()
    cut_short = training(tmp_path / "cut", settings())

    def shrink(record, rollouts):
        if record["epoch"] == 1:
            on_a_small_gpu(cut_short, 0)

    with pytest.raises(ValueError, match=r"memory does not suffice for one sample: set --checkpointing True") as told:
        cut_short.run(shrink)
    assert len(str(told.value).splitlines()) == 1
    assert cut_short.history[-1]["epoch"] == 1 and same(state(cut_short), state(whole))
    assert cut_short.lora.read_bytes() == whole.lora.read_bytes()


def test_a_first_sample_that_does_not_fit_is_an_error_in_words(tmp_path):
    """Nothing is computed where it would not be caught."""
    with pytest.raises(ValueError, match="memory does not suffice for one sample"):
        on_a_small_gpu(training(tmp_path, settings()), 0).run()


def test_rows_come_once_each_and_in_order_while_batches_shrink(caplog):
    """Memory that others take meanwhile: a batch that fitted does so no more, and stays small."""
    most, tried = 5, []

    def work(some: list[int]) -> list[int]:
        nonlocal most
        tried.append(len(some))
        if len(some) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        most = 2
        return some

    batches = Batches(16)
    assert [row for some in batches.each(range(11), work) for row in some] == list(range(11))
    assert tried == [11, 5, 5, 2, 2, 2] and batches.size == 2
    assert batches.each([7, 8, 9], work) == [[7, 8], [9]]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


def test_another_error_is_not_taken_for_a_lack_of_memory(caplog):
    def work(some: list[int]) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        Batches(4).each(range(4), work)
    assert not caplog.records
