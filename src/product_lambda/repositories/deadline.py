"""Bounds in time for calls that may hang; knows nothing of what is called."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from product_lambda.exceptions import DependencyUnavailableException

# The client's own time-outs end with the first byte of an answer: one that drips in for ever
# would hold a caller for ever. A thread that is given up on ends with its connection.
_THREADS: Final = ThreadPoolExecutor(max_workers=64, thread_name_prefix="dynamodb")
_FIRST_PAUSE_SECONDS: Final = 0.05
# Functions that start from one snapshot share the state of Python's own generator, and would all
# pause alike (AWS Lambda Developer Guide, "Handling uniqueness with Lambda SnapStart").
_RANDOM: Final = random.SystemRandom()


class Deadline:
    """The moment until which all calls made for one request must be done."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; zero or less when it has passed."""
        return self._ends_at - time.monotonic()

    def call[T](
        self,
        operation: Callable[[], T],
        *,
        timeout: float,
        retry_on: tuple[type[Exception], ...] = (),
    ) -> T:
        """Return what `operation` returns, within `at_most` seconds and before the deadline.

        An exception among `worth_repeating` is answered by one more try after a short random
        pause, where time allows.

        Raises:
            DependencyUnavailableException: time is up.
            Exception: whatever `operation` raises otherwise.
        """
        try:
            return self._once(operation, timeout)
        except retry_on:
            pause = _FIRST_PAUSE_SECONDS * (1 + _RANDOM.random())
            if self.remaining() < pause + timeout / 2:
                raise
            time.sleep(pause)
            return self._once(operation, timeout)

    def _once[T](self, operation: Callable[[], T], timeout: float) -> T:
        seconds = min(timeout, self.remaining())
        if seconds <= 0:
            raise DependencyUnavailableException
        future = _THREADS.submit(operation)
        try:
            return future.result(seconds)
        except TimeoutError as late:
            future.cancel()
            raise DependencyUnavailableException from late
