"""Style pictures: any kind of file, upright, small, kept to the bit; or one clear error."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from fasttext2style.captures import style_pictures
from fasttext2style.captures.photographs import ORIENTATION_TAG, TURNS
from fasttext2style.captures.style_pictures import KEPT_SIDE, read_style_picture, style_picture_of, wish_of

RED, BLUE = (255, 0, 0), (0, 0, 255)


def left_red_right_blue(width: int = 8, height: int = 4) -> Image.Image:
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        *[("1", it) for it in ("png", "tif", "bmp")],
        *[("L", it) for it in ("png", "jpg", "tif")],
        *[("P", "png"), ("P", "gif"), ("LA", "png"), ("PA", "tif"), ("RGBA", "png"), ("RGBA", "webp"), ("CMYK", "jpg")],
        *[("CMYK", "tif"), ("YCbCr", "tif"), ("RGB", "jpg"), ("RGB", "webp"), ("I;16", "png"), ("RGBX", "tif")],
    ],
)
def test_every_mode_becomes_colours_and_alpha(tmp_path, mode, ending):
    grey = mode in ("1", "L", "LA", "I;16")
    image = left_red_right_blue()
    if mode == "I;16":
        values = np.zeros((4, 8), np.uint16)
        values[:, :4] = 65535
        image = Image.fromarray(values)
    elif grey:
        image = Image.new("L", (8, 4), 0)
        image.paste(255, (0, 0, 4, 4))
        image = image.convert(mode)
    elif mode == "PA":
        image = image.convert("P").convert("PA")
    else:
        image = image.convert(mode)
    path = tmp_path / f"style.{ending}"
    image.save(path, **({"quality": 95} if ending == "jpg" else {}))
    picture = read_style_picture(path)
    assert picture.pixels.shape == (4, 8, 4) and picture.pixels.dtype == np.uint8
    assert (picture.pixels[..., 3] == 255).all()
    left, right = picture.pixels[1:3, 1, :3].mean(0), picture.pixels[1:3, 6, :3].mean(0)
    wanted = ((255, 255, 255), (0, 0, 0)) if grey else (RED, BLUE)
    # JPEG and printing inks are not exact.
    assert np.abs(left - wanted[0]).max() < 40 and np.abs(right - wanted[1]).max() < 40


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_modes_without_a_white_are_refused(tmp_path, mode):
    path = tmp_path / "style.tif"
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(ValueError, match=f"mode {mode}"):
        read_style_picture(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_picture_is_taken_as_a_viewer_shows_it(tmp_path, orientation, ending):
    upright = Image.new("RGB", (12, 20), BLUE)
    upright.paste(RED, (0, 0, 6, 10))  # red above on the left
    back = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    stored = upright.transpose(TURNS[back]) if back in TURNS else upright
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = tmp_path / f"style.{ending}"
    stored.save(path, exif=exif, **({"quality": 95, "subsampling": 0} if ending == "jpg" else {}))
    pixels = read_style_picture(path).pixels.astype(int)
    assert pixels.shape == (20, 12, 4)
    assert pixels[3, 2, 0] > 200 and (pixels[[3, 16, 16], [9, 2, 9], 2] > 200).all()


def test_transparency_stays(tmp_path):
    image = Image.new("RGBA", (6, 6), (*RED, 255))
    image.paste((0, 255, 0, 0), (3, 0, 6, 6))
    image.save(tmp_path / "style.png")
    alphas = read_style_picture(tmp_path / "style.png").pixels[..., 3]
    assert (alphas[:, :3] == 255).all() and (alphas[:, 3:] == 0).all()
    Image.new("RGBA", (6, 6), (*RED, 0)).save(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match="wholly transparent"):
        read_style_picture(tmp_path / "nothing.png")


@pytest.mark.parametrize(
    ("size", "kept"), [((1, 1), (1, 1)), ((1500, 300), (512, 102)), ((3, 6000), (1, 512)), ((512, 512), (512, 512))]
)
def test_what_is_kept_is_small_and_read_again_the_same_to_the_bit(tmp_path, size, kept):
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 4), np.uint8)
    noise[..., 3] |= 1
    Image.fromarray(noise).save(tmp_path / "style.png")
    picture = read_style_picture(tmp_path / "style.png")
    assert picture.pixels.shape[1::-1] == kept and max(kept) <= KEPT_SIDE
    (tmp_path / "kept.png").write_bytes(picture.png)
    again = read_style_picture(tmp_path / "kept.png")
    assert np.array_equal(again.pixels, picture.pixels) and again.png == picture.png


def test_a_picture_with_too_many_pixels_is_refused_before_they_are_read(tmp_path, monkeypatch):
    Image.new("L", (9000, 9000)).save(tmp_path / "large.png")
    monkeypatch.setattr(style_pictures, "_pixels", lambda image: pytest.fail("read"))
    with pytest.raises(ValueError, match="more than 50,000,000 pixels: scale it down"):
        read_style_picture(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)  # Pillow refuses what has more than twice as many
    with pytest.raises(ValueError, match="more than 50,000,000 pixels: scale it down"):
        read_style_picture(tmp_path / "large.png")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("style.png", b"", "an empty file: copy it again"),
        ("style.txt", b"a bear of gold", "no picture that can be read"),
        ("style.heic", b"\0\0\0 ftypheic", "save it as JPEG"),
        ("style.exr", b"\x76\x2f\x31\x01", "tone-map it"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said) as refused:
        read_style_picture(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value)
    with pytest.raises(ValueError, match=said):
        style_picture_of(content, name)


def test_a_picture_that_is_cut_short_is_refused_in_words(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, format="PNG")
    for end in (20, 100, len(buffer.getvalue()) // 2):
        with pytest.raises(ValueError, match=r"The style picture cut\.png cannot be read"):
            style_picture_of(buffer.getvalue()[:end], "cut.png")


def test_folders_pipes_and_nothing_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "no.png", "does not exist"),
        (tmp_path / "pipe.png", "pipe"),
    ):
        with pytest.raises(ValueError, match=said):
            read_style_picture(path)


@pytest.mark.parametrize("name", ["../../etc/gold.png", "C:\\pictures\\gold.png", "gold.png"])
def test_a_name_from_elsewhere_is_a_name_and_no_path(name):
    buffer = io.BytesIO()
    left_red_right_blue().save(buffer, format="PNG")
    picture = style_picture_of(buffer.getvalue(), name)
    assert picture.name == "gold.png" and wish_of("", picture.name) == "the picture gold"
