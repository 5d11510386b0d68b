"""Whoever asks for a picture gets one, whenever others take, open, close or fail; and nobody is locked out."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

import pytest
from nerfstudio.viewer import viewer as host
from nerfstudio.viewer.render_state_machine import RenderAction
from viser.infra._infra import WebsockMessageHandler

from fasttext2style.plugin.host.viewer_threads import OrderlyRenderer, Renderers, mend_viewers

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


@pytest.fixture()
def mended(monkeypatch):
    """As for every viewer of ours; other tests get the host's own back."""
    monkeypatch.setattr(host, "RenderStateMachine", host.RenderStateMachine)
    monkeypatch.setattr(WebsockMessageHandler, "atomic", WebsockMessageHandler.atomic)
    monkeypatch.setattr(host.Viewer, "render_statemachines", None, raising=False)
    mend_viewers()


def test_tabs_get_it(mended):
    assert host.RenderStateMachine is OrderlyRenderer
    viewer = object.__new__(host.Viewer)
    cast(Any, viewer).render_statemachines = {}
    assert isinstance(viewer.render_statemachines, Renderers)


def test_a_tab_that_opens_or_closes_is_asked_for_nothing(mended):
    """As the host does: by its number, in threads of others, also of a training."""
    viewer = object.__new__(host.Viewer)
    cast(Any, viewer).render_statemachines = {}
    tab: Any = type("Tab", (), {"client_id": 7})
    viewer.render_statemachines[7].action(_asked("step"))
    viewer.handle_disconnect(tab)
    assert not viewer.render_statemachines
    viewer.render_statemachines[7] = opened = OrderlyRenderer(NOBODY, 1.0, NOBODY)
    viewer.handle_disconnect(tab)
    assert not opened.running and not viewer.render_statemachines


class _Sent(WebsockMessageHandler):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__(ThreadPoolExecutor(1))
        self.sent: list[Any] = []

    def unsafe_send_message(self, message: Any) -> None:
        self.sent.append(message)


def _within(seconds: float, doing) -> bool:
    """Whether another thread gets it done in time."""
    done = threading.Event()
    threading.Thread(target=lambda: (doing(), done.set()), daemon=True).start()
    return done.wait(seconds)


def test_an_error_while_messages_are_grouped_locks_nobody_out(mended):
    handler = _Sent()

    def fail() -> None:
        with suppress(KeyError), handler.atomic(), handler.atomic():
            raise KeyError("a tab that is gone")

    def group() -> None:
        with handler.atomic():
            pass

    assert _within(5, fail), "a group within a group"
    assert _within(5, group)


def test_what_is_said_while_messages_are_grouped_goes_out_behind_them(mended):
    handler, entered = _Sent(), threading.Event()

    def group() -> None:
        with handler.atomic():
            entered.set()

    with handler.atomic():
        handler.queue_message(NOBODY)
        other = threading.Thread(target=group)
        other.start()
        assert not entered.wait(0.2) and handler.sent == []
    assert entered.wait(5)
    handler._thread_executor.shutdown()
    assert handler.sent == [NOBODY]


def test_a_thread_is_not_locked_out_of_itself_by_one_that_leaves(mended):
    """Who leaves says so before another may enter: after that it would take away the other's name."""
    handler = _Sent()
    lock, names = handler._atomic_lock, []

    class Watched:
        def __enter__(self):
            lock.acquire()

        def __exit__(self, *_):
            names.append(handler._locked_thread_id)
            lock.release()

    handler._atomic_lock = cast(Any, Watched())
    with handler.atomic():
        assert handler._locked_thread_id == threading.get_ident()
    assert names == [-1]
