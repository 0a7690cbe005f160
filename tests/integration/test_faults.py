"""Tests of the functions while DynamoDB throttles, hangs, fails or sends invalid responses."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from local.engine import REGION
from product_lambda.models.product import PageRequest, SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.items import product_key
from product_lambda.repositories.product_repository import (
    ProductRepository,
    ProductTable,
    open_table,
)
from tests.integration.conftest import (
    DEADLINE,
    MAX_RESPONSE_SECONDS,
    REAL_DEADLINE_SECONDS,
    giving_up,
)
from tests.support import faulty_dynamodb as faults
from tests.support.events import API_KEY_VALUE, REQUEST_ID, FunctionResponse, Functions
from tests.support.factory import product_body, unused_key
from tests.support.faulty_dynamodb import Exchange, Fault, FaultyDynamoDB, faulty_dynamodb
from tests.support.leaks import INTERNAL_DETAIL
from tests.support.pages import listed

TABLE = "product_lambda.handlers.entry.TABLE"

KEY = "an-idempotency-key-of-a-client"
CALLS: dict[str, Callable[[Functions], FunctionResponse]] = {
    "list": lambda functions: functions.list(),
    "list_by_offset": lambda functions: functions.list(offset=3),
    "get": lambda functions: functions.get("PROD-001"),
    "create": lambda functions: functions.create(product_body()),
    "create_with_id": lambda functions: functions.create(product_body(productId="PROD-001")),
    "create_with_key": lambda functions: functions.create(product_body(), {"Idempotency-Key": KEY}),
    "update": lambda functions: functions.update("PROD-001", {"name": "New"}, {"If-Match": "*"}),
    "delete": lambda functions: functions.delete("PROD-001"),
}
TRANSIENT: dict[str, Fault] = {
    "throughput exceeded": faults.error_response("ProvisionedThroughputExceededException"),
    "throttling": faults.error_response("ThrottlingException"),
    "request limit": faults.error_response("RequestLimitExceeded"),
    "hang": faults.hang,
    "reset": faults.reset,
    "disconnect": faults.disconnect,
    "internal server error": faults.error_response("InternalServerError", status=500),
    "bad gateway": faults.fixed_response(b"<html>502</html>", 502),
    "service unavailable": faults.error_response("ServiceUnavailable", status=503),
    "not HTTP": faults.not_http,
    "not JSON": faults.fixed_response(b"<html>hello</html>"),
    "truncated": faults.truncated_response,
    "endless header": faults.endless_header,
    "endless body": faults.endless_body,
}


@pytest.fixture
def proxy(
    engine: str,
    table: ProductTable,
    functions_on_table: Functions,  # noqa: ARG001 (it puts the functions on the table first)
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultyDynamoDB]:
    """A faulty server between the functions and the table of the test."""
    with faulty_dynamodb(engine) as server:
        monkeypatch.setattr(TABLE, open_table(table.name, REGION, server.endpoint_url))
        yield server


@pytest.fixture
def stored(table: ProductTable) -> ProductRepository:
    """A repository that reads the table without faults."""
    return ProductRepository(table, Deadline(60))


EVERYTHING = PageRequest(99, SortOrder.OLDEST_FIRST, 0, None)


def stored_ids(stored: ProductRepository) -> list[str]:
    return [each.product_id for each in listed(stored, EVERYTHING)]


def require_unavailable(response: FunctionResponse) -> None:
    assert response.status == 503, response
    assert response.problem() == "service-unavailable"
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Cache-Control"] == "no-store"
    document = response.json()
    assert document.pop("type")
    assert document == {
        "title": "The service is temporarily unavailable",
        "status": 503,
        "detail": "Send a read again. A change may have been made: read the product, "
        "or repeat the change with If-Match or its Idempotency-Key.",
        "instance": REQUEST_ID,
    }
    assert not INTERNAL_DETAIL.search(response.body)


def timed_calls(functions: Functions) -> dict[str, tuple[FunctionResponse, float]]:
    """Call every operation in parallel; return its response and its seconds."""

    def timed(call: Callable[[Functions], FunctionResponse]) -> tuple[FunctionResponse, float]:
        started = time.monotonic()
        return call(functions), time.monotonic() - started

    with ThreadPoolExecutor(len(CALLS)) as pool:
        return dict(zip(CALLS, pool.map(timed, CALLS.values()), strict=True))


@pytest.mark.usefixtures("real_time_outs")
@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_transient_fault_returns_503_in_time(
    functions: Functions, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_dynamodb(always=fault) as server:
        monkeypatch.setattr(TABLE, open_table("products-test", REGION, server.endpoint_url))
        for response, seconds in timed_calls(functions).values():
            require_unavailable(response)
            assert seconds < MAX_RESPONSE_SECONDS


@pytest.mark.usefixtures("real_time_outs")
def test_closed_port_returns_503_in_time(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = faults.unused_endpoint()
    monkeypatch.setattr(TABLE, open_table("products-test", REGION, endpoint))
    for response, seconds in timed_calls(functions).values():
        require_unavailable(response)
        assert seconds < MAX_RESPONSE_SECONDS


@pytest.mark.parametrize("name", ["create", "create_with_key", "update", "delete"])
def test_empty_response_to_write_returns_503(
    functions: Functions, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_dynamodb(always=faults.fixed_response(b"{}")) as server:
        monkeypatch.setattr(TABLE, open_table("products-test", REGION, server.endpoint_url))
        require_unavailable(CALLS[name](functions))


# Reads, and writes that are safe to retry


SINGLE_FAULTS: dict[str, Fault] = {
    "throttled": faults.error_response("ProvisionedThroughputExceededException"),
    "reset": faults.reset,
    "disconnected": faults.disconnect,
    "truncated": faults.truncated_response,
    "internal server error": faults.error_response("InternalServerError", status=500),
    "response lost": faults.after_execution(faults.reset),
}
ANY_SINGLE_FAULT = pytest.mark.parametrize(
    "fault", SINGLE_FAULTS.values(), ids=SINGLE_FAULTS.keys()
)


@ANY_SINGLE_FAULT
@pytest.mark.parametrize(
    ("call", "operation"), [("list", "Query"), ("list_by_offset", "Query"), ("get", "GetItem")]
)
def test_read_recovers_from_one_fault(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str, operation: str, fault: Fault
) -> None:
    for number in range(1, 6):
        functions_on_table.create(product_body(productId=f"PROD-{number:03}"))
    expected = CALLS[call](functions_on_table)
    calls = proxy.count(operation)
    proxy.fail(operation, fault, nth=calls + 1)
    assert CALLS[call](functions_on_table) == expected
    assert expected.status == 200
    assert proxy.count(operation) == 2 * calls + 1


def test_read_is_retried_only_once(proxy: FaultyDynamoDB, functions_on_table: Functions) -> None:
    proxy.fail("GetItem", faults.reset)
    require_unavailable(functions_on_table.get("PROD-001"))
    assert proxy.count("GetItem") == 2


@pytest.mark.parametrize(
    "order", [{}, {"sort": "name"}, {"sort": "-price", "currency": "ZAR"}], ids=str
)
def test_list_goes_on_after_empty_page(
    proxy: FaultyDynamoDB, functions_on_table: Functions, order: dict[str, Any]
) -> None:
    for price in ("0.1", "95.99", "99999999.99"):
        functions_on_table.create(product_body(price=Decimal(price)))
    first = functions_on_table.list(limit=1, **order).json()
    expected = functions_on_table.list(nextToken=first["nextToken"])
    proxy.fail("Query", faults.empty_page, nth=proxy.count("Query") + 1)
    assert functions_on_table.list(nextToken=first["nextToken"]) == expected
    assert len(expected.json()["products"]) == 2


@ANY_SINGLE_FAULT
def test_lost_product_number_leaves_at_most_one_gap(
    proxy: FaultyDynamoDB, functions_on_table: Functions, stored: ProductRepository, fault: Fault
) -> None:
    proxy.fail("UpdateItem", fault, nth=1)
    created = functions_on_table.create(product_body())
    assert created.status == 201
    assert created.json()["productId"] in {"PROD-001", "PROD-002"}
    assert stored_ids(stored) == [created.json()["productId"]]


# Writes that are not safe to retry


@ANY_SINGLE_FAULT
def test_keyed_create_after_one_fault_stores_one_product(
    proxy: FaultyDynamoDB, functions_on_table: Functions, stored: ProductRepository, fault: Fault
) -> None:
    proxy.fail("TransactWriteItems", fault, nth=1)
    created = CALLS["create_with_key"](functions_on_table)
    assert created.status == 201
    assert "Idempotency-Replayed" not in created.headers
    assert stored_ids(stored) == [created.json()["productId"]]
    assert proxy.count("TransactWriteItems") == 2


def test_keyed_create_with_lost_responses_is_replayed(
    proxy: FaultyDynamoDB, functions_on_table: Functions, stored: ProductRepository
) -> None:
    proxy.fail("TransactWriteItems", faults.after_execution(faults.disconnect), nth=1)
    proxy.fail("TransactWriteItems", faults.after_execution(faults.disconnect), nth=2)
    require_unavailable(CALLS["create_with_key"](functions_on_table))
    replayed = CALLS["create_with_key"](functions_on_table)
    assert replayed.status == 201
    assert replayed.headers["Idempotency-Replayed"] == "true"
    assert stored_ids(stored) == ["PROD-001"] == [replayed.json()["productId"]]


def test_failed_keyed_create_stores_nothing(
    proxy: FaultyDynamoDB, functions_on_table: Functions, stored: ProductRepository
) -> None:
    proxy.fail("TransactWriteItems", faults.error_response("InternalServerError", status=500))
    require_unavailable(CALLS["create_with_key"](functions_on_table))
    assert stored_ids(stored) == []
    assert proxy.count("TransactWriteItems") == 2
    proxy.fail("TransactWriteItems", faults.pass_on)
    created = CALLS["create_with_key"](functions_on_table)
    assert created.status == 201
    assert "Idempotency-Replayed" not in created.headers


@pytest.mark.parametrize(
    "lost", [faults.reset, faults.disconnect, faults.truncated_response, faults.hang]
)
def test_create_with_lost_response_is_not_retried(
    proxy: FaultyDynamoDB, functions_on_table: Functions, stored: ProductRepository, lost: Fault
) -> None:
    proxy.fail("PutItem", faults.after_execution(lost))
    with giving_up():
        require_unavailable(functions_on_table.create(product_body()))
    assert proxy.count("PutItem") == 1
    assert stored_ids(stored) == ["PROD-001"]


@pytest.mark.parametrize(
    "lost", [faults.reset, faults.disconnect, faults.truncated_response, faults.hang]
)
@pytest.mark.parametrize("call", ["update", "delete"])
def test_change_with_lost_response_is_not_retried(
    proxy: FaultyDynamoDB,
    functions_on_table: Functions,
    stored: ProductRepository,
    call: str,
    lost: Fault,
) -> None:
    functions_on_table.create(product_body(productId="PROD-001"))
    proxy.fail("UpdateItem", faults.after_execution(lost))
    with giving_up():
        require_unavailable(CALLS[call](functions_on_table))
    assert proxy.count("UpdateItem") == 1
    item = stored._item(product_key("PROD-001"))
    assert item is not None
    assert item["version"] == 2


@pytest.mark.parametrize("fault", [faults.reset, faults.disconnect, faults.hang])
@pytest.mark.parametrize("call", ["update", "delete"])
def test_change_lost_before_execution_changes_nothing(
    proxy: FaultyDynamoDB,
    functions_on_table: Functions,
    stored: ProductRepository,
    call: str,
    fault: Fault,
) -> None:
    functions_on_table.create(product_body(productId="PROD-001"))
    before = stored.get("PROD-001")
    proxy.fail("UpdateItem", fault)
    with giving_up():
        require_unavailable(CALLS[call](functions_on_table))
    assert proxy.count("UpdateItem") == 1
    assert stored.get("PROD-001") == before


@pytest.mark.parametrize(
    ("call", "operation"),
    [("create_with_id", "PutItem"), ("update", "UpdateItem"), ("delete", "UpdateItem")],
)
def test_throttled_write_is_retried_once(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str, operation: str
) -> None:
    if call != "create_with_id":
        functions_on_table.create(product_body(productId="PROD-001"))
    throttled = faults.error_response("ProvisionedThroughputExceededException")
    proxy.fail(operation, throttled, nth=1)
    assert CALLS[call](functions_on_table).status in {200, 201, 204}
    assert proxy.count(operation) == 2


def test_change_after_closed_idle_connection_succeeds(
    proxy: FaultyDynamoDB, functions_on_table: Functions
) -> None:
    is_closed = threading.Event()

    def close_when_idle(exchange: Exchange) -> None:
        faults.pass_on(exchange)
        exchange.connection.shutdown(socket.SHUT_WR)
        assert exchange.connection.recv(1) == b""  # the client has closed its side, too
        is_closed.set()

    assert CALLS["create_with_id"](functions_on_table).status == 201
    proxy.fail("GetItem", close_when_idle)
    assert CALLS["get"](functions_on_table).status == 200
    assert is_closed.wait(10)

    assert CALLS["update"](functions_on_table).status == 200
    assert proxy.count("UpdateItem") == 1


def test_create_with_many_slow_calls_ends_in_time(
    proxy: FaultyDynamoDB,
    functions_on_table: Functions,
    stored: ProductRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(1, 20):
        functions_on_table.create(product_body(productId=f"PROD-{number:03}"))
    proxy.fail("GetItem", faults.delayed(0.7))  # each read that looks for a free number
    monkeypatch.setattr(DEADLINE, REAL_DEADLINE_SECONDS)
    started = time.monotonic()
    require_unavailable(functions_on_table.create(product_body()))
    assert time.monotonic() - started < MAX_RESPONSE_SECONDS
    assert len(stored_ids(stored)) == 19


# Cancelled transactions


def test_transaction_conflict_returns_409_key_in_flight(
    proxy: FaultyDynamoDB, functions_on_table: Functions, stored: ProductRepository
) -> None:
    proxy.fail("TransactWriteItems", faults.cancelled_transaction("TransactionConflict", "None"))
    response = CALLS["create_with_key"](functions_on_table)
    assert (response.status, response.problem()) == (409, "idempotency-key-in-flight")
    assert response.headers["Retry-After"] == "1"
    assert stored_ids(stored) == []


def test_unexplained_cancellation_returns_503(
    proxy: FaultyDynamoDB, functions_on_table: Functions, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fail("TransactWriteItems", faults.cancelled_transaction("None", "ThrottlingError"))
    require_unavailable(CALLS["create_with_key"](functions_on_table))
    assert "ThrottlingError" in caplog.text


def test_conflict_with_finished_same_request_is_replayed(
    proxy: FaultyDynamoDB, functions_on_table: Functions, stored: ProductRepository
) -> None:
    def conflict_after_same_request(exchange: faults.Exchange) -> None:
        proxy.fail("TransactWriteItems", faults.pass_on)
        assert CALLS["create_with_key"](functions_on_table).status == 201
        faults.cancelled_transaction("TransactionConflict", "None")(exchange)

    proxy.fail("TransactWriteItems", conflict_after_same_request)
    response = CALLS["create_with_key"](functions_on_table)
    assert response.status == 201
    assert response.headers["Idempotency-Replayed"] == "true"
    assert stored_ids(stored) == [response.json()["productId"]]


def test_cancellation_with_stored_product_returns_201(
    proxy: FaultyDynamoDB, functions_on_table: Functions, stored: ProductRepository
) -> None:
    proxy.fail(
        "TransactWriteItems", faults.after_execution(faults.cancelled_transaction("None", "None"))
    )
    response = CALLS["create_with_key"](functions_on_table)
    assert response.status == 201
    assert "Idempotency-Replayed" not in response.headers
    assert stored_ids(stored) == [response.json()["productId"]]


# Failed conditions


@pytest.mark.parametrize(
    ("call", "expected"), [("update", (412, "precondition-failed")), ("delete", (204, ""))]
)
def test_item_in_failed_condition_needs_no_read(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str, expected: tuple[int, str]
) -> None:
    status, kind = make_condition_fail(functions_on_table, call), expected[1]
    response = REJECTED[call](functions_on_table)
    assert status == expected[0] == response.status
    assert not kind or response.problem() == kind
    assert proxy.count("GetItem") == 0


@pytest.mark.parametrize(
    ("call", "expected"), [("update", (412, "precondition-failed")), ("delete", (204, ""))]
)
def test_failed_condition_without_item_needs_one_read(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str, expected: tuple[int, str]
) -> None:
    make_condition_fail(functions_on_table, call)
    proxy.fail("UpdateItem", faults.without_item)
    response = REJECTED[call](functions_on_table)
    assert response.status == expected[0]
    assert not expected[1] or response.problem() == expected[1]
    assert proxy.count("GetItem") == 1


@pytest.mark.parametrize("call", ["update", "delete"])
def test_missing_product_without_item_needs_one_read(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str
) -> None:
    proxy.fail("UpdateItem", faults.without_item)
    response = CALLS[call](functions_on_table)
    assert (response.status, response.problem()) == (404, "product-not-found")
    assert proxy.count("GetItem") == 1


REJECTED: dict[str, Callable[[Functions], FunctionResponse]] = {
    **CALLS,
    "update": lambda functions: functions.update("PROD-001", {"name": "N"}, {"If-Match": '"x"'}),
}


def make_condition_fail(functions: Functions, call: str) -> int:
    """Put PROD-001 into a state that fails the condition of `call`; return the expected status."""
    functions.create(product_body(productId="PROD-001"))
    if call == "update":
        assert functions.update("PROD-001", {"name": "Newer"}).status == 200
        return 412
    return functions.delete("PROD-001").status


# Errors that a retry cannot fix


PERMANENT: dict[str, Fault] = {
    "AccessDeniedException": faults.error_response(
        "AccessDeniedException", "no right to products-test"
    ),
    "ResourceNotFoundException": faults.error_response(
        "ResourceNotFoundException", "no products-test"
    ),
    "ValidationException": faults.error_response("ValidationException", "Invalid UpdateExpression"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", PERMANENT)
def test_permanent_error_returns_500_and_is_logged(
    functions: Functions,
    call: str,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with faulty_dynamodb(always=PERMANENT[code]) as server:
        monkeypatch.setattr(TABLE, open_table("products-test", REGION, server.endpoint_url))
        response = CALLS[call](functions)
    # A deletion that the engine calls invalid is sent once more, without raising the version.
    requests = 2 if (call, code) == ("delete", "ValidationException") else 1
    assert len(server.operations) == requests
    assert response.status == 500
    assert response.json() == {
        "type": "tag:kimmyai.io,2026:internal-error",
        "title": "Internal error",
        "status": 500,
        "detail": "Report the value of instance to the team that runs this API.",
        "instance": REQUEST_ID,
    }
    assert "Retry-After" not in response.headers
    failed = [record for record in caplog.records if record.message == "request failed"]
    assert [record.levelno for record in failed] == [logging.ERROR]
    assert vars(failed[0])["request_id"] == REQUEST_ID
    assert code in caplog.text


def test_503_is_logged_with_cause_and_without_secrets(
    functions: Functions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with faulty_dynamodb(always=faults.error_response("ThrottlingException")) as server:
        monkeypatch.setattr(TABLE, open_table("products-test", REGION, server.endpoint_url))
        key = unused_key()
        functions.create(product_body(), {"Idempotency-Key": key})
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "request failed"
    ]
    assert "ProvisionedThroughputExceededException" in caplog.text
    everything = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert key not in everything
    assert API_KEY_VALUE not in everything
