"""A person's way through a live session, in a real browser: point, type, watch, compare, undo, keep.

The tests of this file share one session and go on where the one before ended. Screenshots: build/screenshots.
"""

import re

import numpy as np
import pytest

from fasttext2style.history.history import History
from tests.browser.live_page import LivePage, difference

pytestmark = pytest.mark.browser

METHOD = ["fasttext2style", "--encoder", "tiny"]
BEAR, BALL, SKY = (0.505, 0.47), (0.08, 0.67), (0.5, 0.1)
"""Where they are seen at the start, in shares of the picture's width and height."""


def test_dragging_turns_the_view_and_selects_nothing(page):
    page.keep("1_open")
    original = page.settled()
    for tool in ("color", "click", "look around", "click"):
        page.choose("Mouse", tool)
        page.drag_scene(*SKY, 0.7, 0.15)
        assert difference(page.settled(), original) > 5
        page.drag_scene(0.7, 0.15, *SKY)
        page.becomes(original, 0.2)
    assert page.says("Nothing is selected.")


def test_what_was_added_by_mistake_is_taken_away_by_the_same_click(page):
    """And all of it is undone by Ctrl+Z."""
    original = page.settled()
    page.click_scene(*BEAR)
    page.wait_for_text("a click, ", 60)
    alone = page.settled()
    page.click_scene(*BALL)
    page.wait_for_text("added a click, ", 60)
    assert difference(page.settled(), alone) > 0.3
    page.page.keyboard.down("Alt")
    page.page.wait_for_timeout(200)
    page.click_scene(*BALL)
    page.page.keyboard.up("Alt")
    page.wait_for_text("took away a click, ", 60)
    page.becomes(alone, 0.1)
    for _ in range(3):
        page.page.keyboard.press("Control+z")
        page.page.wait_for_timeout(1000)
    page.wait_for_text("Nothing is selected.", 60)
    page.becomes(original, 0.1)


def test_a_brush_paints_the_selection_and_takes_it_away(page):
    original = page.settled()
    page.page.keyboard.press("b")
    page.wait_for(lambda: page.page.evaluate("window.ft2sState.tool") == "brush", 10, "the brush")
    page.drag_scene(0.45, 0.45, 0.55, 0.5)
    page.wait_for_text("the brush, ", 60)
    assert difference(page.settled(), original) > 0.5
    page.page.keyboard.down("Alt")
    page.drag_scene(0.45, 0.45, 0.55, 0.5)
    page.page.keyboard.up("Alt")
    page.wait_for_text("Nothing is selected.", 60)
    page.page.keyboard.press("c")
    page.wait_for(lambda: page.page.evaluate("window.ft2sState.tool") == "click", 10, "the click")


def test_point_type_watch_undo(page):
    page.press("Apply")
    page.wait_for_text("There is no sentence", 60)
    page.type("Sentence", "a bear made of gold")
    page.press("Apply")
    page.wait_for_text("Nothing is selected yet", 60)
    original = page.settled()

    page.click_scene(*BEAR)
    page.wait_for_text("a click, ", 60)
    highlighted = page.settled()
    page.keep("2_selected")
    assert difference(highlighted, original) > 0.5

    page.choose("Quality", "quick")
    page.enter("Sentence")
    seconds = page.wait_for(lambda: difference(page.picture(), highlighted) > 1.0, 60, "a first visible change")
    print(f"first visible change after {seconds:.1f} s")
    page.keep("3_working")
    page.wait_for_text("Done: a bear made of gold", 120)
    golden = page.settled()
    page.keep("4_done")
    red, green, blue = (golden - original).reshape(-1, 3)[np.abs(golden - original).mean(axis=2).ravel() > 30].mean(0)
    assert red > blue + 30 and green > blue, (red, green, blue)

    page.choose("Show", "after | before")
    both = page.settled()
    page.keep("5_after_and_before")
    left, right = slice(0, both.shape[1] // 2 - 10), slice(both.shape[1] // 2 + 10, None)
    assert difference(both[:, left], golden[:, left]) < 0.3 * difference(both[:, left], original[:, left])
    assert difference(both[:, right], original[:, right]) < 0.3 * difference(both[:, right], golden[:, right])
    page.choose("Show", "after")

    page.press("Undo")
    page.wait_for_text("Undone: a bear made of gold", 60)
    page.becomes(highlighted, 0.2)
    _press_until(page, "Undo", "There is nothing to undo")
    undone = page.settled()
    page.keep("6_undone")
    assert difference(undone, original) < 0.3 * difference(highlighted, original)


def _press_until(page: LivePage, button: str, text: str) -> None:
    """Press a button again and again, each time after what it did was said."""
    for _ in range(10):
        page.press(button)
        page.page.wait_for_timeout(1000)
        page.wait_for(lambda: not page.says("Stop"), 60, f"{button} to be done")
        if page.says(text):
            return
    raise AssertionError(f"{button} was pressed ten times, {text!r} was not said")


def test_redo_history_and_a_blend(page, live_run):
    _press_until(page, "Redo", "Redone: a bear made of gold")
    golden = page.settled()
    page.tab("Objects")
    page.wait_for_text("a bear made of gold", 60)
    page.wait_for(lambda: page.pictures() == 1, 60, "the picture of the edit")
    page.keep("7_objects")
    page.press("Take out")
    page.wait_for_text("Taken out: a bear made of gold", 60)
    assert difference(page.settled(), golden) > 1.0
    page.page.keyboard.press("Control+z")
    page.wait_for_text("Undone: a bear made of gold", 60)
    page.becomes(golden, 0.1)
    page.press("Take out")
    page.wait_for_text("Taken out: a bear made of gold", 60)
    page.tab("Keep")
    for _ in range(2):
        page.press("Write file")
        page.wait_for_text("Exported 41,284 Gaussians", 60)
    page.press("Save")
    page.wait_for_text("ns-viewer --load-config", 60)
    page.keep("8_saved")
    assert page.panel_fits(), "a path makes the panel wider than it is"
    page.tab("Edit")
    assert {path.name for path in live_run.output.rglob("exports/*")} == {"scene.ply", "scene 2.ply"}


def test_two_tabs_and_a_closed_one(page, browser, live_run):
    other = LivePage(browser, live_run.address)
    other.type("Sentence", "ice")
    other.choose("Quality", "quick")
    other.press("Apply")
    page.wait_for_text("Style: ice", 60)
    other.close()
    before = page.picture()
    page.wait_for_text("Done: ice", 120)
    assert difference(page.settled(), before) > 0.5
    page.press("Undo")
    page.wait_for_text("Undone: ice", 60)


def test_stop_and_ctrl_c_keep_what_was_done(page, live_run):
    page.type("Sentence", "gold")
    page.choose("Quality", "fine")
    page.press("Apply")
    page.wait_for_text("of 500", 60)
    page.press("Apply")
    page.type("Sentence", "ice")
    page.press("Apply")
    page.wait_for_text("Next: Style: ice", 60)
    page.press("Stop")
    page.wait_for_text("Stopped after", 60)
    page.type("Sentence", "gold")
    page.press("Apply")
    page.wait_for_text(re.compile(r"step [1-9]\d* of 500"), 60)
    assert live_run.interrupt() == 0
    said = live_run.log.read_text()
    assert "Saved:" in said and "Outside the object no bit of" in said
    folder = next(live_run.output.rglob("history.json")).parent
    steps = History.open(folder).steps
    assert [step.name for step in steps if step.kind == "edit"][-2:] == ["gold", "gold"]
    assert all(0 < step.settings["steps"] < 500 for step in steps[-2:])
    assert "Traceback" not in live_run.log.read_text()
