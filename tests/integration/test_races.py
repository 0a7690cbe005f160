"""Writes that meet each other, a restored table, or a request that arrives late."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.engine import REGION
from product_lambda.repositories.product_repository import open_table
from tests.integration.conftest import giving_up, new_table
from tests.support.events import FunctionResponse, Functions
from tests.support.factory import product_body
from tests.support.faulty_dynamodb import (
    Exchange,
    FaultyDynamoDB,
    faulty_dynamodb,
    pass_on,
    without_item,
)
from tests.support.raw_items import dynamodb, raw_product

TABLE = "product_lambda.handlers.entry.TABLE"


@pytest.fixture(params=["engine", "dynamodb_local"])
def functions(
    request: pytest.FixtureRequest,
    imported_functions: Functions,
    monkeypatch: pytest.MonkeyPatch,
) -> Functions:
    """The functions on an empty table of each engine."""
    monkeypatch.setattr(TABLE, new_table(request.getfixturevalue(request.param)))
    return imported_functions


@pytest.fixture
def proxy(
    engine: str,
    imported_functions: Functions,  # noqa: ARG001 (their module is patched)
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultyDynamoDB]:
    """A server between the functions and an empty table of the engine."""
    table = new_table(engine)
    with faulty_dynamodb(engine) as server:
        monkeypatch.setattr(TABLE, open_table(table.name, REGION, server.endpoint_url))
        yield server


# A creation beside writes without a precondition


@pytest.mark.parametrize("rounds", [20])
def test_write_without_precondition_never_returns_412(functions: Functions, rounds: int) -> None:
    with ThreadPoolExecutor(3) as pool:
        for number in range(rounds):
            product_id = f"PROD-{number}"
            calls = [
                pool.submit(functions.create, product_body(productId=product_id)),
                pool.submit(functions.update, product_id, {"name": "New"}),
                pool.submit(functions.delete, product_id),
            ]
            created, updated, deleted = (call.result() for call in calls)
            assert created.status == 201
            assert updated.status in {200, 404}
            assert deleted.status in {204, 404}
            assert (functions.get(product_id).status == 404) == (deleted.status == 204)


@pytest.mark.parametrize("write", ["update", "delete"])
def test_product_created_after_failed_condition_is_written(
    proxy: FaultyDynamoDB, imported_functions: Functions, write: str
) -> None:
    functions = imported_functions

    def create_after_failure(exchange: Exchange) -> None:
        """Pass the update on, and create the product before the response arrives."""
        status, _, body = exchange.forward()
        assert status == 400
        assert functions.create(product_body(productId="PROD-001")).status == 201
        exchange.respond(status, body)

    proxy.fail("UpdateItem", create_after_failure, 1)
    if write == "update":
        response = functions.update("PROD-001", {"name": "New"})
        assert (response.status, response.json()["name"]) == (200, "New")
    else:
        assert functions.delete("PROD-001").status == 204
        assert functions.get("PROD-001").status == 404


def test_concurrent_updates_without_precondition_succeed(functions: Functions) -> None:
    functions.create(product_body(productId="PROD-001"))
    start = threading.Barrier(4)

    def update(number: int) -> list[int]:
        start.wait()
        return [
            functions.update("PROD-001", {"name": f"{number}-{round_}"}).status
            for round_ in range(10)
        ]

    with ThreadPoolExecutor(4) as pool:
        statuses = [status for each in pool.map(update, range(4)) for status in each]
    assert set(statuses) == {200}
    assert functions.get("PROD-001").json()["version"] == 41


# A restored table


def test_tag_from_before_restore_never_matches_again(
    engine: str, imported_functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = imported_functions
    table = new_table(engine)
    monkeypatch.setattr(TABLE, table)
    functions.create(product_body(productId="PROD-001"))
    key = {"PK": {"S": "PRODUCT#PROD-001"}, "SK": {"S": "METADATA"}}
    client = dynamodb(engine)
    backup = client.get_item(TableName=table.name, Key=key)["Item"]

    lost = functions.update("PROD-001", {"price": 111}).headers["ETag"]
    client.put_item(TableName=table.name, Item=backup)
    kept = functions.update("PROD-001", {"price": 222})
    assert kept.json()["version"] == 2
    assert kept.headers["ETag"] != lost

    assert functions.get("PROD-001", {"If-None-Match": lost}).status == 200
    assert functions.update("PROD-001", {"price": 1}, {"If-Match": lost}).status == 412
    assert functions.delete("PROD-001", {"If-Match": lost}).status == 412
    assert functions.update("PROD-001", {"price": 1}, {"If-Match": '"2"'}).status == 412
    assert functions.get("PROD-001").json()["price"] == 222


# Requests that arrive late


class Held:
    """A fault that holds one request back until the test releases it."""

    def __init__(self) -> None:
        self._release = threading.Event()
        self._done = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        self._release.wait(30)
        try:
            exchange.forward()
        finally:
            self._done.set()

    def release(self) -> None:
        """Send the request to the engine, and wait for its end."""
        self._release.set()
        assert self._done.wait(30)


@pytest.mark.parametrize("write", ["update", "delete"])
def test_late_write_does_not_overwrite_newer_change(
    proxy: FaultyDynamoDB, imported_functions: Functions, write: str
) -> None:
    functions = imported_functions
    functions.create(product_body(productId="PROD-001"))
    held = Held()
    proxy.fail("UpdateItem", held, 1)
    with giving_up():
        late = (
            functions.update("PROD-001", {"name": "Late"})
            if write == "update"
            else functions.delete("PROD-001")
        )
    assert late.status == 503
    newer = functions.update("PROD-001", {"name": "Newer"})
    assert newer.status == 200
    held.release()
    assert functions.get("PROD-001").json() == newer.json()


def test_late_creation_does_not_overwrite(
    proxy: FaultyDynamoDB, imported_functions: Functions
) -> None:
    functions = imported_functions
    held = Held()
    proxy.fail("PutItem", held, 1)
    with giving_up():
        late = functions.create(product_body(productId="PROD-001", name="Late"))
    assert late.status == 503
    newer = functions.create(product_body(productId="PROD-001", name="Newer"))
    assert newer.status == 201
    held.release()
    assert functions.get("PROD-001").json() == newer.json()


@pytest.mark.parametrize("fault", [pass_on, without_item])
def test_product_changed_in_the_future_can_be_changed(
    engine: str,
    imported_functions: Functions,
    monkeypatch: pytest.MonkeyPatch,
    fault: Any,
) -> None:
    functions = imported_functions
    table = new_table(engine)
    with faulty_dynamodb(engine) as server:
        server.fail("UpdateItem", fault)
        monkeypatch.setattr(TABLE, open_table(table.name, REGION, server.endpoint_url))
        for number, write in enumerate((_update, _delete)):
            item = raw_product(f"PROD-{number}", updatedAt={"S": "2099-01-01T00:00:00.000000Z"})
            dynamodb(engine).put_item(TableName=table.name, Item=item)
            assert write(functions, f"PROD-{number}").status in {200, 204}


def _update(functions: Functions, product_id: str) -> FunctionResponse:
    return functions.update(product_id, {"name": "New"})


def _delete(functions: Functions, product_id: str) -> FunctionResponse:
    return functions.delete(product_id)
