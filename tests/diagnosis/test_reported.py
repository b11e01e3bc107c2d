"""Figures that a person saw, whatever they are kept in."""

from types import SimpleNamespace

import pytest

from compare.diagnosis.reported import Reported, read
from compare.given import names
from compare.spec import InputError


def test_fits_and_evaluations_figures_are_told_apart_by_their_names():
    found = read({"loss": 0.2, "accuracy": 0.9, "evaluate_loss": 1.7, "val_accuracy": 0.5})
    assert found.fit == {"loss": 0.2, "accuracy": 0.9}
    assert found.evaluate == {"loss": 1.7, "accuracy": 0.5}


def test_what_evaluate_said_goes_before_what_validation_said():
    assert read({"val_loss": 3.0, "evaluate_loss": 1.7}).evaluate == {"loss": 1.7}
    assert read({"evaluate_loss": 1.7, "val_loss": 3.0}).evaluate == {"loss": 1.7}


def test_a_trainers_own_names_are_understood():
    found = read({"train_loss": 0.2, "eval_loss": 0.3})
    assert (found.fit, found.evaluate) == ({"loss": 0.2}, {"loss": 0.3})


@pytest.mark.parametrize(
    ("evaluated", "epoch"), [(0.6, 2), (0.600001, 2), (0.6001, None), (0.9, None), (2.5, None)]
)
def test_a_historys_figures_are_of_the_epoch_whose_val_loss_these_weights_give(evaluated, epoch):
    epochs = {"loss": [2.0, 0.7, 0.1], "val_loss": [1.5, 0.6, 0.9], "lr": [1.0, 0.1]}
    found = read(SimpleNamespace(history=epochs, params={"batch_size": 24})).of_weights(evaluated)
    assert found.epoch == epoch
    assert (found.fit["loss"], found.evaluate["loss"]) == ((0.7, 0.6) if epoch else (0.1, 0.9))
    assert found.batch_size == 24


def test_figures_of_one_epoch_and_of_no_validation_stay_as_they_are():
    for given in ({"loss": 0.1, "val_loss": 0.9}, {"loss": [2.0, 0.1]}, {"loss": [1.0], "val_loss": [0.6]}):
        assert read(given).of_weights(0.6) == read(given)


def test_a_history_gives_its_last_epoch_and_its_batch_size():
    history = SimpleNamespace(history={"loss": [2.0, 0.5], "val_loss": [2.0, 0.7]}, params={"batch_size": 24})
    found = read(history)
    assert (found.fit, found.evaluate, found.batch_size) == ({"loss": 0.5}, {"loss": 0.7}, 24)


def test_nothing_reported_is_nothing():
    assert read(None) == Reported()


@pytest.mark.parametrize("given", [3, "loss", {"loss": "small"}], ids=str)
def test_what_is_no_figure_is_refused(given):
    with pytest.raises(InputError, match="reported"):
        read(given)


def test_a_csv_log_of_keras_gives_its_last_epoch(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("epoch,accuracy,loss,val_loss\n0,0.5,0.9,NA\n1,0.75,0.25,NA\n")
    assert names.reported(str(log)) == {"accuracy": 0.75, "loss": 0.25}
    log.write_text("epoch,loss\n0,little\n")
    with pytest.raises(InputError, match="holds what is no figure"):
        names.reported(str(log))
