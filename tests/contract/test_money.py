"""Money: what came in as 19.99 goes out as 19.99, digit by digit, wherever it passes."""

import re
from decimal import Decimal

import pytest
import simplejson

from tests.support.factory import product_body, product_body_without
from tests.support.judge import ApiResponse
from tests.support.product_api import ProductApi
from tests.support.waiting import eventually

AMOUNTS = ["19.99", "0.01", "99999999.99", "1000", "95", "0.1", "0.07", "1234567.89", "33333333.33"]
# As written, and as the shortest number that is the same amount.
WRITTEN_ANOTHER_WAY = [("1e2", "100"), ("1.5E+1", "15"), ("19.90", "19.9"), ("7.00", "7")]
NO_AMOUNTS = [
    *("0.001", "19.999", "100000000", "99999999.991", "1e8", "1e400", "-1e400", "1e999999999999"),
    *("1e-400", "1e-999999999999", "-0.01", "-1", "9" * 5000, f"0.{'0' * 5000}1", "1e-3"),
    *('"19.99"', '"1000"', "true", "false", "[1]", '{"amount":1}'),
]


def _body_with(member: str, number: str) -> bytes:
    """A body with `number` written into it as it is."""
    rest = simplejson.dumps(product_body_without(member))
    return f'{rest[:-1]}, "{member}": {number}}}'.encode()


def _written(response: ApiResponse, member: str) -> list[str]:
    """Each value of a member as its bytes are in the answer."""
    return re.findall(rf'"{member}":\s*([^,}}\s]+)', response.body.decode())


@pytest.mark.parametrize("member", ["price", "setupFee"])
@pytest.mark.parametrize("amount", AMOUNTS)
def test_an_amount_comes_back_to_the_digit(api: ProductApi, member: str, amount: str) -> None:
    created = api.create_product(_body_with(member, amount))
    assert created.status == 201
    assert _written(created, member) == [amount]
    product_id = created.json()["productId"]
    assert _written(api.get_product(product_id), member) == [amount]


@pytest.mark.parametrize("amount", AMOUNTS)
def test_a_changed_amount_comes_back_to_the_digit(api: ProductApi, amount: str) -> None:
    product_id = api.new_product()["productId"]
    changed = api.update_product(
        product_id, f'{{"price": {amount}, "setupFee": {amount}}}'.encode()
    )
    assert changed.status == 200
    for response in (changed, api.get_product(product_id)):
        assert _written(response, "price") == _written(response, "setupFee") == [amount]


def test_the_list_shows_amounts_to_the_digit(api: ProductApi) -> None:
    created = api.create_product(_body_with("price", "33333333.33"))
    product_id = created.json()["productId"]

    def listed() -> str | None:
        page = api.list_products(limit=100)
        shown = dict(zip(_written(page, "productId"), _written(page, "price"), strict=True))
        return shown.get(f'"{product_id}"')

    assert eventually(listed, "the product in the list") == "33333333.33"


def test_a_change_of_something_else_keeps_the_amounts(api: ProductApi) -> None:
    product = api.new_product(price=Decimal("19.99"), setupFee=Decimal("0.07"))
    changed = api.update_product(product["productId"], {"name": "Another"})
    assert _written(changed, "price") == ["19.99"]
    assert _written(changed, "setupFee") == ["0.07"]


@pytest.mark.parametrize(("written", "shown"), WRITTEN_ANOTHER_WAY)
def test_an_amount_is_shown_in_its_shortest_form(api: ProductApi, written: str, shown: str) -> None:
    created = api.create_product(_body_with("price", written))
    assert created.status == 201
    assert _written(created, "price") == [shown]


@pytest.mark.parametrize("number", NO_AMOUNTS, ids=lambda number: number[:20])
@pytest.mark.parametrize("member", ["price", "setupFee"])
def test_what_is_no_amount_is_refused(api: ProductApi, member: str, number: str) -> None:
    rejected = api.create_product(_body_with(member, number))
    assert rejected.status == 400
    assert rejected.fields() in ({member}, {"body"})


@pytest.mark.parametrize("number", ["0", "0.00", "-0", "null"])
def test_a_price_is_above_zero(api: ProductApi, number: str) -> None:
    rejected = api.create_product(_body_with("price", number))
    assert rejected.status == 400
    assert rejected.fields() == {"price"}


@pytest.mark.parametrize("number", ["0", "0.00", "-0"])
def test_a_setup_fee_may_be_zero(api: ProductApi, number: str) -> None:
    created = api.create_product(_body_with("setupFee", number))
    assert created.status == 201
    assert _written(created, "setupFee") == ["0"]


def test_no_amount_is_refused_in_a_change_as_well(api: ProductApi) -> None:
    product = api.new_product(price=5)
    rejected = api.update_product(product["productId"], b'{"price": 0, "setupFee": 1.001}')
    assert rejected.status == 400
    assert rejected.fields() == {"price", "setupFee"}
    assert api.get_product(product["productId"]).json() == product


def test_an_amount_is_a_number_in_every_answer(api: ProductApi) -> None:
    product = api.create_product(product_body(price=Decimal("19.99"))).json()
    assert product["price"] == Decimal("19.99")
