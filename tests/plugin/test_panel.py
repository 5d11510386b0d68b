"""Each control of the live panel reaches the job it is for, as whoever uses it has set it.

A tab says over the websocket what a page would say; the session does not run, so that what was asked for can be read.
"""

import base64
import gzip
import html
import io
import itertools
import math
import socket
import threading
import time
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import viser
import viser._gui_api
import viser._gui_handles
from nerfstudio.viewer.utils import get_camera
from PIL import Image
from viser._messages import GuiUpdateMessage

from fasttext2style.captures.style_pictures import StylePicture
from fasttext2style.envmaps.skies import SKIES
from fasttext2style.history.delta import Delta
from fasttext2style.live import jobs
from fasttext2style.live.film import Film
from fasttext2style.live.grade import ApplyGrade
from fasttext2style.live.objects import RestoreObject, RestoreSelected, SelectObject, ShowObject, objects_of
from fasttext2style.live.paint import Paint
from fasttext2style.live.pointing import Click, ClickAgain, ClickMeansOther, Draw
from fasttext2style.live.session import Job, LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle
from fasttext2style.live.style_picture import RemovePicture, UploadPicture
from fasttext2style.live.surroundings import SetSky
from fasttext2style.plugin.host.outputs import TINT
from fasttext2style.plugin.viewer.icons import icon
from fasttext2style.plugin.viewer.run_live import open_session
from fasttext2style.plugin.viewer.viewer import LiveViewer
from fasttext2style.scene.files.ply import write_ply
from fasttext2style.styling.grade_settings import Grade
from tests.ball import BALL, ball_on_floor
from tests.plugin.hosts import make_capture, style_config
from tests.plugin.tab import ASPECT, Tab

COMBINATIONS = ("add", "take away", "keep common", "new")
TAN = math.tan(0.4)
"""Of half the field of view of the tab, which looks along z from (0, 0, -10) of viser, a tenth of that in the scene."""
SEGMENTER = "a segmenter"


@dataclass
class Live:
    """A session that waits, its viewer, and somebody who has it open."""

    session: LiveSession
    shown: LiveViewer
    tab: Tab
    number: int
    """Of the tab."""
    defaults: dict = field(default_factory=dict)

    def asked(self, count: int = 1) -> list[Job]:
        """What was asked for since the last time."""
        self.tab.until(lambda: len(self.session.status.waiting) >= count, f"{count} jobs")
        self.tab.let_callbacks_end()
        asked = list(self.session._jobs)
        self.session.stop()
        return asked

    def click(self, combine: str = "") -> None:
        self.tab.click(0.7, 0.4, combine)

    def use(self, tool: str) -> None:
        """Choose a tool of the mouse; returns when the page knows what to send."""
        self.tab.set("Mouse", tool)
        self.tab.until(lambda: self.tab.told()["tool"] == tool, f"the tool {tool}")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    config = style_config(make_capture(folder / "capture"), folder)
    write_ply(folder / "scene.ply", ball_on_floor())
    config.load_ply, config.live, config.vis = folder / "scene.ply", True, "viewer"
    Image.new("RGB", (20, 10), (230, 190, 40)).save(folder / "gold.png")
    config.pipeline.style_image = folder / "gold.png"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        config.viewer.websocket_port = free.getsockname()[1]
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    session, shown = open_session(trainer, trainer.history(), trainer.live_action(), "a bear made of gold", SEGMENTER)
    tab = Tab(shown.server)
    tab.until(
        lambda: "Write scene" in tab.elements and tab.says("Style: gold.png"), "the whole panel, with its picture"
    )
    values = {label: element.get("value") for label, element in tab.elements.items()}
    yield Live(session, shown, tab, next(iter(shown.server.get_clients())), values)
    tab.close()
    shown.close()
    shown.server.stop()


SETTINGS = ("Mouse", "Selection", "Tolerance", "Size %", "Highlight", "Words", "Ideas", "Sentence", "Speed", "Quality",
            "Changes", "Plain color", "Show", "Format", "File")  # fmt: skip


@pytest.fixture()
def live(opened) -> Live:
    """Everything set as at first, nothing asked for."""
    for label in SETTINGS:
        opened.tab.set(label, opened.defaults[label])
    opened.session.scene.style_picture = None
    opened.session.stop()
    return opened


# --- 1. point at the object ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [0.5, 6.0])
@pytest.mark.parametrize("combine", COMBINATIONS)
@pytest.mark.parametrize("tool", ["click", "color"])
def test_a_click_into_the_scene_uses_the_tool_the_combination_and_the_tolerance(live, tool, combine, tolerance):
    live.use(tool)
    live.tab.look_from(10.0)
    live.tab.set("Selection", combine)
    live.tab.set("Tolerance", tolerance)
    live.tab.set("Size %", 30.0)
    live.asked(1)  # of the sliders
    live.click()
    (asked,) = live.asked()
    assert type(asked) is Click and asked.by_color == (tool == "color")
    assert (asked.combine, asked.tolerance, asked.size) == (combine, tolerance, pytest.approx(0.3))
    # 0.2 of the width right of the middle, 0.1 of the height above it.
    seen = torch.tensor([0.4 * TAN * ASPECT, -0.2 * TAN, 1.0])
    assert asked.origin == pytest.approx((0.0, 0.0, -1.0)) and asked.opening == pytest.approx(2 * TAN)
    torch.testing.assert_close(torch.tensor(asked.direction), seen / seen.norm())


def test_a_session_goes_through_the_archive_of_icons_once(live):
    assert viser._gui_api.svg_from_icon is viser._gui_handles.svg_from_icon is icon


def test_nothing_on_the_page_takes_the_drag_from_the_camera(live):
    """viser's page switches the camera off while the mouse is down as soon as anybody listens to the whole scene."""
    for tool in live.tab.elements["Mouse"]["options"]:
        live.use(tool)
        assert live.shown.server.scene._scene_pointer_cb is None


def test_the_session_answers_after_a_tab_closed_while_it_moved(live):
    """The server may still hear of its camera when nobody renders for it any more."""
    server = live.shown.server
    tab = Tab(server)
    tab.until(lambda: len(server.get_clients()) == 2, "two tabs")
    (number,) = server.get_clients().keys() - {live.number}
    client = server.get_clients()[number]
    live.shown.viewer.render_statemachines.pop(number).running = False
    for moved in client.camera._state.camera_cb:
        moved(client.camera)
    tab.close()
    live.tab.until(lambda: len(server.get_clients()) == 1, "one tab")
    live.tab.look_from(12.0)
    live.click()
    assert live.asked()


@pytest.mark.parametrize("combine", COMBINATIONS)
@pytest.mark.parametrize("drawing", ["rectangle", "lasso", "brush"])
def test_a_drawing_is_that_of_the_tab_in_which_it_was_drawn(live, drawing, combine):
    live.use(drawing)
    live.tab.set("Selection", combine)
    live.tab.look_from(14.0)
    points = [[0.75, 0.2], [0.25, 0.6], [0.3, 0.7]]
    live.tab.say(kind="drawing", drawing=drawing, points=points, combine="")
    (asked,) = live.asked()
    expected = "add" if (drawing, combine) == ("brush", "new") else combine  # one paints with several strokes
    assert type(asked) is Draw and (asked.drawing, asked.combine, asked.size) == (drawing, expected, 0.2)
    assert [list(point) for point in asked.points] == points
    assert asked.camera.width / asked.camera.height == pytest.approx(ASPECT, rel=0.01)
    torch.testing.assert_close(asked.camera.centers[0], torch.tensor([0.0, 0.0, -1.4]))


@pytest.mark.parametrize("held", ["add", "take away"])
def test_a_key_that_is_held_says_how_to_combine(live, held):
    live.use("click")
    live.tab.set("Selection", "keep common")
    for combine, expected in ((held, held), ("", "keep common")):
        live.click(combine)
        assert live.asked()[0].combine == expected
    live.tab.say(kind="drawing", drawing="lasso", points=[[0, 0], [1, 0], [1, 1]], combine=held)
    assert live.asked()[0].combine == held


def test_keys_choose_the_tool_and_the_size(live):
    live.tab.say(kind="tool", tool="lasso")
    live.tab.until(lambda: live.tab.elements["Mouse"]["value"] == "lasso", "the tool")
    live.tab.say(kind="size", larger=True)
    live.tab.until(lambda: live.tab.elements["Size %"]["value"] == 25.0, "the size")


@pytest.mark.parametrize("message", ["7", "{}", '{"kind": "drawing", "drawing": "ink", "points": []}', "no json"])
def test_what_our_page_does_not_say_asks_for_nothing(live, message):
    element = live.tab.elements["page"]
    live.tab._send(GuiUpdateMessage(element["id"], {"value": message}))
    time.sleep(0.2)
    live.tab.press("Save session")
    assert live.asked() == [jobs.Save()]


def test_a_slider_makes_the_last_click_anew(live):
    live.tab.set("Tolerance", 5.0)
    assert live.asked() == [ClickAgain(5.0, 0.2)]


def test_looking_around_asks_for_nothing(live):
    live.use("look around")
    live.tab.press("Save session")
    assert live.asked() == [jobs.Save()]


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_finding_and_words_are_combined_as_asked(live, combine):
    live.tab.set("Selection", combine)
    live.tab.press_one_of("Find", "Main")
    assert live.asked() == [jobs.SelectAutomatic(combine)]
    live.tab.set("Words", "the blue crate")
    live.tab.press("Select by words")
    assert live.asked() == [jobs.SelectText("the blue crate", SEGMENTER, combine)]


@pytest.mark.parametrize(
    ("group", "button", "job"),
    [
        ("Instead", "All", jobs.SelectEverything()),
        ("Find", "Clear", jobs.SelectNothing()),
        ("Click took", "Too much", ClickMeansOther(larger=False)),
        ("Click took", "Too little", ClickMeansOther(larger=True)),
        ("Edge", "Grow", jobs.Reshape("grow")),
        ("Edge", "Shrink", jobs.Reshape("shrink")),
        ("Instead", "Invert", jobs.Reshape("invert")),
        ("Pieces", "Largest only", jobs.Reshape("largest part")),
        ("Find", "Main", jobs.SelectAutomatic("new")),
        ("Find", "Other", jobs.SelectAutomatic("new", another=True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_button_of_a_row_does_what_it_says_each_time(live, group, button, job):
    for _ in range(2):
        live.tab.press_one_of(group, button)
        assert live.asked() == [job]


def test_a_ball_stands_where_one_clicked_green_on_the_object_and_red_beside_it(live):
    scene = live.session.scene
    points = [((0.1, 0.2, 0.3), True), ((0.4, 0.5, 0.6), False)]
    weights = (torch.arange(len(scene.gaussians)) < 10).float()
    clicks = {"clicks": [[*position, inside] for position, inside in points]}
    scene.select(jobs.Selection(weights, "clicks"), "2 clicks", clicks)
    live.tab.until(lambda: {"/clicks/0", "/clicks/1"} <= live.tab.nodes.keys(), "the balls")
    for number, (position, inside) in enumerate(points):
        ball = live.tab.nodes[f"/clicks/{number}"]
        assert ball["position"] == pytest.approx([10 * value for value in position])
        red, green = ((ball["color"] >> shift) & 255 for shift in (16, 8))
        assert (green > red) == inside
    scene.select(jobs.Selection(1 - weights, "inverted"), "inverted")
    live.tab.until(lambda: not {"/clicks/0", "/clicks/1"} & live.tab.nodes.keys(), "the balls to go")


def test_the_threshold_is_that_of_the_slider(live):
    live.tab.set("Threshold", 0.35)
    assert live.asked() == [jobs.Threshold(0.35)]


def test_the_highlight_can_be_turned_off(live):
    scene, model = live.session.scene, live.session.scene.host.model
    camera = live.shown.viewer.pipeline.datamanager.train_dataset.cameras[0:1]
    weights = (torch.arange(len(scene.gaussians)) < BALL).float()

    def seen() -> torch.Tensor:
        with scene.lock, torch.no_grad():
            return model.get_outputs_for_camera(camera)["rgb"]

    scene.select(jobs.Selection(weights, "the ball"), "the ball")
    on = seen()
    live.tab.set("Highlight", False)
    live.tab.until(lambda: not torch.equal(seen(), on), "the highlight to go")
    live.tab.set("Highlight", True)
    live.tab.until(lambda: torch.equal(seen(), on), "the highlight to come back")


# --- 2. say what it becomes ------------------------------------------------------------------------------------------


def test_a_picture_comes_through_the_page_is_shown_and_goes(live):
    buffer = io.BytesIO()
    Image.new("RGB", (200, 100), (230, 190, 40)).save(buffer, format="PNG")
    live.tab.upload("Choose a picture", "gold.png", buffer.getvalue())
    (asked,) = live.asked()
    assert (type(asked), asked.name, asked.content) == (UploadPicture, "gold.png", buffer.getvalue())
    assert live.session.do(asked)
    live.tab.until(lambda: live.tab.says("Style: gold.png"), "the picture's name")
    (shown,) = (text for text in live.tab.texts.values() if "Style: " in html.unescape(text) and "<img" in text)
    small = Image.open(io.BytesIO(base64.b64decode(shown.partition("base64,")[2].partition('"')[0])))
    assert small.size == (96, 48) and small.convert("RGB").getpixel((48, 24)) == (230, 190, 40)
    live.tab.press("Without a picture")
    (asked,) = live.asked()
    assert type(asked) is RemovePicture and live.session.do(asked)
    live.tab.until(lambda: not live.tab.says("Style: gold.png"), "the picture to go")


@pytest.mark.parametrize("speed", [0.3, 1.7])
@pytest.mark.parametrize("quality", PRESETS)
@pytest.mark.parametrize("form", ["colors", "colors and form"])
def test_apply_takes_sentence_speed_quality_and_what_changes(live, speed, quality, form):
    live.tab.set("Sentence", "a bear made of ice")
    live.tab.set("Speed", speed)
    live.tab.set("Quality", quality)
    live.tab.set("Changes", form)
    live.tab.press("Apply")
    (asked,) = live.asked()
    assert type(asked) is ApplyStyle
    assert (asked.prompt, asked.speed, asked.preset, asked.form) == ("a bear made of ice", speed, quality, form)


def test_a_plain_color_is_painted_unless_a_style_or_a_picture_is_wanted(live):
    live.tab.set("Sentence", "a blue ball")
    live.tab.press("Apply")
    assert live.asked() == [Paint("a blue ball")]
    live.tab.set("Plain color", "a style")
    live.tab.press("Apply")
    assert type(live.asked()[0]) is ApplyStyle
    live.tab.set("Plain color", "painted")
    live.session.scene.style_picture = StylePicture("gold.png", np.zeros((4, 4, 4), np.uint8))
    live.tab.press("Apply")
    assert type(live.asked()[0]) is ApplyStyle


def test_original_look_stands_beside_apply_for_what_is_selected(live):
    looks = [it for it in live.tab._by_id.values() if it.get("label") == "Original look" and it["order"] > 0]
    live.tab._send(GuiUpdateMessage(looks[0]["id"], {"value": True}))
    assert live.asked() == [RestoreSelected()] and len(looks) == 1
    assert "which Undo takes back" in live.tab.told()["hints"]["Original look"]


def test_the_sentence_of_the_command_line_stands_there_at_first(live):
    live.tab.press("Apply")
    assert live.asked()[0].prompt == "a bear made of gold"


def test_stop_forgets_what_waits(live):
    live.tab.press_one_of("Instead", "All")
    live.tab.until(lambda: bool(live.session.status.waiting), "a job")
    live.tab.press("Stop")
    live.tab.until(lambda: not live.session.status.waiting, "nothing to wait")


class Waiting:
    """A job that goes on until somebody presses Stop."""

    title = "Waiting"

    def run(self, scene, progress):
        for done in itertools.count():
            if progress.stopping:
                return f"Stopped after {done}."
            progress.report(min(done, 9), 10)
            time.sleep(0.01)


def test_pause_resume_and_stop_can_be_pressed_while_there_is_something_to_pause(live):
    """And nothing comes or goes meanwhile, but Resume in the place of Pause."""
    tab, session = live.tab, live.session

    def shown() -> set[str]:
        return {label for label in ("Pause", "Resume", "Stop") if tab.elements[label]["visible"]}

    def can_be_pressed() -> set[str]:
        return {label for label in shown() if not tab.elements[label]["disabled"]}

    assert shown() == {"Pause", "Stop"} and not can_be_pressed()
    running = threading.Thread(target=session.do, args=(Waiting(),), daemon=True)
    running.start()
    tab.until(lambda: can_be_pressed() == {"Pause", "Stop"}, "Pause and Stop")
    tab.press("Pause")
    tab.until(lambda: can_be_pressed() == {"Resume", "Stop"} and tab.says("**paused**"), "Resume")
    assert session.status.paused
    tab.press("Resume")
    tab.until(lambda: can_be_pressed() == {"Pause", "Stop"} and not session.status.paused, "Pause again")
    tab.press("Stop")
    running.join(60)
    tab.until(lambda: not can_be_pressed() and shown() == {"Pause", "Stop"} and tab.says("Stopped after"), "the end")


@pytest.mark.parametrize(("button", "job"), [("Undo", jobs.Undo()), ("Redo", jobs.Redo())])
def test_undo_and_redo_are_always_in_sight(live, button, job):
    live.tab.press(button)
    assert live.asked() == [job]


@pytest.mark.parametrize(("kind", "job"), [("undo", jobs.Undo()), ("redo", jobs.Redo())])
def test_the_keys_of_undo_and_redo_are_answered_whatever_the_buttons_look_like(live, kind, job):
    live.tab.say(kind=kind)
    assert live.asked() == [job]


def test_undo_and_redo_are_greyed_where_there_is_nothing_and_say_what_they_would_do(live):
    session, tab = live.session, live.tab
    weights = torch.ones(len(session.scene.gaussians))

    def shown() -> tuple[bool, bool, str, str]:
        hints = tab.told()["hints"]
        return *(not tab.elements[label]["disabled"] for label in ("Undo", "Redo")), hints["Undo"], hints["Redo"]

    _undo_all(session)
    tab.until(lambda: not shown()[0] and shown()[2] == "", "nothing to undo")
    session.scene.select(jobs.Selection(weights, "all of it"), "all of it")
    tab.until(lambda: shown() == (True, False, "Take back: all of it (Ctrl Z)", ""), "an undo")
    assert session.do(jobs.Undo())
    tab.until(lambda: shown() == (False, True, "", "Again: all of it (Ctrl Y)"), "a redo")


def _undo_all(session: LiveSession) -> None:
    while session.scene.history.can_undo:
        session.scene.move(session.scene.history.undo)


def test_a_slider_on_its_way_can_be_undone(live):
    """It is no step of the history yet."""
    session, tab = live.session, live.tab
    _undo_all(session)
    session.scene.state.selection.fill_(1.0)  # as a run may begin: no step of ours
    assert session.do(ApplyGrade(Grade(brightness=0.5))), session.status.message
    tab.until(lambda: not tab.elements["Undo"]["disabled"], "Undo")
    assert session.do(ApplyGrade(Grade())), session.status.message
    session.scene.settle()
    tab.until(lambda: tab.elements["Undo"]["disabled"], "nothing to undo")
    session.scene.state.selection.fill_(0.0)


# --- 3. compare, history, keep ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "output", "right"),
    [("before", "before", ""), ("original", "original", ""), ("after", "rgb", ""), ("after | before", "rgb", "before"),
     ("after | original", "rgb", "original")],
)  # fmt: skip
def test_show_chooses_what_the_viewer_renders_and_the_page_is_told(live, choice, output, right):
    live.tab.set("Show", "before" if choice == "after" else "after")
    live.tab.set("Show", choice)
    panel = live.shown.viewer.control_panel
    live.tab.until(lambda: (panel.output_render, panel.split) == (output, bool(right)), choice)
    assert panel.split_output_render == (right or panel.split_output_render)
    live.tab.until(lambda: live.tab.told().get("look") == choice, "the page to be told")
    assert (live.tab.told()["split"] is not None) == bool(right)


def test_compare_puts_before_beside_after_and_takes_it_away_again(live):
    for expected in ("after | before", "after"):
        live.tab.press("Compare")
        live.tab.until(lambda it=expected: live.tab.told().get("look") == it, expected)
        live.tab.until(lambda it=expected: live.tab.elements["Show"]["value"] == it, "the menu to say so")


def test_a_tab_that_opens_while_one_compares_changes_nothing_on_the_right(live):
    """nerfstudio would show depth there, of another size, and its threads that render would end."""
    panel = live.shown.viewer.control_panel
    live.tab.set("Show", "after | original")
    live.tab.until(lambda: panel.split_output_render == "original", "the original")
    panel.update_output_options(["rgb", "before", "original", "gl_z_buf_depth"])
    assert panel.split_output_render == "original"


@pytest.fixture()
def edited(live) -> Live:
    """Two finished edits of other columns; the page shows both."""
    history, state = live.session.scene.history, live.session.scene.state
    for name, column in (("gold (old)", "features_dc"), ("ice ] {1}", "opacities")):
        before = state.columns[column]
        painted = before + 0.1
        delta = Delta.of_rows(state.ids, {column: before}, {column: painted})
        history.record(delta, name, prompt=name, thumbnail=np.zeros((4, 4, 3), np.uint8))
        before.copy_(painted)
    live.session.scene.tell("history")
    live.tab.until(lambda: _has_row(live.tab, "gold (old)") and _has_row(live.tab, "ice ] {1}"), "the rows")
    yield live
    while history.can_undo:
        live.session.scene.move(history.undo)


def _in_row(tab: Tab, name: str, label: str) -> dict:
    """An element that stands below the name of an edit."""
    (order,) = {tab._by_id[id_]["order"] for id_, text in tab.texts.items() if _is_row(text, name)}
    (found,) = [it for it in tab._by_id.values() if it.get("label") == label and order <= it["order"] < order + 1e-6]
    return found


def _has_row(tab: Tab, name: str) -> bool:
    return any(_is_row(text, name) for text in list(tab.texts.values()))


def _is_row(text: str, name: str) -> bool:
    return "<img" in text and name in html.unescape(text)


def test_what_was_edited_is_outlined_when_it_is_selected_again_and_what_was_not_is_tinted(live):
    """A tint would hide the colours that were asked for."""
    session, history = live.session, live.session.scene.history
    try:
        assert session.do(jobs.SelectEverything()), session.status.message
        live.tab.until(lambda: live.shown._tint == TINT, "a tint", 10)
        for job in (ApplyGrade(Grade(brightness=0.5)), jobs.SelectNothing(), jobs.SelectEverything()):
            assert session.do(job), session.status.message
        live.tab.until(lambda: live.shown._tint == 0.0, "an outline alone", 10)
    finally:
        while history.can_undo:
            session.scene.move(history.undo)


def test_each_edit_has_a_strength_and_a_bin_of_its_own(edited):
    ids = {step.name: step.id for step in edited.session.scene.history.steps if step.kind == "edit"}
    for name, strength in (("gold (old)", 0.4), ("ice ] {1}", 0.7)):
        slider, out = _in_row(edited.tab, name, "Strength"), _in_row(edited.tab, name, "Switch off")
        assert slider["value"] == 1.0, "what was done to another step is not left over here"
        edited.tab._send(GuiUpdateMessage(slider["id"], {"value": strength}))
        assert edited.asked() == [jobs.Blend(ids[name], strength)]
        edited.tab._send(GuiUpdateMessage(out["id"], {"value": True}))
        assert edited.asked() == [jobs.Blend(ids[name], 0.0)]


def test_undo_brings_a_strength_back_and_the_row_says_so(edited):
    session, (gold, _) = edited.session, list(edited.session.scene.history.steps)[-2:]
    assert session.do(jobs.Blend(gold.id, 0.4)) and session.do(jobs.Blend(gold.id, 0.0))
    edited.tab.until(lambda: _in_row(edited.tab, gold.name, "Strength")["value"] == 0.0, "the slider")
    assert session.do(jobs.Undo()), session.status.message
    edited.tab.until(lambda: _in_row(edited.tab, gold.name, "Strength")["value"] == 1.0, "one gesture is undone as one")
    assert session.scene.history.step(gold.id).active


def test_pictures_and_names_of_edits_are_no_links(edited):
    """viser looks for links to pictures in its markdown by a pattern that brackets mislead."""
    row = next(text for text in edited.tab.texts.values() if "ice ] {1}" in html.unescape(text) and "<img" in text)
    assert "](" not in row and "{" not in row and "data:image/png;base64," in row


@pytest.fixture()
def without_files(edited):
    """Its history is somewhere else for a while."""
    folder = edited.session.scene.history.folder
    folder.rename(folder.with_name("elsewhere"))
    yield edited
    folder.with_name("elsewhere").rename(folder)


@pytest.mark.parametrize("look", ["original", "after | original"])
def test_an_original_that_cannot_be_read_is_said_and_not_shown(without_files, look):
    """By the thread that renders, which goes on."""
    live = without_files
    live.tab.set("Show", look, stays=False)
    live.tab.until(lambda: live.tab.says("cannot be read as a history step"), "the error")
    live.tab.until(lambda: live.tab.told().get("look") == "after", "the scene in its place")
    live.tab.until(lambda: live.tab.elements["Show"]["value"] == "after", "the menu to say so")
    assert all(renderer.is_alive() for renderer in live.shown.viewer.render_statemachines.values())


def test_one_that_is_chosen_while_the_picture_is_on_its_way_is_said_too(without_files):
    """nerfstudio's thread reads what is chosen once more when everything is rendered."""
    live = without_files
    (client,) = live.shown.server.get_clients().values()
    camera = get_camera(live.shown.viewer.get_camera_state(client), 8, 12)
    outputs = live.shown.model.get_outputs_for_camera(camera)
    torch.testing.assert_close(outputs["original"], outputs["rgb"])
    live.tab.until(lambda: live.tab.says("cannot be read as a history step"), "the error")


class Long:
    """A job that says how far it is."""

    title = "Long"

    def run(self, scene, progress):
        progress.report(0, 10)
        return "It is done."


def test_a_session_whose_files_are_gone_goes_on(without_files):
    """Whatever the panel shows then, it says what it cannot read; jobs end in words, and the next one begins."""
    session = without_files.session
    for job in (Long(), jobs.Undo(), jobs.Reshape("invert"), jobs.Save(), SelectObject(1)):
        session.do(job)  # raises nothing
        assert session.status.failed and str(session.scene.history.folder) in session.status.message, job.title
        assert "Unexpected" not in session.status.message
    assert session.do(jobs.Export()), session.status.message


def test_an_undone_edit_has_no_row(edited):
    assert edited.session.do(jobs.Undo())
    edited.tab.until(lambda: not _has_row(edited.tab, "ice ] {1}"), "the row to go")
    assert _has_row(edited.tab, "gold (old)")
    edited.session.do(jobs.Redo())
    edited.tab.until(lambda: _has_row(edited.tab, "ice ] {1}"), "the row to come back")


def _of_object(tab: Tab, object_id: int, label: str) -> dict:
    """An element of an object: its name, or the row of buttons in which one is called so, if that is shown."""
    near = [it for it in tab._by_id.values() if -object_id - 0.1 < it["order"] < -object_id + 0.1]
    (found,) = [it for it in near if it.get("label") == label or (label in it.get("options", ()) and it["visible"])]
    return found


@pytest.fixture()
def two_objects(live) -> Live:
    """Ball and floor, each with an edit of its own."""
    scene = live.session.scene
    history, state, ball = scene.history, scene.state, torch.arange(len(scene.gaussians)) < BALL
    for name, mask in (("a ball made of gold", ball), ("a floor made of ice", ~ball)):
        scene.select(jobs.Selection(mask.float(), name), name)
        before = {"features_dc": state.columns["features_dc"][mask]}
        after = {"features_dc": before["features_dc"] + 0.1}
        history.record(Delta.of_rows(state.ids[mask], before, after), name, prompt=name)
        state.columns["features_dc"][mask] = after["features_dc"]
    scene.tell("history")
    live.tab.until(lambda: _has_object(live.tab, "ball") and _has_object(live.tab, "floor"), "the objects")
    yield live
    while history.can_undo:
        scene.move(history.undo)


def _has_object(tab: Tab, name: str) -> bool:
    return any(it.get("label") == "Object" and it["value"] == name for it in list(tab._by_id.values()))


def test_each_object_is_selected_hidden_and_shown_by_its_own_row(two_objects):
    live, scene = two_objects, two_objects.session.scene
    for thing in objects_of(scene):
        original = _of_object(live.tab, thing.id, "Original look")
        live.tab._send(GuiUpdateMessage(original["id"], {"value": True}))
        assert live.asked() == [RestoreObject(thing.id)]
        for button, job in (("Select", SelectObject(thing.id)), ("Hide", ShowObject(thing.id, shown=False))):
            row = _of_object(live.tab, thing.id, button)
            live.tab._send(GuiUpdateMessage(row["id"], {"value": button}))
            assert live.asked() == [job]
    ball, floor = objects_of(scene)
    assert live.session.do(ShowObject(ball.id, shown=False)), live.session.status.message
    live.tab.until(lambda: "Show" in _of_object(live.tab, ball.id, "Select")["options"], "the eye of the ball to close")
    live.tab._send(GuiUpdateMessage(_of_object(live.tab, ball.id, "Show")["id"], {"value": "Show"}))
    assert live.asked() == [ShowObject(ball.id, shown=True)]
    assert "Hide" in _of_object(live.tab, floor.id, "Select")["options"]


def test_restyle_selects_the_object_and_brings_its_sentence_back(two_objects):
    live, (ball, _) = two_objects, objects_of(two_objects.session.scene)
    live.tab._send(GuiUpdateMessage(_of_object(live.tab, ball.id, "Restyle")["id"], {"value": "Restyle"}))
    assert live.asked() == [SelectObject(ball.id)]
    live.tab.until(lambda: live.tab.elements["Sentence"]["value"] == "a ball made of gold", "its sentence")


def test_an_object_is_called_what_somebody_calls_it_until_that_is_taken_away(two_objects):
    live, (ball, _) = two_objects, objects_of(two_objects.session.scene)
    field = _of_object(live.tab, ball.id, "Object")
    for typed, name in (("the moon", "the moon"), ("", "ball")):
        live.tab._send(GuiUpdateMessage(field["id"], {"value": typed}))
        live.tab.until(lambda name=name: objects_of(live.session.scene)[0].name == name, name)
    live.tab.until(lambda: _of_object(live.tab, ball.id, "Object")["value"] == "ball", "the field")


def test_edits_stand_below_their_object_the_newest_first(two_objects):
    live, scene = two_objects, two_objects.session.scene
    ball, floor = objects_of(scene)
    assert live.session.do(SelectObject(ball.id)) and live.session.do(ApplyGrade(Grade(brightness=0.5)))
    scene.settle()

    def places(text: str) -> list[float]:
        orders = ((live.tab._by_id[it]["order"], said) for it, said in list(live.tab.texts.items()))
        return [order for order, said in orders if text in html.unescape(said) and order < 0]

    names = ("a floor made of ice", "colors", "a ball made of gold")
    live.tab.until(lambda: all(map(places, names)), "the rows")
    of_floor, of_ball = (_of_object(live.tab, thing.id, "Object")["order"] for thing in (floor, ball))
    ice, colors, gold = (places(name)[0] for name in names)
    rows = [of_floor, ice, of_ball, colors, gold]
    assert rows == sorted(rows)


def test_an_idea_is_written_into_the_sentence(live):
    live.tab._send(GuiUpdateMessage(live.tab.elements["Ideas"]["id"], {"value": "carved from ice"}))
    live.tab.until(lambda: live.tab.elements["Sentence"]["value"] == "carved from ice", "the sentence")
    live.tab.until(lambda: live.tab.elements["Ideas"]["value"] == "...", "that it can be taken again")
    live.tab.press("Apply")
    assert live.asked()[0].prompt == "carved from ice"


def test_the_sliders_of_the_edge_stand_for_the_last_selection(live):
    scene = live.session.scene
    scene.select(jobs.Selection(torch.linspace(0, 1, len(scene.gaussians)), "soft"), "soft")
    for job, label, value in ((jobs.Threshold(0.5), "Threshold", 0.5), (jobs.Feather(0.2), "Feather %", 20.0)):
        assert live.session.do(job), live.session.status.message
        live.tab.until(lambda label=label, value=value: live.tab.elements[label]["value"] == value, label)
    live.tab.until(lambda: live.tab.elements["Threshold"]["value"] == 0.0, "the threshold to be of another time")
    live.session.do(jobs.SelectNothing())
    live.tab.until(lambda: live.tab.elements["Feather %"]["value"] == 0.0, "no feather")
    live.tab.set("Feather %", 10.0)
    assert live.asked() == [jobs.Feather(0.1)]


def test_sentence_quality_and_camera_are_left_for_the_next_session(live):
    desk = live.session.scene.desk
    live.tab.set("Sentence", "a bear made of rust")
    live.tab.set("Quality", "fine")
    live.tab.look_from(12.0)
    live.tab.until(lambda: (desk.camera or {}).get("position") == pytest.approx([0, 0, -1.2]), "the camera")
    assert desk.fields("a bear made of gold") == {"sentence": "a bear made of rust", "quality": "fine"}


def test_a_tab_that_opens_again_looks_from_where_one_was(live):
    live.tab.look_from(13.0)
    live.tab.until(lambda: live.session.scene.desk.camera["position"] == pytest.approx([0, 0, -1.3]), "the camera")
    known = set(live.shown.server.get_clients())
    other = Tab(live.shown.server)
    other.until(lambda: len(live.shown.server.get_clients()) > len(known), "the other tab")
    (client,) = (it for number, it in live.shown.server.get_clients().items() if number not in known)
    other.until(lambda: tuple(client.camera.position) == pytest.approx((0, 0, -13.0)), "the camera")
    other.close()
    live.tab.until(lambda: len(live.shown.server.get_clients()) == len(known), "the other tab to close")


def test_views_are_kept_and_come_back(live):
    (client,) = live.shown.server.get_clients().values()
    live.tab.look_from(17.0)
    live.tab.say(kind="bookmark", place="4", keep=True)
    live.tab.until(lambda: live.session.scene.desk.bookmark("4") is not None, "the bookmark")
    live.tab.look_from(10.0)
    live.tab.say(kind="bookmark", place="4", keep=False)
    live.tab.until(lambda: tuple(client.camera.position) == pytest.approx((0, 0, -17.0)), "the kept view")
    live.tab.say(kind="bookmark", place="0", keep=False)
    start = 10 * live.session.scene.cameras.centers[0].numpy()
    live.tab.until(lambda: client.camera.position == pytest.approx(start), "the first view")
    live.tab.look_from(10.0)


@pytest.mark.parametrize(
    ("label", "value", "field"),
    [("Hue", 40.0, "hue_degrees"), ("Saturation", 0.5, "saturation"), ("Brightness", 1.5, "brightness"),
     ("Contrast", 0.5, "contrast"), ("Temperature", -0.5, "temperature"), ("Tint", 0.5, "tint"),
     ("Evenness", 0.5, "evenness"), ("Opacity", 0.25, "opacity")],
)  # fmt: skip
def test_sliders_of_colors_say_what_they_say(live, label, value, field):
    live.tab.set(label, value)
    (asked,) = live.asked()
    assert asked == ApplyGrade(replace(Grade(), **{field: value}, tint_color=asked.grade.tint_color))
    assert asked.grade.tint_color == pytest.approx(Grade().tint_color, abs=1 / 255)
    live.tab.press("Reset the sliders")
    assert live.asked()[-1].grade.is_neutral


def test_sliders_of_colors_stand_for_the_last_step_or_for_nothing(live):
    session, count = live.session, len(live.session.scene.gaussians)
    session.scene.select(jobs.Selection(torch.ones(count), "all of it"), "all of it")
    assert session.do(ApplyGrade(Grade(saturation=0.5))), session.status.message
    session.scene.settle()
    live.tab.until(lambda: live.tab.elements["Saturation"]["value"] == 0.5, "the slider")
    assert session.do(jobs.Undo())
    live.tab.until(lambda: live.tab.elements["Saturation"]["value"] == 1.0, "the slider to go back")
    session.do(jobs.Undo())


def test_colors_and_exports_say_and_show_what_they_are_of(two_objects):
    """By the name that somebody gave it, and as it looks."""
    live, (ball, floor) = two_objects, objects_of(two_objects.session.scene)
    live.session.scene.desk.rename(ball.id, "the moon")
    assert live.session.do(SelectObject(ball.id)), live.session.status.message

    def said(start: str) -> str:
        return next((text for text in live.tab.texts.values() if start in html.unescape(text)), "")

    live.tab.until(lambda: bool(said("Colors of **the moon**.") and said("The selection is **the moon**.")), "its name")
    assert all(
        "<img" in said(start) for start in ("Colors of", "The selection is")
    ) and "**Selected:** the moon" in html.unescape(" ".join(live.tab.texts.values()))
    most = (torch.arange(len(live.session.scene.gaussians)) < BALL - 40).float()
    live.session.scene.select(jobs.Selection(most, "the grey thing without its base"), "less of it")
    live.tab.until(lambda: live.tab.says("**Selected:** the moon: the grey thing without its base."), "that it is less")
    assert live.session.do(ShowObject(floor.id, shown=False))
    live.tab.until(lambda: bool(said("Hidden, and left out: floor.")), "what is left out")


def test_a_video_has_the_name_of_the_file(live):
    live.tab.set("File", "my bear")
    live.tab.press("Write video")
    assert live.asked() == [Film("my bear")]


@pytest.mark.parametrize("what", ["scene", "selection", "rest"])
@pytest.mark.parametrize("format", ["ply", "spz", "splat"])
def test_each_button_writes_what_it_says_in_the_format_that_was_chosen(live, what, format):
    live.tab.set("Format", format)
    live.tab.press(f"Write {what}")
    assert live.asked() == [jobs.Export(what, format, "")]
    live.tab.set("File", "my bear")
    live.tab.press(f"Write {what}")
    assert live.asked() == [jobs.Export(what, format, "my bear")]


@pytest.mark.parametrize("closed", [False, True])
def test_an_export_is_given_to_the_tab_that_asked_for_it(live, closed):
    """Whole, and to no other tab; one that was closed meanwhile is no reason to fail."""
    asking, exports = Tab(live.shown.server), live.session.scene.folder / "exports"
    asking.until(lambda: "Write scene" in asking.elements, "the whole panel")
    asking.set("File", "given")
    asking.press("Write scene")
    (asked,) = live.asked()
    if closed:
        asking.close()
        live.tab.until(lambda: len(live.shown.server.get_clients()) == 1, "one tab")
    assert live.session.do(asked), live.session.status.message
    if closed:
        assert str(exports) in live.session.status.message
    else:
        asking.until(lambda: asking.downloads.get("given.ply") == (exports / "given.ply").read_bytes(), "the file")
        assert "given.ply, in the downloads" in live.session.status.message
        asking.close()
        live.tab.until(lambda: len(live.shown.server.get_clients()) == 1, "one tab")
    assert not live.tab.downloads


def test_a_sky_is_chosen_by_the_button_under_its_picture(live):
    """Three in a row, all of them of one menu."""
    rows = [it for it in live.tab._by_id.values() if {"Sunset", "Studio"} & set(it.get("options", ()))]
    assert [name.lower() for row in rows for name in row["options"]] == list(SKIES)
    live.tab._send(GuiUpdateMessage(rows[0]["id"], {"value": "Sunset"}))
    assert live.asked() == [SetSky("sunset")]


def test_save_saves(live):
    live.tab.press("Save session")
    assert live.asked() == [jobs.Save()]


# --- what is said ----------------------------------------------------------------------------------------------------


def test_what_was_said_last_is_what_stays(live):
    """viser sends later what comes while somebody is sending, and lets what comes after that overtake it."""
    for number in range(30):
        with live.shown.server.atomic():
            live.session.say(f"first {number}")
        live.session.say(f"last {number}")
        live.tab.until(lambda said=f"last {number}": live.tab.says(said), "what was said last")
    time.sleep(0.2)
    assert live.tab.says("last 29")


def test_edited_pictures_stand_in_the_frustums_until_the_edit_is_taken_back(live):
    """And none stands where tabs begin, for it would cover the scene."""
    scene, viewer = live.session.scene, live.shown.viewer
    assert 0 not in viewer.camera_handles and 1 in viewer.camera_handles

    def picture() -> bytes:
        return live.tab.nodes["/cameras/camera_00001"]["image_binary"]

    photograph = picture()
    scene.pictures = {1: torch.full((48, 48, 3), 200, dtype=torch.uint8)}
    scene.tell("pictures")
    live.tab.until(lambda: picture() != photograph, "the edited picture")
    edited = picture()
    live.tab.press("Show Train Cams")
    live.tab.until(lambda: live.tab.nodes["/cameras/camera_00001"]["visible"], "the frustums")
    scene.move(lambda state: state)
    live.tab.until(lambda: not live.tab.nodes["/cameras/camera_00001"]["visible"], "the frustums to go")
    live.tab.until(lambda: picture() != edited, "the photograph")


def test_the_panel_tells_what_the_session_does_and_how_much_is_selected(live):
    weights = (torch.arange(len(live.session.scene.gaussians)) < 42).float()
    live.session.scene.select(jobs.Selection(weights, "forty-two"), "forty-two")
    live.tab.until(lambda: live.tab.says("**Selected:** forty-two."), "the object")
    live.tab.until(lambda: live.tab.says("42 of 300 splats are selected, 14.0%."), "how much of the scene")

    def times() -> int:
        return sum("forty-two" in html.unescape(text) for text in list(live.tab.texts.values()))

    live.tab.until(lambda: times() == 4, "the colors, the files and the step of the history")
    live.session.say("something happened")
    live.tab.until(lambda: live.tab.says("something happened"), "the message")


# --- who may use it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "origin", "comes_in"),
    [(None, None, True), (None, "http://127.0.0.1:{}", True), ("localhost:{}", "http://localhost:{}", True),
     (None, "https://evil.example", False), (None, "http://127.0.0.1:1", False), (None, "null", False),
     ("evil.example:{}", "http://evil.example:{}", False), ("evil.example:{}", None, False)],
)  # fmt: skip
def test_only_its_own_page_may_drive_a_session(live, host, origin, comes_in):
    port = live.shown.server.get_port()
    key = base64.b64encode(bytes(16)).decode()
    lines = ["GET / HTTP/1.1", f"Host: {(host or '127.0.0.1:{}').format(port)}", "Connection: Upgrade",
             "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]  # fmt: skip
    lines += [f"Origin: {origin.format(port)}"] if origin else []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = client.recv(12).decode()
    assert answer == ("HTTP/1.1 101" if comes_in else "HTTP/1.1 403")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_the_page_does_not_lower_the_resolution_of_the_scene_for_ever(live, encoding):
    """As viser's would where it draws slowly; this is what its script says now."""
    (script,) = Path(viser.__file__).parent.glob("client/build/assets/index-*.js")
    assert b"devicePixelRatio*(.2+.8*" in script.read_bytes(), (
        "viser's page has changed: look for setDpr in its sources"
    )
    request = urllib.request.Request(f"http://127.0.0.1:{live.shown.server.get_port()}/assets/{script.name}")
    request.add_header("Accept-Encoding", encoding)
    with urllib.request.urlopen(request) as answer:
        served = answer.read()
        zipped = answer.headers["Content-Encoding"] == "gzip"
    served = gzip.decompress(served) if zipped else served
    assert zipped == (encoding == "gzip") and b"devicePixelRatio*(.2+.8*" not in served
    assert abs(len(served) - script.stat().st_size) < 10


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("localhost", 200), ("evil.example", 403)])
def test_the_page_itself_is_given_to_this_machines_names_alone(live, host, status):
    port = live.shown.server.get_port()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert client.recv(12).decode() == f"HTTP/1.1 {status}"
