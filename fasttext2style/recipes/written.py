"""What a run was set to, as a recipe that repeats it: the settings in which it differs from its method's defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fasttext2style.recipes.methods import default_config, method_names
from fasttext2style.recipes.plain_yaml import write_yaml
from fasttext2style.recipes.recipe import dataparsers
from fasttext2style.recipes.settings import DATAPARSER, TOP, differences
from fasttext2style.scene.files.atomic import atomic_write

_OF_ONE_RUN = ("timestamp", "run_folder", "refine", "pipeline.workers")
"""Settings that say which run this is, how it is taken up again, or on which machines it was: repeating it makes a new
one."""


def write_run_recipe(config: Any, folder: Path) -> Path | None:
    """Write recipe.yaml into the folder of a run; None for methods that nerfstudio does not know as a plugin's."""
    if config.method_name not in method_names():
        return None
    path = folder / "recipe.yaml"
    with atomic_write(path) as stream:
        stream.write(recipe_of(config, f"the run {'/'.join(folder.parts[-3:])}, as it was set").encode("utf8"))
    return path


def recipe_of(config: Any, about: str) -> str:
    """The text of a recipe for a config of nerfstudio's, whose paths should be absolute.

    Settings that ns-train has no option for (a script may change them) are named in a comment.
    """
    default = default_config(config.method_name)
    settings, lost = differences(default, config)
    top = {name: getattr(config, name) or _at(config, path) for name, path in TOP.items()}
    for name in _OF_ONE_RUN:
        settings.pop(name, None)
    if Path(default.output_dir).absolute() == Path(config.output_dir).absolute():
        settings.pop("output_dir", None)
    data = None if top["data"] is None else Path(top["data"])
    if data is not None and settings.get("experiment_name") == (data.parent if data.is_file() else data).stem:
        settings.pop("experiment_name")
    dataparser, lost_of_parser = _dataparser(default, config, data)
    lost = [path for path in [*lost, *lost_of_parser] if path not in _OF_ONE_RUN]
    document = {
        "about": about,
        "method": config.method_name,
        **{name: str(value) for name, value in top.items() if value is not None},
        **({"settings": settings} if settings else {}),
        **({"dataparser": dataparser} if dataparser else {}),
    }
    note = f"# Not in here, for ns-train has no option for it: {', '.join(lost)}\n" if lost else ""
    return f"# Again: ft2s run THIS_FILE\n{note}{write_yaml(document)}"


def _dataparser(default: Any, config: Any, data: Path | None) -> tuple[dict | None, list[str]]:
    """`dataparser` of a recipe, None when it is the method's own, and what cannot be said about it."""
    parser = _at(config, DATAPARSER)
    for name, standard in dataparsers(default).items():
        if type(standard) is type(parser):
            changed, lost = differences(standard, parser)
            if data is not None and str(data) == changed.get("data"):
                changed.pop("data")  # nerfstudio copies --data here
            own = type(_at(default, DATAPARSER)) is type(parser)
            return (None if own and not changed else {name: changed}), [f"{DATAPARSER}.{path}" for path in lost]
    return None, [DATAPARSER]


def _at(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = getattr(config, name)
    return config
