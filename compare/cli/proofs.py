"""What the commands that prove something share: progress, what they write, and a certificate's check done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from compare.cli import places
from compare.files import write
from compare.pages.saying import say
from compare.spec import InputError


def with_progress(prove: Callable[..., Any], *asked: Any) -> Any:
    """Prove something, and say what is under way; ``prove`` takes what says it last."""
    from compare.pages.console import Output

    with Output(stderr=True).status("starting both frameworks") as status:
        return prove(*asked, lambda line: status.update(line))


def again(path: Path, as_json: bool) -> int:
    """Do a certificate's check again: 0 reproduced, 1 not."""
    from compare.pair import certificate as of_pair
    from compare.parity import certificate as of_reference

    kinds = {one.KIND: one for one in (of_reference, of_pair)}
    old = of_reference.read(path, {kind: one.check_of for kind, one in kinds.items()})
    one = kinds[old["kind"]]
    new = with_progress(one.again, one.check_of(old))
    lines = [*of_reference.written(path, old), *one.differences(old, new)]
    if as_json:
        say(json.dumps({"reproduced": not lines, "differences": lines, "certificate": new}, indent=1))
        return 1 if lines else 0
    exact = (
        "every figure to the last digit"
        if one.figures(old) == one.figures(new)
        else "figures within their bars"
    )
    for line in lines or [f"reproduced: the same inputs, the same verdicts, {exact}"]:
        say(line)
    return 1 if lines else 0


def room(out: Path | None) -> None:
    """Refuse a directory that holds something else before hours of work, not after.

    Raises:
        InputError: it does, or can't be made or written in.
    """
    places.folder(out)
    if out is None or not out.exists():
        return
    own = {"parity.html", "certificate.json"}
    if any(path.name not in own for path in out.iterdir()):
        raise InputError(f"--out {out} holds something else; give a new directory")


def write_into(out: Path, files: Mapping[str, str]) -> None:
    """Write files into a directory, which is made.

    Raises:
        InputError: they can't be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write(out / name, content)
    except OSError as error:
        raise InputError(f"--out {out} can't be written: {error.strerror}") from error
