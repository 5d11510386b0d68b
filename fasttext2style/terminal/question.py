"""A question that a person answers with yes or no."""

from __future__ import annotations

import sys

from fasttext2style.terminal.console import console
from fasttext2style.trust.text import on_terminal


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return console.is_terminal and sys.stdin.isatty()


def is_yes(question: str) -> bool:
    """Ask until the answer is yes or no; the end of the input is a no."""
    while True:
        console.print(on_terminal(f"{question} (yes/no) "), end="")
        answer = sys.stdin.readline()
        if answer.strip().lower() in ("y", "yes"):
            return True
        if answer == "" or answer.strip().lower() in ("n", "no"):
            return False
