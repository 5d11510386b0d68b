"""Files that promise more than they are: refused in words before anything is allocated for what they promise."""

import gzip
import io
import json
import os
import struct
import time
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.captures import photographs
from fasttext2style.captures.masks import read_mask
from fasttext2style.captures.photographs import read_photograph, why_pixels_are_unreadable
from fasttext2style.captures.style_pictures import read_style_picture
from fasttext2style.captures.transforms import read_transforms
from fasttext2style.editor_training import magic_brush
from fasttext2style.envmaps.files import read_panorama
from fasttext2style.history.steps import FORMAT, SavedSteps
from fasttext2style.recipes.recipe import read_recipe
from fasttext2style.rounds import folder as rounds_folder
from fasttext2style.rounds.folder import Round
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.scene.files.ply import map_vertices, read_ply
from fasttext2style.scene.files.points import read_points
from fasttext2style.scene.files.scenes import read_scene
from fasttext2style.selection.selection import Selection
from fasttext2style.trust import documents, sizes
from fasttext2style.trust.documents import check_density, read_document
from fasttext2style.trust.torch_files import load_torch_file
from tests.fuzz.fuzzer import _most_memory

READERS = {
    ".ply": (read_ply, read_points, map_vertices, SceneOnDisk),
    ".spz": (read_scene,),
    ".sog": (read_scene,),
    ".npz": (Selection.load,),
    ".npy": (Selection.load,),
}
NAMES = [
    "x",
    "y",
    "z",
    "f_dc_0",
    "f_dc_1",
    "f_dc_2",
    "opacity",
    "scale_0",
    "scale_1",
    "scale_2",
    "rot_0",
    "rot_1",
    "rot_2",
    "rot_3",
]


def ply(format: str, count: int | str, body: bytes, before: str = "") -> bytes:
    header = f"ply\nformat {format} 1.0\n{before}element vertex {count}\n"
    return (header + "".join(f"property float {name}\n" for name in NAMES) + "end_header\n").encode() + body


def npy(shape: tuple[int, ...], dtype: str = "<f4", body: bytes = b"") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": dtype})
    return stream.getvalue() + body


def npz(**entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def zeros(megabytes: int, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, archive.open("weights.npy", "w") as entry:
        entry.write(npy((megabytes * 250_000,)))
        for _ in range(megabytes):
            entry.write(bytes(10**6))
    return stream.getvalue()


def two_gigabytes(start: bytes) -> bytes:
    """Packed without ever being there: a gzip may have several members."""
    return gzip.compress(start) + 200 * gzip.compress(bytes(10**7))


def sog(pictures: bytes, count: int = 1) -> bytes:
    """Each of its pictures is the same one."""
    ends = {"mins": [-1, -1, -1], "maxs": [1, 1, 1], "files": ["a.webp", "a.webp"]}
    listed = {"codebook": [*range(256)], "files": ["a.webp"]}
    meta = {"version": 2, "count": count, "means": ends, "scales": listed, "sh0": listed, "quats": listed}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", json.dumps(meta))
        archive.writestr("a.webp", pictures)
    return stream.getvalue()


def webp(side: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side)).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


def saying(size: int, instead_of: int, content: bytes) -> bytes:
    """The directory of an archive, which comes last, says another size."""
    before, _, after = content.rpartition(struct.pack("<I", instead_of))
    return before + struct.pack("<I", size) + after


LIARS = {
    "a million million vertices": (".ply", lambda: ply("binary_little_endian", 10**12, b"12345678")),
    "as many, in ascii": (".ply", lambda: ply("ascii", 10**12, b"1 2 3\n")),
    "more vertices than fit into 64 bits": (".ply", lambda: ply("binary_little_endian", 10**18, b"")),
    "a number of 5,000 digits": (".ply", lambda: ply("binary_little_endian", "9" * 5000, b"")),
    "a great element before the vertices": (
        ".ply", lambda: ply("binary_little_endian", 1, bytes(56), f"element face {10**15}\nproperty double a\n")),
    "the same, in ascii": (".ply", lambda: ply("ascii", 1, b"1 " * 14, f"element face {10**15}\nproperty double a\n")),
    "one number of 20,000 digits": (
        ".ply", lambda: ply("ascii", 80_000, b"1 " * 13 + b"9" * 20_000 + b"\n" + (b"1 " * 14 + b"\n") * 79_999)),
    "a line that never ends": (".ply", lambda: ply("ascii", 10, b"1" * 10**7)),
    "an array of a terabyte": (".npy", lambda: npy((10**12,))),
    "an array whose size overflows": (".npy", lambda: npy((2**40, 2**40))),
    "an array of a negative length": (".npy", lambda: npy((-5,))),
    "the same in an archive": (".npz", lambda: npz(weights=npy((10**12,)))),
    "a hundred megabytes of zeros behind the header of an .spz": (
        ".spz", lambda: gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 3, 0, 0, 12, 0, 0) + bytes(10**8), 1)),
    "an .spz of four thousand million": (
        ".spz", lambda: gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 3, 2**32 - 1, 3, 12, 0, 0))),
    "two gigabytes of zeros, which are Gaussians, in two megabytes": (
        ".spz", lambda: two_gigabytes(struct.pack("<IIIBBBB", 0x5053474E, 3, 10**8, 0, 12, 0, 0))),
    "pictures of 17 million pixels of one colour": (".sog", lambda: sog(webp(4096), 4096 * 4096)),
    "the same, for one Gaussian": (".sog", lambda: sog(webp(4096))),
    "300 megabytes in place of a picture": (
        ".sog", lambda: saying(100, 3 * 10**8, sog(bytes(3 * 10**8)))),
    "300 megabytes of zeros in 300 kilobytes": (".npz", lambda: zeros(300)),
    "many dimensions": (".npy", lambda: npy((10**9,) * 4)),
    "objects": (".npy", lambda: npy((5,), "|O", b"cos\nsystem\n(S'true'\ntR." + bytes(40))),
    "objects in an archive": (".npz", lambda: npz(weights=npy((5,), "|O", bytes(80)))),
}  # fmt: skip


@pytest.mark.parametrize("what", LIARS)
def test_what_a_file_promises_is_not_allocated(tmp_path: Path, what: str):
    suffix, write = LIARS[what]
    path, content = tmp_path / f"liar{suffix}", write()
    path.write_bytes(content)
    for reader in READERS[suffix]:
        tracemalloc.start()
        began = time.process_time()
        with pytest.raises(ValueError, match=r"liar\."):
            reader(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 3 * len(content) + 200e6, f"{peak / 1e6:.0f} MB"
        assert time.process_time() - began < 5


PICTURES = {
    "photograph": lambda path: read_photograph(path, (8, 8), (8, 8)),
    "photograph, quickly": why_pixels_are_unreadable,
    "mask": lambda path: read_mask(path, (8, 8), 1, (8, 8)),
    "style picture": read_style_picture,
    "panorama": read_panorama,
    "MagicBrush": lambda path: magic_brush._picture(path.parent, path.name),
}


@pytest.mark.parametrize("what", PICTURES)
def test_of_a_picture_no_more_is_asked_than_the_file_has(tmp_path: Path, what: str):
    """A chunk that promises two gigabytes, of which Python would allocate as many."""
    stream = io.BytesIO()
    Image.new("RGB", (16, 8) if what == "panorama" else (8, 8)).save(stream, "PNG")
    before, tag, after = stream.getvalue().partition(b"IDAT")
    content = before[:-4] + struct.pack(">I", 2**31 - 1) + tag + after
    path = tmp_path / "images" / "liar.png" / "liar.png" if what == "MagicBrush" else tmp_path / "liar.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    tracemalloc.start()
    with suppress(ValueError):  # all its pixels are there: they may be read
        PICTURES[what](tmp_path / "liar.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 3 * len(content) + 200e6, f"{peak / 1e6:.0f} MB"


def test_a_photograph_as_large_as_is_allowed_is_read(tmp_path: Path, monkeypatch):
    assert photographs.LARGEST_PIXELS == 160_000_000, "the limit that is stated"
    path = tmp_path / "large.png"
    Image.new("RGB", (8, 8), "white").save(path)
    readers = (PICTURES["photograph"], PICTURES["mask"], photographs.read_head, PICTURES["photograph, quickly"])
    monkeypatch.setattr(photographs, "LARGEST_PIXELS", 64)
    assert [reader(path) is not None for reader in readers] == [True, True, True, False]
    monkeypatch.setattr(photographs, "LARGEST_PIXELS", 63)
    for reader in readers[:3]:
        with pytest.raises(ValueError, match=r"large.png.* more than 63 pixels, which are read at most: scale it down"):
            reader(path)
    assert "more than 63 pixels" in str(readers[3](path))


def test_a_photograph_of_a_hundred_million_pixels_is_held_once(tmp_path: Path):
    """4 bytes a pixel; here a tenth of that."""
    path = tmp_path / "large.png"
    Image.new("RGB", (4000, 2500)).save(path)
    before = _most_memory(begins_anew=True)
    read_photograph(path, (4000, 2500), (8, 8))
    assert _most_memory() - before < 60e6


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_python_unpacks_without_a_limit_is_not_unpacked(tmp_path: Path, method: int):
    """Whatever the directory says: 45 bytes of bzip2 are 45 megabytes."""
    path = tmp_path / "object.npz"
    path.write_bytes(zeros(1, method))
    with pytest.raises(ValueError, match=rf"weights.npy is packed by method {method}, expected deflate \(8\) or none"):
        Selection.load(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_array_below_the_limit_that_is_not_there_is_not_allocated(tmp_path: Path, suffix: str):
    path, content = tmp_path / f"object{suffix}", npy((45_000_000,))
    path.write_bytes(npz(weights=content) if suffix == ".npz" else content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"promises \[45000000\] values .* 180,000,000 bytes, of which there are"):
        Selection.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6, f"{peak / 1e6:.0f} MB"


def test_a_line_of_two_vertices_is_not_taken_for_two_lines(tmp_path: Path):
    """Numbers that are filled up with spaces: as many as a line may have bytes make a whole vertex."""
    path = tmp_path / "long.ply"
    path.write_bytes(ply("ascii", 2, b"1".ljust(400) * 28 + b"\n"))
    with pytest.raises(ValueError, match=r"long.ply has a line of more than 5,600 bytes"):
        read_ply(path)


def test_an_archive_whose_directory_says_more_than_its_entry_holds_is_cut_short(tmp_path: Path):
    content = npy((100,), body=bytes(8))
    claimed, there = struct.pack("<I", len(content) + 392), struct.pack("<I", len(content))
    path = tmp_path / "object.npz"
    archive = bytearray(npz(weights=content))
    place = archive.rindex(there)  # of the central directory, behind the size as it is packed
    archive[place : place + 4] = claimed
    path.write_bytes(archive)
    with pytest.raises(ValueError, match=r"weights in .*object.npz is cut short: 8 of 400 bytes are there"):
        Selection.load(path)


ENTRIES = {
    "packed": {"means": torch.zeros(10**6, 3)},
    "one number a million times": {"means": torch.zeros(1).expand(10**6, 3)},
    "the same deep inside": [{"a": ({"means": torch.zeros(1).expand(10**6, 3)},)}],
    "hardly any of them": {"means": torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), [1.0], (10**9, 3))},
    "few of three": {"means": torch.eye(3).to_sparse()},
    "nowhere": {"means": torch.zeros(2, 3, device="meta")},
}


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("what", ENTRIES)
def test_a_checkpoint_holds_no_tensor_that_is_larger_than_itself(tmp_path: Path, what: str, mmap: bool):
    whole = {"means": torch.arange(6.0).reshape(2, 3), "step": 5}
    torch.save(whole, tmp_path / "whole.ckpt")
    assert torch.equal(load_torch_file(tmp_path / "whole.ckpt", mmap)["means"], whole["means"])
    path = tmp_path / "liar.ckpt"
    torch.save(ENTRIES[what], path)
    if what == "packed":
        with zipfile.ZipFile(path) as plain, zipfile.ZipFile(tmp_path / "p.ckpt", "w", zipfile.ZIP_DEFLATED) as packed:
            for entry in plain.namelist():
                packed.writestr(entry, plain.read(entry))
        path = tmp_path / "p.ckpt"
    assert path.stat().st_size < 20_000
    with pytest.raises(ValueError, match=r"it promises|it holds a tensor that is"):
        load_torch_file(path, mmap)


class Runs:
    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self):
        return open, (str(self.touched), "w")


@pytest.mark.parametrize("mmap", [False, True])
def test_a_checkpoint_runs_nothing(tmp_path: Path, mmap: bool):
    torch.save({"pipeline": Runs(tmp_path / "touched")}, tmp_path / "step.ckpt")
    with pytest.raises(ValueError, match="UnpicklingError"):
        load_torch_file(tmp_path / "step.ckpt", mmap)
    assert not (tmp_path / "touched").exists()


def test_brackets_alone_are_no_capture(tmp_path: Path):
    """25 bytes of memory for each that is read."""
    path = tmp_path / "transforms.json"
    path.write_bytes(b"[" + b"[]," * 5_000_000 + b"[]]")
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"transforms.json is not valid JSON: it has 15,000,004 bytes and would take"):
        read_transforms(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 3 * path.stat().st_size


def test_a_capture_of_a_hundred_thousand_views_is_not_too_dense():
    frame = {"file_path": "images/frame_00001.png", "transform_matrix": [[0.123456789012345] * 4] * 4}
    check_density(json.dumps(frame).encode() * 100_000)


def test_a_pipe_is_no_document(tmp_path: Path):
    """Which would be waited for until somebody writes into it."""
    os.mkfifo(tmp_path / "desk.json")
    with pytest.raises(ValueError, match="it is no file"):
        read_document(tmp_path / "desk.json")


def test_a_selection_as_large_as_is_allowed_is_read(tmp_path: Path, monkeypatch):
    assert sizes.LARGEST_ARRAY == 4 * 50_000_000, "the limit that is stated, in 32 bit floats"
    monkeypatch.setattr(sizes, "LARGEST_ARRAY", 2 * 10**6)
    path = tmp_path / "object.npz"
    path.write_bytes(zeros(2))
    assert len(Selection.load(path)) == 500_000
    path.write_bytes(zeros(3))
    with pytest.raises(ValueError, match="at most 2,000,000 are read"):
        Selection.load(path)


def test_a_document_as_large_as_is_allowed_is_read(tmp_path: Path):
    assert documents.LARGEST == 8 * 2**20, "the limit that is stated"
    path = tmp_path / "history.json"
    content = json.dumps({"format": FORMAT, "moves": [], "done": 0, "next_step_id": 1, "next_gaussian_id": 7})
    for read in (read_document, lambda path: SavedSteps(path.parent)):
        path.write_text(content.ljust(8 * 2**20))
        assert read(path)
        path.write_text(content.ljust(8 * 2**20 + 1))
        with pytest.raises(ValueError, match="more than the 8,388,608 "):
            read(path)


def test_settings_as_large_as_are_allowed_are_read(tmp_path: Path):
    """A letter of YAML takes a hundred times as long as one of JSON."""
    assert documents.LARGEST_YAML == 2**18, "the limit that is stated"
    path = tmp_path / "recipe.yaml"
    path.write_text("about: large".ljust(2**18))
    with pytest.raises(ValueError, match="method: it is missing"):  # it was read
        read_recipe(path)
    path.write_text("about: large".ljust(2**18 + 1))
    with pytest.raises(ValueError, match=r"recipe.yaml is no recipe: it has more than the 262,144 bytes that are read"):
        read_recipe(path)


def test_an_archive_of_many_entries_is_no_selection(tmp_path: Path):
    path = tmp_path / "object.npz"
    weights = npy((2,), body=bytes(8))
    path.write_bytes(npz(weights=weights, **{f"more_{number}": b"" for number in range(63)}))
    assert len(Selection.load(path)) == 2
    path.write_bytes(npz(weights=weights, **{f"more_{number}": b"" for number in range(64)}))
    with pytest.raises(ValueError, match=r"object.npz holds 65 entries"):
        Selection.load(path)


def test_a_kept_picture_as_large_as_is_allowed_is_read(tmp_path: Path, monkeypatch):
    assert rounds_folder.LARGEST_PICTURE == 50_000_000, "the limit that is stated, in pixels"
    monkeypatch.setattr(rounds_folder, "LARGEST_PICTURE", 12)
    kept = Round(1, tmp_path / "rounds" / "round_0001", {})
    path = kept.folder / "after" / "view_0003.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(path)
    assert kept.picture("after", 3).shape == (3, 4, 3)
    Image.new("RGB", (13, 1)).save(path)
    with pytest.raises(ValueError, match=r"view_0003.png cannot be read \(it promises 13 x 1 pixels\).* --to 0"):
        kept.picture("after", 3)
