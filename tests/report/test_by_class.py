"""The page of more than two classes: macro figures and each class's own, under its name."""

from tests.support.report_pages import page_of
from tests.support.synthetic_run import CONFIG, make_cell, write_run

NAMES = ["a b", "Übermut", "<b>x</b>"]


def of_three(cell):
    """The cell with the figures of three classes, other ones of each seed."""
    for epoch in cell["history"]:
        for part in ("fit", "evaluate", "val"):
            for name in ("precision", "recall", "tp", "fp", "tn", "fn"):
                del epoch[part][name]
            macro = {"balanced_accuracy": 0.611, "macro_precision": 0.622, "macro_f1": 0.633}
            own = {f"recall_{k}": 0.1 * (k + 1) + 0.002 * cell["seed"] for k in range(3)}
            epoch[part] |= macro | own | {f"precision_{k}": 0.9 - 0.1 * k for k in range(3)}
        epoch["samples"] = 90
    return cell


def test_each_class_has_its_share_found_and_right(tmp_path):
    cells = [of_three(make_cell("frozen", "keras", seed=seed, explained=False)) for seed in (0, 1)]
    config = CONFIG | {"data": {"name": "photos", "classes": NAMES}}
    page = page_of(write_run(tmp_path / "run", cells, config))
    assert "Class by class" in page.text
    assert "balanced accuracy mean precision macro F1 a b Übermut <b>x</b>" in page.text
    # recall is the mean over the seeds
    assert "frozen Keras 61.1 62.2 63.3 10.1 90.0 20.1 80.0 30.1 70.0" in page.text


def test_two_classes_have_no_such_table(tmp_path):
    page = page_of(write_run(tmp_path / "run", [make_cell("frozen", "keras")]))
    assert "Class by class" not in page.text


def test_classes_without_names_are_numbered(tmp_path):
    cells = [of_three(make_cell("frozen", "torch", explained=False))]
    config = CONFIG | {"data": {"name": "photos", "classes": ["one", "too few"]}}
    assert "class 0 class 1 class 2" in page_of(write_run(tmp_path / "run", cells, config)).text
