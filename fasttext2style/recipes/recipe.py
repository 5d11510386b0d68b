"""A recipe: what it is about, the method, and settings that `ns-train` is given.

about: FastText2ObjectStyle, Algorithm 4
time: about 10 minutes on an RTX 6000 (the paper's)
memory: not measured
needs: [cuda]
method: fasttext2style-ip2p
prompt: turn the bear into a panda         # optional, as is `data`
settings:                                  # as the method's config classes are nested
  pipeline: {rounds: {schedule: {rounds: 4, epochs: 20}}}
dataparser: {nerfstudio-data: {orientation_method: none}}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from fasttext2style.recipes.methods import default_config
from fasttext2style.recipes.plain_yaml import read_yaml
from fasttext2style.recipes.settings import DATAPARSER, TOP, Setting, nearest, read_settings, type_hints
from fasttext2style.recipes.values import bare, shown, typed
from fasttext2style.trust.documents import read_yaml_text
from fasttext2style.trust.text import one_line

_HEAD = {
    "about": str,
    "time": str,
    "memory": str,
    "needs": str | tuple[str, ...],
    "method": str,
    "data": Path | None,
    "prompt": str | None,
}
"""What stands at the top of a recipe besides `settings` and `dataparser`, and its types."""
_FIELDS = [*_HEAD, "settings", "dataparser"]


@dataclass(frozen=True)
class Recipe:
    """A recipe that was read and checked."""

    name: str
    """File that it came from, for messages."""
    about: str
    """What it reproduces, and whose it is."""
    time: str
    memory: str
    needs: tuple[str, ...]
    """Such as "cuda"."""
    method: str
    data: Path | None
    prompt: str | None
    settings: tuple[Setting, ...]
    dataparser: str
    """Its name, empty for the method's own."""
    dataparser_settings: tuple[Setting, ...]

    def words(self, options: Sequence[str] = ()) -> list[str]:
        """The command line after `ns-train`: what `options` say stands instead of what the recipe says.

        Args:
            options: further words of ns-train's command line, such as ["--data", "capture"].
        """
        parsers = dataparsers(default_config(self.method))
        before, parser, after = _at_subcommand(options, parsers)
        given = _flags_of(before)
        words = [self.method]
        for name, path in TOP.items():
            value = getattr(self, name)
            if value is not None and not given & {f"--{name}", f"--{path}"}:
                words += [f"--{name}={value}"] if str(value).startswith("-") else [f"--{name}", str(value)]
        words += _words(_not_given(self.settings, given))
        words += before
        if parser in ("", self.dataparser) and self.dataparser:
            return [*words, self.dataparser, *_words(_not_given(self.dataparser_settings, _flags_of(after))), *after]
        return [*words, parser, *after] if parser else words

    def settings_left(self, options: Sequence[str]) -> list[Setting]:
        """Those that options do not overrule."""
        return _not_given(self.settings, _flags_of(options))


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        ValueError: it cannot be read, or all that is wrong with it: file, field, what was expected, the nearest field.
    """
    try:
        text = read_yaml_text(path)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no recipe: it is not text in UTF-8 ({error.reason} at byte {error.start})."
        ) from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is no recipe: {error}.") from error
    return parse_recipe(text, str(path))


def parse_recipe(text: str, name: str = "the recipe") -> Recipe:
    """Check the text of a recipe; see `read_recipe`."""
    try:
        document, mistakes = read_yaml(text)
    except ValueError as error:
        raise ValueError(f"{name} is no YAML that recipes are written in: {error}.") from error
    if document is None:
        raise ValueError(f"{name} is empty: a recipe names at least a method, such as\n  method: fasttext2style")
    if not isinstance(document, Mapping):
        raise ValueError(
            f"{name} is no recipe: expected fields such as `method: fasttext2style`, got {shown(document)}."
        )
    recipe = _checked(document, name, mistakes)
    if mistakes or recipe is None:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ValueError(f"{name} has {count}:\n" + "\n".join(f"  {one_line(mistake)}" for mistake in mistakes))
    return recipe


def dataparsers(config: Any) -> dict[str, Any]:
    """Name of each data parser that ns-train offers for a method -> its settings, as they are when nothing is said."""
    *parents, name = DATAPARSER.split(".")
    for parent in parents:
        config = getattr(config, parent)
    own = getattr(config, name)
    found = {}
    for choice in get_args(bare(type_hints(type(config))[name])):
        for said in get_args(choice)[1:]:
            if hasattr(said, "default"):
                found[said.name] = own if type(own) is type(said.default) else said.default
    return found


def _checked(document: Mapping, name: str, mistakes: list[str]) -> Recipe | None:
    """The recipe that a document holds; what is wrong with it is added to `mistakes`."""
    head: dict[str, Any] = {
        "about": "",
        "time": "",
        "memory": "",
        "needs": (),
        "method": "",
        "data": None,
        "prompt": None,
    }
    for field, hint in _HEAD.items():
        try:
            head[field] = typed(document[field], hint) if field in document else head[field]
        except ValueError as error:
            mistakes.append(f"{field}: {error}")
    config = None
    try:
        if "method" not in document:
            raise ValueError("it is missing; write `method: fasttext2style`, or another of ns-train")
        config = default_config(head["method"]) if head["method"] else None
    except ValueError as error:
        mistakes.append(f"method: {error}")
    for field in document:
        if field not in _FIELDS:
            mistakes.append(f"{field}: there is no such field; {nearest(str(field), _FIELDS, config)}")
    if config is None:
        return None
    given = document.get("settings")
    settings, wrong = read_settings({} if given is None else given, config)
    parser, parser_settings, parser_wrong = _checked_dataparser(document.get("dataparser"), dataparsers(config))
    mistakes += wrong + parser_wrong
    head["needs"] = (head["needs"],) if isinstance(head["needs"], str) else head["needs"]
    return Recipe(
        name=name,
        **head,
        settings=tuple(settings),
        dataparser=parser,
        dataparser_settings=tuple(parser_settings),
    )


def _checked_dataparser(value: Any, known: dict[str, Any]) -> tuple[str, list[Setting], list[str]]:
    """Name and settings of `dataparser`, and what is wrong with them."""
    if value is None:
        return "", [], []
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, Mapping) or len(value) != 1:
        return "", [], [f"dataparser: expected one name, with its settings under it, got {shown(value)}"]
    ((name, values),) = value.items()
    if name not in known:
        return "", [], [f"dataparser.{name}: there is no such data parser; {nearest(str(name), known, None)}"]
    settings, wrong = read_settings({} if values is None else values, known[name], f"dataparser.{name}")
    return name, settings, wrong


def _not_given(settings: Sequence[Setting], given: set[str]) -> list[Setting]:
    """Those settings that options do not name."""
    return [entry for entry in settings if not given & {*entry.field.flags}]


def _words(settings: Sequence[Setting]) -> list[str]:
    return [word for entry in settings for word in entry.words]


def _flags_of(words: Sequence[str]) -> set[str]:
    return {word.split("=")[0].replace("_", "-") for word in words if word.startswith("--")}


def _at_subcommand(words: Sequence[str], names: Collection[str]) -> tuple[list[str], str, list[str]]:
    """Words before a subcommand of ns-train, its name, and words after it. A word right after an option is a value."""
    for place, word in enumerate(words):
        previous = words[place - 1] if place else ""
        if word in names and not (previous.startswith("--") and "=" not in previous):
            return list(words[:place]), word, list(words[place + 1 :])
    return list(words), "", []
