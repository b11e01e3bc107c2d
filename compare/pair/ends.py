"""Both models of a pair in their own processes."""

from __future__ import annotations

from functools import partial

from compare.frameworks import Framework, own
from compare.pair import side
from compare.processes.ends import End, Ends


class Pair(Ends):
    """Both models, Keras's and PyTorch's."""

    def __init__(self, dtype: str, threads: int = 1) -> None:
        self.dtype = dtype
        self.keras, self.torch = (end(one, dtype, threads) for one in (own("keras"), own("torch")))
        super().__init__(self.keras, self.torch)


def end(framework: Framework, dtype: str, threads: int = 1) -> End:
    """A process for a person's model."""
    return End(framework, partial(side.make, dtype=dtype), threads, dtype)
