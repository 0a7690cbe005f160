"""Walks of the list by nextToken while products change, compared with a plain model.

A product that stays as it is must be seen exactly once, in the order of the list. A product that is
created, changed, deleted or restored during the walk may be seen or not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.engine import REGION
from product_lambda.models.product import PageRequest, SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductRepository, open_table
from tests.integration.conftest import new_table
from tests.support.events import Functions
from tests.support.factory import product_body
from tests.support.pages import listed
from tests.support.raw_items import dynamodb, raw_product

TABLE = "product_lambda.handlers.entry.TABLE"
EXPANDING = "\ufdfa"
NAMES = st.sampled_from(
    ["a", "A", "ab", "Ab c", "b|", "%7C", "é", "\u0065\u0301", "ß", "SS", "🚀", EXPANDING * 40]
) | st.text(st.sampled_from(["a", "B", EXPANDING]), min_size=1, max_size=200)
PRICES = st.sampled_from(
    [Decimal(text) for text in ("0.01", "0.1", "2", "9.99", "10", "99999999.99")]
)
CURRENCIES = st.sampled_from(["ZAR", "EUR"])
PERIODS = st.sampled_from(["monthly", "yearly"])
BODIES = st.builds(
    lambda name, price, currency, period: product_body(
        name=name, price=price, currency=currency, period=period
    ),
    NAMES,
    PRICES,
    CURRENCIES,
    PERIODS,
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "currency": CURRENCIES,
        "period": PERIODS,
        "minPrice": PRICES,
        "maxPrice": PRICES,
        "name": NAMES,
    },
)
SORTS = st.sampled_from(["createdAt", "-createdAt", "price", "-price", "name", "-name"])


class Change(NamedTuple):
    """What happens to one of the products between two pages."""

    product: int
    kind: str
    body: dict[str, Any]


CHANGES = st.lists(
    st.builds(
        Change,
        st.integers(0, 30),
        st.sampled_from(["create", "update", "delete", "restore"]),
        BODIES,
    ),
    max_size=6,
)


@dataclass
class Catalogue:
    """The functions on one table, and the products as their responses showed them.

    Attributes:
        changed: the ids that have changed since the start of the walk.
    """

    functions: Functions
    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def create(self, body: dict[str, Any]) -> None:
        product = self.functions.create(body).json()
        self.products[product["productId"]] = product
        self.changed.add(product["productId"])

    def apply(self, change: Change) -> None:
        """Make a change, of the kind that the product's state allows."""
        if change.kind == "create" or not self.products:
            self.create(change.body)
            return
        product_id = list(self.products)[change.product % len(self.products)]
        self.changed.add(product_id)
        if change.kind == "delete":
            assert self.functions.delete(product_id).status == 204
            self.products[product_id]["active"] = False
            return
        body = {**change.body, "active": True}
        self.products[product_id] = self.functions.update(product_id, body).json()


@pytest.fixture(params=["engine", "dynamodb_local"])
def functions_on_engine(
    request: pytest.FixtureRequest, imported_functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Functions]:
    """A function that puts the functions on an empty table."""
    endpoint_url = request.getfixturevalue(request.param)

    def on_empty_table() -> Functions:
        monkeypatch.setattr(TABLE, new_table(endpoint_url))
        return imported_functions

    return on_empty_table


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(BODIES, max_size=14),
    FILTERS,
    SORTS,
    st.integers(1, 5),
    st.lists(CHANGES, max_size=4),
)
def test_products_that_stay_are_seen_once_in_order(  # noqa: PLR0913, PLR0917
    functions_on_engine: Callable[[], Functions],
    bodies: list[dict[str, Any]],
    filters: dict[str, Any],
    sort: str,
    limit: int,
    changes: list[list[Change]],
) -> None:
    catalogue = Catalogue(functions_on_engine())
    for body in bodies:
        catalogue.create(body)
    catalogue.changed.clear()
    before = {product_id: dict(product) for product_id, product in catalogue.products.items()}
    query = valid_query(filters, sort)

    seen: list[dict[str, Any]] = []
    token: dict[str, Any] = {}
    pending = iter(changes)
    while True:
        response = catalogue.functions.list(**query, limit=limit, **token)
        assert response.status == 200, response.body
        page = response.json()
        seen += page["products"]
        assert page["moreAvailable"] is (page["nextToken"] is not None)
        if page["nextToken"] is None:
            break
        assert page["count"] == limit
        token = {"nextToken": page["nextToken"]}
        for change in next(pending, []):
            catalogue.apply(change)

    stayed = {
        product_id: each
        for product_id, each in before.items()
        if product_id not in catalogue.changed
    }
    expected = [each for each in stayed.values() if is_match(each, query)]
    found = [each for each in seen if each["productId"] in stayed]
    assert sorted(found, key=by_id) == sorted(expected, key=by_id)
    values = [value_of(each, sort) for each in found]
    assert values == sorted(values, reverse=sort.startswith("-"))
    assert all(is_match(each, query) for each in seen)


@pytest.mark.parametrize("name", ["engine", "dynamodb_local"])
def test_pages_show_each_deleted_product_once(request: pytest.FixtureRequest, name: str) -> None:
    endpoint_url = request.getfixturevalue(name)
    table = new_table(endpoint_url)
    client = dynamodb(endpoint_url)
    for number, state in enumerate(["false", "true", "false", "false"]):
        moment = {"S": f"2026-01-31T09:30:0{number}.000000Z"}
        item = raw_product(f"PROD-{number}", active={"S": state}, createdAt=moment)
        client.put_item(TableName=table.name, Item=item)

    deleted = PageRequest(1, SortOrder.OLDEST_FIRST, 0, None, deleted=True)
    products = listed(ProductRepository(table, Deadline(60)), deleted)

    assert [each.product_id for each in products] == ["PROD-0", "PROD-2", "PROD-3"]


def valid_query(filters: dict[str, Any], sort: str) -> dict[str, Any]:
    """Return the query, with a currency where it is needed and price limits in their order."""
    query = {**filters, "sort": sort}
    limits = sorted(query[name] for name in ("minPrice", "maxPrice") if name in query)
    if len(limits) > 1:
        query |= {"minPrice": limits[0], "maxPrice": limits[1]}
    if limits or sort.endswith("price"):
        query.setdefault("currency", "ZAR")
    return query


def comparable(name: str) -> str:
    from unicodedata import normalize  # noqa: PLC0415

    return normalize("NFKC", normalize("NFKC", name).casefold())


def value_of(product: dict[str, Any], sort: str) -> Any:
    """Return what a sort order compares; names are compared by the bytes that a key has."""
    if sort.endswith("name"):
        return comparable(product["name"]).encode()[:1020]
    return product[sort.removeprefix("-")]


def is_match(product: dict[str, Any], query: dict[str, Any]) -> bool:
    """Return whether a list shows a product, by the contract of the API."""
    return (
        product["active"]
        and query.get("currency") in {None, product["currency"]}
        and query.get("period") in {None, product["period"]}
        and query.get("minPrice", 0) <= product["price"] <= query.get("maxPrice", 10**9)
        and comparable(product["name"]).startswith(comparable(query.get("name", "")))
    )


def by_id(product: dict[str, Any]) -> str:
    return str(product["productId"])


# Items of other programs in the indexes by price and name


FOREIGN: Sequence[dict[str, Any]] = [
    {"name": {"S": "a\x07b"}, "nameKey": {"S": "a\x07b"}},
    {"price": {"N": "95.12000000000000000000000000000000001"}, "nameKey": {"S": "a"}},
    {"price": {"N": "-5"}, "nameKey": {"S": "|%7C"}},
    {"price": {"N": "1E125"}, "nameKey": {"S": "~"}},
    {"PK": {"S": "CAMPAIGN#1"}, "nameKey": {"S": "b"}},
    {"currency": None, "nameKey": {"S": "basic"}},
]


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("sort", ["price", "-price", "name", "-name"])
def test_lists_go_past_foreign_items(
    request: pytest.FixtureRequest,
    imported_functions: Functions,
    monkeypatch: pytest.MonkeyPatch,
    sort: str,
    limit: int,
) -> None:
    for engine in ("engine", "dynamodb_local"):
        endpoint_url = request.getfixturevalue(engine)
        table = new_table(endpoint_url)
        monkeypatch.setattr(TABLE, open_table(table.name, REGION, endpoint_url))
        client = dynamodb(endpoint_url)
        for number in range(4):
            readable = raw_product(f"PROD-{number}", nameKey={"S": "basic"})
            client.put_item(TableName=table.name, Item=readable)
        for number, attributes in enumerate(FOREIGN):
            foreign = {"PK": {"S": f"PRODUCT#PROD-F{number}"}, **attributes}
            item = raw_product(f"PROD-F{number}", **foreign)
            client.put_item(TableName=table.name, Item=item)
        seen: list[str] = []
        token: dict[str, Any] = {}
        while True:
            page = imported_functions.list(currency="ZAR", sort=sort, limit=limit, **token).json()
            seen += [product["productId"] for product in page["products"]]
            if page["nextToken"] is None:
                break
            token = {"nextToken": page["nextToken"]}
        assert sorted(seen) == [f"PROD-{number}" for number in range(4)]


def test_item_with_outdated_key_is_listed_at_its_old_place(
    functions_on_table: Functions, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program changed the name, and left nameKey; paging goes on from its key."""
    table = new_table(engine)
    monkeypatch.setattr(TABLE, table)
    client = dynamodb(engine)
    for product_id, name, key in (("A", "a", "a"), ("B", "z", "b"), ("C", "c", "c")):
        item = raw_product(f"PROD-{product_id}", name={"S": name}, nameKey={"S": key})
        client.put_item(TableName=table.name, Item=item)
    token: dict[str, Any] = {}
    seen: list[str] = []
    for _ in range(3):
        page = functions_on_table.list(sort="name", limit=1, **token).json()
        seen.append(page["products"][0]["productId"])
        token = {"nextToken": page["nextToken"]}
    assert seen == ["PROD-A", "PROD-B", "PROD-C"]
