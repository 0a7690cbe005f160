"""GET /products: paging, while other tests change the catalogue."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.product_api import ProductApi
from tests.support.rejected_values import short_id
from tests.support.waiting import eventually

MOST_PAGES = 5000  # more pages than the tests ever make, so that an endless walk fails


def _pages(api: ProductApi, limit: int, **parameters: object) -> Iterator[dict[str, Any]]:
    """Yield all pages from first to last, by nextToken."""
    page = api.list_products(limit=limit, **parameters).json()
    yield page
    for _ in range(MOST_PAGES):
        if page["nextToken"] is None:
            return
        page = api.list_products(limit=limit, nextToken=page["nextToken"]).json()
        yield page
    raise AssertionError("the list has no end")


def _products(pages: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for page in pages:
        yield from page["products"]


def _since(api: ProductApi, first: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """Return the products from the newest down to `first`."""
    newer = []
    for product in _products(_pages(api, limit)):
        if product["createdAt"] < first["createdAt"]:
            break
        newer.append(product)
    return newer


def _created_and_listed(api: ProductApi, number: int) -> list[dict[str, Any]]:
    """Create products and wait until all are in the list; return them, oldest first."""
    created = [api.new_product() for _ in range(number)]

    def listed() -> bool | None:
        shown = _since(api, created[0], limit=100)
        return all(product in shown for product in created) or None

    eventually(listed, "the new products in the list")
    return created


def test_new_product_appears_in_list(api: ProductApi) -> None:
    _created_and_listed(api, 1)


def test_updated_product_changes_in_list(api: ProductApi) -> None:
    [product] = _created_and_listed(api, 1)
    changed = api.update_product(product["productId"], {"price": 77}).json()
    eventually(lambda: changed in _since(api, product, 100) or None, "the change in the list")


def test_list_defaults_to_50_products_newest_first(api: ProductApi) -> None:
    page = api.list_products().json()
    assert (page["limit"], page["offset"]) == (50, 0)
    created = [product["createdAt"] for product in page["products"]]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_walk_newest_first_returns_each_product_once(api: ProductApi, limit: int) -> None:
    created = _created_and_listed(api, 7)
    walked = _since(api, created[0], limit)
    own = {product["productId"] for product in created}
    assert [product for product in walked if product["productId"] in own] == created[::-1]
    assert len({product["productId"] for product in walked}) == len(walked)
    times = [product["createdAt"] for product in walked]
    assert times == sorted(times, reverse=True)


def test_walk_oldest_first_returns_each_product_once(api: ProductApi) -> None:
    created = _created_and_listed(api, 3)
    walked = list(_products(_pages(api, 100, sort="createdAt")))
    own = {product["productId"] for product in created}
    assert [product for product in walked if product["productId"] in own] == created
    assert len({product["productId"] for product in walked}) == len(walked)
    times = [product["createdAt"] for product in walked]
    assert times == sorted(times)


@pytest.mark.parametrize("sort", ["createdAt", "-createdAt"])
def test_small_pages_equal_one_large_page(api: ProductApi, sort: str) -> None:
    _created_and_listed(api, 7)

    def are_equal() -> bool | None:
        # After a token, so that products that other tests create come before it or far behind.
        start = {"nextToken": api.list_products(sort=sort, limit=1).json()["nextToken"]}
        large = api.list_products(limit=6, **start).json()["products"]
        pages = _pages(api, 2, **start)
        return [product for _ in range(3) for product in next(pages)["products"]] == large or None

    eventually(are_equal, "small pages to equal a large one")


def test_page_that_fits_remaining_products_is_last(api: ProductApi) -> None:
    _created_and_listed(api, 101)  # at least two pages, so that the last one starts at a token

    def is_last() -> bool | None:
        *_, before, last = _pages(api, 100)
        start, rest = {"nextToken": before["nextToken"]}, last["products"]
        if len(rest) == 1:  # a smaller page than this is impossible
            api.new_product()
            return None
        all_of_it = api.list_products(limit=len(rest), **start).json()
        all_but_one = api.list_products(limit=len(rest) - 1, **start).json()
        return (
            all_of_it["products"] == rest
            and (all_of_it["moreAvailable"], all_of_it["nextToken"]) == (False, None)
            and all_but_one["products"] == rest[:-1]
            and all_but_one["moreAvailable"]
        ) or None

    eventually(is_last, "the page with the remaining products to be the last")


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_offset_skips_products(api: ProductApi, offset: int) -> None:
    _created_and_listed(api, 5)

    def skips() -> bool | None:
        # Oldest first, so that products that other tests create come far behind.
        page = api.list_products(sort="createdAt", limit=2, offset=offset).json()
        assert page["offset"] == offset
        large = api.list_products(sort="createdAt", limit=5).json()["products"]
        return page["products"] == large[offset : offset + 2] or None

    eventually(skips, "a page by offset to be part of a large page")


def test_token_continues_after_offset(api: ProductApi) -> None:
    _created_and_listed(api, 5)

    def continues() -> bool | None:
        first = api.list_products(limit=1, offset=1).json()
        following = api.list_products(limit=3, nextToken=first["nextToken"]).json()
        large = api.list_products(limit=100).json()["products"]
        in_turn = first["products"] + following["products"]
        return in_turn in [large[start : start + 4] for start in range(97)] or None

    eventually(continues, "the page by token to follow the page by offset")


def test_largest_offset_is_accepted(api: ProductApi) -> None:
    page = api.list_products(offset=1000, limit=1).json()
    assert (page["offset"], page["limit"]) == (1000, 1)


def test_page_by_token_has_no_offset(api: ProductApi) -> None:
    _created_and_listed(api, 2)
    first = api.list_products(limit=1).json()
    assert first["offset"] == 0
    assert "offset" not in api.list_products(nextToken=first["nextToken"]).json()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *[("limit", value) for value in ("0", "101", "-1", "", "x", "1.0", "1e1", "+1", " 1", "٣")],
        ("limit", "9" * 400),
        *[("offset", value) for value in ("-1", "1001", "", "x", "0.0", "+1", "9" * 400)],
        *[("sort", value) for value in ("", "names", "CreatedAt", "createdat", "+createdAt")],
        *[("currency", value) for value in ("", "zar", "XXX", "ZARR")],
        *[("period", value) for value in ("", "weekly", "Monthly")],
        *[("name", value) for value in ("", " ", "x" * 201, "a\x07b")],
        *[("colour", "red"), ("Limit", "1"), ("next_token", "x"), ("", "x"), ("active", "false")],
        ("nextToken", ""),
    ],
)
def test_list_invalid_parameter_returns_400_with_name(
    api: ProductApi, parameter: str, value: str
) -> None:
    rejected = api.list_products(**{parameter: value})
    assert rejected.status == 400
    assert len(rejected.error_fields()) == 1
    assert not parameter or rejected.error_fields() == {parameter}


def test_list_reports_all_errors_together(api: ProductApi) -> None:
    rejected = api.list_products(
        {"If-None-Match": "1"}, limit=0, offset=-1, sort="names", colour="red", nextToken="x"
    )
    assert rejected.status == 400
    assert rejected.error_fields() == {
        "limit",
        "offset",
        "sort",
        "colour",
        "nextToken",
        "If-None-Match",
    }


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&limit=1", "sort=createdAt&sort="])
def test_list_repeated_parameter_returns_400_with_name(api: ProductApi, query: str) -> None:
    rejected = api.request("GET", f"/products?{query}")
    assert rejected.status == 400
    assert rejected.error_fields() == {query.partition("=")[0]}


def test_list_token_with_offset_returns_400(api: ProductApi) -> None:
    _created_and_listed(api, 2)
    token = api.list_products(limit=1).json()["nextToken"]
    for offset in (0, 1):
        rejected = api.list_products(nextToken=token, offset=offset)
        assert rejected.status == 400
        assert rejected.error_fields() <= {"nextToken", "offset"}


def test_list_token_with_other_sort_returns_400(api: ProductApi) -> None:
    _created_and_listed(api, 2)
    token = api.list_products(limit=1, sort="createdAt").json()["nextToken"]
    assert api.list_products(nextToken=token, sort="createdAt").status == 200
    rejected = api.list_products(nextToken=token, sort="-createdAt")
    assert rejected.status == 400
    assert rejected.error_fields() <= {"nextToken", "sort"}


def _in_base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        *("x", "null", "0", "%", "====", "a" * 2000, "🎉", "../..", "eyJ", "PROD-001"),
        _in_base64("PROD-001"),
        _in_base64("{}"),
        _in_base64(json.dumps({"PK": {"S": "COUNTER#PRODUCT"}, "SK": {"S": "METADATA"}})),
        _in_base64(json.dumps({"PK": "PRODUCT#PROD-001", "SK": "METADATA", "active": "false"})),
        _in_base64("-createdAt|2026-01-31T09:30:00.123456Z|COUNTER#PRODUCT"),
        _in_base64("-createdAt|false|PROD-001"),
        _in_base64("-createdAt|2026-01-31T09:30:00.123456Z|PROD-001|false"),
    ],
    ids=short_id,
)
def test_list_forged_token_returns_400(api: ProductApi, token: str) -> None:
    rejected = api.list_products(nextToken=token)
    assert rejected.status == 400
    assert rejected.error_fields() == {"nextToken"}


def test_list_damaged_token_returns_400(api: ProductApi) -> None:
    _created_and_listed(api, 2)
    token = api.list_products(limit=1).json()["nextToken"]
    for damaged in (token[:9], token[4:], token + "AAAA", token * 2, token[::-1], f"!{token}"):
        rejected = api.list_products(nextToken=damaged)
        assert rejected.status == 400
        assert rejected.error_fields() == {"nextToken"}


@pytest.mark.parametrize("tags", ["{}", "W/{}", '"x", {}', "*"])
def test_list_with_current_etag_returns_304(api: ProductApi, tags: str) -> None:
    _created_and_listed(api, 1)

    def is_not_modified() -> bool | None:
        # The oldest product is the least likely to be changed by another test.
        page = api.list_products(limit=1, sort="createdAt")
        etag = page.headers["ETag"]
        sent = {"If-None-Match": tags.format(etag)}
        again = api.list_products(sent, limit=1, sort="createdAt")
        return (again.status == 304 and again.headers["ETag"] == etag) or None

    eventually(is_not_modified, "two equal reads in a row")


def test_list_with_old_etag_returns_200(api: ProductApi) -> None:
    _created_and_listed(api, 1)
    before = api.list_products(limit=2)
    [product] = _created_and_listed(api, 1)
    after = api.list_products({"If-None-Match": before.headers["ETag"]}, limit=2)
    assert after.status == 200
    assert after.headers["ETag"] != before.headers["ETag"]
    api.update_product(product["productId"], {"price": 3})
    eventually(
        lambda: api.list_products(limit=2).headers["ETag"] != after.headers["ETag"] or None,
        "the change in the list",
    )


def test_list_malformed_if_none_match_returns_400(api: ProductApi) -> None:
    rejected = api.list_products({"If-None-Match": "1"})
    assert rejected.status == 400
    assert rejected.error_fields() == {"If-None-Match"}
