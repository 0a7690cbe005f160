"""The change publisher, with a bus and a queue of the engine and with services that fail."""

import itertools
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest

from local.engine import REGION
from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.repositories import event_bus
from product_lambda.repositories.aws_client import CallRejectedException
from product_lambda.repositories.event_bus import EventBus, EventsRefusedException, entry_for
from product_lambda.repositories.product_repository import ProductTable
from product_lambda.repositories.queues import Queue
from product_lambda.repositories.stream_records import change_in
from product_lambda.services import change_service
from product_lambda.services.change_service import ChangeService
from tests.support import faulty_dynamodb as faults
from tests.support.event_bus import EngineBus
from tests.support.faulty_dynamodb import Fault, FaultyDynamoDB, faulty_dynamodb
from tests.support.products import product, second
from tests.support.queues import EngineQueue
from tests.support.raw_items import dynamodb, raw_product
from tests.support.stream_records import LambdaContext, image, record
from tests.support.stub_server import StubServer, stub_server
from tests.support.waiting import eventually

type Publish = Callable[..., object]
"""Calls the function with records; `seconds` is the time until Lambda stops it."""

IMAGE = image(product())
GOOD = record(None, IMAGE, eventID="good-1")
POISON = record(None, raw_product("PROD-002", price=None), eventID="poison-1")
TRANSIENT: dict[str, Fault] = {
    "throttling": faults.error_response("ThrottlingException"),
    "internal error": faults.error_response("InternalException", status=500),
    "service unavailable": faults.error_response("ServiceUnavailable", status=503),
    "reset": faults.reset,
    "disconnect": faults.disconnect,
    "not HTTP": faults.not_http,
    "not JSON": faults.fixed_response(b"<html>hello</html>"),
    "truncated": faults.truncated_response,
}


@pytest.fixture
def bus(engine: str) -> EngineBus:
    return EngineBus(engine)


@pytest.fixture
def parked(engine: str) -> EngineQueue:
    return EngineQueue(engine, fifo=False)


@pytest.fixture
def publish(
    imported_event_functions: Mapping[str, ModuleType],
    engine: str,
    bus: EngineBus,
    parked: EngineQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> Publish:
    """The function with the bus and the queue; `events` and `sqs` are endpoints instead."""
    function = imported_event_functions["change_publisher"]

    def call(
        *records: object, seconds: float = 60, events: str = engine, sqs: str = engine
    ) -> object:
        queue_url = parked.url.replace(engine, sqs)
        service = ChangeService(EventBus(bus.name, REGION, events), Queue(queue_url, REGION, sqs))
        monkeypatch.setattr(function, "SERVICE", service)
        returned: object = function.handler({"Records": list(records)}, LambdaContext(seconds))
        return returned

    return call


@pytest.fixture
def proxy(engine: str) -> Iterator[FaultyDynamoDB]:
    with faulty_dynamodb(engine) as server:
        yield server


@pytest.fixture
def stub(engine: str) -> Iterator[StubServer]:
    with stub_server(engine) as server:
        yield server


def change_ids(events: list[dict[str, Any]]) -> list[str]:
    return sorted(event["detail"]["changeId"] for event in events)


def entries_of(stub: StubServer) -> list[list[str]]:
    """Return the ids of the changes in each request to the bus."""
    return [
        [json.loads(entry["Detail"])["changeId"] for entry in json.loads(sent.body)["Entries"]]
        for sent in stub.requests
        if sent.operation == "PutEvents"
    ]


def test_consumer_receives_event_with_exact_amounts(publish: Publish, bus: EngineBus) -> None:
    new = image(product(price=Decimal("99999999.99"), setup_fee=Decimal("0.1")))
    assert publish(record(None, new, eventID="id-1")) is None

    [event] = bus.received(1)

    assert event["source"] == "bbws.product"
    assert event["detail-type"] == "ProductCreated"
    assert event["detail"]["changeId"] == "id-1"
    assert event["detail"]["after"]["price"] == Decimal("99999999.99")
    assert event["detail"]["after"]["setupFee"] == Decimal("0.1")


def test_each_kind_of_write_makes_its_event(publish: Publish, bus: EngineBus) -> None:
    states = [
        None,
        product(),
        product(version=2, updated_at=second(2), price=Decimal(5)),
        product(version=3, updated_at=second(3), price=Decimal(5), active=False),
        product(version=4, updated_at=second(4), price=Decimal(5)),
        None,
    ]
    images = [None if state is None else image(state) for state in states]
    publish(*(record(old, new) for old, new in itertools.pairwise(images)))

    types = sorted(event["detail-type"] for event in bus.received(5))
    assert types == [
        "ProductCreated",
        "ProductDeleted",
        "ProductRemoved",
        "ProductRestored",
        "ProductUpdated",
    ]


def test_repeated_batch_has_same_change_ids(publish: Publish, bus: EngineBus) -> None:
    publish(GOOD)
    publish(GOOD)

    first, again = bus.received(2)

    assert first["detail"] == again["detail"]
    assert first["id"] != again["id"]


def test_records_without_change_send_nothing(publish: Publish, stub: StubServer) -> None:
    counter = {"PK": {"S": "COUNTER#PRODUCT"}, "SK": {"S": "METADATA"}, "number": {"N": "1"}}
    key = {"PK": {"S": f"IDEMPOTENCY#{'a' * 64}"}, "SK": {"S": "METADATA"}}
    by_ttl = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}

    publish(
        record(None, counter),
        record(key, None, userIdentity=by_ttl),
        record(IMAGE, {**IMAGE, "nameKey": {"S": "other"}}),
        events=stub.endpoint_url,
        sqs=stub.endpoint_url,
    )

    assert stub.requests == []


def test_large_batch_is_sent_in_requests_of_ten(
    publish: Publish, bus: EngineBus, stub: StubServer
) -> None:
    batch = [record(None, IMAGE, eventID=f"id-{number:02}") for number in range(25)]
    publish(*batch, events=stub.endpoint_url)

    assert [len(entries) for entries in entries_of(stub)] == [10, 10, 5]
    assert change_ids(bus.received(25)) == [each["eventID"] for each in batch]


def test_poison_in_front_does_not_hold_up_others(
    publish: Publish, bus: EngineBus, parked: EngineQueue
) -> None:
    publish(POISON, {"eventID": "poison-2"}, GOOD)

    assert change_ids(bus.received(1)) == ["good-1"]
    messages = [json.loads(message["Body"]) for message in parked.received(2)]
    found = {message["record"]["eventID"]: message for message in messages}
    assert found["poison-1"]["reason"] == "price is missing"
    assert found["poison-1"]["record"] == POISON
    assert found["poison-2"]["reason"] == "dynamodb is no object"


def test_event_that_is_too_large_is_parked(
    publish: Publish, parked: EngineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No readable product is so large.
    monkeypatch.setattr(change_service, "MAX_BYTES", 100)

    publish(GOOD)

    [message] = parked.received(1)
    assert re.fullmatch(
        r"the event has \d{3} bytes, more than 100", json.loads(message["Body"])["reason"]
    )


def test_event_of_the_largest_size_is_published(
    publish: Publish, bus: EngineBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = change_in(GOOD)
    assert change is not None
    monkeypatch.setattr(change_service, "MAX_BYTES", entry_for(change).size)

    publish(GOOD)

    assert change_ids(bus.received(1)) == ["good-1"]


def test_record_is_parked_before_others_are_published(
    publish: Publish, parked: EngineQueue, proxy: FaultyDynamoDB
) -> None:
    proxy.fail("PutEvents", faults.error_response("InternalException", status=500))

    with pytest.raises(DependencyUnavailableException):
        publish(GOOD, POISON, events=proxy.endpoint_url)

    [message] = parked.received(1)
    assert json.loads(message["Body"])["record"]["eventID"] == "poison-1"


def test_batch_fails_while_records_cannot_be_parked(
    publish: Publish, proxy: FaultyDynamoDB
) -> None:
    proxy.fail("SendMessage", faults.error_response("ServiceUnavailable", status=503))

    with pytest.raises(DependencyUnavailableException):
        publish(POISON, GOOD, events=proxy.endpoint_url, sqs=proxy.endpoint_url)

    assert proxy.count("PutEvents") == 0


def test_refused_entries_are_sent_again_alone(
    publish: Publish, bus: EngineBus, stub: StubServer
) -> None:
    stub.respond_next(
        "PutEvents",
        {
            "FailedEntryCount": 2,
            "Entries": [
                {"ErrorCode": "InternalFailure", "ErrorMessage": "no"},
                {"EventId": "accepted"},
                {"ErrorCode": "ThrottlingException", "ErrorMessage": "no"},
            ],
        },
    )
    batch = [record(None, IMAGE, eventID=f"id-{number}") for number in range(3)]
    publish(*batch, events=stub.endpoint_url)

    assert entries_of(stub) == [["id-0", "id-1", "id-2"], ["id-0", "id-2"]]
    assert change_ids(bus.received(2)) == ["id-0", "id-2"]


def test_bus_that_refuses_fails_the_batch(publish: Publish, stub: StubServer) -> None:
    codes = ["ThrottlingException", "InternalFailure"]
    refusals = [{"ErrorCode": code, "ErrorMessage": "no"} for code in codes]
    stub.respond("PutEvents", {"FailedEntryCount": 2, "Entries": refusals})

    with pytest.raises(EventsRefusedException) as refused:
        publish(GOOD, record(None, IMAGE, eventID="good-2"), events=stub.endpoint_url)

    assert str(refused.value) == "EventBridge refuses events: InternalFailure, ThrottlingException"
    assert entries_of(stub) == [["good-1", "good-2"]] * 3


def test_pauses_before_refused_events_grow(
    publish: Publish, stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("random.SystemRandom.random", lambda _: 0.5)
    monkeypatch.setattr(event_bus, "time", SimpleNamespace(sleep=pauses.append))
    stub.respond("PutEvents", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "Throttling"}]})

    with pytest.raises(EventsRefusedException):
        publish(GOOD, events=stub.endpoint_url)

    assert pauses == [pytest.approx(0.3), pytest.approx(0.6)]


def test_refused_event_is_not_sent_again_after_the_deadline(
    publish: Publish, stub: StubServer
) -> None:
    stub.respond("PutEvents", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "Throttling"}]})

    with pytest.raises(DependencyUnavailableException):
        publish(GOOD, seconds=1.19, events=stub.endpoint_url)

    assert stub.count("PutEvents") <= 1


@pytest.mark.parametrize(
    "response",
    [{}, {"Entries": []}, {"Entries": [{"EventId": "1"}, {"EventId": "2"}]}],
    ids=["empty", "none", "too many"],
)
def test_incomplete_confirmation_fails_the_batch(
    publish: Publish, stub: StubServer, response: dict[str, Any]
) -> None:
    stub.respond("PutEvents", response)

    with pytest.raises(DependencyUnavailableException) as failed:
        publish(GOOD, events=stub.endpoint_url)

    assert str(failed.value.__cause__) == f"1 events, {len(response.get('Entries', []))} results"


def test_denied_call_fails_the_batch_without_retry(publish: Publish, stub: StubServer) -> None:
    stub.deny("PutEvents")

    with pytest.raises(CallRejectedException, match="AccessDeniedException"):
        publish(GOOD, events=stub.endpoint_url)

    assert stub.count("PutEvents") == 1


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_fault_of_bus_fails_the_batch(
    publish: Publish, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("PutEvents", fault)

    with pytest.raises(DependencyUnavailableException):
        publish(GOOD, events=proxy.endpoint_url)

    assert proxy.count("PutEvents") == 2


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_event_is_published_after_one_fault(
    publish: Publish, bus: EngineBus, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("PutEvents", fault, nth=1)

    publish(GOOD, events=proxy.endpoint_url)

    assert change_ids(bus.received(1)) == ["good-1"]


def test_lost_response_makes_a_repetition(
    publish: Publish, bus: EngineBus, proxy: FaultyDynamoDB
) -> None:
    proxy.fail("PutEvents", faults.after_execution(faults.reset), nth=1)

    publish(GOOD, events=proxy.endpoint_url)

    assert change_ids(bus.received(2)) == ["good-1", "good-1"]


@pytest.mark.parametrize("fault", [faults.hang, faults.endless_header, faults.endless_body])
@pytest.mark.parametrize("operation", ["PutEvents", "SendMessage"])
def test_service_without_end_is_left_at_the_deadline(
    publish: Publish, proxy: FaultyDynamoDB, operation: str, fault: Fault
) -> None:
    proxy.fail(operation, fault)
    started = time.monotonic()

    with pytest.raises(DependencyUnavailableException):
        publish(GOOD, POISON, seconds=2, events=proxy.endpoint_url, sqs=proxy.endpoint_url)

    # The clients of the tests wait a minute; those of the functions less.
    assert time.monotonic() - started < 30


def test_nothing_is_sent_after_the_deadline(publish: Publish, stub: StubServer) -> None:
    with pytest.raises(DependencyUnavailableException):
        publish(GOOD, seconds=1, events=stub.endpoint_url)

    assert stub.requests == []


def test_published_and_parked_records_are_logged(
    publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "product_lambda"):
        publish(POISON, GOOD)

    lines = {line.message: vars(line) for line in caplog.records}
    assert lines["record parked"]["levelname"] == "ERROR"
    assert lines["record parked"]["item_key"] == "PRODUCT#PROD-002 METADATA"
    assert lines["record parked"]["reason"] == "price is missing"
    published = lines["change published"]
    assert (published["product_id"], published["change_id"]) == ("PROD-001", "good-1")
    assert (published["change_type"], published["version"]) == ("ProductCreated", 1)


def test_failure_is_logged_with_its_cause(
    publish: Publish, proxy: FaultyDynamoDB, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fail("PutEvents", faults.error_response("InternalException", "the reason", status=500))

    with pytest.raises(DependencyUnavailableException):
        publish(GOOD, events=proxy.endpoint_url)

    [failed] = [vars(line) for line in caplog.records if line.message == "changes not published"]
    assert failed["levelname"] == "ERROR"
    assert failed["causes"].startswith("DependencyUnavailableException: ")
    assert "InternalException" in failed["causes"]
    assert "the reason" in failed["causes"]


def test_records_of_real_stream_make_events(
    engine: str, table: ProductTable, publish: Publish, bus: EngineBus, parked: EngineQueue
) -> None:
    client = dynamodb(engine)
    client.update_table(
        TableName=table.name,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    key = {"PK": {"S": "PRODUCT#PROD-001"}, "SK": {"S": "METADATA"}}
    for item in (
        raw_product("PROD-001", price={"N": "95.50"}),
        raw_product("PROD-001", price={"N": "96"}, version={"N": "2"}),
        raw_product("PROD-001", period={"S": "weekly"}),
    ):
        client.put_item(TableName=table.name, Item=item)
    client.put_item(TableName=table.name, Item={**key, "PK": {"S": "COUNTER#PRODUCT"}})
    client.delete_item(TableName=table.name, Key=key)

    publish(*stream_records(engine, table.name, 5))

    created, updated = bus.received(2)
    assert (created["detail-type"], updated["detail-type"]) == ("ProductCreated", "ProductUpdated")
    assert created["detail"]["after"]["price"] == Decimal("95.5")
    assert updated["detail"]["before"] == created["detail"]["after"]
    assert updated["detail"]["changedFields"] == ["price"]
    # The update to an unreadable item, and its removal.
    assert len(parked.received(2)) == 2


def stream_records(engine: str, table: str, count: int) -> list[dict[str, Any]]:
    """Return the records of a table's stream in the form in which Lambda delivers them."""
    client = boto3.client("dynamodbstreams", region_name=REGION, endpoint_url=engine)
    arn = client.list_streams(TableName=table)["Streams"][0]["StreamArn"]
    shards = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = client.get_shard_iterator(
        StreamArn=arn, ShardId=shards[0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]

    def read() -> list[Any] | None:
        records = client.get_records(ShardIterator=iterator)["Records"]
        return records if len(records) >= count else None

    records = eventually(read, f"{count} records")
    for each in records:
        written = each["dynamodb"]["ApproximateCreationDateTime"]
        each["dynamodb"]["ApproximateCreationDateTime"] = written.timestamp()
    return records
