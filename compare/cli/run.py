"""`compare run`: its options, checked, and what is made of them."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, nan
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from compare.cells.settings import EXPLAIN, PRESETS
from compare.frameworks import DEFAULT, FRAMEWORKS, check_all
from compare.spec import (
    BACKBONES,
    DEFAULT_POLICIES,
    NUMERICS,
    POLICIES,
    InputError,
    choose,
)


def _preset(name: str) -> str:
    preset = PRESETS[name]
    images, size = preset.images or "all", preset.image_size
    return f"{name}: {preset.weights} weights, {images} images, {size} px, {preset.epochs} epochs"


def _whole(least: int) -> Any:
    """An option that takes a whole number from ``least`` on."""

    def parse(value: str | int) -> int:
        text = str(value)  # a default comes as the number that it is
        if text.isdecimal() and int(text) >= least:
            return int(text)
        raise typer.BadParameter(f"{text} must be a whole number, {least} or more")

    return {"parser": parse, "metavar": "N"}


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = nan
    if isfinite(rate) and rate > 0:
        return rate
    raise typer.BadParameter(f"{text} must be a number above zero")


def run(
    backbone: Annotated[str, Option(metavar="NAME", help=f"{' or '.join(BACKBONES)}.")],
    policy: Annotated[
        list[str], Option(metavar="NAME", help=f"A BN policy, repeatable: {', '.join(POLICIES)} or all.")
    ] = list(DEFAULT_POLICIES),  # noqa: B006
    framework: Annotated[
        list[str],
        Option(
            metavar="NAME",
            help=f"{', '.join(FRAMEWORKS)}, repeatable: Keras on TensorFlow, JAX or PyTorch, and PyTorch itself.",
        ),
    ] = list(DEFAULT),  # noqa: B006
    data: Annotated[
        str,
        Option(
            metavar="elpv|DIR|CSV",
            help="Photographs of solar cells, a folder with a sub-folder a class, or a list of paths and labels.",
        ),
    ] = "elpv",
    positive: Annotated[
        str | None, Option(metavar="NAME", help="The positive one of two classes. [default: the rarer]")
    ] = None,
    weights: Annotated[
        str | None,
        Option(
            metavar="NAME|FILE",
            help="imagenet, imagenet-torchvision, pretext, random or a file. [default: preset's]",
        ),
    ] = None,
    preset: Annotated[str, Option(metavar="NAME", help=f"{'; '.join(map(_preset, PRESETS))}.")] = "quick",
    numerics: Annotated[
        list[str],
        Option(
            metavar="NAME",
            help="native (a framework's own) or matched (PyTorch computes as Keras does), repeatable.",
        ),
    ] = ["native"],  # noqa: B006
    as_release: Annotated[
        str | None,
        Option("--as", metavar="RELEASE", help="Compute in both as an old Keras did, keras-2.2.4 for one."),
    ] = None,
    epochs: Annotated[int | None, Option(help="At most this many. [default: preset's]", **_whole(1))] = None,
    batch_size: Annotated[int | None, Option(help="Images a batch. [default: preset's]", **_whole(1))] = None,
    image_size: Annotated[int | None, Option(help="Pixels a side. [default: preset's]", **_whole(32))] = None,
    images: Annotated[int | None, Option(help="Images to train on. [default: preset's]", **_whole(2))] = None,
    learning_rate: Annotated[
        float | None, Option(help="Adam's. [default: preset's]", parser=_rate, metavar="X")
    ] = None,
    reduce_lr: Annotated[
        bool, Option("--reduce-lr", help="Times 0.1 after 5 epochs without a better val_loss.")
    ] = False,
    seeds: Annotated[int, Option(help="Train every cell with seeds 0 to N-1.", **_whole(1))] = 1,
    skip_unreadable: Annotated[
        bool, Option("--skip-unreadable", help="Go on without images that can't be read.")
    ] = False,
    explain: Annotated[
        str, Option(metavar="NAME", help=f"Epochs whose gap is split into terms: {', '.join(EXPLAIN)}.")
    ] = EXPLAIN[0],
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Run directory. [default: runs/<backbone>-<n>]")
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Do the rest of the run in --out.")] = False,
    jobs: Annotated[
        int | None,
        Option(
            help="Processes at a time. [default: one a card, or a core, up to 4; Ray: as many as fit]",
            **_whole(1),
        ),
    ] = None,
    engine: Annotated[
        str, Option(metavar="NAME", help="local, or ray: the processes are where a Ray cluster has room.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        Option(metavar="HOST:PORT", help="The Ray cluster's, or auto. [default: Ray is started here]"),
    ] = None,
    device: Annotated[
        str,
        Option(
            metavar="NAME",
            help="cpu, cuda, cuda:N or mps; auto: each framework's first accelerator that works, else the CPU."
            " A worker a card.",
        ),
    ] = "auto",
    as_json: Annotated[bool, Option("--json", help="Print the results as JSON, not as a table.")] = False,
) -> int:
    """Train a transfer model under BN policies in Keras and PyTorch, and show where fit and evaluate part.

    \b
    Examples:
      compare run --backbone resnet50
      compare run --backbone resnet50 --policy frozen --policy fine-tune --seeds 3
      compare run --backbone resnet50 --framework keras-jax --framework torch
      compare run --backbone vgg16 --data my_photos --positive cracked
      compare run --backbone resnet50 --as keras-2.2.4
      compare run --backbone resnet50 --preset full --out runs/full
      compare run --backbone resnet50 --preset full --out runs/full --resume
      compare run --backbone resnet50 --preset full --device cuda
      compare run --backbone resnet50 --seeds 10 --engine ray --ray-address auto
    """
    from compare.cells.grid import check, grid
    from compare.cells.releases import choose_policies, matched
    from compare.processes.engine import Engine
    from compare.run import run as run_grid
    from compare.weights.sources import SOURCES

    choose("backbone", backbone, BACKBONES)
    choose("preset", preset, tuple(PRESETS))
    check("policy", policy, (*POLICIES, "all"))
    if as_release is not None:
        policy, numerics = choose_policies(as_release, policy), matched(as_release, numerics)
    check_all(framework)
    check("numerics", numerics, NUMERICS)
    choose("--explain", explain, EXPLAIN)
    if resume and out is None:
        raise InputError("--resume: which run? Give its directory as --out")
    given: dict[str, Any] = {
        "weights": weights and _absolute(weights, SOURCES),
        "epochs": epochs,
        "batch_size": batch_size,
        "image_size": image_size,
        "images": images,
        "learning_rate": learning_rate,
    }
    settings = replace(
        PRESETS[preset],
        data=_absolute(data, ("elpv",)),
        positive=positive,
        reduce_lr=reduce_lr,
        skip_unreadable=skip_unreadable,
        explain=explain,
        release=as_release,
        **{name: value for name, value in given.items() if value is not None},
    )
    cells = grid(backbone, framework, policy, numerics, seeds, settings.batch_size)
    return run_grid(cells, settings, out, resume, Engine(engine, ray_address, jobs, device), as_json)


def _absolute(value: str, names: tuple[str, ...]) -> str:
    """Make a path mean the same from anywhere; leave names and what doesn't exist as they are."""
    return str(Path(value).resolve()) if value not in names and Path(value).exists() else value
