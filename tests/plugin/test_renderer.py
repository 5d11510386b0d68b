"""Whoever asks for a picture gets one, whenever the thread that renders takes the request before."""

from typing import Any

import pytest
from nerfstudio.viewer import viewer as host
from nerfstudio.viewer.render_state_machine import RenderAction

from fasttext2style.plugin.host.renderer import OrderlyRenderer, use_orderly_renderers

NOBODY: Any = None


def _asked(kind: Any) -> RenderAction:
    return RenderAction(kind, NOBODY)


@pytest.mark.parametrize("cleared_first", [False, True])
def test_what_is_asked_for_while_the_last_request_is_taken_is_drawn_next(cleared_first):
    """The steps of the host's own loop, and somebody who asks in between, before or after the trigger is cleared."""
    renderer = OrderlyRenderer(NOBODY, 1.0, NOBODY)
    first, newer = _asked("step"), _asked("rerender")
    renderer.action(first)
    assert renderer.next_action is first
    if cleared_first:
        renderer.render_trigger.clear()
    renderer.action(newer)
    if not cleared_first:
        renderer.render_trigger.clear()
    renderer.next_action = None
    assert renderer.next_action is newer and renderer.render_trigger.is_set()


def test_what_was_taken_is_not_drawn_again():
    renderer = OrderlyRenderer(NOBODY, 1.0, NOBODY)
    renderer.action(_asked("move"))
    assert renderer.next_action is not None
    renderer.next_action = None
    assert renderer.next_action is None


def test_rest_does_not_replace_what_waits():
    renderer = OrderlyRenderer(NOBODY, 1.0, NOBODY)
    step = _asked("step")
    renderer.action(step)
    renderer.render_trigger.clear()
    renderer.action(_asked("static"))
    assert renderer.next_action is step and renderer.render_trigger.is_set()


def test_tabs_get_it(monkeypatch):
    monkeypatch.setattr(host, "RenderStateMachine", host.RenderStateMachine)
    use_orderly_renderers()
    assert host.RenderStateMachine is OrderlyRenderer
