"""What the repository asks of DynamoDB, as it goes over the wire: what a fake would not notice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.engine import REGION
from product_lambda.models.product import SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import (
    ProductRepository,
    ProductTable,
    open_table,
)
from tests.support.faulty_dynamodb import Exchange, faulty_dynamodb, pass_on
from tests.support.products import product


@pytest.fixture
def requests() -> list[dict[str, Any]]:
    """The requests that reached DynamoDB, in their order."""
    return []


@pytest.fixture
def repository(
    engine: str, table: ProductTable, requests: list[dict[str, Any]]
) -> Iterator[ProductRepository]:
    def note(exchange: Exchange) -> None:
        requests.append(json.loads(exchange.request))
        pass_on(exchange)

    with faulty_dynamodb(engine, note) as proxy:
        yield ProductRepository(open_table(table.name, REGION, proxy.endpoint_url), Deadline(60))


@pytest.fixture
def repository_of_three(
    repository: ProductRepository, requests: list[dict[str, Any]]
) -> ProductRepository:
    """The repository with three products, and what it took to store them forgotten."""
    for number in range(3):
        repository.insert(product(f"PROD-{number}"), "author")
    requests.clear()
    return repository


def test_a_product_is_read_as_the_last_write_left_it(
    repository: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    repository.get("PROD-001")
    assert [request["ConsistentRead"] for request in requests] == [True]


def test_what_a_key_stands_for_is_read_as_the_last_write_left_it(
    repository: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    repository.find_record("a" * 64)
    assert [request["ConsistentRead"] for request in requests] == [True]


def test_a_page_is_one_query_for_no_more_than_is_wanted(
    repository_of_three: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    repository_of_three.page(SortOrder.NEWEST_FIRST, None, 2)
    assert [request["Limit"] for request in requests] == [2]


def test_an_offset_reads_places_and_not_products(
    repository_of_three: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    repository_of_three.cursor_at(SortOrder.NEWEST_FIRST, 2)
    assert [(each["Limit"], each["ProjectionExpression"]) for each in requests] == [
        (2, "PK, createdAt")
    ]
