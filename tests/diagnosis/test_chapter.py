"""docs/diagnose.md has every cause, with the cures that a diagnosis shows."""

import ast
import re
from pathlib import Path

import pytest

from compare.diagnosis.cures import cure
from compare.diagnosis.records import CAUSES
from compare.diagnosis.show.chapter import LAYERS, chapter
from compare.diagnosis.show.text import CODE, narrow

PAGE = (Path(__file__).parents[2] / "docs" / "diagnose.md").read_text()
SECTIONS = dict(re.findall(r"^### ([a-z-]+)\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_the_page_is_what_the_cures_make_of_it():
    assert chapter() == PAGE, "python -m tools.diagnose_page"


def test_every_cause_has_its_section_in_the_order_of_the_words():
    assert tuple(SECTIONS) == CAUSES


@pytest.mark.parametrize("cause", CAUSES)
def test_a_section_says_how_it_shows_how_it_is_measured_and_what_to_do(cause):
    for part in ("**Shows.**", "**Measured.**", "**Cure.**"):
        assert part in SECTIONS[cause]
    for framework in ("keras", "torch"):
        assert narrow(cure(framework, cause, LAYERS).code) in SECTIONS[cause]
    if cause != "none":
        assert "https://" in SECTIONS[cause]


@pytest.mark.parametrize(
    "cause", [cause for cause in CAUSES if cause not in ("none", "dropout", "augmentation", "weights-moved")]
)
def test_what_can_be_cured_has_code_of_both_frameworks_and_its_reports(cause):
    both = "\nBoth:\n" in SECTIONS[cause]
    assert both or ("\nKeras:\n" in SECTIONS[cause] and "\nPyTorch:\n" in SECTIONS[cause])
    assert "**Reports.** [" in SECTIONS[cause]


def test_every_block_of_code_is_python():
    blocks = re.findall(r"```python[^\n]*\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) > 30
    for block in blocks:
        ast.parse(block)


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_a_terminal_has_room_for_every_cure(framework):
    lines = [line for cause in CAUSES for line in narrow(cure(framework, cause, LAYERS).code).splitlines()]
    assert [line for line in lines if len(line) > CODE] == []


def test_many_layers_are_listed_over_lines_that_a_terminal_has_room_for():
    names = tuple(f"backbone.stages.{place}.blocks.{place}.norm" for place in range(30))
    code = cure("torch", "stale-statistics", names).code
    assert max(map(len, narrow(code).splitlines())) <= CODE
    assert ast.literal_eval(code.split("norms")[0].removeprefix("names = ").replace("\n", "")) == names
