"""Functions that tests have called in a worker's process."""

import errno
import gc
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from compare.spec import InputError
from tests.support.waiting import until


class LocalError(ValueError):
    """An error of a type that is not the package's own."""


class StubbornError(ValueError):
    """An error that can't be unpickled: it wants two arguments and keeps none."""

    def __init__(self, one, two):
        super().__init__()


def environment():
    return dict(os.environ)


def modules():
    return sorted({"torch", "keras", "tensorflow", "jax"} & set(sys.modules))


def collector():
    """How many objects Python's garbage collector leaves alone, and whether it is at work."""
    return gc.get_freeze_count(), gc.isenabled()


def named(module, function, *arguments):
    """Call a function of a module that only a process with its framework can import."""
    return getattr(import_module(module), function)(*arguments)


def execute(code, names):
    """Run code in which these names are known."""
    exec(code, names)


def add(a, b):
    return a + b


def say_and_return(values, say):
    for value in values:
        say(value)
    return len(values)


def fail(kind):
    raise {
        "input": InputError("--width 3: must be below 2"),
        "value": ValueError("two\nlines"),
        "disk": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file"),
        "library's disk": RuntimeError(f"writing failed: {os.strerror(errno.ENOSPC)} (os error 28)"),
        "foreign": LocalError("of its own"),
        "stubborn": StubbornError(1, 2),
    }[kind]


def die(how):
    print("its last words")
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.Signals[how])
    time.sleep(3600)


def sleep():
    """What only ends with its process."""
    time.sleep(3600)


def meet(mine, other):
    """Say by a file that one is here, and wait until the other is, too."""
    Path(mine).touch()
    until(Path(other).exists, 60)


def not_picklable():
    return lambda: None


def signals():
    """Whether Ctrl-C's signal is blocked here."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def state(framework):
    """What a framework computes with, once it is prepared."""
    if framework.side == "torch":
        import torch

        deterministic = torch.are_deterministic_algorithms_enabled()
        return torch.get_num_threads(), deterministic, str(torch.get_default_dtype()).removeprefix("torch.")
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.config import is_op_determinism_enabled

    threading = tf.config.threading
    threads = {threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()}
    dtypes = {keras.config.floatx(), keras.config.dtype_policy().name}
    return *threads, is_op_determinism_enabled(), *dtypes


def change_dtype(framework, dtype):
    framework.set_dtype(dtype)
    return state(framework)


def undetermined():
    """Compute what PyTorch has no deterministic kernel for, on any device."""
    import torch

    return torch.zeros(4).put_(torch.tensor([1]), torch.tensor([2.0])).tolist()


def normalise():
    """A batch, and what Keras's batch normalisation makes of it in training."""
    import keras
    import numpy as np

    x = np.random.default_rng(0).normal(size=(4, 3, 3, 5)).astype(keras.config.floatx())
    layer = keras.layers.BatchNormalization()
    return x.astype("float64"), np.array(keras.ops.convert_to_numpy(layer(x, training=True)))


def download_to_a_full_disk(url, path):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def download_that_keras_reports(url, path):
    raise ValueError(f"URL fetch failure on {url}: None -- [Errno 28] {os.strerror(errno.ENOSPC)}")


class Counter:
    """A thing to be kept, which counts."""

    def __init__(self, framework):
        self.count = 0

    def add(self, number):
        self.count += number
        return self.count


def count_on(counter, number):
    return counter.add(number)


def kill(counter):
    os.kill(os.getpid(), signal.SIGKILL)
