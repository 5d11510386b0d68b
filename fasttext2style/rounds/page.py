"""All rounds of a run side by side, as one page for any browser: no server, no script, pictures linked, not copied."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fasttext2style.rounds.folder import Kind, Round
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.trust.text import in_html, in_url

OPEN_VIEWS = 3
"""Views whose pictures are shown at once; the others unfold."""
CURVES = {
    "inside.psnr": ("Inside the mask, to the edited views", "PSNR, dB"),
    "inside.lpips": ("Inside the mask, to the edited views", "LPIPS"),
    "outside.psnr": ("Outside the mask, to the scene before any edit", "PSNR, dB"),
    "object": ("Gaussians of the object", "number"),
    "seconds": ("Time of a round", "s"),
}
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --accent: #2a78d6; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
p.about { margin-top: .2rem; opacity: .75; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .25rem .7rem; text-align: right; }
thead th { border-bottom: 1px solid var(--line); } tbody th { text-align: left; font-weight: 500; }
.pictures td { padding: .15rem; } .pictures img { width: 224px; height: auto; display: block; }
.curves { display: flex; flex-wrap: wrap; gap: 1.5rem; } figure { margin: 0; } figcaption { font-size: .85rem; }
svg text { font-size: 11px; fill: currentColor; opacity: .8; } svg .axis { stroke: var(--line); }
svg .curve { fill: none; stroke: var(--accent); stroke-width: 2; } svg circle { fill: var(--accent); }
summary { cursor: pointer; margin-top: 1rem; font-weight: 500; }
"""


def write_page(path: Path, rounds: Sequence[Round]) -> None:
    """Write the page of some complete rounds (round 0, without pictures, among them or not) beside their folders."""
    edited = [entry for entry in rounds if entry.number > 0]
    if not edited:
        raise ValueError("There is no round to show yet: the first one has not been completed.")
    for entry in edited:
        entry.check_complete()
    last = edited[-1].manifest
    body = [
        f"<h1>“{in_html(last['instruction'])}”</h1>",
        f'<p class="about">{in_html(last["mode"])} by {in_html(last["editor"])}, {len(edited)} rounds, '
        f"seed {in_html(str(last['seed']))}, last round of {in_html(last['written'])}</p>",
        _table(edited),
        '<h2>From round to round</h2><div class="curves">',
        *(_curve(edited, name) for name in CURVES),
        "</div><h2>Views</h2>",
        *_views(edited, path.parent),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        # Nothing in a run of others is run, whatever is overlooked above.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'none'; object-src 'none'\">"
        f'<meta name="viewport" content="width=device-width"><title>{in_html(last["instruction"])}</title>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )
    with atomic_write(path) as stream:
        stream.write(page.encode())


def metric(entry: Round, name: str) -> float | None:
    """A number of a round by its path in the manifest's metrics ("inside.psnr"), as refined if it was; or "seconds"."""
    if name == "seconds":
        return entry.manifest["seconds"]["all"]
    found: Any = list(entry.manifest["metrics"].values())[-1]
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return None if found is None or not math.isfinite(found) else float(found)


def _table(rounds: Sequence[Round]) -> str:
    names = [name for name in CURVES if any(metric(entry, name) is not None for entry in rounds)]
    heads = "".join(f"<th>{name.replace('.', ' ')}</th>" for name in names)
    rows = []
    for entry in rounds:
        numbers = "".join(f"<td>{_number(metric(entry, name))}</td>" for name in names)
        failed = sum(len(edit["failed"]) for edit in entry.manifest["edits"])
        remarks = [f"{len(entry.manifest['round_views'])} views"]
        remarks += ["refined"] if "refined" in entry.manifest["metrics"] else []
        remarks += [f"{failed} views not edited"] if failed else []
        manifest = f"round_{entry.number:04d}/manifest.json"
        rows.append(
            f'<tr><th><a href="{manifest}">Round {entry.number}</a></th>{numbers}<td>{", ".join(remarks)}</td></tr>'
        )
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{heads}<th></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _curve(rounds: Sequence[Round], name: str, width: int = 320, height: int = 150) -> str:
    """A metric over the rounds as a drawing; nothing when no round has it."""
    points = [(entry.number, value) for entry in rounds if (value := metric(entry, name)) is not None]
    if not points:
        return ""
    left, top, right, bottom = 52, 10, width - 14, height - 24
    # From 0, so that small changes look small.
    low, high = min(0.0, *(value for _, value in points)), max(value for _, value in points)
    first, last = points[0][0], points[-1][0]

    def place(number: int, value: float) -> tuple[float, float]:
        x = left + (right - left) * ((number - first) / (last - first) if last > first else 0.5)
        y = bottom - (bottom - top) * ((value - low) / (high - low) if high > low else 0.5)
        return round(x, 1), round(y, 1)

    places = [place(*point) for point in points]
    line = " ".join(f"{x},{y}" for x, y in places)
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="3"><title>round {number}: {_number(value)}</title></circle>'
        for (x, y), (number, value) in zip(places, points)
    )
    ticks = "".join(
        f'<text x="{left - 6}" y="{place(first, value)[1] + 4}" text-anchor="end">{_number(value)}</text>'
        for value in sorted({low, high})
    ) + "".join(
        f'<text x="{place(number, low)[0]}" y="{height - 6}" text-anchor="middle">{number}</text>'
        for number in sorted({first, last})
    )
    title, unit = CURVES[name]
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{title}"><path class="axis" fill="none" d="M{left},{top}V{bottom}H{right}"/>'
        f'<polyline class="curve" points="{line}"/>{dots}{ticks}</svg>'
        f"<figcaption>{title} ({unit})</figcaption></figure>"
    )


def _views(rounds: Sequence[Round], beside: Path) -> list[str]:
    """A table per view: a column per round, a row per kind of picture."""
    views = sorted({view for entry in rounds for view in entry.manifest["round_views"] if _file(entry, "before", view)})
    parts = []
    for place, view in enumerate(views):
        shown = [entry for entry in rounds if _file(entry, "before", view) or _file(entry, "edited", view)]
        heads = "".join(f"<th>Round {entry.number}</th>" for entry in shown)
        rows = []
        for kind in ("before", "edited", "after", "mask"):
            cells = "".join(f"<td>{_image(_file(entry, kind, view), kind, beside)}</td>" for entry in shown)
            rows.append(f"<tr><th>{kind}</th>{cells}</tr>")
        parts.append(
            f"<details{' open' if place < OPEN_VIEWS else ''}><summary>View {view}</summary>"
            f'<div class="scroll"><table class="pictures"><thead><tr><th></th>{heads}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div></details>"
        )
    return parts


def _file(entry: Round, kind: Kind, view: int) -> Path | None:
    return next(iter(sorted(entry.folder.joinpath(kind).glob(f"view_{view:04d}.*"))), None)


def _image(path: Path | None, kind: Kind, beside: Path) -> str:
    if path is None:
        return ""
    link = Path(os.path.relpath(path, beside)).as_posix()
    return f'<img src="{in_url(link)}" alt="{kind}" loading="lazy">'


def _number(value: float | None) -> str:
    """Three digits that count; whole numbers from 1000 on."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
