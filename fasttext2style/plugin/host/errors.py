"""No exception of the host reaches a person as a traceback while a run is set up."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = str(Path(__file__).parents[2])


@contextmanager
def host_in_words(doing: str, hint: str) -> Iterator[None]:
    """Turn what nerfstudio and its libraries assert, index and look up into a ValueError that names it.

    What we say ourselves, or an OSError, speaks for itself; an ImportError is told by `errors_in_words`.

    Args:
        doing: what was done, such as "The photographs of bear/ cannot be read".
        hint: what to do; a sentence.
    """
    try:
        yield
    except (OSError, ImportError):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and not is_of_a_library(error):
            raise
        raise ValueError(f"{doing} ({as_host_said(error)}). {hint}") from error


def is_of_a_library(error: BaseException) -> bool:
    """It was raised in what pip installed, and not in this package."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    file = place[0].filename if place else ""
    return not file.startswith(PACKAGE) and any(part in file for part in ("site-packages", "dist-packages"))


def as_host_said(error: BaseException) -> str:
    """Kind, words and place of an error, in one line."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    return f"{what}; {place.filename}, line {place.lineno}"
