"""The manifest of a round as it lies on the disk: read whole, or refused with what is wrong and the way back.

Runs are copied, damaged and handed on: nothing that a manifest says is used before it was checked here.
"""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote
from typing import Any

from fasttext2style.trust.documents import (
    COUNT,
    MAPPING,
    NUMBER,
    TEXT,
    check_fields,
    is_count,
    is_mapping,
    is_number,
    read_document,
)

FORMAT = 1
"""Of manifests."""


def _are_views(value: Any) -> bool:
    return isinstance(value, list) and all(is_count(view) for view in value)


def _are_chosen(value: Any) -> bool:
    return _are_views(value) and 0 < len(set(value)) == len(value)


def _are_edits(value: Any) -> bool:
    return isinstance(value, list) and all(
        is_mapping(edit) and isinstance(edit.get("failed"), dict | list) for edit in value
    )


def _are_by_view(value: Any, is_value: Any) -> bool:
    return is_mapping(value) and all(re.fullmatch("[0-9]{1,9}", view) and is_value(it) for view, it in value.items())


def _is_measured(value: Any) -> bool:
    """A diverged object has metrics that are no number, and its manifest is none the less whole."""
    return isinstance(value, float) or is_count(value)


def _are_metrics(value: Any) -> bool:
    """As trained, and perhaps as refined: places with numbers, of which there may be more inside."""
    return (
        is_mapping(value)
        and len(value) > 0
        and all(
            is_mapping(moment)
            and is_mapping(moment.get("inside"))
            and _is_measured(moment["inside"].get("psnr"))
            and is_mapping(moment.get("outside"))
            and _is_measured(moment["outside"].get("psnr", 0))
            and is_count(moment.get("gaussians", 0))
            and all(_is_measured(moment["inside"].get(name, 0)) for name in ("l1", "lpips"))
            and is_count(moment.get("object", 0))
            for moment in value.values()
        )
    )


_SNAPSHOT = (
    "the name of a .safetensors file in the round's folder",
    lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_]{1,100}\.safetensors", value) is not None,
)
_AHEAD = {
    "ahead": (
        "which views of the next round were seen ahead, and the file of that moment",
        lambda value: is_mapping(value) and _are_chosen(value.get("views")) and _SNAPSHOT[1](value.get("snapshot")),
    )
}
_OF_ROUND_0 = {"snapshot": _SNAPSHOT, "scene": TEXT}
_OF_ROUNDS = _OF_ROUND_0 | {
    "instruction": TEXT,
    "mode": TEXT,
    "editor": TEXT,
    "written": TEXT,
    "seed": ("a whole number", lambda value: type(value) is int and abs(value) < 2**64),
    "metrics": ("metrics of one or more moments", _are_metrics),
    "seconds": (
        "times of phases, and of all",
        lambda value: is_mapping(value) and "all" in value and all(map(is_number, value.values())),
    ),
    "peak_memory_gib": NUMBER,
    "plan": ("a plan with its number of steps", lambda value: is_mapping(value) and is_count(value.get("steps"))),
    "settings": MAPPING,
    "edits": ("a list of edits, each with the views that failed", _are_edits),
    "round_views": ("a list of views", _are_views),
    "edited_in": ("the round of each view", lambda value: _are_by_view(value, is_count)),
    "residuals": ("a number for each view", lambda value: _are_by_view(value, is_number)),
    "edits_so_far": COUNT,
    "steps_done": COUNT,
}


def read_manifest(path: Path, number: int) -> dict[str, Any]:
    """The manifest of this round; what stands in it is what it should be (`check_complete`: and nothing is missing).

    Raises:
        ValueError: missing, damaged, of another round or format; with the way back.
    """
    back = _way_back(path, number)
    try:
        manifest = read_document(path)
        if manifest.get("format") == FORMAT and manifest.get("round") == number:
            check_fields(manifest, _OF_ROUNDS | _AHEAD if number else _OF_ROUND_0, complete=False)
            late = [view for view, edited in manifest.get("edited_in", {}).items() if not 1 <= edited <= number]
            if late:
                raise ValueError(f"view {late[0]} cannot have been edited in another round than 1 to {number}")
            return manifest
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}). Put it back from a backup, or {back}.") from error
    raise ValueError(
        f"{path} is not a manifest of round {number} in a format that this version reads (format {FORMAT}); {back}."
    )


def check_complete(path: Path, number: int, manifest: dict[str, Any]) -> None:
    """Raises ValueError unless all is there that goes into the page, and that the next round begins with."""
    try:
        check_fields(manifest, _OF_ROUNDS if number else _OF_ROUND_0)
    except ValueError as error:
        back = _way_back(path, number)
        raise ValueError(f"{path} is damaged ({error}). Put it back from a backup, or {back}.") from error


def check_views(path: Path, number: int, manifest: dict[str, Any], count: int) -> None:
    """Raises ValueError unless all views that the next round begins with are among those of the capture."""
    views = [*manifest["round_views"], *map(int, manifest["edited_in"]), *manifest.get("ahead", {}).get("views", ())]
    if max(views, default=0) >= count:
        raise ValueError(
            f"{path} speaks of view {max(views)}, and the capture has {count} views. Load the capture that the rounds "
            f"were made of, or {_way_back(path, number)}."
        )


def _way_back(path: Path, number: int) -> str:
    back = f"go back to the round before it: ft2s rounds reset {quote(str(path.parents[2]))} --to {number - 1}"
    return back if number else "start a new run"
