"""GET /products with filters and with the orders by price and name."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.support.product_api import ProductApi
from tests.support.waiting import eventually

type Plan = dict[str, Any]
type Search = Callable[..., set[str]]

ORDERS: dict[str, Callable[[Plan], Any]] = {
    "createdAt": lambda plan: plan["createdAt"],
    "price": lambda plan: plan["price"],
    "name": lambda plan: plan["name"].casefold(),
}


@pytest.fixture(scope="module")
def prefix() -> str:
    """The beginning of the names of this module's products."""
    return f"Zz {uuid4().hex} "


@pytest.fixture(scope="module")
def plans(api: ProductApi, prefix: str) -> list[Plan]:
    """Six products with equal prices among them, as soon as the list shows them."""
    created = [
        api.new_product(name=f"{prefix}{name}", price=price, currency=currency, period=period)
        for name, price, currency, period in (
            ("Basic", Decimal("19.99"), "ZAR", "monthly"),
            ("basic Plus", Decimal("19.99"), "ZAR", "yearly"),
            ("Éclair", Decimal("20.01"), "ZAR", "monthly"),
            ("premium", Decimal(1000), "EUR", "monthly"),
            ("Premium Plus", Decimal(3), "ZAR", "once-off"),
            ("ultra", Decimal("19.99"), "EUR", "yearly"),
        )
    ]
    eventually(
        lambda: len(search(api, name=prefix)) == len(created) or None, "the products in the list"
    )
    return created


def pages(api: ProductApi, **parameters: Any) -> Iterator[dict[str, Any]]:
    while True:
        response = api.list_products(**parameters)
        assert response.status == 200, response
        page = response.json()
        yield page
        if page["nextToken"] is None:
            return
        parameters.pop("offset", None)
        parameters["nextToken"] = page["nextToken"]


def search(api: ProductApi, **parameters: Any) -> list[Plan]:
    """Return the products of all pages."""
    return [product for page in pages(api, **parameters) for product in page["products"]]


@pytest.fixture
def found_by(api: ProductApi, plans: list[Plan], prefix: str) -> Search:
    """A search among the products of this module; it returns the ends of their names."""
    assert plans

    def found(beginning: str, **parameters: Any) -> set[str]:
        products = search(api, name=f"{prefix.upper()}{beginning}", **parameters)
        return {product["name"].removeprefix(prefix) for product in products}

    return found


@pytest.mark.parametrize("limit", [1, 2, 4, 50])
@pytest.mark.parametrize("sort", ["createdAt", "-createdAt", "name", "-name"])
def test_search_by_name_is_in_each_order(
    api: ProductApi, plans: list[Plan], prefix: str, sort: str, limit: int
) -> None:
    found = search(api, name=prefix, sort=sort, limit=limit)
    expected = sorted(plans, key=ORDERS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    assert found == expected


@pytest.mark.parametrize("limit", [1, 2, 50])
@pytest.mark.parametrize("sort", ["price", "-price"])
def test_search_by_currency_is_in_order_of_price(
    api: ProductApi, plans: list[Plan], prefix: str, sort: str, limit: int
) -> None:
    found = search(api, name=prefix, currency="ZAR", sort=sort, limit=limit)
    prices = [plan["price"] for plan in found]
    assert prices == sorted(prices, reverse=sort == "-price")
    expected = [plan["productId"] for plan in plans if plan["currency"] == "ZAR"]
    assert sorted(plan["productId"] for plan in found) == sorted(expected)


@pytest.mark.parametrize("sort", ["createdAt", "price", "-price", "name"])
@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ({"minPrice": "19.99", "maxPrice": "20.01"}, {"Basic", "basic Plus", "Éclair"}),
        ({"minPrice": "19.99", "maxPrice": "19.99"}, {"Basic", "basic Plus"}),
        ({"minPrice": "20"}, {"Éclair"}),
        ({"maxPrice": "19.98"}, {"Premium Plus"}),
        (
            {"minPrice": "0", "maxPrice": "99999999.99"},
            {"Basic", "basic Plus", "Éclair", "Premium Plus"},
        ),
        ({"minPrice": "20.02"}, set()),
    ],
)
def test_price_limits_are_inclusive(
    found_by: Search, sort: str, limits: dict[str, str], names: set[str]
) -> None:
    assert found_by("", currency="ZAR", sort=sort, limit=2, **limits) == names


@pytest.mark.parametrize(
    ("beginning", "names"),
    [
        ("basic", {"Basic", "basic Plus"}),
        ("BASIC P", {"basic Plus"}),
        ("éCL", {"Éclair"}),
        ("E\u0301clair", {"Éclair"}),
        ("premium plus", {"Premium Plus"}),
        ("asic", set()),
    ],
)
@pytest.mark.parametrize("sort", ["name", "-createdAt"])
def test_name_begins_in_any_case_and_form(
    found_by: Search, sort: str, beginning: str, names: set[str]
) -> None:
    assert found_by(beginning, sort=sort, limit=3) == names


def test_all_filters_combine(api: ProductApi, plans: list[Plan], prefix: str) -> None:
    filters = {
        "name": f"{prefix}b",
        "currency": "ZAR",
        "period": "monthly",
        "minPrice": "1",
        "maxPrice": "20",
    }
    assert search(api, **filters) == [plans[0]]
    assert search(api, **{**filters, "period": "once-off"}) == []


def test_offset_skips_products_that_match(api: ProductApi, plans: list[Plan], prefix: str) -> None:
    assert search(api, name=prefix, sort="createdAt", offset=4, limit=1) == plans[4:]


def test_more_available_is_exact_in_search(api: ProductApi, plans: list[Plan], prefix: str) -> None:
    for limit in (5, 6, 7):
        page = api.list_products(name=prefix, sort="name", limit=limit).json()
        assert page["moreAvailable"] is (limit < len(plans))


@pytest.mark.parametrize(
    "parameters", [{"minPrice": 1}, {"maxPrice": 1}, {"sort": "price"}, {"sort": "-price"}]
)
def test_price_without_currency_returns_400(api: ProductApi, parameters: dict[str, object]) -> None:
    rejected = api.list_products(**parameters)
    assert rejected.status == 400
    assert rejected.error_fields() == {"currency"}


@pytest.mark.parametrize(
    "value", ["", "-1", "1.001", "1e3", "+1", "100000000", "x", "NaN", ",5", ".5", "1.", "٣"]
)
@pytest.mark.parametrize("parameter", ["minPrice", "maxPrice"])
def test_invalid_price_limit_returns_400(api: ProductApi, parameter: str, value: str) -> None:
    rejected = api.list_products(currency="ZAR", **{parameter: value})
    assert rejected.status == 400
    assert rejected.error_fields() == {parameter}


def test_search_reports_all_errors_together(api: ProductApi) -> None:
    rejected = api.list_products(
        sort="price", period="weekly", minPrice="x", name="", limit=0, maxPrice="1"
    )
    assert rejected.status == 400
    assert rejected.error_fields() == {"currency", "period", "minPrice", "name", "limit"}


def test_reversed_price_limits_return_400(api: ProductApi) -> None:
    rejected = api.list_products(currency="ZAR", minPrice="2", maxPrice="1.99")
    assert rejected.status == 400
    assert rejected.error_fields() == {"minPrice"}


def test_token_keeps_filters_and_sort(api: ProductApi, plans: list[Plan], prefix: str) -> None:
    first = api.list_products(name=prefix, sort="createdAt", limit=2).json()
    rest = api.list_products(nextToken=first["nextToken"]).json()
    assert first["products"] + rest["products"] == plans


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("sort", "-name"),
        ("sort", "createdAt"),
        ("currency", "EUR"),
        ("period", "monthly"),
        ("name", "another"),
        ("minPrice", "1"),
        ("maxPrice", "20.01"),
    ],
)
def test_token_with_other_choice_returns_400_with_its_name(
    api: ProductApi, plans: list[Plan], prefix: str, parameter: str, value: str
) -> None:
    assert plans
    filters = {"name": prefix, "sort": "name", "currency": "ZAR", "maxPrice": "20.01"}
    token = api.list_products(**filters, limit=1).json()["nextToken"]
    if filters.get(parameter) == value:
        assert api.list_products(**filters, nextToken=token).status == 200
        return
    rejected = api.list_products(nextToken=token, **{**filters, parameter: value})
    assert rejected.status == 400
    assert rejected.error_fields() == {parameter}
