"""A judgement takes into account how many samples and seeds its figures are of, and never contradicts itself."""

import re

import pytest

from compare.verdict.figures import GAP, Figures, least
from compare.verdict.judge import judge
from compare.words import plain
from tests.support.judged import LAGGING, answered, figures, judged, planted, shown_by, table_of, unexplained
from tests.support.synthetic_run import make_cell, make_explanation


def test_the_least_difference_that_counts_is_one_standard_error():
    assert least(900) == least(10**6) == figures(0.1).least == GAP == 0.02
    assert least(400) == pytest.approx(0.03)
    assert least(36) == pytest.approx(0.1)


@pytest.mark.parametrize(("samples", "finding"), [(900, "gap"), (40, "none")])
def test_a_fall_of_two_images_in_forty_is_chance_and_of_45_in_900_is_none(samples, finding):
    cell = shown_by(unexplained("frozen-batch-stats", gap=(-0.05, -0.05)), samples)
    assert judged(cell).finding == finding
    assert judged(shown_by(unexplained("fine-tune", gap=(0.05, 0.0)), samples)).finding == finding


def test_no_fall_of_a_single_sample_is_ever_a_gap():
    for samples in range(3, 1000):
        one = judge(LAGGING, figures(-0.1, -1 / samples, samples))
        assert one.finding == "none" or 1 / samples < GAP


def test_a_hidden_gap_has_to_be_more_than_chance_too():
    cell = planted("frozen-drifting", moving_statistics=(0.05, 0.0), dropout=(-0.15, 0.0))
    assert judged(cell).finding == "hidden"
    assert judged(shown_by(cell, 40)).finding == "none"


def test_seeds_count_as_samples():
    gaps = dict.fromkeys(range(9), 0.05)
    one = Figures({"loss": {0: 0.05}}, {"loss": {0: 0.05}}, samples=40)
    nine = Figures({"loss": gaps}, {"loss": gaps}, samples=40)
    assert judge(LAGGING, one).finding == "none"
    assert judge(LAGGING, nine).finding == "gap"


def test_seeds_give_the_gap_an_interval_and_one_seed_none():
    three = [make_cell("fine-tune", "keras", seed=seed) for seed in range(3)]
    assert re.search(r"^gap \+0\.\d\d ± 0\.\d\d in loss", plain(judged(*three).sentence))
    assert "±" not in plain(judged(three[0]).sentence)
    assert "chance" not in plain(judged(*three).sentence)
    for seed, gap in enumerate((3.0, 0.1, -0.5)):
        epochs = [[epoch[part] for epoch in three[seed]["history"]] for part in ("fit", "evaluate")]
        for fit, evaluate in zip(*epochs, strict=True):
            evaluate["loss"] = fit["loss"] + gap
        last = three[seed]["history"][-1]
        three[seed]["explanations"][1] = make_explanation(last, "last", policy="fine-tune")
    assert re.search(r"^gap \+0\.87 ± 4\.\d\d in loss \(it may be chance", plain(judged(*three).sentence))


@pytest.mark.parametrize("explained", [True, False])
def test_a_gap_in_accuracy_beside_a_better_loss_says_both(explained):
    own = planted("fine-tune", moving_statistics=(0.05, -0.12), dropout=(-0.14, 0.03))
    cell = own if explained else own | {"explanations": []}
    found = judged(cell)
    assert (found.finding, found.metric) == ("gap", "accuracy")
    assert found.gap == pytest.approx(-0.09)
    text = plain(found.sentence)
    assert text.startswith("gap -9 points in accuracy (though the loss is 0.09 lower)")
    parting = answered(cell)[0]
    assert "fine-tune (Keras accuracy -9 points) evaluates worse" in parting
    assert "loss" not in parting


CASES = [
    (loss, accuracy, samples)
    for loss in (-0.2, -0.021, -0.004, 0.0, 0.004, 0.021, 0.08, 0.6)
    for accuracy in (-0.2, -0.03, -0.021, -0.004, 0.0, 0.03)
    for samples in (40, 900)
]


@pytest.mark.parametrize(("loss", "accuracy", "samples"), CASES)
def test_a_sentence_never_contradicts_its_own_sign(loss, accuracy, samples):
    cell = shown_by(planted("fine-tune", moving_statistics=(loss, accuracy)), samples)
    for shown in (cell, cell | {"explanations": []}):
        found = judged(shown)
        text = plain(found.sentence)
        assert not re.search(r"gap [+-]?0\.00|gap [+-]?0 points", text)
        if found.finding == "gap":
            metric = found.metric
            worse = found.gap > 0 if metric == "loss" else found.gap < 0
            assert worse
            sign = r"\+0\.\d\d" if metric == "loss" else r"-\d+ points"
            assert re.match(rf"gap {sign} in {metric}", text), text
            assert re.search(
                rf"Keras {metric} {sign}\b.* evaluates worse",
                answered(shown)[0],
            )
        elif found.finding == "none":
            assert text.startswith("no gap")


def test_frameworks_that_differ_differ_in_the_metric_that_the_gap_is_in():
    cells = [
        unexplained("frozen-batch-stats", "keras", gap=(-0.09, 0.0)),
        unexplained("frozen-batch-stats", "torch", gap=(-0.09, -0.1)),
    ]
    differing = answered(*cells)[2]
    assert re.search(
        r"frozen-batch-stats \(Keras accuracy (\+\d+|0|-1) points?, PyTorch accuracy -\d+ points\)", differing
    )


def test_the_number_of_samples_is_that_of_an_epoch():
    table = table_of(shown_by(make_cell("fine-tune", "keras"), 352))
    assert table.rows["fine-tune"]["keras"].judgement.figures.samples == 352
    cell = make_cell("fine-tune", "keras")
    for epoch in cell["history"]:
        for name in ("tp", "fp", "tn", "fn"):
            epoch["evaluate"].pop(name)
    assert table_of(cell).rows["fine-tune"]["keras"].judgement.figures.samples is None
