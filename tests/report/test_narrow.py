"""Tables on a terminal that is too narrow for them: nothing of them is cut."""

import pytest
from rich.table import Table

from compare.cli.policies import deeds, spellings
from compare.pages.console import fitting
from compare.pair.arrays import Binding, Map
from compare.pair.layouts import Layout
from compare.pair.terminal import print_map
from compare.report.comparison import compare_runs
from compare.report.terminal import print_comparison
from compare.spec import POLICIES
from tests.support.synthetic_run import make_run
from tests.support.terminals import console_of

WIDTHS = pytest.mark.parametrize("width", [40, 60, 80, 120])


def shown(table, width):
    console, text = console_of(width)
    console.print(fitting(table, console))
    return text()


def whole(text, width):
    """The text on one line, held to fit and to be cut nowhere."""
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    return " ".join(text.split())


@WIDTHS
def test_the_policies_are_whole(width):
    done = whole(shown(deeds(), width), width)
    written = "".join(shown(spellings(), width).replace("│", "").split())
    for policy in POLICIES.values():
        assert policy.name in done
        assert policy.name in written
        if width < 80:  # in a table a cell's lines stand beside those of others
            assert "".join(policy.keras.split()) in written


@WIDTHS
def test_runs_beside_each_other_are_whole(width, tmp_path):
    policies = ("frozen-batch-stats", "fine-tune-recalibrated")
    folders = [make_run(tmp_path / name, policies=policies) for name in ("before", "a-longer-learning-rate")]
    console, text = console_of(width)
    print_comparison(compare_runs(folders), console)
    told = whole(text(), width)
    for word in (*policies, "Keras", "PyTorch", "before", "gap: evaluate minus fit"):
        assert word in told
    assert text().count("+0.") >= 4


@WIDTHS
def test_a_map_is_whole_and_no_name_in_it_is_markup(width):
    layout = Layout("the same")
    names = ("conv2_block1_1_conv/kernel", "layers[red].0.conv1.weight")
    console, text = console_of(width)
    print_map(
        Map([Binding(*names, layout, "the same shape, and its neighbours have partners")], [], []), console
    )
    whole(text(), width)
    if width in (40, 120):
        assert all(name in text() for name in names)


def test_a_table_that_has_room_stays_one_and_one_that_has_none_says_whose_each_cell_is():
    table = Table("policy", "trains", title="Deeds", caption="* all")
    table.add_row("fine-tune-recalibrated", "everything")
    assert "┃ policy" in shown(table, 39)
    assert shown(table, 38).split("\n") == [
        "Deeds", "fine-tune-recalibrated", "  trains: everything" + 18 * " ", "* all", "",
    ]  # fmt: skip
