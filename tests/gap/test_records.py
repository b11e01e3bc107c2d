"""What a training leaves, in and out of JSON: nothing lost, and nothing taken that isn't what it says it is."""

import json
import math

import pytest

from compare.diagnosis.records import Term
from compare.gap.reading import RecordError, read_result, to_json
from compare.gap.records import METRICS, CellResult, Evaluations, Status
from tests.support.synthetic_run import make_cell


def written(**changes):
    return json.loads(to_json(read_result(json.dumps(make_cell("fine-tune", "keras")))[0])) | changes


def test_a_result_comes_back_from_json_as_it_was():
    result, problems = read_result(json.dumps(make_cell("fine-tune", "keras", seed=3)))
    assert read_result(to_json(result)) == (result, problems) == (result, [])
    assert (result.name, result.ending, result.finished) == ("keras-fine-tune-native-seed3", "finished", True)
    assert len(result.history) == 8
    assert [entry.epoch for entry in result.explanations] == [5, 8]


def test_gaps_are_evaluate_minus_fit():
    (result, _), raw = (
        read_result(json.dumps(make_cell("fine-tune", "keras"))),
        make_cell("fine-tune", "keras"),
    )
    for metric in METRICS:
        gaps = [epoch["evaluate"][metric] - epoch["fit"][metric] for epoch in raw["history"]]
        assert [epoch.gap(metric) for epoch in result.history] == gaps
        assert result.mean_gap(metric) == pytest.approx(sum(gaps) / 8, abs=1e-12)


def test_figures_keep_every_digit_and_what_is_no_number():
    cell = make_cell("fine-tune", "keras")
    cell["history"][0]["val"] |= {"loss": math.nan, "accuracy": 0.1 + 0.2}
    result, _ = read_result(json.dumps(cell))
    again, _ = read_result(to_json(result))
    assert math.isnan(again.history[0].val["loss"])
    assert again.history[0].val["accuracy"] == 0.1 + 0.2


def test_letters_of_earlier_versions_become_names():
    cell = make_cell("fine-tune", "keras")
    levels = {letter: {"loss": float(i), "accuracy": i / 10} for i, letter in enumerate("ABCPDEF")}
    cell["explanations"][0]["evaluations"] = levels
    cell["explanations"][1]["evaluations"] = {letter: levels[letter] for letter in "ABCDE"}
    first, second = (entry.evaluations for entry in read_result(json.dumps(cell))[0].explanations)
    assert first == Evaluations(
        fit=levels["A"],
        end_of_epoch=levels["B"],
        without_dropout=levels["C"],
        population_with_dropout=levels["P"],
        population=levels["D"],
        evaluate=levels["E"],
        evaluate_reported=levels["F"],
    )
    assert second.population_with_dropout is second.evaluate_reported is None


@pytest.mark.parametrize(
    ("words", "status", "final"),
    [
        ("finished", Status.FINISHED, True),
        ("failed: loss is not finite at epoch 3, step 3", Status.NOT_FINITE, True),
        ("failed: the worker died (signal 9)", Status.DIED, False),
        ("failed: ValueError: no", Status.FAILED, False),
    ],
)
def test_how_a_cell_ended_is_a_kind_and_comes_back_in_words(words, status, final):
    result, _ = read_result(json.dumps(make_cell("frozen", "torch", status=words)))
    assert (result.status, result.ending, result.final) == (status, words, final)
    assert read_result(to_json(result))[0] == result


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": "0"}, "seed is '0'"),
        ({"seed": True}, "seed is True"),
        ({"status": "stopped"}, "status is 'stopped'"),
        ({"history": [{"epoch": 1}]}, "no history.0.learning_rate"),
        ({"history": []}, "finished without an epoch"),
        ({"history": [written()["history"][0] | {"val": {"loss": 1.0}}]}, "val has no accuracy"),
        ({"history": [written()["history"][0] | {"val": {"loss": "1"}}]}, "history.0.val.loss is '1'"),
    ],
)
def test_what_is_no_result_is_refused_in_a_line(changes, words):
    with pytest.raises(RecordError) as caught:
        read_result(json.dumps(written(**changes)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "7", "[]", "[" * 100_000])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(RecordError):
        read_result(text)


def test_an_explanation_that_is_none_is_left_out_and_named():
    whole = written()["explanations"]
    half = {name: value for name, value in whole[0].items() if name != "diagnosis"}
    result, problems = read_result(json.dumps(written(explanations=[half, whole[1]])))
    assert [entry.epoch for entry in result.explanations] == [8]
    assert problems == ["epoch 5: no diagnosis"]
    without = {name: value for name, value in whole[0].items() if name != "accuracy"}
    _, problems = read_result(json.dumps(written(explanations=[without])))
    assert problems == ["epoch 5: no accuracy"]


def test_terms_of_an_earlier_version_have_todays_names_and_the_spreads_half():
    cell = make_cell("fine-tune", "keras")
    kept = make_cell("frozen-batch-stats", "torch")
    for term, own in (("stale-statistics", cell), ("foreign-statistics", kept)):
        before = own["explanations"][1]
        found = read_result(json.dumps(own))[0].explanations[1]
        for metric in METRICS:
            old = before["terms"][metric]["moving-statistics"]
            assert found.terms[metric][term] == Term(term, old["value"], old["uncertainty"] / 2)
            total = sum(value.value for value in found.terms[metric].values())
            assert total == pytest.approx(sum(value["value"] for value in before["terms"][metric].values()))
        assert found.diagnosis.gap == pytest.approx(sum(term.value for term in found.diagnosis.terms))
        assert (found.diagnosis.findings, found.evaluations.averages) == ((), None)


@pytest.mark.parametrize("found", [None, "x", {}, 7, [None], [[]]])
def test_explanations_that_are_none_leave_the_result_usable(found):
    result, problems = read_result(json.dumps(written(explanations=found)))
    assert isinstance(result, CellResult)
    assert result.explanations == ()
    assert len(problems) == 1


@pytest.mark.parametrize("place", ["terms", "evaluations", "stages", "layers"])
def test_a_figure_of_an_explanation_that_is_no_number_is_refused(place):
    changed = written()
    entry = changed["explanations"][1]
    {
        "terms": lambda: entry["diagnosis"]["terms"][1].update(value=math.nan),
        "evaluations": lambda: entry["evaluations"]["population"].update(loss=math.inf),
        "stages": lambda: entry["stages"]["conv5"].update(loss=math.nan),
        "layers": lambda: entry["layers"][3]["kl"].update(median=math.nan),
    }[place]()
    result, problems = read_result(json.dumps(changed))
    assert [kept.epoch for kept in result.explanations] == [5]
    assert "input should be a finite number" in problems[0]
