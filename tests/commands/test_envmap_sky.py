"""ft2s envmap sky: which skies there are, and one of them as a file; and what `set --sky` takes for its name."""

from pathlib import Path

import pytest

from fasttext2style.commands.envmap import Set
from fasttext2style.commands.envmap_sky import Sky, sky_called
from fasttext2style.envmaps.files import read_panorama
from fasttext2style.envmaps.skies import SKIES, sky


def test_all_skies_are_listed_with_how_to_use_them(capsys):
    Sky().run()
    said = " ".join(capsys.readouterr().out.split())
    assert all(name in said for name in SKIES) and "ft2s envmap set RUN --sky sunset" in said


@pytest.mark.parametrize(("typed", "output"), [("Golden-Hour", None), ("golden hour", Path("mine.exr"))])
def test_a_sky_is_written_as_it_is(typed, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Sky(typed, output, height=32).run()
    written = read_panorama(tmp_path / (output or "golden_hour.hdr"))
    # A common exponent keeps 1 / 256 of the brightest channel.
    expected = sky("golden hour", 32)
    assert bool(((written - expected).abs() <= expected.amax(dim=-1, keepdim=True) / 128 + 1e-6).all())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("plaid",), "no sky called 'plaid'; there are clear noon"), (("", Path("a.hdr")), "give its name"),
     (("sunset", Path("a.txt")), "should end in one of"), (("sunset", Path("nowhere/a.hdr")), "there is no folder"),
     (("sunset", Path("a.hdr"), 0), "--height"), (("sunset", Path("a.hdr"), 10**6), "--height")],
)  # fmt: skip
def test_what_cannot_be_written_is_said_at_once(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        Sky(*arguments).run()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", [{}, {"file": Path("a.hdr"), "sky": "sunset"}, {"sky": "plaid"}])
def test_set_takes_a_file_or_a_sky_and_says_so_before_it_opens_the_run(what, tmp_path):
    with pytest.raises(ValueError, match=r"one of both|no sky called"):
        Set(tmp_path / "no run", **what).run()


def test_names_of_skies_are_taken_as_people_type_them():
    assert {sky_called(name) for name in ("clear noon", "Clear-Noon", "clear_noon ")} == {"clear noon"}
