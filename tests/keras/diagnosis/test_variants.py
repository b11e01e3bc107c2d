"""The same causes in other networks and with other losses: first finding right, and no harm that isn't there."""

import keras
import numpy as np
import pytest

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis import variants
from tests.keras.diagnosis.pasting import paste_all
from tests.keras.diagnosis.stories import HARMLESS

BESIDE = {"random-evaluation", "mode-in-evaluation", "evaluation-changes-state"}


@pytest.mark.parametrize("story", variants.VARIANTS, ids=lambda story: story.__name__)
def test_the_cause_is_first_and_alone_and_its_cure_runs(story, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(7)
    model, data, options, causes = story()
    found = diagnose(model, data, **options)
    harm = {finding.cause for finding in found.findings if finding.harmful}
    assert found.findings[0].cause in causes
    assert found.harmful == (causes[0] not in HARMLESS)
    assert harm <= {*causes, *(BESIDE if causes[0] in BESIDE else ())}
    assert found.probes.restored == "same"
    assert np.isclose(sum(term.value for term in found.terms), found.gap, rtol=1e-6, atol=1e-9)
    assert paste_all(found, model, data, tmp_path) > 0 or not found.harmful
