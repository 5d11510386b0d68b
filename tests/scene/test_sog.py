""".sog: pictures whose pixels are Gaussians, read as the format's specification says and as another library does."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from random_scene import random_gaussians

from fasttext2style.scene.files.scenes import read_scene, survey
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.trust import sizes

LIST = np.linspace(-4, 4, 256).round(4).tolist()
BANDS = 2
REST = 8


def picture(pixels: np.ndarray, width: int = 8) -> bytes:
    """[pixels, 4] as a WebP that loses nothing, filled up to whole rows."""
    whole = np.zeros((-(-len(pixels) // width) * width, 4), np.uint8)
    whole[: len(pixels)] = pixels
    stream = io.BytesIO()
    Image.fromarray(whole.reshape(-1, width, 4)).save(stream, format="WEBP", lossless=True, exact=True)
    return stream.getvalue()


def write_sog(path, gaussians: Gaussians, folder: str = "", **changes) -> None:
    """Version 2, each value the nearest of `LIST`; `changes` of meta.json."""
    count = len(gaussians)

    def nearest(values) -> np.ndarray:
        return np.abs(np.asarray(values)[..., None] - np.array(LIST)).argmin(axis=-1).astype(np.uint8)

    means = gaussians.means.numpy()
    curved = np.sign(means) * np.log1p(np.abs(means))
    mins, maxs = curved.min(axis=0), curved.max(axis=0)
    steps = np.round((curved - mins) / (maxs - mins) * 65535).astype(np.uint32)
    opaque = np.full((count, 1), 255)
    quats = torch.nn.functional.normalize(gaussians.quats, dim=1).numpy()
    largest = np.abs(quats).argmax(axis=1)
    quats = quats * np.sign(quats[np.arange(count), largest])[:, None]
    others = quats[np.arange(4) != largest[:, None]].reshape(count, 3)
    packed = np.round((others / np.sqrt(2) + 0.5) * 255)
    alphas = np.round(gaussians.opacities.numpy() * 255)[:, None]
    rest = nearest(gaussians.sh_rest.numpy())  # an entry of its own for each Gaussian
    table = np.full((-(-count // 64) * 64, REST, 4), 255, np.uint8)
    table[:count, :, :3] = rest
    labels = np.arange(count)
    files = {
        "means_l.webp": picture(np.hstack([steps & 255, opaque])),
        "means_u.webp": picture(np.hstack([steps >> 8, opaque])),
        "scales.webp": picture(np.hstack([nearest(gaussians.log_scales), opaque])),
        "quats.webp": picture(np.hstack([packed, 252 + largest[:, None]])),
        "sh0.webp": picture(np.hstack([nearest(gaussians.sh_dc), alphas])),
        "shN_centroids.webp": picture(table.reshape(-1, 4), 64 * REST),
        "shN_labels.webp": picture(np.stack([labels & 255, labels >> 8, 0 * labels, 0 * labels + 255], axis=1)),
    }
    meta = {
        "version": 2,
        "count": count,
        "means": {"mins": mins.tolist(), "maxs": maxs.tolist(), "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": LIST, "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": LIST, "files": ["sh0.webp"]},
        "shN": {
            "count": count,
            "bands": BANDS,
            "codebook": LIST,
            "files": ["shN_centroids.webp", "shN_labels.webp"],
        },
    }
    meta |= changes
    with zipfile.ZipFile(path, "w") as pack:
        for name, content in files.items():
            pack.writestr(folder + name, content)
        pack.writestr(f"{folder}meta.json", json.dumps({key: value for key, value in meta.items() if value != "drop"}))


@pytest.mark.parametrize("folder", ["", "a scene/"])
def test_what_was_written_by_the_specification_is_read(tmp_path, folder):
    """Within half a step of each list (8/255), of 16 bits in places, of 8 bits in rotations and opacities."""
    scene = random_gaussians(70, BANDS)
    write_sog(tmp_path / "a.sog", scene, folder)
    found = read_scene(tmp_path / "a.sog")
    torch.testing.assert_close(found.means, scene.means, atol=2e-4, rtol=2e-4)
    for name in ("log_scales", "sh_dc", "sh_rest"):
        torch.testing.assert_close(getattr(found, name), getattr(scene, name), atol=4.1 / 255, rtol=0)
    torch.testing.assert_close(found.opacities, scene.opacities, atol=0.51 / 255, rtol=0)
    wanted = torch.nn.functional.normalize(scene.quats, dim=1)
    assert float((found.quats * wanted).sum(dim=1).abs().min()) > 1 - 1e-4
    assert survey(tmp_path / "a.sog", 7).valid == 70


def test_it_is_read_as_another_library_reads_it(tmp_path):
    gsply = pytest.importorskip("gsply")
    pytest.importorskip("imagecodecs")
    write_sog(tmp_path / "a.sog", random_gaussians(70, BANDS))
    ours, theirs = read_scene(tmp_path / "a.sog"), gsply.sogread(tmp_path / "a.sog")
    for name, found in {"means": theirs.means, "log_scales": theirs.scales, "quats": theirs.quats,
                        "sh_dc": theirs.sh0, "sh_rest": theirs.shN}.items():  # fmt: skip
        torch.testing.assert_close(getattr(ours, name), torch.from_numpy(np.array(found)), atol=1e-5, rtol=1e-5)
    opacities = torch.from_numpy(np.array(theirs.opacities)).flatten().sigmoid()
    torch.testing.assert_close(ours.opacities, opacities, atol=2e-3, rtol=0)


def test_version_1_lies_between_a_least_and_a_largest_value(tmp_path):
    """A byte of 255 is the largest one; its opacity is a logit; harmonics of 64 x 3 pixels are of degree 1."""
    scene = random_gaussians(5, 1)
    ends = {"mins": [-1.0, -2.0, -3.0], "maxs": [1.0, 2.0, 5.0]}
    write_sog(
        tmp_path / "a.sog",
        random_gaussians(5, BANDS),
        version="drop",
        count="drop",
        means=ends | {"shape": [5, 3], "files": ["means_l.webp", "means_u.webp"]},
        scales=ends | {"files": ["scales.webp"]},
        sh0={"mins": [-1.0, -1.0, -1.0, -5.0], "maxs": [1.0, 1.0, 1.0, 5.0], "files": ["sh0.webp"]},
        shN={"mins": -2.0, "maxs": 2.0, "files": ["shN_centroids.webp", "shN_labels.webp"]},
    )
    with zipfile.ZipFile(tmp_path / "a.sog") as pack:
        stored = {name: np.asarray(Image.open(pack.open(name)).convert("RGBA")).reshape(-1, 4).astype(np.float64)
                  for name in pack.namelist() if name.endswith(".webp")}  # fmt: skip
    found = read_scene(tmp_path / "a.sog")
    low, high = np.array(ends["mins"]), np.array(ends["maxs"])
    assert found.log_scales.numpy() == pytest.approx(low + stored["scales.webp"][:5, :3] / 255 * (high - low), abs=1e-5)
    assert found.logit_opacities.numpy() == pytest.approx(-5 + stored["sh0.webp"][:5, 3] / 255 * 10, abs=1e-5)
    rest = stored["shN_centroids.webp"].reshape(-1, REST, 4)[:5, :, :3]
    assert found.sh_rest.numpy() == pytest.approx(-2 + rest / 255 * 4, abs=1e-5)
    assert len(found) == len(scene)


@pytest.mark.parametrize("is_plain", [False, True])
def test_scenes_are_not_packed_as_tightly_as_what_is_refused(tmp_path, monkeypatch, is_plain):
    """Bytes of pixels for one of the file: one of noise 1.5, a cloud of points of one size and colour 11."""
    monkeypatch.setattr(sizes, "SMALL", 0)
    scene = random_gaussians(4_000, BANDS)
    if is_plain:
        same = {name: torch.zeros_like(getattr(scene, name)) for name in ("log_scales", "sh_dc", "sh_rest")}
        order = scene.means[:, 0].argsort()
        scene = replace(scene, means=scene.means[order], quats=scene.quats[:1].expand(4_000, 4), **same)
    write_sog(tmp_path / "a.sog", scene)
    assert len(read_scene(tmp_path / "a.sog")) == 4_000
    monkeypatch.setattr(sizes, "MOST_UNPACKED", 5 if is_plain else 1)
    with pytest.raises(ValueError, match=r"it promises 4,000 Gaussians in pictures of 225,024 bytes; of a file of"):
        read_scene(tmp_path / "a.sog")


BAD = {
    "no zip": (b"nothing", "not a whole .sog"),
    "cut short": (None, "not a whole .sog"),
    "version 3": ({"version": 3}, "version 3; 1 and 2 are read"),
    "no Gaussians": ({"count": 0}, "holds no Gaussians"),
    "more than its pictures hold": ({"count": 500}, "holds 16 of 500"),
    "a million million": ({"count": 10**12}, "holds 16 of 1,000,000,000,000 Gaussians"),
    "no number": ({"count": "many"}, "counts many"),
    "a short list": ({"scales": {"codebook": [1.0], "files": ["scales.webp"]}}, "1 values, expected 256"),
    "no list": ({"scales": {"files": ["scales.webp"]}}, "codebook"),
    "a picture that is missing": ({"quats": {"files": ["gone.webp"]}}, "gone.webp"),
    "rotations that are none": ({"quats": {"files": ["sh0.webp"]}}, "expected 252 to 255"),
    "no mapping": ({"means": []}, "not a whole .sog"),
    "labels beyond the table": (
        {"shN": {"bands": 2, "codebook": LIST, "files": ["shN_centroids.webp", "means_u.webp"]}},
        "out of bounds",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_damaged_is_refused_in_one_sentence(tmp_path, what):
    change, said = BAD[what]
    path = tmp_path / "bad.sog"
    write_sog(path, random_gaussians(12, BANDS), **(change if isinstance(change, dict) else {}))
    if not isinstance(change, dict):
        path.write_bytes(change or path.read_bytes()[:300])
    with pytest.raises(ValueError, match=said) as refused:
        read_scene(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)
