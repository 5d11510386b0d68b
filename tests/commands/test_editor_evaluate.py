"""Editors are measured on pictures that they were not trained on; where there are none, that is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fasttext2style.commands.editor import Evaluate, OnData, Train
from fasttext2style.editor_training.cases import split_cases
from fasttext2style.editor_training.settings import LearningConfig, SamplingConfig, ToyConfig, TrainingConfig
from fasttext2style.editor_training.toy_cases import toy_cases
from fasttext2style.editor_training.trained_on import pictures_of

TOY = ToyConfig(cases=8, size=32)
SAMPLING = SamplingConfig(steps=2)


@pytest.fixture(scope="module")
def lora(tmp_path_factory) -> Path:
    """Of eight pictures 1.3 and 1.7 were held out."""
    folder = tmp_path_factory.mktemp("trainings") / "quarter"
    learning = LearningConfig(groups=1, samples=2, updates=1)
    config = TrainingConfig(epochs=1, reward=("outside=-1",), rank=1, sampling=SAMPLING, learning=learning)
    Train("toy", editor="tiny", encoder="", toy=TOY, output=folder, training=config).run()
    return folder / "lora.safetensors"


@pytest.fixture(scope="module")
def half(lora) -> Path:
    """As of another training, that held out 1.1, 1.3, 1.5 and 1.7."""
    folder = shutil.copytree(lora.parent, lora.parent.with_name("half"))
    book = json.loads((folder / "training.json").read_text())
    trained, _ = split_cases(toy_cases(8, 1, 32), 0.5)
    (folder / "training.json").write_text(json.dumps(book | {"trained_on": pictures_of(trained)}))
    return folder / lora.name


def evaluated(folder: Path, *loras: Path, toy: ToyConfig = TOY, **settings) -> tuple[dict, str]:
    """comparison.json and comparison.md."""
    Evaluate("toy", editor="tiny", encoder="", toy=toy, lora=loras, output=folder, sampling=SAMPLING, **settings).run()
    return json.loads((folder / "comparison.json").read_text()), (folder / "comparison.md").read_text()


def test_an_editor_is_measured_on_what_its_training_held_out(lora, tmp_path, capsys):
    report, table = evaluated(tmp_path, lora)
    before, held_out = split_cases(toy_cases(8, 1, 32), 0.25)
    assert set(json.loads((lora.parent / "training.json").read_text())["trained_on"]) == set(before.names)
    assert report["names"] == list(held_out.names) and report["cases"] == 2 and report["left_out"] == 6
    assert report["trained_on"] == {"quarter/lora.safetensors": 0}
    for text in (table, capsys.readouterr().out):
        assert "Measured are 2 of 8 cases; a LoRA of the table was trained on the others." in text
        assert "quarter/lora.safetensors was trained on none of the 2 cases measured." in " ".join(text.split())


def test_several_editors_are_measured_on_what_none_of_them_is_known_to_have_had(lora, half, tmp_path):
    """Of one without a training.json it is said that nobody knows."""
    (tmp_path / "bare").mkdir()
    bare = Path(shutil.copy(lora, tmp_path / "bare"))
    report, table = evaluated(tmp_path, lora, half, bare)
    assert report["names"] == ["1.3", "1.7"] and list(report["trained_on"].values()) == [0, 0, None]
    assert "What bare/lora.safetensors was trained on is not known: no training.json beside it says so." in table


def test_where_nothing_is_left_all_is_measured_and_who_was_trained_on_it_is_said(lora, half, tmp_path):
    """The first two of eight pictures: one editor was trained on both, the other on one of them."""
    report, table = evaluated(tmp_path, lora, half, at_most=2)
    assert report["names"] == ["1.0", "1.1"] and report["left_out"] == 0
    assert report["trained_on"] == {"quarter/lora.safetensors": 2, "half/lora.safetensors": 1}
    assert "quarter/lora.safetensors was trained on 2 of the 2 cases measured" in table
    assert "half/lora.safetensors was trained on 1 of the 2 cases measured" in table


# --- how many ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cases", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_toy_has_as_many_cases_as_it_was_told(tmp_path, cases):
    """And at most so many as are asked for."""
    toy = ToyConfig(cases=cases, size=16)
    report, table = evaluated(tmp_path, toy=toy, batch=25)
    assert report["cases"] == cases and report["trained_on"] == {} and "trained" not in table
    for at_most, count in ((0, cases), (1, 1), (cases, cases), (cases + 2, cases)):
        assert len(OnData("toy", toy=toy).cases(16, at_most)) == count


def test_less_than_none_is_refused():
    with pytest.raises(ValueError, match="--at-most is 1 or more, or 0 for the usual number; got -1"):
        OnData("toy").cases(16, -1)
