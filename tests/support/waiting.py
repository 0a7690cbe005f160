"""Waits for another process, up to a deadline; no test sleeps in any other way."""

import time
from collections.abc import Callable


def eventually[Found](
    probe: Callable[[], Found | None], awaited: str, seconds: float = 30
) -> Found:
    """Call `probe` until its result is not None, and return the result.

    Args:
        probe: what to call.
        awaited: a name of the result, for the message.
        seconds: the deadline.

    Raises:
        AssertionError: every result within `seconds` was None.
    """
    deadline = time.monotonic() + seconds
    while (found := probe()) is None:
        assert time.monotonic() < deadline, f"waited {seconds} s for {awaited}"
        time.sleep(0.02)
    return found
