"""What the panel says: what is done, what came of it, the object, the steps. Nothing that a user types is markup."""

import base64
import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from fasttext2style.history.steps import Step
from fasttext2style.live.progress import Steps
from fasttext2style.live.session import Status
from fasttext2style.live.texts import (
    colors_text,
    count_text,
    edit_text,
    exports_text,
    object_text,
    save_text,
    selections_text,
    status_text,
)
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
        (Steps(3, 20, "editing", 4.4), "**Style: gold**: editing 15%, about 4 s left"),
        (Steps(20, 20, "step", 0.0), "**Style: gold**: step 20 of 20, about 0 s left"),
    ],
)
def test_a_job_says_how_far_it_is(steps, expected):
    assert _shown(status_text, Status("Style: gold", steps)) == expected
    assert _shown(status_text, Status("Style: gold", steps, paused=True)) == f"{expected}, **paused**"
    waits = _shown(status_text, Status("Style: gold", steps, waiting=("Undo", "Save")))
    assert waits == f"{expected}  \nNext: Undo, Save"


# --- the object and the steps ----------------------------------------------------------------------------------------


def test_the_object_is_counted_and_named():
    weights = torch.zeros(4000)
    assert _shown(object_text, Selection(weights, "nothing")) == "**Nothing is selected.** Click on the object."
    weights[:1500] = 1.0
    bear = Selection(weights, "the grey thing and its base")
    said = "**Selected:** the grey thing and its base. Shift adds, Alt takes away."
    assert _shown(object_text, bear) == said
    assert _shown(lambda it: object_text(it, "bear", b"a picture"), bear).endswith(
        "**Selected:** bear. Shift adds, Alt takes away."
    )
    assert base64.b64encode(b"a picture").decode() in object_text(bear, "bear", b"a picture")
    assert count_text(bear) == "1,500 of 4,000 splats are selected, 37.5%."


def test_colors_and_exports_say_and_show_of_what():
    nothing, half = Selection(torch.zeros(8), "nothing"), Selection(torch.arange(8) % 2.0, "a click")
    shown, name = {"picture": b"a picture"}, "ball"
    picture = f'base64,{base64.b64encode(b"a picture").decode()}"'
    for said in (colors_text(nothing), exports_text(nothing)):
        assert html.unescape(said).startswith("**Nothing is selected.** Click on the object.")
    for said, expected in (
        (colors_text(half, name, **shown), "Colors of **ball**."),
        (colors_text(half, **shown), "Colors of **a click**."),
        (exports_text(half, name, **shown), "The selection is **ball**."),
        (
            exports_text(half, name, **shown, hidden=("crate", "bear")),
            "The selection is **ball**.  \nHidden, and left out: crate, bear.",
        ),
    ):
        assert picture in said and html.unescape(said).endswith(expected)


def test_the_button_that_starts_an_edit_is_named():
    assert status_text(Status(), "Next round").endswith("press Next round.")


def test_selections_are_listed_the_newest_first_and_undone_ones_are_struck_through():
    assert selections_text([EDIT]) == "None yet."
    later = replace(OBJECT, id=3, name="added a click", created="2026-01-01T12:34:56+00:00", active=False)
    expected = "~~12:34 added a click~~  \n00:00 2 clicks"
    assert html.unescape(selections_text([OBJECT, EDIT, later])) == expected


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({}, "00:00, took 12 s"),
        ({"settings": {"round": 3}}, "00:00, round 3, took 12 s"),
        ({"strength": 0.0, "active": False}, "**off**, 00:00, took 12 s"),
        ({"seconds": 0.0}, "00:00"),
    ],
    ids=["a style", "a round", "switched off", "at once"],
)
def test_an_edit_says_what_it_was_and_when(changes, facts):
    assert _shown(edit_text, replace(EDIT, **changes)) == f"**gold**  \n{facts}"


def test_an_edit_has_its_sentence_and_its_picture(tmp_path):
    Image.new("RGB", (96, 96)).save(tmp_path / "thumbnail.png")
    said = edit_text(replace(EDIT, name="short", prompt="a long sentence", folder=tmp_path))
    (data,) = re.findall(r'<img src="data:image/png;base64,([^"]*)"', said)
    assert base64.b64decode(data) == (tmp_path / "thumbnail.png").read_bytes() and "a long sentence" in html.unescape(
        said
    )


def test_a_run_says_how_it_is_opened_again_and_what_nerfstudio_takes(tmp_path):
    folder = tmp_path / "my run"
    folder.mkdir()
    for config in (False, True):
        if config:
            (folder / "config.yml").touch()
        said = _shown(save_text, folder).replace("\u2060", "")
        assert f"ft2s live '{folder}'" in said and ("ns-viewer" in said) == config
    assert f"ns-viewer --load-config '{folder / 'config.yml'}'" in said


def test_names_and_messages_are_plain():
    evil = "<b>{gold}*"
    for said in (
        status_text(Status(message=evil)),
        status_text(Status(evil, waiting=(evil,))),
        object_text(Selection(torch.ones(3), evil)),
        object_text(Selection(torch.ones(3), ""), evil),
        colors_text(Selection(torch.ones(3), ""), evil),
        exports_text(Selection(torch.ones(3), ""), hidden=[evil]),
        exports_text(Selection(torch.ones(3), ""), evil),
        edit_text(replace(EDIT, name=evil, prompt="")),
        edit_text(replace(EDIT, prompt=evil)),
        selections_text([replace(OBJECT, name=evil)]),
    ):
        assert in_panel(evil) in said and "<b>" not in said and "{gold}" not in said
