"""What a person reads on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show a ValueError (bad input) or an OSError (disk, network) as one readable message; exit code 1."""
    try:
        yield
    except (ValueError, OSError) as error:
        CONSOLE.print(f"\n[bold red]Error:[/bold red] {escape(str(error))}", highlight=False)
        raise SystemExit(1) from error
