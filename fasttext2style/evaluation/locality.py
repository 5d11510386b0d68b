"""Whether an edit left what is outside the object as it was, bit for bit: the scene that was saved beside the scene
that was loaded, both read from their files.

What "bit for bit" means: each number as a 32 bit float as it is loaded. A .ply of doubles counts as rounded to floats;
colours that splatfacto keeps as logits (SH degree 0) count as the spherical harmonics that they are loaded as; a scene
of a lower SH degree counts as having zeros for the other coefficients. NaN equals the same NaN; -0.0 is not 0.0.
Gaussians are compared in their order. The order of what is outside never changes, but an object that has grown stands
behind all others, where it stood among them before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from fasttext2style.scene.bits import same_bits
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.scene.gaussians import Gaussians

ROWS_AT_ONCE = 1 << 16
"""Gaussians that are compared together: 15 MB of each scene at SH degree 3."""


@dataclass(frozen=True)
class Drift:
    """What became of the Gaussians outside the object."""

    compared: int
    """How many there were."""
    changed: int
    """Those with other bits; where Gaussians came or went, at least how many did."""
    largest_change: float
    """Of a parameter as it is stored. Infinite where Gaussians or NaN came or went."""
    parameter: str
    """The one that changed most; empty if none did."""


def outside_drift(
    loaded: Gaussians | SceneOnDisk,
    saved: Gaussians | SceneOnDisk,
    before: Int[Tensor, " outside_before"],
    after: Int[Tensor, " outside_after"],
) -> Drift:
    """Compare rows `before` of the scene that was loaded with rows `after` of the scene that was saved, one by one.

    In memory are `ROWS_AT_ONCE` rows of each. Two equal scenes give (compared, 0, 0.0, ""); one colour coefficient of
    one Gaussian 0.25 larger gives (compared, 1, 0.25, "sh_dc").
    """
    if len(before) != len(after):
        return came_or_went(len(before), len(after) - len(before))
    degree = max(loaded.sh_degree, saved.sh_degree)
    changed, largest, parameter = 0, 0.0, ""
    for ours, theirs in zip(before.split(ROWS_AT_ONCE), after.split(ROWS_AT_ONCE)):
        was, is_now = (
            scene.subset(rows).detach().to("cpu").with_sh_degree(degree)
            for scene, rows in ((loaded, ours), (saved, theirs))
        )
        rows_changed = torch.zeros(len(ours), dtype=torch.bool)
        for name in (field.name for field in fields(Gaussians)):
            old, new = getattr(was, name), getattr(is_now, name)
            different = ~same_bits(old, new)
            if bool(different.any()):
                rows_changed |= different[:, None].flatten(1).any(dim=1)
                change = float((new - old)[different].abs().nan_to_num(nan=float("inf")).max())
                if change >= largest:
                    largest, parameter = change, name
        changed += int(rows_changed.sum())
    return Drift(len(before), changed, largest, parameter)


@dataclass(frozen=True)
class LoadedFile:
    """The file that a run took its scene from, as it was then."""

    path: Path
    size: int
    """Bytes."""
    written: str
    """When, to the millisecond."""
    moved_on: str = ""
    """Why the scene that the run began with is not the one in the file; empty: it is."""

    @staticmethod
    def of(path: Path) -> LoadedFile:
        """As it is now."""
        status = Path(path).stat()
        written = datetime.fromtimestamp(status.st_mtime).isoformat(timespec="milliseconds")
        return LoadedFile(Path(path), status.st_size, written)

    def described(self) -> dict[str, Any]:
        """For a report."""
        return {"file": str(self.path), "bytes": self.size, "written": self.written}


def drift_by_weights(
    loaded: SceneOnDisk, object_rows: Int[Tensor, " object"], files: Mapping[str, Path], weighted: Path
) -> dict[str, Drift]:
    """What changed outside the object, in each of the files that were saved.

    Args:
        object_rows: which Gaussians of the loaded scene are the object.
        files: name -> scene that was saved, all with the Gaussians in the same order.
        weighted: the one of them that says which of its Gaussians are the object.

    Raises:
        ValueError: a file cannot be read.
    """
    if len(object_rows) and int(object_rows.max()) >= len(loaded):
        raise ValueError(f"{loaded.path} has only {len(loaded):,} Gaussians: it is not the scene of this object.")
    keep = torch.ones(len(loaded), dtype=torch.bool)
    keep[object_rows.cpu()] = False
    outside = SceneOnDisk(weighted).weights <= 0
    before, after = keep.nonzero()[:, 0], outside.nonzero()[:, 0]
    drifts = {}
    for name, path in files.items():
        saved = SceneOnDisk(path)
        came = len(saved) - len(outside)
        drifts[name] = outside_drift(loaded, saved, before, after) if came == 0 else came_or_went(len(before), came)
    return drifts


@torch.no_grad()
def outside_report(loaded: LoadedFile, measure: Callable[[SceneOnDisk], Mapping[str, Drift]]) -> dict[str, Any]:
    """The part of a report that says what changed outside the object: the worst of all files, and each of them.

    Where it is not known it says so: no number is better than a zero that nobody measured.

    Args:
        loaded: what to compare with.
        measure: given the loaded scene, the drift of each file that was saved; may raise ValueError.
    """
    about = {"loaded": loaded.described()}
    try:
        if loaded.moved_on:
            raise ValueError(loaded.moved_on)
        if not loaded.path.is_file():
            raise ValueError(f"{loaded.path}, which the scene was loaded from, is gone.")
        drifts = measure(SceneOnDisk(loaded.path))
        changed = any(drift.changed for drift in drifts.values())
        if changed and LoadedFile.of(loaded.path).described() != loaded.described():
            raise ValueError(f"{loaded.path}, which the scene was loaded from, was written anew since.")
    except (ValueError, OSError) as error:
        return not_measured(str(error)) | about
    return numbers_of(drifts) | about


def numbers_of(drifts: Mapping[str, Drift]) -> dict[str, Any]:
    """The worst of several files, and each of them, for a report."""
    worst = max(drifts.values(), key=lambda drift: (drift.changed, drift.largest_change))
    files = {
        name: {"changed": drift.changed, "largest_change": drift.largest_change, "parameter": drift.parameter}
        for name, drift in drifts.items()
    }
    return {
        "gaussians_compared": worst.compared,
        "gaussians_changed": worst.changed,
        "largest_parameter_change": worst.largest_change,
        "files": files,
    }


def not_measured(reason: str) -> dict[str, Any]:
    """The same part of a report where it is not known."""
    return {"gaussians_changed": None, "largest_parameter_change": None, "not_measured": reason}


def verdict(outside: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether nothing changed, and one line that says it, of the part of a report that was made here."""
    if outside["gaussians_changed"] is None:
        return False, f"Whether anything outside the object changed could not be measured: {outside['not_measured']}"
    loaded = outside["loaded"]["file"] if "loaded" in outside else "the scene that was loaded"
    if outside["gaussians_changed"] == 0:
        files = ", ".join(outside["files"])
        return True, (
            f"Outside the object no bit of {outside['gaussians_compared']:,} Gaussians changed "
            f"({files} beside {loaded})."
        )
    name, worst = max(outside["files"].items(), key=lambda item: (item[1]["changed"], item[1]["largest_change"]))
    how = f"by up to {worst['largest_change']:g} ({worst['parameter']})" if worst["parameter"] else "that came or went"
    return False, (
        f"SOMETHING OUTSIDE THE OBJECT CHANGED: {worst['changed']:,} of {outside['gaussians_compared']:,} Gaussians in "
        f"{name}, {how}, beside {loaded}. That is an error of fasttext2style: please report it."
    )


def came_or_went(compared: int, count: int) -> Drift:
    """So many Gaussians outside the object are gone, or new."""
    return Drift(compared, abs(count), float("inf"), "")
