"""What both baselines train on: the quick preset's images, labels and start weights, in memory."""

from pathlib import Path

from safetensors.numpy import load_file

from compare.cells.settings import PRESETS
from compare.data import Stream, load, split

SETTINGS = PRESETS["quick"]
WEIGHTS = Path(__file__).parent.parent / "compare" / "weights" / "pretext" / "resnet50.safetensors"


def stream():
    """The quick preset's batches."""
    data = load("elpv")
    train, val = split(data, 0, SETTINGS.images)
    return Stream(data, train, val, SETTINGS.image_size, SETTINGS.batch_size, 0, "caffe")


def start_arrays():
    """The shipped backbone weights."""
    return load_file(WEIGHTS)
