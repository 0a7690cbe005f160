"""A search that cannot be finished in time: a short page with a cursor, never a 503."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from local.engine import REGION
from product_lambda.exceptions import DependencyUnavailableException, TimeUpException
from product_lambda.models.product import Filters, PageRequest, Product, SortOrder
from product_lambda.repositories import product_repository
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import (
    ProductRepository,
    ProductTable,
    open_table,
)
from tests.support.faulty_dynamodb import FaultyDynamoDB, error_response, faulty_dynamodb
from tests.support.pages import listed
from tests.support.products import product, second
from tests.support.raw_items import dynamodb, raw_product

MONTHLY = PageRequest(3, SortOrder.OLDEST_FIRST, 0, None, Filters(period="monthly"))


@pytest.fixture
def server(engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyDynamoDB]:
    """A server between the repository and the engine; a query reads two items at most."""
    monkeypatch.setattr(product_repository, "_MAX_QUERY_ITEMS", 2)
    with faulty_dynamodb(engine) as proxy:
        yield proxy


@pytest.fixture
def expected(table: ProductTable) -> list[str]:
    """Twenty products, of which PROD-05, PROD-10, PROD-15 and PROD-20 are monthly."""
    repository = ProductRepository(table, Deadline(60))
    for number in range(1, 21):
        period = "yearly" if number % 5 else "monthly"
        new = product(f"PROD-{number:02}", created_at=second(number), period=period)
        repository.insert(new, "author")
    return ["PROD-05", "PROD-10", "PROD-15", "PROD-20"]


def repository_on(server: FaultyDynamoDB, table: ProductTable, seconds: float) -> ProductRepository:
    return ProductRepository(open_table(table.name, REGION, server.endpoint_url), Deadline(seconds))


def fail_from_query(server: FaultyDynamoDB, first: int) -> None:
    for number in range(first, 100):
        fault = error_response("InternalServerError", status=500)
        server.fail("Query", fault, nth=number)


@pytest.mark.parametrize("first_fault", range(2, 8))
@pytest.mark.parametrize("sort", list(SortOrder))
def test_interrupted_search_goes_on_after_its_page(
    server: FaultyDynamoDB,
    table: ProductTable,
    expected: list[str],
    first_fault: int,
    sort: SortOrder,
) -> None:
    request = MONTHLY._replace(sort=sort)
    fail_from_query(server, first_fault)
    page = repository_on(server, table, 60).page(request)
    assert page.next_cursor is not None
    assert len(page.products) <= 3
    rest = listed(ProductRepository(table, Deadline(60)), request._replace(cursor=page.next_cursor))
    found = [each.product_id for each in (*page.products, *rest)]
    assert sorted(found) == expected
    if sort.field == "createdAt":
        assert found == (expected if sort.is_ascending else expected[::-1])


def test_search_leaves_time_for_its_response(
    server: FaultyDynamoDB,
    table: ProductTable,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(product_repository, "_SEARCH_RESERVE_SECONDS", 60)
    page = repository_on(server, table, 60).page(MONTHLY)
    assert server.count("Query") == 1
    assert page.products == ()
    rest = listed(ProductRepository(table, Deadline(60)), MONTHLY._replace(cursor=page.next_cursor))
    assert [each.product_id for each in rest] == expected


@pytest.mark.usefixtures("expected")
@pytest.mark.parametrize(
    ("request_for_page", "first_fault"),
    [
        (MONTHLY, 1),
        (MONTHLY._replace(offset=2), 3),
    ],
)
def test_other_failures_are_reported(
    server: FaultyDynamoDB, table: ProductTable, request_for_page: PageRequest, first_fault: int
) -> None:
    fail_from_query(server, first_fault)
    with pytest.raises(DependencyUnavailableException):
        repository_on(server, table, 60).page(request_for_page)


@pytest.mark.parametrize(
    ("sort", "filters", "expected_numbers"),
    [
        (SortOrder.CHEAPEST_FIRST, {"min_price": 10, "max_price": 12}, [10, 11, 12]),
        (SortOrder.DEAREST_FIRST, {"min_price": 10, "max_price": 12}, [12, 11, 10]),
        (SortOrder.CHEAPEST_FIRST, {"min_price": 19}, [19, 20]),
        (SortOrder.DEAREST_FIRST, {"max_price": 2}, [2, 1]),
        (SortOrder.BY_NAME, {"name": "Plan 07"}, [7]),
        (SortOrder.BY_NAME_DESCENDING, {"name": "plan 2"}, [20]),
    ],
)
def test_index_that_fits_the_filter_needs_one_query(
    server: FaultyDynamoDB,
    table: ProductTable,
    sort: SortOrder,
    filters: dict[str, Any],
    expected_numbers: list[int],
) -> None:
    repository = repository_on(server, table, 60)
    for number in range(1, 21):
        name, price = f"Plan {number:02}", Decimal(number)
        repository.insert(product(f"PROD-{number}", name=name, price=price), "author")
    page = repository.page(PageRequest(3, sort, 0, None, Filters(**filters)))
    assert [each.price for each in page.products] == expected_numbers
    assert page.next_cursor is None
    assert server.count("Query") == 1


@pytest.mark.usefixtures("expected")
def test_search_for_few_products_needs_few_queries(
    server: FaultyDynamoDB, table: ProductTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_repository, "_MAX_QUERY_ITEMS", 1000)
    search = PageRequest(1, SortOrder.NEWEST_FIRST, 0, None, Filters(period="once-off"))
    page = repository_on(server, table, 60).page(search)
    assert (page.products, page.next_cursor) == ((), None)
    assert server.count("Query") == 4  # of 2, 4, 8 and 6 products


@pytest.fixture
def around_foreign_items(table: ProductTable, engine: str) -> tuple[Product, Product]:
    """Two products, with items of other programs between them."""
    repository = ProductRepository(table, Deadline(60))
    first = product("PROD-1", created_at=second(1), period="monthly")
    last = first._replace(product_id="PROD-2", created_at=second(9))
    for each in (first, last):
        repository.insert(each, "author")
    for number in range(2, 6):
        foreign = raw_product(
            f"PROD-F{number}", PK={"S": f"CAMPAIGN#{number}"}, createdAt={"S": second(number)}
        )
        dynamodb(engine).put_item(TableName=table.name, Item=foreign)
    return first, last


class DeadlineAfterQuery(Deadline):
    """A deadline that comes near, or passes, when a query has been sent."""

    def __init__(self, server: FaultyDynamoDB, queries: int, seconds: float) -> None:
        super().__init__(60)
        self._server, self._queries, self._seconds = server, queries, seconds

    def remaining(self) -> float:
        return self._seconds if self._server.count("Query") >= self._queries else 60


@pytest.mark.usefixtures("around_foreign_items")
@pytest.mark.parametrize(
    ("queries", "seconds", "expected_error"),
    [
        (0, -1, DependencyUnavailableException),  # nothing has been read
        (1, -1, TimeUpException),
        (2, 0.5, DependencyUnavailableException),  # the second query fails before the deadline
    ],
)
def test_time_is_up_only_after_a_part_was_read(
    server: FaultyDynamoDB,
    table: ProductTable,
    queries: int,
    seconds: float,
    expected_error: type[Exception],
) -> None:
    fail_from_query(server, 2)
    on_server = open_table(table.name, REGION, server.endpoint_url)
    repository = ProductRepository(on_server, DeadlineAfterQuery(server, queries, seconds))
    with pytest.raises(DependencyUnavailableException) as raised:
        repository.page(PageRequest(1, SortOrder.OLDEST_FIRST, 0, None))
    assert raised.type is expected_error


def test_search_interrupted_at_foreign_item_repeats_no_product(
    server: FaultyDynamoDB, table: ProductTable, around_foreign_items: tuple[Product, Product]
) -> None:
    """No token can name a foreign item, so the page ends at the product before it."""
    first, last = around_foreign_items
    fail_from_query(server, 2)
    page = repository_on(server, table, 60).page(MONTHLY)
    assert page.products == (first,)
    assert page.next_cursor is not None
    assert page.next_cursor.product_id == "PROD-1"
    repository = ProductRepository(table, Deadline(60))
    rest = listed(repository, MONTHLY._replace(cursor=page.next_cursor))
    assert rest == [last]
