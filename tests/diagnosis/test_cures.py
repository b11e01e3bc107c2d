"""The cures as a table: each line of code belongs to a sentence, and is found by the same two words."""

import pytest

from compare.diagnosis import cures_keras, cures_torch
from compare.diagnosis.cures import SENTENCES, cure

CODES = {"keras": cures_keras.CODE, "torch": cures_torch.CODE}


@pytest.mark.parametrize("framework", CODES)
def test_each_code_is_shown_for_the_case_that_it_is_written_for(framework):
    for (cause, detail), code in CODES[framework].items():
        assert (cause, detail) in SENTENCES
        shown = cure(framework, cause, ("bn",), detail, "x / 255").code
        code = code.replace("{batch}", "x, *_").replace("{call}", "model(x)")
        assert shown == code.replace("{names}", "('bn',)").replace("{change}", "x / 255")


def test_a_step_of_ones_own_is_what_both_data_are_evaluated_by():
    for framework in CODES:
        assert "step(model, batch)" in cure(framework, "objective", detail="by-step").code
