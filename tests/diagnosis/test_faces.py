"""`compare.torch` and its like are there without a framework, until somebody asks for one."""

import subprocess
import sys

import pytest

import compare


def test_importing_compare_imports_no_framework():
    code = (
        "import sys, compare; dir(compare);"
        "print([name for name in ('torch', 'keras', 'tensorflow', 'lightning', 'transformers') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'tensorflow'"):
        _ = compare.tensorflow
