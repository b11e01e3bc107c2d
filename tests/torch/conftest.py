"""Whatever ran before, a test and the fixtures that begin with it draw the same numbers."""

import random

import numpy as np
import pytest
import torch


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # what data sets of a person's own draw from
    torch.manual_seed(0)
