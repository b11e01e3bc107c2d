"""What a framework refuses, in one line."""

import pytest

from compare.diagnosis.measured import Measured
from compare.diagnosis.probes import Probed
from compare.diagnosis.refusing import LONGEST, said
from compare.diagnosis.side import Facts, Pass

KERAS = (
    "\x1b[1mInvalid input shape.\x1b[0m\n\nArguments received by Sequential.call():\n  args=('tf.Tensor',)"
)


@pytest.mark.parametrize(
    ("text", "line"),
    [(KERAS, "Invalid input shape."), ("two\nlines", "two lines"), ("", "ValueError"), ("a " * 200, None)],
)
def test_a_message_is_one_line_without_colours_and_arguments(text, line):
    told = said(ValueError(text))
    assert told == line if line else (told.endswith(" ...") and len(told) <= LONGEST + 4)


def test_a_measurement_that_a_model_refuses_leaves_such_a_line():
    def refuse():
        raise ValueError(KERAS)

    measured = Measured([], Facts(), Probed(), frozenset(), Pass([], {}))
    assert measured.attempt(refuse) is None
    assert measured.dealing(refuse) is None
    assert measured.skipped == [
        "Invalid input shape.", "The samples couldn't be dealt to other batches: Invalid input shape.",
    ]  # fmt: skip
    assert measured.attempt(lambda: 3) == 3
