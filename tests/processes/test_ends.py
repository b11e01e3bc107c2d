"""Two ends at work, each with a thing in its process."""

from pathlib import Path

import pytest

from compare.frameworks import FRAMEWORKS
from compare.processes.ends import End, Ends
from compare.spec import InputError
from tests.support import far_functions as far


def ends():
    return Ends(*(End(FRAMEWORKS["torch"], far.Counter, 1) for _ in range(2)))


def test_each_keeps_its_own_thing_and_both_are_asked_at_once():
    with ends() as both:
        assert both.both("add", (2,), (3,)) == (2, 3)
        assert both.both(far.count_on, (10,), (20,)) == (12, 23)
        assert both.ends[0].call("add", 0) == 12
        assert Path(both.file("a")).parent == both.folder
        assert both.folder.is_dir()
        assert {"python", "torch", "numpy"} <= both.versions().keys()
        assert both.peak_memory() > 0
    assert not both.folder.exists()


def test_a_process_that_is_killed_is_a_line_and_no_traceback():
    with ends() as both:
        both.ends[0].call("add", 1)
        with pytest.raises(InputError, match=r"the torch worker died .*killed"):
            both.ends[0].call(far.kill)
        with pytest.raises(InputError, match="the torch worker died"):
            both.ends[0].call("add", 1)
        assert both.ends[1].call("add", 0) == 0
