"""Forward passes of many batches in lockstep: all stop at a layer, pool what they brought, and go on.

The same text in both implementations; it knows no framework.
"""

import threading

import numpy as np

from .remembering import Turns

_here = threading.local()  # `current` is the pass that the thread is
_PIECE = 2**16  # values that become float64 at a time: they stay in the processor's cache


def run(forwards, put, memory, weights=None):
    """Run forward passes, one at a time, from layer to layer, each in a thread of its own.

    Args:
        forwards: functions without arguments, which call `stop` at each layer.
        put: called with a layer's name and its pooled mean and variance before the passes go on from there.
        memory: a `remembering.Memory` of what a pass may write to, such as a feature that a model keeps for a later
            layer: each pass finds there what it has written itself.
        weights: for each pass how often each of its samples counts; None counts each once.

    Returns:
        name -> (mean, variance), float64 ``(C,)``, in the order in which the data pass.

    Raises:
        ValueError: the passes stop twice at a layer, or not all at the same layers in the same order.
        BaseException: whatever a pass raises; the other passes end then.
    """
    weights = [None] * len(forwards) if weights is None else weights
    passes = [_Pass(forward, weight) for forward, weight in zip(forwards, weights, strict=True)]
    statistics: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    turns = Turns(memory)
    try:
        while True:
            stops = []  # (layer, moments), or None at the end
            for number, one in enumerate(passes):
                with turns.of(number):
                    stops.append(one.advance())
            reached = {stop[0] if stop else "the end" for stop in stops}
            if len(reached) > 1:
                raise ValueError(f"batches pass the layers in different orders: {', '.join(sorted(reached))}")
            if stops[0] is None:
                return statistics
            name = reached.pop()
            if name in statistics:
                raise ValueError(f"layer {name} is used twice in a forward pass: it has no single population")
            statistics[name] = pool([piece for _, moments in stops for piece in moments])
            put(name, *statistics[name])
    finally:
        for one in passes:
            one.abandon()


def stop(name, moments):
    """Wait, inside a forward pass, until all passes have reached the layer and its statistics are put.

    Args:
        name: the layer's.
        moments: of the layer's input, a list as `pool` takes it.
    """
    _here.current.stop((name, moments))


def moments(rows, samples, kept=None):
    """Take, inside a forward pass, the moments of a layer's input, whose vectors count as their samples do.

    Args:
        rows: the input's vectors, an array ``(N, C)``, sample after sample.
        samples: how long the input's first axis is.
        kept: which of them there are, bool ``(N,)``; None for all.

    Returns:
        The moments piece by piece, as `pool` takes them.

    Raises:
        ValueError: samples have weights, and the input's first axis isn't that of the samples.
    """
    weights = _here.current.weights
    if weights is not None and samples != len(weights):
        raise ValueError(
            f"weights are of {len(weights)} samples; a layer's input has {samples} along its first axis"
        )
    counts = np.ones(len(rows)) if weights is None else np.repeat(weights, len(rows) // len(weights)) * 1.0
    if kept is not None:
        rows, counts = rows[kept], counts[kept]
    step = max(1, _PIECE // rows.shape[1])
    found = []
    for start in range(0, len(rows), step):
        values, count = rows[start : start + step].astype(np.float64), counts[start : start + step]
        if not count.any():  # samples that count nothing
            continue
        mean = count @ values / count.sum()
        values -= mean
        found.append((count.sum(), mean, count @ np.square(values, out=values)))
    return found


def pool(moments):
    """Join the moments of pieces to those of the whole by the law of total variance.

    Args:
        moments: for each piece its weight, mean and weighted sum of squared deviations, float64 ``(C,)``.

    Returns:
        Mean and biased variance.

    Raises:
        ValueError: there are none, since no sample counts.
    """
    if not moments:
        raise ValueError("the weights of all samples are 0; some must count")
    counts, means, squares = (np.array(values) for values in zip(*moments, strict=True))
    mean = counts @ means / counts.sum()
    return mean, (squares.sum(0) + counts @ (means - mean) ** 2) / counts.sum()


class _Abandoned(BaseException):
    """Unwinds a pass that nobody waits for any longer."""


class _Pass(threading.Thread):
    """A forward pass that runs only between `advance` and its next `stop`."""

    def __init__(self, forward, weights):
        super().__init__(daemon=True)
        self.forward, self.weights = forward, weights
        self.at, self.error, self.abandoned = None, None, False
        self.resumed, self.stopped = threading.Semaphore(0), threading.Semaphore(0)

    def advance(self):
        """Run on to the next stop and return what it is at; None at the end."""
        if self.ident is None:
            self.start()
        self.resumed.release()
        self.stopped.acquire()
        if self.error is not None:
            raise self.error
        return self.at

    def stop(self, at):
        self.at = at
        self.stopped.release()
        self.resumed.acquire()
        if self.abandoned:
            raise _Abandoned

    def abandon(self):
        """End the thread, wherever the pass is."""
        self.abandoned = True
        self.resumed.release()
        if self.ident is not None:
            self.join()

    def run(self):
        _here.current = self
        self.resumed.acquire()
        try:
            self.forward()
        except _Abandoned:
            pass
        except BaseException as error:
            self.error = error
        self.at = None
        self.stopped.release()
