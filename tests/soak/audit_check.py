"""Compares what writers know with the audit bucket, object by object."""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import simplejson

from tests.soak.change_writers import Confirmed

type Event = Mapping[str, Any]


def differences(
    changes: Sequence[Confirmed],
    objects: Mapping[str, bytes],
    stored: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Return a sentence for each difference.

    Args:
        changes: every confirmed change.
        objects: what each object of the bucket holds, by its key.
        stored: every product in the table as the API shows it, by its id.
    """
    events: dict[tuple[str, int, str], list[Event]] = collections.defaultdict(list)
    found: list[str] = []
    for key, body in objects.items():
        event = simplejson.loads(body, parse_float=Decimal)
        detail = event["detail"]
        events[detail["productId"], detail["version"], event["detail-type"]].append(event)
        found += _errors_of_object(key, detail)
    known = {(each.product_id, each.version, each.kind): each for each in changes}
    for name, change in known.items():
        found += _errors_of_change(change, events.get(name, []))
    found += [
        f"{_text(name)} is in the bucket, but nobody made it." for name in events - known.keys()
    ]
    for product_id, history in _histories(events).items():
        found += _errors_of_history(product_id, history, stored.get(product_id))
    return found


def _errors_of_object(key: str, detail: Event) -> Iterator[str]:
    day = detail["changedAt"][:10].replace("-", "/")
    expected = f"{day}/{detail['productId']}_{detail['changedAt']}_{detail['changeId']}.json"
    if key != expected:
        yield f"{key} should have the key {expected}."


def _errors_of_change(change: Confirmed, events: Sequence[Event]) -> Iterator[str]:
    text = _text((change.product_id, change.version, change.kind))
    if not events:
        yield f"{text} was lost."
    elif len(events) > 1:
        yield f"{text} has {len(events)} objects."
    elif change.changed_at and events[0]["detail"]["changedAt"] != change.changed_at:
        yield f"{text} has another time than {change.changed_at}."


def _errors_of_history(
    product_id: str, history: Sequence[Event], stored: Mapping[str, Any] | None
) -> Iterator[str]:
    """Yield where an event does not begin as the last one ended."""
    for event, following in pairwise(history):
        if event["detail"]["after"] != following["detail"]["before"]:
            yield f"{product_id} has a gap before version {following['detail']['version']}."
    if history[-1]["detail"]["after"] != stored:
        yield f"{product_id} differs from its last event."


def _histories(
    events: Mapping[tuple[str, int, str], Iterable[Event]],
) -> dict[str, list[Event]]:
    """Return the events of each product in the order of its versions; a removal is the last one."""
    histories: dict[str, list[Event]] = collections.defaultdict(list)
    order = sorted(events, key=lambda name: (name[0], name[1], name[2] == "ProductRemoved"))
    for name in order:
        histories[name[0]] += events[name]
    return histories


def _text(name: tuple[str, int, str]) -> str:
    return f"{name[2]} of {name[0]}, version {name[1]},"
