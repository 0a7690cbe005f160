"""The requests of the repository to DynamoDB, as they are sent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.engine import REGION
from product_lambda.models.product import PageRequest, SortOrder
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import (
    ProductRepository,
    ProductTable,
    open_table,
)
from tests.support.faulty_dynamodb import Exchange, faulty_dynamodb, pass_on
from tests.support.products import command, outcome, product, record


@pytest.fixture
def requests() -> list[dict[str, Any]]:
    """The requests to DynamoDB, in order."""
    return []


@pytest.fixture
def repository(
    engine: str, table: ProductTable, requests: list[dict[str, Any]]
) -> Iterator[CommandRepository]:
    def note(exchange: Exchange) -> None:
        requests.append(json.loads(exchange.request))
        pass_on(exchange)

    with faulty_dynamodb(engine, note) as proxy:
        yield CommandRepository(open_table(table.name, REGION, proxy.endpoint_url), Deadline(60))


@pytest.fixture
def repository_of_three(
    repository: ProductRepository, requests: list[dict[str, Any]]
) -> ProductRepository:
    """A repository with three products; the requests that stored them are not recorded."""
    for number in range(3):
        repository.insert(product(f"PROD-{number}"), "author")
    requests.clear()
    return repository


def test_get_is_strongly_consistent(
    repository: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    repository.get("PROD-001")
    assert [request["ConsistentRead"] for request in requests] == [True]


def test_find_record_is_strongly_consistent(
    repository: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    repository.find_record("a" * 64)
    assert [request["ConsistentRead"] for request in requests] == [True]


def test_page_is_one_query_with_limit(
    repository_of_three: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    repository_of_three.page(PageRequest(2, SortOrder.NEWEST_FIRST, 0, None))
    assert [request["Limit"] for request in requests] == [3]  # one more shows whether more follow


def test_offset_is_one_query(
    repository_of_three: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    page = repository_of_three.page(PageRequest(1, SortOrder.NEWEST_FIRST, 2, None))
    assert [request["Limit"] for request in requests] == [4]
    assert len(page.products) == 1


def test_each_transaction_has_token_of_the_system(
    repository: ProductRepository, requests: list[dict[str, Any]]
) -> None:
    for number in range(2):
        new = product(f"PROD-{number}")
        repository.insert_once(new, "author", record(new, key_hash=str(number) * 64), now=0)
    tokens = {request["ClientRequestToken"] for request in requests}
    assert [len(bytes.fromhex(token)) for token in tokens] == [16, 16]


def test_command_reads_product_before_it_overwrites_newer_change(
    repository: CommandRepository, requests: list[dict[str, Any]]
) -> None:
    repository.insert(product(updated_at="2026-04-01T00:00:00.000000Z"), "author")
    requests.clear()
    change = command(changes={"name": "N"})
    repository.update_by(outcome(), change, lambda: "2026-03-01T00:00:00.000000Z")
    first, *reads, second = requests
    assert "TransactItems" in first
    assert {"S": "PRODUCT#PROD-001"} in [read["Key"]["PK"] for read in reads]
    assert "TransactItems" in second
