"""What nerfstudio, viser and torch print by themselves, kept from the reader where it says nothing to them.

nerfstudio prints through one console of its own, viser through rich's; both have rich's switch `quiet`, so nothing of
theirs is replaced. What is said in their place is said by `console.say`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import rich
from rich.console import Console

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer

KNOWN_WARNINGS: tuple[tuple[type[Warning], str, str], ...] = (
    (UserWarning, "Using a non-tuple sequence for multidimensional indexing", r"nerfstudio\.cameras"),
    (FutureWarning, r"`torch\.cuda\.amp\.\w+\(args\.\.\.\)` is deprecated", r"nerfstudio\."),
)
"""Category, message and module of warnings about nerfstudio's own code: there is nothing that a reader could do."""


def silence_known_warnings() -> None:
    """Keep `KNOWN_WARNINGS` from the reader. Whoever set -W or PYTHONWARNINGS gets what they asked for.

    nerfstudio imports its own models before it looks for plugins: under ns-train the two warnings of
    nerfstudio/field_components/activations.py are printed before any code of ours runs, and remain.
    """
    if sys.warnoptions:
        return
    for category, message, module in KNOWN_WARNINGS:
        # Appended: any other filter comes first.
        warnings.filterwarnings("ignore", message, category, module, append=True)


@contextmanager
def host_is_quiet() -> Iterator[None]:
    """nerfstudio's console prints nothing meanwhile; questions that it asks are asked."""
    from nerfstudio.utils.rich_utils import CONSOLE

    with _quiet(CONSOLE):
        yield


@contextmanager
def rich_is_quiet() -> Iterator[None]:
    """rich's own console prints nothing meanwhile: viser's table of addresses, progress bars; questions neither."""
    with _quiet(rich.get_console()):
        yield


@contextmanager
def _quiet(console: Console) -> Iterator[None]:
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


def address(viewer: Viewer) -> str:
    """Where a browser on this machine finds the viewer."""
    server = viewer.viser_server
    host = server.get_host()
    return f"http://{'localhost' if host == '0.0.0.0' else host}:{server.get_port()}"
