"""benchmarks.baseline_keras: the script that `compare run` is timed against runs."""

from dataclasses import replace

import pytest

from benchmarks import baseline_keras
from compare.data import Stream, load, split
from tests.support.shallow import left, shallow


@pytest.mark.parametrize("policy", ["features", "frozen-batch-stats"])
def test_it_trains_and_evaluates_every_epoch(monkeypatch, capsys, policy):
    settings = replace(baseline_keras.SETTINGS, images=16, image_size=32, batch_size=8, epochs=2)
    monkeypatch.setattr(baseline_keras, "SETTINGS", settings)
    arrays = left(baseline_keras.start_arrays())
    monkeypatch.setattr(baseline_keras, "start_arrays", lambda: arrays)
    data = load("elpv")
    stream = Stream(
        data, *split(data, 0, settings.images), settings.image_size, settings.batch_size, 0, "caffe"
    )
    with shallow():
        baseline_keras.train(policy, stream)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"{policy} epoch 1", f"{policy} epoch 2"]
