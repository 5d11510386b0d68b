"""The tab in which one points at the object, says what it becomes, and compares."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast, get_args

import viser

from fasttext2style.live import jobs
from fasttext2style.live.action import Action, Order
from fasttext2style.live.asked_color import plain_color
from fasttext2style.live.objects import RestoreSelected, selected_object
from fasttext2style.live.paint import Paint
from fasttext2style.live.pointing import Click, ClickAgain, ClickMeansOther, Combine, Draw
from fasttext2style.live.session import Job
from fasttext2style.live.style_picture import RemovePicture, UploadPicture, picture_left
from fasttext2style.live.texts import example_name, style_picture_text
from fasttext2style.panel.elements import Elements
from fasttext2style.panel.mouse import TOOLS, Clicked, Drawn, Mouse
from fasttext2style.panel.page import Message, Page
from fasttext2style.panel.view import Look, View
from fasttext2style.selection.clicks import TOLERANCE
from fasttext2style.selection.pointed import SIZE

_NO_IDEA, _PAINTED = "...", "painted"
_SIZES = (2.0, 60.0)
"""Of brushes, in percent of the height of what is seen."""


class EditTab:
    """Its elements, and what they ask for.

    Args:
        elements: makes them.
        view: the viewer.
        page: draws, and tells of keys and of the mouse.
        action: what is done with the object.
        prompt: stands in the sentence's field at first.
        segmenter: finds an object by a text.
    """

    def __init__(self, elements: Elements, view: View, page: Page, action: Action, prompt: str, segmenter: str) -> None:
        self.elements, self.gui, self.session = elements, elements.gui, elements.session
        self.view, self.page, self.action, self.segmenter = view, page, action, segmenter
        safe = elements.safe
        self.mouse = Mouse(view, safe(self._click), safe(self._draw))
        page.on_message(safe(self._hear))
        with self.gui.add_folder("1. Point at the object"):
            self._add_pointing()
            with self.gui.add_folder("More", expand_by_default=False):
                self._add_more()
        with self.gui.add_folder("2. Say what it becomes"):
            self._add_style(prompt)
        with self.gui.add_folder("3. Compare"):
            self._add_compare()
        self._use_tool()

    # --- what is there ------------------------------------------------------------------------------------------------

    def _add_pointing(self) -> None:
        gui = self.gui
        self.object = gui.add_markdown("")
        self.tool = gui.add_dropdown(
            "Mouse",
            TOOLS,
            initial_value="click",
            hint="click: on the object. color: everything that has the color under the mouse. rectangle, lasso, brush: "
            "drawn over the object. With click and color, dragging turns the view; while drawing, hold Space for that.",
        )
        self.tool.on_update(self.elements.guarded(self._use_tool))
        self.combine = gui.add_dropdown(
            "Selection",
            get_args(Combine),
            initial_value="new",
            hint="What to do with what you point at: start a new object (strokes of the brush add up), add it to the "
            "object (Shift), take it away (Alt), or keep only what both have in common. Of the object itself, and of "
            "what is seen from near, a part as large as Size is meant.",
        )
        self.elements.buttons(
            "Find",
            {"Main": partial(self._find, False), "Other": partial(self._find, True), "Clear": jobs.SelectNothing},
            "Main: what the cameras circle around. Other: what else stands out (takes some seconds at first). Clear: "
            "nothing is selected.",
        )
        self.elements.buttons(
            "Click took",
            {"Too much": lambda: ClickMeansOther(larger=False), "Too little": lambda: ClickMeansOther(larger=True)},
            "Too much: less of what was clicked on, such as a statue without its base, or a part. Too little: what it "
            "stands on, too, or what it touches. Press again for the next.",
        )

    def _add_more(self) -> None:
        gui, elements = self.gui, self.elements
        self.count = gui.add_markdown("")
        self.size = gui.add_slider(
            "Size %", *_SIZES, 1.0, 100 * SIZE, hint="Of the brush, and of parts: diameter, of the height of the view."
        )
        self.tolerance = gui.add_slider(
            "Tolerance",
            0.5,
            8.0,
            0.5,
            TOLERANCE,
            hint="Of clicks and colors, the last click included. 2: the thing; lower: a part that looks alike; higher: "
            "also what it touches.",
        )
        for slider in (self.size, self.tolerance):
            elements.on_change(slider, self._click_again)
        self.size.on_update(elements.guarded(self._use_tool))
        self.highlight = gui.add_checkbox("Highlight", True, hint="Tint and outline the object.")
        self.highlight.on_update(elements.guarded(self.mark))
        elements.buttons(
            "Instead",
            {"All": jobs.SelectEverything, "Invert": lambda: jobs.Reshape("invert")},
            "All: the whole scene. Invert: everything but the object.",
        )
        elements.buttons("Edge", {"Grow": lambda: jobs.Reshape("grow"), "Shrink": lambda: jobs.Reshape("shrink")},
                         "By 3% of the object's size.")  # fmt: skip
        elements.buttons("Pieces", {"Largest only": lambda: jobs.Reshape("largest part")}, "Drop all smaller pieces.")
        self.feather = gui.add_slider(
            "Feather %",
            0.0,
            100 * jobs.WIDEST_FEATHER,
            1.0,
            0.0,
            hint="Width of a soft edge, of the object's size: edits fade out in it.",
        )
        elements.on_change(self.feather, lambda: self.session.submit(jobs.Feather(self.feather.value / 100)))
        self.threshold = gui.add_slider(
            "Threshold",
            0.0,
            jobs.HIGHEST_THRESHOLD,
            0.05,
            0.0,
            hint="Keep only what belongs to the object by more than this.",
        )
        elements.on_change(self.threshold, lambda: self.session.submit(jobs.Threshold(self.threshold.value)))
        self.text = gui.add_text("Words", "", hint=f"What to select, such as {example_name(self.segmenter)}.")
        elements.button("Select by words", self._select_text, icon=viser.Icon.LETTER_CASE)

    def _add_style(self, prompt: str) -> None:
        gui, action = self.gui, self.action
        desk = self.session.scene.desk
        left = desk.fields(prompt)
        sentence, quality = left.get("sentence", prompt), left.get("quality", "")
        self.prompt = gui.add_text("Sentence", sentence, hint=f'Such as "{action.example}". Enter applies it.')
        self.prompt.on_update(self.elements.guarded(self._hear_sentence))
        self._add_buttons(sentence)
        if action.gallery:
            self.gallery = gui.add_dropdown(
                "Ideas", (_NO_IDEA, *action.gallery), initial_value=_NO_IDEA, hint="Sentences to begin with."
            )
            self.elements.on_change(self.gallery, self._take_idea)
        self.quality = gui.add_dropdown(
            "Quality",
            tuple(action.qualities),
            initial_value=quality if quality in action.qualities else "normal",
            hint=", ".join(f"{name}: {meaning}" for name, meaning in action.qualities.items()),
        )
        self.quality.on_update(self.elements.guarded(lambda: desk.note(quality=self.quality.value)))
        self.speed = self.form = self.picture = None
        if action.takes_pictures:
            self._add_picture()
        self.plain = None
        if action.speed_hint or action.forms or action.paints:
            with gui.add_folder("How", expand_by_default=False):
                if action.paints:
                    self.plain = gui.add_dropdown(
                        "Plain color",
                        (_PAINTED, "a style"),
                        initial_value=_PAINTED,
                        hint='What is made of "blue" or "make the ball blue": paint, evenly, at once, with light and '
                        "shade as they are; or a style, which comes out in patches.",
                    )
                if action.speed_hint:
                    self.speed = gui.add_slider("Speed", 0.1, 2.0, 0.1, 1.0, hint=action.speed_hint)
                if action.forms:
                    self.form = gui.add_dropdown(
                        "Changes", action.forms, initial_value=action.forms[0], hint=action.forms_hint
                    )

    def _add_buttons(self, sentence: str) -> None:
        """Right below the sentence, in sight also of low windows."""
        for label, job in self.action.buttons.items():
            self.elements.button(label, partial(self._apply, job), icon=viser.Icon.WAND, color="green")
        # page.js puts it beside the button above.
        self.elements.button(
            "Original look",
            lambda: self.session.submit(RestoreSelected()),
            icon=viser.Icon.RESTORE,
            color="gray",
            hint="What is selected as it was captured, without any edit: one step, which Undo takes back.",
        )
        self.paint = None
        if not self.action.paints:
            self.paint = self.elements.button(
                "Paint it that color",
                lambda: self.session.submit(Paint(self.prompt.value)),
                icon=viser.Icon.PAINT,
                visible=plain_color(sentence) is not None,
                hint="Evenly, at once, with its light and shade as they are.",
            )

    def _hear_sentence(self) -> None:
        self.session.scene.desk.note(sentence=self.prompt.value)
        if self.paint is not None:
            self.paint.visible = plain_color(self.prompt.value) is not None

    def _add_picture(self) -> None:
        gui, scene = self.gui, self.session.scene
        scene.style_picture = scene.style_picture or self.action.picture or picture_left(scene)
        self.picture = gui.add_markdown("", visible=False)
        with gui.add_folder("By a picture", expand_by_default=False):
            upload = gui.add_upload_button(
                "Choose a picture",
                icon=viser.Icon.UPLOAD,
                hint="A material, a painting: its colors and its texture, alone or with a sentence.",
            )
            self.elements.button("Without a picture", lambda: self.session.submit(RemovePicture()))
        upload.on_upload(
            self.elements.guarded(lambda: self.session.submit(UploadPicture(upload.value.name, upload.value.content)))
        )

    def _add_compare(self) -> None:
        self.look = self.gui.add_dropdown(
            "Show",
            get_args(Look),
            initial_value="after",
            hint="before: without the last edit. original: without any edit, as captured. The divider can be dragged.",
        )
        self.look.on_update(self.elements.guarded(lambda: self.view.look(cast(Look, self.look.value))))

    def compare(self) -> None:
        """Put before beside after, or show what there is now alone."""
        self.look.value = "after" if "|" in self.look.value else "after | before"

    # --- what one does ------------------------------------------------------------------------------------------------

    def _use_tool(self) -> None:
        self.page.show(tool=self.tool.value, size=self.size.value / 100)

    @property
    def _combine(self) -> Combine:
        return cast(Combine, self.combine.value)

    def _click(self, clicked: Clicked) -> None:
        self.session.submit(
            Click(
                clicked.origin,
                clicked.direction,
                clicked.combine or self._combine,
                self.tolerance.value,
                self.size.value / 100,
                clicked.opening,
                by_color=self.tool.value == "color",
            )
        )

    def _draw(self, drawn: Drawn) -> None:
        combine = drawn.combine or self._combine
        if drawn.drawing == "brush" and combine == "new":  # each stroke would begin anew
            combine = "add"
        self.session.submit(Draw(drawn.drawing, drawn.camera, drawn.points, combine, self.size.value / 100))

    def _click_again(self) -> None:
        self.session.submit(ClickAgain(self.tolerance.value, self.size.value / 100))

    def _hear(self, client: viser.ClientHandle, message: Message) -> None:
        kind = message.get("kind")
        if kind == "tool" and message.get("tool") in TOOLS:
            self.tool.value = message["tool"]
        elif kind == "size":
            factor = 1.25 if message.get("larger") else 0.8
            self.size.value = float(min(max(round(self.size.value * factor), _SIZES[0]), _SIZES[1]))
        elif kind in ("undo", "redo"):
            self.session.submit(jobs.Undo() if kind == "undo" else jobs.Redo())
        elif kind == "frame":
            self.view.frame(client, *self.session.scene.object_ball())
        elif kind == "bookmark":
            self._bookmark(client, str(message.get("place")), bool(message.get("keep")))
        elif kind == "split":
            self.view.split_at(float(message["at"]))
        elif kind in ("held", "click", "drawing"):
            self.mouse.hear(client, message)

    def _bookmark(self, client: viser.ClientHandle, place: str, keep: bool) -> None:
        """Keep where a tab looks from, or go back there; 0 is where sessions begin, and cannot be kept."""
        desk, first = self.session.scene.desk, place == "0"
        if keep and not first:
            desk.keep_bookmark(place, self.view.pose_of(client))
            self.session.say(f"This view is kept: {place} comes back to it.")
        elif first or desk.bookmark(place):
            self.view.go_to(client, None if first else desk.bookmark(place))
        else:
            self.session.say(f"No view is kept under {place} yet: Shift {place} keeps this one.")

    def _take_idea(self) -> None:
        if self.gallery.value != _NO_IDEA:
            self.write_sentence(self.gallery.value)
            self.gallery.value = _NO_IDEA  # it may be changed or replaced, and taken again

    def write_sentence(self, sentence: str) -> None:
        """Put this into the field of the sentence."""
        self.prompt.value = sentence
        self.session.scene.desk.note(sentence=sentence)

    def show(self) -> None:
        """Bring the sliders of the edge, and the style picture, to what they stand for now."""
        threshold, feather = jobs.edge_of(self.session.scene)
        for slider, value in ((self.threshold, threshold), (self.feather, 100 * feather)):
            if slider.value != value:
                slider.value = value
        picture = self.session.scene.style_picture
        if self.picture is not None:
            self.picture.visible = picture is not None
            self.picture.content = "" if picture is None else style_picture_text(picture)

    def _find(self, another: bool) -> Job:
        return jobs.SelectAutomatic(self._combine, another)

    def _select_text(self) -> None:
        self.session.submit(jobs.SelectText(self.text.value, self.segmenter, self._combine))

    def _apply(self, job: Callable[[Order], Job]) -> None:
        speed = 1.0 if self.speed is None else self.speed.value
        form = "" if self.form is None else self.form.value
        paints = self.plain is not None and self.plain.value == _PAINTED and self.session.scene.style_picture is None
        self.session.submit(job(Order(self.prompt.value, self.quality.value, speed, form, paints)))

    def mark(self) -> None:
        """Mark the object, if that is wanted; tinted, too, while one selects what was not edited yet: elsewhere
        it would hide the colours that were asked for."""
        scene = self.session.scene
        history = scene.history
        selecting = not history.applied or history.step(history.applied[-1].id).kind == "selection"
        changing = self.session.status.steps.total > 0 or scene.unsettled is not None
        tinted = selecting and not changing and selected_object(scene) is None
        self.view.mark(self.highlight.value, tinted)
