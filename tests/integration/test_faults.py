"""What the functions do when DynamoDB throttles, hangs, breaks off, answers nonsense or refuses."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.engine import REGION
from product_lambda.models.product import SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import (
    ProductRepository,
    ProductTable,
    open_table,
)
from tests.support import faulty_dynamodb as faults
from tests.support.events import API_KEY_VALUE, REQUEST_ID, FunctionResponse, Functions
from tests.support.factory import product_body, unused_key
from tests.support.faulty_dynamodb import Fault, FaultyDynamoDB, faulty_dynamodb
from tests.support.leaks import INTERNAL_DETAIL

TABLE = "product_lambda.handlers.entry.TABLE"
KEY = "an-idempotency-key-of-a-client"
CALLS: dict[str, Callable[[Functions], FunctionResponse]] = {
    "list": lambda functions: functions.list(),
    "list_by_offset": lambda functions: functions.list(offset=3),
    "get": lambda functions: functions.get("PROD-001"),
    "create": lambda functions: functions.create(product_body()),
    "create_with_id": lambda functions: functions.create(product_body(productId="PROD-001")),
    "create_with_key": lambda functions: functions.create(product_body(), {"Idempotency-Key": KEY}),
    "update": lambda functions: functions.update("PROD-001", {"name": "New"}, {"If-Match": '"1"'}),
    "delete": lambda functions: functions.delete("PROD-001"),
}
TRANSIENT: dict[str, Fault] = {
    "throughput exceeded": faults.rejected("ProvisionedThroughputExceededException"),
    "throttling": faults.rejected("ThrottlingException"),
    "request limit": faults.rejected("RequestLimitExceeded"),
    "hang": faults.hang,
    "reset": faults.reset,
    "hang up": faults.hang_up,
    "internal server error": faults.rejected("InternalServerError", status=500),
    "bad gateway": faults.answered(b"<html>502</html>", 502),
    "service unavailable": faults.rejected("ServiceUnavailable", status=503),
    "not HTTP": faults.not_http,
    "not JSON": faults.answered(b"<html>hello</html>"),
    "truncated": faults.truncated,
    "dripping headers": faults.dripping_headers,
    "dripping body": faults.dripping_body,
}


@pytest.fixture
def proxy(
    engine: str,
    table: ProductTable,
    functions_on_table: Functions,  # noqa: ARG001 (it puts the functions on the table first)
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultyDynamoDB]:
    """A server between the functions and a table of the test's own."""
    with faulty_dynamodb(engine) as server:
        monkeypatch.setattr(TABLE, open_table(table.name, REGION, server.endpoint_url))
        yield server


@pytest.fixture
def behind(table: ProductTable) -> ProductRepository:
    """What the table holds, seen past the proxy."""
    return ProductRepository(table, Deadline(60))


def stored_ids(behind: ProductRepository) -> list[str]:
    return [each.product_id for each in behind.page(SortOrder.OLDEST_FIRST, None, 99)]


def require_unavailable(reply: FunctionResponse) -> None:
    assert reply.status == 503, reply
    assert reply.problem() == "service-unavailable"
    assert reply.headers["Retry-After"] == "1"
    assert reply.headers["Cache-Control"] == "no-store"
    document = reply.json()
    assert document.pop("type")
    assert document == {
        "title": "The service is unavailable for the moment",
        "status": 503,
        "detail": "Nothing was lost on our side; send the request again in a second.",
        "instance": REQUEST_ID,
    }
    assert not INTERNAL_DETAIL.search(reply.body)


def timed_calls(functions: Functions) -> dict[str, tuple[FunctionResponse, float]]:
    """Every operation at once: what it answered, and after how many seconds."""

    def timed(call: Callable[[Functions], FunctionResponse]) -> tuple[FunctionResponse, float]:
        started = time.monotonic()
        return call(functions), time.monotonic() - started

    with ThreadPoolExecutor(len(CALLS)) as threads:
        return dict(zip(CALLS, threads.map(timed, CALLS.values()), strict=True))


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_every_function_answers_503_in_time(
    functions: Functions, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_dynamodb(always=fault) as server:
        monkeypatch.setattr(TABLE, open_table("products-test", REGION, server.endpoint_url))
        for reply, seconds in timed_calls(functions).values():
            require_unavailable(reply)
            assert seconds < 3


def test_every_function_answers_503_where_nothing_listens(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = faults.unused_endpoint()
    monkeypatch.setattr(TABLE, open_table("products-test", REGION, endpoint))
    for reply, seconds in timed_calls(functions).values():
        require_unavailable(reply)
        assert seconds < 3


@pytest.mark.parametrize("name", ["create", "create_with_key", "update", "delete"])
def test_an_empty_answer_to_a_write_is_no_success(
    functions: Functions, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_dynamodb(always=faults.answered(b"{}")) as server:
        monkeypatch.setattr(TABLE, open_table("products-test", REGION, server.endpoint_url))
        require_unavailable(CALLS[name](functions))


# Reads, and writes that may be repeated


ONCE: dict[str, Fault] = {
    "throttled": faults.rejected("ProvisionedThroughputExceededException"),
    "reset": faults.reset,
    "hung up": faults.hang_up,
    "truncated": faults.truncated,
    "failed inside": faults.rejected("InternalServerError", status=500),
    "answer lost": faults.after(faults.reset),
}
ANY_FAULT_ONCE = pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE.keys())


@ANY_FAULT_ONCE
@pytest.mark.parametrize(
    ("call", "operation"), [("list", "Query"), ("list_by_offset", "Query"), ("get", "GetItem")]
)
def test_a_read_recovers_from_one_failure(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str, operation: str, fault: Fault
) -> None:
    for number in range(1, 6):
        functions_on_table.create(product_body(productId=f"PROD-{number:03}"))
    undisturbed = CALLS[call](functions_on_table)
    calls = proxy.count(operation)
    proxy.fail(operation, fault, nth=calls + 1)
    assert CALLS[call](functions_on_table) == undisturbed
    assert undisturbed.status == 200
    assert proxy.count(operation) == 2 * calls + 1


def test_a_read_that_fails_twice_is_given_up(
    proxy: FaultyDynamoDB, functions_on_table: Functions
) -> None:
    proxy.fail("GetItem", faults.reset)
    require_unavailable(functions_on_table.get("PROD-001"))
    assert proxy.count("GetItem") == 2


@ANY_FAULT_ONCE
def test_a_number_lost_on_the_way_leaves_a_gap_at_most(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository, fault: Fault
) -> None:
    proxy.fail("UpdateItem", fault, nth=1)
    created = functions_on_table.create(product_body())
    assert created.status == 201
    assert created.json()["productId"] in {"PROD-001", "PROD-002"}
    assert stored_ids(behind) == [created.json()["productId"]]


# Writes that may not be repeated


@ANY_FAULT_ONCE
def test_a_keyed_create_survives_one_failure_as_one_product(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository, fault: Fault
) -> None:
    proxy.fail("TransactWriteItems", fault, nth=1)
    created = CALLS["create_with_key"](functions_on_table)
    assert created.status == 201
    assert "Idempotency-Replayed" not in created.headers
    assert stored_ids(behind) == [created.json()["productId"]]
    assert proxy.count("TransactWriteItems") == 2


def test_a_keyed_create_whose_answer_never_came_is_replayed(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository
) -> None:
    proxy.fail("TransactWriteItems", faults.after(faults.hang_up), nth=1)
    proxy.fail("TransactWriteItems", faults.after(faults.hang_up), nth=2)
    require_unavailable(CALLS["create_with_key"](functions_on_table))
    replayed = CALLS["create_with_key"](functions_on_table)
    assert replayed.status == 201
    assert replayed.headers["Idempotency-Replayed"] == "true"
    assert stored_ids(behind) == ["PROD-001"] == [replayed.json()["productId"]]


def test_a_keyed_create_that_failed_leaves_nothing(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository
) -> None:
    proxy.fail("TransactWriteItems", faults.rejected("InternalServerError", status=500))
    require_unavailable(CALLS["create_with_key"](functions_on_table))
    assert stored_ids(behind) == []
    assert proxy.count("TransactWriteItems") == 2
    proxy.fail("TransactWriteItems", faults.pass_on)
    created = CALLS["create_with_key"](functions_on_table)
    assert created.status == 201
    assert "Idempotency-Replayed" not in created.headers


@pytest.mark.parametrize("lost", [faults.reset, faults.hang_up, faults.truncated, faults.hang])
def test_a_create_whose_answer_is_lost_is_not_sent_again(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository, lost: Fault
) -> None:
    proxy.fail("PutItem", faults.after(lost))
    require_unavailable(functions_on_table.create(product_body()))
    assert proxy.count("PutItem") == 1
    assert stored_ids(behind) == ["PROD-001"]


@pytest.mark.parametrize("lost", [faults.reset, faults.hang_up, faults.truncated, faults.hang])
@pytest.mark.parametrize("call", ["update", "delete"])
def test_a_change_whose_answer_is_lost_is_not_sent_again(
    proxy: FaultyDynamoDB,
    functions_on_table: Functions,
    behind: ProductRepository,
    call: str,
    lost: Fault,
) -> None:
    functions_on_table.create(product_body(productId="PROD-001"))
    proxy.fail("UpdateItem", faults.after(lost))
    require_unavailable(CALLS[call](functions_on_table))
    assert proxy.count("UpdateItem") == 1
    left = behind.get("PROD-001")
    assert left is not None
    assert left.version == 2


@pytest.mark.parametrize("fault", [faults.reset, faults.hang_up, faults.hang])
@pytest.mark.parametrize("call", ["update", "delete"])
def test_a_change_that_never_arrived_changes_nothing(
    proxy: FaultyDynamoDB,
    functions_on_table: Functions,
    behind: ProductRepository,
    call: str,
    fault: Fault,
) -> None:
    functions_on_table.create(product_body(productId="PROD-001"))
    before = behind.get("PROD-001")
    proxy.fail("UpdateItem", fault)
    require_unavailable(CALLS[call](functions_on_table))
    assert proxy.count("UpdateItem") == 1
    assert behind.get("PROD-001") == before


@pytest.mark.parametrize(
    ("call", "operation"),
    [("create_with_id", "PutItem"), ("update", "UpdateItem"), ("delete", "UpdateItem")],
)
def test_a_write_that_was_throttled_is_sent_once_more(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str, operation: str
) -> None:
    if call != "create_with_id":
        functions_on_table.create(product_body(productId="PROD-001"))
    throttled = faults.rejected("ProvisionedThroughputExceededException")
    proxy.fail(operation, throttled, nth=1)
    assert CALLS[call](functions_on_table).status in {200, 201, 204}
    assert proxy.count(operation) == 2


def test_a_request_of_many_slow_calls_ends_in_time(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository
) -> None:
    for number in range(1, 20):
        functions_on_table.create(product_body(productId=f"PROD-{number:03}"))
    proxy.fail("PutItem", faults.slow(0.7))
    started = time.monotonic()
    require_unavailable(functions_on_table.create(product_body()))
    assert time.monotonic() - started < 3
    assert len(stored_ids(behind)) == 19


# Transactions that were cancelled


def test_a_conflict_of_transactions_is_a_key_in_flight(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository
) -> None:
    proxy.fail("TransactWriteItems", faults.cancelled("TransactionConflict", "None"))
    reply = CALLS["create_with_key"](functions_on_table)
    assert (reply.status, reply.problem()) == (409, "idempotency-key-in-flight")
    assert reply.headers["Retry-After"] == "1"
    assert stored_ids(behind) == []


def test_a_cancellation_with_nothing_to_explain_it_is_an_outage(
    proxy: FaultyDynamoDB, functions_on_table: Functions, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fail("TransactWriteItems", faults.cancelled("None", "ThrottlingError"))
    require_unavailable(CALLS["create_with_key"](functions_on_table))
    assert "ThrottlingError" in caplog.text


def test_a_conflict_with_the_same_request_that_has_finished_is_replayed(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository
) -> None:
    def overtaken(exchange: faults.Exchange) -> None:
        proxy.fail("TransactWriteItems", faults.pass_on)
        assert CALLS["create_with_key"](functions_on_table).status == 201
        faults.cancelled("TransactionConflict", "None")(exchange)

    proxy.fail("TransactWriteItems", overtaken)
    reply = CALLS["create_with_key"](functions_on_table)
    assert reply.status == 201
    assert reply.headers["Idempotency-Replayed"] == "true"
    assert stored_ids(behind) == [reply.json()["productId"]]


def test_a_cancellation_whose_product_is_stored_is_this_requests_own_success(
    proxy: FaultyDynamoDB, functions_on_table: Functions, behind: ProductRepository
) -> None:
    proxy.fail("TransactWriteItems", faults.after(faults.cancelled("None", "None")))
    reply = CALLS["create_with_key"](functions_on_table)
    assert reply.status == 201
    assert "Idempotency-Replayed" not in reply.headers
    assert stored_ids(behind) == [reply.json()["productId"]]


# Failed conditions


@pytest.mark.parametrize(
    ("call", "expected"), [("update", (412, "precondition-failed")), ("delete", (204, ""))]
)
def test_an_engine_that_shows_what_failed_a_condition_is_not_asked_again(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str, expected: tuple[int, str]
) -> None:
    status, kind = make_stale(functions_on_table, call), expected[1]
    reply = CALLS[call](functions_on_table)
    assert status == expected[0] == reply.status
    assert not kind or reply.problem() == kind
    assert proxy.count("GetItem") == 0


@pytest.mark.parametrize(
    ("call", "expected"), [("update", (412, "precondition-failed")), ("delete", (204, ""))]
)
def test_an_engine_that_hides_what_failed_a_condition_is_asked_once(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str, expected: tuple[int, str]
) -> None:
    make_stale(functions_on_table, call)
    proxy.fail("UpdateItem", faults.without_item)
    reply = CALLS[call](functions_on_table)
    assert reply.status == expected[0]
    assert not expected[1] or reply.problem() == expected[1]
    assert proxy.count("GetItem") == 1


@pytest.mark.parametrize("call", ["update", "delete"])
def test_an_engine_that_hides_it_is_asked_about_a_missing_product_too(
    proxy: FaultyDynamoDB, functions_on_table: Functions, call: str
) -> None:
    proxy.fail("UpdateItem", faults.without_item)
    reply = CALLS[call](functions_on_table)
    assert (reply.status, reply.problem()) == (404, "product-not-found")
    assert proxy.count("GetItem") == 1


def make_stale(functions: Functions, call: str) -> int:
    """Bring PROD-001 where `call` fails its condition: another version, or deleted."""
    functions.create(product_body(productId="PROD-001"))
    if call == "update":
        assert functions.update("PROD-001", {"name": "Newer"}).status == 200
        return 412
    return functions.delete("PROD-001").status


# Faults of ours


OURS: dict[str, Fault] = {
    "AccessDeniedException": faults.rejected("AccessDeniedException", "no right to products-test"),
    "ResourceNotFoundException": faults.rejected("ResourceNotFoundException", "no products-test"),
    "ValidationException": faults.rejected("ValidationException", "Invalid UpdateExpression"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", OURS)
def test_a_fault_of_ours_is_a_500_that_only_the_log_explains(
    functions: Functions,
    call: str,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with faulty_dynamodb(always=OURS[code]) as server:
        monkeypatch.setattr(TABLE, open_table("products-test", REGION, server.endpoint_url))
        reply = CALLS[call](functions)
    assert len(server.operations) == 1
    assert reply.status == 500
    assert reply.json() == {
        "type": "tag:kimmyai.io,2026:internal-error",
        "title": "The service has made a mistake",
        "status": 500,
        "detail": "Report the value of instance to the team that runs this API.",
        "instance": REQUEST_ID,
    }
    assert "Retry-After" not in reply.headers
    failed = [record for record in caplog.records if record.message == "request failed"]
    assert [record.levelno for record in failed] == [logging.ERROR]
    assert vars(failed[0])["request_id"] == REQUEST_ID
    assert code in caplog.text


def test_an_outage_is_logged_with_its_cause_and_without_secrets(
    functions: Functions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with faulty_dynamodb(always=faults.rejected("ThrottlingException")) as server:
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
