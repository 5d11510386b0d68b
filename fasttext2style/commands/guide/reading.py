"""How an answer becomes a value; a ValueError says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fasttext2style.captures.checks import CaptureLook, look_at_capture
from fasttext2style.recipes.paths import found
from fasttext2style.recipes.values import typed
from fasttext2style.trust.typed import expanded


def capture(answer: str) -> tuple[Path, CaptureLook]:
    """The folder, from wherever the recipe is run later, and what is in it."""
    data = expanded(answer).absolute()
    return data, look_at_capture(data)


def text(answer: str) -> str:
    if not answer.strip():
        raise ValueError("an answer is needed.")
    return typed(answer, str | None)


def triple(answer: str) -> list[float]:
    try:
        x, y, z = (float(word) for word in answer.replace(",", " ").split())
    except ValueError:
        raise ValueError(f'expected three numbers, such as "0 0 0.5"; got {answer!r}.') from None
    return [x, y, z]


def sizes(answer: str) -> list[float]:
    sizes = triple(answer)
    if min(sizes) <= 0:
        raise ValueError(f"lengths are above 0; got {answer!r}.")
    return sizes


def positive(answer: str) -> float:
    try:
        value = float(answer)
    except ValueError:
        raise ValueError(f"expected a number, got {answer!r}.") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"expected a number above 0, got {answer!r}.")
    return value


def masks_for(look: CaptureLook) -> Callable[[str], str]:
    def read(answer: str) -> str:
        from fasttext2style.captures.masks import masks_of

        folder = expanded(answer)
        masks_of(folder, list(look.photographs))
        return str(folder.absolute())

    return read


def encoder(answer: str) -> str:
    from fasttext2style.guidance.load import encoder_is_here

    encoder_is_here(answer)
    return answer


def editor(answer: str) -> str:
    from fasttext2style.editors.load import editor_is_here

    editor_is_here(answer)
    from fasttext2style.plugin.rounds.editing import EDITOR

    return found(answer, EDITOR)


def new_file(answer: str) -> Path:
    path = expanded(answer)
    path = path if path.suffix in (".yaml", ".yml") else path.with_name(f"{path.name}.yaml")
    if path.exists():
        raise ValueError(f"{path} is there already; give another name.")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}.")
    return path
