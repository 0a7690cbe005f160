"""The event bus in EventBridge: publishes changes, within its limits of a request."""

import itertools
import random
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.models.change import ProductChange
from product_lambda.repositories.aws_client import TemporaryException, call, open_client
from product_lambda.repositories.deadline import Deadline
from product_lambda.utils.response_builder import to_json

SOURCE: Final = "bbws.product"
MAX_ENTRIES: Final = 10
MAX_BYTES: Final = 256 * 1024 - 1
"""The size of all entries of a request (Amazon EventBridge User Guide, "Calculating Amazon
EventBridge PutEvents event entry size": less than 256 KB)."""

_MAX_ATTEMPTS: Final = 3
_FIRST_PAUSE_SECONDS: Final = 0.1
_RANDOM: Final = random.SystemRandom()
# SQS accepts neither of the two, also not from a rule (Amazon SQS API Reference, "SendMessage").
_NOT_FOR_QUEUES: Final = re.compile("[\ufffe\uffff]")


class EventsRefusedException(Exception):
    """EventBridge has refused an event several times; the text has its codes of the errors."""


class Entry(NamedTuple):
    """An event as it is sent.

    Attributes:
        detail: JSON text.
    """

    change: ProductChange
    detail: str

    @property
    def size(self) -> int:
        """The size in bytes, as EventBridge counts it."""
        return len(SOURCE) + len(self.change.change_type) + len(self.detail.encode())


def entry_for(change: ProductChange) -> Entry:
    """Return the event of a change."""
    text = to_json(change.detail())
    return Entry(change, _NOT_FOR_QUEUES.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def requests_for(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Divide entries into requests that EventBridge accepts; each entry fits in one."""
    request: list[Entry] = []
    size = 0
    for entry in entries:
        if request and (len(request) == MAX_ENTRIES or size + entry.size > MAX_BYTES):
            yield request
            request, size = [], 0
        request.append(entry)
        size += entry.size
    if request:
        yield request


class EventBus:
    """The event bus; one for each Python process."""

    def __init__(self, name: str, region: str, endpoint_url: str | None) -> None:
        """Make a client for the bus `name`; this sends nothing."""
        self._name = name
        self._client = open_client("events", region, endpoint_url)

    def publish(self, entries: Sequence[Entry], deadline: Deadline) -> None:
        """Publish events, each at least once.

        Raises:
            DependencyUnavailableException: EventBridge has not confirmed every event in time.
            EventsRefusedException: EventBridge refuses an event.
            CallRejectedException: EventBridge rejects a request.
        """
        for request in requests_for(entries):
            self._publish(request, deadline)

    def _publish(self, request: list[Entry], deadline: Deadline) -> None:
        """Publish the events of one request; those that EventBridge refuses are sent again."""
        for attempt in itertools.count(1):
            refused = self._put(request, deadline)
            if not refused:
                return
            request = [entry for entry, _ in refused]
            if attempt == _MAX_ATTEMPTS:
                codes = ", ".join(sorted({code for _, code in refused}))
                raise EventsRefusedException(f"EventBridge refuses events: {codes}")
            pause = _FIRST_PAUSE_SECONDS * 2**attempt * (1 + _RANDOM.random())
            if deadline.remaining() < pause:
                raise DependencyUnavailableException
            time.sleep(pause)

    def _put(self, request: list[Entry], deadline: Deadline) -> list[tuple[Entry, str]]:
        """Send one request, and return what was refused, with the codes of the errors."""

        def put() -> list[dict[str, Any]]:
            response = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._name,
                        "Source": SOURCE,
                        "DetailType": str(entry.change.change_type),
                        "Detail": entry.detail,
                    }
                    for entry in request
                ]
            )
            results: list[dict[str, Any]] = response.get("Entries", [])
            if len(results) != len(request):
                raise TemporaryException(f"{len(request)} events, {len(results)} results")
            return results

        return [
            (entry, str(result.get("ErrorCode")))
            for entry, result in zip(request, call(put, deadline), strict=True)
            if not result.get("EventId")
        ]
