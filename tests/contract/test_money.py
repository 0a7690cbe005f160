"""Money: every response returns amounts exactly, digit for digit."""

import re
from decimal import Decimal

import pytest
import simplejson

from tests.support.factory import product_body, product_body_without
from tests.support.product_api import ProductApi
from tests.support.response_check import ApiResponse
from tests.support.waiting import eventually

AMOUNTS = ["19.99", "0.01", "99999999.99", "1000", "95", "0.1", "0.07", "1234567.89", "33333333.33"]
# A number as sent, and the shortest number of the same amount.
OTHER_NOTATIONS = [("1e2", "100"), ("1.5E+1", "15"), ("19.90", "19.9"), ("7.00", "7")]
INVALID_AMOUNTS = [
    *("0.001", "19.999", "100000000", "99999999.991", "1e8", "1e400", "-1e400", "1e999999999999"),
    *("1e-400", "1e-999999999999", "-0.01", "-1", "9" * 5000, f"0.{'0' * 5000}1", "1e-3"),
    *('"19.99"', '"1000"', "true", "false", "[1]", '{"amount":1}'),
]


def _body_with(field: str, number: str) -> bytes:
    """Build a body that holds `number` exactly as written."""
    rest = simplejson.dumps(product_body_without(field))
    return f'{rest[:-1]}, "{field}": {number}}}'.encode()


def _raw_values(response: ApiResponse, field: str) -> list[str]:
    """Return each value of a field as it is written in the response."""
    return re.findall(rf'"{field}":\s*([^,}}\s]+)', response.body.decode())


@pytest.mark.parametrize("field", ["price", "setupFee"])
@pytest.mark.parametrize("amount", AMOUNTS)
def test_created_amount_is_exact(api: ProductApi, field: str, amount: str) -> None:
    created = api.create_product(_body_with(field, amount))
    assert created.status == 201
    assert _raw_values(created, field) == [amount]
    product_id = created.json()["productId"]
    assert _raw_values(api.get_product(product_id), field) == [amount]


@pytest.mark.parametrize("amount", AMOUNTS)
def test_updated_amount_is_exact(api: ProductApi, amount: str) -> None:
    product_id = api.new_product()["productId"]
    changed = api.update_product(
        product_id, f'{{"price": {amount}, "setupFee": {amount}}}'.encode()
    )
    assert changed.status == 200
    for response in (changed, api.get_product(product_id)):
        assert _raw_values(response, "price") == _raw_values(response, "setupFee") == [amount]


def test_listed_amount_is_exact(api: ProductApi) -> None:
    created = api.create_product(_body_with("price", "33333333.33"))
    product_id = created.json()["productId"]

    def listed() -> str | None:
        page = api.list_products(limit=100)
        shown = dict(zip(_raw_values(page, "productId"), _raw_values(page, "price"), strict=True))
        return shown.get(f'"{product_id}"')

    assert eventually(listed, "the product in the list") == "33333333.33"


def test_update_of_other_field_keeps_amounts(api: ProductApi) -> None:
    product = api.new_product(price=Decimal("19.99"), setupFee=Decimal("0.07"))
    changed = api.update_product(product["productId"], {"name": "Another"})
    assert _raw_values(changed, "price") == ["19.99"]
    assert _raw_values(changed, "setupFee") == ["0.07"]


@pytest.mark.parametrize(("sent", "returned"), OTHER_NOTATIONS)
def test_amount_is_returned_short_idest_form(api: ProductApi, sent: str, returned: str) -> None:
    created = api.create_product(_body_with("price", sent))
    assert created.status == 201
    assert _raw_values(created, "price") == [returned]


@pytest.mark.parametrize("number", INVALID_AMOUNTS, ids=lambda number: number[:20])
@pytest.mark.parametrize("field", ["price", "setupFee"])
def test_create_invalid_amount_returns_400(api: ProductApi, field: str, number: str) -> None:
    rejected = api.create_product(_body_with(field, number))
    assert rejected.status == 400
    assert rejected.error_fields() in ({field}, {"body"})


@pytest.mark.parametrize("number", ["0", "0.00", "-0", "null"])
def test_create_price_not_above_zero_returns_400(api: ProductApi, number: str) -> None:
    rejected = api.create_product(_body_with("price", number))
    assert rejected.status == 400
    assert rejected.error_fields() == {"price"}


@pytest.mark.parametrize("number", ["0", "0.00", "-0"])
def test_setup_fee_of_zero_is_accepted(api: ProductApi, number: str) -> None:
    created = api.create_product(_body_with("setupFee", number))
    assert created.status == 201
    assert _raw_values(created, "setupFee") == ["0"]


def test_update_invalid_amounts_returns_400(api: ProductApi) -> None:
    product = api.new_product(price=5)
    rejected = api.update_product(product["productId"], b'{"price": 0, "setupFee": 1.001}')
    assert rejected.status == 400
    assert rejected.error_fields() == {"price", "setupFee"}
    assert api.get_product(product["productId"]).json() == product


def test_amount_is_json_number(api: ProductApi) -> None:
    product = api.create_product(product_body(price=Decimal("19.99"))).json()
    assert product["price"] == Decimal("19.99")
