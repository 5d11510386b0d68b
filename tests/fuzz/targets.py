"""What is fuzzed: each reader of files with a few whole files to begin with.

Headers of photographs have tests of their own in tests/captures, LoRAs in tests/editors/test_lora.py, camera paths in
tests/plugin/test_damaged_camera_paths.py.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

from fasttext2style.captures.checks import check_capture
from fasttext2style.captures.style_pictures import read_style_picture
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.magic_brush import read_magic_brush, write_magic_brush
from fasttext2style.editor_training.trained_on import trained_on
from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.folder import open_folder
from fasttext2style.history.checkpoint import applied_of_checkpoint
from fasttext2style.history.delta import Delta, Footprint
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.history.steps import SavedSteps
from fasttext2style.live.desk import FORMAT, read_desk
from fasttext2style.live.texts import edit_text, selections_text
from fasttext2style.recipes.plain_yaml import read_yaml
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import load_scene, scene_of_round
from fasttext2style.rounds.page import write_page
from fasttext2style.scene.files.compact import write_splat, write_spz
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.scene.files.ply import read_ply, write_ply
from fasttext2style.scene.files.points import read_points
from fasttext2style.scene.files.scenes import read_scene
from fasttext2style.selection.selection import SceneMark, Selection
from fasttext2style.trust.objects import Known, load_objects
from fasttext2style.trust.torch_files import load_torch_file
from tests.captures.small import small_capture
from tests.history.scenes import random_state

COUNT = 6
"""Gaussians of the scenes."""


@dataclass(frozen=True)
class Target:
    """A reader of one file in a folder that is otherwise whole."""

    file: str
    """Its place in the folder."""
    seeds: Callable[[Path], list[bytes]]
    """Whole files; what has to lie beside them is written into the folder."""
    read: Callable[[Path], object]
    """Of the folder; raises ValueError alone."""


def _state() -> SceneState:
    return random_state(COUNT)


# --- scenes and selections -------------------------------------------------------------------------------------------


def _plys(folder: Path) -> list[bytes]:
    write_ply(folder / "whole.ply", _state().gaussians())
    whole = (folder / "whole.ply").read_bytes()
    header, body = whole.split(b"end_header\n")
    numbers = np.frombuffer(body, "<f4").reshape(COUNT, -1)
    lines = "\n".join(" ".join(f"{value:.6g}" for value in row) for row in numbers)
    ascii = header.replace(b"binary_little_endian", b"ascii") + b"end_header\n" + lines.encode() + b"\n"
    return [whole, ascii, header + b"end_header\n", b"ply\n"]


def _spzs(folder: Path) -> list[bytes]:
    write_spz(folder / "whole.spz", _state().gaussians())
    content = gzip.decompress((folder / "whole.spz").read_bytes())
    # Unpacked the damages reach the numbers; `_read_spz` packs it again.
    return [content, content[:4] + b"\2" + content[5:], content[:4] + b"\1" + content[5:]]


def _splats(folder: Path) -> list[bytes]:
    write_splat(folder / "whole.splat", _state().gaussians())
    return [(folder / "whole.splat").read_bytes()]


def _sog_metas(folder: Path) -> list[bytes]:
    """Of both versions; what they name lies beside them."""
    (folder / "picture.webp").write_bytes(_webps(folder)[0])
    ends = {"mins": [-1, -1, -1], "maxs": [1, 1, 1], "files": ["a.webp", "a.webp"]}
    listed = {"codebook": [*range(256)], "files": ["a.webp"]}
    second = {"version": 2, "count": COUNT, "means": ends, "scales": listed, "sh0": listed, "quats": listed}
    ends |= {"shape": [COUNT, 3]}
    colors = {"mins": [0, 0, 0, 0], "maxs": [1, 1, 1, 1], "files": ["a.webp"]}
    first = {"means": ends, "scales": ends, "sh0": colors, "quats": {"files": ["a.webp"]}}
    return [json.dumps(meta).encode() for meta in (second, first)]


def _webps(_: Path) -> list[bytes]:
    pixels = np.full((8, 8, 4), 200, np.uint8)
    pixels[..., 3], found = 253, []
    for lossless in (True, False):
        stream = BytesIO()
        Image.fromarray(pixels).save(stream, format="WEBP", lossless=lossless, exact=True)
        found.append(stream.getvalue())
    return found


def _sog_pictures(folder: Path) -> list[bytes]:
    (folder / "meta.json").write_bytes(_sog_metas(folder)[0])
    return _webps(folder)


def _sogs(folder: Path) -> list[bytes]:
    (folder / "meta.json").write_bytes(_sog_metas(folder)[0])
    return [_packed_sog(folder, method).read_bytes() for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]


def _packed_sog(folder: Path, method: int = zipfile.ZIP_STORED) -> Path:
    """With checksums that fit, which a damaged zip has not."""
    with zipfile.ZipFile(folder / "packed.sog", "w", method) as pack:
        pack.write(folder / "meta.json", "meta.json")
        pack.write(folder / "picture.webp", "a.webp")
    return folder / "packed.sog"


def _read_spz(folder: Path) -> None:
    packed = folder / "packed.spz"
    packed.write_bytes(gzip.compress((folder / "scene.bin").read_bytes(), 1))
    read_scene(packed)


def _packed_plys(_: Path) -> list[bytes]:
    bounds = [f"{end}_{what}{axis}" for what in ("", "scale_") for end in ("min", "max") for axis in "xyz"]
    header = "ply\nformat binary_little_endian 1.0\nelement chunk 1\n"
    header += "".join(f"property float {name}\n" for name in bounds) + "element vertex 2\n"
    header += "".join(f"property uint packed_{name}\n" for name in ("position", "rotation", "scale", "color"))
    header += "element sh 2\n" + "".join(f"property uchar f_rest_{number}\n" for number in range(9)) + "end_header\n"
    return [header.encode() + np.arange(12, dtype="<f4").tobytes() + bytes(range(2 * 16 + 2 * 9))]


def _point_plys(_: Path) -> list[bytes]:
    header = "ply\nformat ascii 1.0\nelement face 1\nproperty int a\nelement vertex 2\n"
    header += "".join(f"property float {name}\n" for name in "xyz")
    header += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    return [(header + "end_header\n7\n1 2 3 4 5 6\n7 8 9 10 11 12\n").encode()]


def _selections(folder: Path) -> list[bytes]:
    scene, found = _state().gaussians(), []
    Selection(torch.rand(COUNT), "a box", SceneMark.of(scene)).save(folder / "whole.npz")
    found.append((folder / "whole.npz").read_bytes())
    for array in (np.ones(COUNT, np.float32), np.zeros(COUNT, bool), np.ones((2, 3))):
        stream = BytesIO()
        np.save(stream, array)
        found.append(stream.getvalue())
    return found


def _checkpoints(_: Path) -> list[bytes]:
    state = _state()
    pipeline = {f"_model.gauss_params.{name}": column for name, column in state.columns.items() if name != "selection"}
    stream = BytesIO()
    torch.save({"step": 5, "pipeline": pipeline | {"_model.selection": state.selection}}, stream)
    return [stream.getvalue()]


def _read_on_disk(path: Path) -> None:
    scene = SceneOnDisk(path)
    scene.subset(torch.arange(min(2, len(scene))))


def _desks(_: Path) -> list[bytes]:
    camera = {"position": [1.0, 2.0, 3.0], "look_at": [0.0, 0.0, 0.5], "up": [0.0, 0.0, 1.0]}
    content = {"format": FORMAT, "asked": "a bear", "fields": {"sentence": "gold", "quality": "fine"}, "camera": camera}
    return [json.dumps(content | {"bookmarks": {"1": camera}, "names": {"7": "the moon"}}).encode()]


# --- the history -----------------------------------------------------------------------------------------------------


def _history(folder: Path) -> None:
    history, state = History.open(folder / "history"), _state()
    for value in (0.25, 0.5):
        before = {"features_dc": state.columns["features_dc"].clone(), "means": state.columns["means"].clone()}
        delta = Delta.of_rows(state.ids, before, {name: column + value for name, column in before.items()})
        history.record(delta, f"step {value}", prompt="gold", seed=3, metrics={"similarity": 0.25}, settings={"a": [1]})
        state = delta.moved(state, 0.0, 1.0)
    grown = SceneState(state.at(torch.tensor([0, 1])).columns, history.fresh_ids(state, 2))
    history.record(Delta.of_growth(state.at(torch.tensor([3])), grown), "growth")
    history.undo(Delta.of_growth(state.at(torch.tensor([3])), grown).moved(state, 0.0, 1.0))


def _file_of_history(name: str) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        if not (folder / "history").exists():
            _history(folder)
        content = (folder / "history" / name).read_bytes()
        return _variants(content) if name.endswith(".safetensors") else [content]

    return seeds


def _read_history(folder: Path) -> None:
    steps = SavedSteps(folder / "history").all
    selections_text([step for step in steps if step.kind == "selection"])
    for step in steps:
        edit_text(step)
    history = History.open(folder / "history")
    state = _state()
    for step in history.applied:
        history.footprint(step.id)
        delta = history.delta(step.id)
        delta.check(state, 0.0, step.strength)
        state = delta.moved(state, 0.0, step.strength)


def _read_delta(folder: Path) -> None:
    path, state = folder / "history/steps/0001/delta.safetensors", _state()
    Footprint.load(path)
    delta = Delta.load(path)
    delta.check(state, 0.0, 1.0)
    delta.moved(state, 0.0, 1.0)


def _applied(_: Path) -> list[bytes]:
    return [json.dumps([{"id": 1, "strength": 1.0}, {"id": 2, "strength": 0.5}]).encode()]


def _read_applied(folder: Path) -> None:
    content = (folder / "applied").read_bytes()
    applied_of_checkpoint({"history_applied": torch.frombuffer(bytearray(content or b" "), dtype=torch.uint8)})


# --- style pictures --------------------------------------------------------------------------------------------------


def _style_pictures(folder: Path) -> list[bytes]:
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 4), np.uint8)
    kinds = (("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "CMYK"), ("GIF", "P"), ("TIFF", "RGB"), ("WEBP", "RGBA"))
    seeds = []
    for kind, mode in kinds:
        buffer = BytesIO()
        Image.fromarray(noise).convert("RGB").convert(mode).save(buffer, format=kind)
        seeds.append(buffer.getvalue())
    return seeds


# --- panoramas -------------------------------------------------------------------------------------------------------


def _panoramas(name: str) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        found = []
        for height in (
            20,
            4,
            3,
        ):  # several of OpenEXR's blocks; of Radiance rows with runs, and rows too short for them
            write_panorama(folder / name, torch.rand(height, 2 * height, 3))
            found.append((folder / name).read_bytes())
        return found

    return seeds


def _sidecar(folder: Path) -> list[bytes]:
    for name in ("a_1k.hdr", "b.exr"):
        write_panorama(folder / name, torch.ones(1, 2, 3))
    words = {"categories": ["outdoor", "night"], "tags": ["moon"], "name": "A"}
    documents = ([words | {"file": "a_1k.hdr"}, {"file": "b.exr"}], {"a": words, "c": words}, words)
    return [json.dumps(document).encode() for document in documents]


# --- data sets of an editor's training -------------------------------------------------------------------------------


def _magic_brush(folder: Path) -> None:
    masks = torch.zeros(2, 8, 8, 1)
    masks[:, 2:5, 2:5] = 1
    pictures = torch.linspace(0, 0.9, 384).reshape(2, 8, 8, 3)
    write_magic_brush(folder, EditCases(pictures, masks, ("make it red", "make it blue"), pictures.flip(1)))


def _parquet(folder: Path) -> list[bytes]:
    """In Hugging Face's layout, as pyarrow writes it by default and compressed by other methods."""
    _magic_brush(folder)
    (folder / "edit_turns.json").unlink()
    row: dict = {"instruction": "make it red"}
    for column, name in {"source_img": "input", "mask_img": "mask1", "target_img": "output1"}.items():
        row[column] = {"bytes": (folder / f"images/0/0-{name}.png").read_bytes(), "path": None}
    found = []
    for settings in ({}, {"compression": "none"}, {"compression": "zstd", "use_dictionary": False}):
        stream = BytesIO()
        pq.write_table(pa.Table.from_pylist([row, row]), stream, **settings)
        found.append(stream.getvalue())
    return found


def _file_of_magic_brush(name: str) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        _magic_brush(folder)
        found = [(folder / name).read_bytes()]
        if name.endswith(".png"):
            for format in ("JPEG", "WEBP"):
                stream = BytesIO()
                Image.open(folder / name).convert("RGB").save(stream, format)
                found.append(stream.getvalue())
        return found

    return seeds


def _read_magic_brush(folder: Path) -> None:
    read_magic_brush(folder, 8, at_most=1)


# --- rounds ----------------------------------------------------------------------------------------------------------


def _rounds(folder: Path) -> None:
    state, books = _state(), RoundsFolder(folder / "rounds")
    scene = {name: column for name, column in state.columns.items() if name != "selection"}
    weights = (torch.arange(COUNT) < 3).float()
    (books.begin(0) / "scene.safetensors").write_bytes(save(scene | {"weights": weights}))
    books.finish(0, {"snapshot": "scene.safetensors", "scene": "abc", "versions": {}})
    snapshot = {f"parameters.{name}": column[:3].contiguous() for name, column in scene.items()}
    snapshot |= {"weights": weights[:3], "grown": torch.tensor(False)}
    (books.begin(1) / "snapshot_000002.safetensors").write_bytes(save(snapshot))
    for kind in ("before", "edited", "after", "mask"):
        channels = 1 if kind == "mask" else 3
        books.write_picture(1, kind, 2, torch.zeros(4, 5, channels, dtype=torch.uint8))
    numbers = {"inside": {"l1": 0.1, "psnr": 20.0}, "outside": {"psnr": 50.0}, "gaussians": COUNT, "object": 3}
    manifest = {
        "edits": [{"step": 0, "views": [2], "seed": 1, "failed": {}, "editor": {}}],
        "metrics": {"trained": numbers},
    }
    manifest |= {"seconds": {"editing": 1.0, "all": 2.0}, "instruction": "make it red", "mode": "restyle", "seed": 0}
    manifest |= {"editor": "tiny", "settings": {}, "plan": {"steps": 2}, "steps_done": 2, "edits_so_far": 1}
    manifest |= {"edited_in": {"2": 1}, "round_views": [2], "residuals": {"2": 0.1}, "scene": "abc"}
    books.finish(1, manifest | {"snapshot": "snapshot_000002.safetensors", "peak_memory_gib": 1.0})


def _file_of_rounds(name: str) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        if not (folder / "rounds").exists():
            _rounds(folder)
        content = (folder / "rounds" / name).read_bytes()
        return _variants(content) if name.endswith(".safetensors") else [content]

    return seeds


def _read_manifest(folder: Path) -> None:
    rounds = RoundsFolder(folder / "rounds").rounds()
    for entry in rounds[1:]:
        assert entry.snapshot.resolve().parent == entry.folder.resolve(), "out of the run"
    write_page(folder / "rounds" / "index.html", rounds)


def _read_snapshot(folder: Path) -> None:
    scene_of_round(RoundsFolder(folder / "rounds").rounds(), 1)


def _read_picture(folder: Path) -> None:
    RoundsFolder(folder / "rounds").rounds()[1].picture("edited", 2)


def _pictures(folder: Path) -> list[bytes]:
    found = _file_of_rounds("round_0001/edited/view_0002.png")(folder)
    for format in ("JPEG", "WEBP"):
        stream = BytesIO()
        Image.new("RGB", (5, 4)).save(stream, format)
        found.append(stream.getvalue())
    return found


def _variants(content: bytes) -> list[bytes]:
    """The file of safetensors, and others that are whole but hold something else: no damage would find these."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole.safetensors"
        path.write_bytes(content)
        with safe_open(path, "pt") as opened:
            tensors, about = {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118
    found = [tensors | {"more": torch.zeros(2)}, tensors | {"more.less": torch.zeros(2)}]
    for name, tensor in tensors.items():
        found.append({other: it for other, it in tensors.items() if other != name})
        changed = [tensor.to(torch.int64), tensor.to(torch.float16), tensor[None], tensor.flatten()[:1], tensor.bool()]
        changed += [tensor[:-1], -tensor - 1 if tensor.dtype != torch.bool else ~tensor] if tensor.ndim else []
        changed += [tensor.float() * float("nan"), torch.cat([tensor.flatten(), tensor.flatten()])]
        found += [tensors | {name: it.contiguous()} for it in changed]
    return [content, *(save(it, metadata=about) for it in found)]


# --- captures --------------------------------------------------------------------------------------------------------


def _captures(folder: Path) -> list[bytes]:
    small_capture(folder)
    return [(folder / "transforms.json").read_bytes()]


# --- settings --------------------------------------------------------------------------------------------------------

_CONFIG = """!!python/object:tests.fuzz.targets.Target
file: &a !!python/name:tests.fuzz.targets.Target ''
seeds: [!!python/tuple [1, 2.5, null, true], *a]
read: !!python/object/apply:pathlib.PosixPath [a, b]
"""
_RECIPE = "method: fasttext2style\nprompt: 'a bear'\nsettings: {a: [1, 1e-3, true, ~], b: \"text\\n\"}\n"


def _read_config(folder: Path) -> None:
    load_objects((folder / "config.yml").read_bytes().decode("utf8"), Known(("tests.fuzz.targets",)))


def _read_recipe(folder: Path) -> None:
    read_yaml((folder / "recipe.yaml").read_bytes().decode("utf8"))


TARGETS = {
    "ply": Target("scene.ply", _plys, lambda folder: read_ply(folder / "scene.ply")),
    "ply, row by row": Target("scene.ply", _plys, lambda folder: _read_on_disk(folder / "scene.ply")),
    "compressed ply": Target("scene.ply", _packed_plys, lambda folder: read_scene(folder / "scene.ply")),
    "spz": Target("scene.bin", _spzs, _read_spz),
    "sog": Target("scene.sog", _sogs, lambda folder: read_scene(folder / "scene.sog")),
    "sog, meta.json": Target("meta.json", _sog_metas, lambda folder: read_scene(_packed_sog(folder))),
    "sog, picture": Target("picture.webp", _sog_pictures, lambda folder: read_scene(_packed_sog(folder))),
    "splat": Target("scene.splat", _splats, lambda folder: read_scene(folder / "scene.splat")),
    "points": Target("points.ply", _point_plys, lambda folder: read_points(folder / "points.ply")),
    "selection": Target("object.npz", _selections, lambda folder: Selection.load(folder / "object.npz")),
    "checkpoint": Target("step.ckpt", _checkpoints, lambda folder: _read_on_disk(folder / "step.ckpt")),
    "checkpoint, as a whole": Target("step.ckpt", _checkpoints, lambda folder: load_torch_file(folder / "step.ckpt")),
    "desk": Target("desk.json", _desks, lambda folder: read_desk(folder / "desk.json")),
    "history": Target("history/history.json", _file_of_history("history.json"), _read_history),
    "step": Target("history/steps/0001/step.json", _file_of_history("steps/0001/step.json"), _read_history),
    "delta": Target(
        "history/steps/0001/delta.safetensors", _file_of_history("steps/0001/delta.safetensors"), _read_delta
    ),
    "applied steps": Target("applied", _applied, _read_applied),
    "manifest": Target("rounds/round_0001/manifest.json", _file_of_rounds("round_0001/manifest.json"), _read_manifest),
    "scene of rounds": Target(
        "rounds/round_0000/scene.safetensors",
        _file_of_rounds("round_0000/scene.safetensors"),
        lambda folder: load_scene(folder / "rounds/round_0000/scene.safetensors"),
    ),
    "snapshot": Target(
        "rounds/round_0001/snapshot_000002.safetensors",
        _file_of_rounds("round_0001/snapshot_000002.safetensors"),
        _read_snapshot,
    ),
    "style picture": Target("style", _style_pictures, lambda folder: read_style_picture(folder / "style")),
    "panorama, Radiance": Target("a.hdr", _panoramas("a.hdr"), lambda folder: read_panorama(folder / "a.hdr")),
    "panorama, OpenEXR": Target("a.exr", _panoramas("a.exr"), lambda folder: read_panorama(folder / "a.exr")),
    "panorama, PNG": Target("a.png", _panoramas("a.png"), lambda folder: read_panorama(folder / "a.png")),
    "panorama, JPEG": Target("a.jpg", _panoramas("a.jpg"), lambda folder: read_panorama(folder / "a.jpg")),
    "MagicBrush": Target("edit_turns.json", _file_of_magic_brush("edit_turns.json"), _read_magic_brush),
    "MagicBrush, picture": Target(
        "images/0/0-mask1.png", _file_of_magic_brush("images/0/0-mask1.png"), _read_magic_brush
    ),
    "MagicBrush, Parquet": Target("train-0.parquet", _parquet, _read_magic_brush),
    "what an editor was trained on": Target(
        "training.json",
        lambda _: [json.dumps({"editor": "tiny", "trained_on": {"1.0": "9f86d081884c7d65"}, "epochs": []}).encode()],
        lambda folder: trained_on(folder / "lora.safetensors"),
    ),
    "captions": Target("words.json", _sidecar, open_folder),
    "picture": Target("rounds/round_0001/edited/view_0002.png", _pictures, _read_picture),
    "capture": Target("transforms.json", _captures, lambda folder: check_capture(folder, read_pixels=False)),
    "config": Target("config.yml", lambda _: [_CONFIG.encode()], _read_config),
    "recipe": Target("recipe.yaml", lambda _: [_RECIPE.encode()], _read_recipe),
}
"""What is read -> how."""
