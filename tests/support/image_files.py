"""Folders of small images for the tests of compare.data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def pattern(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """A smooth random RGB image, which survives JPEG compression."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def write_images(folder: Path, count: int, first_seed: int = 0, suffix: str = ".jpg") -> None:
    """Write ``count`` different images into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pattern(first_seed + number).save(folder / f"{number:03}{suffix}")


def two_classes(root: Path, cats: int = 12, dogs: int = 8) -> Path:
    """A folder of cats and, rarer, dogs."""
    write_images(root / "cats", cats)
    write_images(root / "dogs", dogs, 1000)
    return root
