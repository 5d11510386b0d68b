"""A value is what its field's type says, or refused in words."""

from pathlib import Path
from typing import Annotated, Literal

import pytest

from fasttext2style.recipes.values import in_words, typed, words

Pair = tuple[float, float]


@pytest.mark.parametrize(
    "value, hint, expected",
    [
        (3, int, 3),
        (3, float, 3.0),
        (0.5, float, 0.5),
        (True, bool, True),
        ("gold", str, "gold"),
        ("a b", Path, Path("a b")),
        (None, int | None, None),
        (3, int | None, 3),
        ([1, 2], Pair, (1.0, 2.0)),
        ([[1, 2], [3, 4]], list[Pair], [(1.0, 2.0), (3.0, 4.0)]),
        ([], tuple[str, ...], ()),
        (["a"], Annotated[tuple[str, ...], "a note"], ("a",)),
        ("on", Literal["auto", "on"], "on"),
        (
            {"size": 4, "type": "fp16", "offload": True},
            dict[str, str],
            {"size": "4", "type": "fp16", "offload": "True"},
        ),
        ({"a": 1}, dict[str, int], {"a": 1}),
        ([3, 4], int | Pair, (3.0, 4.0)),
    ],
)
def test_a_value_that_fits_is_taken(value, hint, expected):
    got = typed(value, hint)
    assert got == expected and type(got) is type(expected)


@pytest.mark.parametrize(
    "value, hint, said",
    [
        (True, int, "expected a whole number, got true"),
        (True, float, "expected a number, got true"),
        (3.0, int, "expected a whole number, got 3.0"),
        ("3", int, "expected a whole number, got the text '3'"),
        (1, bool, "expected true or false, got 1"),
        (float("nan"), float, "expected a number, got nan"),
        (10**400, float, "expected a number, got 1000"),
        (3, str, "expected text, got 3"),
        (None, str, "expected text, got nothing"),
        ({}, int | None, "expected a whole number, got an empty mapping"),
        ("None", str | None, "write null"),
        ([1, 2, 3], Pair, "expected a list of 2 (a number, a number), got 3 entries"),
        ([1, "x"], Pair, "expected a number, got the text 'x' in the list [1, 'x']"),
        ("x", list[int], "expected a list, each entry a whole number, got the text 'x'"),
        (["-x"], tuple[str, ...], "no text that begins with -"),
        ({"a": "-x"}, dict[str, str], "no text that begins with -"),
        ({"a": [1]}, dict[str, str], "expected text, got the list [1]"),
        ("of", Literal["auto", "off"], "expected one of auto, off, got the text 'of'; did you mean off?"),
        (1, Literal["auto", "1"], "expected one of auto, 1, got 1"),
        ("a\0", str, "no command line can hold"),
        ("\ud800", str, "no command line can hold"),
        ("x", object, "expected nothing that a recipe can give"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_words(value, hint, said):
    with pytest.raises(ValueError) as refusal:
        typed(value, hint)
    assert said in str(refusal.value)


def test_types_in_words():
    assert in_words(Pair | None) == "a list of 2 (a number, a number) or null"
    assert in_words(dict[str, int]) == "a mapping of text to a whole number"


def test_values_as_words():
    assert words([(0, 1.0, 2.5), (3, 4.0, 5.0)]) == ["0", "1.0", "2.5", "3", "4.0", "5.0"]
    assert words({"batch_size": "4"}) == ["batch_size", "4"]
    assert words(None) == ["None"] and words(True) == ["True"] and words(Path("a b")) == ["a b"]
