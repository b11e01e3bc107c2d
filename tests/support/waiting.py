"""Waiting for what another process or thread does, as long as a busy machine may take for it."""

import time

# seconds: nothing that works takes as long on any machine, so only what hangs does
LONG = 300.0


def until(happened, seconds=LONG):
    """Wait until a function's answer is true, and return that answer.

    Raises:
        TimeoutError: it never was.
    """
    end = time.monotonic() + seconds
    while not (found := happened()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {happened}")
        time.sleep(0.05)
    return found
