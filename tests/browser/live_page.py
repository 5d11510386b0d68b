"""The page of a live session as a person uses it: looks, clicks, types, presses; through a headless Chromium."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--use-gl=angle", "--use-angle=swiftshader"),
    *("--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--disable-background-networking", "--no-first-run"),
    "--disable-gpu-compositing",
]
FEWER_FRAMES = """(() => {
    const [draw, cancel] = [window.requestAnimationFrame.bind(window), window.cancelAnimationFrame.bind(window)];
    const waiting = new Map();
    let touched = 0, last = 0;
    const begin = id => { const frame = waiting.get(id); waiting.delete(id); if (frame) draw(frame); };
    const touch = () => { touched = performance.now(); [...waiting.keys()].forEach(begin); };
    for (const kind of ["pointerdown", "pointermove", "pointerup", "wheel", "keydown"])
        window.addEventListener(kind, touch, true);
    window.requestAnimationFrame = frame => {
        if (performance.now() < touched + 700) return draw(frame);
        const id = --last;
        waiting.set(id, frame);
        window.setTimeout(() => begin(id), 100);
        return id;
    };
    window.cancelAnimationFrame = id => id < 0 ? waiting.delete(id) : cancel(id);
    const context = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, wishes) {
        return context.call(this, kind, {...wishes, antialias: false});
    };
})()"""
"""viser's page draws whenever the screen could: in software that takes a core, a tenth of a second a frame. This page
draws so while it is touched, and else twice a second."""
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
WIDTH, HEIGHT = 1000, 695
_PANEL, _TITLE = 322, 0
_WITHOUT_HINTS = "[role=tooltip], .mantine-Notification-root { display: none !important; }"
"""They stand over the scene, hints while the mouse rests on an element, notifications for some seconds."""


class LivePage:
    """One tab."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.page: Page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        self.page.add_init_script(FEWER_FRAMES)
        self._sharp = False
        """The last picture that came was one of a scene at rest."""
        self._came = time.monotonic()
        """When it came."""
        self._glanced = (0.0, np.zeros((1, 1, 3), np.float32))
        self._complaints: list[str] = []
        """What the page wrote to its console as warnings and errors."""
        self.page.on("console", lambda line: line.type in ("warning", "error") and self._complaints.append(line.text))
        self.page.on("pageerror", lambda error: self._complaints.append(str(error)))
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._look_at_size))
        self.page.goto(address)
        self._wait_until_open()

    def reload(self) -> None:
        self._sharp = False
        self.page.reload()
        self._wait_until_open()

    def _wait_until_open(self, once_more: bool = True) -> None:
        self.page.get_by_text("Point at the object").first.wait_for(timeout=180_000)
        self.wait_for(lambda: self._lost_its_context() or float(self.picture().std()) > 8, 180, "a first render")
        if once_more and self._lost_its_context():
            # In software that happens to a busy machine; nothing of the page draws any more, as a person would see.
            self._complaints.clear()
            self.page.reload()
            return self._wait_until_open(once_more=False)
        self.settled()

    def _lost_its_context(self) -> bool:
        return any("Context Lost" in line or "WebGL context" in line for line in self._complaints)

    def close(self) -> None:
        if not self.page.is_closed():
            self.page.close()

    # --- what one sees ------------------------------------------------------------------------------------------------

    def picture(self) -> np.ndarray:
        """[height, width, 3] the scene as it is shown, in 0 to 255, without the panel."""
        clip = {"x": 0, "y": _TITLE, "width": WIDTH - _PANEL, "height": HEIGHT - _TITLE}
        shot = self.page.screenshot(clip=clip, style=_WITHOUT_HINTS)
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=np.float32)

    def glance(self) -> np.ndarray:
        """As it was shown within the last second, if no picture came since: in software a screenshot takes long."""
        taken, picture = self._glanced
        if time.monotonic() > taken + 1 or self._came > taken:
            taken = time.monotonic()
            picture = self.picture()
            self._glanced = taken, picture
        return picture

    def _look_at_size(self, told: bytes | str) -> None:
        if isinstance(told, bytes) and b"BackgroundImageMessage" in told:
            picture = Image.open(io.BytesIO(told[told.index(b"\xff\xd8\xff") :]))
            self._sharp, self._came = max(picture.size) > 1000, time.monotonic()

    def settled(self, seconds: float = 180, rest: float = 1.0) -> np.ndarray:
        """The picture once none came for `rest` seconds: full resolution, nothing on its way or before it."""
        self.page.evaluate("document.querySelectorAll('.mantine-Notification-closeButton').forEach((it) => it.click())")
        self.wait_for(lambda: not self.says("That did not work"), 60, "notifications to close")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.page.wait_for_timeout(100)
            came = self._came
            if self._sharp and time.monotonic() > came + rest:
                picture = self.picture()
                if came == self._came:
                    return picture
        raise AssertionError("the picture does not come to rest")

    def differs(self, picture: np.ndarray, least: float, part: Any = np.s_[:]) -> np.ndarray:
        """The picture at rest once one sees something else, by at least this mean difference of 255.

        A session says that something is done before the picture of it has come; until then the old one is at rest, too.
        """
        self.wait_for(lambda: difference(self.glance()[part], picture[part]) > least, 60, "something else to be seen")
        return self.settled()

    def becomes(self, picture: np.ndarray, most: float) -> None:
        """Wait until one sees what was seen before, up to this mean difference of 255."""
        seen = [float("inf")]

        def as_before() -> bool:
            seen.append(difference(self.glance(), picture))
            return seen[-1] < most

        try:
            self.wait_for(as_before, 60, "what was seen before")
        except AssertionError as error:
            Image.fromarray(picture.astype(np.uint8)).save(SCREENSHOTS / "failed_before.png")
            raise AssertionError(f"{error}: {seen[-1]:.2f} from failed_before.png, at most {most}") from error

    def says(self, text: str | re.Pattern[str]) -> bool:
        """Whether a text stands somewhere on the page, visibly."""
        return any(found.is_visible() for found in self.page.get_by_text(text).all())

    def found(self, pattern: re.Pattern[str]) -> float:
        """The number that stands in a text; 0 if there is no such text."""
        found = pattern.search(self.page.locator("body").inner_text())
        return float(found[1]) if found else 0.0

    def pictures(self) -> int:
        """How many pictures the panel shows that have arrived."""
        return self.page.evaluate(
            "[...document.querySelectorAll('img')].filter(it => it.offsetParent && it.naturalWidth > 1).length"
        )

    def place_of(self, button: str) -> Any:
        """Where a button stands in the window: x, y, width and height."""
        return self.page.get_by_role("button", name=button, exact=True).locator("visible=true").first.bounding_box()

    def lies_in_sight(self, button: str) -> bool:
        """The whole of a button stands in the window, without scrolling, and nothing before it."""
        found = self.page.get_by_role("button", name=button, exact=True).locator("visible=true").first
        return found.evaluate("""(it) => {
            const {left, top, right, bottom} = it.getBoundingClientRect();
            const inside = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
            return inside && it.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2));
        }""")

    def can_be_pressed(self, button: str) -> bool:
        return self.page.get_by_role("button", name=button, exact=True).locator("visible=true").first.is_enabled()

    def scroll_panel(self, top: float) -> None:
        """So many pixels from its beginning, or to its end, whichever comes first."""
        self.page.evaluate(
            "(top) => document.querySelectorAll('*').forEach((it) => it.scrollTo({top, behavior: 'instant'}))", top
        )

    def value(self, label: str) -> str:
        """What stands in a field."""
        return self._field(label).input_value()

    def panel_fits(self) -> bool:
        """Nothing in the panel is wider than the panel."""
        return self.page.evaluate(
            "[...document.querySelectorAll('.mantine-ScrollArea-viewport')].every("
            "it => it.scrollWidth <= it.clientWidth + 1)"
        )

    def wait_for_text(self, text: str | re.Pattern[str], seconds: float) -> None:
        self.wait_for(lambda: self.says(text), seconds, f"the text {text!r}")

    def keep(self, name: str) -> None:
        """Keep a screenshot of the page."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def wait_for(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Seconds until a condition held."""
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            if condition():
                return time.monotonic() - started
            self.page.wait_for_timeout(100)
        self.keep("failed")
        said = f"; the page complained of {self._complaints[-5:]}" if self._complaints else ""
        raise AssertionError(f"waited {seconds:.0f} s for {what}; see {SCREENSHOTS / 'failed.png'}{said}")

    # --- what one does ------------------------------------------------------------------------------------------------

    def click_scene(self, x: float, y: float) -> None:
        """Click into the scene, at shares of its width and height."""
        self.page.mouse.click(x * (WIDTH - _PANEL), _TITLE + y * (HEIGHT - _TITLE))

    def drag_scene(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.page.mouse.move(x0 * (WIDTH - _PANEL), _TITLE + y0 * (HEIGHT - _TITLE))
        self.page.mouse.down()
        self.page.mouse.move(x1 * (WIDTH - _PANEL), _TITLE + y1 * (HEIGHT - _TITLE), steps=8)
        self.page.mouse.up()

    def press(self, button: str, number: int = 0) -> None:
        """Press a button; of several that are called so the one of this number, from the top."""
        # Not by the mouse: where buttons come and go, playwright scrolls the whole page to follow them.
        self.page.get_by_role("button", name=button, exact=True).locator("visible=true").nth(number).evaluate(
            "it => it.click()"
        )

    def unfold(self, folder: str) -> None:
        self.page.get_by_text(folder, exact=True).locator("visible=true").first.click()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def type(self, label: str, text: str) -> None:
        field = self._field(label)
        field.fill(text)
        field.blur()

    def click_into(self, label: str) -> None:
        """Begin to write in a field."""
        self._field(label).click()

    def type_over(self, label: str, text: str) -> None:
        """Letter by letter, in place of what stands in a field, and Enter."""
        self._field(label).click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def enter(self, label: str) -> None:
        """Press Enter in a field."""
        self._field(label).press("Enter")

    def choose(self, label: str, option: str) -> None:
        self._field(label).click()
        self.page.locator("[role=option]:visible").filter(has=self.page.get_by_text(option, exact=True)).first.click()

    def _field(self, label: str):
        """The input in the row of a label (viser's labels point nowhere)."""
        row = self.page.locator(f'label:visible:text-is("{label}")').first
        return row.locator("xpath=ancestor::*[.//input][1]").locator("input:visible").first


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean over all pixels and channels, of 255."""
    return float(np.abs(one - other).mean())
