"""One question on a terminal: asked until the answer can be used, unless it was given as an option."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fasttext2style.trust.text import on_terminal


@dataclass(frozen=True)
class Question:
    """What is asked."""

    option: str
    """Which answers it, too, such as "--data"."""
    text: str
    why: str = ""
    """What it is good for, in a sentence or two."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """Answer -> what it means. Empty: the answer is free."""
    others: str = ""
    """What else can be answered, if the choices are not all."""
    default: str | None = None
    """What the Enter key answers; None for no default."""
    read: Callable[[str], Any] = str
    """Makes a value of the answer; a ValueError says why it cannot be used."""


class Asker:
    """Asks on the terminal; with `take_defaults` it asks nothing."""

    def __init__(self, take_defaults: bool = False) -> None:
        self.take_defaults = take_defaults

    def ask(self, question: Question, given: Any = None) -> Any:
        """The answer.

        Args:
            given: what the option said; None if it was not given.

        Raises:
            ValueError: what was given cannot be used, or nothing was and there is no default to take.
            EOFError, KeyboardInterrupt: nobody answers any more.
        """
        if given is not None:
            answer = " ".join(map(str, given)) if isinstance(given, tuple) else str(given)
            return self._read(question, answer, f"{question.option} {answer}: ")
        if self.take_defaults:
            if question.default is None:
                raise ValueError(f"{question.text} With --yes, say it by {question.option}.")
            return self._read(question, question.default, f"{question.option} {question.default}: ")
        self.say(f"\n{question.text}")
        if question.why:
            self.say(question.why)
        width = max(map(len, question.choices), default=0)
        for number, (name, meaning) in enumerate(question.choices.items(), start=1):
            self.say(f"  {number}  {name:{width}}  {meaning}")
        if question.others:
            self.say(f"  or {question.others}")
        while True:
            try:
                return self._read(question, self._line(question))
            except ValueError as error:
                self.say(f"  That does not work: {error}")

    def say(self, text: str) -> None:
        print(on_terminal(text), flush=True)

    def _line(self, question: Question) -> str:
        answer = input("> " if question.default is None else on_terminal(f"[{question.default}] > ")).strip()
        if answer:
            return answer
        if question.default is None:
            raise ValueError("an answer is needed (Ctrl-C leaves).")
        return question.default

    def _read(self, question: Question, answer: str, before: str = "") -> Any:
        try:
            return question.read(_chosen(answer, question) if question.choices else answer)
        except ValueError as error:
            raise ValueError(f"{before}{error}") from error


def _chosen(answer: str, question: Question) -> str:
    """A choice by its name, its number, or the beginning of its name."""
    names = list(question.choices)
    if answer.isdecimal() and 1 <= int(answer) <= len(names):
        return names[int(answer) - 1]
    alike = [name for name in names if name.lower() == answer.lower()]
    begun = [name for name in names if name.lower().startswith(answer.lower())]
    if question.others:
        return alike[0] if alike else answer
    if alike or len(begun) == 1:
        return (alike or begun)[0]
    close = difflib.get_close_matches(answer.lower(), names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"expected one of {', '.join(names)}, or its number; got {answer!r}{hint}")
