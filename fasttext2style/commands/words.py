"""ft2s words: what an encoder understands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from fasttext2style.guidance.tiny_words import read_vocabulary


@dataclass
class Words:
    """List the words that the embedded encoder knows, or say what an encoder makes of sentences."""

    sentences: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """What to understand, such as "a red zebra". None: all words of the embedded encoder are listed."""
    encoder: str = "tiny"
    """Any that a run takes. offline: nearest known things with the estimated chance that the right one is meant;
    panorama: the one for `ft2s envmap edit`, whose words are places, weather and times of day."""

    def run(self) -> None:
        if not self.sentences:
            if self.encoder == "tiny":
                print(", ".join(sorted(read_vocabulary().style)))
            elif self.encoder == "panorama":
                from fasttext2style.guidance.offline.panorama import load_adapter, words_learnt

                print(", ".join(sorted(words_learnt(load_adapter(None)[1]))))
            else:
                raise ValueError(
                    f'Encoder {self.encoder} has no list of words: ft2s words --encoder {self.encoder} "a red zebra".'
                )
            return
        from fasttext2style.guidance.load import load_encoder, name_and_weights
        from fasttext2style.guidance.offline.encoder import OfflineEncoder
        from fasttext2style.guidance.offline.explain import explained
        from fasttext2style.guidance.prompts import check_prompt
        from fasttext2style.terminal.console import say, warn
        from fasttext2style.trust.text import one_line

        encoder = load_encoder(*name_and_weights(self.encoder))
        refused = 0
        for sentence in self.sentences:
            say(one_line(sentence))
            try:
                warning = check_prompt(encoder, sentence)
            except ValueError as error:
                refused += 1
                warn(f"  refused: {error}")
                continue
            if isinstance(encoder, OfflineEncoder):
                for line in explained(encoder, sentence):
                    say(f"  {line}")
            else:
                say(f"  known: {', '.join(encoder.coverage(sentence).known)}")
            if warning:
                warn(f"  {warning}")
        if refused:
            raise SystemExit(1)
