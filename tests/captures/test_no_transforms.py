"""What is called transforms.json and is no file."""

import pytest

from fasttext2style.captures.plain import plain_capture


def test_a_link_to_nowhere_is_named(tmp_path):
    (tmp_path / "transforms.json").symlink_to("/nowhere/a.json")
    with pytest.raises(ValueError, match=r"is a link to /nowhere/a.json, where no file is: put the file itself there"):
        plain_capture(tmp_path)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "transforms.json").mkdir()
    with pytest.raises(ValueError, match=r"holds a transforms.json that is no file: put the file itself there"):
        plain_capture(tmp_path)
