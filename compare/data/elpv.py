"""The ELPV data set: 2,624 electroluminescence photographs of solar cells, 300 x 300, 8-bit grey.

Deitsch et al., "Automatic classification of defective photovoltaic module cells in electroluminescence
images", Solar Energy 185, 2019; Buerhop-Lutz et al., EU PVSEC 2018. The images come with the PyPI package
``elpv-dataset`` and are licensed CC BY-NC-SA 4.0: not for commercial use.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from compare.data.dataset import File, ImageData, assemble
from compare.spec import InputError

THRESHOLD = 0.5  # of the experts' probability that the cell is defective
# The 2,624 cells come from 44 solar modules, one after another, of some 60 cells each. Which cell is of which module
# isn't recorded. Neighbours have the same label in 80 % of cases (chance: 57 %), and cells of one module look alike.
CELLS_A_MODULE = 60


def load_elpv(positive: str | None = None, skip_unreadable: bool = False) -> ImageData:
    """Load the data set that the package ships: classes functional and, positive by default, defective.

    Raises:
        InputError: the package isn't installed, or its files can't be read.
    """
    spec = find_spec("elpv_dataset")  # finds the package without importing it
    if spec is None or spec.origin is None:
        raise InputError(
            "--data elpv: the package elpv-dataset isn't installed; "
            "pip install 'compare-bn[elpv]', or pass a folder of images"
        )
    root = Path(spec.origin).parent / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines()]
    files = [
        File(
            name, "defective" if float(probability) >= THRESHOLD else "functional", group=i // CELLS_A_MODULE
        )
        for i, (name, probability, _) in enumerate(rows)
    ]
    # The package's own files, checked by the installer against its hashes: only their bytes are read here.
    return assemble("elpv", root, files, positive, skip_unreadable, decode=False)
