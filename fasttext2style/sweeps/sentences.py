"""Sentences from a file, a line each; all of them are looked at before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.gallery import GALLERY
from fasttext2style.guidance.prompts import check_prompt
from fasttext2style.trust.text import LONGEST, one_line

LARGEST = 256 << 10
"""Bytes of a file of sentences."""
REMARK = "#"
_SHOWN = 60
"""Characters of a sentence in a message."""


@dataclass(frozen=True)
class Sentence:
    """What the object could become."""

    text: str
    line: int = 0
    """Of the file, from 1; 0: of the built-in list."""


@dataclass(frozen=True)
class Sentences:
    """Those of a file, or of the built-in list."""

    all: tuple[Sentence, ...]
    source: str
    """In words."""

    @staticmethod
    def built_in() -> Sentences:
        return Sentences(tuple(Sentence(text) for text in GALLERY), "the built-in list")

    @staticmethod
    def read(path: Path) -> Sentences:
        """Of a text file: a sentence a line, empty lines and those that begin with # left out.

        Raises:
            ValueError: no such file, too large, no UTF-8, no sentence in it, or the same one twice.
        """
        try:
            if path.exists() and not path.is_file():
                raise ValueError(f"{path} is no file; expected one with a sentence a line.")
            with open(path, "rb") as stream:
                content = stream.read(LARGEST + 1)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}.") from error
        if len(content) > LARGEST:
            raise ValueError(f"{path} has more than the {LARGEST:,} bytes that are read of a file of sentences.")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise ValueError(f"{path}, line {line}: no UTF-8 text. Save it as UTF-8.") from error
        lines = [(number, " ".join(line.split())) for number, line in enumerate(text.split("\n"), 1)]
        found = [Sentence(text, number) for number, text in lines if text and not text.startswith(REMARK)]
        if not found:
            raise ValueError(f'{path} has no sentence; expected one a line, such as "a bear made of gold".')
        too_long = [sentence for sentence in found if len(sentence.text) > LONGEST]
        if too_long:
            raise ValueError(f"{path}, line {too_long[0].line}: more than {LONGEST:,} characters are no sentence.")
        first: dict[str, int] = {}
        twice = [
            f"line {sentence.line} says what line {first[sentence.text]} does"
            for sentence in found
            if first.setdefault(sentence.text, sentence.line) != sentence.line
        ]
        if twice:
            raise ValueError(f"{path}: {'; '.join(twice)}. Several seeds try a sentence several times: --seeds 0 1 2.")
        return Sentences(tuple(found), str(path))

    def check(self, encoder: TextImageEncoder, negatives: Sequence[str] = ()) -> list[str]:
        """What the user should know about some of them, a line each.

        Raises:
            ValueError: some say nothing to the encoder; all of these are named, with their lines.
        """
        warnings, refused = [], []
        for sentence in self.all:
            where = f"line {sentence.line}, " if sentence.line else ""
            where += f'"{one_line(sentence.text, _SHOWN)}"'
            try:
                warning = check_prompt(encoder, sentence.text, tuple(negatives))
            except ValueError as error:
                refused.append((where, str(error)))
                continue
            if warning:
                warnings.append(f"{where}: {warning}")
        if refused:
            if len(refused) == 1:
                raise ValueError(f"{self.source}, {refused[0][0]}: {refused[0][1]}")
            them = "; ".join(where for where, _ in refused)
            raise ValueError(
                f"Encoder {encoder.name} can do nothing with {len(refused)} of {len(self.all)} sentences of "
                f"{self.source}: {them}. Of the first: {refused[0][1]}"
            )
        return warnings
