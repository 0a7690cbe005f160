"""Publishes the changes in a batch of stream records, and parks records without a readable one."""

import json
import logging
from collections.abc import Sequence
from typing import Final

from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.event_bus import MAX_BYTES, Entry, EventBus, entry_for
from product_lambda.repositories.queues import Queue
from product_lambda.repositories.stream_records import (
    UnreadableRecordException,
    change_in,
    item_key,
)
from product_lambda.utils.logger import LOGGER_NAME

_LOGGER: Final = logging.getLogger(LOGGER_NAME)
_MAX_REASON: Final = 2000  # characters
_MAX_MESSAGE: Final = 262_144  # bytes; Terraform's default for a queue
_PARK_SECONDS: Final = 8.0


class ChangeService:
    """Publishes changes on an event bus."""

    def __init__(self, bus: EventBus, parked: Queue) -> None:
        self._bus = bus
        self._parked = parked

    def publish(self, records: Sequence[object], deadline: Deadline) -> None:
        """Publish the change of each record; park what cannot be understood.

        Records are parked first. If publishing fails, the whole batch comes again: then the same
        records are parked once more, and none is lost.

        Raises:
            DependencyUnavailableException: the bus or the queue has not confirmed all in time.
            EventsRefusedException: the bus refuses an event.
            CallRejectedException: the bus or the queue rejects a call.
        """
        entries: list[Entry] = []
        for record in records:
            try:
                entry = _entry(record)
            except UnreadableRecordException as unreadable:
                self._park(record, str(unreadable), deadline)
            else:
                if entry is not None:
                    entries.append(entry)
        self._bus.publish(entries, deadline)
        for entry in entries:
            _LOGGER.info(
                "change published",
                extra={
                    "change_id": entry.change.change_id,
                    "change_type": str(entry.change.change_type),
                    "product_id": entry.change.product_id,
                    "version": entry.change.version,
                },
            )

    def _park(self, record: object, reason: str, deadline: Deadline) -> None:
        message = parked_message(record, reason)
        deadline.call(lambda: self._parked.send(message), timeout=_PARK_SECONDS)
        _LOGGER.error(
            "record parked",
            extra={"item_key": item_key(record), "reason": reason[:_MAX_REASON]},
        )


def parked_message(record: object, reason: str) -> str:
    """Return the message for a record, without its images if they do not fit in a message."""

    def message(kept: object) -> str:
        return json.dumps(
            {
                "reason": reason[:_MAX_REASON],
                "itemKey": item_key(record),
                "complete": kept is record,
                "record": kept,
            }
        )

    whole, shortened = message(record), message(_without_images(record))
    # All of it is ASCII.
    fitting = (text for text in (whole, shortened) if len(text) <= _MAX_MESSAGE)
    return next(fitting, message(None))


def _without_images(record: object) -> object:
    if not isinstance(record, dict) or not isinstance(record.get("dynamodb"), dict):
        return None
    kept = {k: v for k, v in record["dynamodb"].items() if k not in ("NewImage", "OldImage")}
    return {**record, "dynamodb": kept}


def _entry(record: object) -> Entry | None:
    """Return the event of a record; None for a record without a change.

    Raises:
        UnreadableRecordException: the record cannot be understood, or its event is too large.
    """
    change = change_in(record)
    if change is None:
        return None
    entry = entry_for(change)
    if entry.size > MAX_BYTES:
        raise UnreadableRecordException(f"the event has {entry.size} bytes, more than {MAX_BYTES}")
    return entry
