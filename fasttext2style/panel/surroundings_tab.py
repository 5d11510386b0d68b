"""The tab for what is around the scene: a panorama from a file, turned, exposed, and edited by a sentence."""

from __future__ import annotations

import base64
from functools import partial

import viser

from fasttext2style.envmaps.skies import SKIES, sky
from fasttext2style.envmaps.tones import to_display
from fasttext2style.live import jobs
from fasttext2style.live.action import Action
from fasttext2style.live.surroundings import (
    MOST_STOPS,
    WIDEST_TURN,
    EditSurroundings,
    HideFar,
    SetSky,
    SetSurroundings,
    TurnSurroundings,
    UploadSurroundings,
    name_of,
    shown_step,
    turn_of,
)
from fasttext2style.panel.elements import Elements
from fasttext2style.panel.view import View
from fasttext2style.styling.as_step import png
from fasttext2style.trust.text import in_panel

_ROWS = 96
"""Of the panoramas in the small pictures."""


class SurroundingsTab:
    """Its elements, and what they ask for."""

    def __init__(self, elements: Elements, view: View, action: Action) -> None:
        gui, self.session, self.view = elements.gui, elements.session, view
        self.what, names = gui.add_markdown(""), tuple(SKIES)
        for row in (names[:3], names[3:]):
            gui.add_markdown(_side_by_side(row))
            elements.buttons(
                "", {name.capitalize(): partial(SetSky, name) for name in row}, "Around the scene. One step."
            )
        load_encoder = action.load_encoder
        if load_encoder is not None:
            self.sentence = gui.add_text("Becomes", "", hint='Such as "a snowy night". The sun stays where it is.')
            elements.button(
                "Change the surroundings",
                lambda: self.session.submit(EditSurroundings(load_encoder, self.sentence.value)),
                icon=viser.Icon.WAND,
                color="green",
            )
        self.strength = gui.add_slider(
            "Share",
            0.0,
            1.0,
            0.05,
            1.0,
            hint="Of the last change here; 0: without it.",
            visible=False,
        )
        elements.on_change(self.strength, self._blend)
        self.yaw = gui.add_slider(
            "Yaw",
            -WIDEST_TURN,
            WIDEST_TURN,
            1.0,
            0.0,
            hint="Degrees, counterclockwise seen from above. One step of the history.",
        )
        self.exposure = gui.add_slider(
            "Exposure", -MOST_STOPS, MOST_STOPS, 0.25, 0.0, hint="Stops: each doubles the light."
        )
        for slider in (self.yaw, self.exposure):
            elements.on_change(slider, self._turn)
        with gui.add_folder("A picture of your own", expand_by_default=False):
            self._add_pictures(elements)

    def _add_pictures(self, elements: Elements) -> None:
        gui = elements.gui
        upload = gui.add_upload_button(
            "Choose a file",
            icon=viser.Icon.UPLOAD,
            hint="A panorama, twice as wide as high: .hdr, .exr, .png, .jpg. It is kept in the folder of the run.",
        )
        upload.on_upload(
            elements.guarded(lambda: self.session.submit(UploadSurroundings(upload.value.name, upload.value.content)))
        )
        self.path = gui.add_text("Or a path", "", hint="Where a panorama lies on the machine of this session.")
        elements.button(
            "Put around", lambda: self.session.submit(SetSurroundings(self.path.value)), icon=viser.Icon.WORLD
        )
        elements.button(
            "Hide what is far",
            lambda: self.session.submit(HideFar()),
            icon=viser.Icon.CLOUD_OFF,
            hint="A scene's own sky covers what is put around it. One step of the history.",
        )

    def _turn(self) -> None:
        self.session.submit(TurnSurroundings(self.yaw.value, self.exposure.value))

    def _blend(self) -> None:
        step = shown_step(self.session.scene)
        if step is not None:
            self.session.submit(jobs.Blend(step.id, self.strength.value))

    def show(self) -> None:
        """Bring text and sliders to what they stand for now; not while somebody moves them."""
        # Read before anything is shown, for files may fail.
        scene, step = self.session.scene, shown_step(self.session.scene)
        moved = scene.unsettled is not None or self.session.status.job == TurnSurroundings.title
        turn = (self.yaw.value, self.exposure.value) if moved else turn_of(scene)
        name = in_panel(name_of(scene))
        text = f"**{name}**  \nIt" if name else "**Nothing is around the scene.** What you choose"
        values = [(self.yaw, turn[0]), (self.exposure, turn[1])]
        with self.view.in_order():
            self.what.content = f"{text} stands behind the scene and does not light it; Yaw turns it."
            self.strength.visible = step is not None
            for slider, value in values + ([] if step is None else [(self.strength, step.strength)]):
                if slider.value != value:
                    slider.value = value


def _side_by_side(names: tuple[str, ...]) -> str:
    """Small pictures of skies, as markdown: above the horizon, around the sun. page.js lays each over its button."""
    pictures = [(to_display(sky(name, _ROWS))[: _ROWS * 5 // 8, : _ROWS * 5 // 4] * 255).byte() for name in names]
    data = [base64.b64encode(png(picture.numpy())).decode() for picture in pictures]
    return "".join(
        f'<img src="data:image/png;base64,{it}" alt="{name}" width="31%" />' for name, it in zip(names, data)
    )
