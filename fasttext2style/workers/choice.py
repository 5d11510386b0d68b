"""What --workers says: so many on this machine, or those of a Ray cluster. Light, and nothing is started or asked."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass

from fasttext2style.plug_ins import NotTrusted, names_come_from_others

MOST_WORKERS = 1024
_ADDRESS = re.compile(r"(?:ray://)?(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


@dataclass(frozen=True)
class WorkersChoice:
    """So many here, or those of a Ray cluster."""

    count: int = 1
    address: str = ""

    @property
    def in_process(self) -> bool:
        return not self.address and self.count == 1


def read_workers(text: str, typed: bool = False) -> WorkersChoice:
    """What stands after --workers; nothing is started or asked.

    Args:
        typed: by the user, now, and not in the settings of a run.

    Raises:
        ValueError: neither a number nor an address, Ray is not installed, or somebody else named the address.
    """
    text = str(text).strip()
    found = _ADDRESS.fullmatch(text)
    if re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= MOST_WORKERS:
        choice = WorkersChoice(count=int(text))
    elif found is not None and 1 <= int(found[1]) <= 65535:
        choice = WorkersChoice(address=text)
    else:
        raise ValueError(
            f"--workers is a number from 1 to {MOST_WORKERS} (that many on this machine), or the address of a Ray "
            f"cluster such as ray://HEAD:10001; got {text!r}."
        )
    if choice.address and not typed and names_come_from_others():
        # Ray unpickles what a cluster answers: whoever runs it can run anything here.
        raise NotTrusted(
            f"These settings send views to a Ray cluster at {choice.address}, and were not written by you on this "
            "machine. If you trust it, give the command --trust; or --workers 1."
        )
    if not choice.in_process and importlib.util.find_spec("ray") is None:
        raise ValueError(
            f'--workers {text} needs Ray, which is not installed: pip install "fasttext2style[workers]", or leave '
            "--workers out."
        )
    return choice
