"""Reads that cannot end in time: the response comes, and the reading stops."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from local.engine import REGION
from product_lambda.repositories.product_repository import ProductTable, open_table
from tests.integration.conftest import (
    DEADLINE,
    MAX_RESPONSE_SECONDS,
    REAL_DEADLINE_SECONDS,
    new_table,
)
from tests.support.events import Functions
from tests.support.faulty_dynamodb import Exchange, FaultyDynamoDB, delayed, faulty_dynamodb
from tests.support.raw_items import dynamodb, raw_product

TABLE = "product_lambda.handlers.entry.TABLE"
LARGEST = {
    "name": {"S": "\U0001f680" * 200},
    "description": {"S": "\U0001f680" * 4000},
    "features": {"L": [{"S": "\U0001f680" * 200}] * 50},
}
"""The largest texts that the API accepts, 57 KB in UTF-8."""
PRODUCTS = 1_100
PAGES = 60
"""Pages of 1 MB that hold 1,100 of the largest products."""


@pytest.fixture(scope="module")
def large_table(dynamodb_local: str) -> ProductTable:
    """1,100 products of the largest size, on DynamoDB Local, whose pages end at 1 MB."""
    table = new_table(dynamodb_local)
    client = dynamodb(dynamodb_local)

    def put(number: int) -> None:
        moment = f"2026-01-31T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000000Z"
        item = raw_product(f"PROD-{number}", createdAt={"S": moment}, **LARGEST)
        client.put_item(TableName=table.name, Item=item)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(PRODUCTS)))
    # The first page of a new Java process takes many times as long as the next ones.
    client.query(
        TableName=table.name,
        IndexName="ActiveProductsIndex",
        KeyConditionExpression="active = :active",
        ExpressionAttributeValues={":active": {"S": "true"}},
    )
    return table


@pytest.fixture
def large_server(
    dynamodb_local: str, large_table: ProductTable, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyDynamoDB]:
    """The functions on the large table, with the deadline of the deployed functions."""
    monkeypatch.setattr(DEADLINE, REAL_DEADLINE_SECONDS)
    with faulty_dynamodb(dynamodb_local) as server:
        monkeypatch.setattr(TABLE, open_table(large_table.name, REGION, server.endpoint_url))
        yield server


def one_product_after_a_delay(exchange: Exchange) -> None:
    """Execute a query with a limit of 1, after 0.3 s."""
    query = json.loads(exchange.request) | {"Limit": 1}
    headers = {n: v for n, v in exchange.headers.items() if n.lower() != "content-length"}
    delayed(0.3)(replace(exchange, request=json.dumps(query).encode(), headers=headers))


def test_offset_that_takes_too_long_returns_400(
    engine: str, imported_functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = new_table(engine)
    for number in range(40):
        dynamodb(engine).put_item(TableName=table.name, Item=raw_product(f"PROD-{number}"))
    monkeypatch.setattr(DEADLINE, REAL_DEADLINE_SECONDS)
    with faulty_dynamodb(engine) as server:
        server.fail("Query", one_product_after_a_delay)
        monkeypatch.setattr(TABLE, open_table(table.name, REGION, server.endpoint_url))
        started = time.monotonic()
        response = imported_functions.list(offset=30)
        assert time.monotonic() - started < MAX_RESPONSE_SECONDS
        assert (response.status, response.problem()) == (400, "validation-error")
        assert response.errors() == [
            ("offset", "takes too long to read; walk the list by nextToken instead")
        ]
        assert_no_query_follows(server)


def test_largest_offset_of_large_table_ends_in_time(
    large_server: FaultyDynamoDB, imported_functions: Functions
) -> None:
    started = time.monotonic()
    response = imported_functions.list(offset=1000)
    assert time.monotonic() - started < MAX_RESPONSE_SECONDS
    # The machine may be so slow that not even the first page arrives in time.
    expected = {400, 503} if large_server.count("Query") == 1 else {200, 400}
    assert response.status in expected
    assert large_server.count("Query") <= PAGES
    assert_no_query_follows(large_server)


def assert_no_query_follows(server: FaultyDynamoDB) -> None:
    """The query that was under way may still arrive, but no other follows it."""
    queries = server.count("Query")
    time.sleep(1)
    assert server.count("Query") <= queries + 1


def test_large_offset_is_read_page_by_page(
    large_server: FaultyDynamoDB, imported_functions: Functions
) -> None:
    response = imported_functions.list(offset=60, limit=1)
    assert response.status == 200
    assert [product["productId"] for product in response.json()["products"]] == ["PROD-1039"]
    assert large_server.count("Query") == 4  # of 1 MB each, about 18 products


def test_walk_by_token_reads_no_skipped_products(
    large_server: FaultyDynamoDB, imported_functions: Functions
) -> None:
    page = imported_functions.list(limit=15).json()
    page = imported_functions.list(limit=15, nextToken=page["nextToken"]).json()
    assert page["products"][0]["productId"] == "PROD-1084"
    assert large_server.count("Query") == 2
