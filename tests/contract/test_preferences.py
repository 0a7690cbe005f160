"""The header Prefer: it makes no request invalid, and without the switch it has no effect."""

import pytest

from tests.support.factory import product_body, unused_product_id
from tests.support.product_api import ProductApi


@pytest.mark.parametrize(
    "prefer", ["respond-async", "RESPOND-ASYNC; a=b, wait=10", "return=minimal", '"', "=,;"]
)
def test_preference_makes_no_request_invalid(api: ProductApi, prefer: str) -> None:
    headers = {"Prefer": prefer}
    product_id = unused_product_id()
    for response, status in (
        (api.create_product(product_body(productId=product_id), headers), 201),
        (api.update_product(product_id, {"price": 1}, headers), 200),
        (api.delete_product(product_id, headers), 204),
    ):
        applied = response.headers.get("Preference-Applied")
        assert (response.status, applied) in {(status, None), (202, "respond-async")}


def test_invalid_write_with_preference_is_rejected(api: ProductApi) -> None:
    headers = {"Prefer": "respond-async"}
    assert api.create_product({}, headers).status == 400
    assert api.update_product("basic", {"price": 1}, headers).status == 400
    assert api.delete_product("basic", headers).status == 400
