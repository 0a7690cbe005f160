"""After a write on the deployed stack: change events, audit trail, edge cache, asynchronous writes.

Each test looks only at its own products, since the other tests write too. A later change of the
same kind arrives after the earlier ones, so it shows that nothing else will come.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.stack import LocalStack
from tests.support.factory import product_body, unused_key, unused_product_id
from tests.support.product_api import ProductApi
from tests.support.raw_items import raw_product
from tests.support.response_check import ApiResponse
from tests.support.stream_records import check_detail
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

pytestmark = pytest.mark.timeout(300)  # seconds; other tests write to the same stream

BUS: Final = "bbws-product-events-dev"
BUCKET: Final = "bbws-product-audit-logs-dev"
TABLE: Final = "products-dev"
CONSUMER: Final = "consumer-of-the-tests"
WRITER: Final = "unknown"  # the emulator passes no id of the API key to a function
LATER: Final = {"Prefer": "respond-async"}
WAIT: Final = 120  # seconds; a change takes a second, but other tests fill the stream
type Detail = Mapping[str, Any]


class Consumer:
    """A consumer of the bus as another team would set one up: a rule and a queue."""

    def __init__(self, stack: LocalStack) -> None:
        self._sqs: SQSClient = stack.client("sqs")
        self._bus = stack.client("events")
        self._url = self._sqs.create_queue(QueueName=CONSUMER)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        pattern = json.dumps({"source": ["bbws.product"]})
        self._bus.put_rule(Name=CONSUMER, EventBusName=BUS, EventPattern=pattern)
        target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
        self._bus.put_targets(Rule=CONSUMER, EventBusName=BUS, Targets=[target])
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def events_of(self, product_id: str, last_version: int) -> list[dict[str, Any]]:
        """Wait for the events up to a version, in any order, and return them by version."""

        def events() -> list[dict[str, Any]] | None:
            self._receive()
            found = self._events[product_id]
            return found if _are_complete(found, last_version) else None

        found = eventually(events, f"versions 1 to {last_version} of {product_id}", WAIT)
        return sorted(found, key=lambda event: int(event["detail"]["version"]))

    def delete(self) -> None:
        """Remove the rule and the queue."""
        self._bus.remove_targets(Rule=CONSUMER, EventBusName=BUS, Ids=["queue"])
        self._bus.delete_rule(Name=CONSUMER, EventBusName=BUS)
        self._sqs.delete_queue(QueueUrl=self._url)

    def _receive(self) -> None:
        received = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
        for message in received.get("Messages", []):
            event = json.loads(message["Body"], parse_float=Decimal)
            check_detail(event["detail"])
            self._events[event["detail"]["productId"]].append(event)
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture(scope="module")
def consumer(stack: LocalStack) -> Iterator[Consumer]:
    consumer = Consumer(stack)
    yield consumer
    consumer.delete()


class AuditTrail:
    """The objects of the audit bucket."""

    def __init__(self, stack: LocalStack) -> None:
        self._s3 = stack.client("s3")

    def events_of(self, product_id: str, last_version: int) -> dict[str, dict[str, Any]]:
        """Wait for the objects up to a version, in any order, and return their events by key."""
        read: dict[str, dict[str, Any]] = {}

        def events() -> dict[str, dict[str, Any]] | None:
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            for entry in (entry for page in pages for entry in page.get("Contents", [])):
                key = entry["Key"]
                if f"/{product_id}_" in key and key not in read:
                    body = self._s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                    read[key] = json.loads(body, parse_float=Decimal)
            return read if _are_complete(read.values(), last_version) else None

        return eventually(events, f"objects 1 to {last_version} of {product_id}", WAIT)


@pytest.fixture(scope="module")
def trail(stack: LocalStack) -> AuditTrail:
    return AuditTrail(stack)


def test_each_change_is_one_event_and_one_audit_object(
    api: ProductApi, consumer: Consumer, trail: AuditTrail
) -> None:
    key, product_id = {"Idempotency-Key": unused_key()}, unused_product_id()
    body = product_body(productId=product_id, price=Decimal("95.50"), setupFee=Decimal("0.01"))
    first = api.create_product(body, key)
    shown = [_shown(first)]
    assert api.create_product(body, key).headers["Idempotency-Replayed"] == "true"
    shown.append(_shown(api.update_product(product_id, {"price": Decimal("1234567.89")})))
    stale = {"If-Match": first.headers["ETag"]}
    assert api.update_product(product_id, {"price": 1}, stale).status == 412
    assert api.delete_product(product_id).status == 204
    assert api.delete_product(product_id).status == 204
    shown.append(_shown(api.update_product(product_id, {"active": True})))

    events = consumer.events_of(product_id, last_version=4)
    assert [(event["detail-type"], event["detail"]["version"]) for event in events] == [
        ("ProductCreated", 1),
        ("ProductUpdated", 2),
        ("ProductDeleted", 3),
        ("ProductRestored", 4),
    ]
    details = [event["detail"] for event in events]
    created, updated, deleted, restored = details
    assert [created["after"], updated["after"], restored["after"]] == shown
    assert [created["before"], updated["before"]] == [None, shown[0]]
    assert deleted["after"] == {
        **shown[1],
        "active": False,
        "version": 3,
        "updatedAt": deleted["changedAt"],
    }
    assert (created["after"]["price"], created["after"]["setupFee"]) == (
        Decimal("95.50"),
        Decimal("0.01"),
    )
    assert (updated["after"]["price"], updated["changedFields"]) == (
        Decimal("1234567.89"),
        ["price"],
    )
    assert {detail["changedBy"] for detail in details} == {WRITER}

    objects = trail.events_of(product_id, last_version=4)
    assert objects == {_key_of(event["detail"]): event for event in events}


def test_accepted_creation_appears_with_its_author(api: ProductApi, consumer: Consumer) -> None:
    accepted = api.create_product(product_body(price=Decimal("95.50")), LATER)
    product_id = _accepted(accepted)
    assert accepted.headers["Location"].endswith(f"/products/{product_id}")

    product = eventually(lambda: _found(api, product_id), f"the product {product_id}", WAIT)
    assert product["price"] == Decimal("95.50")
    [event] = consumer.events_of(product_id, last_version=1)
    assert event["detail"]["after"] == product
    assert event["detail"]["changedBy"] == WRITER


def test_accepted_commands_of_product_keep_their_order(
    api: ProductApi, consumer: Consumer, trail: AuditTrail
) -> None:
    product_id = _accepted(api.create_product(product_body(price=1), LATER))
    for price in range(2, 12):
        assert _accepted(api.update_product(product_id, {"price": price}, LATER)) == product_id
    assert _accepted(api.delete_product(product_id, LATER)) == product_id

    events = consumer.events_of(product_id, last_version=12)
    prices = [event["detail"]["after"]["price"] for event in events]
    assert prices == [*range(1, 12), 11]
    assert [event["detail"]["version"] for event in events] == list(range(1, 13))
    assert events[-1]["detail-type"] == "ProductDeleted"
    assert len(trail.events_of(product_id, last_version=12)) == 12


def test_rejected_command_changes_nothing_and_is_counted(
    stack: LocalStack, api: ProductApi
) -> None:
    product = api.new_product(price=1)
    product_id, tag = product["productId"], api.tag_of(product["productId"])
    assert api.update_product(product_id, {"price": 2}).status == 200
    accepted = api.update_product(product_id, {"price": 3}, {**LATER, "If-Match": tag})
    assert _accepted(accepted) == product_id

    group = "/aws/lambda/bbws-product-creator-dev"
    line = eventually(
        lambda: _log_line(stack, group, product_id, "command rejected"), "the rejection", WAIT
    )
    assert (line["level"], line["operation"]) == ("ERROR", "update")
    assert line["problem"]
    [counted] = stack.client("logs").describe_metric_filters(logGroupName=group)["metricFilters"]
    assert counted["filterPattern"] == '{ ($.message = "command rejected") }'
    assert api.get_product(product_id).json()["price"] == 2


def test_commands_wait_while_their_event_source_is_off(stack: LocalStack, api: ProductApi) -> None:
    """The read-only switch turns it off: see test_event_plans.py."""
    functions = stack.client("lambda")
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    [mapping] = [each for each in mappings if "product-creator" in each["FunctionArn"]]
    product_id = api.new_product(price=1)["productId"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        _accepted(api.update_product(product_id, {"price": 2}, LATER))
        queue = stack.client("sqs").get_queue_url(QueueName="bbws-product-change-dev.fifo")
        waiting = stack.client("sqs").get_queue_attributes(
            QueueUrl=queue["QueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        assert int(waiting["ApproximateNumberOfMessages"]) >= 1
        assert api.get_product(product_id).json()["price"] == 1
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    eventually(
        lambda: api.get_product(product_id).json()["price"] == 2 or None, "the command", WAIT
    )


def test_unreadable_record_is_parked_and_holds_up_no_other(
    stack: LocalStack, api: ProductApi, consumer: Consumer
) -> None:
    dynamodb, product_id = stack.client("dynamodb"), unused_product_id()
    item = raw_product(product_id, price=None)
    dynamodb.put_item(TableName=TABLE, Item=item)
    later = api.new_product()["productId"]

    assert consumer.events_of(later, last_version=1)
    group = "/aws/lambda/bbws-change-publisher-dev"
    line = eventually(
        lambda: _log_line(stack, group, product_id, "record parked"), "the parked record", WAIT
    )
    assert line["level"] == "ERROR"
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName="bbws-product-parked-dev")["QueueUrl"]

    def parked() -> bool | None:
        # What was received stays hidden for a while, so the next call returns other messages.
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return any(product_id in each["Body"] for each in received.get("Messages", [])) or None

    eventually(parked, "the message about the record", WAIT)
    dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("PK", "SK")})


def test_change_invalidates_reads_at_the_edge(
    stack: LocalStack, api: ProductApi, consumer: Consumer
) -> None:
    product_id = api.new_product()["productId"]
    [event] = consumer.events_of(product_id, last_version=1)
    change_id = event["detail"]["changeId"]
    logs, group = stack.client("logs"), "/aws/lambda/bbws-cache-invalidator-dev"

    def invalidation_id() -> str | None:
        found = logs.filter_log_events(logGroupName=group, filterPattern=f'"{change_id}"')
        lines = [json.loads(each["message"]) for each in found["events"]]
        done = [line for line in lines if line["message"] == "cache invalidated"]
        return done[0]["invalidation_id"] if done else None

    distribution_id = stack.main_root().outputs()["cloudfront_distribution_id"]
    invalidation = stack.client("cloudfront").get_invalidation(
        DistributionId=distribution_id,
        Id=eventually(invalidation_id, f"the invalidation after {change_id}", WAIT),
    )["Invalidation"]
    assert invalidation["InvalidationBatch"]["Paths"]["Items"] == ["/v1_0/products*"]


def _are_complete(events: Iterable[dict[str, Any]], last_version: int) -> bool:
    """Return whether there is an event of each version up to the last."""
    return {event["detail"]["version"] for event in events} >= set(range(1, last_version + 1))


def _shown(response: ApiResponse) -> dict[str, Any]:
    assert response.status in {200, 201}, response
    product: dict[str, Any] = response.json()
    return product


def _accepted(response: ApiResponse) -> str:
    """Check a response 202, and return the id of the product."""
    assert (response.status, response.headers.get("Preference-Applied")) == (202, "respond-async")
    body = response.json()
    assert body.keys() == {"productId", "requestId"}
    assert body["requestId"] == response.headers["X-Request-Id"]
    product_id: str = body["productId"]
    return product_id


def _found(api: ProductApi, product_id: str) -> dict[str, Any] | None:
    response = api.get_product(product_id)
    return _shown(response) if response.status == 200 else None


def _key_of(detail: Detail) -> str:
    """Return the key of a change's object (ADR 27)."""
    day = detail["changedAt"][:10].replace("-", "/")
    return f"{day}/{detail['productId']}_{detail['changedAt']}_{detail['changeId']}.json"


def _log_line(
    stack: LocalStack, group: str, product_id: str, message: str
) -> dict[str, Any] | None:
    """Return the log line with a message about a product."""
    events = stack.client("logs").filter_log_events(
        logGroupName=group, filterPattern=f'"{product_id}"'
    )
    lines = (event["message"] for event in events["events"])
    found = [json.loads(text) for text in lines if text.startswith("{")]
    return next((line for line in found if line["message"] == message), None)
