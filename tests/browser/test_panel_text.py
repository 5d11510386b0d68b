"""What others wrote shows in viser's panel as it is, in a real browser: nothing of it is run, nothing is a link."""

from pathlib import Path

import pytest
import viser

from fasttext2style.history.steps import Step
from fasttext2style.live.session import Status
from fasttext2style.live.texts import edit_text, selections_text, status_text
from fasttext2style.trust.text import one_line
from tests.trust.test_escaping import NASTY

pytestmark = pytest.mark.browser

RAN = "\n\nexport const ran = (globalThis.ran = 'yes')\n\n"
"""Run by viser 0.2.7 where it stands in markdown as it is."""


@pytest.fixture(scope="module")
def server():
    server = viser.ViserServer(host="127.0.0.1", port=8790, verbose=False)
    yield server
    server.stop()


def test_names_of_steps_and_messages_show_as_they_are(browser, server):
    names = [f"{number} {name}{RAN}" for number, name in enumerate(NASTY)] + [RAN.strip(), "last of all"]
    steps = [
        Step(n, name, "selection", "", {}, 0, 1.0, {}, "2026", 5, 0.1, Path("none"), 1.0, n % 2 == 0)
        for n, name in enumerate(names, 1)
    ]
    server.gui.add_markdown(selections_text(steps))
    for step, name in zip(steps, names):
        server.gui.add_markdown(edit_text(step))
        server.gui.add_markdown(status_text(Status(message=name)))
        server.gui.add_markdown(status_text(Status(job=name, waiting=(name,))))
        server.gui.add_markdown(status_text(Status(message=name, failed=True)))
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.get_port()}")
    page.get_by_text("last of all").first.wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    assert page.evaluate("globalThis.ran") is None
    shown = " ".join(page.evaluate("document.body.textContent").replace("\u2060", "").split())
    for name in names:
        said = " ".join(one_line(name).replace("\u2060", "").split())
        assert shown.count(said) >= 5, name
    assert page.locator("a[href*=example]").count() == 0
    page.close()


def test_the_test_above_would_see_what_is_run(browser, server):
    server.gui.add_markdown("as it is" + RAN)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.get_port()}")
    page.wait_for_function("globalThis.ran === 'yes'", timeout=60_000)
    page.close()
