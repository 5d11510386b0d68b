"""Each control of the live panel reaches the job it is for, as whoever uses it has set it.

A tab says over the websocket what a page would say; the session does not run, so that what was asked for can be read.
"""

import base64
import socket
import time
from dataclasses import dataclass, field

import pytest
import torch

from fasttext2style.history.delta import Delta
from fasttext2style.live import jobs
from fasttext2style.live.session import Job, LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle
from fasttext2style.plugin.viewer.run_live import open_session
from fasttext2style.plugin.viewer.viewer import LiveViewer
from fasttext2style.scene.files.ply import write_ply
from tests.ball import BALL, ball_on_floor
from tests.plugin.hosts import make_capture, style_config
from tests.plugin.tab import ASPECT, Tab

COMBINATIONS = ("add", "take away", "keep common", "new")
ORIGIN, DIRECTION = (0.1, 0.2, 0.3), (0.0, 0.6, 0.8)
"""Of the mouse's ray, in the scene's coordinates; viser's are ten times as large."""
SEGMENTER = "a segmenter"


@dataclass
class Live:
    """A session that waits, its viewer, and somebody who has it open."""

    session: LiveSession
    shown: LiveViewer
    tab: Tab
    defaults: dict = field(default_factory=dict)

    def asked(self, count: int = 1) -> list[Job]:
        """What was asked for since the last time."""
        self.tab.until(lambda: len(self.session.status.waiting) >= count, f"{count} jobs")
        asked = list(self.session._jobs)
        self.session.stop()
        return asked

    def click(self) -> None:
        self.tab.click(tuple(10 * value for value in ORIGIN), DIRECTION)

    def use(self, tool: str, pointer: str) -> None:
        """Choose a tool of the mouse; returns when the page knows what to send."""
        self.tab.set("Mouse", tool)
        self.tab.until(lambda: self.shown.server.scene._scene_pointer_event_type == pointer, f"the tool {tool}")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    config = style_config(make_capture(folder / "capture"), folder)
    write_ply(folder / "scene.ply", ball_on_floor())
    config.load_ply, config.live, config.vis = folder / "scene.ply", True, "viewer"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        config.viewer.websocket_port = free.getsockname()[1]
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    session, shown = open_session(trainer, trainer.history(), trainer.live_action(), "a bear made of gold", SEGMENTER)
    tab = Tab(shown.server)
    tab.until(lambda: "Write file" in tab.elements, "the whole panel")
    values = {label: element.get("value") for label, element in tab.elements.items()}
    yield Live(session, shown, tab, values)
    tab.close()
    shown.close()
    shown.server.stop()


SETTINGS = ("Mouse", "Then", "Tolerance", "Highlight", "Name", "Sentence", "Strength", "Quality", "Changes", "Show",
            "Export", "Format")  # fmt: skip


@pytest.fixture()
def live(opened) -> Live:
    """Everything set as at first, nothing asked for."""
    for label in SETTINGS:
        opened.tab.set(label, opened.defaults[label])
    opened.session.stop()
    return opened


# --- 1. point at the object ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [0.5, 6.0])
@pytest.mark.parametrize("combine", COMBINATIONS)
@pytest.mark.parametrize(("tool", "job"), [("click", jobs.Click), ("color", jobs.SelectColor)])
def test_a_click_into_the_scene_uses_the_tool_the_combination_and_the_tolerance(live, tool, job, combine, tolerance):
    live.use(tool, "click")
    live.tab.set("Then", combine)
    live.tab.set("Tolerance", tolerance)
    live.click()
    (asked,) = live.asked()
    assert type(asked) is job and (asked.combine, asked.tolerance) == (combine, tolerance)
    assert asked.origin == pytest.approx(ORIGIN) and asked.direction == pytest.approx(DIRECTION)


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_a_rectangle_is_that_of_the_tab_in_which_it_was_drawn(live, combine):
    live.use("rectangle", "rect-select")
    live.tab.set("Then", combine)
    live.tab.look_from(14.0)
    live.tab.drag((0.75, 0.2), (0.25, 0.6))
    (asked,) = live.asked()
    assert type(asked) is jobs.SelectRectangle and asked.combine == combine
    camera = asked.camera
    assert camera.width / camera.height == pytest.approx(ASPECT, rel=0.01)
    torch.testing.assert_close(camera.centers[0], torch.tensor([0.0, 0.0, -1.4]))
    sides = (camera.width, camera.height, camera.width, camera.height)
    assert asked.corners == pytest.approx([share * side for share, side in zip((0.25, 0.2, 0.75, 0.6), sides)])


def test_looking_around_asks_for_nothing(live):
    live.tab.set("Mouse", "look around")
    live.tab.until(lambda: live.shown.server.scene._scene_pointer_event_type is None, "no tool")
    live.click()
    live.tab.press("Save")
    assert live.asked() == [jobs.Save()]


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_find_it_and_by_name_are_combined_as_asked(live, combine):
    live.tab.set("Then", combine)
    live.tab.press_one_of("Or", "Find it")
    assert live.asked() == [jobs.SelectAutomatic(combine)]
    live.tab.set("Name", "the blue crate")
    live.tab.press("Select")
    assert live.asked() == [jobs.SelectText("the blue crate", SEGMENTER, combine)]


@pytest.mark.parametrize(
    ("group", "button", "job"),
    [
        ("Or", "All", jobs.SelectEverything()),
        ("Or", "Clear", jobs.SelectNothing()),
        ("Size", "Grow", jobs.Reshape("grow")),
        ("Size", "Shrink", jobs.Reshape("shrink")),
        ("Shape", "Invert", jobs.Reshape("invert")),
        ("Shape", "Largest", jobs.Reshape("largest part")),
        ("Steps", "Undo", jobs.Undo()),
        ("Steps", "Redo", jobs.Redo()),
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


@pytest.mark.parametrize("strength", [0.3, 1.7])
@pytest.mark.parametrize("quality", PRESETS)
@pytest.mark.parametrize("form", ["colors", "colors and form"])
def test_apply_takes_sentence_strength_quality_and_what_changes(live, strength, quality, form):
    live.tab.set("Sentence", "a bear made of ice")
    live.tab.set("Strength", strength)
    live.tab.set("Quality", quality)
    live.tab.set("Changes", form)
    live.tab.press("Apply")
    (asked,) = live.asked()
    assert type(asked) is ApplyStyle
    assert (asked.prompt, asked.strength, asked.preset, asked.form) == ("a bear made of ice", strength, quality, form)


def test_the_sentence_of_the_command_line_stands_there_at_first(live):
    live.tab.press("Apply")
    assert live.asked()[0].prompt == "a bear made of gold"


def test_stop_forgets_what_waits(live):
    live.tab.press_one_of("Or", "All")
    live.tab.until(lambda: bool(live.session.status.waiting), "a job")
    live.tab.press("Stop")
    live.tab.until(lambda: not live.session.status.waiting, "nothing to wait")


# --- 3. compare, history, keep ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "output", "split"),
    [("before", "before", False), ("after | before", "rgb", True), ("after", "rgb", False)],
)
def test_show_chooses_what_the_viewer_renders(live, choice, output, split):
    live.tab.set("Show", "before" if choice == "after" else "after")
    live.tab.set("Show", choice)
    panel = live.shown.viewer.control_panel
    live.tab.until(lambda: (panel.output_render, panel.split) == (output, split), choice)


def test_what_a_control_cannot_do_is_said_in_the_panel(live):
    """Before the first edit."""
    live.tab.press("Take this step out")
    live.tab.until(lambda: live.tab.says("There is no finished edit yet"), "the error")
    assert not live.session.status.waiting


@pytest.fixture()
def edited(live) -> Live:
    """Two finished edits; the page offers both."""
    history, ids = live.session.scene.history, live.session.scene.state.ids
    for name in ("gold", "ice"):
        column = live.session.scene.state.columns["features_dc"]
        painted = column + 0.1
        history.record(Delta.of_rows(ids, {"features_dc": column}, {"features_dc": painted}), name, prompt=name)
        column.copy_(painted)
    live.session.scene.tell("history")
    steps = [f"{step.id}. {step.name}" for step in history.steps if step.kind == "edit"][::-1]
    live.tab.until(lambda: tuple(live.tab.elements["Step"]["options"]) == tuple(steps), "the steps to be offered")
    return live


def test_a_finished_edit_is_weakened_and_taken_out(edited):
    older = edited.tab.elements["Step"]["options"][1]
    edited.tab.set("Step", older)
    number = int(older.split(".")[0])
    edited.tab.set("Strength ", 0.4)
    assert edited.asked() == [jobs.Blend(number, 0.4)]
    edited.tab.press("Take this step out")
    assert edited.asked() == [jobs.Blend(number, 0.0)]


@pytest.mark.parametrize("what", ["scene", "selection", "rest"])
@pytest.mark.parametrize("format", ["ply", "spz", "splat"])
def test_write_file_exports_what_was_chosen_in_the_format_that_was_chosen(live, what, format):
    live.tab.set("Export", what)
    live.tab.set("Format", format)
    live.tab.press("Write file")
    assert live.asked() == [jobs.Export(what, format)]


def test_save_saves(live):
    live.tab.press("Save")
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


def test_the_panel_tells_what_the_session_does_and_how_much_is_selected(live):
    weights = (torch.arange(len(live.session.scene.gaussians)) < 42).float()
    live.session.scene.select(jobs.Selection(weights, "forty-two"), "forty-two")
    live.tab.until(lambda: live.tab.says("**42** of 300 Gaussians (forty-two)"), "the object")
    assert live.tab.says("*object:* forty-two"), "a step of the history"
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


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("localhost", 200), ("evil.example", 403)])
def test_the_page_itself_is_given_to_this_machines_names_alone(live, host, status):
    port = live.shown.server.get_port()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert client.recv(12).decode() == f"HTTP/1.1 {status}"
