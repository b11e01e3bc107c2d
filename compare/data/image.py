"""One image file: is it whole, and what are its pixels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
# pictures, too, which need other libraries, so that a class of them is not silently left out
UNREAD = (".heic", ".heif", ".avif", ".jp2", ".dng", ".nef", ".cr2", ".arw", ".psd", ".dcm")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")


def read_image(path: Path, size: int) -> np.ndarray:
    """Read an image file as a square RGB image; of several frames or pages the first.

    The EXIF orientation is honoured, transparency lies on white, and 16-bit grey is scaled to 8 bits:
    x / 257, rounded. (Of 16-bit colour Pillow hands over the high bytes only: x // 256.) The aspect
    ratio isn't kept.

    Returns:
        uint8 (size, size, 3), 0..255, resized with Pillow's antialiased BILINEAR.

    Raises:
        Exception: whatever Pillow raises for a file that it can't decode; ``reason`` says it in words.
    """
    with Image.open(path, formats=FORMATS) as image:
        _check_depth(image)
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(to_rgb(image).resize((size, size), Image.Resampling.BILINEAR))


def _check_depth(image: Image.Image) -> None:
    """Refuse pixels of 32 bits."""
    if image.mode in ("I", "F") and not _is_16_bits(image):
        raise ValueError("pixels of 32 bits, whose white nobody knows; it must be 8 or 16")


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to 8-bit RGB, transparency on white."""
    if _is_16_bits(image):
        image = to_8_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _is_16_bits(image: Image.Image) -> bool:
    """Whether pixels are grey of 16 bits; those of a .pgm Pillow scales to 0..65535 and calls ``I``."""
    return image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I")


def to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits: 65535 becomes 255. Pillow's own conversion clips at 255 instead."""
    values = np.asarray(image).astype(np.uint32)
    if "transparency" in image.info:
        values[values == image.info["transparency"]] = 65535
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def check_image(content: bytes) -> None:
    """Decode a file's bytes to the end, so that a truncated one or a broken EXIF block shows.

    Raises:
        Exception: whatever Pillow raises for bytes that it can't decode.
    """
    with Image.open(BytesIO(content), formats=FORMATS) as image:
        _check_depth(image)
        # A JPEG at 1/8 of its size is read to its last byte too, in a third of the time.
        image.draft(None, (image.width // 8, image.height // 8))
        ImageOps.exif_transpose(image, in_place=True)  # loads the pixels, as reading does


def reason(error: Exception) -> str:
    """Say in a few words, the same every time, why a file can't be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG, PNG, BMP, WebP, GIF, TIFF or PPM image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
