"""Time limits of calls, and their retries."""

import contextlib
import gc
import re
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.repositories import deadline
from product_lambda.repositories.deadline import Deadline

LATE_CALL = """
import threading, time
from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.repositories.deadline import Deadline

def operation():
    time.sleep(0.5)
    print("ended", flush=True)

try:
    Deadline(60).call(operation, timeout=0.01)
except DependencyUnavailableException:
    print("late", flush=True)
"""
"""A program that ends while a call is under way."""


class Clock:
    """A stand-in for the module `time`; only `sleep` advances it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stand_in = Clock()
    monkeypatch.setattr(deadline, "time", stand_in)
    return stand_in


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """An event that is set at the end of the test and ends hanging calls."""
    event = threading.Event()
    yield event
    event.set()


class Failing:
    """Raises a number of times, then returns the number of its calls."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return self.calls


def test_call_returns_result(clock: Clock) -> None:
    assert Deadline(1).call(lambda: "found", timeout=1) == "found"
    assert clock.slept == []


def test_remaining_time_decreases(clock: Clock) -> None:
    limit = Deadline(2.5)
    clock.now += 1
    assert limit.remaining() == 1.5
    clock.now += 2
    assert limit.remaining() == -0.5


@pytest.mark.parametrize("passed", [1.0, 1.5])
def test_no_call_is_made_after_deadline(clock: Clock, passed: float) -> None:
    operation = Failing()
    limit = Deadline(1)
    clock.now += passed
    with pytest.raises(DependencyUnavailableException):
        limit.call(operation, timeout=1)
    assert Deadline(1).call(lambda: operation.calls, timeout=1) == 0


def test_exception_is_raised_after_one_call(clock: Clock) -> None:
    operation = Failing(ValueError("wrong"), ValueError("wrong again"))
    with pytest.raises(ValueError, match=r"^wrong$"):
        Deadline(10).call(operation, timeout=1)
    assert operation.calls == 1
    assert clock.slept == []


def test_only_retryable_exceptions_are_retried(clock: Clock) -> None:
    operation = Failing(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        Deadline(10).call(operation, timeout=1, retry_on=(KeyError, OSError))
    assert operation.calls == 1
    assert clock.slept == []


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.05), (0.5, 0.075), (1.0, 0.1)])
def test_retry_follows_short_random_pause(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, chance: float, pause: float
) -> None:
    monkeypatch.setattr("random.SystemRandom.random", lambda _: chance)
    operation = Failing(ConnectionError())
    assert Deadline(10).call(operation, timeout=1, retry_on=(OSError,)) == 2
    assert clock.slept == [pytest.approx(pause)]


def test_call_is_retried_only_once(clock: Clock) -> None:
    operation = Failing(ConnectionError("1"), ConnectionError("2"), ConnectionError("3"))
    with pytest.raises(ConnectionError, match="2"):
        Deadline(10).call(operation, timeout=1, retry_on=(OSError,))
    assert operation.calls == 2
    assert len(clock.slept) == 1


@pytest.mark.parametrize(("left", "calls"), [(0.5625, 2), (0.5624, 1), (10, 2), (0.1, 1)])
def test_retry_needs_time_for_pause_and_half_a_call(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, left: float, calls: int
) -> None:
    monkeypatch.setattr("random.SystemRandom.random", lambda _: 0.25)  # a pause of 0.0625
    operation = Failing(ConnectionError("1"))
    limit = Deadline(left)
    if calls == 2:
        assert limit.call(operation, timeout=1, retry_on=(OSError,)) == 2
    else:
        with pytest.raises(ConnectionError, match="1"):
            limit.call(operation, timeout=1, retry_on=(OSError,))
        assert clock.slept == []
    assert operation.calls == calls


@pytest.mark.parametrize(("timeout", "left"), [(0.01, 60), (60, 0.5)])
def test_hanging_call_times_out(released: threading.Event, timeout: float, left: float) -> None:
    with pytest.raises(DependencyUnavailableException) as raised:
        Deadline(left).call(released.wait, timeout=timeout)
    assert isinstance(raised.value.__cause__, TimeoutError)
    assert re.fullmatch(r"the call took longer than 0\.\d s", str(raised.value.__cause__))


def test_hanging_call_is_not_retried(released: threading.Event) -> None:
    calls: list[bool] = []

    def hang() -> None:
        calls.append(True)
        released.wait()

    with pytest.raises(DependencyUnavailableException):
        Deadline(60).call(hang, timeout=0.01, retry_on=(OSError,))
    assert calls == [True]


def test_later_calls_reuse_threads() -> None:
    limit = Deadline(60)
    threads = {limit.call(threading.get_ident, timeout=10) for _ in range(20)}
    assert len(threads) < 20
    assert threading.get_ident() not in threads


def test_late_call_keeps_its_thread(released: threading.Event) -> None:
    hanging: list[int] = []

    def hang() -> None:
        hanging.append(threading.get_ident())
        released.wait()

    with pytest.raises(DependencyUnavailableException):
        Deadline(60).call(hang, timeout=0.01)
    assert Deadline(60).call(threading.get_ident, timeout=10) not in hanging


def test_finished_call_leaves_no_reference() -> None:
    class Failed(Exception):
        """Weak references to it are possible."""

    def fail() -> None:
        raise failures.pop()

    failure = Failed()
    failures, kept = [failure], weakref.ref(failure)
    del failure
    gc.disable()
    try:
        with contextlib.suppress(Failed):
            Deadline(60).call(fail, timeout=10)
        for _ in range(1000):  # the thread leaves the call after its caller has gone on
            if kept() is None:
                break
            time.sleep(0.01)
        assert kept() is None
    finally:
        gc.enable()


@pytest.fixture
def workers(
    monkeypatch: pytest.MonkeyPatch, released: threading.Event
) -> Iterator[list[threading.Thread]]:
    """The threads that the test starts; those of other tests stay apart."""
    started: list[threading.Thread] = []
    monkeypatch.setattr(deadline._Worker, "started", started)
    monkeypatch.setattr(deadline._Worker, "idle", deque())
    yield started
    released.set()
    for worker in started:
        worker.join(10)


def test_new_thread_has_a_name_and_does_not_keep_the_process(
    workers: list[threading.Thread],
) -> None:
    thread = Deadline(60).call(threading.current_thread, timeout=10)
    assert workers == [thread]
    assert (thread.name, thread.daemon) == ("dynamodb", True)


def test_exit_waits_for_call_under_way(
    workers: list[threading.Thread], released: threading.Event
) -> None:
    Deadline(60).call(lambda: None, timeout=10)
    for _ in range(2):
        with pytest.raises(DependencyUnavailableException):
            Deadline(60).call(released.wait, timeout=0.01)
    threading.Timer(0.1, released.set).start()
    deadline._end_workers()
    assert len(workers) == 2
    assert not any(worker.is_alive() for worker in workers)


def test_exit_does_not_wait_for_hanging_calls(
    workers: list[threading.Thread], released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "_EXIT_SECONDS", 0.05)
    for _ in range(2):
        with pytest.raises(DependencyUnavailableException):
            Deadline(60).call(released.wait, timeout=0.01)
    deadline._end_workers()
    assert [worker.is_alive() for worker in workers] == [True, True]


def test_process_ends_after_late_call() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LATE_CALL], capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"late\nended\n", b"")


def test_calls_run_in_parallel(released: threading.Event) -> None:
    everybody_is_here = threading.Barrier(16)

    def meet() -> Callable[[], None]:
        everybody_is_here.wait(10)
        return released.set

    with ThreadPoolExecutor(16) as callers:
        met = [callers.submit(lambda: Deadline(20).call(meet, timeout=20)) for _ in range(16)]
        assert len([each.result() for each in met]) == 16
