"""Traffic shifts: moves requests to the newest versions in steps, and watches the alarms.

This module never rolls back: it raises an error, and the caller decides.
"""

import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, Self

from product_tools.aliases import (
    Alias,
    AliasError,
    Aliases,
    Phase,
    ShiftRecord,
    latest_shift_number,
    routing,
)
from product_tools.aws_calls import aws_errors_as
from product_tools.functions import function_names
from product_tools.wait_display import shown_wait

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient

ALL = 100  # per cent
SECONDS_BETWEEN_ALARM_CHECKS = 10.0
SECONDS_BETWEEN_VALIDATION_CHECKS = 0.1
SECONDS_TO_CLEAN_UP = 20.0  # for a validation command after a stop signal
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ShiftError(Exception):
    """The shift must not continue; the message is one sentence with the reason."""


class StopRequest:
    """Remembers stop signals, so that the current call to AWS finishes first.

    Attributes:
        signal: the last stop signal; None before the first one.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._event = threading.Event()

    def __enter__(self) -> Self:
        self._replaced = {number: signal.signal(number, self._remember) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._replaced.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise an error after a stop signal.

        Raises:
            ShiftError: a stop signal has arrived.
        """
        self.wait(0)

    def wait(self, seconds: float) -> None:
        """Wait; a stop signal ends the wait.

        Raises:
            ShiftError: a stop signal has arrived.
        """
        if self._event.wait(seconds):
            raise ShiftError("The shift was interrupted.")

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self._event.set()


class Alarms:
    """The alarms of an environment.

    Args:
        prefixes: the prefixes of the alarm names.

    Raises:
        ShiftError: no alarm has one of the prefixes, or a call to AWS fails, in any method.
    """

    def __init__(self, client: "CloudWatchClient", prefixes: Sequence[str]) -> None:
        self._client = client
        self._names = [name for prefix in prefixes for name in self._find(prefix)]
        self._tolerated: set[str] = set()
        if not self._names:
            raise ShiftError(
                f"There is no alarm named {prefixes[0]}… to watch, so errors of the new version"
                " would stay unnoticed: deploy the alarms with Terraform first."
            )

    def __len__(self) -> int:
        return len(self._names)

    @aws_errors_as(ShiftError)
    def firing(self) -> list[str]:
        """Return the names of the alarms in the state ALARM."""
        response = self._client.describe_alarms(
            AlarmNames=self._names, StateValue="ALARM", MaxRecords=100
        )
        return sorted(alarm["AlarmName"] for alarm in response["MetricAlarms"])

    def tolerate(self, names: Iterable[str]) -> None:
        """Ignore these firing alarms until they recover."""
        self._tolerated = set(names)

    def firing_untolerated(self) -> list[str]:
        """Return the firing alarms without the tolerated ones.

        A tolerated alarm that recovers is no longer tolerated.
        """
        firing = self.firing()
        self._tolerated &= set(firing)
        return [name for name in firing if name not in self._tolerated]

    @aws_errors_as(ShiftError)
    def _find(self, prefix: str) -> list[str]:
        pages = self._client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
        return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]


class Shift:
    """One shift of several functions to their newest versions.

    It continues an unfinished shift when there is one.

    Args:
        aliases: reads and moves the aliases.
        functions: the names of the functions.

    Attributes:
        number: the number of the shift.

    Raises:
        AliasError: a call to AWS fails, or an earlier shift is in the way.
    """

    def __init__(self, aliases: Aliases, functions: Sequence[str]) -> None:
        self._aliases = aliases
        states = [aliases.read(function) for function in functions]
        newest = {function: aliases.newest_version(function) for function in functions}
        _check_earlier_shifts(states, newest)
        latest = latest_shift_number(states)
        is_continued = any(alias.is_shifting for alias in states)
        self.number = latest if is_continued else latest + 1
        self._moving = [
            alias
            for alias in states
            if alias.version != newest[alias.function] or self._includes(alias)
        ]
        self._records = {
            alias.function: ShiftRecord(
                Phase.SHIFTING, self._old_version(alias), newest[alias.function], self.number
            )
            for alias in self._moving
        }

    @property
    def functions(self) -> list[str]:
        """The functions that the shift moves."""
        return [alias.function for alias in self._moving]

    @property
    def reached(self) -> int:
        """The highest percentage that the new version of any function already gets."""
        shares = (
            alias.shares.get(self._records[alias.function].new_version, 0.0)
            for alias in self._moving
        )
        return round(ALL * max(shares, default=0.0))

    def step(self, percent: int, check_stop: Callable[[], None]) -> None:
        """Send a share of the requests of each function to its new version.

        Args:
            percent: the share, in per cent.
            check_stop: runs before each function; its errors end the step.
        """
        for position, alias in enumerate(self._moving):
            check_stop()
            record = self._records[alias.function]
            version, weights = routing(record.old_version, record.new_version, percent)
            self._moving[position] = self._aliases.move(alias, version, weights, record)
            print(self._moving[position], flush=True)

    def finish(self) -> None:
        """Record on every alias that the shift is complete."""
        for position, alias in enumerate(self._moving):
            record = replace(self._records[alias.function], phase=Phase.SHIFTED)
            self._moving[position] = self._aliases.move(alias, record.new_version, {}, record)

    def _includes(self, alias: Alias) -> bool:
        """Return whether an interrupted run of this shift has already moved the alias."""
        return alias.last_shift is not None and alias.last_shift.number == self.number

    def _old_version(self, alias: Alias) -> str:
        if alias.last_shift is not None and self._includes(alias):
            return alias.last_shift.old_version
        return alias.version


def _check_earlier_shifts(states: Sequence[Alias], newest: Mapping[str, str]) -> None:
    """Check that no earlier shift is in the way of a new one.

    Raises:
        AliasError: an unfinished shift has another target, or weights have an unknown origin.
    """
    for alias in states:
        record = alias.last_shift
        if record and alias.is_shifting and record.new_version != newest[alias.function]:
            raise AliasError(
                f"Shift {record.number} of {alias.function} to version {record.new_version} was"
                " not finished, and a newer version exists: run scripts/rollback.py first."
            )
    for alias in states:
        if alias.weights and not alias.is_shifting:
            raise AliasError(
                f"The alias of {alias.function} has weights that no shift has set: find out who"
                " set them, and remove them."
            )


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps of a shift, and the checks after each step.

    Attributes:
        steps: rising percentages of requests for the new versions; the last one is 100.
        wait_seconds: how long to watch the alarms after each step; 0 means one look.
        validation_command: a command that runs after each step; None means no validation.
    """

    steps: Sequence[int]
    wait_seconds: float = 0.0
    validation_command: str | None = None


def alarm_prefixes(environment: str) -> list[str]:
    """Return the prefixes of all alarm names of an environment (terraform/cloudwatch.tf)."""
    resources = [f"bbws-product-api-{environment}", f"bbws-product-table-{environment}"]
    return [f"{name}-" for name in (*resources, *function_names(environment))]


def carry_out(shift: Shift, alarms: Alarms, schedule: Schedule, stop: StopRequest) -> None:
    """Make the remaining steps; after each step, run the validation and watch the alarms.

    Raises:
        ShiftError: the validation fails, an alarm fires, or a stop signal arrives.
        AliasError: an alias cannot be moved.
    """
    if not shift.functions:
        print("Every function is on its newest version: there is nothing to shift.", flush=True)
        if schedule.validation_command:
            _run_validation(schedule.validation_command, stop)
        return
    print(f"Shift {shift.number}: watching {len(alarms)} alarms.", flush=True)
    for percent in schedule.steps:
        if percent < shift.reached:
            continue
        shift.step(percent, stop.check)
        if schedule.validation_command:
            _run_validation(schedule.validation_command, stop)
        _watch(alarms, schedule.wait_seconds, stop)
    shift.finish()
    print(f"Shift {shift.number} is complete: all requests go to the new versions.", flush=True)


def _watch(alarms: Alarms, seconds: float, stop: StopRequest) -> None:
    """Check the alarms now, and for `seconds` more.

    Raises:
        ShiftError: an alarm fires that is not tolerated, or a stop signal arrives.
    """
    stop.check()
    _check(alarms)
    if seconds == 0:
        return
    deadline = time.monotonic() + seconds
    with shown_wait(f"Watching {len(alarms)} alarms", seconds) as show:
        while (left := deadline - time.monotonic()) > 0:
            stop.wait(min(left, SECONDS_BETWEEN_ALARM_CHECKS))
            _check(alarms)
            show()


def _check(alarms: Alarms) -> None:
    """Check the alarms once.

    Raises:
        ShiftError: an alarm fires that is not tolerated.
    """
    if firing := alarms.firing_untolerated():
        raise ShiftError(
            f"The new version must not take over: these alarms are firing: {', '.join(firing)}."
        )


def _run_validation(command: str, stop: StopRequest) -> None:
    """Run the validation command.

    After a stop signal, the command gets SIGTERM and time to clean up.

    Raises:
        ShiftError: the command fails or cannot start, or a stop signal arrives.
    """
    with ExitStack() as stack:
        try:
            child = stack.enter_context(subprocess.Popen(shlex.split(command)))
        except OSError as error:
            raise ShiftError(f"The validation command cannot start ({error}).") from error
        try:
            while child.poll() is None:
                stop.wait(SECONDS_BETWEEN_VALIDATION_CHECKS)
        except ShiftError:
            child.terminate()
            try:
                child.wait(SECONDS_TO_CLEAN_UP)
            except subprocess.TimeoutExpired:
                child.kill()
            raise
        if child.returncode:
            raise ShiftError(f"The validation failed (exit code {child.returncode}).")
