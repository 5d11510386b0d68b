"""A person's way through a live session, in a real browser: point, type, watch, compare, undo, keep.

The tests of this file share one session and go on where the one before ended. Screenshots: build/screenshots.
"""

import re

import numpy as np
import pytest

from fasttext2style.history.history import History
from tests.browser.conftest import start_live_run
from tests.browser.live_page import LivePage, difference

pytestmark = pytest.mark.browser

METHOD = ["fasttext2style", "--encoder", "tiny"]
BEAR, BALL, CRATE, SKY = (0.505, 0.47), (0.08, 0.67), (0.72, 0.52), (0.5, 0.1)
"""Where they are seen at the start, in shares of the picture's width and height."""
STATUE, BEACH_BALL = "the grey thing and its base", "the red and white thing"
"""What they are called by who does not know them."""


def around(picture: np.ndarray, thing: tuple[float, float], reach: float = 0.06) -> np.ndarray:
    """A square part of a picture, of the pixels around a thing; `reach` is a share of the height."""
    height, width, _ = picture.shape
    x, y, half = round(thing[0] * width), round(thing[1] * height), round(reach * height)
    return picture[max(0, y - half) : y + half, max(0, x - half) : x + half]


@pytest.fixture(scope="module")
def seen() -> dict[str, np.ndarray]:
    """Pictures that later tests want to see again."""
    return {}


def test_dragging_turns_the_view_and_selects_nothing(page, seen):
    page.keep("1_open")
    assert not page.can_be_pressed("Undo") and not page.can_be_pressed("Redo"), "there is nothing to undo"
    page.page.keyboard.press("Control+z")  # which is answered all the same
    page.wait_for_text("There is nothing to undo", 60)
    original = seen["original"] = page.settled()
    page.page.keyboard.press("Shift+Digit1")
    page.wait_for_text("This view is kept: 1 comes back to it.", 60)
    for tool, back in (("look around", "0"), ("click", "1")):  # where one began, and what was kept
        page.choose("Mouse", tool)
        page.drag_scene(*SKY, 0.7, 0.15)
        page.differs(original, 5)
        page.page.keyboard.press(back)
        page.becomes(original, 0.2)
    page.page.keyboard.press("?")
    page.wait_for_text("the object into view", 10)
    page.page.keyboard.press("?")
    assert not page.says("the object into view")
    page.click_scene(*SKY)
    page.wait_for_text("Nothing there but what is far away", 60)
    assert page.says("Nothing is selected.")


def test_what_was_added_by_mistake_is_taken_away_by_the_same_click(page):
    """A click means a new object, with Shift one more, with Alt one less; and all of it is undone by Ctrl+Z."""
    original, button = page.settled(), page.place_of("Apply")
    page.click_scene(*BEAR)
    page.wait_for_text(f"Selected: {STATUE}. Shift adds", 60)
    assert page.place_of("Apply") == button, "no button moves from under the mouse"
    page.wait_for_text("Only one of the two? Press Too much.", 60)
    alone = page.differs(original, 0.5)
    page.press("Too much")
    page.wait_for_text("Selected: the grey thing without its base. Shift adds", 60)
    page.differs(alone, 0.3)
    page.press("Too little")
    page.wait_for_text(f"Selected: {STATUE}. Shift adds", 60)
    page.becomes(alone, 0.1)
    _click_with(page, "Shift", BALL)
    page.wait_for_text(f"Selected: {STATUE} and {BEACH_BALL}.", 60)
    page.differs(alone, 0.3)
    assert page.place_of("Apply") == button, "neither for a long name"
    _click_with(page, "Alt", BALL)
    page.wait_for_text(f"Selected: {STATUE}. Shift adds", 60)
    page.becomes(alone, 0.1)
    for undone in (f"taking away {BEACH_BALL}", f"adding {BEACH_BALL}", f"selecting {STATUE}"):
        page.page.keyboard.press("Control+z")
        page.wait_for_text(f"Undone: {undone}.", 60)
    page.wait_for_text("Nothing is selected.", 60)
    page.becomes(original, 0.1)


def test_a_lower_tolerance_means_a_part_and_what_is_suggested_by_words_is_found(page):
    """The slider takes the last click again; the words are those of the error without any."""
    page.unfold("More")
    page.click_scene(*CRATE)
    page.wait_for_text("Selected: the blue thing.", 60)
    page.wait_for(lambda: page.found(SHARE) > 0, 60, "how much that is")
    whole = page.found(SHARE)
    page.type("Tolerance", "0.5")
    page.wait_for(lambda: 0 < page.found(SHARE) < whole, 60, "a part of it")
    page.type("Tolerance", "2")
    page.wait_for(lambda: page.found(SHARE) == whole, 60, "the whole again")
    page.press("Select by words")
    page.wait_for_text("There is no name yet", 60)
    (words,) = re.findall('such as "(.*?)"', page.page.locator("body").inner_text())[:1]
    page.press("Clear")
    page.type("Words", words)
    page.enter("Words")
    page.wait_for_text(f'Selected: "{words}".', 120)
    page.press("Clear")
    page.wait_for_text("Nothing is selected.", 60)
    page.unfold("More")


SHARE = re.compile(r"splats are selected, (\d+\.\d)%")


def _click_with(page: LivePage, key: str, where: tuple[float, float]) -> None:
    """Click into the scene while a key is held."""
    page.page.keyboard.down(key)
    page.click_scene(*where)
    page.page.keyboard.up(key)


def test_a_brush_paints_the_selection_and_takes_it_away(page):
    original = page.settled()
    page.page.keyboard.press("b")
    page.wait_for(lambda: page.page.evaluate("window.ft2sState.tool") == "brush", 10, "the brush")
    page.drag_scene(0.45, 0.45, 0.55, 0.5)
    page.wait_for_text("Selected: the brushed part.", 60)
    page.differs(original, 0.5)
    page.page.keyboard.down("Alt")
    page.drag_scene(0.45, 0.45, 0.55, 0.5)
    page.page.keyboard.up("Alt")
    page.wait_for_text("Nothing is selected.", 60)
    page.page.keyboard.press("c")
    page.wait_for(lambda: page.page.evaluate("window.ft2sState.tool") == "click", 10, "the click")


def test_point_type_watch_undo(page, seen):
    page.press("Apply")
    page.wait_for_text("There is no sentence", 60)
    page.type("Sentence", "a bear made of gold")
    page.press("Apply")
    page.wait_for_text("Nothing is selected yet", 60)
    page.settled()
    original = seen["original"]
    page.becomes(original, 0.1)

    page.click_scene(*BEAR)
    page.wait_for_text(f"Selected: {STATUE}.", 60)
    highlighted = page.differs(original, 0.5)
    page.keep("2_selected")

    page.choose("Quality", "quick")
    page.enter("Sentence")
    seconds = page.wait_for(lambda: difference(page.glance(), highlighted) > 1.0, 60, "a first visible change")
    print(f"first visible change after {seconds:.1f} s")
    page.keep("3_working")
    page.wait_for_text("Done: a bear made of gold", 120)
    golden = page.settled()
    page.keep("4_done")
    red, green, blue = (golden - original).reshape(-1, 3)[np.abs(golden - original).mean(axis=2).ravel() > 30].mean(0)
    assert red > blue + 30 and green > blue, (red, green, blue)

    page.choose("Show", "after | before")
    both = page.differs(golden, 0.3)
    page.keep("5_after_and_before")
    left, right = slice(0, both.shape[1] // 2 - 10), slice(both.shape[1] // 2 + 10, None)
    assert difference(both[:, left], golden[:, left]) < 0.3 * difference(both[:, left], original[:, left])
    assert difference(both[:, right], original[:, right]) < 0.3 * difference(both[:, right], golden[:, right])
    page.choose("Show", "after")

    page.press("Undo")
    page.wait_for_text("Undone: a bear made of gold", 60)
    page.becomes(highlighted, 0.2)
    _press_while_possible(page, "Undo")
    page.becomes(original, 0.1)
    page.keep("6_undone")


def _press_while_possible(page: LivePage, button: str) -> None:
    """Press a button again and again until it is greyed: there is nothing left to do."""
    for _ in range(40):
        page.wait_for(lambda: not page.can_be_pressed("Stop"), 60, f"{button} to be done")
        if not page.can_be_pressed(button):
            return
        page.press(button)
        page.page.wait_for_timeout(150)
    raise AssertionError(f"{button} was pressed 40 times, and can be pressed still")


def test_redo_history_and_a_blend(page, live_run):
    _press_while_possible(page, "Redo")
    golden = page.settled()
    page.tab("Objects")
    page.wait_for_text("a bear made of gold", 60)
    page.wait_for(lambda: page.pictures() == 1, 60, "the picture of the edit")
    page.keep("7_objects")
    page.press("Switch off")
    page.wait_for_text("Switched off: a bear made of gold", 60)
    page.differs(golden, 1.0)
    page.page.keyboard.press("Control+z")
    page.wait_for_text("Undone: a bear made of gold", 60)
    page.becomes(golden, 0.1)
    page.press("Switch off")
    page.wait_for_text("Switched off: a bear made of gold", 60)
    page.tab("Save")
    for _ in range(2):
        page.press("Write scene")
        page.wait_for_text("Exported the scene (41,284 splats)", 60)
    page.press("Save session")
    page.wait_for_text("Saved, with all that can be undone.", 60)
    page.unfold("Details")
    page.wait_for_text("ns-viewer --load-config", 60)
    page.keep("8_saved")
    assert page.panel_fits(), "a path makes the panel wider than it is"
    page.tab("Edit")
    assert {path.name for path in live_run.output.rglob("exports/*")} == {"scene.ply", "scene 2.ply"}


def test_a_second_object_has_a_look_and_an_eye_of_its_own(page):
    page.press("Clear")
    page.wait_for_text("Nothing is selected.", 60)
    page.tab("Objects")
    page.press("Switch on")
    page.wait_for_text("a bear made of gold: strength 100%", 60)
    page.tab("Edit")
    page.click_scene(*BALL)
    page.wait_for_text(f"Selected: {BEACH_BALL}.", 60)
    page.choose("Ideas", "carved from ice")
    page.wait_for(lambda: page.value("Sentence") == "carved from ice", 10, "the idea to be written")
    page.wait_for(lambda: page.value("Ideas") == "...", 10, "that it can be taken again")
    page.type("Sentence", "a ball carved from ice")
    page.enter("Sentence")
    page.wait_for_text("Done: a ball carved from ice", 120)
    both = page.settled()
    page.tab("Objects")
    page.wait_for(lambda: page.pictures() == 2, 60, "the pictures of both edits")
    page.keep("9_objects")
    page.type("Object", "beach ball")  # the newest object is on top
    page.press("Hide")
    page.wait_for_text("Hidden: beach ball", 60)
    page.wait_for(lambda: difference(around(page.glance(), BALL), around(both, BALL)) > 10, 60, "the ball to go")
    assert difference(around(page.settled(), BEAR), around(both, BEAR)) < 0.5
    page.press("Show")
    page.wait_for_text("Shown: beach ball", 60)
    page.becomes(both, 0.1)
    page.press("Restyle", 1)
    page.wait_for_text("Selected: bear", 60)
    page.wait_for(lambda: page.value("Sentence") == "a bear made of gold", 10, "the sentence of the bear")


def _is_mostly(page: LivePage, thing: tuple[float, float], channel: int) -> bool:
    colors = around(page.glance(), thing, 0.02).mean(axis=(0, 1))
    return bool(colors[channel] > 30 + np.delete(colors, channel).max())


def test_a_plain_color_is_painted_typed_and_taken_off_again(page, seen):
    """It is what is selected: the bear."""
    page.click_into("Sentence")
    page.page.keyboard.type("make the bear blue")
    page.wait_for(lambda: page.value("Sentence") == "make the bear blue", 10, "the sentence to replace the last one")
    page.enter("Sentence")
    page.wait_for_text("Painted blue", 60)
    page.wait_for(lambda: _is_mostly(page, BEAR, 2), 60, "a blue bear")
    page.tab("Colors")
    page.wait_for_text("Colors of bear.", 60)
    page.type_over("Tint color", "red")
    page.wait_for(lambda: _is_mostly(page, BEAR, 0), 60, "a red bear")
    page.wait_for(lambda: page.value("Tint color") == "#ff0000", 10, "the code of red")
    page.keep("11_colors")
    page.tab("Edit")
    page.press("Original look")
    page.wait_for_text("bear has its original look", 60)
    page.wait_for(lambda: difference(around(page.glance(), BEAR, 0.02), around(seen["original"], BEAR, 0.02)) < 1, 60,
                  "the bear of the capture")  # fmt: skip
    page.tab("Save")
    page.wait_for_text("The selection is bear.", 60)
    page.keep("12_save")
    page.press("Write selection")
    page.wait_for_text(re.compile(r"Exported the selected object .* bear\.ply, in the downloads"), 60)
    page.tab("Edit")
    page.page.keyboard.press("Control+z")
    page.wait_for_text("Undone: original look", 60)
    page.unfold("More")
    for _ in range(2):  # what was undone is forgotten: later tests redo all that can be redone
        page.press("Invert")
        page.wait_for_text("Selected: ", 60)
    page.unfold("More")


def test_the_original_and_the_way_back_to_it(page, seen):
    now = page.settled()
    page.choose("Show", "after | original")
    split = page.differs(now, 0.3)
    page.keep("10_original")
    assert page.says(re.compile("^original$")) and page.says(re.compile("^after$"))
    right = slice(split.shape[1] // 2 + 10, None)
    labels = split.shape[0] // 15
    assert difference(split[labels:, right], seen["original"][labels:, right]) < 0.2
    assert difference(now[labels:, right], seen["original"][labels:, right]) > 1.0
    page.drag_scene(0.5, 0.9, 0.75, 0.9)  # the divider
    page.differs(split, 0.3)
    left = slice(0, 7 * split.shape[1] // 10)
    page.wait_for(lambda: difference(page.glance()[labels:, left], now[labels:, left]) < 0.2, 60, "more of after")
    page.choose("Show", "after")
    page.becomes(now, 0.1)
    _press_while_possible(page, "Undo")
    page.becomes(seen["original"], 0.1)
    _press_while_possible(page, "Redo")
    page.becomes(now, 0.1)


def test_the_page_does_not_slide_away_from_the_field_that_has_the_focus(page):
    """Of viser's page a part lies beyond its right edge, and Tab leads there."""
    for _ in range(30):
        page.page.keyboard.press("Tab")
        slid = "Math.max(...[...document.querySelectorAll('*')].map((it) => it.scrollLeft))"
        page.page.wait_for_function(f"{slid} === 0", timeout=5000)
    page.page.keyboard.press("Escape")


def test_a_sky_comes_with_the_page_in_place_of_the_scenes_own(page):
    page.press("Clear")  # an edit takes the highlight off the object, too
    page.wait_for_text("Nothing is selected.", 60)
    before = page.settled()
    page.tab("Around")
    page.page.locator('img[alt="sunset"]').click()  # as the button below it
    page.wait_for_text("The scene's own sky is hidden with it", 60)
    seen = page.differs(before, 5)
    page.keep("14_sunset")
    assert difference(around(seen, BEAR, 0.02), around(before, BEAR, 0.02)) < 1
    page.press("Undo")
    page.becomes(before, 0.1)
    page.press("Undo")
    page.tab("Edit")
    page.wait_for_text("Selected: bear.", 60)


def test_a_reload_changes_nothing(page):
    page.drag_scene(*SKY, 0.6, 0.12)
    page.type("Sentence", "a bear made of rust")
    turned = page.settled()
    page.reload()
    page.becomes(turned, 0.2)
    assert (page.value("Sentence"), page.value("Quality")) == ("a bear made of rust", "quick")


def _check_layout(page: LivePage, width: int, height: int) -> None:
    """The whole scene and what one needs first are in sight."""
    page.page.set_viewport_size({"width": width, "height": height})
    # viser's page takes its time to follow, and is beside itself by a pixel meanwhile.
    page.wait_for(lambda: _lie_beside_each_other(page), 10, "the panel to leave the scene free")
    page.keep(f"13_open_{width}x{height}")
    if width >= 600:
        page.wait_for(lambda: page.lies_in_sight("Apply"), 5, "Apply, which is cut off")
    for top in (1e6, 0):
        for button in ("Undo", "Redo", "Compare", "Pause", "Stop"):
            page.wait_for(lambda button=button: page.lies_in_sight(button), 5, f"{button}, which is out of sight")
        page.scroll_panel(top)
    assert page.panel_fits()


def _lie_beside_each_other(page: LivePage) -> bool:
    scene, panel = page.page.evaluate("""[".ft2s-scene", ".ft2s-top"].map((it) => {
        const box = document.querySelector(it).getBoundingClientRect();
        return [box.left, box.top, box.right, box.bottom];
    })""")
    return scene[2] <= panel[0] or scene[3] <= panel[1]


def test_two_tabs_of_any_size_and_a_closed_one(page, browser, live_run):
    other = LivePage(browser, live_run.address)
    other.type("Sentence", "ice")
    other.choose("Quality", "quick")
    for width, height in ((390, 844), (1920, 1080), (1280, 577), (1280, 720)):
        _check_layout(other, width, height)
    places = [other.place_of(button) for button in ("Apply", "Undo", "Stop")]
    other.press("Apply")
    page.wait_for_text("Style: ice", 60)
    other.wait_for(lambda: other.can_be_pressed("Stop") and other.can_be_pressed("Pause"), 60, "Stop and Pause")
    assert [other.place_of(button) for button in ("Apply", "Undo", "Stop")] == places, "buttons moved"
    other.close()
    before = page.picture()
    page.wait_for_text("Done: ice", 120)
    page.differs(before, 0.5)
    page.press("Undo")
    page.wait_for_text("Undone: ice", 60)


def test_stop_and_ctrl_c_keep_what_was_done(page, live_run, seen):
    page.press("Clear")
    page.wait_for_text("Nothing is selected.", 60)
    page.press("Main")
    page.wait_for_text("Selected: bear.", 60)  # it has a name by now
    page.drag_scene(*SKY, 0.6, 0.12)
    page.type("Sentence", "gold")
    page.choose("Quality", "fine")
    page.press("Apply")
    step = re.compile(r"step ([1-9]\d*) of 500")
    page.wait_for_text(step, 60)
    page.press("Pause")
    page.wait_for_text("paused", 60)
    page.settled()  # it would not come to rest
    done = page.found(step)
    page.press("Resume")
    page.wait_for(lambda: (page.found(step) or done) > done, 60, "steps after the pause")
    for _ in range(4):
        page.press("Apply")  # goes on, and is not begun again
    # Of what is done within 50 ms viser's page sends the last alone, and nobody types so fast.
    page.page.wait_for_timeout(200)
    page.type("Sentence", "ice")
    page.page.wait_for_timeout(200)
    page.press("Apply")
    page.wait_for_text("Next: Style: ice", 60)
    assert not page.says("Next: Style: gold")
    page.press("Stop")
    page.wait_for_text("Stopped after", 60)
    seen["stopped"] = page.settled()
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
    assert "viser" not in said, "the terminal is quiet"
    assert said[: said.index("Ready: open http")].count("\n") < 24, "the address is on the first screen"


def test_a_restart_brings_everything_back(browser, live_run, capture, seen):
    earlier = next(live_run.output.rglob("nerfstudio_models"))
    again = start_live_run(METHOD, capture, live_run.output / "again", earlier)
    try:
        again.said("Ready", 300)
        page = LivePage(browser, again.address)
        assert (page.value("Sentence"), page.value("Quality")) == ("gold", "fine")
        page.press("Undo")
        page.wait_for_text("Undone: gold", 60)
        page.becomes(seen["stopped"], 0.2)
        page.tab("Objects")
        page.wait_for(lambda: page.pictures() >= 1, 60, "the objects")
        page.close()
        assert again.interrupt() == 0
    finally:
        again.stop()
