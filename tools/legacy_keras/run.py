"""Make the environments of the old Keras releases and record what they do.

    python tools/legacy_keras/run.py semantics|training|resnet50 [RELEASE ...] [--home DIR]

Needs uv (https://docs.astral.sh/uv/) and, for Python 3.6, an interpreter that it finds (pyenv's, say). The environments
go to DIR, ``~/.cache/compare-legacy`` where it isn't given: 4 GB, outside the checkout.
"""

import argparse
import datetime
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SEMANTICS, TRAINING = (
    ROOT / "compare" / "semantics" / "records",
    ROOT / "tests" / "support" / "legacy_records",
)

OLDEST = (
    "tensorflow==1.4.1", "numpy==1.16.6", "h5py==2.10.0", "protobuf==3.19.6", "scipy==1.2.3", "pyyaml==6.0.1",
    "pillow==8.4.0", "setuptools==59.6.0",
)  # fmt: skip
OLD = (
    "numpy==1.18.5", "h5py==2.10.0", "protobuf==3.20.3", "scipy==1.4.1", "Keras-Applications==1.0.8",
    "Keras-Preprocessing==1.1.2", "pyyaml==6.0.1",
)  # fmt: skip
ENVIRONMENTS = {  # name -> (Python, packages)
    "tensorflow-1.4": ("3.6", OLDEST),
    "tensorflow-1.15": ("3.7", ("tensorflow==1.15.5", *OLD)),
    "tensorflow-2.0": ("3.7", ("tensorflow==2.0.4", *OLD)),
    "tensorflow-2.21": ("3.11", ("tensorflow==2.21.0", "tf-keras==2.21.0")),
}


@dataclass(frozen=True)
class Release:
    """One Keras: the module that it is, the environment that it runs in, and its own version where it is a guest."""

    module: str
    environment: str
    version: str | None = None


RELEASES = {
    **{f"keras-{v}": Release("keras", "tensorflow-1.4", v) for v in ("1.2.2", "2.0.0", "2.0.9")},
    **{f"keras-{v}": Release("keras", "tensorflow-1.4", v) for v in ("2.1.2", "2.1.3", "2.1.6")},
    **{f"keras-{v}": Release("keras", "tensorflow-1.15", v) for v in ("2.2.4", "2.3.1")},
    "tf.keras-1.15": Release("tensorflow.keras", "tensorflow-1.15"),
    "tf.keras-2.0": Release("tensorflow.keras", "tensorflow-2.0"),
    "tf-keras-2.21": Release("tf_keras", "tensorflow-2.21"),
}

FROZEN = "layer.trainable = False"
THAWED = "layer.trainable = False before compile, True after it"
BN_TRAINABLE = "layer.trainable = isinstance(layer, BatchNormalization)"
CALLED = "layer(x, training=False); layer.trainable = False"
LATER = {
    "frozen-batch-stats": FROZEN,
    "frozen-drifting": THAWED,
    "frozen": CALLED,
    "bn-trainable": BN_TRAINABLE,
}
NESTED = "base.trainable = False; then layer.trainable = isinstance(layer, BatchNormalization)"
POLICIES = {  # release -> policy -> how that release spells it
    "keras-2.1.2": {"frozen-drifting": FROZEN, "frozen": CALLED, "bn-trainable": BN_TRAINABLE},
    **dict.fromkeys(("keras-2.1.3", "keras-2.2.4", "keras-2.3.1"), LATER),
    "tf.keras-1.15": {"frozen-batch-stats": FROZEN, "frozen": CALLED, "bn-trainable": BN_TRAINABLE},
    "tf.keras-2.0": {"frozen-batch-stats": NESTED, "frozen": FROZEN, "bn-trainable": BN_TRAINABLE},
}


def prepare(release: Release, home: Path) -> tuple[Path, Path | None]:
    """Make a release's environment where it isn't there; return its interpreter and the folder of its Keras."""
    python, packages = ENVIRONMENTS[release.environment]
    interpreter = home / release.environment / "bin" / "python"
    if not interpreter.exists():
        _uv("venv", "--python", python, home / release.environment)
        _uv("pip", "install", "--python", interpreter, *packages)
    if release.version is None:
        return interpreter, None
    folder = home / f"keras-{release.version}"
    if not folder.exists():
        guest = ("--no-deps", "--target", folder, f"keras=={release.version}")
        _uv("pip", "install", "--python", interpreter, *guest)
    return interpreter, folder


def execute(name: str, home: Path, script: str, *arguments: object) -> str:
    """Run one of this folder's scripts under a release; return what it printed."""
    interpreter, folder = prepare(RELEASES[name], home)
    environment = {
        **os.environ,
        "HOME": str(home),  # where Keras keeps its configuration
        "PYTHONPATH": str(folder or ""),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "OMP_NUM_THREADS": "1",
    }
    command = [interpreter, "-W", "ignore", HERE / script, RELEASES[name].module, *arguments]
    run = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{name}: {script} failed:\n{run.stderr[-2000:]}")
    return run.stdout


def semantics(name: str, home: Path) -> None:
    """Record what batch normalisation does in a release."""
    found = json.loads(execute(name, home, "probe.py"))
    record = {
        "release": name,
        "packages": found["packages"],
        "date": datetime.date.today().isoformat(),
        "adam_epsilon": found["adam_epsilon"],
        "rows": found["rows"],
    }
    SEMANTICS.mkdir(parents=True, exist_ok=True)
    (SEMANTICS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {len(record['rows'])} rows")


def training(name: str, home: Path) -> None:
    """Record twenty steps of a small network under every policy that a release can spell."""
    if name not in POLICIES:
        return
    TRAINING.mkdir(parents=True, exist_ok=True)
    spelled = [f"{policy}={spelling}" for policy, spelling in POLICIES[name].items()]
    path = TRAINING / f"training-{name}.npz"
    found = execute(name, home, "training.py", path, *spelled)
    print(f"{name}: {path.stat().st_size / 1000:.0f} kB, {found}")


def resnet50(name: str, home: Path) -> None:
    """Record what a release's own ResNet50 makes of an image."""
    path = TRAINING / f"resnet50-{name}.npz"
    found = execute(name, home, "resnet50.py", path)
    print(f"{name}: {path.stat().st_size / 1000:.0f} kB, {found}")


def _uv(*arguments: object) -> None:
    subprocess.run(["uv", *map(str, arguments), "--quiet"], check=True)


def main() -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("semantics", "training", "resnet50"))
    parser.add_argument("releases", nargs="*", default=list(RELEASES), metavar="RELEASE")
    parser.add_argument("--home", type=Path, default=Path.home() / ".cache" / "compare-legacy")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.releases) - RELEASES.keys())
    if unknown:
        parser.error(f"unknown release {unknown[0]}: it can be {', '.join(RELEASES)}")
    for name in arguments.releases:
        globals()[arguments.what](name, arguments.home)


if __name__ == "__main__":
    main()
