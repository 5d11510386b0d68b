"""Rounds of edits in a live session, in a real browser: click, next round, look at the edited pictures, undo."""

import pytest

from fasttext2style.rounds.folder import RoundsFolder
from tests.browser.live_page import difference

pytestmark = pytest.mark.browser

METHOD = [
    *("fasttext2style-ip2p", "--editor", "tiny", "--pipeline.rounds.losses.lpips", "off"),
    *("--pipeline.rounds.schedule.views", "4", "--pipeline.rounds.schedule.steps", "60"),
]
BEAR = (0.505, 0.52)
"""Where it is seen at the start, in shares of the picture's width and height."""


def test_a_round_turns_the_bear_red_and_undo_takes_it_back(page, live_run):
    original = page.settled()
    page.click_scene(*BEAR)
    page.wait_for_text("Selected: the grey thing and its base.", 60)
    selected = page.differs(original, 1.0)
    page.press("Next round")
    page.wait_for_text("There is no instruction", 60)
    page.type("Sentence", "make it red")
    page.press("Next round")
    page.wait_for_text("Round: make it red", 60)
    page.keep("rounds_1_editing")
    page.wait_for_text("Round 1 done: make it red", 120)
    red = page.differs(selected, 1.0)
    page.keep("rounds_2_done")
    strong = abs(red - original).mean(axis=2) > 30
    gained = (red - original)[strong].mean(axis=0)
    assert strong.mean() > 0.01 and gained[0] > gained[1:].max() + 30, (strong.mean(), gained)
    folder = next(live_run.output.rglob("live_rounds"))
    edited = RoundsFolder(folder / "01_make_it_red" / "rounds").rounds()[-1]
    assert len(edited.manifest["round_views"]) == 4

    page.press("Undo")
    page.wait_for_text("Undone: make it red", 60)
    page.becomes(selected, 0.3 * difference(red, selected))

    # One looks from where the first photograph was taken: no frustum with a picture stands before the scene.
    page.press("Show Train Cams")
    frustums = page.settled()
    page.keep("rounds_3_frustums")
    height, width, _ = original.shape
    middle = (frustums - original)[height // 4 : 2 * height // 3, width // 3 : 2 * width // 3].mean(axis=(0, 1))
    assert middle[0] < middle[1:].max() + 10, middle
    assert live_run.interrupt() == 0
