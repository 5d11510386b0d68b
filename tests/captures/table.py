"""What is accepted of a capture and what is refused: one table, tried by `test_table.py` and written into the docs.

`python -m tests.captures.table` writes docs/captures.md.
"""

from __future__ import annotations

import json
import math
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fasttext2style.captures.checks import check_capture
from fasttext2style.captures.conventions import check_poses_see
from fasttext2style.captures.masks import check_masks, check_some_white, masks_of
from fasttext2style.captures.plain import PlainCapture
from fasttext2style.captures.points import read_cloud
from fasttext2style.scene.files.scenes import read_scene
from tests.captures.small import FOCAL, HEIGHT, VIEWS, WIDTH, noise, small_capture, write

DOCUMENT = Path(__file__).parents[2] / "docs" / "captures.md"
Meta = dict[str, Any]
NONE = "no transforms.json"


@dataclass(frozen=True)
class Case:
    """One thing that a capture may be, as a change of a small good one."""

    given: str
    """What it is, for the docs."""
    change: Callable[[Path, Meta], object]
    """Changes the capture in a folder and what its transforms.json will hold; if it returns `NONE`, there is none."""
    then: str
    """What comes of it, for the docs."""
    refused: tuple[str, ...] = ()
    """What the error says, among it a file and a remedy; empty: it is accepted."""
    expected: Callable[[Any], bool] = lambda found: True
    """Of the plain capture that is made of an accepted one, or of the scene."""
    looked_at: Callable[[Path], Any] = lambda folder: checked(folder)
    """All that is checked of what lies in a folder."""


# --- changes ------------------------------------------------------------------------------------------------------


def _all(key: str, value: Any) -> Callable[[Path, Meta], object]:
    """Every frame says so, and the capture does not."""

    def change(folder: Path, meta: Meta) -> None:
        meta.pop(key, None)
        for frame in meta["frames"]:
            frame[key] = value

    return change


def _set(**values: Any) -> Callable[[Path, Meta], object]:
    return lambda folder, meta: meta.update(values)


def _drop(*keys: str) -> Callable[[Path, Meta], object]:
    return lambda folder, meta: [meta.pop(key) for key in keys]


def _first(**values: Any) -> Callable[[Path, Meta], object]:
    return lambda folder, meta: meta["frames"][0].update(values)


def _angle(unit: float) -> Callable[[Path, Meta], object]:
    def change(folder: Path, meta: Meta) -> None:
        for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
            del meta[key]
        meta["camera_angle_x"] = unit * 2 * math.atan(WIDTH / 2 / FOCAL)

    return change


def _matrices(change_one: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path, Meta], object]:
    def change(folder: Path, meta: Meta) -> None:
        for frame in meta["frames"]:
            frame["transform_matrix"] = change_one(np.array(frame["transform_matrix"])).tolist()

    return change


def _pictures(make: Callable[[Image.Image], Image.Image], ending: str = ".png", **options: Any):
    """Every photograph made anew."""

    def change(folder: Path, meta: Meta) -> None:
        for frame in meta["frames"]:
            path = folder / frame["file_path"]
            with Image.open(path) as image:
                changed = make(image.convert("RGB"))
            path.unlink()
            frame["file_path"] = str(Path(frame["file_path"]).with_suffix(ending))
            changed.save(folder / frame["file_path"], **options)

    return change


def _mode(mode: str, ending: str = ".png") -> Callable[[Path, Meta], object]:
    return _pictures(lambda image: image.convert(mode), ending)


def _grey16(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _turned(orientation: int, transpose: Image.Transpose, width: int, height: int) -> Callable[[Path, Meta], object]:
    """Stored turned, with the tag that turns it back; transforms.json says width and height."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = _pictures(lambda image: image.transpose(transpose), ".jpg", exif=exif)

    def change(folder: Path, meta: Meta) -> None:
        turn(folder, meta)
        meta.update(w=width, h=height)

    return change


def _mixed_sizes(folder: Path, meta: Meta) -> None:
    for key in ("w", "h", "cx", "cy"):
        del meta[key]
    for view, frame in enumerate(meta["frames"]):
        width, height = (HEIGHT, WIDTH) if view % 2 else (WIDTH, HEIGHT)
        noise(view, width, height).save(folder / frame["file_path"])
        frame.update(w=width, h=height, cx=width / 2, cy=height / 2)


def _bytes(content: bytes) -> Callable[[Path, Meta], object]:
    return lambda folder, meta: (folder / "images" / "02.png").write_bytes(content)


def _renamed(ending: str, content: bytes | None = None) -> Callable[[Path, Meta], object]:
    def change(folder: Path, meta: Meta) -> None:
        path = folder / "images" / "02.png"
        path.rename(path.with_suffix(ending))
        if content is not None:
            path.with_suffix(ending).write_bytes(content)
        meta["frames"][2]["file_path"] = f"images/02{ending}"

    return change


def _without_endings(folder: Path, meta: Meta) -> None:
    for frame in meta["frames"]:
        frame["file_path"] = "./" + frame["file_path"].removesuffix(".png")


def _backslashes(folder: Path, meta: Meta) -> None:
    for frame in meta["frames"]:
        frame["file_path"] = frame["file_path"].replace("/", "\\")


def _other_case(folder: Path, meta: Meta) -> None:
    """As on Windows and Macs, where nobody notices: a folder and an ending."""
    (folder / "images").rename(folder / "Images")
    for path in (folder / "Images").iterdir():
        path.rename(path.with_suffix(".PNG"))


def _accents(folder: Path, meta: Meta) -> None:
    for view, frame in enumerate(meta["frames"]):
        path = folder / frame["file_path"]
        path.rename(path.with_name(unicodedata.normalize("NFD", f"Bär {view}.png")))
        frame["file_path"] = f"images/Bär {view}.png"


def _of_another_machine(folder: Path, meta: Meta) -> None:
    (folder / "photos").mkdir()
    places = ("/content/drive/scan/", "C:\\scan\\", "file:///home/me/scan/", "../there/")
    for frame, place in zip(meta["frames"], places):
        name = frame["file_path"].replace("images", "photos")
        (folder / frame["file_path"]).rename(folder / name)
        frame["file_path"] = place + name
    meta["frames"][4]["file_path"] = "04.png"


def _converted(folder: Path, meta: Meta) -> None:
    for frame in meta["frames"]:
        path = folder / frame["file_path"]
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"))
        path.unlink()


def _smaller_ones(folder: Path, meta: Meta) -> None:
    """images_2 in place of images, with sides rounded up, as some tools do."""
    (folder / "images_2").mkdir()
    for frame in meta["frames"]:
        path = folder / frame["file_path"]
        noise(1, WIDTH // 2, HEIGHT // 2).save(folder / "images_2" / path.name)
        path.unlink()
    meta.update(w=WIDTH - 1, h=HEIGHT + 1)


def _lists(**lists: Any) -> Callable[[Path, Meta], object]:
    """`all` in a list stands for the names of all frames."""

    def change(folder: Path, meta: Meta) -> None:
        names = [frame["file_path"] for frame in meta["frames"]]
        meta.update({f"{split}_filenames": names[:4] if value == "four" else value for split, value in lists.items()})

    return change


def _some_masks(count: int, size: tuple[int, int] = (WIDTH, HEIGHT), write_them: bool = True):
    def change(folder: Path, meta: Meta) -> None:
        (folder / "masks").mkdir()
        for frame in meta["frames"][:count]:
            frame["mask_path"] = frame["file_path"].replace("images", "masks")
            if write_them:
                Image.new("L", size, 255).save(folder / frame["mask_path"])

    return change


def _lens(**values: float) -> Callable[[PlainCapture], bool]:
    """The numbers of all cameras, to 6 digits."""
    return lambda capture: all(
        abs(frame[key] - value) < 1e-6 * max(1, abs(value))
        for frame in capture.meta["frames"]
        for key, value in values.items()
    )


# --- the table ----------------------------------------------------------------------------------------------------

PHOTOGRAPHS = [
    Case("PNG or JPEG in colours, in grey, in black and white", _mode("L"), "as they are"),
    Case("1 bit", _mode("1"), "black and white"),
    Case("a palette (GIF, small PNG)", _mode("P"), "its colours"),
    Case("CMYK", _mode("CMYK", ".jpg"), "converted to RGB"),
    Case("16 bit grey", _pictures(_grey16), "rounded to 8 bits"),
    Case("grey with alpha", _mode("LA"), "before the background that training has, everywhere"),
    Case("alpha", _mode("RGBA"), "before the background that training has, everywhere"),
    Case("BMP, TIFF, WebP", _mode("RGB", ".bmp"), "as they are"),
    Case(
        "32 bit grey, floating point",
        _pictures(lambda image: image.convert("F"), ".tiff"),
        "refused: nobody knows which value is white",
        ("00.tiff", "mode F", "save it with 8 or 16 bits"),
    ),
    Case("PDF, SVG", _renamed(".pdf", b"%PDF-1.4"), "refused", ("02.pdf (no picture that can be read). ",)),
    Case(
        "HEIC, camera raw, EXR, a film",
        _renamed(".heic", b"\0\0\0\x18ftypheic"),
        "refused, with what to make of them",
        ("02.heic", "save it as JPEG"),
    ),
    Case("a damaged header", _bytes(b"no picture"), "refused", ("02.png", "cannot be read", "Replace them")),
    Case("an empty file", _bytes(b""), "refused", ("02.png", "cannot be read", "Replace them")),
    Case(
        "an EXIF orientation, transforms.json has the size as shown",
        _turned(6, Image.Transpose.ROTATE_90, WIDTH, HEIGHT),
        "turned, and said",
        expected=lambda capture: set(capture.turns) == {6} and "EXIF" in capture.notes[0],
    ),
    Case(
        "an EXIF orientation, transforms.json has the size as stored",
        _turned(6, Image.Transpose.ROTATE_90, HEIGHT, WIDTH),
        "as stored, like nerfstudio",
        expected=lambda capture: set(capture.turns) == {1} and not capture.notes,
    ),
    Case(
        "an EXIF orientation that leaves the size (square, 180 degrees)",
        _turned(3, Image.Transpose.ROTATE_180, WIDTH, HEIGHT),
        "as stored, like nerfstudio, and said",
        expected=lambda capture: set(capture.turns) == {1} and "as they are stored" in capture.notes[0],
    ),
    Case(
        "sizes that differ, each frame with its own w and h",
        _mixed_sizes,
        "each scaled by itself; views of the object get the most common size",
        expected=lambda capture: [frame["w"] for frame in capture.meta["frames"]] == [WIDTH, HEIGHT] * (VIEWS // 2),
    ),
    Case(
        "resized after transforms.json was written",
        _pictures(lambda image: image.resize((WIDTH // 2, HEIGHT // 2))),
        "refused, with the factor",
        ("00.png", f"{WIDTH // 2} x {HEIGHT // 2}", f"{WIDTH} x {HEIGHT}", "resized", "by 0.5"),
    ),
    Case(
        "cropped or turned after transforms.json was written",
        _pictures(lambda image: image.transpose(Image.Transpose.ROTATE_90)),
        "refused",
        ("00.png", f"{HEIGHT} x {WIDTH}", f"{WIDTH} x {HEIGHT}", "make transforms.json again"),
    ),
    Case("names without an ending (Blender, instant-ngp)", _without_endings, "found"),
    Case("names with backslashes", _backslashes, "found"),
    Case("names that differ in upper and lower case alone", _other_case, "found"),
    Case("names in which a Mac takes accents apart", _accents, "found"),
    Case(
        "whole paths of another machine, while the photographs lie here; names without their folder",
        _of_another_machine,
        "found by the end of the path, and said",
        expected=lambda capture: "are taken from where they seem to be" in capture.notes[0],
    ),
    Case(
        "converted to another format after transforms.json was written",
        _converted,
        "found, if one picture alone has the name, and said",
        expected=lambda capture: "are taken from where they seem to be" in capture.notes[0],
    ),
    Case(
        "more than 160 million pixels (cameras have 151 at most)",
        _bytes(b"P6 13000 13000 255\n"),
        "refused",
        ("02.png", "more than 160,000,000 pixels", "scale it down"),
    ),
    Case("HEIC under the name of a JPEG", _bytes(b"\0\0\0\x24ftypheic"), "refused", ("02.png", "HEIC", "JPEG")),
    Case(
        "pointers of git-lfs, pages of the web, empty files in their place",
        _bytes(b"version https://git-lfs.github.com/spec/v1\n"),
        "refused, each by its name",
        ("02.png", "git lfs pull"),
    ),
    Case(
        "a name without a file",
        _first(file_path="images/lost.png"),
        "refused",
        ("lost.png", "missing", "Restore them"),
    ),
    Case(
        "a folder, a pipe, or a link to nowhere in their place",
        lambda folder, meta: [
            (folder / "images" / "03.png").unlink(),
            (folder / "images" / "03.png").symlink_to("/nowhere/03.png"),
        ],
        "refused, and what is there is said",
        ("03.png (a link to /nowhere/03.png", "missing", "Restore them"),
    ),
    Case(
        "smaller ones in images_2, images_4, images_8",
        _smaller_ones,
        "taken for photographs above 1600 pixels, or where the large ones are gone; sides rounded up or down",
        expected=_lens(w=WIDTH // 2, h=HEIGHT // 2),
    ),
    Case(
        "one photograph twice, at different places",
        lambda folder, meta: meta["frames"][1].update(file_path="images/00.png"),
        "refused",
        ("00.png", "different places", "take one of them out"),
    ),
]  # fmt: skip

CAMERAS = [
    Case(
        "PINHOLE, SIMPLE_PINHOLE, SIMPLE_RADIAL, RADIAL, OPENCV under any spelling",
        _set(camera_model="OpenCV", k1=0.1, p2=0.01),
        "undistorted",
        expected=lambda capture: capture.meta["camera_model"] == "OPENCV",
    ),
    Case(
        "OPENCV_FISHEYE",
        _set(camera_model="opencv-fisheye", k1=0.1, k4=0.01),
        "undistorted",
        expected=lambda capture: capture.meta["camera_model"] == "OPENCV_FISHEYE",
    ),
    Case(
        "OPENCV_FISHEYE without distortion",
        _set(camera_model="OPENCV_FISHEYE"),
        "undistorted, too: by itself nerfstudio takes it for a pinhole",
        expected=lambda capture: any(capture.meta["frames"][0]["distortion_params"]),
    ),
    Case(
        "is_fisheye (instant-ngp), no camera_model",
        lambda folder, meta: [meta.pop("camera_model"), meta.update(is_fisheye=True, k1=0.1, k4=0.01)],
        "as OPENCV_FISHEYE",
        expected=lambda capture: capture.meta["camera_model"] == "OPENCV_FISHEYE",
    ),
    Case(
        "is_fisheye beside the model of a pinhole",
        _set(is_fisheye=True),
        "refused",
        ("transforms.json", "PINHOLE", "is_fisheye", "Take out"),
    ),
    Case(
        "latlong, equirectangular, ftheta_p0 (instant-ngp)",
        lambda folder, meta: [meta.pop("camera_model"), meta.update(latlong=True)],
        "refused, like the models of these names",
        ("transforms.json", "LATLONG", "ns-process-data images --camera-type equirectangular"),
    ),
    Case(
        "a model that the frames name",
        _all("camera_model", "OPENCV_FISHEYE"),
        "as if the capture named it",
        expected=lambda capture: capture.meta["camera_model"] == "OPENCV_FISHEYE",
    ),
    Case(
        "different models",
        _first(camera_model="OPENCV_FISHEYE"),
        "refused",
        ("transforms.json", "different camera models", "image_undistorter"),
    ),
    Case(
        "FULL_OPENCV, THIN_PRISM_FISHEYE, FOV, FISHEYE624 ...",
        _set(camera_model="FULL_OPENCV"),
        "refused",
        ("transforms.json", "FULL_OPENCV", "image_undistorter"),
    ),
    Case(
        "panoramas",
        _set(camera_model="EQUIRECTANGULAR"),
        "refused",
        ("transforms.json", "EQUIRECTANGULAR", "ns-process-data images --camera-type equirectangular"),
    ),
    Case("k4 of a pinhole", _set(k1=0.1, k4=0.1), "refused", ("00.png", "k4", "image_undistorter")),
    Case(
        "an angle of view for the focal length; no w, h, cx, cy",
        _angle(1),
        "reckoned from the photographs",
        expected=_lens(fl_x=FOCAL, fl_y=FOCAL, w=WIDTH, h=HEIGHT, cx=WIDTH / 2, cy=HEIGHT / 2),
    ),
    Case("an angle of view in degrees", _angle(180 / math.pi), "refused", ("00.png", "camera_angle_x", "radians")),
    Case(
        "x_fov, y_fov (instant-ngp: degrees)",
        lambda folder, meta: [meta.pop("fl_x"), meta.pop("fl_y"), meta.update(x_fov=90.0, y_fov=60.0)],
        "reckoned from the photographs",
        expected=_lens(fl_x=WIDTH / 2, fl_y=HEIGHT / 2 * math.sqrt(3)),
    ),
    Case("no fl_y", _drop("fl_y"), "that of fl_x", expected=_lens(fl_y=FOCAL)),
    Case("no focal length", _drop("fl_x", "fl_y"), "refused", ("00.png", "no focal length", "camera_angle_x")),
    Case("a focal length in parts of the width", _set(fl_x=0.8), "refused", ("00.png", "fl_x", "is it in pixels?")),
    Case("cx, cy in parts of the sides", _set(cx=0.5, cy=0.5), "refused", ("00.png", "cx", f"multiply it by {WIDTH}")),
    Case("numbers as text", _set(fl_x="20.0", w="24"), "read", expected=_lens(fl_x=20, w=24)),
    Case("no numbers", _set(fl_x="wide"), "refused", ("00.png", "fl_x", "should be a finite number")),
    Case(
        "null, or an empty text",
        lambda folder, meta: [meta.update(k1=None, ply_file_path="", camera_model=None), _first(w=None)(folder, meta)],
        "as if it were not there",
    ),
    Case(
        "cx, cy outside of the photograph (resized, and no w and h are said)",
        lambda folder, meta: [_drop("w", "h")(folder, meta), meta.update(cx=2.0 * WIDTH)],
        "refused",
        ("00.png", "cx is 48", f"{WIDTH} x {HEIGHT}", "resized or cropped"),
    ),
    Case("NaN", _set(cx=math.nan), "refused", ("00.png", "cx", "should be a finite number")),
    Case(
        "numbers of the frames beside those of the capture",
        _first(fl_x=30.0),
        "the frames' are taken (nerfstudio takes the capture's)",
        expected=lambda capture: [frame["fl_x"] for frame in capture.meta["frames"]] == [30.0] + [FOCAL] * (VIEWS - 1),
    ),
    Case(
        "poses of 3 rows",
        _matrices(lambda matrix: matrix[:3]),
        "completed",
        expected=lambda capture: all(len(frame["transform_matrix"]) == 4 for frame in capture.meta["frames"]),
    ),
    Case(
        "poses with a scale in their axes",
        _matrices(lambda matrix: matrix @ np.diag([3.0, 3.0, 3.0, 1.0])),
        "axes of length 1",
        expected=lambda capture: bool(
            np.allclose(np.linalg.norm(np.array(capture.meta["frames"][0]["transform_matrix"])[:3, :3], axis=0), 1)
        ),
    ),
    Case(
        "poses written column by column",
        _matrices(lambda matrix: matrix.T),
        "refused",
        ("00.png", "column by column", "transpose"),
    ),
    Case(
        "poses that mirror",
        _matrices(lambda matrix: matrix @ np.diag([-1.0, 1.0, 1.0, 1.0])),
        "refused",
        ("00.png", "mirrors", "sign of one axis"),
    ),
    Case(
        "poses that are none (zeros, skewed, NaN)",
        _matrices(lambda matrix: np.diag([0.0, 0.0, 0.0, 1.0])),
        "refused",
        ("00.png", "is no pose", "Take the frame out"),
    ),
    Case(
        "places counted from far away (maps: UTM)",
        _matrices(lambda matrix: matrix + np.array([[0, 0, 0, 5e5], [0, 0, 0, 4e6], [0, 0, 0, 0], [0, 0, 0, 0]])),
        "refused",
        ("transforms.json", "stand around (500000, 4000000, 1)", "Subtract"),
    ),
    Case("no pose", lambda folder, meta: meta["frames"][1].pop("transform_matrix"), "refused", ("01.png", "Take the")),
]  # fmt: skip

LISTS = [
    Case("no frames", _set(frames=[]), "refused", ("transforms.json", "no frames", "ns-process-data")),
    Case("a frame without a name", _first(file_path=7), "refused", ("transforms.json", "file_path", "ns-process-data")),
    Case(
        "train_filenames and val_filenames or test_filenames",
        _lists(train="four", test=["images/04.png"]),
        "as listed; validation and test stand for each other",
        expected=lambda capture: [Path(name).name for name in capture.meta["val_filenames"]] == ["04.png"],
    ),
    Case(
        "a photograph in train_filenames and in val_filenames",
        _lists(train="four", val=["images/03.png", "images/04.png"]),
        "as listed, and said: numbers on it are no held-out ones",
        expected=lambda capture: "1 of the 2 photographs" in capture.notes[0] and "03.png" in capture.notes[0],
    ),
    Case("an empty val_filenames", _lists(train="four", val=[]), "training views are shown and measured, and said"),
    Case(
        "fewer than ten photographs, two at least",
        lambda folder, meta: meta.update(frames=meta["frames"][:2]),
        "all are trained on, shown and measured, and said",
        expected=lambda capture: len(capture.photographs) == 2,
    ),
    Case("train_filenames alone", _lists(train="four"), "refused", ("transforms.json", "val_filenames", "take")),
    Case("val_filenames alone", _lists(val="four"), "refused", ("transforms.json", "train_filenames", "take")),
    Case(
        "a name in a list that no frame has",
        _lists(train="four", val=["images/gone.png"]),
        "refused",
        ("transforms.json", "gone.png", "Take them out"),
    ),
    Case(
        "depth maps, for some or all",
        _first(depth_file_path="depth/00.png"),
        "not looked at",
        expected=lambda capture: "depth_file_path" not in capture.meta["frames"][0],
    ),
    Case(
        "applied_transform of 3 or 4 rows",
        _set(applied_transform=np.eye(4).tolist()),
        "as nerfstudio",
        expected=lambda capture: len(capture.meta["applied_transform"]) == 3,
    ),
    Case("applied_transform of anything else", _set(applied_transform=[1]), "refused", ("applied_transform", "rows")),
    Case(
        "applied_transform of zeros, or flat",
        _set(applied_transform=np.zeros((3, 4)).tolist()),
        "refused",
        ("applied_transform", "no rotation", "take it out"),
    ),
]  # fmt: skip

TRAINING_MASKS = [
    Case("mask_path in every frame", _some_masks(VIEWS), "training looks where they are white"),
    Case("of another size, but the same shape", _some_masks(VIEWS, (2 * WIDTH, 2 * HEIGHT)), "scaled"),
    Case("of another shape", _some_masks(VIEWS, (WIDTH, WIDTH)), "refused", ("masks/00.png", "of another shape")),
    Case("in some frames", _some_masks(3), "refused", ("transforms.json", "3 of 6", "give all of them one")),
    Case("without files", _some_masks(VIEWS, write_them=False), "refused", ("masks/00.png", "missing", "Restore")),
]  # fmt: skip


# --- masks of the object ------------------------------------------------------------------------------------------


def _object_masks(
    make: Callable[[Image.Image], Image.Image] = lambda mask: mask,
    name: str = "{stem}.png",
    leave_out: tuple[int, ...] = (),
    **options: Any,
) -> Callable[[Path, Meta], object]:
    def change(folder: Path, meta: Meta) -> None:
        for view, frame in enumerate(meta["frames"]):
            photograph = Path(frame["file_path"])
            path = folder / "object_masks" / name.format(stem=photograph.stem, name=photograph.name, parent="images")
            path.parent.mkdir(parents=True, exist_ok=True)
            mask = Image.new("L", (WIDTH, HEIGHT))
            mask.paste(255, (6, 4, 18, 12))
            if view not in leave_out:
                make(mask).save(path, **options)

    return change


def _rig(masks: Callable[[str, str], str | None]) -> Callable[[Path, Meta], object]:
    """Photographs a/0.png ... and b/0.png ..., with masks where `masks` says."""

    def change(folder: Path, meta: Meta) -> None:
        for view, frame in enumerate(meta["frames"]):
            camera, name = "ab"[view % 2], f"{view // 2}.png"
            path = folder / "images" / camera / name
            path.parent.mkdir(exist_ok=True)
            (folder / frame["file_path"]).rename(path)
            frame["file_path"] = f"images/{camera}/{name}"
            place = masks(camera, name)
            if place is not None:
                mask = folder / "object_masks" / place
                mask.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (WIDTH, HEIGHT), 255).save(mask)

    return change


def _labels(mask: Image.Image) -> Image.Image:
    return Image.fromarray((np.asarray(mask) > 0).astype(np.uint8))


def _colored_labels(mask: Image.Image) -> Image.Image:
    """A dark red, as in PASCAL VOC and DAVIS."""
    labels = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8)).convert("L")
    labels.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
    return labels


def _cut_out(mask: Image.Image) -> Image.Image:
    cut = noise().convert("RGBA")
    cut.putalpha(mask)
    return cut


OBJECT_MASKS = [
    Case("grey, white on black", _object_masks(), "white is the object"),
    Case("in colours, white on black", _object_masks(lambda mask: mask.convert("RGB")), "white is the object"),
    Case("with alpha: a cut-out", _object_masks(_cut_out), "what is not transparent is the object"),
    Case("soft, JPEG", _object_masks(name="{stem}.jpg", quality=60), "from half of white on"),
    Case("labels 0 and 1", _object_masks(_labels), "1 is the object"),
    Case("labels in colours (palette)", _object_masks(_colored_labels), "all but 0 is the object"),
    Case("larger or smaller", _object_masks(lambda m: m.resize((2 * WIDTH, 2 * HEIGHT))), "scaled"),
    Case("NAME.jpg.png, NAME.png.png", _object_masks(name="{name}.png"), "found"),
    Case("a tree like the photographs'", _object_masks(name="images/{stem}.png"), "found"),
    Case("the same name in two folders, masks in a tree", _rig(lambda camera, name: f"{camera}/{name}"), "found"),
    Case(
        "the same name in two folders, masks in none",
        _rig(lambda camera, name: name if camera == "a" else None),
        "refused",
        ("0.png", "could be the mask of", "need folders of these names"),
    ),
    Case(
        "the same name in two folders, one without masks",
        _rig(lambda camera, name: f"a/{name}" if camera == "a" else None),
        "refused",
        ("b/0.png", "have no mask", "expected 0.png"),
    ),
    Case("some missing", _object_masks(leave_out=(2,)), "refused", ("02.png", "1 of 6", "have no mask")),
    Case(
        "of another shape",
        _object_masks(lambda mask: mask.resize((WIDTH, WIDTH))),
        "refused",
        ("00.png", f"{WIDTH} x {WIDTH}", f"{WIDTH} x {HEIGHT}", "Make it again"),
    ),
    Case(
        "the folder of the photographs",
        lambda folder, meta: (folder / "object_masks").symlink_to("images"),
        "refused, unless they are cut-outs",
        ("object_masks", "is a photograph of the capture", "the object is white"),
    ),
    Case(
        "no pictures (.npy, .json ...), or named in another way",
        lambda folder, meta: [
            (folder / "object_masks").mkdir(),
            (folder / "object_masks" / "00.npy").write_bytes(b""),
        ],
        "refused, and what is there is said",
        ("00.png", "6 of 6", "there is no picture, but .npy"),
    ),
    Case("all black", _object_masks(lambda mask: mask.point(lambda value: 0)), "refused", ("00.png", "are black")),
]  # fmt: skip


# --- points -------------------------------------------------------------------------------------------------------


def _points(
    count: int = 200, kind: str = "float", colors: bool = True, change: Callable[[np.ndarray], np.ndarray] = np.copy
) -> Callable[[Path, Meta], object]:
    """Within a ball around the origin, where the cameras look."""

    def write_points(folder: Path, meta: Meta) -> None:
        rows = change(np.random.default_rng(0).uniform(-0.3, 0.3, (count, 3)))
        head = f"ply\nformat ascii 1.0\nelement vertex {count}\n"
        head += "".join(f"property {kind} {axis}\n" for axis in "xyz")
        head += "".join(f"property uchar {color}\n" for color in ("red", "green", "blue") if colors) + "end_header\n"
        lines = [" ".join(map(repr, [*row, *[7] * (3 * colors)])) for row in rows.tolist()]
        (folder / "points.ply").write_text(head + "\n".join(lines) + "\n")
        meta["ply_file_path"] = "points.ply"

    return write_points


def _and(*changes: Callable[[Path, Meta], object]) -> Callable[[Path, Meta], object]:
    return lambda folder, meta: [change(folder, meta) for change in changes]


def _nowhere(rows: np.ndarray) -> np.ndarray:
    rows[3:6] = [[np.nan, 0, 0], [np.inf, 0, 0], [0, 1e30, 0]]
    return rows


FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
POINTS = [
    Case(
        "a .ply of COLMAP, Open3D, MeshLab, Metashape, Polycam, of floats or doubles, of Gaussians",
        _points(kind="double"),
        "places and colours are taken",
        expected=lambda cloud: len(cloud.points) == 200 and cloud.colors is not None and not cloud.note,
    ),
    Case("no colours", _points(colors=False), "grey to begin with", expected=lambda cloud: cloud.colors is None),
    Case(
        "points that lie nowhere (NaN, infinite)",
        _points(change=_nowhere),
        "left out, and said",
        expected=lambda cloud: len(cloud.points) == 197 and "3 of the 200 points" in cloud.note,
    ),
    Case(
        "fewer than 32 points, or none",
        _points(count=1),
        "points are drawn where the cameras look; said: the scene will be worse",
        expected=lambda cloud: not cloud.is_enough and "starts from random points" in cloud.note,
    ),
    Case(
        "a name without a file",
        _set(ply_file_path="gone.ply"),
        "refused",
        ("gone.ply", "is missing", "take ply_file_path out"),
    ),
    Case(
        "no point cloud (.las, COLMAP's points3D.txt ...)",
        lambda folder, meta: [_points()(folder, meta), (folder / "points.ply").write_bytes(b"nothing")],
        "refused",
        ("points.ply", "is not a .ply file", "save that as a .ply, or take ply_file_path out"),
    ),
    Case(
        "cameras that do not look at the points: OpenCV's axes, world to camera",
        _and(_points(), _matrices(lambda matrix: matrix @ FLIP)),
        "refused, if nearly all points would be seen by another reading of the poses, which is named",
        ("points.ply", "0% of them lie before one", "OpenCV's", "second and third column"),
    ),
]  # fmt: skip


# --- what is no capture -------------------------------------------------------------------------------------------


def _instead(*files: str, photographs: bool = True) -> Callable[[Path, Meta], object]:
    """Only the photographs, and these files; without a transforms.json."""

    def change(folder: Path, meta: Meta) -> str:
        if not photographs:
            shutil.rmtree(folder / "images")
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"")
        return NONE

    return change


def _one_deeper(folder: Path, meta: Meta) -> str:
    (folder / "scan").mkdir()
    write(folder / "scan", meta)
    return NONE


FOLDERS = [
    Case("photographs alone", _instead(), "refused: what makes a capture of them", ("ns-process-data images --data",)),
    Case("a film", _instead("a.MOV", photographs=False), "refused, likewise", ("ns-process-data video", "a.MOV")),
    Case("Polycam's raw data", _instead("keyframes/cameras/1.json"), "refused, likewise", ("ns-process-data polycam",)),
    Case("Record3D's", _instead("EXR_RGBD/metadata.json"), "refused, likewise", ("record3d", "EXR_RGBD")),
    Case("Metashape's cameras", _instead("cameras.xml"), "refused, likewise", ("metashape --xml", "cameras.xml")),
    Case("COLMAP's", _instead("sparse/0/cameras.txt"), "refused: what to add", ("colmap --colmap-path sparse/0",)),
    Case("Blender's synthetic scenes", _instead("transforms_train.json"), "refused: what to add", ("`blender-data`",)),
    Case("a capture one folder deeper", _one_deeper, "refused: where it is", ("scan/transforms.json",)),
    Case(
        "the folder of another trainer of Gaussians",
        _instead("point_cloud/iteration_7000/point_cloud.ply", "point_cloud/iteration_30000/point_cloud.ply"),
        "refused: how its scene is given",
        ("--load-ply", "iteration_30000/point_cloud.ply"),
    ),
    Case("its file under another name", _instead("Transforms.json"), "refused: what to give", ("Transforms.json",)),
    Case("nothing of these", _instead(photographs=False), "refused", ("Give --data a folder", "ns-process-data")),
]  # fmt: skip


# --- scenes -------------------------------------------------------------------------------------------------------


def _scene(name: str = "scene.ply", change: Callable[[dict[str, np.ndarray]], object] = len):
    """Ten Gaussians; `change` of the columns of the .ply."""

    def write_scene(folder: Path, meta: Meta) -> None:
        draw = np.random.default_rng(0)
        names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2"]
        columns = {column: draw.normal(size=10) for column in [*names, *(f"rot_{i}" for i in range(4))]}
        change(columns)
        head = "ply\nformat binary_little_endian 1.0\nelement vertex 10\n"
        head += "".join(f"property float {column}\n" for column in columns) + "end_header\n"
        (folder / name).write_bytes(head.encode() + np.stack([*columns.values()], axis=1).astype("<f4").tobytes())

    return write_scene


def _file(name: str, content: bytes) -> Callable[[Path, Meta], object]:
    return lambda folder, meta: (folder / name).write_bytes(content)


def _read(folder: Path) -> Any:
    (path,) = folder.glob("scene*")
    return read_scene(path)


def _of(given: str, change: Callable[[Path, Meta], object], then: str, *said: str, **more: Any) -> Case:
    return Case(given, change, then, said, looked_at=_read, **more)


SCENES = [
    _of(".ply of 3DGS and all that write it so (ns-export, Postshot, Scaniverse, Brush ...)", _scene(), "as it is"),
    _of("the same as ascii, big endian, doubles; with normals, labels, comments", _scene(), "as it is"),
    _of(
        "colours as red, green, blue in place of f_dc",
        _scene(change=lambda c: c.update({n: 0 * c.pop(f"f_dc_{i}") for i, n in enumerate(("red", "green", "blue"))})),
        "as it is",
        expected=lambda scene: bool((scene.sh_dc < -1.7).all()),
    ),
    _of(
        "2DGS: two scales",
        _scene(change=lambda columns: columns.pop("scale_2")),
        "flat Gaussians",
        expected=lambda scene: bool((scene.log_scales[:, 2] == -20).all()),
    ),
    _of(
        "Mip-Splatting: filter_3D",
        _scene(change=lambda columns: columns.update(filter_3D=np.ones(10))),
        "widened and fainter by it, as its own export does",
        expected=lambda scene: bool((scene.scales >= 1).all()),
    ),
    _of(
        "opacities of plus or minus infinity, scales of minus infinity",
        _scene(change=lambda columns: columns.update(opacity=np.full(10, np.inf), scale_1=np.full(10, -np.inf))),
        "opaque, unseen, flat",
        expected=lambda scene: bool((scene.opacities > 0.9999).all() and (scene.scales[:, 1] < 1e-6).all()),
    ),
    _of(
        "NaN, other infinite values",
        _scene(change=lambda columns: columns.update(x=np.full(10, np.nan))),
        "refused; --drop-invalid True leaves those rows out",
        *("scene.ply", "10 of 10 Gaussians have NaN", "export the scene again"),
    ),
    _of(
        "Scaffold-GS and others whose Gaussians a network makes",
        _scene(change=lambda columns: [columns.pop(f"f_dc_{channel}") for channel in range(3)]),
        "refused",
        *("scene.ply", "it lacks f_dc_0"),
    ),
    _of("a mesh, a point cloud", _file("scene.ply", b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\n"
        b"end_header\n0\n"), "refused", "scene.ply", "a point cloud or mesh"),
    _of("compressed .ply (SuperSplat); .spz of versions 1 to 3; .sog; .splat", _file("scene.splat", bytes(range(64))),
        "unpacked", expected=lambda scene: len(scene) == 2),
    _of(
        ".spz of version 4",
        _file("scene.spz", b"NGSP\4\0\0\0" + bytes(60)),
        "unpacked, if the extra `spz` is installed",
        "scene.spz",
    ),
    _of(
        ".ksplat, .glb, .usdz and others",
        _file("scene.ksplat", bytes(64)),
        "refused, with what converts it",
        *("scene.ksplat", "splat-transform"),
    ),
    _of("one kind under the name of another", _scene("scene.splat"), "refused", "scene.splat", "name it scene.ply"),
    _of("a folder", lambda folder, meta: [(folder / "scene").mkdir(), _scene("scene/a.ply")(folder, meta)],
        "refused: which file in it", "is a folder", "scene/a.ply"),
    _of("cut short", _file("scene.splat", bytes(40)), "refused", "scene.splat", "40 bytes", "copy or export it again"),
]  # fmt: skip

TABLES = {
    "Photographs": PHOTOGRAPHS,
    "Cameras": CAMERAS,
    "transforms.json": LISTS,
    "Masks of what to train on": TRAINING_MASKS,
    "Masks of the object": OBJECT_MASKS,
    "Points that a reconstruction starts from": POINTS,
    "Folders that are no capture": FOLDERS,
    "Scenes (--load-ply)": SCENES,
}


def made(case: Case, folder: Path) -> Path:
    """Write the capture of a case."""
    meta = json.loads(json.dumps(small_capture(folder)))
    if case.change(folder, meta) == NONE:
        (folder / "transforms.json").unlink()
    else:
        write(folder, meta)
    return folder


def checked(folder: Path) -> Any:
    """All that is checked of a capture, and of its masks of the object, if it has any; its points, if it has some."""
    capture = check_capture(folder, read_pixels=False)
    if (folder / "object_masks").is_dir():
        masks = masks_of(folder / "object_masks", capture.photographs)
        check_masks(masks, [(frame["w"], frame["h"]) for frame in capture.meta["frames"]], capture.turns)
        check_some_white(masks)
    if "ply_file_path" in capture.meta:
        path = Path(capture.meta["ply_file_path"])
        cloud = read_cloud(path)
        if cloud.is_enough:
            check_poses_see(cloud.points.numpy(), capture.meta, path)
        return cloud
    return capture


def document() -> str:
    """docs/captures.md."""
    lines = [
        "# What a capture may be",
        "",
        "All of it is asked from `transforms.json`, the headers of photographs and the points, before anything is",
        "computed: a second for a thousand photographs. What is refused is told in a sentence that names the file, the",
        "reason and what to do. `python -m tests.captures.table` writes this page, from the table that the tests try.",
    ]
    for title, cases in TABLES.items():
        lines += ["", f"## {title}", "", "| given | then |", "|---|---|"]
        lines += [f"| {case.given} | {case.then} |" for case in cases]
    lines += [
        "",
        "Camera paths of `ns-render camera-path` may be those of a pinhole, a fisheye or a panorama; others, such as",
        "stereo pairs, are refused (`tests/plugin/test_lenses.py`).",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf8")
