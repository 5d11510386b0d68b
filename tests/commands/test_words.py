"""What `ft2s words` says of a sentence."""

import pytest

from fasttext2style.commands.words import Words
from fasttext2style.guidance.offline.packages import offline_is_here


@pytest.mark.skipif(not offline_is_here(), reason='pip install "fasttext2style[offline]"')
def test_words_says_what_it_takes_a_sentence_for_and_refuses_what_it_cannot_see(capsys):
    Words(("a red zebra",), "offline").run()
    said = " ".join(capsys.readouterr().out.split())
    assert "nearest known things: zebra 1.00" in said and "'red' moves the colours" in said
    with pytest.raises(SystemExit):
        Words(("justice",), "offline").run()
    assert "refused" in capsys.readouterr().out
    Words(("zebra stripes",), "offline-96").run()
    assert "Encoder offline-96: 'zebra stripes' moves" in " ".join(capsys.readouterr().out.split())


def test_an_encoder_without_a_list_says_what_to_ask(capsys):
    with pytest.raises(ValueError, match=r'ft2s words --encoder offline-96 "a red zebra"'):
        Words((), "offline-96").run()
    Words(("a silver bear, not gold",)).run()
    said = " ".join(capsys.readouterr().out.split())
    assert "known: silver" in said and "'gold' is left out" in said
