"""The audit logger, with a bucket of the engine and with an S3 that fails."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import ModuleType
from typing import Any
from uuid import uuid4

import boto3
import pytest

from local.engine import REGION
from product_lambda.repositories.audit_bucket import AuditBucket
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.event_bus import EventBus, entry_for
from product_lambda.repositories.stream_records import change_in
from tests.support import faulty_dynamodb as faults
from tests.support.audit_trail import change_event, product_shown, text_of
from tests.support.event_bus import EngineBus
from tests.support.faulty_dynamodb import Fault, FaultyDynamoDB, faulty_dynamodb
from tests.support.raw_items import raw_product
from tests.support.stream_records import LambdaContext, record
from tests.support.stub_server import StubServer, stub_server

type Deliver = Callable[..., list[str]]
"""Calls the function with the texts of messages, whose ids are m0, m1 and so on; returns the ids
of those that failed. `seconds` is the time until Lambda stops it."""

SHOWN = product_shown(price=Decimal("95.10"), updatedAt="2026-01-31T23:59:59.999999Z")
EVENT = text_of(change_event(None, SHOWN, "ProductCreated", changeId="id-1"))
OTHER = text_of(change_event(SHOWN, product_shown(price=Decimal(90)), changeId="id-2"))
KEY = "2026/01/31/PROD-001_2026-01-31T23:59:59.999999Z_id-1.json"
OTHER_KEY = "2026/01/31/PROD-001_2026-01-31T09:30:00.000000Z_id-2.json"
TRANSIENT: dict[str, Fault] = {
    "slow down": faults.fixed_response(b"<Error><Code>SlowDown</Code></Error>", 503),
    "internal error": faults.fixed_response(b"<Error><Code>InternalError</Code></Error>", 500),
    "conflict": faults.fixed_response(
        b"<Error><Code>ConditionalRequestConflict</Code></Error>", 409
    ),
    "slow request": faults.fixed_response(b"<Error><Code>RequestTimeout</Code></Error>", 400),
    "request time-out": faults.fixed_response(b"", 408),
    "too many requests": faults.fixed_response(b"", 429),
    "reset": faults.reset,
    "disconnect": faults.disconnect,
    "not HTTP": faults.not_http,
}
UNREADABLE = {
    "no JSON": "{",
    "no object": "[]",
    "no detail": "{}",
    "detail of text": '{"detail": "text"}',
    "no product": '{"detail": {"changedAt": "2026-01-31T09:30:00.000000Z", "changeId": "1"}}',
    "other folder": text_of(change_event(None, SHOWN)).replace("PROD-001", "../PROD-001"),
    "other time": EVENT.replace("2026-01-31T23", "2026-01-31 23"),
    "other id": EVENT.replace('"id-1"', '"id/1"'),
}


class Bucket:
    """A bucket of the engine that keeps all versions of its objects."""

    def __init__(self, engine: str) -> None:
        self.name = f"audit-{uuid4().hex}"
        self._client = boto3.client("s3", region_name=REGION, endpoint_url=engine)
        self._client.create_bucket(
            Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        self._client.put_bucket_versioning(
            Bucket=self.name, VersioningConfiguration={"Status": "Enabled"}
        )

    def versions(self) -> list[str]:
        """Return the key of each version of each object."""
        found = self._client.list_object_versions(Bucket=self.name).get("Versions", [])
        return sorted(version["Key"] for version in found)

    def text(self, key: str) -> str:
        """Return the content of an object."""
        content: bytes = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content.decode()


@pytest.fixture
def bucket(engine: str) -> Bucket:
    return Bucket(engine)


@pytest.fixture
def deliver(
    imported_event_functions: Mapping[str, ModuleType],
    engine: str,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> Deliver:
    """The function with the bucket; `s3` is the endpoint of another S3."""
    function = imported_event_functions["audit_logger"]

    def call(*texts: str, seconds: float = 60, s3: str = engine) -> list[str]:
        monkeypatch.setattr(function, "BUCKET", AuditBucket(bucket.name, REGION, s3))
        messages = [
            {"messageId": f"m{number}", "body": text, "eventSource": "aws:sqs"}
            for number, text in enumerate(texts)
        ]
        response = function.handler({"Records": messages}, LambdaContext(seconds))
        assert response.keys() == {"batchItemFailures"}
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    return call


@pytest.fixture
def stub(engine: str) -> Iterator[StubServer]:
    with stub_server(engine) as server:
        yield server


@pytest.fixture
def proxy(engine: str) -> Iterator[FaultyDynamoDB]:
    with faulty_dynamodb(engine) as server:
        yield server


def test_event_is_stored_as_it_arrived(deliver: Deliver, bucket: Bucket) -> None:
    assert deliver(EVENT) == []

    assert bucket.versions() == [KEY]
    assert bucket.text(KEY) == EVENT
    stored = json.loads(bucket.text(KEY), parse_float=Decimal)
    assert str(stored["detail"]["after"]["price"]) == "95.10"


def test_repeated_event_is_one_object(deliver: Deliver, bucket: Bucket) -> None:
    deliver(EVENT)
    replayed = text_of({**json.loads(EVENT), "replay-name": "rebuild"})

    assert deliver(EVENT, replayed) == []

    assert bucket.versions() == [KEY]
    assert bucket.text(KEY) == EVENT


def test_changes_at_the_same_time_are_objects_of_their_own(
    deliver: Deliver, bucket: Bucket
) -> None:
    deliver(EVENT, EVENT.replace('"id-1"', '"id-3"'))
    assert len(bucket.versions()) == 2


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_message_fails_alone(deliver: Deliver, bucket: Bucket, text: str) -> None:
    assert deliver(text, EVENT) == ["m0"]
    assert bucket.versions() == [KEY]


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_event_is_stored_after_one_fault(
    deliver: Deliver, bucket: Bucket, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("PUT", fault, nth=1)

    assert deliver(EVENT, s3=proxy.endpoint_url) == []

    assert bucket.versions() == [KEY]


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_fault_of_s3_fails_the_message(
    deliver: Deliver, bucket: Bucket, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    for attempt in (1, 2):
        proxy.fail("PUT", fault, nth=attempt)

    assert deliver(EVENT, OTHER, s3=proxy.endpoint_url) == ["m0"]

    assert bucket.versions() == [OTHER_KEY]


def test_object_whose_response_was_lost_is_confirmed(
    deliver: Deliver, bucket: Bucket, proxy: FaultyDynamoDB
) -> None:
    proxy.fail("PUT", faults.after_execution(faults.reset), nth=1)

    assert deliver(EVENT, s3=proxy.endpoint_url) == []

    assert proxy.count("PUT") == 2
    assert bucket.versions() == [KEY]


def test_denied_call_fails_all_messages_without_retry(deliver: Deliver, stub: StubServer) -> None:
    stub.deny("PUT *")

    assert deliver(EVENT, OTHER, s3=stub.endpoint_url) == ["m0", "m1"]

    assert stub.count("PUT *") == 2


def test_object_is_written_once_and_only_as_json(deliver: Deliver, stub: StubServer) -> None:
    deliver(EVENT, s3=stub.endpoint_url)

    [sent] = stub.requests
    assert sent.headers["If-None-Match"] == "*"
    assert sent.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("fault", [faults.hang, faults.endless_header, faults.endless_body])
def test_s3_without_end_is_left_at_the_deadline(
    deliver: Deliver, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("PUT", fault)
    started = time.monotonic()

    assert deliver(EVENT, OTHER, seconds=2, s3=proxy.endpoint_url) == ["m0", "m1"]

    # The clients of the tests wait a minute; those of the functions less.
    assert time.monotonic() - started < 30
    assert proxy.count("PUT") == 1


def test_audited_and_failed_changes_are_logged(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "product_lambda"):
        deliver(EVENT, EVENT, "{}")

    audited = [vars(line) for line in caplog.records if line.message == "change audited"]
    assert [(line["object_key"], line["is_new"]) for line in audited] == [(KEY, True), (KEY, False)]
    [failed] = [vars(line) for line in caplog.records if line.message == "change not audited"]
    assert (failed["levelname"], failed["message_id"]) == ("ERROR", "m2")
    assert failed["causes"].startswith("ValueError: The message has no valid productId")


def test_failures_of_one_batch_are_not_those_of_the_next(deliver: Deliver) -> None:
    assert deliver("{}") == ["m0"]
    assert deliver(EVENT) == []


@pytest.mark.parametrize("price", ["0.01", "95.50", "1234567.89", "99999999.99", "1E+3"])
def test_amount_is_exact_from_stream_to_object(
    engine: str, deliver: Deliver, bucket: Bucket, price: str
) -> None:
    bus = EngineBus(engine)
    change = change_in(record(None, raw_product("PROD-001", price={"N": price}), eventID="id-1"))
    assert change is not None
    EventBus(bus.name, REGION, engine).publish([entry_for(change)], Deadline(60))
    [message] = bus.queue.received(1)

    assert deliver(message["Body"]) == []

    [key] = bucket.versions()
    stored = json.loads(bucket.text(key), parse_float=Decimal)
    assert stored["detail"]["after"]["price"] == Decimal(price)


def test_event_of_larger_schema_is_stored(deliver: Deliver, bucket: Bucket) -> None:
    event: dict[str, Any] = json.loads(EVENT)
    event["detail"]["later"] = 1

    assert deliver(json.dumps(event)) == []

    assert bucket.versions() == [KEY]
