"""What was edited, as things with names: each edit belongs to one object, and an object is what its last edit changed.

All of it is read from the history, so that undo takes an object back with its first edit, and no list can contradict
the scene. Only names are kept elsewhere (`desk.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.around import is_of_surroundings
from fasttext2style.guidance.offline.sentences import WEARERS
from fasttext2style.history.delta import Delta
from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.history.steps import Step
from fasttext2style.live.asked_color import asked_color
from fasttext2style.live.desk import LONGEST_NAME
from fasttext2style.live.original import captured
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene, what_is_selected
from fasttext2style.scene.bits import same_bits
from fasttext2style.scene.files.export import OBJECT_THRESHOLD
from fasttext2style.scene.gaussians import SPLATFACTO_NAMES
from fasttext2style.selection.noun import noun_phrase
from fasttext2style.selection.pointed import shared
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.as_step import png, portrait
from fasttext2style.styling.grade import graded
from fasttext2style.styling.grade_settings import Grade
from fasttext2style.trust.documents import is_count
from fasttext2style.trust.text import one_line

ALL_OF_IT = 0.8
"""Of a selection and an object together, what they share if they look the same."""
SAME_OBJECT = 0.5
"""Objects that share so much of both together are one, which was chosen a little differently."""
_OBJECT, _HIDES = "object_id", "hides_object"
"""Settings of edits: the object if it is not the edit's own, and the object that the edit hides."""
_ORIGINAL_LOOK = "original look"
_MOST_PICTURED = 300_000
"""Gaussians: 0.1 s of two CPU cores."""
_THING = re.compile(r"\bthe ([a-z]+(?: and [a-z]+)? thing)\b")
HIDES_FAR = "hides_far"
"""Setting of an edit that hides what belongs to no object."""


@dataclass(frozen=True)
class SceneObject:
    """Something that was edited."""

    id: int
    """That of its first edit: no two steps ever have the same."""
    name: str
    edits: tuple[Step, ...]
    """Done and not undone, oldest first; at least one. They may have been taken out."""
    hiding: Step | None = None
    """The step that hides it, which may have been taken out."""

    @property
    def hidden(self) -> bool:
        return self.hiding is not None and self.hiding.active


def objects_of(scene: LiveScene) -> list[SceneObject]:
    """All objects, in the order in which they were first edited."""
    edits: dict[int, list[Step]] = {}
    hiding: dict[int, Step] = {}
    for step in scene.history.steps:
        # What surrounds the scene is no object, nor what its light tints.
        if step.kind != "edit" or step.settings.get(HIDES_FAR) or is_of_surroundings(step):
            continue
        if step.gaussians_changed and scene.history.is_done(step.id):
            hidden = _number(step, _HIDES)
            if hidden is None:
                edits.setdefault(_object_of(step), []).append(step)
            else:
                hiding[hidden] = step
    names: list[str] = []
    for object_id, steps in edits.items():
        given = one_line(scene.desk.name_of(object_id), LONGEST_NAME).strip()
        names.append(given or one_line(_first_name(scene, steps, names), LONGEST_NAME))
    return [
        SceneObject(object_id, name, tuple(steps), hiding.get(object_id))
        for (object_id, steps), name in zip(edits.items(), names)
    ]


def object_of(scene: LiveScene, object_id: int) -> SceneObject:
    """One of them.

    Raises:
        ValueError: there is none of this number.
    """
    for thing in objects_of(scene):
        if thing.id == object_id:
            return thing
    raise ValueError("This object has no edit any more, for all of them were undone. Redo brings it back.")


def weights_of(scene: LiveScene, thing: SceneObject) -> Float[Tensor, " gaussians"]:
    """What was selected when the object was edited last, of the Gaussians that there are now."""
    last, state, history = thing.edits[-1].id, scene.state, scene.history
    weights = state.selection.clone()
    for step in reversed(history.steps):
        if step.id <= last:
            break
        if not step.active:
            continue
        if step.kind == "selection":
            delta = history.delta(step.id)
            rows, found = state.find(delta.changed_ids.to(state.device))
            weights[rows[found]] = delta.before[SELECTION].to(weights)[found]
        elif _object_of(step) != thing.id:  # what grew on other objects since
            rows, found = state.find(history.footprint(step.id).exchanged_ids.to(state.device))
            weights[rows[found]] = 0.0
    return weights


def selected_object(scene: LiveScene) -> SceneObject | None:
    """The object that is selected: the one that shares most with the selection, if that is enough."""
    chosen = scene.state.selection > 0
    best, found = SAME_OBJECT, None
    for thing in objects_of(scene):
        share = shared(weights_of(scene, thing) > 0, chosen)
        if share >= best:
            best, found = share, thing
    return found


def picture_of_selection(scene: LiveScene) -> bytes | None:
    """A small PNG of what is selected, alone, as it looks now; None for nothing, and for more than renders at once."""
    chosen = scene.state.selection > OBJECT_THRESHOLD
    count = int(chosen.sum())
    if count == 0 or count > _MOST_PICTURED:
        return None
    return png(portrait(scene.gaussians.subset(chosen), scene.cameras))


def belonging(scene: LiveScene) -> dict[str, int]:
    """What an edit of the selection notes in its settings: whose it is; nothing where it makes an object.

    Raises:
        ValueError: what is selected is hidden.
    """
    thing = selected_object(scene)
    if thing is None:
        return {}
    _check_shown(thing)
    return {_OBJECT: thing.id}


def out_of_sight(scene: LiveScene, weights: Float[Tensor, " gaussians"]) -> Delta:
    """What takes out of sight what these weights select."""
    chosen = (weights > 0).nonzero()[:, 0]
    before = scene.state.at(scene.state.ids[chosen])
    columns = graded(before.gaussians(), weights[chosen], Grade(opacity=0.0))
    return Delta.of_rows(before.ids, {name: before.columns[name] for name in columns}, columns)


@dataclass(frozen=True)
class SelectObject:
    """Choose an object again."""

    object_id: int
    title: str = "Select an object"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        thing = object_of(scene, self.object_id)
        scene.select(Selection(weights_of(scene, thing), thing.name), f"selecting {thing.name}")
        return f"Selected: {thing.name}."


@dataclass(frozen=True)
class ShowObject:
    """Show an object, or hide it: in what is seen, saved and exported alike, as a step that can be taken back."""

    object_id: int
    shown: bool

    @property
    def title(self) -> str:
        return "Show an object" if self.shown else "Hide an object"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        thing, history = object_of(scene, self.object_id), scene.history
        if self.shown == (not thing.hidden):
            return f"{thing.name} is {'shown' if self.shown else 'hidden'} already."
        if self.shown:
            assert thing.hiding is not None, "it is hidden"
            hiding = thing.hiding.id
            scene.move(lambda state: history.blend(hiding, 0.0, state))
            return f"Shown: {thing.name}."
        delta = out_of_sight(scene, weights_of(scene, thing))
        history.record(delta, f"hide {thing.name}", settings={_HIDES: thing.id})
        scene.move(lambda state: delta.moved(state, 0.0, 1.0))
        return f"Hidden: {thing.name}. It is left out of what is saved and exported, too."


@dataclass(frozen=True)
class RestoreObject:
    """Let an object look as it was captured: select it, and take back all that was done to it, as one more edit of it.

    Its edits stay in the list; without that last one they are in force again.
    """

    object_id: int
    title: str = "Original look"
    once: bool = True

    def run(self, scene: LiveScene, progress: Progress) -> str:
        thing, history = object_of(scene, self.object_id), scene.history
        _check_shown(thing)
        scene.select(Selection(weights_of(scene, thing), thing.name), f"selecting {thing.name}")
        delta, then = _back_to_capture(scene, thing)
        if delta is None:
            return f"{thing.name} has its original look already."
        picture = portrait(then.gaussians(), scene.cameras)
        history.record(delta, _ORIGINAL_LOOK, settings={_OBJECT: thing.id}, thumbnail=picture)
        scene.move(lambda state: delta.moved(state, 0.0, 1.0))
        # Asked again: one that was called by a colour of its edits has lost it.
        return f"{object_of(scene, thing.id).name} has its original look. Undo takes that back."


@dataclass(frozen=True)
class RestoreSelected:
    """`RestoreObject` of what is selected."""

    title: str = "Original look"
    once: bool = True

    def run(self, scene: LiveScene, progress: Progress) -> str:
        if scene.selection.count == 0:
            raise ValueError("Nothing is selected yet. Click on the object first.")
        thing = selected_object(scene)
        if thing is not None:
            return RestoreObject(thing.id).run(scene, progress)
        chosen = scene.state.selection > 0
        touched = [it.name for it in objects_of(scene) if bool((chosen & (weights_of(scene, it) > 0)).any())]
        if not touched:
            return "This is its original look: nothing was done to what is selected."
        raise ValueError(
            f"What is selected is no single object that was edited, but touches {', '.join(touched)}. Select one of "
            "them under Objects, or press Original look there"
        )


def _back_to_capture(scene: LiveScene, thing: SceneObject) -> tuple[Delta | None, SceneState]:
    """What brings an object back to the capture (None: it is there), and what it was."""
    state, history = scene.state, scene.history
    parts = [history.footprint(step.id) for step in thing.edits]
    touched = torch.cat([ids for part in parts for ids in (part.changed_ids, part.exchanged_ids)]).to(state.device)
    ids, earlier = captured(history, state)
    now, then = (side.at(side.ids[torch.isin(side.ids, touched)]) for side in (state.at(ids), earlier))
    before, after = ({name: side.columns[name] for name in SPLATFACTO_NAMES} for side in (now, then))
    if len(now) == len(then) and all(bool(same_bits(before[name], after[name]).all()) for name in before):
        return None, then
    if torch.equal(now.ids, then.ids):
        return Delta.of_rows(now.ids, before, after), then
    # It had grown: what was there before comes back under new identities, as all that comes.
    return Delta.of_growth(now, SceneState(then.columns, history.fresh_ids(state, len(then)))), then


def _check_shown(thing: SceneObject) -> None:
    if thing.hidden:
        raise ValueError(f"{thing.name} is hidden. Show it first (under Objects), to see what becomes of it.")


def _number(step: Step, setting: str) -> int | None:
    value = step.settings.get(setting)  # of a file that anybody may have written
    return value if is_count(value) else None


def _object_of(step: Step) -> int:
    number = _number(step, _OBJECT)
    return step.id if number is None else number


def _first_name(scene: LiveScene, edits: list[Step], names: list[str]) -> str:
    """What the first sentence calls it that does, or the words that it was selected by; else the colour that it got
    last, or had when it was selected: "blue thing"; else a number."""
    before = (step for step in scene.history.steps if step.kind == "selection" and step.id < edits[0].id)
    *_, selected = ("", *(what_is_selected(step) for step in before))
    words = selected.strip('"') if selected.startswith('"') else ""
    name = next(filter(None, (_noun(step.prompt) for step in edits)), "") or noun_phrase(words)
    if not name:
        since_original = takewhile(lambda step: step.name != _ORIGINAL_LOOK, reversed(edits))
        looks = [*_colored_things(since_original), *_THING.findall(selected), *_colored_things(reversed(edits))]
        name = looks[0] if looks else "object"
    taken = sum(other == name or other.startswith(f"{name} ") for other in names)
    return f"{name} {taken + 1}" if taken or name == "object" else name


def _colored_things(edits: Iterable[Step]) -> list[str]:
    asked = (asked_color(step.prompt) for step in edits)
    return [f"{it.name} thing" for it in asked if it]


def _noun(sentence: str) -> str:
    """The thing that it speaks of, and not a look: "gold" and "mossy stone" name none, "a blue ball" does."""
    name = noun_phrase(sentence)
    said = sentence.strip().lower()
    is_thing = said.startswith(("a ", "an ", "the ")) or name in WEARERS or not said.endswith(name)
    return name if is_thing else ""
