"""compare.diagnose on what people meet in Keras: the right cause first, no harm where there is none."""

from math import isnan

import numpy as np
import pytest

from tests.keras.diagnosis import stories
from tests.keras.diagnosis.pasting import paste_all


@pytest.mark.parametrize("name", stories.STORIES)
def test_the_cause_comes_first_the_terms_add_up_and_the_cures_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, data, _, causes, diagnosis = stories.told(name)
    assert diagnosis.findings[0].cause in causes
    assert diagnosis.harmful == (causes[0] not in stories.HARMLESS)
    assert diagnosis.probes.restored == "same"
    total = sum(term.value for term in diagnosis.terms)
    assert np.isclose(total, diagnosis.gap, rtol=1e-6, atol=1e-9) or (isnan(total) and isnan(diagnosis.gap))
    assert paste_all(diagnosis, model, data, tmp_path) > 0 or not diagnosis.harmful


def test_every_story_has_another_answer_than_the_healthy_one():
    """A diagnosis that always said the same would pass one story only."""
    first = {name: tuple(stories.told(name)[3]) for name in stories.STORIES}
    assert len(set(first.values())) >= 15
