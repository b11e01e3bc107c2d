"""The photographs that the `pretext` weights learn from, and crops of them in any quarter turn.

Held out are places: every photograph is ruled into squares of 32 pixels, and no training crop has its centre in one
of every four. A held-out crop has its centre there. Training crops from beside it may overlap it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_image

PUBLIC_DOMAIN = "public domain or no known copyright restrictions"
# name -> licence, as scikit-image and scikit-learn state it; photographs without a stated one aren't used
LICENCES = {
    "astronaut": PUBLIC_DOMAIN,
    "brick": "CC0",
    "camera": "CC0",
    "cell": "CC0",
    "chelsea": "CC0",
    "clock": PUBLIC_DOMAIN,
    "coffee": "CC0",
    "coins": PUBLIC_DOMAIN,
    "grass": "CC0",
    "gravel": "CC0",
    "hubble_deep_field": PUBLIC_DOMAIN,
    "immunohistochemistry": PUBLIC_DOMAIN,
    "retina": "CC0",
    "rocket": PUBLIC_DOMAIN,
    "text": PUBLIC_DOMAIN,
    "china.jpg": "CC BY 2.0, by danielbuechele",
    "flower.jpg": "CC BY 2.0, by vultilion",
}
TURNS = 4
LONGEST = 640  # pixels; larger photographs are reduced, or their crops would show next to nothing
SQUARE = 32  # pixels
WINDOW = (96, 172)  # side of a crop in the photograph's pixels; the narrowest is 172 high


@dataclass(frozen=True)
class Crops:
    """Crops with what is to be told of them.

    Attributes:
        images: uint8 ``(n, size, size, 3)``, RGB.
        photos: int64 ``(n,)``, index of the photograph.
        turns: int64 ``(n,)``, quarter turns anticlockwise, 0 to 3.
    """

    images: np.ndarray
    photos: np.ndarray
    turns: np.ndarray


def photographs() -> list[np.ndarray]:
    """Load every photograph as uint8 ``(h, w, 3)``, RGB, from the two packages themselves (no download)."""
    return [_load(name) for name in LICENCES]


def _load(name: str) -> np.ndarray:
    pixels = load_sample_image(name) if name.endswith(".jpg") else getattr(skimage.data, name)()
    image = Image.fromarray(pixels).convert("RGB")
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return np.asarray(image)


def crops(photos: list[np.ndarray], n: int, size: int, rng: np.random.Generator, held_out: bool) -> Crops:
    """Draw ``n`` crops, each photograph and each turn alike often (to within one)."""
    order = rng.permutation(n)
    which, turns = order % len(photos), (order // len(photos)) % TURNS
    images = np.empty((n, size, size, 3), np.uint8)
    for index in range(n):
        images[index] = np.rot90(_crop(photos[which[index]], size, rng, held_out), turns[index])
    return Crops(images, which, turns)


def _crop(photo: np.ndarray, size: int, rng: np.random.Generator, held_out: bool) -> np.ndarray:
    window = int(rng.integers(WINDOW[0], WINDOW[1] + 1))
    while True:  # a quarter of the places is held out, so this ends soon
        y, x = (int(rng.integers(side - window + 1)) for side in photo.shape[:2])
        row, column = (y + window // 2) // SQUARE, (x + window // 2) // SQUARE
        if ((row + 2 * column) % 4 == 0) == held_out:
            break
    crop = photo[y : y + window, x : x + window]
    return np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.BILINEAR))
