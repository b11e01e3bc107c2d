"""The certificate: all that a parity check did and found, such that it can be done again and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from compare.files import sha256
from compare.parity import inputs
from compare.parity.check import Check
from compare.parity.figures import Stage, Verdict
from compare.parity.stages import Pair, Report, run
from compare.parity.tolerances import TWIN, as_dict
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
        "twin": TWIN,
        "policies": {name: [stage.as_dict() for stage in stages] for name, stages in result.stages.items()},
    }


def read(path: Path, kinds: Mapping[str, Callable[[dict], Any]]) -> dict[str, Any]:
    """Read a certificate.

    Args:
        kinds: those that can be checked again -> what reads out of one what was asked for.

    Raises:
        InputError: it isn't there, isn't one or isn't whole.
    """
    kind = KIND
    try:
        content = {"kind": KIND, **json.loads(path.read_text(encoding="utf-8"))}
        kind = content["kind"]
        if kind not in kinds:
            raise InputError(f"{path} is of {kind}; to prove that again, give the same command with --force")
        if content["format"] != FORMAT:
            raise InputError(f"{path} has format {content['format']}; this version reads {FORMAT}")
        kinds[kind](content)
        return content
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no certificate of {kind}") from error


def check_of(certificate: dict) -> tuple[Check, tuple[str, ...]]:
    """The check that a certificate is of, and its policies."""
    check = Check(**certificate["check"])
    one, other = check.frameworks
    return replace(check, frameworks=(one, other)), tuple(certificate["policies"])


def again(asked: tuple[Check, tuple[str, ...]], report: Report) -> dict[str, Any]:
    """Do a certificate's check again."""
    return as_json(check_parity(*asked, report))


def differences(old: dict, new: dict) -> list[str]:
    """Say what a repeated check did not reproduce: hashes, verdicts, places. Figures may move within their bars."""
    lines = other_hashes(old, new)
    for policy, stages in old["policies"].items():
        lines += other_stages(stages, new["policies"].get(policy, []), f"{policy}, ")
    return lines


def figures(certificate: dict) -> Any:
    """Every figure: on the same machine, with the same versions, they are the same to the last digit."""
    return certificate["policies"]


def other_hashes(old: dict, new: dict) -> list[str]:
    """Say which files are others."""
    return [
        f"other {name}: sha256 {new['hashes'].get(name)}, was {digest}"
        for name, digest in old["hashes"].items()
        if new["hashes"].get(name) != digest
    ]


def other_stages(old: list[dict], new: list[dict], before: str = "") -> list[str]:
    """Say which stages have another verdict or place, in lines that begin with ``before``."""
    lines, again_ = [], {stage["name"]: stage for stage in new}
    for stage in old:
        found = again_.get(stage["name"], {"verdict": "missing", "place": ""})
        if (found["verdict"], found["place"]) != (stage["verdict"], stage["place"]):
            was, now = (f"{s['verdict']} {s['place']}".strip() for s in (stage, found))
            lines.append(f"{before}{stage['name']}: {now}, was {was}")
    return lines


def written(path: Path, old: dict[str, Any]) -> list[str]:
    """Say what isn't as a port left it: the file beside its certificate.

    Args:
        path: of the certificate.
    """
    name = path.with_name(path.name.removesuffix(".certificate.json"))
    if "sha256" not in old or name == path:
        return []
    if not name.is_file():
        return [f"{name} isn't there"]
    digest = sha256(name)
    return [] if digest == old["sha256"] else [f"other {name}: sha256 {digest}, was {old['sha256']}"]
