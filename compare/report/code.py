"""Keras's code and PyTorch's for a policy, out of the packages' own files, so that what is shown is what runs.

Nothing is imported: the files are found and read.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

from markupsafe import Markup

from compare.pages.code import coloured
from compare.spec import SIDES, Policy

# the functions of each implementation that set a policy
SETTERS = {"keras": ("apply",), "torch": ("apply", "hold")}
# what batch normalisation does with it, in the framework itself
FORWARD = {
    "keras": ("keras", "src/layers/normalization/batch_normalization.py", "BatchNormalization.call"),
    "torch": ("torch", "nn/modules/batchnorm.py", "_BatchNorm.forward"),
}


def policy_code(policy: Policy) -> dict[str, Markup]:
    """What each implementation does to set a policy: its own functions with the policy's facts put in."""
    return {side: coloured(with_facts(policy, side)) for side in SIDES}


def spelling(policy: Policy) -> dict[str, Markup]:
    """What a user writes in each framework."""
    return {side: coloured(getattr(policy, side).replace("; ", "\n")) for side in SIDES}


def forward_code() -> dict[str, tuple[str, Markup]]:
    """What each framework's BN layer does: where that stands, and the code; only of packages that are there."""
    found = {}
    for framework, (package, file, name) in FORWARD.items():
        if source := source_of(package, file):
            found[framework] = (f"{package}/{file}", coloured(_cut(source, name)))
    return found


def with_facts(policy: Policy, framework: str) -> str:
    """An implementation's own functions that set a policy, without what they wouldn't do for it."""
    source = source_of(f"{framework}_impl", "bn_policy.py")
    functions = [_specialised(_function(source, name), policy.facts) for name in SETTERS[framework]]
    if policy.reestimate:
        functions.append(f"# {policy.reestimate.replace('-', ' ')}: statistics.recalibrate(model, batches)")
    if policy.features:
        functions.append("# once, before fit: replay.features(transfer.body(model), batches)")
    return "\n\n".join(functions)


@cache
def source_of(package: str, file: str) -> str:
    """The text of a package's file; empty where there is none."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, file)
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return ""


def _function(source: str, name: str) -> ast.FunctionDef:
    """Find a function or, by ``Class.name``, a method."""
    scope: ast.Module | ast.ClassDef = ast.parse(source)
    for part in name.split("."):
        for node in scope.body:
            if isinstance(node, ast.ClassDef) and node.name == part:
                scope = node
            elif isinstance(node, ast.FunctionDef) and node.name == part:
                return node
    raise LookupError(f"no function {name}")


def _cut(source: str, name: str) -> str:
    """Cut a method out of its class as it stands there."""
    node = _function(source, name)
    return dedent("\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno]))


def _specialised(function: ast.FunctionDef, facts: dict) -> str:
    """Write a function out without its docstring, and with what follows from a policy's facts worked out."""
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    return ast.unparse(ast.fix_missing_locations(_Facts(facts).visit(function)))


class _Facts(ast.NodeTransformer):
    """Replaces ``policy.<fact>`` by the fact, and works out what that decides."""

    def __init__(self, facts: dict) -> None:
        self.facts = facts

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "policy" and node.attr in self.facts:
            return ast.Constant(self.facts[node.attr])
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        try:
            left, right = ast.literal_eval(node.left), ast.literal_eval(node.comparators[0])
        except ValueError:
            return node
        operator = node.ops[0]
        if isinstance(operator, ast.Eq):
            return ast.Constant(left == right)
        return ast.Constant(left in right) if isinstance(operator, ast.In) else node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        decides = isinstance(node.op, ast.Or)
        known = [value.value for value in node.values if isinstance(value, ast.Constant)]
        if decides in known:
            return ast.Constant(decides)
        node.values = [value for value in node.values if not isinstance(value, ast.Constant)]
        return node if len(node.values) > 1 else node.values[0] if node.values else ast.Constant(not decides)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node.body if ast.dump(node.body) == ast.dump(node.orelse) else node
