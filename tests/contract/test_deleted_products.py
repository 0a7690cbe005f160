"""GET /deleted-products: what was deleted, for callers with an API key."""

import pytest

from tests.support.factory import product_body
from tests.support.product_api import ProductApi
from tests.support.waiting import eventually


def deleted_product(api: ProductApi, **fields: object) -> str:
    """Create and delete a product, and return its id."""
    product_id: str = api.new_product(**fields)["productId"]
    assert api.delete_product(product_id).status == 204
    return product_id


def test_deleted_product_is_listed_until_restored(api: ProductApi) -> None:
    product = api.new_product(setupFee=5)
    product_id = product["productId"]

    def found() -> list[dict[str, object]]:
        page = api.list_deleted_products(limit=100).json()
        return [each for each in page["products"] if each["productId"] == product_id]

    assert found() == []
    api.delete_product(product_id)
    [listed] = eventually(lambda: found() or None, "the deleted product in the list")
    changed = {"active": False, "version": 2, "updatedAt": listed["updatedAt"]}
    assert listed == {**product, **changed}
    api.update_product(product_id, {"active": True})
    eventually(lambda: found() == [] or None, "the restored product to leave the list")


def test_deleted_products_need_api_key(api: ProductApi) -> None:
    for headers in ({}, {"x-api-key": "wrong-key-0123456789abcdef"}):
        rejected = api.request("GET", "/deleted-products", headers=headers)
        assert rejected.status == 403


def test_deleted_products_are_never_cached(api: ProductApi) -> None:
    page = api.list_deleted_products()
    assert page.headers["Cache-Control"] == "no-store"
    assert "ETag" not in page.headers


def test_pages_by_token_show_each_deleted_product_once(api: ProductApi) -> None:
    mine = [deleted_product(api) for _ in range(3)]

    def walk() -> list[str] | None:
        ids: list[str] = []
        parameters: dict[str, object] = {"limit": 2}
        while True:
            page = api.list_deleted_products(**parameters).json()
            assert "offset" not in page
            ids += [product["productId"] for product in page["products"]]
            if page["nextToken"] is None:
                break
            parameters["nextToken"] = page["nextToken"]
        assert len(ids) == len(set(ids))
        return [each for each in ids if each in mine] if set(mine) <= set(ids) else None

    assert eventually(walk, "the deleted products in the list") == list(reversed(mine))


@pytest.mark.parametrize(
    "parameter", ["offset", "sort", "currency", "name", "minPrice", "active", "colour"]
)
def test_deleted_products_reject_other_parameters(api: ProductApi, parameter: str) -> None:
    rejected = api.list_deleted_products(**{parameter: "1"})
    assert rejected.status == 400
    assert rejected.error_fields() == {parameter}


def test_deleted_products_report_all_errors_together(api: ProductApi) -> None:
    rejected = api.list_deleted_products(limit=0, nextToken="x", sort="price")
    assert rejected.status == 400
    assert rejected.error_fields() == {"limit", "nextToken", "sort"}


def test_deleted_products_reject_token_of_a_search(api: ProductApi) -> None:
    for _ in range(2):
        api.new_product(currency="EUR")

    def token() -> str | None:
        found: str | None = api.list_products(currency="EUR", limit=1).json()["nextToken"]
        return found

    rejected = api.list_deleted_products(nextToken=eventually(token, "a second page"))
    assert rejected.status == 400
    assert rejected.error_fields() == {"nextToken"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD"])
def test_deleted_products_have_no_other_method(api: ProductApi, method: str) -> None:
    rejected = api.request(method, "/deleted-products", headers={"x-api-key": api.api_key})
    assert rejected.status == 405
    assert set(rejected.headers["Allow"].split(", ")) == {"GET", "OPTIONS"}


def test_deleted_product_keeps_its_id(api: ProductApi) -> None:
    product_id = deleted_product(api)
    assert api.create_product(product_body(productId=product_id)).status == 409
