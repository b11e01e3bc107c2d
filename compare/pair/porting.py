"""Weights of the one model in the other's class: written as that framework's own file, and proved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from safetensors.numpy import load_file, save_file

from compare.files import sha256, write
from compare.frameworks import own
from compare.pair.asked import Asked, Report
from compare.pair.certificate import certificate
from compare.pair.ends import Pair, end
from compare.pair.kernels import in_its_dtype
from compare.pair.meeting import meet
from compare.pair.proof import check
from compare.spec import InputError

SUFFIXES = {"torch": (".safetensors", ".pth", ".pt"), "keras": (".keras", ".weights.h5")}
STEPS = 3


def port(asked: Asked, dest: Path, force: bool, report: Report) -> dict[str, Any]:
    """Move the source's weights into the other's class, and prove that both compute and train the same.

    Args:
        asked: its ``source`` says whose weights are moved.
        dest: the file to write.

    Returns:
        The certificate, which is beside the file.

    Raises:
        InputError: ``dest`` is there or can't be written, or something of the map can't be decided.
    """
    target: Literal["keras", "torch"] = "torch" if asked.source == "keras" else "keras"
    _suffix(dest, target)
    paper = dest.with_name(f"{dest.name}.certificate.json")
    for path in (dest, paper):
        if path.exists() and not force:
            raise InputError(f"DEST {path} exists; --force replaces it")
    if not dest.parent.is_dir():
        raise InputError(f"DEST {dest}: there is no directory {dest.parent}")
    return in_its_dtype(asked, lambda asked, notes: _ported(asked, (dest, paper), target, report, notes))


def _ported(
    asked: Asked,
    paths: tuple[Path, Path],
    target: Literal["keras", "torch"],
    report: Report,
    notes: list[str],
) -> dict[str, Any]:
    dest, paper = paths
    suffix = _suffix(dest, target)
    with Pair(asked.dtype) as pair:
        met = meet(pair, asked, report)
        if met.map.undecided:
            names = ", ".join(one.name for one in met.map.undecided[:3])
            raise InputError(
                f"can't decide where {names} belongs; see compare map, and give a file with --map"
            )
        (pair.torch if target == "torch" else pair.keras).call("arrays", pair.file("moved"))
        report("proving it")
        outcome = check(pair, replace(asked, steps=STEPS), met, report)
        outcome.notes += notes
        outcome.versions = pair.versions()
        report("writing it")
        content = _file(asked, target, met.inputs, pair.file("moved"), pair.folder / f"written{suffix}")
    paper_ = certificate(
        replace(asked, steps=STEPS), outcome, sha256=sha256(content), into=_into(asked, target).text
    )
    write(dest, content)
    write(paper, json.dumps(paper_, indent=1) + "\n")
    return paper_


def _into(asked: Asked, target: str) -> Any:
    return asked.torch if target == "torch" else asked.keras


def _suffix(dest: Path, target: str) -> str:
    for suffix in SUFFIXES[target]:
        if dest.name.endswith(suffix):
            return suffix
    framework = {"torch": "PyTorch", "keras": "Keras"}[target]
    raise InputError(f"DEST {dest}: a {framework} model's file ends in {', '.join(SUFFIXES[target])}")


def _file(asked: Asked, target: Literal["keras", "torch"], inputs: list, arrays: str, path: Path) -> bytes:
    """The file's content, written by a model in its own dtype."""
    with end(own(target), "float32") as one:
        one.call("open", _into(asked, target).text)
        single = {name: array.astype("float32") for name, array in load_file(arrays).items()}
        save_file(single, arrays)
        if target == "keras":
            one.call("build", inputs)
        one.call("assign", arrays)
        one.call("save", str(path))
    return path.read_bytes()
