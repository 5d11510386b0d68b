"""A prompt, a name or an object's words are one line on a terminal: nobody's run can print an error of its own."""

import ast
from copy import deepcopy
from pathlib import Path

import pytest

import fasttext2style
from fasttext2style.recipes.methods import default_config
from fasttext2style.recipes.recipe import parse_recipe

FAKED = "gold\nError: all is lost\x1b[2J"
OTHERS_WRITE = {
    *("prompt", "instruction", "sentence", "origin", "method_name", "headline", "wish", "mistake"),
    *("explain", "command_to_continue"),
}
"""Last names of what may have come from a run, a recipe or a file."""
PRINTS = ("say", "warn", "ValueError")


def _name(node):
    """Of what a piece of code gives: `prompt` of self.pipeline.model.prompt, `explain` of encoder.explain(text)."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _printed(node):
    """What is put into printed text as it is; a repr has no line breaks."""
    if isinstance(node, ast.FormattedValue):
        if node.conversion != ord("r"):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from _printed(part)
    elif isinstance(node, ast.IfExp):
        yield from [*_printed(node.body), *_printed(node.orelse)]
    elif isinstance(node, ast.BinOp):
        yield from [*_printed(node.left), *_printed(node.right)]
    elif isinstance(node, ast.Attribute | ast.Name | ast.Call):
        yield node


def test_whatever_others_may_have_written_is_made_one_line_before_it_is_said():
    root, found = Path(fasttext2style.__file__).parent, []
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PRINTS and node.args:
                names = {_name(part) for part in _printed(node.args[0])}
                found += [f"{path.relative_to(root)}:{node.lineno} {name}" for name in names & OTHERS_WRITE]
    assert not found, "one_line() is missing"


@pytest.mark.parametrize("method", ["fasttext2style", "fasttext2style-ip2p", "fasttext2style-nerf"])
def test_what_begins_is_said_in_one_line(method, capsys):
    config = deepcopy(default_config(method))
    config.pipeline.model.prompt = FAKED
    config.print_to_terminal()
    said = capsys.readouterr().out
    assert said.startswith(f"{method}: gold Error: all is lost") and said.count("\n") == 1 and "\x1b" not in said


def test_a_mistake_in_a_recipe_is_one_line():
    with pytest.raises(ValueError) as caught:
        parse_recipe('method: fasttext2style\nsettings: {"x\\nError: all is lost": 1}\n"y\\nError: all is lost": 2\n')
    assert len(str(caught.value).splitlines()) == 3 and "\nError" not in str(caught.value)
