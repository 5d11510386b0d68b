"""Paths as people type them: a ~ that names nobody is a path that is not there, and no crash."""

from pathlib import Path

from fasttext2style.trust.paths import expanded


def test_a_tilde_is_the_home_folder_and_of_nobody_it_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/outputs") == tmp_path / "outputs"
    assert expanded(Path("a/~/b")) == Path("a/~/b")
    assert expanded("~nobody-of-this-name/run") == Path("~nobody-of-this-name/run")
