"""What a person reads on the terminal. Needs rich alone, so that commands that need no nerfstudio can speak, too.

Nothing that is said is read as markup: prompts, paths and errors may hold any [brackets] and :colons:.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import TextWrapper

from rich.console import Console
from rich.text import Text

from fasttext2style.trust.text import on_terminal

console = Console(markup=False, emoji=False, highlight=False)


def say(text: str, style: str = "", wrap: bool = True) -> None:
    """Print lines, on a terminal wrapped between words; a path stays in one piece, to be copied."""
    text = on_terminal(text)
    if console.is_terminal and wrap:
        wrapping = TextWrapper(console.width, break_long_words=False, break_on_hyphens=False)
        text = "\n".join(wrapping.fill(line) for line in text.split("\n"))
    console.print(Text(text, style), soft_wrap=True)


def warn(text: str) -> None:
    """Print what the reader should know although the work goes on."""
    say(text, style="yellow")


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show a ValueError (bad input), an OSError (disk, network) or a missing system library as one readable message;
    exit code 1."""
    try:
        yield
    except (ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError) and not _somebody_reads():
            raise SystemExit(1) from None
        say(f"\nError: {error}", style="bold red")
        raise SystemExit(1) from error
    except ImportError as error:
        # A package that pip installed and the machine cannot load; any other ImportError is our own mistake.
        if "shared object" not in str(error):
            raise
        say(
            f"\nError: A library of the system is missing: {error}. Install the package that holds it; those of open3d "
            "are, on Debian and Ubuntu: apt-get install libegl1 libgl1 libusb-1.0-0 libx11-6",
            style="bold red",
        )
        raise SystemExit(1) from error


@contextmanager
def interrupts_in_words(kept: str = "") -> Iterator[None]:
    """Show a Ctrl-C as a word, and what is kept; exit code 130. For outermost places alone: what lies below may have
    something to keep first."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"\nInterrupted{kept and ': '}{kept}.")
        raise SystemExit(130) from None


def _somebody_reads() -> bool:
    """Whether what is printed still goes somewhere; `head`, for one, ends when it has seen enough."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
