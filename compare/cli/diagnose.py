"""The command `compare diagnose`."""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, BadParameter, Context, Option

from compare.cli import places
from compare.cli.unused import only
from compare.pages.saying import say

# what an audit takes: a model and its weights, and where the answer goes
OF_AUDIT = {"model", "weights", "audit", "out", "as_json", "trust", "debug"}


def _at_least_one(value: str | int) -> int:
    text = str(value)
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    raise BadParameter(f"{text} must be a whole number, 1 or more")


def diagnose(
    context: Context,
    model: Annotated[
        str,
        Argument(
            metavar="MODEL",
            help="A .keras or .h5 file, FILE.py:NAME or package.module:NAME; a function is called. Or a ResNet50's or"
            " VGG16's weights, in any file that port reads.",
        ),
    ],
    data: Annotated[
        str | None,
        Option(
            metavar="DATA", help="What fit sees: a folder with a sub-folder a class, an .npz, FILE.py:NAME."
        ),
    ] = None,
    evaluate_data: Annotated[
        str | None, Option(metavar="DATA", help="What evaluate sees, where it isn't the same.")
    ] = None,
    loss: Annotated[
        str | None, Option(metavar="NAME", help="FILE.py:NAME, or a name of torch.nn.functional's.")
    ] = None,
    step: Annotated[str | None, Option(metavar="NAME", help="FILE.py:NAME of step(model, batch).")] = None,
    weights: Annotated[Path | None, Option(metavar="FILE", help="Load these weights first.")] = None,
    reported: Annotated[
        str | None,
        Option(metavar="FIGURES", help="loss=0.2,evaluate_loss=1.7, a CSVLogger's file, or FILE.py:NAME."),
    ] = None,
    steps: Annotated[
        int | None, Option(metavar="N", help="Batches a pass. [default: all]", parser=_at_least_one)
    ] = None,
    batch_size: Annotated[
        int | None, Option(metavar="N", help="Of fit, for bare arrays. [default: 32]", parser=_at_least_one)
    ] = None,
    limit: Annotated[
        int, Option(metavar="N", help="Samples that may pass side by side.", parser=_at_least_one)
    ] = 320,
    seed: Annotated[int, Option(metavar="N", help="Of dropout masks and orders.")] = 0,
    audit: Annotated[bool, Option("--audit", help="Say what the layers do; no data needed.")] = False,
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Write diagnosis.json and diagnosis.html there.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
    trust: Annotated[
        bool, Option("--trust", help="Run code that a file holds: a pickle, a Lambda layer.")
    ] = False,
    debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.")] = False,
) -> int:
    """Say why fit and evaluate part for your own model, and what to do about it.

    \b
    Exit 0: nothing harmful, 1: a harmful finding, 2: couldn't run.

    \b
    Examples:
      compare diagnose model.keras --data photos --reported loss=0.2,evaluate_loss=1.7
      compare diagnose train.py:model --data train.py:loader --loss cross_entropy
      compare diagnose train.py:model --audit
    """
    from compare.diagnosis import diagnosis
    from compare.diagnosis.refusing import told
    from compare.given import names
    from compare.processes.quiet import hush
    from compare.spec import InputError

    if audit:
        only(context, "an audit", OF_AUDIT)
    places.folder(out)
    hush()
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            person = names.model(model, weights, trust)
            if audit:
                found: Any = diagnosis.audit(person)
            elif data is None and diagnosis.own_data(person) is None:
                raise InputError("--data is missing: give what fit sees (--audit needs none)")
            else:
                found = diagnosis.diagnose(
                    person,
                    names.data(data, "--data", person) if data is not None else None,
                    loss=names.loss(loss, person),
                    step=names.thing(step, "--step") if step is not None else None,
                    evaluate_data=names.data(evaluate_data, "--evaluate-data", person)
                    if evaluate_data is not None
                    else None,
                    reported=names.reported(reported),
                    steps=steps,
                    limit=limit,
                    batch_size=batch_size,
                    seed=seed,
                )
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, InputError):
            raise
        raise InputError(told(error)) from error
    said = json.dumps(found.to_json(), indent=1)
    if out is not None:
        from compare.files import write

        out.mkdir(parents=True, exist_ok=True)
        write(out / "diagnosis.json", said)
        found.to_html(out / "diagnosis.html")
    say(said if as_json else found)
    return int(any(finding.harmful for finding in found.findings))
