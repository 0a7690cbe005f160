"""Waits for what another process does, up to a deadline; no test sleeps in any other way."""

import time
from collections.abc import Callable


def eventually[Found](
    probe: Callable[[], Found | None], awaited: str, seconds: float = 30
) -> Found:
    """Return the first answer of `probe` that is not None.

    Raises:
        AssertionError: there was none within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while (found := probe()) is None:
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {awaited}"
        time.sleep(0.02)
    return found
