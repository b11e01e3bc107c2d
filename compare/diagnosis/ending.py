"""Whether a pass that is under way will ever end: a generator doesn't say, and one that trains needn't."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# batches before a pass is looked at for whether it ends, and how often its samples must have come again
CYCLED, CYCLES = 64, 8
# batches of a pass that nobody said the length of: augmented samples never come again, so that they can't be told
MOST = 4096


def endless(samples: Sequence[bytes], sizes: Sequence[int]) -> str | None:
    """Say why a pass seems to have no end, as the words behind the data's name; None while it may have one.

    Asked at every batch it looks at some numbers of batches only, so that a long pass isn't held up.

    Args:
        samples: the hash of each sample so far.
        sizes: of the batches.
    """
    count = len(sizes)
    if count > MOST:
        return f"gives more than {MOST:,} batches, and doesn't say whether it ends"
    if count < CYCLED or count.bit_count() != 1:
        return None
    if (period := period_of(samples, sizes)) is not None:
        return f"never ends, it begins anew every {period} batches"
    different = len(set(samples))
    if different * CYCLES <= len(samples):
        return f"gives the same {different:,} samples again and again, and doesn't say whether it ends"
    return None


def period_of(samples: Sequence[bytes], sizes: Sequence[int]) -> int | None:
    """After how many batches a pass begins anew, to the last bit; None where it doesn't."""
    each = [b"".join(samples[end - size : end]) for end, size in zip(np.cumsum(sizes), sizes, strict=True)]
    again = next((i for i in range(1, len(each) // CYCLES + 1) if each[i] == each[0]), None)
    return again if again is not None and each[again:] == each[:-again] else None
