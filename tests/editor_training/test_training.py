"""An editor learns what is rewarded, by its LoRA alone; interrupted and resumed it ends at the same bits."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_editor import random_policy, some_cases

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.draft import DraftLearner
from fasttext2style.editor_training.learning import Judge, sampled_edits
from fasttext2style.editor_training.page import write_training_page
from fasttext2style.editor_training.policy import derived_seed
from fasttext2style.editor_training.ppo import group_advantages
from fasttext2style.editor_training.reinforcement import PpoLearner
from fasttext2style.editor_training.rewards import Edits, Reward
from fasttext2style.editor_training.settings import LearningConfig, TrainingConfig
from fasttext2style.editor_training.training import EditorTraining
from fasttext2style.editor_training.tuning import tune
from tests.full_disk import IS_FULL, full_disk
from tests.history.test_two_writers import HOLDER, _holding

RED = "test_training:redness=1"


def redness(edits: Edits) -> torch.Tensor:
    """How much redder the picture became than it is green and blue; a reward of somebody's own."""
    red, green, blue = (edits.edited - edits.images).mean((1, 2)).unbind(1)
    return red - (green + blue) / 2


def quick_policy(seed: int = 0):
    """One branch, and few weights: what is learned shows after few samples."""
    return random_policy(seed=seed, targets=("conv_out",), guidance=1.0, image_guidance=1.0)


def settings(**changes) -> TrainingConfig:
    learning = {"groups": 2, "samples": 3, "learning_rate": 1e-2, **changes.pop("learning", {})}
    defaults = {"epochs": 2, "reward": (RED,), "measure_every": 1}
    return TrainingConfig(**{**defaults, **changes}, learning=LearningConfig(**learning))


def training(folder: Path, config: TrainingConfig) -> EditorTraining:
    cases = some_cases(5)
    return EditorTraining(quick_policy(config.seed), cases.select([0, 1, 2]), cases.select([3, 4]), config, folder)


def state(training: EditorTraining) -> dict[str, torch.Tensor]:
    return torch.load(training.checkpoint, weights_only=True)["lora"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_a_random_network_learns_what_is_rewarded(tmp_path):
    """On cases that it never saw, by thrice as much as samples of one case differ. The reward is only ever called."""
    learning = {"groups": 1, "samples": 16, "updates": 1, "learning_rate": 3e-2}
    history = training(tmp_path, settings(epochs=8, learning=learning, measure_every=8)).run()
    before, after = (history[epoch]["held_out"]["reward"] for epoch in (0, -1))
    assert after - before > 3 * history[1]["spread_in_groups"]


def test_the_gradient_by_samples_points_where_the_rewards_own_gradient_points():
    """Williams 1992: it is the gradient of the expected reward. Beside it, backpropagation through all steps with the
    same noise. Of 592 weights: by chance the cosine were 0.04."""
    policy, case = quick_policy(), some_cases(1)
    judge, config, samples = Judge(Reward(("inside=1",))), LearningConfig(draft_steps=9), 48
    optimizer, batches = torch.optim.SGD(policy.parameters), Batches(samples)
    sampled = case.select([0] * samples)
    rollouts, parts = sampled_edits(policy, sampled, judge, list(range(samples)), None, batches)
    advantages = group_advantages(parts["inside"][None])[0]
    learner = PpoLearner(policy, case, judge, config, optimizer, batches, 0)
    learner._accumulate(list(range(samples)), samples, sampled, rollouts, advantages)
    by_samples = torch.cat([parameter.grad.flatten() for parameter in policy.parameters])
    optimizer.zero_grad()
    exact = DraftLearner(policy, case, judge, config, optimizer, batches, 0)
    exact._accumulate(list(range(samples)), samples, torch.zeros(samples, dtype=torch.long), 0)
    own = torch.cat([parameter.grad.flatten() for parameter in policy.parameters])
    assert torch.cosine_similarity(by_samples, own, dim=0) > 0.3


def test_credit_by_place_points_better_where_the_rewards_own_gradient_points():
    """Of the same samples: less of what other places did is in it."""
    policy, case = quick_policy(), some_cases(1)
    judge, samples = Judge(Reward(("outside=-1",))), 24
    optimizer, batches = torch.optim.SGD(policy.parameters), Batches(samples)
    sampled = case.select([0] * samples)
    rollouts, parts = sampled_edits(policy, sampled, judge, list(range(samples)), None, batches)

    def gradient(learner, *arguments) -> torch.Tensor:
        optimizer.zero_grad()
        learner._accumulate(list(range(samples)), samples, *arguments)
        return torch.cat([parameter.grad.flatten() for parameter in policy.parameters])

    exact = DraftLearner(policy, case, judge, LearningConfig(draft_steps=9), optimizer, batches, 0)
    own, cosines = gradient(exact, torch.zeros(samples, dtype=torch.long), 0), {}
    for credit in ("sample", "place"):
        learner = PpoLearner(policy, case, judge, LearningConfig(credit=credit, samples=samples), optimizer, batches, 0)
        advantages = learner._advantages(judge.reward.total(parts), sampled, rollouts)
        found = gradient(learner, sampled, rollouts, advantages)
        cosines[credit] = float(torch.cosine_similarity(found, own, dim=0))
    assert cosines["place"] > max(cosines["sample"], 0.3), cosines


def test_what_was_measured_is_what_the_file_does(tmp_path):
    """In an editor that knows nothing but the file, of a LoRA on attention and convolutions."""
    config = settings(epochs=2, learning={"learning_rate": 1e-1})
    cases, policy = some_cases(5), random_policy()
    trained = EditorTraining(policy, cases.select([0, 1, 2]), cases.select([3, 4]), config, tmp_path)
    before = trained.measure()[1].edited
    trained.run()
    measured = trained.measure()[1].edited
    loaded = random_policy(rank=0)
    loaded.editor.pipeline.load_lora_weights(str(trained.lora))
    seeds = [derived_seed(config.seed, number, 7) for number in range(2)]
    edited = loaded.rollouts(trained.held_out, seeds, eta=0.0).edited
    assert (measured - before).abs().mean() > 0.01
    torch.testing.assert_close(edited, measured, rtol=0, atol=1e-5)


def test_only_the_lora_learns(tmp_path):
    trained = training(tmp_path, settings(epochs=1))
    frozen = {name: value.clone() for name, value in trained.policy.unet.state_dict().items() if "lora" not in name}
    before = {name: value.clone() for name, value in trained.policy.unet.state_dict().items() if "lora" in name}
    trained.run()
    now = trained.policy.unet.state_dict()
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
    assert any(not torch.equal(now[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    "method",
    ["ppo", *(pytest.param(other, marks=pytest.mark.slow) for other in ("draft", "supervised"))],
)
def test_a_resumed_training_ends_at_the_bits_of_an_uninterrupted_one(tmp_path, method):
    reward = ("inside=1",) if method == "draft" else (RED,)
    learning = {"advantages": "prompt"}
    whole = training(tmp_path / "whole", settings(method=method, reward=reward, learning=learning))
    history = whole.run()
    part = training(tmp_path / "part", settings(method=method, reward=reward, learning=learning, epochs=1))
    part.run()
    assert not same(state(part), state(whole))
    resumed = training(tmp_path / "part", settings(method=method, reward=reward, learning=learning))
    resumed.resume()
    assert resumed.history == json.loads(json.dumps(part.history))
    again = resumed.run()
    assert same(state(resumed), state(whole))
    assert resumed.lora.read_bytes() == whole.lora.read_bytes()
    assert [record["held_out"]["reward"] for record in again] == [record["held_out"]["reward"] for record in history]


@pytest.mark.slow
def test_another_seed_gives_another_lora(tmp_path):
    one, other = (training(tmp_path / str(seed), settings(epochs=1, seed=seed)) for seed in (0, 1))
    one.run(), other.run()
    assert not same(state(one), state(other))


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"batch": 3}, {"checkpointing": True}])
def test_how_much_fits_into_the_memory_does_not_change_what_is_learned(tmp_path, changes):
    """But for the last digits of sums."""
    usual, leaner = training(tmp_path / "a", settings()), training(tmp_path / "b", settings(**changes))
    usual.run(), leaner.run()
    start = state(training_at_start(tmp_path / "c"))
    moved = sum(float((state(usual)[name] - start[name]).square().sum()) for name in start) ** 0.5
    apart = sum(float((state(usual)[name] - state(leaner)[name]).square().sum()) for name in start) ** 0.5
    assert apart < 0.02 * moved, (apart, moved)


def training_at_start(folder: Path) -> EditorTraining:
    untrained = training(folder, settings())
    untrained._finish({"epoch": 0, "seconds": 0.0}, None)
    return untrained


def test_the_gradient_of_a_reward_that_has_one_learns_faster_than_samples(tmp_path):
    """What reinforcement has to be compared with, on the same reward and as many samples."""
    gains = {}
    for method in ("ppo", "draft"):
        config = settings(method=method, reward=("inside=1",), measure_every=2)
        history = training(tmp_path / method, config).run()
        gains[method] = history[-1]["held_out"]["reward"] - history[0]["held_out"]["reward"]
    assert gains["draft"] > max(gains["ppo"], 0), gains


def test_targets_are_learned_by_the_supervised_lora(tmp_path):
    config = settings(epochs=6, method="supervised", measure_every=6, learning={"groups": 4, "samples": 6})
    history = training(tmp_path, config).run()
    assert history[-1]["reward"] > history[1]["reward"]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": "{"},
        {"settings": 5},
        {"history": "[]"},
        {"history": '{"epoch": 1}'},
        {"history": '[{"epoch": "two"}]'},
        {"history": "[" * 100_000},
        {"lora": [1]},
        {"lora": {}},
        {"optimizer": {"state": 1}},
        {"learner": None},
        *[{name: None} for name in ("settings", "history", "lora", "optimizer")],
    ],
    ids=str,
)
def test_a_damaged_checkpoint_is_refused_by_name_and_nothing_of_it_is_taken_up(one_epoch, tmp_path, change):
    again = training(tmp_path, settings(epochs=2))
    kept = torch.load(one_epoch / "checkpoint.pt", weights_only=True) | change
    torch.save(
        {name: value for name, value in kept.items() if value is not None or name == "learner"}, again.checkpoint
    )
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged .*start anew without --resume") as refused:
        again.resume()
    assert len(str(refused.value).splitlines()) == 1 and not again.history


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one epoch")
    training(folder, settings(epochs=1)).run()
    return folder


@pytest.mark.slow
def test_a_training_that_finds_the_disk_full_keeps_its_last_epoch_and_goes_on_to_the_same_end(one_epoch, tmp_path):
    """LoRA and checkpoint of the second epoch; how much either writes is the same each time."""
    whole = training(tmp_path / "whole", settings())
    whole.run()
    shutil.copytree(one_epoch, tmp_path / "counted")
    counted = training(tmp_path / "counted", settings())
    counted.resume()
    with full_disk(tmp_path / "counted") as used:
        counted.run()
    for number, moment in enumerate([{"calls": used.calls // 3}, {"bytes": 1}, {"bytes": used.bytes // 2}]):
        shutil.copytree(one_epoch, folder := tmp_path / str(number))
        cut_short = training(folder, settings())
        cut_short.resume()
        with full_disk(folder, **moment), pytest.raises(OSError, match=IS_FULL):
            cut_short.run()
        assert [record["epoch"] for record in cut_short.history] == [0, 1], "what is said of it is what is kept"
        again = training(folder, settings())
        again.resume()
        again.run()
        assert same(state(again), state(whole)) and again.lora.read_bytes() == whole.lora.read_bytes()
        assert {path.name for path in folder.iterdir()} == {"lora.safetensors", "checkpoint.pt", "training.json"}


def test_a_second_training_in_the_same_folder_is_told_who_the_first_is_and_leaves_nothing(tmp_path):
    with _holding(HOLDER, tmp_path) as other, pytest.raises(ValueError, match=f"process {other.pid}"):
        tune(quick_policy(), some_cases(5), settings(), tmp_path, None, resumes=False)
    assert {path.name for path in tmp_path.iterdir()} <= {".lock", ".lock.json"}


def test_names_of_rewards_and_editors_are_text_in_the_page(tmp_path):
    evil = "<script>alert(1)</script>\" onload='x'"
    records = [{"epoch": 0, "reward": 1.0, "parts": {evil: 0.5}, "held_out": {"reward": 1.0, "parts": {evil: 0.5}}}]
    write_training_page(tmp_path / "index.html", evil, evil, records)
    page = (tmp_path / "index.html").read_text()
    assert "<script" not in page and "onload='" not in page and page.count("&lt;script&gt;") >= 4


calls = 0


def spoilt_later(edits: Edits) -> torch.Tensor:
    """NaN from its fourth call on: before training, epoch 1, its measurement, epoch 2."""
    global calls
    calls += 1
    return redness(edits) * (float("nan") if calls > 3 else 1.0)


def test_a_reward_that_becomes_nan_stops_the_training_and_the_last_good_lora_stays(tmp_path):
    global calls
    calls = 0
    spoilt = training(tmp_path, settings(reward=("test_training:spoilt_later=1",)))
    with pytest.raises(ValueError, match="reward test_training:spoilt_later is NaN"):
        spoilt.run()
    good = training(tmp_path / "good", settings(epochs=1))
    good.run()
    assert spoilt.history[-1]["epoch"] == 1
    assert same(state(spoilt), state(good))
    assert spoilt.lora.read_bytes() == good.lora.read_bytes()


def test_ctrl_c_keeps_the_last_epoch(tmp_path):
    interrupted = training(tmp_path, settings())

    def interrupt(record, rollouts):
        if record["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.run(interrupt)
    resumed = training(tmp_path, settings())
    resumed.resume()
    assert resumed.history[-1]["epoch"] == 1
    assert [record["epoch"] for record in resumed.run()] == [0, 1, 2]


def test_another_training_is_not_resumed(tmp_path):
    training(tmp_path, settings(epochs=1)).run()
    with pytest.raises(ValueError, match=r"other settings \(learning, seed\)"):
        training(tmp_path, settings(seed=3, learning={"samples": 6})).resume()
    with pytest.raises(ValueError, match="no training to resume"):
        training(tmp_path / "nothing", settings()).resume()
    (tmp_path / "checkpoint.pt").write_bytes(b"PK not a checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint.pt is damaged"):
        training(tmp_path, settings()).resume()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": ("gold=1",)}, "There is no reward 'gold'"),
        ({"reward": ("outside=much",)}, "NAME=WEIGHT"),
        ({"reward": ()}, "No reward was given"),
        ({"reward": ("outside=0",)}, "No reward was given"),
        ({"reward": ("outside=nan",)}, "weight is a number"),
        ({"reward": ("test_training:nothing",)}, "cannot be imported"),
        ({"reward": ("text=1",)}, "needs an encoder"),
        ({"epochs": 0}, "epochs is 1 or more"),
        ({"learning": {"samples": 1}}, "2 or more"),
        ({"learning": {"clip": 0.0}}, "above 0"),
        ({"method": "draft", "reward": ("attention=1",)}, "gradient of the reward"),
        ({"held_out": 0.9}, "held_out is a share"),
        ({"tau": -1.0}, "tau is 0 or more"),
        ({"reward": ("outside=-1", RED), "learning": {"credit": "place"}}, "means over pixels .*redness is none"),
        ({"learning": {"credit": "place", "advantages": "prompt"}}, "take advantages group"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        training(tmp_path, settings(**changes))


def test_an_instruction_that_says_nothing_is_refused_before_anything_is_sampled(tmp_path):
    """Of any case: not when its turn comes."""
    cases = replace(some_cases(3), instructions=("make it red", "make it blue", "make it so"))
    for trained_on, held_out in ((cases, some_cases(2)), (some_cases(2), cases)):
        with pytest.raises(ValueError, match="'make it so' has no content words"):
            EditorTraining(quick_policy(), trained_on, held_out, settings(), tmp_path)


def test_supervised_needs_targets(tmp_path):
    with pytest.raises(ValueError, match="learns from targets"):
        cases = replace(some_cases(3), targets=None)
        EditorTraining(random_policy(), cases, cases, settings(method="supervised"), tmp_path)
