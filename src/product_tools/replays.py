"""Replays the archive of the event bus to one consumer, between two times."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import boto3

from product_tools.aws_calls import CLIENT_CONFIG, aws_errors_as

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient

CONSUMERS: Final[Mapping[str, str]] = {
    "audit": "enable_audit_log",
    "search": "enable_opensearch",
}
"""The Terraform variable that creates each consumer, by its short name."""
SECONDS_BETWEEN_LOOKS: Final = 5.0
_FINAL_STATES: Final = frozenset({"COMPLETED", "CANCELLED", "FAILED"})
_MAX_PREFIX: Final = 40  # of the 64 characters of a replay's name


class ReplayError(Exception):
    """Events were not replayed; the message is one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A replay that can start.

    Attributes:
        archive: the ARN of the archive.
        bus: the ARN of the bus.
        rule: the ARN of the consumer's rule.
        events: about how many events the archive has, at all times together.
        keeps_since: when the archive was created, in UTC.
    """

    archive: str
    bus: str
    rule: str
    events: int
    keeps_since: datetime


class Replays:
    """The replays of an environment's bus.

    Raises:
        ReplayError: a call fails, in any method.
    """

    @aws_errors_as(ReplayError)
    def __init__(self, environment: str) -> None:
        self._bus = f"bbws-product-events-{environment}"
        self._environment = environment
        self._client: EventBridgeClient = boto3.Session().client(
            "events", region_name=os.environ.get("AWS_REGION"), config=CLIENT_CONFIG
        )

    @aws_errors_as(ReplayError)
    def plan(self, consumer: str) -> Plan:
        """Look for what a replay to a consumer needs; this starts nothing.

        Args:
            consumer: one of `CONSUMERS`, or the name of the rule of another team on the bus.

        Raises:
            ReplayError: the archive or the consumer's rule is missing.
        """
        is_ours = consumer in CONSUMERS
        rule = f"bbws-product-{consumer}-{self._environment}" if is_ours else consumer
        try:
            archive = self._client.describe_archive(ArchiveName=self._bus)
        except self._client.exceptions.ResourceNotFoundException:
            raise self._missing("archive", self._bus, "enable_change_events") from None
        try:
            described = self._client.describe_rule(Name=rule, EventBusName=self._bus)
        except self._client.exceptions.ResourceNotFoundException:
            if not is_ours:
                raise ReplayError(
                    f"There is no rule {rule} on the bus {self._bus}: check its name, and give"
                    f" {', '.join(CONSUMERS)} for a consumer of this service."
                ) from None
            raise self._missing("rule", rule, CONSUMERS[consumer]) from None
        return Plan(
            archive["ArchiveArn"],
            archive["EventSourceArn"],
            described["Arn"],
            archive["EventCount"],
            archive["CreationTime"].astimezone(UTC),
        )

    @aws_errors_as(ReplayError)
    def start(self, plan: Plan, consumer: str, since: datetime, until: datetime) -> str:
        """Start a replay and return its name.

        Only the rule of the consumer gets the events (`FilterArns`); others hear nothing.
        """
        name = f"{consumer[:_MAX_PREFIX]}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        try:
            self._client.start_replay(
                ReplayName=name,
                EventSourceArn=plan.archive,
                EventStartTime=since,
                EventEndTime=until,
                Destination={"Arn": plan.bus, "FilterArns": [plan.rule]},
            )
        except self._client.exceptions.LimitExceededException:
            raise ReplayError(
                "Too many replays run in this account and region: wait until one has ended."
            ) from None
        return name

    @aws_errors_as(ReplayError)
    def wait(
        self, name: str, limit_seconds: float, show: Callable[[datetime | None], None]
    ) -> None:
        """Wait until a replay is complete.

        Args:
            name: the name of the replay.
            limit_seconds: the longest wait.
            show: called at each look with the time of the last event that was replayed; None before
                the first one.

        Raises:
            ReplayError: it has failed or was cancelled, or `limit_seconds` have passed.
        """
        deadline = time.monotonic() + limit_seconds
        while True:
            replay = self._client.describe_replay(ReplayName=name)
            state = replay["State"]
            if state == "COMPLETED":
                return
            if state in _FINAL_STATES:
                reason = replay.get("StateReason", "without a reason").rstrip(".")
                raise ReplayError(
                    f"The replay {name} is {state} ({reason}): start it again; consumers take"
                    " events that they already have for repetitions."
                )
            if time.monotonic() >= deadline:
                raise ReplayError(
                    f"The replay {name} is still {state} and goes on: look at it with"
                    f" aws events describe-replay --replay-name {name}."
                )
            show(replay.get("EventLastReplayedTime"))
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _missing(self, kind: str, name: str, switch: str) -> ReplayError:
        return ReplayError(
            f"There is no {kind} {name}: {switch} is off in {self._environment}, or the region or"
            " the account is another one."
        )
