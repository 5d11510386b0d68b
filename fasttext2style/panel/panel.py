"""The session's panel in the viewer: what one points at, types and presses becomes jobs; what comes of them is told."""

from __future__ import annotations

import threading
from typing import get_args

from fasttext2style.live.action import Action
from fasttext2style.live.objects import ALL_OF_IT, objects_of, picture_of_selection, selected_object, weights_of
from fasttext2style.live.pointing import clicks_of
from fasttext2style.live.scene import Event
from fasttext2style.live.session import LiveSession
from fasttext2style.live.texts import colors_text, count_text, exports_text, object_text
from fasttext2style.panel.colors_tab import ColorsTab
from fasttext2style.panel.edit_tab import EditTab
from fasttext2style.panel.elements import Elements
from fasttext2style.panel.objects_tab import ObjectsTab
from fasttext2style.panel.page import Page
from fasttext2style.panel.save_tab import SaveTab
from fasttext2style.panel.surroundings_tab import SurroundingsTab
from fasttext2style.panel.top_bar import TopBar
from fasttext2style.panel.view import View
from fasttext2style.selection.pointed import shared
from fasttext2style.trust.text import one_line

_TOP, _BOTTOM = -10.0, 1e6
"""Above and below nerfstudio's own elements."""
_OBJECT = '<span className="ft2s-object"></span>'
"""By which page.js finds what is selected: it is as high for long names as for short ones, and nothing below moves."""


class LivePanel:
    """The panel, for all tabs alike.

    Args:
        session: gets the jobs.
        view: the viewer.
        action: what is done with the object.
        prompt: stands in the sentence's field at first.
        segmenter: finds an object by a text.
    """

    def __init__(self, session: LiveSession, view: View, action: Action, prompt: str = "", segmenter: str = "") -> None:
        self.session, self.scene, self.view, self.action = session, session.scene, view, action
        gui, elements = view.server.gui, Elements(view.server.gui, session)
        self._told, self._working = ("", False), False
        self._pictured: tuple[object, bytes | None] = (None, None)
        self._telling = threading.RLock()
        gui.set_panel_label("fasttext2style")
        page = Page(view.server, order=_BOTTOM)
        view.on_look = lambda what, at: page.show(look=what, split=at)
        view.on_failure = self._cannot_show
        self.top = TopBar(elements, page, lambda: self.edit.compare(), next(iter(action.buttons)), _TOP)
        tabs = gui.add_tab_group(order=_TOP)  # without icons: five words, one row
        with tabs.add_tab("Edit"):
            self.edit = EditTab(elements, view, page, action, prompt, segmenter)
        with tabs.add_tab("Colors"):
            self.colors = ColorsTab(elements)
        objects = tabs.add_tab("Objects")
        self.objects = ObjectsTab(elements, view, objects, self.edit.write_sentence)
        with tabs.add_tab("Around"):
            self.surroundings = SurroundingsTab(elements, view, action)
        with tabs.add_tab("Save"):
            self.save = SaveTab(elements)
        page.show_hints(**elements.hints)
        self.scene.listeners.append(self._on_event)
        for event in get_args(Event):
            self._on_event(event)

    def _on_event(self, event: Event) -> None:
        # One at a time, and what is shown is read in turn: events come from several threads.
        with self._telling:
            try:
                self._show(event)
            except (ValueError, OSError) as error:
                # Files of the history are gone: what was just done is done all the same.
                self.session.say(str(error), failed=True)

    def _show(self, event: Event) -> None:
        if event == "scene":
            try:
                self.edit.mark()
            finally:
                self.view.refresh(now=not self.session.status.steps.total)
        elif event == "history":
            self._show_history()
        elif event == "pictures":
            self.view.show_pictures(self.scene.pictures)
        else:
            self._show_status()

    def _cannot_show(self, message: str) -> None:
        """No name may stand over what it is not."""
        self.edit.look.value = "after"
        self.session.say(message, failed=True)

    def _show_status(self) -> None:
        status = self.session.status
        begins_or_ends, self._working = (status.steps.total > 0) != self._working, status.steps.total > 0
        with self.view.in_order():
            self.top.show(status)
        if status.failed and (status.message, True) != self._told:
            for client in self.view.server.get_clients().values():
                client.add_notification("That did not work", one_line(status.message), color="red", auto_close=10_000)
        self._told = (status.message, status.failed)
        if not status.job:
            self.view.refresh(now=True)
        if begins_or_ends:
            self.edit.mark()

    def _picture(self) -> bytes | None:
        """What is selected; rendered once for each state of the history."""
        applied = tuple(self.scene.history.applied)
        if applied != self._pictured[0]:
            self._pictured = (applied, picture_of_selection(self.scene))
        return self._pictured[1]

    def _show_history(self) -> None:
        self.edit.mark()
        selection, things, picture = self.scene.selection, objects_of(self.scene), self._picture()
        thing = selected_object(self.scene)
        name = "" if thing is None else thing.name
        hidden = [it.name for it in things if it.hidden]
        # Edits of a good part of an object belong to it; who looks sees that it is not all of it.
        is_it = thing is None or shared(weights_of(self.scene, thing) > 0, selection.mask) > ALL_OF_IT
        called = name if is_it or selection.origin == name else f"{name}: {selection.origin}"
        with self.view.in_order():
            self.edit.object.content = f"{_OBJECT}{object_text(selection, called, picture)}"
            self.edit.count.content = count_text(selection)
            self.colors.show(colors_text(selection, name, picture))
            self.save.show(exports_text(selection, name, picture, hidden))
            self.edit.show()
        self.top.show_moves()
        self.objects.show()
        self.surroundings.show()
        self.view.mark_points(clicks_of(self.scene))
