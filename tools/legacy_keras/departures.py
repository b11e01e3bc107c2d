"""How far the emulated releases are from the recorded ones: the figures behind tests/*/test_releases.py.

python -m tools.legacy_keras.departures keras|torch
"""

import importlib
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.support import legacy
from tools.legacy_keras import given


def main() -> None:
    """Print the largest departure, relative to the series' largest value, of each record."""
    side = importlib.import_module(f"tests.{sys.argv[1]}.test_releases")
    for release, policy, optimizer in legacy.trainings():
        departures = side.train_as(release, policy, optimizer)
        series = max(departures, key=lambda name: departures[name])
        print(f"{release:14} {policy:19} {optimizer:5} {departures[series]:.1e} ({series})")
    for release, variant in legacy.STRUCTURES.items():
        features = side.features(variant, legacy.resnet50_arrays(release), given.image())
        print(
            f"{release:14} ResNet50 {variant:16} {legacy.departure(features, legacy.resnet50(release)[0]):.1e}"
        )


if __name__ == "__main__":
    main()
