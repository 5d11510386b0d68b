"""What views show of a scene before and after an edit, and what encoders make of it: looked at in pieces, by this
process or by several workers, which comes to the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from fasttext2style.evaluation.edit import EditedScene, Sight, look
from fasttext2style.evaluation.text_metrics import Embeddings, embed
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import load_encoder, name_and_weights
from fasttext2style.scene.cameras import Cameras
from fasttext2style.workers.pieces import Crew, OnStep, do_pieces

VIEWS_AT_ONCE = 8
"""Of a piece: an encoder's answers depend, by a bit, on which pictures stand beside each other."""


class Pair(NamedTuple):
    """Embeddings of the same views, those that show the object."""

    before: Embeddings
    after: Embeddings


@dataclass(frozen=True)
class Seen:
    """Some views of both states."""

    before: Sight
    after: Sight
    embeddings: dict[str, Pair]
    """By the names of encoders."""

    @staticmethod
    def joined(parts: Sequence[Seen]) -> Seen:
        embeddings = {
            name: Pair(*(torch.cat(side) for side in zip(*(part.embeddings[name] for part in parts))))
            for name in parts[0].embeddings
        }
        before, after = (Sight.joined([getattr(part, state) for part in parts]) for state in ("before", "after"))
        return Seen(before, after, embeddings)

    def to(self, device: torch.device | str) -> Seen:
        pairs = {name: Pair(*(side.to(device) for side in pair)) for name, pair in self.embeddings.items()}
        return Seen(self.before.to(device), self.after.to(device), pairs)

    @staticmethod
    def of(before: Sight, after: Sight, encoders: Sequence[TextImageEncoder]) -> Seen:
        """Of what was looked at already, in the same pieces."""
        places = range(0, len(before.cameras), VIEWS_AT_ONCE)
        pieces = [slice(start, start + VIEWS_AT_ONCE) for start in places]
        return Seen.joined([_seen(before.some(piece), after.some(piece), encoders) for piece in pieces])


@dataclass(frozen=True)
class LookAt:
    """Views to look at; a `workers.pieces.Request` of as many parts."""

    cameras: Cameras
    part_ids: tuple[int, ...]

    def select(self, rows: Sequence[int]) -> LookAt:
        return LookAt(self.cameras[list(rows)], tuple(self.part_ids[row] for row in rows))


@dataclass(frozen=True)
class Observer:
    """A worker's `Tool`: looks at both states of a scene."""

    edit: EditedScene
    encoders: Sequence[TextImageEncoder]
    about: None = None

    def do(self, request: LookAt, on_step: OnStep | None = None) -> Seen:
        edit, cameras = self.edit, request.cameras.to(self.edit.after.device)
        before = look(edit.before, edit.object_before, cameras)
        after = look(edit.after, edit.object_after, cameras)
        return _seen(before, after, self.encoders).to("cpu")  # whoever asked may have no such device

    def close(self) -> None: ...


@dataclass(frozen=True)
class LoadObserver:
    """Makes an `Observer` on a worker's device; the scene is on the CPU.

    Args:
        encoders: NAME or NAME:WEIGHTS of each.
    """

    edit: EditedScene
    encoders: tuple[str, ...]

    @staticmethod
    def of(edit: EditedScene, encoders: Sequence[str]) -> LoadObserver:
        return LoadObserver(_on(edit, "cpu"), tuple(encoders))

    def __call__(self, device: str) -> Observer:
        return Observer(_on(self.edit, device), [load_encoder(*name_and_weights(it), device) for it in self.encoders])


def look_by(crew: Crew, cameras: Mapping[str, Cameras]) -> dict[str, Seen]:
    """Have a crew of observers look at some sets of views; each set as one.

    Raises:
        ValueError: a view could not be looked at, and why.
    """
    pieces = []
    for name, views in cameras.items():
        for numbers in torch.arange(len(views)).split(VIEWS_AT_ONCE):
            pieces.append((name, LookAt(views[numbers.to(views.device)], tuple(numbers.tolist()))))
    found: dict[int, Seen] = {}
    with closing(do_pieces(crew, [look for _, look in pieces], sum(map(len, cameras.values())))) as outcomes:
        for place, done in outcomes:
            if done.failed:
                row, reason = next(iter(done.failed.items()))
                name, asked = pieces[place]
                raise ValueError(f"View {asked.part_ids[row]} of the {name} could not be measured: {reason}")
            answers = [seen for _, seen in sorted(done.answers, key=lambda answer: answer[0])]
            found[place] = Seen.joined(answers).to(pieces[place][1].cameras.device)
    return {name: Seen.joined([found[place] for place, (of, _) in enumerate(pieces) if of == name]) for name in cameras}


def _seen(before: Sight, after: Sight, encoders: Sequence[TextImageEncoder]) -> Seen:
    return Seen(before, after, {encoder.name: _embedded(encoder, before, after) for encoder in encoders})


def _embedded(encoder: TextImageEncoder, before: Sight, after: Sight) -> Pair:
    """Of square crops around the object, its surroundings included."""
    crops = _crops(before, after, encoder.resolution)
    if not len(crops[0]):
        width = encoder.embed_texts(["a photo"]).shape[1]
        return Pair(*(crops[0].new_zeros(0, width) for _ in range(2)))
    return Pair(*(embed(encoder, pictures) for pictures in crops))


def _crops(before: Sight, after: Sight, size: int, margin: float = 1.15) -> tuple[Tensor, Tensor]:
    """Both states of each view that shows the object, cut to a square around it and scaled to `size` pixels."""
    inside = torch.maximum(before.coverage, after.coverage) > 0.5
    pictures: tuple[list[Tensor], list[Tensor]] = ([], [])
    for view in inside.flatten(1).any(1).nonzero()[:, 0].tolist():
        rows, columns = inside[view].nonzero().unbind(1)
        low = torch.stack([rows.min(), columns.min()])
        high = torch.stack([rows.max(), columns.max()]) + 1
        # At most the picture's shorter side, and moved back into the picture where it would leave it.
        side = min(round(int((high - low).max()) * margin), *inside.shape[1:])
        limit = torch.tensor(inside.shape[1:], device=low.device) - side
        top, left = torch.minimum(((low + high - side) // 2).clamp_min(0), limit).tolist()
        for sight, crops in zip((before, after), pictures):
            crop = sight.images[view, top : top + side, left : left + side].permute(2, 0, 1)[None]
            crop = torch.nn.functional.interpolate(crop, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
            crops.append(crop.permute(0, 2, 3, 1))
    empty = before.images.new_zeros(0, size, size, 3)
    return torch.cat([empty, *pictures[0]]), torch.cat([empty, *pictures[1]])


def _on(edit: EditedScene, device: torch.device | str) -> EditedScene:
    moved = {it.name: getattr(edit, it.name).to(device) for it in fields(edit) if it.name != "foreign_rows"}
    return replace(edit, **moved)
