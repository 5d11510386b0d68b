"""How somebody left a session comes back; a file that is damaged costs that and nothing else."""

import json
import logging

import pytest

from fasttext2style.live.desk import FORMAT, Desk

CAMERA = {"position": [1.0, 2.0, 3.0], "look_at": [0.0, 0.0, 0.5], "up": [0.0, 0.0, 1.0]}
OTHER = CAMERA | {"position": [4.0, 2.0, 3.0]}


def _left(folder) -> Desk:
    desk = Desk(folder)
    desk.fields("a bear")
    desk.note(sentence="a bear made of gold", quality="fine")
    desk.camera = CAMERA
    desk.keep_bookmark("3", OTHER)
    desk.rename(7, " the moon ")
    desk.write()
    return desk


def _is_as_left(desk: Desk) -> bool:
    fields = desk.fields("a bear")
    return (fields, desk.camera, desk.bookmark("3"), desk.bookmark("4"), desk.name_of(7), desk.name_of(8)) == (
        {"sentence": "a bear made of gold", "quality": "fine"}, CAMERA, OTHER, None, "the moon", "",
    )  # fmt: skip


def test_what_was_left_comes_back(tmp_path):
    _left(tmp_path)
    assert _is_as_left(Desk(tmp_path))


def test_a_run_that_goes_on_from_another_begins_as_that_was_left(tmp_path):
    _left(tmp_path / "earlier")
    new = Desk(tmp_path / "new", tmp_path / "earlier")
    assert _is_as_left(new)
    new.write()
    assert _is_as_left(Desk(tmp_path / "new")), "also when the earlier one is gone"
    new.note(sentence="ice")
    new.write()
    assert Desk(tmp_path / "new", tmp_path / "earlier").fields("a bear")["sentence"] == "ice", "its own comes first"


def test_another_sentence_on_the_command_line_comes_before_the_one_that_was_left(tmp_path):
    _left(tmp_path)
    assert Desk(tmp_path).fields("a crate") == {"quality": "fine"}


def test_nothing_is_written_where_nothing_has_changed(tmp_path):
    desk = Desk(tmp_path)
    desk.write()
    assert not desk.path.exists()
    _left(tmp_path)
    written = desk.path.stat().st_mtime_ns
    again = Desk(tmp_path)
    again.camera = dict(CAMERA)
    again.write()
    assert desk.path.stat().st_mtime_ns == written


@pytest.mark.parametrize("content", [
    "", "no json", "[]", "{}garbage", '{"format": "another"}',
    json.dumps({"format": FORMAT, "camera": {"position": []}}),
    json.dumps({"format": FORMAT, "camera": CAMERA | {"look_at": CAMERA["position"]}}),
    json.dumps({"format": FORMAT, "camera": CAMERA | {"up": [0, 0, 0]}}),
    json.dumps({"format": FORMAT, "names": {"1": 7}}), json.dumps({"format": FORMAT, "bookmarks": {"1": None}}),
    json.dumps({"format": FORMAT, "camera": CAMERA | {"position": [float("nan"), 0, 0]}}),
])  # fmt: skip
def test_a_damaged_file_is_put_aside_and_said(tmp_path, caplog, content):
    (tmp_path / "desk.json").write_text(content)
    with caplog.at_level(logging.WARNING):
        desk = Desk(tmp_path)
    assert "desk.json is damaged" in caplog.text and (tmp_path / "desk.damaged.json").read_text() == content
    assert desk.camera is None and desk.fields("") == {} and desk.name_of(1) == ""
    desk.note(sentence="gold")
    desk.write()
    assert Desk(tmp_path).fields("")["sentence"] == "gold"


def test_in_the_run_that_is_gone_on_from_nothing_is_touched(tmp_path, caplog):
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / "desk.json").write_text("no json")
    with caplog.at_level(logging.WARNING):
        desk = Desk(tmp_path / "run", earlier)
    assert "desk.json is damaged" in caplog.text and desk.camera is None
    assert [(path.name, path.read_text()) for path in earlier.iterdir()] == [("desk.json", "no json")]


def test_a_disk_that_cannot_be_written_is_said_once(tmp_path):
    (tmp_path / "run").write_text("in the way")
    desk = Desk(tmp_path / "run")
    desk.note(sentence="gold")
    with pytest.raises(ValueError, match="could not be written"):
        desk.write()
    desk.write()
