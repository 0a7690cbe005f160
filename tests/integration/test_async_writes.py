"""202 responses of the functions: the queue of the engine, and queues that fail."""

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from local.engine import REGION
from product_lambda.exceptions import InternalException
from product_lambda.models.command import Acceptance, Command
from product_lambda.models.product import Revision
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductTable, open_table
from product_lambda.validators.commands import parse_command
from tests.integration.conftest import MAX_RESPONSE_SECONDS
from tests.support import faulty_dynamodb as faults
from tests.support.events import (
    API_KEY_ID,
    REQUEST_ID,
    FunctionResponse,
    Functions,
    as_json,
    gateway_event,
    tag_of,
)
from tests.support.factory import product_body
from tests.support.faulty_dynamodb import Fault, FaultyDynamoDB, faulty_dynamodb
from tests.support.products import amounts
from tests.support.queues import EngineQueue
from tests.support.raw_items import dynamodb
from tests.support.response_check import ApiResponse, check_response

ASYNC = {"Prefer": "respond-async"}
EXPOSED = "ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed, Preference-Applied"


@pytest.fixture
def functions(async_functions: Functions) -> Functions:
    """The functions on an empty table, with asynchronous writes."""
    return async_functions


@pytest.fixture
def stored(table: ProductTable) -> CommandRepository:
    return CommandRepository(table, Deadline(60))


def commands(change_queue: EngineQueue, count: int) -> list[Command]:
    """Return the next commands in the queue."""
    return [parse_command(message["Body"]) for message in change_queue.received(count)]


def require_accepted(response: FunctionResponse, product_id: str) -> None:
    assert response.status == 202, response
    assert response.json() == {"productId": product_id, "requestId": REQUEST_ID}
    assert response.headers == {
        "Access-Control-Allow-Origin": "https://portal.example",
        "Access-Control-Expose-Headers": EXPOSED,
        "Cache-Control": "no-store",
        "Content-Type": "application/json",
        "Location": f"/v1.0/products/{product_id}",
        "Preference-Applied": "respond-async",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": REQUEST_ID,
    }


# Accepted changes


def test_accepted_creation_is_a_command(
    functions: Functions, change_queue: EngineQueue, stored: CommandRepository
) -> None:
    body = product_body(price=Decimal("19.90"), setupFee=Decimal("0.10"))
    require_accepted(functions.create(body, ASYNC), "PROD-001")
    assert stored.get("PROD-001") is None
    (message,) = change_queue.received(1)
    command = parse_command(message["Body"])
    assert message["Attributes"]["MessageGroupId"] == "PROD-001"
    assert message["Attributes"]["MessageDeduplicationId"] == command.command_id
    assert command.operation == "create"
    assert (command.author, command.request_id) == (API_KEY_ID, REQUEST_ID)
    assert command.draft is not None
    assert command.draft.product_id == command.product_id == "PROD-001"
    assert (str(command.draft.price), str(command.draft.setup_fee)) == ("19.9", "0.1")


def test_accepted_creation_keeps_given_id(functions: Functions, change_queue: EngineQueue) -> None:
    require_accepted(functions.create(product_body(productId="PROD-PRO"), ASYNC), "PROD-PRO")
    assert [command.product_id for command in commands(change_queue, 1)] == ["PROD-PRO"]


def test_accepted_creations_get_free_numbers(
    functions: Functions, change_queue: EngineQueue
) -> None:
    for number in (1, 2, 3):
        functions.create(product_body(productId=f"PROD-{number:03}"))
    require_accepted(functions.create(product_body(), ASYNC), "PROD-004")
    require_accepted(functions.create(product_body(), ASYNC), "PROD-005")
    assert functions.create(product_body()).json()["productId"] == "PROD-006"
    assert [command.product_id for command in commands(change_queue, 2)] == ["PROD-004", "PROD-005"]


def test_accepted_update_is_a_command(functions: Functions, change_queue: EngineQueue) -> None:
    created = functions.create(product_body(productId="PROD-001")).json()
    headers = {**ASYNC, "If-Match": tag_of(created)}
    changes = {"price": Decimal("0.1"), "setupFee": None}
    require_accepted(functions.update("PROD-001", changes, headers), "PROD-001")
    (command,) = commands(change_queue, 1)
    assert command.changes == changes
    assert command.expected == frozenset({Revision(1, created["updatedAt"])})
    assert functions.get("PROD-001").json() == created


def test_accepted_deletion_is_a_command(functions: Functions, change_queue: EngineQueue) -> None:
    functions.create(product_body(productId="PROD-001"))
    require_accepted(functions.delete("PROD-001", ASYNC), "PROD-001")
    (command,) = commands(change_queue, 1)
    assert (command.operation, command.expected) == ("delete", None)
    assert functions.get("PROD-001").status == 200


def test_commands_of_a_product_stay_in_order(
    functions: Functions, change_queue: EngineQueue
) -> None:
    functions.create(product_body(productId="PROD-001"), ASYNC)
    for number in range(4):
        functions.update("PROD-001", {"name": f"{number}"}, ASYNC)
    functions.delete("PROD-001", ASYNC)
    operations = [(each.operation, each.changes) for each in commands(change_queue, 6)]
    assert operations == [
        ("create", None),
        *[("update", {"name": f"{number}"}) for number in range(4)],
        ("delete", None),
    ]


@pytest.mark.parametrize("prefer", ["RESPOND-ASYNC", "wait=5, respond-async; x", "return=minimal"])
def test_preference_is_parsed(functions: Functions, change_queue: EngineQueue, prefer: str) -> None:
    response = functions.create(product_body(productId="PROD-001"), {"prefer": prefer})
    is_async = "minimal" not in prefer
    assert response.status == (202 if is_async else 201)
    assert ("Preference-Applied" in response.headers) is is_async
    assert len(commands(change_queue, 1)) == 1 if is_async else True


def test_write_without_preference_is_synchronous(functions: Functions) -> None:
    created = functions.create(product_body(productId="PROD-001"), {"Prefer": "wait=1"})
    assert created.status == 201
    assert "Preference-Applied" not in created.headers["Access-Control-Expose-Headers"]
    assert functions.update("PROD-001", {"name": "N"}).status == 200
    assert functions.delete("PROD-001").status == 204


def test_accepted_responses_fit_openapi(functions: Functions) -> None:
    responses = [
        ("POST", "/products", functions.create(product_body(productId="PROD-001"), ASYNC)),
        ("PUT", "/products/PROD-001", functions.update("PROD-001", {"name": "N"}, ASYNC)),
        ("DELETE", "/products/PROD-001", functions.delete("PROD-001", ASYNC)),
    ]
    for method, path, response in responses:
        assert response.status == 202
        headers = HTTPHeaderDict(response.headers)
        check_response(ApiResponse(method, path, response.status, headers, response.body.encode()))


def test_preference_is_ignored_without_switch(functions_on_table: Functions) -> None:
    for response, status in (
        (functions_on_table.create(product_body(productId="PROD-001"), ASYNC), 201),
        (functions_on_table.update("PROD-001", {"name": "N"}, ASYNC), 200),
        (functions_on_table.delete("PROD-001", ASYNC), 204),
    ):
        assert response.status == status
        assert "Preference-Applied" not in response.headers
        assert "Preference-Applied" not in response.headers["Access-Control-Expose-Headers"]


# Rejected requests


@pytest.mark.parametrize("headers", [ASYNC, {**ASYNC, "Idempotency-Key": "a-key"}])
def test_invalid_requests_are_rejected_at_once(
    functions: Functions, stored: CommandRepository, headers: dict[str, str]
) -> None:
    invalid = functions.create(product_body(price=-1, name=""), headers)
    assert (invalid.status, len(invalid.errors())) == (400, 2)
    invalid = functions.update("basic", {"price": -1}, {**headers, "If-Match": "x"})
    assert [field for field, _ in invalid.errors()] == ["productId", "If-Match", "price"]
    assert functions.delete("basic", headers).status == 400
    text = {**headers, "Content-Type": "text/plain"}
    assert functions.create(product_body(), text).status == 415
    assert functions.update("PROD-001", {"name": "N"}, text).status == 415
    assert functions.create(f'"{"x" * 300_000}"', headers).status == 413
    assert stored.advance_number(1) == 1


def test_read_only_rejects_accepted_writes_too(
    functions: Functions, change_queue: EngineQueue, switch_on: Callable[..., None]
) -> None:
    switch_on(change_queue.url, read_only=True)
    for response in (
        functions.create(product_body(), ASYNC),
        functions.update("PROD-001", {"name": "N"}, ASYNC),
        functions.delete("PROD-001", ASYNC),
    ):
        assert (response.status, response.problem()) == (503, "read-only")


def test_what_execution_decides_is_accepted(
    functions: Functions, change_queue: EngineQueue
) -> None:
    functions.create(product_body(productId="PROD-001"))
    taken = functions.create(product_body(productId="PROD-001"), ASYNC)
    missing = functions.update("PROD-404", {"name": "N"}, ASYNC)
    other = functions.delete("PROD-001", {**ASYNC, "If-Match": '"9-20260131093000123456"'})
    assert [taken.status, missing.status, other.status] == [202] * 3
    assert len(commands(change_queue, 3)) == 3


# Idempotency keys

KEYED = {**ASYNC, "Idempotency-Key": "a-key"}


def test_repeated_key_gets_same_ids(functions: Functions, change_queue: EngineQueue) -> None:
    require_accepted(functions.create(product_body(), KEYED), "PROD-001")
    repetition = gateway_event(body=as_json(product_body()), headers=KEYED)
    repetition["requestContext"]["requestId"] = "another"
    again = functions.call("create_product", repetition)
    assert again.json() == {"productId": "PROD-001", "requestId": REQUEST_ID}
    assert again.headers["X-Request-Id"] == "another"
    other = {**ASYNC, "Idempotency-Key": "another-key"}
    require_accepted(functions.create(product_body(), other), "PROD-002")
    # The queue takes the repeated command for the same message.
    assert [command.product_id for command in commands(change_queue, 2)] == ["PROD-001", "PROD-002"]


def test_key_with_other_body_returns_422(functions: Functions) -> None:
    functions.create(product_body(), KEYED)
    response = functions.create(product_body(price=5), KEYED)
    assert (response.status, response.problem()) == (422, "idempotency-key-reused")
    response = functions.create(product_body(price=5), {"Idempotency-Key": "a-key"})
    assert (response.status, response.problem()) == (422, "idempotency-key-reused")


def test_synchronous_repetition_creates_accepted_id(
    functions: Functions, stored: CommandRepository
) -> None:
    functions.create(product_body(), KEYED)
    functions.create(product_body(), ASYNC)
    created = functions.create(product_body(), {"Idempotency-Key": "a-key"})
    assert (created.status, created.json()["productId"]) == (201, "PROD-001")
    assert stored.get("PROD-001") is not None
    require_accepted(functions.create(product_body(), KEYED), "PROD-001")


def test_created_key_is_replayed_instead_of_accepted(functions: Functions) -> None:
    created = functions.create(product_body(), {"Idempotency-Key": "a-key"})
    repeated = functions.create(product_body(), KEYED)
    assert repeated.status == 201
    assert repeated.headers["Idempotency-Replayed"] == "true"
    assert "Preference-Applied" not in repeated.headers
    assert repeated.json() == created.json()


@pytest.mark.parametrize("attempt", range(5))
def test_concurrent_requests_with_one_key_get_one_id(
    functions: Functions, stored: CommandRepository, attempt: int
) -> None:
    key = {"Idempotency-Key": f"key-{attempt}"}
    start = Barrier(6)

    def request(number: int) -> FunctionResponse:
        start.wait()
        return functions.create(product_body(), key if number % 2 else {**ASYNC, **key})

    with ThreadPoolExecutor(6) as threads:
        responses = list(threads.map(request, range(6)))
    assert {response.status for response in responses} <= {201, 202, 409}
    ids = {response.json()["productId"] for response in responses if response.status < 300}
    assert len(ids) == 1
    numbers = [f"PROD-{number:03}" for number in range(1, 20)]
    assert {product_id for product_id in numbers if stored.is_taken(product_id)} <= ids


# A DynamoDB that fails


@pytest.fixture
def table_proxy(
    engine: str,
    functions: Functions,  # noqa: ARG001 (it puts the functions on the table first)
    table: ProductTable,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultyDynamoDB]:
    """A faulty server between the functions and the table."""
    with faulty_dynamodb(engine) as server:
        through = open_table(table.name, REGION, server.endpoint_url)
        monkeypatch.setattr("product_lambda.handlers.entry.TABLE", through)
        yield server


@pytest.mark.parametrize("fault", [faults.reset, faults.after_execution(faults.reset)])
def test_acceptance_is_retried_once(
    table_proxy: FaultyDynamoDB, functions: Functions, change_queue: EngineQueue, fault: Fault
) -> None:
    table_proxy.fail("TransactWriteItems", fault, nth=1)
    require_accepted(functions.create(product_body(), KEYED), "PROD-001")
    assert table_proxy.count("TransactWriteItems") == 2
    assert [command.product_id for command in commands(change_queue, 1)] == ["PROD-001"]


def test_unreadable_acceptance_is_logged(
    table: ProductTable, stored: CommandRepository, caplog: pytest.LogCaptureFixture
) -> None:
    key = {"PK": f"IDEMPOTENCY#{'a' * 64}", "SK": "METADATA"}
    table.client.sync_put_item(table.name, key)
    with pytest.raises(InternalException):
        stored.find_acceptance("a" * 64)
    (line,) = (vars(each) for each in caplog.records if each.message == "unreadable item")
    assert line["item_key"] == f"{key['PK']} METADATA"
    assert line["flaws"] == "record is not readable (KeyError)"


def test_conflict_of_synchronous_creation_is_in_flight(
    table_proxy: FaultyDynamoDB, functions: Functions
) -> None:
    conflict = faults.cancelled_transaction("None", "TransactionConflict", "None")
    table_proxy.fail("TransactWriteItems", conflict)
    response = functions.create(product_body(), {"Idempotency-Key": "a-key"})
    assert (response.status, response.problem()) == (409, "idempotency-key-in-flight")


@pytest.mark.parametrize(
    ("reasons", "status"),
    [(("TransactionConflict", "None"), 409), (("None", "ThrottlingError"), 503)],
)
def test_cancelled_acceptance_can_be_repeated(
    table_proxy: FaultyDynamoDB, functions: Functions, reasons: tuple[str, str], status: int
) -> None:
    table_proxy.fail("TransactWriteItems", faults.cancelled_transaction(*reasons))
    response = functions.create(product_body(), KEYED)
    assert (response.status, response.headers["Retry-After"]) == (status, "1")
    table_proxy.fail("TransactWriteItems", faults.pass_on)
    assert functions.create(product_body(), KEYED).status == 202


@pytest.mark.parametrize("fault", [faults.reset, faults.after_execution(faults.reset)])
def test_synchronous_creation_is_retried_once(
    table_proxy: FaultyDynamoDB, functions: Functions, fault: Fault
) -> None:
    table_proxy.fail("TransactWriteItems", fault, nth=1)
    created = functions.create(product_body(), {"Idempotency-Key": "a-key"})
    assert (created.status, created.json()["productId"]) == (201, "PROD-001")
    assert "Idempotency-Replayed" not in created.headers


@pytest.mark.parametrize("operation", ["UpdateItem", "GetItem", "TransactWriteItems"])
def test_creation_with_failing_table_is_not_accepted(
    table_proxy: FaultyDynamoDB, functions: Functions, change_queue: EngineQueue, operation: str
) -> None:
    table_proxy.fail(operation, faults.error_response("ThrottlingException"))
    response = functions.create(product_body(), KEYED)
    assert (response.status, response.problem()) == (503, "service-unavailable")
    functions.delete("PROD-009", ASYNC)
    assert [command.product_id for command in commands(change_queue, 1)] == ["PROD-009"]


@pytest.mark.parametrize(
    "item", [{}, {"productId": {"N": "1"}}, {"fingerprint": {"S": "x"}, "expiresAt": {"S": "x"}}]
)
def test_unreadable_acceptance_returns_500(
    engine: str, functions: Functions, table: ProductTable, item: dict[str, Any]
) -> None:
    key_hash = hashlib.sha256(b"respond-async a-key").hexdigest()
    key = {"PK": {"S": f"IDEMPOTENCY#{key_hash}"}, "SK": {"S": "METADATA"}}
    dynamodb(engine).put_item(TableName=table.name, Item={**key, **item})
    for headers in (KEYED, {"Idempotency-Key": "a-key"}):
        response = functions.create(product_body(), headers)
        assert (response.status, response.problem()) == (500, "internal-error")


# A queue that fails


@pytest.fixture
def proxy(
    engine: str,
    change_queue: EngineQueue,
    functions: Functions,  # noqa: ARG001 (it switches asynchronous writes on first)
    switch_on: Callable[..., None],
) -> Iterator[FaultyDynamoDB]:
    """A faulty server between the functions and the queue."""
    with faulty_dynamodb(engine) as server:
        switch_on(change_queue.url, server.endpoint_url)
        yield server


WRITES: dict[str, Callable[[Functions], FunctionResponse]] = {
    "create": lambda functions: functions.create(product_body(), ASYNC),
    "create_with_key": lambda functions: functions.create(product_body(), KEYED),
    "update": lambda functions: functions.update("PROD-001", {"name": "N"}, ASYNC),
    "delete": lambda functions: functions.delete("PROD-001", ASYNC),
}
FAILURES: dict[str, Fault] = {
    "throttled": faults.error_response("RequestThrottled"),
    "internal failure": faults.error_response("InternalFailure", status=500),
    "hang": faults.hang,
    "reset": faults.reset,
    "not JSON": faults.fixed_response(b"<html>hello</html>"),
    "no message id": faults.fixed_response(b"{}"),
    "endless header": faults.endless_header,
    "endless body": faults.endless_body,
}


@pytest.mark.usefixtures("real_time_outs")
@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES.keys())
def test_failing_queue_returns_503_in_time(
    proxy: FaultyDynamoDB, functions: Functions, fault: Fault
) -> None:
    proxy.fail("SendMessage", fault)

    def timed(write: Callable[[Functions], FunctionResponse]) -> tuple[FunctionResponse, float]:
        started = time.monotonic()
        return write(functions), time.monotonic() - started

    with ThreadPoolExecutor(len(WRITES)) as threads:
        responses = list(threads.map(timed, WRITES.values()))
    for response, seconds in responses:
        assert seconds < MAX_RESPONSE_SECONDS
        assert (response.status, response.problem()) == (503, "service-unavailable")
        assert response.headers["Retry-After"] == "1"


def test_closed_port_of_queue_returns_503(
    functions: Functions, change_queue: EngineQueue, switch_on: Callable[..., None]
) -> None:
    switch_on(change_queue.url, faults.unused_endpoint())
    assert WRITES["update"](functions).status == 503


@pytest.mark.parametrize(
    "fault",
    [faults.reset, faults.after_execution(faults.reset), FAILURES["throttled"]],
    ids=["lost request", "lost response", "throttled"],
)
def test_message_is_sent_again_and_arrives_once(
    proxy: FaultyDynamoDB, functions: Functions, change_queue: EngineQueue, fault: Fault
) -> None:
    proxy.fail("SendMessage", fault, nth=1)
    require_accepted(functions.update("PROD-001", {"name": "N"}, ASYNC), "PROD-001")
    assert proxy.count("SendMessage") == 2
    functions.delete("PROD-001", ASYNC)
    assert [command.operation for command in commands(change_queue, 2)] == ["update", "delete"]


def test_acceptance_with_lost_response_is_stored_once(
    engine: str, table: ProductTable, stored: CommandRepository
) -> None:
    acceptance = Acceptance("a" * 64, "f" * 64, "PROD-001", "request-1", "command-1", 2000)
    with faulty_dynamodb(engine) as server:
        server.fail("TransactWriteItems", faults.after_execution(faults.reset), nth=1)
        through = open_table(table.name, REGION, server.endpoint_url)
        CommandRepository(through, Deadline(60)).accept(acceptance, "b" * 64, 1000)
        assert server.count("TransactWriteItems") == 2
    assert stored.find_acceptance("a" * 64) == acceptance


def test_repetition_after_failing_queue_is_accepted(
    proxy: FaultyDynamoDB, functions: Functions, change_queue: EngineQueue
) -> None:
    proxy.fail("SendMessage", faults.reset)
    assert functions.create(product_body(), KEYED).status == 503
    proxy.fail("SendMessage", faults.pass_on)
    require_accepted(functions.create(product_body(), KEYED), "PROD-001")
    assert [command.product_id for command in commands(change_queue, 1)] == ["PROD-001"]


def test_missing_queue_returns_500_and_is_logged(
    functions: Functions,
    change_queue: EngineQueue,
    switch_on: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    switch_on(change_queue.url.replace("changes-", "gone-"))
    response = WRITES["delete"](functions)
    assert (response.status, response.problem()) == (500, "internal-error")
    assert "NonExistentQueue" in caplog.text or "QueueDoesNotExist" in caplog.text


# Money


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(amounts(), st.none() | amounts(0))
def test_amounts_reach_the_queue_exactly(
    functions: Functions, change_queue: EngineQueue, price: Decimal, fee: Decimal | None
) -> None:
    functions.create(product_body(price=price, setupFee=fee), ASYNC)
    functions.update("PROD-001", {"price": price, "setupFee": fee}, ASYNC)
    creation, update = commands(change_queue, 2)
    assert creation.draft is not None
    assert update.changes is not None
    assert (creation.draft.price, creation.draft.setup_fee) == (price, fee)
    assert (update.changes["price"], update.changes["setupFee"]) == (price, fee)
