"""What page.js makes of keys and of the mouse: on a page with nothing but the elements of viser's that it looks for.

That these are the elements of viser's page is for `test_live_editing.py`, which uses some of them there.
"""

import json

import pytest

from fasttext2style.panel.page import page_script

pytestmark = pytest.mark.browser

SCRIPT = page_script()
BUTTONS = ("Select by words", "Apply", "Undo", "Redo", "Stop", "Pause", "Restyle")
HTML = f"""<canvas data-engine="three" width="400" height="200" style="position: fixed; left: 0; top: 0"></canvas>
<div style="position: fixed; left: 500px">
  <div><div><label>page</label><div><input id="page"></div></div></div>
  <div><div><label>Sentence</label><div><input id="sentence" value="gold"></div></div></div>
  <div><div><label>Words</label><div><input id="words" value="blue"></div></div></div>
  <input id="color" class="mantine-ColorInput-input" value="#ffbf4d">
  <button role="tab" aria-selected="true">Edit</button><button role="tab" aria-selected="false">Colors</button>
  <button role="tab">Export</button><button><svg class="tabler-icon-chevron-right"></svg>Hide</button>
  {"".join(f"<button>{label}</button>" for label in BUTTONS)}
</div>
<script>
  window.pressed = []; window.said = []; window.colors = [];
  for (const it of document.querySelectorAll("button")) it.onclick = () => pressed.push(it.textContent);
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const it of tabs)
    it.addEventListener("click", () => tabs.forEach((other) => other.setAttribute("aria-selected", other === it)));
  for (const kind of ["input", "change"])
    document.querySelector("#color").addEventListener(kind, (event) => colors.push(event.target.value));
  document.querySelector("#page").addEventListener("input", (event) => said.push(JSON.parse(event.target.value)));
</script>"""


@pytest.fixture(scope="module")
def tab(browser):
    tab = browser.new_page()
    yield tab
    tab.close()


@pytest.fixture()
def page(tab):
    tab.goto("about:blank")
    tab.set_content(HTML)
    tab.add_script_tag(content=SCRIPT)
    return tab


def _said(page, count: int = 1) -> list[dict]:
    """What the server was told, without the numbers."""
    page.wait_for_function("(count) => said.length >= count", arg=count, timeout=5000)
    return [{name: it for name, it in message.items() if name != "number"} for message in page.evaluate("said")]


def _tell(page, **state) -> None:
    page.evaluate(f"ft2s.set({json.dumps(state)})")


def test_what_a_second_tab_says_is_never_what_the_first_one_said(tab):
    """viser passes over a text that its field holds already, and does not ask whose it was."""
    said = []
    for _ in range(2):
        tab.goto("about:blank")
        tab.set_content(HTML)
        tab.add_script_tag(content=SCRIPT)
        tab.mouse.click(100, 100)
        _said(tab)
        said.append(tab.evaluate("said[0]"))
    assert said[0] != said[1]


@pytest.mark.parametrize(
    ("key", "button"),
    [("Control+Enter", "Apply"), ("Escape", "Stop"), ("p", "Pause"), ("h", "Hide")],
)  # fmt: skip
def test_a_key_presses_its_button(page, key, button):
    page.keyboard.press(key)
    assert page.evaluate("pressed") == [button]


@pytest.mark.parametrize(("field", "button"), [("sentence", "Apply"), ("words", "Select by words")])
def test_enter_in_a_field_does_what_it_is_for_once_it_was_sent(page, field, button):
    page.evaluate("""() => {
        const push = pressed.push.bind(pressed);
        addEventListener("keydown", () => { window.began = performance.now(); }, true);
        pressed.push = (label) => { window.waited = performance.now() - window.began; return push(label); };
    }""")
    page.locator(f"#{field}").press("Enter")
    page.wait_for_function("pressed.length", timeout=5000)
    assert page.evaluate("waited") > 100, "viser is still sending the last letters"
    assert page.evaluate("[pressed, document.activeElement.id]") == [[button], ""]


@pytest.mark.parametrize(("tool", "cursor"), [("lasso", "crosshair"), ("brush", "crosshair"), ("click", "auto")])
def test_one_sees_whether_a_drag_will_draw(page, tool, cursor):
    _tell(page, tool=tool)
    assert page.evaluate("document.querySelector('canvas[data-engine]').style.cursor") == cursor


def test_one_draws_where_the_tools_are_and_turns_the_view_elsewhere(page):
    _tell(page, tool="lasso")
    cursor = "document.querySelector('canvas[data-engine]').style.cursor"
    page.get_by_role("tab", name="Colors").click()
    page.wait_for_function(f"{cursor} === 'auto'", timeout=5000)
    page.mouse.move(100, 50)
    page.mouse.down()
    page.mouse.move(300, 100, steps=4)
    page.mouse.up()
    page.mouse.click(200, 100)
    assert _said(page) == [{"kind": "click", "drawing": "click", "combine": "", "points": [[0.5, 0.5]]}]
    page.keyboard.press("b")  # whoever asks for a tool is where the tools are
    page.wait_for_function(f"{cursor} === 'crosshair'", timeout=5000)
    assert page.get_by_role("tab", name="Edit").get_attribute("aria-selected") == "true"


@pytest.mark.parametrize(
    ("typed", "colors"),
    [("#0a141e", ["#0a141e"]), ("navy", ["#000080"]), ("#f00", ["#ff0000"]), ("no color", []), ("#12", []), ("", [])],
)
def test_a_color_is_told_when_it_is_one(page, typed, colors):
    """viser makes no numbers of half a code."""
    page.locator("#color").fill("")
    page.locator("#color").press_sequentially(typed)
    page.locator("#color").press("Enter")
    (color,) = colors or ["#ffbf4d"]
    page.wait_for_function("(color) => document.querySelector('#color').value === color", arg=color, timeout=5000)
    assert set(page.evaluate("colors")) == {color}


def test_nerfstudios_export_is_out_of_sight(page):
    page.evaluate("document.body.append(document.createElement('p'))")  # as a page that is being built
    page.get_by_role("tab", name="Export").wait_for(state="hidden", timeout=5000)
    assert page.get_by_role("tab", name="Edit").is_visible()


@pytest.mark.parametrize("key", ["z", "p", "c", "[", "1", "?", "f", "h"])
def test_what_is_typed_into_a_field_is_text(page, key):
    page.locator("#sentence").press(key)
    page.wait_for_timeout(200)
    assert page.evaluate("[pressed, said, !!document.querySelector('.ft2s-help')]") == [[], [], False]
    assert key in page.locator("#sentence").input_value()


@pytest.mark.parametrize(
    ("key", "message"),
    [*((key, {"kind": "tool", "tool": tool}) for key, tool in
       {"c": "click", "k": "color", "r": "rectangle", "l": "lasso", "b": "brush", "v": "look around"}.items()),
     ("[", {"kind": "size", "larger": False}), ("]", {"kind": "size", "larger": True}), ("f", {"kind": "frame"}),
     *((key, {"kind": "undo"}) for key in ("Control+z", "Meta+z")),
     *((key, {"kind": "redo"}) for key in ("Control+Shift+z", "Control+y")),
     ("3", {"kind": "bookmark", "place": "3", "keep": False}),
     ("Shift+Digit3", {"kind": "bookmark", "place": "3", "keep": True})],
)  # fmt: skip
def test_a_key_tells_the_server(page, key, message):
    page.keyboard.press(key)
    assert _said(page) == [message]


@pytest.mark.parametrize(("key", "combine"), [("Shift", "add"), ("Alt", "take away"), (None, "")])
@pytest.mark.parametrize("tool", ["click", "color", "lasso"])
def test_a_click_says_itself_what_key_was_held(page, tool, key, combine):
    """In one message: the key, let go at once, cannot be missed."""
    _tell(page, tool=tool)
    if key:
        page.keyboard.down(key)
    page.mouse.click(200, 100)
    if key:
        page.keyboard.up(key)
    assert _said(page) == [{"kind": "click", "drawing": tool, "combine": combine, "points": [[0.5, 0.5]]}]


def test_a_click_may_tremble_and_no_more(page):
    for away, clicks in ((3, 1), (5, 1), (-4, 1)):
        page.mouse.move(200, 100)
        page.mouse.down()
        page.mouse.move(200, 100 + away)
        page.mouse.move(200, 100)  # there and back is a drag, too
        page.mouse.up()
        page.wait_for_timeout(100)
        assert len(_said(page)) == clicks


@pytest.mark.parametrize("button", ["right", "middle"])
def test_other_buttons_are_for_the_camera(page, button):
    page.mouse.click(200, 100, button=button)
    page.wait_for_timeout(100)
    assert page.evaluate("said") == []


def test_what_viser_has_to_click_on_is_its_own(page):
    """It shows a hand over a camera's picture."""
    page.evaluate("document.body.style.cursor = 'pointer'")
    page.mouse.click(200, 100)
    page.wait_for_timeout(100)
    assert page.evaluate("said") == []


def test_a_button_says_what_it_would_do_also_one_that_cannot_be_pressed(page):
    """viser shows no hints of buttons."""
    page.evaluate("[...document.querySelectorAll('button')].find((it) => it.textContent === 'Redo').disabled = true")
    _tell(page, hints={"Undo": 'Take back: "gold"', "Redo": "Again: ice"})
    for label, hint in (("Undo", 'Take back: "gold"'), ("Redo", "Again: ice"), ("Stop", None)):
        assert page.get_by_role("button", name=label, exact=True).get_attribute("title") == hint


def test_what_takes_an_edit_off_stands_beside_what_makes_one(page):
    page.evaluate("""() => document.body.insertAdjacentHTML("beforeend", ["Apply it", "Original look"].map(
        (label) => `<div><button>${label}</button></div>`).join(""))""")
    page.wait_for_function("document.querySelectorAll('.ft2s-half').length === 2", timeout=5000)
    boxes = [page.get_by_role("button", name=name).bounding_box() for name in ("Apply it", "Original look")]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] + boxes[0]["width"] < boxes[1]["x"]


def test_help_comes_and_goes(page):
    for shown in (True, False):
        page.keyboard.press("?")
        assert page.evaluate("!!document.querySelector('.ft2s-help')") == shown


@pytest.mark.parametrize("tool", ["rectangle", "lasso", "brush"])
def test_a_drag_with_a_tool_that_draws_is_a_drawing(page, tool):
    """In shares of the scene's width and height, from where it began to where it ended."""
    _tell(page, tool=tool, size=0.2)
    page.mouse.move(100, 50)
    page.mouse.down()
    page.mouse.move(200, 100, steps=4)
    page.mouse.move(300, 100, steps=4)
    page.mouse.up()
    (said,) = _said(page)
    assert (said["kind"], said["drawing"], said["combine"]) == ("drawing", tool, "")
    assert (said["points"][0], said["points"][-1]) == ([0.25, 0.25], [0.75, 0.5]) and len(said["points"]) > 4


@pytest.mark.parametrize("tool", ["click", "look around"])
def test_a_drag_with_another_tool_is_left_to_viser(page, tool):
    _tell(page, tool=tool)
    page.mouse.move(100, 50)
    page.mouse.down()
    page.mouse.move(300, 100, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)
    assert page.evaluate("said") == []


def test_the_divider_is_dragged_and_both_sides_have_their_names(page):
    _tell(page, tool="click", look="after | before", split=0.5)
    labels = "[...document.querySelectorAll('.ft2s-label:not(.ft2s-hidden)')].map((it) => it.textContent)"
    assert page.evaluate(labels) == ["after", "before"]
    page.mouse.move(203, 100)
    page.mouse.down()
    page.mouse.move(300, 100)
    page.mouse.up()
    assert _said(page)[-1] == {"kind": "split", "at": 0.75}
    _tell(page, look="after", split=None)
    assert page.evaluate(labels) == []


@pytest.mark.parametrize(("apart", "rests"), [(16, False), (100, True)])
def test_a_page_that_draws_slowly_rests_until_it_is_touched(tab, apart, rests):
    """With a clock and frames of our own: it draws again and again, at once after a touch, and later by itself."""
    tab.goto("about:blank")
    tab.set_content(HTML)
    tab.evaluate("""() => {
        window.clock = 10000; window.asked = []; window.drawn = 0;
        performance.now = () => clock;
        window.requestAnimationFrame = (frame) => asked.push(frame);
        window.later = []; window.setTimeout = (what, ms, ...rest) => later.push(() => what(...rest));
    }""")
    tab.evaluate(SCRIPT)
    tab.evaluate("window.loop = () => { drawn += 1; requestAnimationFrame(loop); }; requestAnimationFrame(loop);")
    advance = "(ms) => { clock += ms; asked.splice(0).forEach((frame) => frame(clock)); return drawn; }"
    for _ in range(30):
        tab.evaluate(advance, apart)
    before = tab.evaluate(advance, apart)
    assert (tab.evaluate(advance, apart) == before) == rests
    if rests:
        tab.evaluate("later.splice(0).forEach((it) => it())")
        assert tab.evaluate(advance, apart) == before + 1, "a little later by itself"
    before = tab.evaluate("drawn")
    tab.mouse.move(100, 100)
    assert [tab.evaluate(advance, apart) for _ in range(2)] == [before + 1, before + 2], "as often as it can"


def test_restyle_leads_to_the_sentence(page):
    page.get_by_role("button", name="Restyle").click()
    page.wait_for_function("document.activeElement.id === 'sentence'", timeout=5000)
    assert "Edit" in page.evaluate("pressed")
