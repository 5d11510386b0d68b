"""The books of a run: what is kept can be read again, and what is damaged is said in words, with the way back."""

import json
import resource
import shutil
import subprocess
import sys
import tarfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fasttext2style.editors.local_edit import LocalEditor
from fasttext2style.rounds.backup import pack
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import KeepConfig, RoundsFolder
from fasttext2style.rounds.gaussian_subject import load_scene
from fasttext2style.rounds.manifest import read_manifest
from fasttext2style.rounds.page import write_page
from fasttext2style.rounds.records import size_estimate
from fasttext2style.rounds.schedule import Schedule
from tests.ball import ball_on_floor
from tests.history.test_two_writers import HOLDER, ROOT
from tests.rounds.balls import ball_rounds, object_of, run
from tests.rounds.editors import Painter


def _rounds(folder, rounds=1, **settings):
    config = RoundsConfig(Schedule(rounds=rounds, steps=2), **settings)
    return ball_rounds(folder, LocalEditor(Painter()), config=config)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    rounds = _rounds(tmp_path_factory.mktemp("finished") / "rounds", 2)
    rounds.start()
    run(rounds)
    return rounds.folder.path


@pytest.fixture
def two_rounds(finished, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(finished, tmp_path / "rounds")


def _resume(folder):
    rounds = _rounds(folder, 3)
    rounds.resume()
    return run(rounds)


def test_a_round_begins_in_an_empty_folder_whatever_an_interrupted_one_left_there(tmp_path):
    rounds = RoundsFolder(tmp_path)
    left = rounds.begin(1) / "edited" / "007.png"
    left.parent.mkdir()
    left.write_bytes(b"half a picture")
    assert list(rounds.begin(1).iterdir()) == []


@pytest.mark.parametrize("ending, largest", [("png", 0), ("webp", 60), ("jpg", 60)])
def test_pictures_come_back_as_they_were_returned(tmp_path, ending, largest):
    books = RoundsFolder(tmp_path, KeepConfig(ending))
    folder = books.begin(0)
    picture = (torch.rand(16, 20, 3) * 255).to(torch.uint8)
    mask = picture[..., :1].contiguous()
    kept = books.write_picture(0, "edited", 7, picture), books.write_picture(0, "mask", 7, mask)
    entry = books.finish(0, {"snapshot": "none.safetensors", "scene": ""})
    assert torch.equal(entry.picture("edited", 7), kept[0])
    assert (kept[0].int() - picture.int()).abs().float().mean() <= largest
    assert torch.equal(entry.picture("mask", 7), mask)
    assert (folder / "edited" / f"view_0007.{ending}").is_file()


def test_what_was_asked_for_stands_in_the_manifest_as_it_was_typed(tmp_path):
    """In any alphabet, for whoever opens the file; and what is no UTF-8 comes back all the same."""
    books, asked = RoundsFolder(tmp_path), "mach ihn grün, 金, золото"
    folder = books.begin(1)
    books.finish(1, {"snapshot": "none.safetensors", "scene": "", "instruction": asked, "mode": "\udc80"})
    written = (folder / "manifest.json").read_bytes().decode("utf8")
    assert f'"instruction": "{asked}"' in written and json.loads(written)["mode"] == "\udc80"


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda f: (f / "round_0002" / "edited" / "view_0003.png").write_bytes(b"\x89PNG nothing"), "reset .* --to 1"),
        (lambda f: (f / "round_0002" / "mask" / "view_0003.png").unlink(), "reset .* --to 1"),
        (lambda f: (f / "round_0002" / "manifest.json").write_text("{"), "reset .* --to 1"),
        (lambda f: _unreadable(f / "round_0002" / "manifest.json"), "damaged .* reset .* --to 1"),
        (lambda f: _change(f / "round_0002" / "manifest.json", scene="other"), "another scene"),
        (lambda f: _change(f / "round_0002" / "manifest.json", format=99), "format 1"),
        (lambda f: next((f / "round_0002").glob("snapshot*")).write_bytes(b"nothing"), "damaged"),
        (lambda f: next((f / "round_0002").glob("snapshot*")).unlink(), "missing"),
        (lambda f: _change(f / "round_0000" / "manifest.json", scene="other"), "another scene"),
    ],
    ids=[
        "picture",
        "no mask",
        "manifest",
        "bad disk",
        "other scene",
        "later version",
        "snapshot",
        "no snapshot",
        "start",
    ],
)
def test_damage_is_said_with_the_way_back(two_rounds, damage, message):
    damage(two_rounds)
    with pytest.raises(ValueError, match=message):
        _resume(two_rounds)


@pytest.mark.parametrize(
    "weights",
    [torch.ones(300, dtype=torch.int64), torch.ones(300, 1), torch.ones(7), torch.full((300,), 2.0)],
    ids=["whole numbers", "a matrix", "too few", "above 1"],
)
def test_a_scene_with_what_are_no_weights_of_it_is_said_to_be_damaged(tmp_path, weights):
    path = tmp_path / "scene.safetensors"
    save_file(ball_on_floor().to_splatfacto() | {"weights": weights}, path)
    with pytest.raises(ValueError, match=r"scene.safetensors is damaged \(.*weights"):
        load_scene(path)


def _change(path: Path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _unreadable(path: Path):
    """A file that the system will not read, as on a disk that fails: nothing of a process lies at address 0."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


def test_after_a_damaged_round_was_set_aside_the_run_goes_on(two_rounds):
    (two_rounds / "round_0002" / "manifest.json").write_text("{")
    books = RoundsFolder(two_rounds)
    aside = books.set_aside(1)
    assert (aside / "round_0002" / "manifest.json").read_text() == "{"
    assert [entry.number for entry in books.rounds()] == [0, 1]
    assert books.set_aside(1) is None
    assert _resume(two_rounds).done


def test_a_snapshot_of_another_scene_is_refused(two_rounds):
    scene = ball_on_floor()
    scene.means[0] += 1e-3
    other = ball_rounds(two_rounds, Painter(), scene=scene)
    with pytest.raises(ValueError, match="another scene"):
        other.resume()


def test_a_full_disk_in_mid_round_is_said_and_harms_no_complete_round(two_rounds):
    before = {path: path.read_bytes() for path in two_rounds.rglob("*") if path.is_file() and "round_" in str(path)}
    rounds = _rounds(two_rounds, 3)
    rounds.resume()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A real limit of the system: pictures of this size fit, the snapshot does not.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(ValueError, match="free some disk space, then ft2s rounds resume"):
            run(rounds)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(RoundsFolder(two_rounds).rounds()) == 3
    assert _resume(two_rounds).done


@pytest.mark.parametrize("keep", [KeepConfig(), KeepConfig("webp"), KeepConfig(views=2)], ids=["png", "webp", "some"])
def test_the_size_estimate_is_near_what_is_written(tmp_path, keep):
    rounds = _rounds(tmp_path / "run" / "rounds", 2, keep=keep)
    needed, free = size_estimate(rounds.folder, object_of(rounds), rounds.views, rounds.plan)
    assert free > 2**20
    rounds.start()
    run(rounds)
    written = sum(path.stat().st_size for path in rounds.folder.path.rglob("*") if path.is_file())
    assert 0.6 < needed / written < 1.6


def test_a_size_estimate_counts_every_edit_of_a_round(tmp_path):
    """Two views, or one view twice in four steps: as many pictures. One view once: fewer."""

    def needed(**schedule):
        rounds = ball_rounds(tmp_path, Painter(), config=RoundsConfig(Schedule(rounds=1, steps=4, **schedule)))
        return size_estimate(rounds.folder, object_of(rounds), rounds.views, rounds.plan)[0]

    assert needed(views=2) == needed(views=1, edit_every=2) > needed(views=1)


def test_the_page_shows_every_kept_picture_of_every_round(two_rounds):
    class Images(HTMLParser):
        def __init__(self):
            super().__init__()
            self.sources, self.curves = [], 0

        def handle_starttag(self, tag, attributes):
            self.sources += [dict(attributes)["src"]] if tag == "img" else []
            self.curves += tag == "polyline"

    page = Images()
    page.feed((two_rounds / "index.html").read_text(encoding="utf8"))
    assert len(page.sources) == len(set(page.sources)) == 2 * 4 * 10
    assert all((two_rounds / source).is_file() for source in page.sources)
    assert page.curves >= 4


def test_an_instruction_cannot_break_the_page(two_rounds, tmp_path):
    rounds = RoundsFolder(two_rounds).rounds()
    rounds[-1].manifest["instruction"] = "<script>alert(1)</script>"
    write_page(two_rounds / "index.html", rounds)
    assert "<script>" not in (two_rounds / "index.html").read_text()
    with pytest.raises(ValueError, match="no round to show"):
        write_page(tmp_path / "none.html", rounds[:1])


def test_a_backup_holds_the_run_and_resumes_elsewhere(two_rounds, tmp_path):
    size = pack(two_rounds.parent, tmp_path.parent / f"{tmp_path.name}.tar")
    assert size > 10_000
    elsewhere = tmp_path / "elsewhere"
    with tarfile.open(tmp_path.parent / f"{tmp_path.name}.tar") as tar:
        tar.extractall(elsewhere, filter="data")
    assert _resume(elsewhere / two_rounds.parent.name / "rounds").done
    with pytest.raises(ValueError, match="inside the run"):
        pack(two_rounds.parent, two_rounds.parent / "itself.tar")


@pytest.mark.parametrize("linked", ["run", "rounds", "a round"])
def test_a_backup_holds_what_links_point_at(two_rounds, tmp_path, capsys, linked):
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    rounds = run_folder / "rounds"
    if linked == "run":
        elsewhere = tmp_path / "elsewhere"
        run_folder.rmdir()
        elsewhere.mkdir()
        two_rounds.rename(elsewhere / "rounds")
        run_folder.symlink_to(elsewhere)
    elif linked == "rounds":
        rounds.symlink_to(two_rounds)
    else:
        two_rounds.rename(rounds)
        (rounds / "round_0002").rename(tmp_path / "second")
        (rounds / "round_0002").symlink_to(tmp_path / "second")
    pack(run_folder, tmp_path / "backup.tar")
    followed = {"run": "", "rounds": f"{rounds} -> {two_rounds}", "a round": f"-> {tmp_path / 'second'}"}[linked]
    said = capsys.readouterr().out
    assert followed in said and bool(followed) == ("Packed what a link points at" in said)
    with tarfile.open(tmp_path / "backup.tar") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    unpacked = RoundsFolder(tmp_path / "unpacked" / "run" / "rounds").rounds()
    assert [entry.number for entry in unpacked] == [0, 1, 2]
    assert not any(path.is_symlink() for path in (tmp_path / "unpacked").rglob("*"))
    with pytest.raises(ValueError, match="inside the run"):
        pack(run_folder, rounds / "backup.tar")


def test_a_backup_holds_neither_who_was_writing_nor_what_is_half_written(two_rounds, tmp_path_factory):
    left_out = {".lock", ".lock.json", ".index.html.0123abcd-17-89abcdef.tmp"}
    for name in left_out | {".notes", "table.tmp"}:
        (two_rounds / name).write_bytes(b"something")
    pack(two_rounds, output := tmp_path_factory.mktemp("outside") / "backup.tar")
    with tarfile.open(output) as tar:
        names = {Path(name).name for name in tar.getnames()}
    assert not names & left_out and {".notes", "table.tmp", "index.html", "round_0002"} <= names


def test_a_run_that_is_being_written_is_not_packed(two_rounds, tmp_path_factory):
    """A history names its steps, and a writer may remove some while they are packed."""
    output = tmp_path_factory.mktemp("outside") / "backup.tar"
    command = [sys.executable, "-c", HOLDER, str(two_rounds)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=rf"changed by another program \(process {other.pid} "):
            pack(two_rounds, output)
        other.kill()
    assert not output.exists()
    pack(two_rounds, output)
    assert output.exists()


def test_a_link_to_what_holds_the_run_is_not_packed_round_and_round(two_rounds, tmp_path_factory):
    output = tmp_path_factory.mktemp("outside") / "backup.tar"
    (two_rounds / "up").symlink_to(two_rounds.parent)
    with pytest.raises(ValueError, match=f"{two_rounds / 'up'} is a link to a folder that holds the run itself"):
        pack(two_rounds, output)
    assert not output.exists()


def test_folders_of_others_beside_the_rounds_stop_nothing(two_rounds):
    for name in ("round_0001 (copy)", "round_0002.bak", "round_x", "round_9"):
        (two_rounds / name).mkdir()
    books = RoundsFolder(two_rounds)
    assert [entry.number for entry in books.rounds()] == [0, 1, 2]
    aside = books.set_aside(1)
    assert aside is not None and [path.name for path in aside.iterdir()] == ["round_0002"]
    assert (two_rounds / "round_0001 (copy)").is_dir()


@pytest.mark.parametrize(
    "name", ["../../secret.safetensors", "/etc/passwd", "snapshot", "", None, 5, "a/b.safetensors"]
)
def test_a_manifest_points_at_nothing_outside_of_its_round(two_rounds, name):
    path = two_rounds / "round_0002" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"snapshot": name}))
    with pytest.raises(ValueError, match=r"manifest.json is damaged \(snapshot should be the name .* --to 1"):
        RoundsFolder(two_rounds).rounds()


INSIDE = {"inside": {"psnr": 20.0}, "outside": {}}
NONE_OF_ITS_KIND = {
    "seconds": [5, {}, {"editing": 1.0}, {"all": "10"}, {"all": 10.0, "editing": None}],
    "metrics": [[], {}, {"trained": 5}, {"trained": {"inside": {}, "outside": {}}},
                {"trained": INSIDE | {"object": -1}}, {"trained": {"inside": {"psnr": 20.0}}},
                {"trained": INSIDE, "refined": {}}],
    "plan": [[], {}, {"steps": 1.5}],
    "edits": [{}, [[]], [{}], [{"failed": "5"}]],
    "round_views": ["12", [-1], [1.5]],
    "edited_in": [[1], {"-1": 1}, {"a": 1}, {"1": -1}, {"1": 0}, {"1": 3}],
    "residuals": [[0.1], {"x": 0.1}, {"1": "0.1"}],
    "seed": ["7", 2**64, 1.5],
    "ahead": [[], {"views": [], "snapshot": "ahead.safetensors"}, {"views": [1, 1], "snapshot": "ahead.safetensors"},
              {"views": [1], "snapshot": "../ahead.safetensors"}],
}  # fmt: skip


@pytest.mark.parametrize("field", NONE_OF_ITS_KIND)
def test_a_manifest_of_which_a_field_is_none_of_its_kind_is_damaged(finished, tmp_path, field):
    whole = read_manifest(finished / "round_0002" / "manifest.json", 2)
    for value in NONE_OF_ITS_KIND[field]:
        (tmp_path / "manifest.json").write_text(json.dumps(whole | {field: value}))
        with pytest.raises(ValueError, match=r"manifest.json is damaged \(.* --to 1"):
            read_manifest(tmp_path / "manifest.json", 2)
