"""The command `compare parity`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Context, Option

from compare.cli import pair as pairs
from compare.cli.proofs import again, room, with_progress, write_into
from compare.cli.unused import only
from compare.frameworks import DTYPES, FRAMEWORKS, check_all
from compare.pages.saying import say
from compare.spec import BACKBONES, NUMERICS, POLICIES, InputError, choose

DEFAULT = ("fine-tune", "frozen")
# what only two models take, and what else of the options they do
OF_MODELS = {"a", "b", "map_file", "shape", "loss", "data"}
ALSO_OF_MODELS = {"optimizer", "steps", "learning_rate", "dtype", "numerics", "seed", "out", "as_json"}


def parity(
    context: Context,
    a: Annotated[
        Path | None,
        Argument(metavar="A", help="A file of weights, a directory of dumps, or a model: FILE.py:NAME."),
    ] = None,
    b: Annotated[Path | None, Argument(metavar="B", help="What A is compared with.")] = None,
    backbone: Annotated[str | None, Option(metavar="NAME", help=f"{' or '.join(BACKBONES)}.")] = None,
    variant: Annotated[str, Option(metavar="v1|v1.5", help="Of the ResNet50, for random weights.")] = "v1",
    width: Annotated[float, Option(metavar="X", help="Factor on all channels, for random weights.")] = 1.0,
    policy: Annotated[
        list[str], Option(metavar="NAME", help=f"A BN policy, repeatable: {', '.join(POLICIES)} or all.")
    ] = list(DEFAULT),  # noqa: B006
    dtype: Annotated[str, Option(metavar="|".join(DTYPES), help="What both compute in.")] = "float64",
    steps: Annotated[int, Option(min=1, metavar="N", help="From the same state, and running free.")] = 10,
    weights: Annotated[
        str, Option(metavar="NAME|FILE", help="random (where every array matters), or as in compare run.")
    ] = "random",
    frameworks: Annotated[
        tuple[str, str],
        Option(metavar="NAME NAME", help=f"Which two, the reference first: {', '.join(FRAMEWORKS)}."),
    ] = ("keras", "torch"),
    numerics: Annotated[
        str | None,
        Option(
            metavar="matched|native",
            help="native: predicts what the defaults change, and checks the rest. [default: matched; native for"
            " two models]",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        Option(metavar="NAME", help=f"{', '.join(pairs.OPTIMIZERS)}. [default: adam; two models' own]"),
    ] = None,
    learning_rate: Annotated[float | None, Option(metavar="X", help="Step size. [default: 0.001]")] = None,
    momentum: Annotated[float, Option(metavar="X", help="Of sgd.")] = 0.0,
    weight_decay: Annotated[
        float, Option(metavar="X", help="Of adamw, or of sgd (coupled, on kernels).")
    ] = 0.0,
    image_size: Annotated[int, Option(min=32, metavar="N", help="Pixels a side.")] = 64,
    batch_size: Annotated[int, Option(min=2, metavar="N", help="Images a batch.")] = 4,
    classes: Annotated[int, Option(min=2, metavar="N", help="That the head tells apart.")] = 2,
    seed: Annotated[int, Option(min=0, metavar="N", help="Of weights, images and dropout masks.")] = 0,
    map_file: Annotated[
        Path | None, Option("--map", metavar="FILE", help="Of two models: names that overrule what is found.")
    ] = None,
    shape: Annotated[
        str | None, Option("--input", metavar="SHAPE", help="Of two models: what they take, like 32x32x3.")
    ] = None,
    loss: Annotated[
        str | None, Option(metavar="NAME", help="Of two models: crossentropy, binary, mse or mae.")
    ] = None,
    data: Annotated[
        str | None,
        Option(
            metavar="DATA", help="Of two models: a folder of images by class, an .npz (x, y) or FILE.py:NAME."
        ),
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Write parity.html and certificate.json there.")
    ] = None,
    check: Annotated[
        Path | None, Option(metavar="FILE", help="A certificate.json: do its check again and compare.")
    ] = None,
    device: Annotated[
        str, Option(metavar="NAME", help="That both compute on: cpu, cuda, cuda:N or mps (float32 alone).")
    ] = "cpu",
    as_json: Annotated[
        bool, Option("--json", help="Print the certificate instead of the tree or lines.")
    ] = False,
) -> int:
    """Prove that Keras and PyTorch compute and train the same function, stage by stage; or name where they part.

    \b
    With A and B, compares two files of weights, or two directories of .npy and .npz, array by array.
    Exit 0: same, 1: different, 2: bad input.

    \b
    Examples:
      compare parity --backbone resnet50
      compare parity --backbone vgg16 --policy all --steps 20
      compare parity --backbone resnet50 --numerics native --steps 1
      compare parity --backbone resnet50 --dtype float32 --image-size 224 --out parity
      compare parity --backbone resnet50 --frameworks keras-jax torch
      compare parity --check parity/certificate.json
      compare parity model.keras model.pth
      compare parity keras_model.py:build torch_model.py:build --input 32x32x3
    """
    if pairs.is_pair(a, b):
        only(context, "a check of two models", OF_MODELS | ALSO_OF_MODELS)
        given: dict[str, Any] = {
            "map": map_file,
            "shape": shape,
            "loss": loss,
            "optimizer": optimizer,
            "steps": steps,
        }
        given |= {"data": data}
        given |= {"learning_rate": learning_rate, "dtype": dtype, "numerics": numerics, "seed": seed}
        return pairs.parity(a, b, given, out, as_json)
    if a is not None or b is not None:
        only(context, "a comparison of two files", {"a", "b", "as_json"})
        return _files(a, b, as_json)
    numerics, optimizer = numerics or "matched", optimizer or "adam"
    learning_rate = 1e-3 if learning_rate is None else learning_rate
    from compare.parity import certificate, page
    from compare.parity.check import Check

    started = time.monotonic()
    if check is not None:
        only(context, "a certificate's check, which is done as it was,", {"check", "as_json"})
        return again(check, as_json)
    if backbone is None:
        raise InputError("parity: of what? Give --backbone, two files, or --check certificate.json")
    only(context, "a check of a backbone", {option.name for option in context.command.params} - OF_MODELS)
    for kind, value, allowed in (
        ("backbone", backbone, BACKBONES),
        ("variant", variant, ("v1", "v1.5")),
        ("dtype", dtype, DTYPES),
        ("numerics", numerics, NUMERICS),
        ("optimizer", optimizer, pairs.OPTIMIZERS),
        *(("policy", name, (*POLICIES, "all")) for name in policy),
    ):
        choose(kind, value, allowed)
    check_all(frameworks)
    if numerics == "native" and (FRAMEWORKS[frameworks[0]].side, frameworks[1]) != ("keras", "torch"):
        raise InputError(
            "--numerics native: predicts PyTorch's defaults from Keras's; give one of Keras's and torch"
        )
    if device == "auto":
        raise InputError("--device auto: both must compute on the same; give cpu, cuda, cuda:N or mps")
    if (device, dtype) == ("mps", "float64"):
        raise InputError("--device mps: it has no float64; give --dtype float32")
    if momentum and optimizer != "sgd":
        raise InputError(f"--momentum {momentum}: only sgd has one, not {optimizer}")
    if weight_decay and optimizer not in ("sgd", "adamw"):
        raise InputError(f"--weight-decay {weight_decay}: only sgd and adamw have one, not {optimizer}")
    if not 0 < learning_rate < float("inf"):
        raise InputError(f"--learning-rate {learning_rate}: must be a number above zero")
    asked = Check(
        backbone=backbone,
        variant=variant,
        width=width,
        weights=weights,
        optimizer=optimizer,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        numerics=numerics,
        dtype=dtype,
        image_size=image_size,
        batch_size=batch_size,
        classes=classes,
        steps=steps,
        seed=seed,
        frameworks=frameworks,
        device=device,
    )
    policies = tuple(POLICIES) if "all" in policy else tuple(dict.fromkeys(policy))
    room(out)
    result = with_progress(certificate.check_parity, asked, policies)
    if out is not None:
        paper = json.dumps(certificate.as_json(result), indent=1) + "\n"
        write_into(out, {"certificate.json": paper, "parity.html": page.render(result)})
    if as_json:
        say(json.dumps(certificate.as_json(result), indent=1))
    else:
        _print(result, out, time.monotonic() - started)
    return 0 if result.same else 1


def _files(a: Path | None, b: Path | None, as_json: bool) -> int:
    if a is None or b is None:
        raise InputError("parity: two files are needed, or --backbone")
    from compare.parity.files import compare_files

    stage = compare_files(a, b)
    if as_json:
        say(json.dumps(stage.as_dict(), indent=1))
    else:
        from compare.pages.console import Output
        from compare.parity.terminal import print_files

        print_files(stage, Output())
    return 0 if stage.verdict == "same" else 1


def _print(result: Any, out: Path | None, seconds: float) -> None:
    from compare.pages.console import Output
    from compare.parity.terminal import print_result

    console = Output()
    print_result(result, console)
    console.print(f"took {seconds:.0f} s and at most {result.peak_memory / 2**30:.1f} GiB", highlight=False)
    if out is not None:
        console.print(f"report: {out / 'parity.html'}", highlight=False)
