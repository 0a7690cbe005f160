"""DELETE /products/{productId}: a product goes out of sight, once and for all."""

import pytest

from tests.support.factory import unused_product_id
from tests.support.product_api import ProductApi
from tests.support.waiting import eventually


def test_a_deleted_product_leaves_the_list(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]

    def newest() -> set[str]:
        page = api.list_products(limit=100).json()
        return {product["productId"] for product in page["products"]}

    eventually(lambda: product_id in newest() or None, "the product in the list")
    assert api.delete_product(product_id).status == 204
    eventually(lambda: product_id not in newest() or None, "the product to leave the list")


def test_deleting_again_changes_nothing_and_succeeds(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    assert [api.delete_product(product_id).status for _ in range(3)] == [204, 204, 204]
    assert api.get_product(product_id).status == 404


def test_deleting_what_never_was_is_not_found(api: ProductApi) -> None:
    product_id = unused_product_id()
    assert api.delete_product(product_id).status == 404
    assert api.delete_product(product_id, {"If-Match": "*"}).status == 404


def test_a_malformed_id_is_refused(api: ProductApi) -> None:
    rejected = api.delete_product("plan", {"If-Match": "1"})
    assert rejected.status == 400
    assert rejected.fields() == {"productId", "If-Match"}


@pytest.mark.parametrize("tags", ['"1"', "*", '"7", "1"'])
def test_the_right_version_is_deleted(api: ProductApi, tags: str) -> None:
    product_id = api.new_product()["productId"]
    assert api.delete_product(product_id, {"If-Match": tags}).status == 204
    assert api.get_product(product_id).status == 404


@pytest.mark.parametrize("tags", ['"2"', 'W/"1"', '"x"'])
def test_another_version_is_not_deleted(api: ProductApi, tags: str) -> None:
    product = api.new_product()
    assert api.delete_product(product["productId"], {"If-Match": tags}).status == 412
    assert api.get_product(product["productId"]).json() == product


def test_deleting_again_succeeds_whatever_version_is_named(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    api.delete_product(product_id)
    for tags in ('"1"', '"2"', '"99"', "*"):
        assert api.delete_product(product_id, {"If-Match": tags}).status == 204
