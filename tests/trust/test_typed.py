"""Paths and numbers as people type them: a ~ that names nobody is a path that is not there, and no crash."""

from pathlib import Path

import pytest

from fasttext2style.trust.typed import check_seed, expanded


def test_a_tilde_is_the_home_folder_and_of_nobody_it_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/outputs") == tmp_path / "outputs"
    assert expanded(Path("a/~/b")) == Path("a/~/b")
    assert expanded("~nobody-of-this-name/run") == Path("~nobody-of-this-name/run")


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64])
def test_seeds_that_no_generator_takes_are_refused(seed):
    check_seed(2**32 - 1, limit=2**32)
    with pytest.raises(ValueError, match=r"--seed is a whole number from 0 to 2\^32 - 1, got"):
        check_seed(seed, limit=2**32)
