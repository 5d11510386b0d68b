"""Where nothing can be written is said first: before a capture is rendered, a run opened, a panorama read."""

import sys

import pytest

from fasttext2style.cli import entrypoint


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--prompt", "gold"],
        ["capture", "scene.ply"],
        ["compare", "run_a", "run_b"],
        ["envmap", "train-vae", "panoramas"],
        ["envmap", "finetune", "panoramas"],
        ["envmap", "evaluate", "panoramas"],
    ],
    ids=" ".join,
)
def test_a_folder_that_cannot_be_is_said_before_all_else(tmp_path, monkeypatch, capsys, words):
    (tmp_path / "file").write_bytes(b"kept")
    monkeypatch.setattr(sys, "argv", ["ft2s", *words, "--output", str(tmp_path / "file" / "folder")])
    with pytest.raises(SystemExit) as end:
        entrypoint()
    assert end.value.code == 1
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("Error: The folder ") and said.endswith("(Not a directory): give another --output.")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"kept"]
