"""What is asked of folder and disk before anything begins."""

import pytest

from fasttext2style.plugin.host.start_checks import check_disk, check_output_folder
from tests.plugin.hosts import style_config


def test_a_check_of_the_folder_leaves_what_was_there(tmp_path):
    check_output_folder(tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old.txt").write_text("kept")
    check_output_folder(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["old.txt"]


def test_a_scene_that_is_known_must_fit_on_the_disk(tmp_path, capsys):
    # A Gaussian of degree 3 has 59 numbers of 4 bytes: a million of them four times are 944 MB, and 1 MB of pictures.
    arguments = (tmp_path / "run", 1_000_000, 3, "cpu", 4, 1_000_000)
    check_disk(*arguments, free=945_000_000)
    with pytest.raises(ValueError, match=r"Only 944 MB are free .* about 945 MB: 4 times 1,000,000 Gaussians of 236"):
        check_disk(*arguments, free=944_000_000)
    assert capsys.readouterr().out == ""


def test_a_guess_warns_and_refuses_where_not_even_one_copy_fits(tmp_path, capsys):
    # 150,000 Gaussians of 236 bytes: 35.4 MB, and ten times that for a reconstruction and an edit.
    arguments = (tmp_path / "run", None, 3, "cpu", 10, 0)
    check_disk(*arguments, free=355_000_000)
    assert capsys.readouterr().out == ""
    check_disk(*arguments, free=100_000_000)
    assert "about 354 MB: 10 times 150,000" in capsys.readouterr().out
    with pytest.raises(ValueError, match="Only 30 MB are free"):
        check_disk(*arguments, free=30_000_000)


def test_a_prompt_that_is_no_text_is_refused_before_anything_else(tmp_path):
    """What a terminal gives for bytes that are not UTF-8: no file could hold it."""
    config = style_config(tmp_path / "nothing", tmp_path, prompt="gold \udcff")
    with pytest.raises(ValueError, match=r"The prompt holds '\\udcff' at character 6.*UTF-8"):
        config.check_settings()
