import ast
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from compare.pages.code import coloured
from compare.report import code
from compare.spec import POLICIES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_the_code_of_a_policy_has_its_facts_in_it_and_no_other_ones(policy, framework):
    text = code.with_facts(POLICIES[policy], framework)
    assert not re.search(r"policy\.(trains|fit_statistics|updates|evaluate_statistics)", text)
    assert ("recalibrate" in text) == (POLICIES[policy].reestimate is not None)
    assert ("replay.features" in text) == POLICIES[policy].features


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_what_a_person_writes_for_a_policy_is_code_and_its_conditions_are_comments(policy, framework):
    shown = code.spelling(POLICIES[policy])[framework]
    assert ast.parse(unescape(re.sub("<[^>]*>", "", shown))).body


def test_what_a_policys_facts_decide_is_worked_out():
    frozen = code.with_facts(POLICIES["frozen"], "keras")
    assert "layer.trainable = False\n" in frozen
    assert "layer.momentum = 1.0\n" in frozen
    tuned = code.with_facts(POLICIES["fine-tune"], "keras")
    assert "layer.trainable = True\n" in tuned
    assert "layer.momentum = layer.decay\n" in tuned
    assert "module.train(False)" in code.with_facts(POLICIES["frozen"], "torch")


def test_the_code_is_read_from_the_packages_own_files(monkeypatch):
    source = (ROOT / "torch_impl" / "bn_policy.py").read_text()
    changed = source.replace("model.bn_policy = policy", "model.its_policy = policy")
    assert changed != source
    monkeypatch.setattr(code, "source_of", lambda package, file: changed)
    assert "model.its_policy = policy" in code.with_facts(POLICIES["frozen"], "torch")


def test_the_frameworks_own_layers_are_quoted_as_they_are_installed():
    found = code.forward_code()
    assert list(found) == ["keras", "torch"]
    for where, text in found.values():
        words = re.sub("<[^>]*>", "", text).replace("&quot;", '"').replace("&#39;", "'").replace("&gt;", ">")
        assert words.startswith("def ")
        package, _, file = where.partition("/")
        lines = (code.source_of(package, file)).splitlines()
        assert words.splitlines()[1].strip() in [line.strip() for line in lines]


def test_a_package_that_is_not_there_is_left_out(monkeypatch):
    monkeypatch.setitem(code.FORWARD, "torch", ("no_such_package", "nn.py", "Layer.forward"))
    assert list(code.forward_code()) == ["keras"]


def test_code_is_escaped_and_marked_up():
    text = coloured("if a < b: x = '<script>'")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert '<span class="c-k">if</span>' in text


def test_every_class_of_the_markup_that_the_code_of_the_policies_uses_has_a_style_or_is_plain():
    css = (ROOT / "compare" / "pages" / "style.css").read_text()
    shown = "".join(text for policy in POLICIES.values() for text in code.policy_code(policy).values())
    used = set(re.findall(r'class="(c-\w+)"', shown))
    plain = {"c-n", "c-o", "c-p", "c-w", "c-nn", "c-fm", "c-bp"}
    assert not {name for name in used - plain if f".{name}" not in css}


def test_no_framework_is_imported_for_it():
    program = (
        "import sys; from compare.report import code; code.forward_code();"
        "sys.exit(bool({'keras', 'tensorflow', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
