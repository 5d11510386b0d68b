"""Ctrl-C is a word."""

import pytest

from fasttext2style.terminal.console import interrupts_in_words


@pytest.mark.parametrize(("kept", "said"), [("", "Interrupted."), ("3 of 4 are kept", "Interrupted: 3 of 4 are kept.")])
def test_what_is_kept_is_said(capsys, kept, said):
    with pytest.raises(SystemExit) as end, interrupts_in_words(kept):
        raise KeyboardInterrupt
    assert end.value.code == 130 and capsys.readouterr().out == f"\n{said}\n"
