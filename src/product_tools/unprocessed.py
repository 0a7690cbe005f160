"""Says of each message that nobody has processed: which product, which change, and why."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from product_tools.change_events import Change, NotAnEventError
from product_tools.dead_letters import QUEUES, Message

PARKED: Final = "parked"
STREAM_FAILURES: Final = "stream-failures"
CHANGE: Final = "change"
_PRODUCT: Final = "PRODUCT#"


class Description(NamedTuple):
    """A message in words.

    Attributes:
        product: the id of its product; empty if the message does not say.
        change: what it is about.
        why: why nobody has processed it.
    """

    product: str
    change: str
    why: str


def describe(queue: str, message: Message, environment: str) -> Description:
    """Describe a message of a queue, given by its short name; any text has a description."""
    log = f"the log of {QUEUES[queue].function.format(environment)} says why"
    match queue:
        case "parked":
            return _parked(document(message))
        case "stream-failures":
            return _stream_failure(document(message), log)
        case "change":
            return _command(document(message), message.group, log)
        case _:
            return _event(message, log)


def _event(message: Message, log: str) -> Description:
    why = _bus_error(message.attributes) or log
    try:
        change = Change.from_json(message.body)
    except NotAnEventError as error:
        return Description("", f"no change event: {error}", why)
    texts = "; ".join(change.texts)
    text = f"{change.kind}, version {change.version}, {change.changed_at}"
    return Description(change.product_id, f"{text}: {texts}" if texts else text, why)


def _bus_error(attributes: Mapping[str, Any]) -> str:
    """Return what EventBridge says about an event that it could not deliver to the queue.

    Source: Amazon EventBridge User Guide, "Using dead-letter queues to process undelivered events".
    """
    names = ("ERROR_CODE", "ERROR_MESSAGE")
    texts = [attributes[name].get("StringValue", "") for name in names if name in attributes]
    return ": ".join(filter(None, texts))


def _command(body: Mapping[str, Any], group: str, log: str) -> Description:
    operation = body.get("operation", "no command")
    fields = body.get("changes") or body.get("draft") or {}
    names = ", ".join(fields) if isinstance(fields, dict) else ""
    text = f"{operation} by {body.get('author')}, command {body.get('commandId')}"
    return Description(
        str(body.get("productId") or group), f"{text}: {names}" if names else text, log
    )


def _parked(body: Mapping[str, Any]) -> Description:
    key = str(body.get("itemKey") or "")
    partition_key = key.partition(" ")[0]
    is_product = partition_key.startswith(_PRODUCT)
    record = body.get("record")
    event = record.get("eventName", "a record") if isinstance(record, dict) else "a record"
    kept = "" if body.get("complete", True) else ", too large to keep"
    return Description(
        partition_key.removeprefix(_PRODUCT) if is_product else "",
        f"{event} of the item {key or 'without a key'}{kept}",
        str(body.get("reason") or "no reason given"),
    )


def _stream_failure(body: Mapping[str, Any], log: str) -> Description:
    place = body.get("DDBStreamBatchInfo")
    context = body.get("requestContext")
    if not isinstance(place, dict):
        return Description("", "no place in a stream", log)
    condition = context.get("condition", "") if isinstance(context, dict) else ""
    text = (
        f"{place.get('batchSize')} records, {place.get('startSequenceNumber')} to"
        f" {place.get('endSequenceNumber')}, from {place.get('approximateArrivalOfFirstRecord')}"
    )
    return Description("", text, f"{condition}: {log}" if condition else log)


def document(message: Message) -> Mapping[str, Any]:
    """Return the JSON object in a message; an empty one if there is none."""
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
