"""Rounds need no Gaussians: the same loop edits, keeps and resumes whatever renders, trains and can be set back."""

import torch

from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import KINDS, RoundsFolder
from fasttext2style.rounds.gaussian_subject import GaussianSubject
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.subject import Subject
from fasttext2style.rounds.tools import Tools
from tests.rounds.balls import ball_subject
from tests.rounds.editors import Painter
from tests.rounds.fields import Pictures

# Instruct-NeRF2NeRF: whole views, one at a time, photographs at first.
CONFIG = RoundsConfig(Schedule(rounds=3, steps=8, views=1, edit_every=2, choice="turn", train_on="dataset"))


def _rounds(folder) -> EditRounds:
    subject = Pictures()
    books = RoundsFolder(folder)
    return EditRounds(subject, subject.views(), Tools(Painter()), Task("make it red"), CONFIG, books)


def _run(rounds, steps=None):
    optimizers = {name: torch.optim.Adam([value], lr=0.05) for name, value in rounds.subject.parameters.items()}
    rounds.attach(optimizers)
    for _ in range(rounds.steps_left if steps is None else steps):
        rounds.begin_step()
        optimizers["colors"].zero_grad()
        sum(rounds.losses()[0].values()).backward()
        optimizers["colors"].step()
        rounds.end_step()
    return rounds


def test_both_are_subjects():
    assert isinstance(Pictures(), Subject) and isinstance(ball_subject(), GaussianSubject | Subject)


def test_views_of_a_field_turn_red_one_after_the_other_and_are_kept(tmp_path):
    rounds = _rounds(tmp_path)
    rounds.start()
    _run(rounds)
    edited = sorted(rounds.targets.edited_in)
    assert len(edited) == 10  # 12 edits, in turn
    now = rounds.subject.render(edited)
    assert (now[..., 0] - now[..., 1]).mean() > 0.2
    entry = rounds.folder.rounds()[3]
    assert all((entry.folder / kind).is_dir() for kind in KINDS) and (entry.folder / "note.txt").is_file()
    assert entry.manifest["metrics"]["trained"].keys() == {"inside", "outside"}


def test_a_resumed_field_ends_as_the_uninterrupted_one(tmp_path):
    whole, half = _rounds(tmp_path / "whole"), _rounds(tmp_path / "half")
    for rounds in (whole, half):
        rounds.start()
    _run(whole)
    _run(half, steps=11)
    resumed = _rounds(tmp_path / "half")
    resumed.resume()
    _run(resumed)
    assert torch.equal(resumed.subject.parameters["colors"], whole.subject.parameters["colors"])
    assert resumed.subject.seeds == whole.subject.seeds[-len(resumed.subject.seeds) :]
