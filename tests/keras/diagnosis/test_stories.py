"""compare.diagnose on what people meet in Keras: the right cause first, no harm where there is none."""

from math import isnan

import numpy as np
import pytest

from tests.keras.diagnosis import stories


@pytest.fixture(scope="module", params=list(stories.STORIES))
def told(request):
    """One test a story: each takes a fit and a diagnosis."""
    *_, causes, diagnosis = stories.told(request.param)
    return diagnosis, causes


def test_the_cause_comes_first_and_the_terms_add_up(told):
    diagnosis, causes = told
    assert diagnosis.findings[0].cause in causes
    assert diagnosis.harmful == (causes[0] not in stories.HARMLESS)
    assert diagnosis.probes.restored == "same"
    total = sum(term.value for term in diagnosis.terms)
    assert np.isclose(total, diagnosis.gap, rtol=1e-6, atol=1e-9) or (isnan(total) and isnan(diagnosis.gap))


def test_every_story_has_another_answer_than_the_healthy_one():
    """A diagnosis that always said the same would pass one story only."""
    first = {name: tuple(stories.told(name)[3]) for name in stories.STORIES}
    assert len(set(first.values())) >= 15
