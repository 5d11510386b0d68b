"""Settings of a recipe beside the config of their method: which field each one is, and in which fields two configs
differ. A path such as `pipeline.rounds.schedule.steps` names a field.
"""

from __future__ import annotations

import difflib
import functools
import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro

from fasttext2style.recipes.values import bare, in_words, plain, shown, typed, words

TOP = {"data": "pipeline.datamanager.data", "prompt": "pipeline.model.prompt"}
"""What stands at the top of a recipe, for there ns-train has options that overrule the field that is named here."""
DATAPARSER = "pipeline.datamanager.dataparser"
"""The one setting that is a choice among classes: a subcommand of ns-train, last on its line."""
_AT_THE_TOP = {"method_name": "method", "dataparser": "dataparser", **{name: name for name in TOP}}
_CONFIG_FILE = "load_config"
"""Names a file that replaces all settings, and that runs what it says when it is read: not from a recipe."""
_ELSEWHERE = {"method_name", DATAPARSER, _CONFIG_FILE, *TOP, *TOP.values()}
"""Fields that no recipe has among its settings."""


@dataclass(frozen=True)
class Field:
    """A field of a config: a single setting, or a group of them."""

    path: str
    value: Any
    """As the config has it."""
    hint: Any
    """Its type."""
    notes: tuple[Any, ...] = ()
    """What Annotated says about it."""

    @property
    def is_group(self) -> bool:
        """As tyro has it: a dict with entries has an option for each of them; one that may be None is one option."""
        is_dict = isinstance(self.value, dict) and self.value and dict in (self.hint, get_origin(self.hint))
        return bool(is_dict) or (is_dataclass(self.value) and not isinstance(self.value, type))

    @property
    def is_sayable(self) -> bool:
        """Whether ns-train has an option for it."""
        if self.path.rpartition(".")[2].startswith("_") or {tyro.conf.Suppress, tyro.conf.Fixed} & {*self.markers}:
            return False
        return self.is_group or not (self.hint is types.NoneType or "nothing that" in in_words(self.hint))

    @property
    def markers(self) -> list[Any]:
        """tyro's marks, such as that an option is given once per entry of a list."""
        return [note for note in self.notes if note in (tyro.conf.Suppress, tyro.conf.Fixed, tyro.conf.UseAppendAction)]

    @property
    def flags(self) -> tuple[str, ...]:
        """The options that set it, a short name first."""
        short = [alias for note in self.notes for alias in getattr(note, "aliases", None) or ()]
        return (*short, f"--{self.path.replace('_', '-')}")

    def words(self, value: Any) -> list[str]:
        """The option and what follows it; as two words, but where the second would look like an option, too."""
        flag = self.flags[0]
        if tyro.conf.UseAppendAction in self.markers:
            return [word for entry in value for word in (flag, *words(entry))]
        if isinstance(value, (list, tuple, dict)):
            return [flag, *words(value)]
        (word,) = words(value)
        return [f"{flag}={word}"] if word.startswith("-") else [flag, word]


@dataclass(frozen=True)
class Setting:
    """A setting of a recipe, checked."""

    field: Field
    value: Any

    @property
    def words(self) -> list[str]:
        return self.field.words(self.value)


@functools.cache
def type_hints(config_class: type) -> dict[str, Any]:
    """The types of a dataclass's fields, with what Annotated says; working them out takes a millisecond."""
    return get_type_hints(config_class, include_extras=True)


def fields_of(group: Any, path: str = "") -> dict[str, Field]:
    """The fields of a dataclass or dict by name."""
    start = f"{path}." if path else ""
    if isinstance(group, dict):
        return {name: Field(f"{start}{name}", value, type(value)) for name, value in group.items()}
    hints = type_hints(type(group))
    found = {}
    for entry in fields(group):
        if not hasattr(group, entry.name):
            continue  # a config that was saved before the field was there
        hint = hints[entry.name]
        notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        found[entry.name] = Field(f"{start}{entry.name}", getattr(group, entry.name), bare(hint), notes)
    return found


def read_settings(values: Any, config: Any, place: str = "settings") -> tuple[list[Setting], list[str]]:
    """Settings that a mapping gives to the fields of a config, and what is wrong with it, a sentence per mistake.

    Args:
        values: as it stands in a recipe.
        config: of the method, or of a data parser.
        place: where in the recipe it stands.
    """
    return _Reader(config, place).group(values, config, "")


@dataclass(frozen=True)
class _Reader:
    """Walks through the settings of a recipe and the config side by side."""

    config: Any
    place: str

    def group(self, values: Any, group: Any, path: str) -> tuple[list[Setting], list[str]]:
        known = {name: field for name, field in fields_of(group, path).items() if field.is_sayable}
        if not isinstance(values, Mapping):
            here = f"{self.place}.{path}".rstrip(".")
            return [], [f"{here}: expected settings by name ({_some(known)}), got {shown(values)}"]
        settings, mistakes = [], []
        for name, value in values.items():
            full = f"{path}.{name}".lstrip(".")
            top = _AT_THE_TOP.get(str(name), "") if full in _ELSEWHERE or name not in known else ""
            if self.place == "settings" and top:
                mistakes.append(f"{self.place}.{full}: it stands at the top of a recipe, as `{top}`")
            elif self.place == "settings" and full == _CONFIG_FILE:
                mistakes.append(f"{self.place}.{full}: such a file replaces all settings; give it to ns-train itself")
            elif name not in known:
                mistakes.append(
                    f"{self.place}.{full}: there is no such setting; {nearest(full, known, self.config, self.place)}"
                )
            elif known[name].is_group:
                below = self.group(value, known[name].value, full)
                settings += below[0]
                mistakes += below[1]
            else:
                try:
                    settings.append(Setting(known[name], typed(value, known[name].hint)))
                except ValueError as error:
                    mistakes.append(f"{self.place}.{full}: {error}")
        return settings, mistakes


def nearest(path: str, siblings: Collection[str], config: Any, place: str = "settings") -> str:
    """The field that was meant by a wrong name: one beside it that is spelt alike, else one of this name elsewhere.

    Args:
        path: as it was written, from `place` on.
        siblings: names that would have been right there.
        config: what all names are looked for in; None when there is nothing to look in.
    """
    name = path.rpartition(".")[2]
    close = difflib.get_close_matches(name, siblings, n=1)
    if close:
        return f"did you mean {close[0]}?"
    names = {field.path: field.path.rpartition(".")[2] for field in every_field(config)} if config is not None else {}
    alike = difflib.get_close_matches(name, set(names.values()), n=1, cutoff=0.8)
    elsewhere = [other for other, last in names.items() if last in alike]
    # First those that have most in common with where it was looked for.
    elsewhere.sort(key=lambda other: difflib.SequenceMatcher(None, other, path).ratio(), reverse=True)
    found = " or ".join(f"{place}.{other}" for other in elsewhere[:2])
    return f"did you mean {found}?" if found else f"there are {_some(siblings)}"


def every_field(group: Any, path: str = "") -> Iterator[Field]:
    """All fields that ns-train has options for, groups before what is in them."""
    for field in fields_of(group, path).values():
        if field.is_sayable and field.path not in _ELSEWHERE:
            yield field
            if field.is_group:
                yield from every_field(field.value, field.path)


def differences(default: Any, config: Any, path: str = "") -> tuple[dict[str, Any], list[str]]:
    """The settings of a config that are not the default's, and the paths of those that no recipe can give."""
    changed: dict[str, Any] = {}
    unsayable: list[str] = []
    now_by_name = fields_of(config, path)
    for name, was in fields_of(default, path).items():
        now = now_by_name.get(name)
        if was.path in _ELSEWHERE or now is None:
            continue
        # Groups field by field: dataclasses of an old config.yml that lack a field cannot be compared.
        if was.is_group and _alike(was.value, now.value):
            below, lost = differences(was.value, now.value, was.path)
            unsayable += lost
            if below:
                changed[name] = below
            continue
        if now.value == was.value:
            continue
        try:
            if was.is_group or not was.is_sayable:
                raise ValueError
            value = plain(now.value)
            typed(value, was.hint)
            changed[name] = value
        except ValueError:
            unsayable.append(was.path)
    return changed, unsayable


def _alike(one: Any, other: Any) -> bool:
    """Whether two groups have the same fields."""
    return type(one) is type(other) and (not isinstance(one, dict) or one.keys() == other.keys())


def _some(names: Collection[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")
