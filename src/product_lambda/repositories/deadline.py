"""Time limits for calls that may hang. This module knows nothing about the calls."""

import atexit
import random
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final

from product_lambda.exceptions import DependencyUnavailableException

_EXIT_SECONDS: Final = 2.0
_FIRST_PAUSE_SECONDS: Final = 0.05
# Functions that start from one snapshot share the state of Python's default generator, so their
# pauses would be equal (AWS Lambda Developer Guide, "Handling uniqueness with Lambda SnapStart").
_RANDOM: Final = random.SystemRandom()

type _Outcome = tuple[Any, BaseException | None]
"""What an operation returned, and what it raised."""


class _Worker(Thread):
    """A thread that runs one operation at a time and waits for the next.

    The client's read time-out covers only the first byte of a response, so a response that arrives
    byte by byte would block its caller. Each call therefore runs on such a thread. It costs half of
    what a thread of Python's pool does (docs/adr/0002-bounded-calls.md).
    """

    idle: Final[deque["_Worker"]] = deque()
    started: Final[list["_Worker"]] = []

    def __init__(self) -> None:
        super().__init__(name="dynamodb", daemon=True)
        self._jobs: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[_Outcome]] | None] = (
            SimpleQueue()
        )
        self.started.append(self)
        self.start()

    def begin(self, operation: Callable[[], Any]) -> SimpleQueue[_Outcome]:
        """Run an operation, and return the queue that will hold its outcome."""
        outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        self._jobs.put((operation, outcomes))
        return outcomes

    def end(self) -> None:
        """End the thread after the operation under way."""
        self._jobs.put(None)

    def run(self) -> None:
        """Run operations until `end`."""
        while job := self._jobs.get():
            operation, outcomes = job
            try:
                outcome: _Outcome = operation(), None
            except BaseException as error:  # noqa: BLE001 (the caller raises it)
                outcome = None, error
            # In this order, so that the caller finds this worker idle when it makes its next call.
            self.idle.append(self)
            outcomes.put(outcome)
            del job, operation, outcomes, outcome  # an idle worker keeps nothing


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
        try:
            worker = _Worker.idle.pop()
        except IndexError:
            worker = _Worker()
        try:
            result, error = worker.begin(operation).get(timeout=seconds)
        except Empty:
            late = TimeoutError(f"the call took longer than {seconds:.1f} s")
            raise DependencyUnavailableException from late
        if error is None:
            return result  # type: ignore[no-any-return]
        try:
            raise error
        finally:
            del error  # it refers to this frame


@atexit.register
def _end_workers() -> None:
    """Wait for calls under way, since the client aborts when Python ends its thread."""
    limit = Deadline(_EXIT_SECONDS)
    for worker in _Worker.started:
        worker.end()
    for worker in _Worker.started:
        worker.join(max(0, limit.remaining()))
