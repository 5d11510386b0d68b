"""Make the word bank that negatives are drawn from: guidance/words.txt and guidance/words.LICENSE.

The paper samples negatives from "a 10000 word bank" that it does not publish. Ours: words that CLIP's byte-pair
vocabulary holds as one token, in merge order (so the most frequent stand first), if they are also in SCOWL (without it
the vocabulary is full of fragments: "ght", "ers"), 3 to 12 letters a-z, without profanity, the first 10,000.

    apt-get install wamerican && pip install better-profanity
    python examples/make_word_bank.py
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import tyro

GUIDANCE = Path(__file__).parents[1] / "fasttext2style" / "guidance"


def make_word_bank(
    dictionary: Path = Path("/usr/share/dict/american-english"),
    notice: Path = Path("/usr/share/doc/wamerican/copyright"),
    count: int = 10_000,
    out: Path = GUIDANCE,
) -> None:
    """Write `out`/words.txt and `out`/words.LICENSE.

    Args:
        dictionary: word list of Debian's wamerican (SCOWL).
        notice: its copyright notice, which must stay with the words.
        count: number of words to keep.
        out: folder to write to.
    """
    from open_clip.tokenizer import SimpleTokenizer

    vocabulary = sorted(SimpleTokenizer().encoder.items(), key=lambda item: item[1])
    whole_words = [token.removesuffix("</w>") for token, _ in vocabulary if token.endswith("</w>")]
    spelled = set(dictionary.read_text(encoding="utf-8").split())
    profane = set((files("better_profanity") / "profanity_wordlist.txt").read_text(encoding="utf-8").split())
    words = [
        word
        for word in whole_words
        if re.fullmatch("[a-z]{3,12}", word) and word in spelled and not {word, word.removesuffix("s")} & profane
    ]
    (out / "words.txt").write_text("\n".join(words[:count]) + "\n", encoding="utf-8")
    (out / "words.LICENSE").write_text(
        "words.txt is a selection of words of SCOWL (Debian package wamerican), in the order of the vocabulary of\n"
        "CLIP's tokenizer (MIT licence, Copyright (c) 2021 OpenAI), made by examples/make_word_bank.py. The notice of\n"
        "SCOWL's package follows.\n\n" + notice.read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    print(f"kept {min(count, len(words)):,} of {len(words):,} words")


if __name__ == "__main__":
    tyro.cli(make_word_bank)
