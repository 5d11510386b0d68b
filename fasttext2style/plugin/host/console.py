"""What a person reads on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show a ValueError (bad input), an OSError (disk, network) or a missing system library as one readable message;
    exit code 1."""
    try:
        yield
    except (ValueError, OSError) as error:
        _show(str(error))
        raise SystemExit(1) from error
    except ImportError as error:
        # A package that pip installed and the machine cannot load; any other ImportError is our own mistake.
        if "shared object" not in str(error):
            raise
        _show(
            f"A library of the system is missing: {error}. Install the package that holds it; those of open3d are, on "
            "Debian and Ubuntu: apt-get install libegl1 libgl1 libusb-1.0-0 libx11-6"
        )
        raise SystemExit(1) from error


def _show(message: str) -> None:
    CONSOLE.print(f"\n[bold red]Error:[/bold red] {escape(message)}", highlight=False)
