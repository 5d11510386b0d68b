"""Runs of others: what their settings ask for is not done unless the user says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fasttext2style.plug_ins import named_by_others
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.recipes.recipe import Recipe
from fasttext2style.trust.own_runs import is_own
from fasttext2style.trust.text import one_line
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
    said = {
        "viewer.make_share_url": config.viewer.make_share_url,
        "viewer.websocket_host": config.viewer.websocket_host,
        "vis": config.vis,
    }
    with _of_others(config_path, said):
        yield


@contextmanager
def recipe_by_whom(named: str, recipe: Recipe, options: Sequence[str], trust: bool) -> Iterator[None]:
    """The same for the recipe of a run: one that was named by a folder, or lies beside a config.yml.

    It is looked at by itself: beside a config.yml that this user wrote, somebody may have changed it.

    Args:
        named: what the user gave, of which the recipe came.
        options: of the user's, which win over the recipe.

    Raises:
        ValueError: as `by_whom`.
    """
    path = Path(recipe.name).absolute()
    is_of_run = expanded(named).is_dir() or (path.parent / "config.yml").exists()
    if trust or not is_of_run or is_own(path):
        yield
        return
    with _of_others(path, {entry.field.path: entry.value for entry in recipe.settings_left(options)}):
        yield


@contextmanager
def _of_others(file: Path, said: Mapping[str, Any]) -> Iterator[None]:
    """Inside, code that these settings name is not imported.

    Raises:
        ValueError: they show what is done to others.
    """
    asked = []
    if said.get("viewer.make_share_url"):
        asked.append("viewer.make_share_url: true")
    if (host := said.get("viewer.websocket_host", "localhost")) not in _THIS_MACHINE:
        asked.append(f"viewer.websocket_host: {host}")
    if str(said.get("vis")).endswith(("wandb", "comet")):
        asked.append(f"vis: {said['vis']}")
    if asked:
        raise ValueError(
            f"{file} was not written by you on this machine, and shows what is done to others "
            f"({one_line(', '.join(asked))}). If you want that, give the command --trust."
        )
    with named_by_others(str(file)):
        yield
