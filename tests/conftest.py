"""One framework a process: TensorFlow imported before torch crashes the first torch optimizer."""

import gc
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support.gap_tests")

# what a terminal or a continuous integration says of colours and widths: what is printed is looked at without
for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# tests run each program once or twice: what JAX's compiler spends on making one fast is never won back
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


def pytest_collection_finish(session):
    tests = Path(__file__).parent
    groups = {item.path.relative_to(tests).parts[0] for item in session.items} & {"keras", "torch"}
    if len(groups) > 1:
        raise pytest.UsageError(
            "tests/keras and tests/torch each need a process of their own: run `make test`"
        )
    # what a framework brings stays to the end: to look through it again and again took a fifth of Keras's tests
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def process():
    """A framework's process by its name, one for all tests that call functions in it: to import one takes seconds."""
    from compare.frameworks import FRAMEWORKS
    from compare.processes.worker import Worker

    started = {}
    with ExitStack() as stack:

        def of(name):
            if name not in started:
                started[name] = stack.enter_context(Worker(FRAMEWORKS[name], 1))
            return started[name]

        yield of
