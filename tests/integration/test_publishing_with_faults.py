"""Random batches of a stream, while the bus and the queue fail at random: no change is lost."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.engine import REGION
from product_lambda.repositories import event_bus
from product_lambda.repositories.aws_client import Limits
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.event_bus import EventBus
from product_lambda.repositories.queues import Queue
from product_lambda.services.change_service import ChangeService
from tests.support import faulty_dynamodb as faults
from tests.support.faulty_dynamodb import Exchange, faulty_dynamodb
from tests.support.products import product
from tests.support.raw_items import raw_product
from tests.support.stream_records import checked_detail, image, record

IMAGE = image(product())
FAULTS = [faults.reset, faults.error_response("InternalException", status=500)]
KINDS: dict[str, Callable[[], Any]] = {
    "change": lambda: record(None, IMAGE),
    "poison": lambda: record(None, raw_product("PROD-002", price={"N": "-1"})),
    "no record": lambda: {"eventID": "x"},
    "counter": lambda: record(None, {"PK": {"S": "COUNTER#PRODUCT"}, "SK": {"S": "METADATA"}}),
    "hidden": lambda: record(IMAGE, {**IMAGE, "nameKey": {"S": "x"}}),
}


@dataclass
class Services:
    """A bus and a queue that fail in some way in a share of the requests.

    Attributes:
        published: the ids of the changes in the bus, with repetitions.
        parked: the records in the queue, with repetitions.
    """

    chance: random.Random
    share: float
    published: list[str] = field(default_factory=list)
    parked: list[Any] = field(default_factory=list)

    def respond(self, exchange: Exchange) -> None:
        """Carry out a request, or fail before or after that."""
        if self._fails():
            self.chance.choice(FAULTS)(exchange)
            return
        request = json.loads(exchange.request)
        if exchange.operation == "SendMessage":
            self.parked.append(json.loads(request["MessageBody"])["record"])
            response: dict[str, Any] = {"MessageId": "1"}
        else:
            response = {"Entries": [self._accept(entry) for entry in request["Entries"]]}
        if self._fails():
            faults.reset(exchange)
        exchange.respond(200, json.dumps(response).encode())

    def _accept(self, entry: dict[str, str]) -> dict[str, str]:
        if self._fails():
            return {"ErrorCode": "InternalFailure"}
        self.published.append(checked_detail(entry["Detail"])["changeId"])
        return {"EventId": "1"}

    def _fails(self) -> bool:
        return self.chance.random() < self.share


@contextmanager
def publishing(services: Services) -> Iterator[ChangeService]:
    with faulty_dynamodb(always=services.respond) as server:
        url = server.endpoint_url
        limits = Limits(connect_seconds=60, read_seconds=60, attempts=1)
        yield ChangeService(EventBus("bus", REGION, url), Queue(f"{url}/1/q", REGION, url, limits))


def deliver(service: ChangeService, batch: list[Any]) -> None:
    """Deliver a batch until it succeeds, like the stream; divide it after a failure."""
    pending = [batch]
    while pending:
        records = pending.pop(0)
        try:
            service.publish(records, Deadline(60))
        except Exception:  # noqa: BLE001 (any exception makes Lambda deliver again)
            middle = (len(records) + 1) // 2
            pending[:0] = [half for half in (records[:middle], records[middle:]) if half]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_bus, "_FIRST_PAUSE_SECONDS", 0)


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=15), max_size=3),
    st.integers(0, 2**32),
    st.sampled_from([0, 0.1, 0.3]),
)
def test_each_change_is_published_whatever_fails(
    batches: list[list[str]], seed: int, share: float
) -> None:
    services = Services(random.Random(seed), share)  # noqa: S311 (repeatable faults)
    made: dict[str, list[Any]] = {kind: [] for kind in KINDS}

    with publishing(services) as service:
        for kinds in batches:
            batch = [(kind, KINDS[kind]()) for kind in kinds]
            for kind, each in batch:
                made[kind].append(each)
            deliver(service, [each for _, each in batch])

    unreadable = made["poison"] + made["no record"]
    assert set(services.published) == {each["eventID"] for each in made["change"]}
    assert [each for each in unreadable if each not in services.parked] == []
    assert [each for each in services.parked if each not in unreadable] == []
    if share == 0:
        assert len(services.published) == len(made["change"])
        assert len(services.parked) == len(unreadable)
