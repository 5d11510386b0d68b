"""What others wrote shows as it is, on one line, and is run nowhere."""

import html
import json
import os
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from fasttext2style.evaluation.report import write_report
from fasttext2style.history.steps import Step
from fasttext2style.live.session import Status
from fasttext2style.live.texts import edit_text, selections_text, status_text
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.terminal import console as ours
from fasttext2style.trust.text import INSTEAD, check_text, in_html, in_panel, in_url, on_terminal, one_line

NASTY = [
    "a bear\n\nexport const x = location.href = 'javascript:alert(1)'\n\nof gold",
    "export const x = 1",
    "import x from 'y'",
    "{globalThis.ran = 1}",
    "<script>ran = 1</script>",
    "<img src=x onerror=ran=1>",
    "`code` ```js\nran()\n```",
    "# title | a | b\n---|---",
    "[link](javascript:ran) ![picture](/etc/passwd)",
    "**bold** ~~gone~~ \\* &amp; &#60;b&#62;",
    "https://example.com www.example.com a@example.com",
    "\x1b[2J\x1b]0;title\x07\x9b31m\x9d0;x\x9c",
    "\u202egnirts\u202c \u2066x\u2069",
    "half a pair \ud800 and \udcff",
    "\x00\x08\r\x85\u2028\u2029",
    "[bold]x[/bold] [/] :tada:",
    "طلا 金の熊 👩‍🚀 é",
]
texts = st.one_of(
    st.text(st.characters(), max_size=60),
    st.lists(st.sampled_from(["export ", "import ", "\n", "\n\n", "{", "}", "<", ">", "`", "a", "*", "[", "]", "(", "&",
                              "#", "\x1b", "\x9b", "\u2028", "http://", "www.", "@", "$", "|", "~"])).map("".join),
)  # fmt: skip


def all_examples(function):
    for text in NASTY:
        function = example(text)(function)
    return settings(max_examples=100)(given(texts)(function))


@all_examples
def test_a_name_is_one_line_of_text(text):
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    shown.encode("utf8")
    for char in shown:
        # Letters, marks, numbers, punctuation, symbols, spaces; of what is invisible only what words need.
        assert unicodedata.category(char)[0] in "LMNPSZ" or char in "\u200c\u200d" or unicodedata.category(char) in (
            "Cn", "Co"), repr(char)  # fmt: skip
    assert one_line(shown) == shown
    assert [a for a in text if a.isalnum()] == [b for b in shown if b.isalnum()]


@all_examples
def test_nothing_that_a_terminal_obeys_reaches_it(text):
    printed = StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "console", Console(file=printed, markup=False, emoji=False, highlight=False))
        ours.say(text)
    said = printed.getvalue()
    said.encode("utf8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said)
    assert said.split() == on_terminal(text).split(), "all that is text is there (rich makes spaces of tabs)"


@all_examples
def test_the_panel_is_given_letters_and_references_alone(text):
    """References are text wherever they stand (CommonMark 2.5, MDX): nothing in them is structure or code."""
    given_to_viser = in_panel(text)
    assert re.fullmatch(r"(?:&#[0-9]+;(?:[A-Za-z0-9 ]|&#[0-9]+;)*)?", given_to_viser)
    shown = "".join(chr(int(code)) if code else char
                    for code, char in re.findall(r"&#([0-9]+);|(.)", given_to_viser))  # fmt: skip
    assert shown.replace("\u2060", "") == one_line(text).replace("\u2060", "")
    assert not re.search(r"(?i)https?://|www\.|@\w", shown), "viser would make it a link"


@all_examples
def test_a_line_of_the_panel_begins_with_nothing_of_the_users(text):
    step = Step(1, text, "edit", text, {}, 0, 1.0, {}, "2026-01-31T12:34:56", 5, 0.1, Path("none"), 1.0, True)
    statuses = status_text(Status(message=text)), status_text(Status(job=text, waiting=(text, text)))
    said = edit_text(step), selections_text([replace(step, kind="selection")]), *statuses
    for line in "\n".join(said).splitlines():
        assert re.match(r"12:34|\*\*&|&#|Next: &|Ready|\*\*\*\*|Next: |$", line), line
        assert not re.search(r"[{}<>`]", line)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags, self.text, self.alt = [], "", ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.alt = dict(attrs).get("alt", "")

    def handle_data(self, data):
        self.text += data


@all_examples
def test_text_in_a_page_is_text(text):
    page = _Page()
    page.feed(f'<p>{in_html(text)}</p><img alt="{in_html(text)}">')
    page.close()
    assert page.tags == ["p", "img"]
    assert page.text == page.alt == one_line(text)


@all_examples
def test_a_path_in_a_page_is_no_other_address(text):
    link = html.unescape(in_url(f"a/{text}"))
    assert re.fullmatch(r"a/[A-Za-z0-9_.~/%-]*", link)


def test_long_names_are_cut():
    assert len(one_line("x" * 10**6)) == 2000 and one_line("x" * 10**6).endswith("x…")


def test_what_stands_for_a_character_that_is_none():
    assert one_line("a\x1b\ud800\u202eb") == f"a{INSTEAD * 3}b"
    assert one_line("a\r\nb\tc\u2028d") == "a  b c d"


def test_half_a_pair_is_refused_in_words():
    check_text("a bear of gold, 金", "The sentence")
    with pytest.raises(ValueError, match=r"The sentence holds '\\udc80' at character 3.*UTF-8"):
        check_text("ab\udc80", "The sentence")


@pytest.mark.parametrize("written", ["report", "manifest"])
def test_names_that_are_no_utf8_are_kept_in_what_we_write(tmp_path, written):
    """As Linux has them: a capture in a folder of another time, with its letters in Latin-1."""
    name = os.fsdecode("b\u00e4r".encode("latin1"))
    if written == "report":
        path = tmp_path / "report.json"
        write_report(path, {"loaded": f"/data/{name}"})
    else:
        path = RoundsFolder(tmp_path).finish(1, {"loaded": f"/data/{name}"}).folder / "manifest.json"
    assert json.loads(path.read_bytes())["loaded"] == f"/data/{name}"
