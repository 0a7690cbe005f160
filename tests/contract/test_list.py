"""GET /products: pages, in a catalogue that other tests fill and change meanwhile."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.product_api import ProductApi
from tests.support.rejected_values import in_short
from tests.support.waiting import eventually

MOST_PAGES = 5000  # more than any catalogue of the tests has, so that a walk in a circle ends


def _pages(api: ProductApi, limit: int, **parameters: object) -> Iterator[dict[str, Any]]:
    """The pages from the first to the last, by nextToken."""
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


def _ids(page: dict[str, Any]) -> list[str]:
    return [product["productId"] for product in page["products"]]


def _since(api: ProductApi, first: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """The products that are at least as new as `first`, newest first."""
    newer = []
    for product in _products(_pages(api, limit)):
        if product["createdAt"] < first["createdAt"]:
            break
        newer.append(product)
    return newer


def _created_and_listed(api: ProductApi, number: int) -> list[dict[str, Any]]:
    """Products of the test's own, oldest first, once the list shows them all."""
    created = [api.new_product() for _ in range(number)]

    def listed() -> bool | None:
        shown = _since(api, created[0], limit=100)
        return all(product in shown for product in created) or None

    eventually(listed, "the new products in the list")
    return created


def test_a_new_product_comes_to_the_list_as_it_is(api: ProductApi) -> None:
    _created_and_listed(api, 1)


def test_a_changed_product_changes_in_the_list(api: ProductApi) -> None:
    [product] = _created_and_listed(api, 1)
    changed = api.update_product(product["productId"], {"price": 77}).json()
    eventually(lambda: changed in _since(api, product, 100) or None, "the change in the list")


def test_without_parameters_50_products_are_listed_newest_first(api: ProductApi) -> None:
    page = api.list_products().json()
    assert (page["limit"], page["offset"]) == (50, 0)
    created = [product["createdAt"] for product in page["products"]]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_walk_newest_first_meets_each_product_once(api: ProductApi, limit: int) -> None:
    created = _created_and_listed(api, 7)
    walked = _since(api, created[0], limit)
    own = {product["productId"] for product in created}
    assert [product for product in walked if product["productId"] in own] == created[::-1]
    assert len({product["productId"] for product in walked}) == len(walked)
    times = [product["createdAt"] for product in walked]
    assert times == sorted(times, reverse=True)


def test_a_walk_oldest_first_meets_each_product_once(api: ProductApi) -> None:
    created = _created_and_listed(api, 3)
    walked = list(_products(_pages(api, 100, sort="createdAt")))
    own = {product["productId"] for product in created}
    assert [product for product in walked if product["productId"] in own] == created
    assert len({product["productId"] for product in walked}) == len(walked)
    times = [product["createdAt"] for product in walked]
    assert times == sorted(times)


@pytest.mark.parametrize("sort", ["createdAt", "-createdAt"])
def test_small_pages_and_a_large_one_show_the_same(api: ProductApi, sort: str) -> None:
    _created_and_listed(api, 7)

    def the_same() -> bool | None:
        # After a token: what other tests create meanwhile comes before it, or far behind it.
        start = {"nextToken": api.list_products(sort=sort, limit=1).json()["nextToken"]}
        large = api.list_products(limit=6, **start).json()["products"]
        pages = _pages(api, 2, **start)
        return [product for _ in range(3) for product in next(pages)["products"]] == large or None

    eventually(the_same, "small pages to show what a large one shows")


def test_a_page_that_just_holds_the_rest_is_the_last(api: ProductApi) -> None:
    _created_and_listed(api, 101)  # two pages at least: the last one starts at a token

    def ends() -> bool | None:
        *_, before, last = _pages(api, 100)
        start, rest = {"nextToken": before["nextToken"]}, last["products"]
        if len(rest) == 1:  # no page can hold one less
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

    eventually(ends, "a page of just the rest to be the last")


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_offset_skips_products(api: ProductApi, offset: int) -> None:
    _created_and_listed(api, 5)

    def skips() -> bool | None:
        # Oldest first: what other tests create meanwhile comes far behind.
        page = api.list_products(sort="createdAt", limit=2, offset=offset).json()
        assert page["offset"] == offset
        large = api.list_products(sort="createdAt", limit=5).json()["products"]
        return page["products"] == large[offset : offset + 2] or None

    eventually(skips, "a page by offset to be a part of a large page")


def test_a_walk_may_go_on_by_token_after_an_offset(api: ProductApi) -> None:
    _created_and_listed(api, 5)

    def goes_on() -> bool | None:
        first = api.list_products(limit=1, offset=1).json()
        following = api.list_products(limit=3, nextToken=first["nextToken"]).json()
        large = api.list_products(limit=100).json()["products"]
        in_turn = first["products"] + following["products"]
        return in_turn in [large[start : start + 4] for start in range(97)] or None

    eventually(goes_on, "the products after the token to follow those by offset")


def test_the_largest_offset_is_served(api: ProductApi) -> None:
    page = api.list_products(offset=1000, limit=1).json()
    assert (page["offset"], page["limit"]) == (1000, 1)


def test_an_offset_is_shown_only_when_paging_by_offset(api: ProductApi) -> None:
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
        *[("sort", value) for value in ("", "name", "CreatedAt", "createdat", "+createdAt")],
        *[("colour", "red"), ("Limit", "1"), ("next_token", "x"), ("", "x"), ("active", "false")],
        ("nextToken", ""),
    ],
)
def test_a_bad_parameter_is_refused_by_name(api: ProductApi, parameter: str, value: str) -> None:
    rejected = api.list_products(**{parameter: value})
    assert rejected.status == 400
    assert len(rejected.fields()) == 1
    assert not parameter or rejected.fields() == {parameter}


def test_all_bad_parameters_are_told_at_once(api: ProductApi) -> None:
    rejected = api.list_products(
        {"If-None-Match": "1"}, limit=0, offset=-1, sort="name", colour="red", nextToken="x"
    )
    assert rejected.status == 400
    assert rejected.fields() == {"limit", "offset", "sort", "colour", "nextToken", "If-None-Match"}


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&limit=1", "sort=createdAt&sort="])
def test_a_repeated_parameter_is_refused_by_name(api: ProductApi, query: str) -> None:
    rejected = api.request("GET", f"/products?{query}")
    assert rejected.status == 400
    assert rejected.fields() == {query.partition("=")[0]}


def test_a_token_and_an_offset_together_are_refused(api: ProductApi) -> None:
    _created_and_listed(api, 2)
    token = api.list_products(limit=1).json()["nextToken"]
    for offset in (0, 1):
        rejected = api.list_products(nextToken=token, offset=offset)
        assert rejected.status == 400
        assert rejected.fields() <= {"nextToken", "offset"}


def test_a_token_keeps_its_sort(api: ProductApi) -> None:
    _created_and_listed(api, 2)
    token = api.list_products(limit=1, sort="createdAt").json()["nextToken"]
    assert api.list_products(nextToken=token, sort="createdAt").status == 200
    rejected = api.list_products(nextToken=token, sort="-createdAt")
    assert rejected.status == 400
    assert rejected.fields() <= {"nextToken", "sort"}


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
    ids=in_short,
)
def test_a_made_up_token_is_refused(api: ProductApi, token: str) -> None:
    rejected = api.list_products(nextToken=token)
    assert rejected.status == 400
    assert rejected.fields() == {"nextToken"}


def test_a_damaged_token_is_refused(api: ProductApi) -> None:
    _created_and_listed(api, 2)
    token = api.list_products(limit=1).json()["nextToken"]
    for damaged in (token[:9], token[4:], token + "AAAA", token * 2, token[::-1], f"!{token}"):
        rejected = api.list_products(nextToken=damaged)
        assert rejected.status == 400
        assert rejected.fields() == {"nextToken"}


@pytest.mark.parametrize("tags", ["{}", "W/{}", '"x", {}', "*"])
def test_a_page_that_the_caller_has_is_not_sent_again(api: ProductApi, tags: str) -> None:
    _created_and_listed(api, 1)

    def known() -> bool | None:
        # The oldest product: the one that tests are least likely to change meanwhile.
        page = api.list_products(limit=1, sort="createdAt")
        etag = page.headers["ETag"]
        sent = {"If-None-Match": tags.format(etag)}
        again = api.list_products(sent, limit=1, sort="createdAt")
        return (again.status == 304 and again.headers["ETag"] == etag) or None

    eventually(known, "a moment in which nothing changes")


def test_a_page_that_changed_is_sent_again(api: ProductApi) -> None:
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


def test_malformed_tags_are_refused(api: ProductApi) -> None:
    rejected = api.list_products({"If-None-Match": "1"})
    assert rejected.status == 400
    assert rejected.fields() == {"If-None-Match"}
