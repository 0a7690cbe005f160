"""DELETE /products/{productId}: deleted products stay hidden; deleting is repeatable."""

import pytest

from tests.support.factory import unused_product_id
from tests.support.product_api import ProductApi
from tests.support.waiting import eventually


def test_deleted_product_leaves_list(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]

    def newest() -> set[str]:
        page = api.list_products(limit=100).json()
        return {product["productId"] for product in page["products"]}

    eventually(lambda: product_id in newest() or None, "the product in the list")
    assert api.delete_product(product_id).status == 204
    eventually(lambda: product_id not in newest() or None, "the product to leave the list")


def test_delete_deleted_product_returns_204(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    assert [api.delete_product(product_id).status for _ in range(3)] == [204, 204, 204]
    assert api.get_product(product_id).status == 404


def test_delete_missing_product_returns_404(api: ProductApi) -> None:
    product_id = unused_product_id()
    assert api.delete_product(product_id).status == 404
    assert api.delete_product(product_id, {"If-Match": "*"}).status == 404


def test_delete_reports_path_and_header_errors_together(api: ProductApi) -> None:
    rejected = api.delete_product("plan", {"If-Match": "1"})
    assert rejected.status == 400
    assert rejected.error_fields() == {"productId", "If-Match"}


@pytest.mark.parametrize("tags", ["TAG", "*", '"7", TAG'])
def test_delete_with_matching_if_match_returns_204(api: ProductApi, tags: str) -> None:
    product_id = api.new_product()["productId"]
    tags = tags.replace("TAG", api.tag_of(product_id))
    assert api.delete_product(product_id, {"If-Match": tags}).status == 204
    assert api.get_product(product_id).status == 404


@pytest.mark.parametrize("tags", ['"1"', "W/TAG", '"x"'])
def test_delete_with_other_if_match_returns_412(api: ProductApi, tags: str) -> None:
    product = api.new_product()
    tags = tags.replace("TAG", api.tag_of(product["productId"]))
    assert api.delete_product(product["productId"], {"If-Match": tags}).status == 412
    assert api.get_product(product["productId"]).json() == product


def test_delete_deleted_product_ignores_if_match(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    api.delete_product(product_id)
    for tags in ('"1"', '"2"', '"99"', "*"):
        assert api.delete_product(product_id, {"If-Match": tags}).status == 204
