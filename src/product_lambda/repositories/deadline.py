"""Time limits for calls that may hang. This module knows nothing about the calls."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from product_lambda.exceptions import DependencyUnavailableException

# The client's read time-out covers only the first byte of a response, so a response that arrives
# byte by byte would block its caller. Each call therefore runs on a thread of this pool.
_THREADS: Final = ThreadPoolExecutor(max_workers=64, thread_name_prefix="dynamodb")
_FIRST_PAUSE_SECONDS: Final = 0.05
# Functions that start from one snapshot share the state of Python's default generator, so their
# pauses would be equal (AWS Lambda Developer Guide, "Handling uniqueness with Lambda SnapStart").
_RANDOM: Final = random.SystemRandom()


class Deadline:
    """The time by which all calls of one request must end."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds left; zero or less after the deadline."""
        return self._ends_at - time.monotonic()

    def call[T](
        self,
        operation: Callable[[], T],
        *,
        timeout: float,
        retry_on: tuple[type[Exception], ...] = (),
    ) -> T:
        """Return the result of `operation` within `timeout` seconds and before the deadline.

        After an exception of a type in `retry_on` there is one retry, after a short random pause
        and only if the time allows it.

        Raises:
            DependencyUnavailableException: the time is over.
            Exception: any other exception of `operation`.
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
