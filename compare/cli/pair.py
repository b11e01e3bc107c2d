"""The commands for any pair: `compare map`, and what `compare parity` and `compare port` do with two models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from compare.cli import places
from compare.cli.proofs import room, with_progress, write_into
from compare.frameworks import DTYPES
from compare.pages.saying import say
from compare.spec import InputError, choose

LOSSES = ("crossentropy", "binary", "mse", "mae")
OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
MODEL = "A .keras or .h5 file, FILE.py:NAME or package.module:NAME."


def map_(
    a: Annotated[str, Argument(metavar="A", help=MODEL)],
    b: Annotated[str, Argument(metavar="B", help="The other framework's model.")],
    map_file: Annotated[
        Path | None,
        Option("--map", metavar="FILE", help="Names that overrule what is found; may be partial."),
    ] = None,
    shape: Annotated[
        str | None, Option("--input", metavar="SHAPE", help="Like 32x32x3; several separated by commas.")
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="FILE", help="Write the map there, to edit and give back.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the map as JSON.")] = False,
) -> int:
    """Find which array of a Keras model is which of its PyTorch port, and why.

    \b
    Exit 0: every array has its partner or a reason why it has none, 2: something can't be decided, or bad input.

    \b
    Examples:
      compare map keras_model.py:build torch_model.py:build
      compare map model.keras port.py:Net --out names.json
    """
    from compare.pair.finding import find_map

    places.file(out)
    found = find_map(asked(a, b, map_file, shape))
    if out is not None:
        from compare.pair import mapfile

        mapfile.write(out, found)
    if as_json:
        from compare.pair.verdict import map_json

        say(json.dumps(map_json(found), indent=1))
    else:
        from compare.pages.console import Output
        from compare.pair.terminal import print_map

        print_map(found, Output())
    return 2 if found.undecided else 0


def is_pair(a: object, b: object) -> bool:
    """Whether two arguments name models of which at least one is code."""
    from compare.given.code import is_code

    return any(value is not None and is_code(str(value)) for value in (a, b))


def parity(a: Path | None, b: Path | None, options: dict[str, Any], out: Path | None, as_json: bool) -> int:
    """Check a pair and print the verdict: 0 same, 1 differs, 2 unmapped."""
    if a is None or b is None:
        raise InputError("parity: two models are needed, one of each framework")
    for name, allowed in (("loss", LOSSES), ("optimizer", OPTIMIZERS), ("dtype", DTYPES)):
        if options.get(name) is not None:
            choose(name, options[name], allowed)
    from compare.pair.certificate import certificate
    from compare.pair.proof import prove

    map_file, shape = options.pop("map"), options.pop("shape")
    room(out)
    wanted = asked(str(a), str(b), map_file, shape, **options)
    outcome = with_progress(prove, wanted)
    content = certificate(wanted, outcome)
    if as_json:
        say(json.dumps(content, indent=1))
    else:
        from compare.pages.console import Output
        from compare.pair.terminal import print_outcome

        print_outcome(outcome, Output())
    if out is not None:
        from compare.pair.page import render

        paper, page = json.dumps(content, indent=1) + "\n", render(wanted, outcome, content)
        write_into(out, {"certificate.json": paper, "parity.html": page})
    return {"same": 0, "differs": 1, "unmapped": 2}[outcome.verdict]


def port(a: Path, dest: Path, into: str, map_file: Path | None, force: bool, as_json: bool) -> int:
    """Move A's weights into B's class and prove it: 0 same, 1 differs."""
    from compare.pair.porting import port as move

    certificate = with_progress(move, asked(str(a), into, map_file, None), dest, force)
    if as_json:
        say(json.dumps(certificate, indent=1))
    else:
        say(f"{dest}: {len(certificate['map'])} arrays moved; {certificate['verdict']}")
        if certificate["first"]:
            first = certificate["first"]
            say(f"differs at {first['keras']} ({first['torch']}): {first['cause']}: {first['text']}")
    return 0 if certificate["verdict"] == "same" else 1


def asked(a: str, b: str, map_file: Path | None, shape: str | None, **options: Any) -> Any:
    """What is asked for, as a record."""
    from compare.pair.asked import Asked
    from compare.pair.references import pair

    keras, torch = pair(a, b)
    given = {name: value for name, value in options.items() if value is not None}
    source = "keras" if keras.text == a else "torch"
    return Asked(keras, torch, source=source, map=map_file, shape=shape, **given)
