"""Text that others wrote (prompts, names of steps, paths, errors about their files), made safe for where it is shown.

One function per destination: `on_terminal`, `in_panel`, `in_html`, `in_url`. Who shows text calls the one for the
place; nothing is escaped when it is stored. What is one thing (a name, a prompt, a path) is one line: `one_line`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import quote

LONGEST = 2000
"""Characters of a name or message; more is nothing that is read."""
INSTEAD = "\ufffd"
"""Stands for a character that is no text: control characters, halves of surrogate pairs, changes of direction."""
_BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
_JOINERS = "\u200c\u200d"
"""Invisible, and part of words (Persian) and of pictures (emoji)."""
_LINK = re.compile(r"(?i)(https?:|www|@)(?=[^\s])")
_BREAKS_LINK = "\u2060"


def one_line(text: str, longest: int = LONGEST) -> str:
    """A name in one line without anything that is no text; "a\\nb" is "a b"."""
    text = "".join(" " if char in _BREAKS else _plain(char) for char in text[: longest + 1])
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def on_terminal(text: str) -> str:
    """Lines for a terminal: no escape sequence reaches it, and nothing that could not be written in UTF-8."""
    return "".join(char if char in "\n\t" else _plain(char) for char in text)


def in_panel(text: str, longest: int = LONGEST) -> str:
    """A part of a line of viser's markdown that shows as it is.

    viser 0.2.7 reads markdown as MDX: `export` at the beginning of a line, {braces} and <tags> are run. A character
    reference is text wherever it stands, so all but letters, digits and spaces become one, and so does the first one.
    """
    # Addresses become links after references were resolved: an invisible character in them keeps them text.
    text = _LINK.sub(lambda found: found[0] + _BREAKS_LINK, one_line(text, longest))
    return "".join(
        char if index and (char == " " or (char.isascii() and char.isalnum())) else f"&#{ord(char)};"
        for index, char in enumerate(text)
    )


def in_html(text: str, longest: int = LONGEST) -> str:
    """The text of an element or of an attribute in quotes."""
    return html.escape(one_line(text, longest), quote=True)


def in_url(path: str) -> str:
    """A relative path as the value of href or src: never another address, whatever its folders are called."""
    # Paths hold bytes that are no UTF-8 as \udc80 to \udcff; other halves of pairs are no part of any path.
    path = re.sub("[\ud800-\udc7f\udd00-\udfff]", INSTEAD, path)
    return html.escape(quote(path.encode("utf8", "surrogateescape"), safe="/"), quote=True)


def check_text(text: str, what: str) -> None:
    """Raises ValueError for text that no file could hold: bytes that were no UTF-8 when they were typed."""
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} holds {text[error.start]!a} at character {error.start + 1}, which is no character: it came as "
            "bytes that are not UTF-8. Type it again, in a terminal that is set to UTF-8."
        ) from None


def _plain(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    kind = unicodedata.category(char)
    if kind == "Zs":
        return " "
    # Not assigned yet (Cn) or private (Co): a newer or another font has a picture for it.
    return char if kind in ("Cn", "Co") else INSTEAD
