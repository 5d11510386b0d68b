"""When a GPU's memory does not suffice, fewer samples are computed at once, and the same comes of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_training import RED, same, settings, state, training

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.training import EditorTraining


def on_a_small_gpu(trained: EditorTraining, most: int, late: bool = False) -> EditorTraining:
    """Its networks run out of memory with more than `most` samples; late: the UNet's last step does, and nothing
    before it."""
    policy = trained.policy
    vae: Any = policy.editor.pipeline.vae

    def check(rows: torch.Tensor, is_late: bool) -> None:
        if len(rows) > most and late == is_late:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    def bounded(method):
        def call(rows, *arguments, **named):
            check(rows, False)
            return method(rows, *arguments, **named)

        return call

    vae.encode, vae.decode = bounded(vae.encode), bounded(vae.decode)
    last = policy.timesteps[-1]
    policy.unet.register_forward_pre_hook(lambda _, inputs: check(inputs[0], bool((inputs[1] == last).all())))
    return trained


LEASHED = {"kl_weight": 1.0, "leash": "object"}


@pytest.mark.parametrize(
    ("changes", "late"),
    [
        ({}, False),
        ({}, True),
        ({"reward": (RED, "attention=1"), "learning": LEASHED}, False),
        ({"reward": (RED, "attention=1"), "learning": LEASHED}, True),
        ({"method": "draft", "reward": ("inside=1",)}, False),
        ({"method": "draft", "reward": ("inside=1",)}, True),
        ({"method": "supervised"}, False),
    ],
    ids=str,
)
def test_what_ran_out_of_memory_ends_at_the_bits_of_what_began_with_small_batches(tmp_path, caplog, changes, late):
    """12 samples an epoch, 6 an update, of which 3 fit: a batch that ran out has left nothing behind."""
    changes = changes | {"learning": {"samples": 6, **changes.get("learning", {})}}
    small = training(tmp_path / "small", settings(batch=3, **changes))
    history = small.run()
    assert not caplog.records and history[-1]["gradient_norm"] > 0
    shrunk = on_a_small_gpu(training(tmp_path / "shrunk", settings(batch=16, **changes)), 3, late)
    again = shrunk.run()
    assert same(state(shrunk), state(small)) and shrunk.lora.read_bytes() == small.lora.read_bytes()
    facts = {"seconds": 0, "peak_memory_gib": 0}
    assert [record | facts for record in again] == [record | facts for record in history]
    # Reinforcement samples all 12 first, the others draw what an update needs.
    sizes = [6, 3] if shrunk.config.method == "ppo" else [3]
    assert [record.getMessage() for record in caplog.records] == [
        f"Out of GPU memory; going on with {size} samples at once" for size in sizes
    ]


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
