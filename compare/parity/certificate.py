"""The certificate: all that a parity check did and found, such that it can be done again and compared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from compare.files import sha256
from compare.parity import inputs
from compare.parity.check import Check
from compare.parity.figures import Stage, Verdict
from compare.parity.stages import Pair, Report, run
from compare.parity.tolerances import TWIN_FACTOR, TWIN_FACTOR_STEPPED, TWIN_FLOOR, TWIN_REASON, as_dict
from compare.processes.devices import find
from compare.spec import InputError

KIND, FORMAT = "compare parity", 1  # the first ones had no kind


@dataclass
class Result:
    """What a check came to: a list of stages for each policy, and what it was done with."""

    check: Check
    stages: dict[str, list[Stage]]
    hashes: dict[str, str]
    versions: dict[str, str]
    peak_memory: int

    @property
    def same(self) -> bool:
        """Whether both frameworks compute the same function, or differ only as their defaults explain."""
        return all(
            stage.verdict in (Verdict.SAME, Verdict.EXPLAINED)
            for stages in self.stages.values()
            for stage in stages
        )


def check_parity(check: Check, policies: tuple[str, ...], report: Report = lambda line: None) -> Result:
    """Check a model under each of the policies, in two processes.

    Args:
        check: the model and how it is run; its policy is replaced by each of ``policies``.
        report: is called with what is under way.

    Raises:
        InputError: the weights or the device can't be had, or don't fit what was asked for.
    """
    devices = find(check.device, check.frameworks)
    with Pair(check.dtype, check.frameworks, devices=devices) as pair:
        weights = pair.file("weights")
        check = prepare(check, Path(weights))
        stages = {}
        for policy in policies:
            own = replace(check, policy=policy)
            stages[policy] = run(pair, own, weights, report)
        versions, peak = pair.versions(), pair.peak_memory()
        hashes = {
            "weights": sha256(Path(weights)),
            "images": sha256(check.pixels(0).tobytes()),
        }
    return Result(check, stages, hashes, versions, peak)


def prepare(check: Check, path: Path) -> Check:
    """Write the backbone's arrays to a file, and return the check as these weights have it."""
    if check.weights == "random":
        save_file(inputs.random_arrays(check.backbone, check.variant, check.width, check.seed), path)
        return replace(check, preprocessing=inputs.PREPROCESSING[check.variant])
    from compare.weights.sources import resolve

    facts = resolve(check.weights, check.backbone, path, check.seed)
    return replace(
        check, variant=facts["variant"], width=float(facts["width"]), preprocessing=facts["preprocessing"]
    )


def as_json(result: Result) -> dict[str, Any]:
    """The certificate of a result."""
    check = result.check.as_dict()
    del check["policy"]
    return {
        "kind": KIND,
        "format": FORMAT,
        "verdict": "same" if result.same else "different",
        "check": check,
        "versions": result.versions,
        "hashes": result.hashes,
        "tolerances": as_dict(result.check.dtype, result.check.kind),
        "twin": {
            "factor": TWIN_FACTOR,
            "factor_stepped": TWIN_FACTOR_STEPPED,
            "roundings_that_are_no_distance": TWIN_FLOOR,
            "reason": TWIN_REASON,
        },
        "policies": {name: [_stage(stage) for stage in stages] for name, stages in result.stages.items()},
    }


def _stage(stage: Stage) -> dict:
    rows = [{key: number(value) for key, value in asdict(row).items()} for row in stage.rows]
    return {**stage.as_dict(), "rows": rows}


def number(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def read(path: Path) -> dict[str, Any]:
    """Read a certificate.

    Raises:
        InputError: it isn't there or isn't one.
    """
    try:
        content = json.loads(path.read_text())
        if content.get("kind", KIND) != KIND:
            raise InputError(
                f"{path} is of {content['kind']}; to prove that again, give the same command with --force"
            )
        if content["format"] != FORMAT:
            raise InputError(f"{path} has format {content['format']}; this version reads {FORMAT}")
        check_of(content)
        return content
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no certificate of compare parity") from error


def check_of(certificate: dict) -> tuple[Check, tuple[str, ...]]:
    """The check that a certificate is of, and its policies."""
    check = Check(**certificate["check"])
    one, other = check.frameworks
    return replace(check, frameworks=(one, other)), tuple(certificate["policies"])


def differences(old: dict, new: dict) -> list[str]:
    """Say what a repeated check did not reproduce: hashes, verdicts, places. Figures may move within their bars."""
    lines = []
    for name, digest in old["hashes"].items():
        if new["hashes"].get(name) != digest:
            lines.append(f"other {name}: sha256 {new['hashes'].get(name)}, was {digest}")
    for policy, stages in old["policies"].items():
        again = {stage["name"]: stage for stage in new["policies"].get(policy, [])}
        for stage in stages:
            found = again.get(stage["name"], {"verdict": "missing", "place": ""})
            if (found["verdict"], found["place"]) != (stage["verdict"], stage["place"]):
                was, now = (f"{s['verdict']} {s['place']}".strip() for s in (stage, found))
                lines.append(f"{policy}, {stage['name']}: {now}, was {was}")
    return lines


def same_figures(old: dict, new: dict) -> bool:
    """Whether every figure is the same to the last digit, as it is on the same machine with the same versions."""
    return old["policies"] == new["policies"]
