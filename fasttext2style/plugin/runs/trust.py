"""Runs of others: what their settings ask for is not done unless the user says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fasttext2style.plug_ins import named_by_others
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.trust.own_runs import is_own
from fasttext2style.trust.typed import expanded

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


@contextmanager
def by_whom(path: Path, trust: bool) -> Iterator[None]:
    """Inside, the settings of a run that this user did not write name no code, and show nothing to others.

    Raises:
        ValueError: they would show the session to others.
    """
    path = expanded(path).absolute()
    config_path = (path.parent if path.name in ("config.yml", "nerfstudio_models") else path) / "config.yml"
    if trust or not config_path.is_file() or is_own(config_path):
        yield
        return
    config = read_config(config_path)
    asked = []
    if config.viewer.make_share_url:
        asked.append("viewer.make_share_url: true")
    if config.viewer.websocket_host not in _THIS_MACHINE:
        asked.append(f"viewer.websocket_host: {config.viewer.websocket_host}")
    if str(config.vis).endswith(("wandb", "comet")):
        asked.append(f"vis: {config.vis}")
    if asked:
        raise ValueError(
            f"{config_path} was not written by you on this machine, and shows what is done to others "
            f"({', '.join(asked)}). If you want that, give the command --trust."
        )
    with named_by_others(str(config_path)):
        yield
