"""The YAML of recipes: plain values, the same for every reader."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttext2style.recipes.plain_yaml import read_yaml, write_yaml

# Text that one YAML or another takes for something else.
LOOKALIKES = [
    "08",
    "1e3",
    "1e-3",
    "0x10",
    "0o7",
    "1_0",
    "on",
    "No",
    "null",
    "~",
    "",
    "1:30",
    "2026-01-31",
    "=",
    "<<",
    "- a",
]
TEXT = st.text() | st.sampled_from(LOOKALIKES)


def test_values_are_those_of_yaml_1_2():
    text = "{a: on, b: no, c: 1:30, d: 2026-01-31, e: 1e-3, f: 010, g: null, h: true, i: .5, j: '1', k: ~, l: 0x10}"
    values = {"a": "on", "b": "no", "c": "1:30", "d": "2026-01-31", "e": 0.001, "f": 10, "g": None, "h": True}
    values |= {"i": 0.5, "j": "1", "k": None, "l": "0x10"}
    assert read_yaml(text) == (values, [])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    )
)
@settings(max_examples=150)
def test_what_is_written_is_read_back(value):
    # A file is text that an editor can show: yaml.dump escapes everything else.
    assert read_yaml(write_yaml({"value": value})) == ({"value": value}, [])
    # And other readers see the same.
    assert yaml.safe_load(write_yaml({"value": value})) == {"value": value}
