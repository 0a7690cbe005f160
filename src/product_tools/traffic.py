"""Moves requests to the newest version of every function, in steps, while it watches the alarms.

It rolls nothing back itself: it raises, and the caller decides.
"""

import argparse
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from product_tools.aliases import (
    Alias,
    AliasError,
    Aliases,
    Note,
    Phase,
    explained,
    latest_shift,
    routing,
)
from product_tools.functions import function_names

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient

ALL = 100  # per cent
SECONDS_BETWEEN_LOOKS = 10.0
SECONDS_TO_CLEAN_UP = 20.0  # for a validation that is stopped
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ShiftError(Exception):
    """The new version must not take over; the text is a sentence that says why."""


class Stop:
    """Remembers that a signal asked to stop, so that a call under way is finished first."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._event = threading.Event()

    def __enter__(self) -> Self:
        self._replaced = {number: signal.signal(number, self._heed) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._replaced.items():
            signal.signal(number, handler)

    def pause(self, seconds: float) -> None:
        """Wait, but not on when a signal has come.

        Raises:
            ShiftError: one has.
        """
        if self._event.wait(seconds):
            raise ShiftError("The shift was interrupted.")

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self._event.set()


class Alarms:
    """The alarms of an environment.

    Raises:
        ShiftError: CloudWatch refuses to tell, in any method.
    """

    def __init__(self, client: "CloudWatchClient", prefixes: Sequence[str]) -> None:
        self._client = client
        self._names = [name for prefix in prefixes for name in self._named(prefix)]
        if not self._names:
            raise ShiftError(
                f"There is no alarm named {prefixes[0]}… to watch, so a fault of the new version"
                " would go unnoticed: deploy the alarms with Terraform first."
            )

    def __len__(self) -> int:
        return len(self._names)

    def firing(self) -> list[str]:
        """Return the names of those in the state ALARM."""
        try:
            response = self._client.describe_alarms(
                AlarmNames=self._names, StateValue="ALARM", MaxRecords=100
            )
        except (BotoCoreError, ClientError) as error:
            raise ShiftError(explained(error)) from error
        return sorted(alarm["AlarmName"] for alarm in response["MetricAlarms"])

    def _named(self, prefix: str) -> list[str]:
        try:
            pages = self._client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
            return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]
        except (BotoCoreError, ClientError) as error:
            raise ShiftError(explained(error)) from error


class Shift:
    """One shift of several functions to their newest versions.

    Args:
        aliases: reads and moves them.
        functions: their names.

    Raises:
        AliasError: AWS refuses, or an earlier shift is in the way.
    """

    def __init__(self, aliases: Aliases, functions: Sequence[str]) -> None:
        self._aliases = aliases
        states = [aliases.read(function) for function in functions]
        newest = {function: aliases.newest_version(function) for function in functions}
        latest = latest_shift(states)
        resumed = [alias for alias in states if _is_shifting(alias)]
        for alias in resumed:
            if alias.note and alias.note.to != newest[alias.function]:
                raise AliasError(
                    f"Shift {alias.note.shift} of {alias.function} to version {alias.note.to} was"
                    " not finished, and a newer one exists: run scripts/rollback.py first."
                )
        for alias in states:
            if alias.weights and not _is_shifting(alias):
                raise AliasError(
                    f"The alias of {alias.function} has weights that no shift of this script gave"
                    " it: see who did, and take them off."
                )
        self.number = latest if resumed else latest + 1
        self._members = [
            alias
            for alias in states
            if alias.version != newest[alias.function]
            or (resumed and alias.note and alias.note.shift == latest)
        ]
        self._notes = {
            alias.function: self._note_for(alias, newest[alias.function]) for alias in self._members
        }

    @property
    def functions(self) -> list[str]:
        """The functions that it moves."""
        return [alias.function for alias in self._members]

    @property
    def reached(self) -> int:
        """The percentage that a killed run of this shift had come to on any function."""
        shares = (alias.shares.get(self._notes[alias.function].to, 0.0) for alias in self._members)
        return round(ALL * max(shares, default=0.0))

    def step(self, percent: int, pause: Callable[[float], None]) -> None:
        """Send `percent` of each function's requests to its new version, which `note` tells."""
        for position, alias in enumerate(self._members):
            pause(0)
            note = self._notes[alias.function]
            version, weights = routing(note.before, note.to, percent)
            self._members[position] = self._aliases.move(alias, version, weights, note)
            print(self._members[position], flush=True)

    def finish(self) -> None:
        """Record that the new versions have proved themselves."""
        for position, alias in enumerate(self._members):
            note = self._notes[alias.function]
            done = Note(Phase.SHIFTED, note.before, note.to, note.shift)
            self._members[position] = self._aliases.move(alias, note.to, {}, done)

    def _note_for(self, alias: Alias, newest: str) -> Note:
        if alias.note and alias.note.shift == self.number:
            return Note(Phase.SHIFTING, alias.note.before, newest, self.number)
        return Note(Phase.SHIFTING, alias.version, newest, self.number)


def _is_shifting(alias: Alias) -> bool:
    return alias.note is not None and alias.note.phase is Phase.SHIFTING


def alarm_prefixes(environment: str) -> list[str]:
    """Return what an environment's alarms are called (terraform/cloudwatch.tf) up to the fault."""
    owners = [f"bbws-product-api-{environment}", f"bbws-product-table-{environment}"]
    return [f"{owner}-" for owner in (*owners, *function_names(environment))]


def carry_out(
    shift: Shift, alarms: Alarms, tolerated: set[str], options: argparse.Namespace, stop: Stop
) -> None:
    """Take the steps that are left, each validated and watched.

    Raises:
        ShiftError, AliasError: the new versions must not take over.
    """
    if not shift.functions:
        print("Every function is on its newest version: there is nothing to shift.", flush=True)
        if options.validate:
            _validate(options.validate, stop)
        return
    print(f"Shift {shift.number}: watching {len(alarms)} alarms.", flush=True)
    for percent in options.steps:
        if percent < shift.reached:
            continue
        shift.step(percent, stop.pause)
        if options.validate:
            _validate(options.validate, stop)
        _watch(alarms, tolerated, options.wait, stop)
    shift.finish()
    print(f"Shift {shift.number} is complete: all requests go to the new versions.", flush=True)


def _watch(alarms: Alarms, tolerated: set[str], seconds: float, stop: Stop) -> None:
    """Look at the alarms until `seconds` have passed, and at least once.

    An alarm that fired before the shift is tolerated until it has once recovered.

    Raises:
        ShiftError: one fires, or a signal came.
    """
    deadline = time.monotonic() + seconds
    while True:
        firing = set(alarms.firing())
        tolerated &= firing
        if firing - tolerated:
            raise ShiftError(f"The new version must not take over: {listed(firing - tolerated)}.")
        left = deadline - time.monotonic()
        stop.pause(max(0.0, min(left, SECONDS_BETWEEN_LOOKS)))
        if left <= 0:
            return


def _validate(command: str, stop: Stop) -> None:
    """Run the validation.

    Raises:
        ShiftError: it failed, cannot be run, or a signal came; then it has time to clean up.
    """
    with ExitStack() as stack:
        try:
            child = stack.enter_context(subprocess.Popen(shlex.split(command)))
        except OSError as error:
            raise ShiftError(f"The validation cannot be run ({error}).") from error
        try:
            while child.poll() is None:
                stop.pause(0.1)
        except ShiftError:
            child.terminate()
            try:
                child.wait(SECONDS_TO_CLEAN_UP)
            except subprocess.TimeoutExpired:
                child.kill()
            raise
        if child.returncode:
            raise ShiftError(f"The validation failed (exit code {child.returncode}).")


def listed(alarms: Sequence[str] | set[str]) -> str:
    """Return part of a sentence that names alarms."""
    names = sorted(alarms)
    return f"these alarms fire: {', '.join(names)}"
