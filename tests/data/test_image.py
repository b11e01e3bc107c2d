"""Reading one image file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compare.data.image import check_image, read_image, reason
from tests.support.image_files import pattern


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("suffix", "options", "tolerance"),
    [
        (".png", {}, 0),
        (".bmp", {}, 0),
        (".webp", {"lossless": True}, 0),
        (".tif", {}, 0),
        (".jpg", {"quality": 100, "subsampling": 0}, 3),
    ],
)
def test_formats_give_the_same_rgb(tmp_path, suffix, options, tolerance):
    original = pattern(1)
    read = read_image(saved(tmp_path / f"x{suffix}", original, **options), 20)
    wanted = np.asarray(original.resize((20, 20), Image.Resampling.BILINEAR))
    assert (read.shape, read.dtype) == ((20, 20, 3), np.uint8)
    assert np.abs(read.astype(int) - wanted).max() <= tolerance


@pytest.mark.parametrize(("suffix", "tolerance"), [(".gif", 60), (".webp", 3), (".tiff", 0), (".png", 0)])
def test_of_several_frames_the_first_is_the_image(tmp_path, suffix, tolerance):
    first, second = pattern(1), pattern(2)
    options = {"quality": 100} if suffix == ".webp" else {}
    path = saved(tmp_path / f"x{suffix}", first, save_all=True, append_images=[second], **options)
    wanted = np.asarray(first.resize((20, 20), Image.Resampling.BILINEAR))
    assert np.abs(read_image(path, 20).astype(int) - wanted).mean() <= tolerance
    check_image(path.read_bytes())


def test_print_colours_become_screen_colours(tmp_path):
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    read = read_image(saved(tmp_path / "x.jpg", red, quality=100), 8)
    assert np.abs(read.astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_32_bits_are_refused_in_words(tmp_path, dtype):
    path = saved(tmp_path / "x.tif", Image.fromarray(np.full((8, 8), 1000, dtype)))
    with pytest.raises(ValueError, match="pixels of 32 bits") as caught:
        read_image(path, 8)
    assert "8 or 16" in reason(caught.value)
    with pytest.raises(ValueError, match="pixels of 32 bits"):
        check_image(path.read_bytes())


def test_resize_is_antialiased(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    read = read_image(saved(tmp_path / "x.png", Image.fromarray(stripes)), 8)
    assert np.abs(read[:, 1:-1].astype(int) - 127).max() <= 2


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = pattern(2).convert("L")
    read = read_image(saved(tmp_path / "x.png", grey), 16)
    wanted = np.asarray(grey.resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(read, np.repeat(wanted[:, :, None], 3, 2))


def test_16_bit_grey_is_scaled_not_clipped(tmp_path):
    values = np.maximum(np.arange(256) * 257 - 100, 0).reshape(16, 16).astype(np.uint16)
    read = read_image(saved(tmp_path / "x.png", Image.fromarray(values)), 16)
    np.testing.assert_array_equal(read[:, :, 0].ravel(), np.arange(256))


def test_16_bit_grey_of_a_pgm_is_scaled_as_well(tmp_path):
    grey = np.array([[0, 257 * 7], [65535, 257 * 200]], np.int32)
    Image.fromarray(grey).save(tmp_path / "a.pgm")
    check_image((tmp_path / "a.pgm").read_bytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm", 2)[..., 0], [[0, 7], [255, 200]])


def test_16_bit_grey_with_a_transparent_value_lies_on_white(tmp_path):
    values = np.full((8, 8), 1000, np.uint16)
    values[:4] = 300
    read = read_image(saved(tmp_path / "x.png", Image.fromarray(values), transparency=1000), 8)
    assert read[0].max() == 1
    assert read[7].min() == 255


def test_palette(tmp_path):
    image = pattern(3).quantize(16)
    read = read_image(saved(tmp_path / "x.png", image), 20)
    wanted = image.convert("RGB").resize((20, 20), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(read, np.asarray(wanted))


def test_palette_with_a_transparent_entry_lies_on_white(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(1, (0, 0, 8, 4))
    read = read_image(saved(tmp_path / "x.png", image, transparency=0), 8)
    assert read[0, 0].tolist() == [200, 0, 0]
    assert read[7, 7].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_alpha_is_composited_on_white(tmp_path, suffix):
    image = Image.new("RGBA", (8, 8), (100, 0, 200, 51))  # alpha 0.2
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    read = read_image(saved(tmp_path / f"x{suffix}", image, **options), 8)
    assert np.abs(read[4, 4].astype(int) - [224, 204, 244]).max() <= 1


def test_grey_with_alpha(tmp_path):
    read = read_image(saved(tmp_path / "x.png", Image.new("LA", (8, 8), (0, 51))), 8)
    assert np.abs(read.astype(int) - 204).max() <= 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_orientation_is_honoured(tmp_path, suffix):
    upright = Image.new("RGB", (32, 32), "black")
    upright.paste((255, 255, 255), (0, 0, 32, 16))  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise to show
    read = read_image(saved(tmp_path / f"x{suffix}", upright.rotate(90), exif=exif), 32)
    assert read[4].min() > 250
    assert read[28].max() < 5


def test_cmyk_jpeg(tmp_path):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red = read_image(saved(tmp_path / "x.jpg", image, quality=95), 8)[4, 4]
    assert np.abs(red.astype(int) - [255, 0, 0]).max() <= 8


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ],
)
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_truncated_files_fail_the_check(kind, options, share):
    buffer = BytesIO()
    pattern(4, 200, 170).save(buffer, kind, **options)
    content = buffer.getvalue()
    check_image(content)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # each of Pillow's decoders has kinds of its own
        check_image(content[: int(len(content) * share)])
    assert "\n" not in reason(caught.value)


def test_another_format_under_an_image_suffix_is_named_without_an_address():
    buffer = BytesIO()
    pattern(5).save(buffer, "TGA")
    with pytest.raises(OSError, match="cannot identify") as caught:
        check_image(buffer.getvalue())
    assert reason(caught.value) == "not a JPEG, PNG, BMP, WebP, GIF, TIFF or PPM image"
