"""What questions show."""

import re
from io import StringIO

import pytest
from rich.console import Console

from fasttext2style.commands.guide.asking import Asker, Question
from fasttext2style.terminal.question import is_yes
from tests.trust.test_escaping import NASTY


@pytest.mark.parametrize("text", NASTY)
def test_nothing_that_a_terminal_obeys_is_in_a_question(text, capsys, monkeypatch):
    """Which show the names of captures and models, and what is wrong with them."""
    monkeypatch.setattr("sys.stdin", StringIO("\nyes\n"))
    asker = Asker()
    asker.say(f"That does not work: {text}")
    assert asker.ask(Question("--data", text, why=text, default=text)) == text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fasttext2style.terminal.question.console", Console(markup=False, emoji=False, highlight=False))
        assert is_yes(text)
    said = capsys.readouterr().out
    said.encode("utf8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said)
