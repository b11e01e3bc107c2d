"""What TensorFlow says at its import is left out, and nothing else that is written then."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import LONG

ROOT = Path(__file__).parents[2]
# as TensorFlow 2.21 and 2.19 write, from C
WORDS = """
import os
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
os.write(2, b"I0000 00:00:1795741185.070570   14497 port.cc:153] oneDNN custom operations are on.\\n")
os.write(2, b"2026-01-31 12:00:00.123456: E external/local_xla/cuda_fft.cc:477] Unable to register\\n")
os.write(2, b"something broke\\n")
"""
IMPORT = """
from importlib.util import find_spec
from compare.processes.quiet import hush
hush()
hush()
assert find_spec("tensorflow") is not None  # as Keras asks before it imports
import tensorflow
import os
os.write(2, b"I0000 00:00:1.0 1 port.cc:153] what it says later is its own\\n")
assert tensorflow.__spec__.name == tensorflow.value == "tensorflow"
"""


def imported(folder, words):
    (folder / "tensorflow.py").write_text(words + "value = __name__\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    return subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True, timeout=LONG
    )


def test_the_log_is_left_out_and_the_rest_is_seen(tmp_path):
    done = imported(tmp_path, WORDS)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "something broke",
        "I0000 00:00:1.0 1 port.cc:153] what it says later is its own",
    ]


def test_an_import_that_fails_says_all_of_it(tmp_path):
    done = imported(tmp_path, WORDS + "raise ImportError('libcuda is of another version')\n")
    assert done.returncode == 1
    assert done.stderr.startswith("WARNING: All log messages")
    assert "oneDNN" in done.stderr
    assert "ImportError: libcuda is of another version" in done.stderr


@pytest.mark.parametrize("name", ["numpy", "nothing_of_that_name"])
def test_nothing_else_is_found_otherwise(name):
    from importlib.util import find_spec

    from compare.processes.quiet import hush

    before, known = find_spec(name), list(sys.meta_path)
    hush()
    try:
        assert find_spec(name) == before
    finally:
        sys.meta_path[:] = known
