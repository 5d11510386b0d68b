"""What the panel says: what is done, what came of it, the object, the steps. Nothing that a user types is markup."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fasttext2style.history.steps import Step
from fasttext2style.live.progress import Steps
from fasttext2style.live.session import Status
from fasttext2style.live.texts import history_text, object_text, status_text
from fasttext2style.selection.selection import Selection
from fasttext2style.trust.text import in_panel

EDIT = Step(
    **{"id": 1, "name": "gold", "kind": "edit", "prompt": "gold", "settings": {}, "seed": 0, "seconds": 12.4},
    **{"metrics": {}, "created": "2026-01-01T00:00:00+00:00", "gaussians_changed": 12_345, "megabytes": 1.0},
    **{"folder": Path("nowhere/0001"), "strength": 1.0, "active": True},
)
OBJECT = replace(EDIT, kind="selection", name="2 clicks")


def _shown(text, of) -> str:
    """As the panel shows it: character references are characters."""
    return html.unescape(text(of))


# --- what is done ----------------------------------------------------------------------------------------------------


def test_a_session_that_has_nothing_to_do_says_how_to_begin_or_what_came_of_the_last_job():
    assert _shown(status_text, Status()) == "Ready. Click on an object, type what it should become, press Apply."
    assert _shown(status_text, Status(message="Done: gold.")) == "Done: gold."
    assert _shown(status_text, Status(message="No disk", failed=True)) == "**Error:** No disk"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (Steps(), "**Style: gold**"),
        (Steps(0, 200), "**Style: gold**: step 0 of 200"),
        (Steps(3, 20, "editing", 4.4), "**Style: gold**: editing 3 of 20, about 4 s left"),
        (Steps(20, 20, "step", 0.0), "**Style: gold**: step 20 of 20, about 0 s left"),
    ],
)
def test_a_job_says_how_far_it_is(steps, expected):
    assert _shown(status_text, Status("Style: gold", steps)) == expected
    waits = _shown(status_text, Status("Style: gold", steps, waiting=("Undo", "Save")))
    assert waits == f"{expected}  \nNext: Undo, Save"


# --- the object and the steps ----------------------------------------------------------------------------------------


def test_the_object_is_counted_and_named():
    weights = torch.zeros(4000)
    assert _shown(object_text, Selection(weights, "nothing")) == "**Nothing is selected.** Click on the object."
    weights[:1500] = 1.0
    assert _shown(object_text, Selection(weights, "2 clicks")) == "**1,500** of 4,000 Gaussians (2 clicks)"


def test_steps_are_listed_the_newest_first():
    assert _shown(history_text, []).startswith("Nothing has been done yet.")
    assert _shown(history_text, [OBJECT, replace(EDIT, id=2)]) == (
        "**2. gold**  \n12,345 Gaussians, 12 s\n\n1. *object:* 2 clicks"
    )


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"metrics": {"similarity_before": 0.123, "similarity_after": 0.456}}, ", similarity 0.12 → 0.46"),
        ({"metrics": {"psnr_inside": 21.26}}, ", 21.3 dB to the edited views"),
        ({"strength": 0.5}, ", strength 50%"),
    ],
    ids=["a style", "a round", "half strength"],
)
def test_a_step_tells_what_it_reached(changes, facts):
    assert _shown(history_text, [replace(EDIT, **changes)]) == f"**1. gold**  \n12,345 Gaussians, 12 s{facts}"


def test_what_is_not_in_force_is_struck_through():
    assert _shown(history_text, [replace(EDIT, active=False)]) == "~~**1. gold**~~  \nundone"
    assert _shown(history_text, [replace(EDIT, active=False, strength=0.0)]) == "~~**1. gold**~~  \ntaken out"
    assert _shown(history_text, [replace(OBJECT, active=False)]) == "~~1. *object:* 2 clicks~~"


def test_the_newest_four_edits_show_their_pictures(tmp_path):
    steps = [OBJECT]
    for number in range(2, 8):
        folder = tmp_path / f"{number:04d}"
        folder.mkdir()
        (folder / "thumbnail.png").write_bytes(b"a picture")
        steps.append(replace(EDIT, id=number, folder=folder))
    steps += [replace(OBJECT, id=8), replace(EDIT, id=9)]  # the last one kept no picture
    shown = re.findall(r"!\[(\d+)\]\(steps/(\d+)/thumbnail.png\)", _shown(history_text, steps))
    assert shown == [("7", "0007"), ("6", "0006"), ("5", "0005")]


def test_names_and_messages_are_plain():
    evil = "<b>{gold}*"
    for said in (
        status_text(Status(message=evil)),
        status_text(Status(evil, waiting=(evil,))),
        object_text(Selection(torch.ones(3), evil)),
        history_text([replace(EDIT, name=evil)]),
        history_text([replace(OBJECT, name=evil)]),
    ):
        assert in_panel(evil) in said and "<b>" not in said and "{gold}" not in said
