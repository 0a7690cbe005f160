"""Money stays decimal from the request's bytes to the table and back."""

from decimal import Decimal
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings

from product_lambda.models.product import plain_decimal
from product_lambda.repositories.product_repository import ProductTable
from tests.support.events import FunctionResponse, Functions, as_json
from tests.support.factory import product_body, unused_product_id
from tests.support.products import CENTS_MAX, amounts

# Each example uses another product, so one table is enough.
ON_ENGINE = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
EXTREMES = ("0.01", "0.1", "0.3", "1.1", "19.9", "19.99", "1000", "8388608.01", "99999999.99")


def test_amounts_survive_binary64() -> None:
    """The client decodes UpdateItem's result like this: see docs/adr/0003-exact-money.md."""
    strides = range(1, CENTS_MAX, 99_991)  # a prime, so that all last digits occur
    for cents in chain(range(1, 20_000), strides, range(CENTS_MAX - 20_000, CENTS_MAX + 1)):
        text = f"{cents // 100}.{cents % 100:02}"
        assert Decimal(repr(float(text))) == Decimal(text)


def digits(response: FunctionResponse, name: str) -> str:
    """Return the text of a number in a response."""
    _, _, rest = response.body.partition(f'"{name}":')
    return rest.partition(",")[0]


def create(functions: Functions, price: str, setup_fee: str) -> tuple[str, FunctionResponse]:
    product_id = unused_product_id()
    money = {"price": Decimal(price), "setupFee": Decimal(setup_fee)}
    response = functions.create(product_body(productId=product_id, **money))
    assert response.status == 201
    return product_id, response


@pytest.mark.parametrize("amount", EXTREMES)
def test_amount_is_stored_as_sent(
    functions: Functions, shared_table: ProductTable, amount: str, raw_item: Any
) -> None:
    product_id, _ = create(functions, amount, amount)
    item = raw_item(shared_table, f"PRODUCT#{product_id}")
    assert item["price"] == item["setupFee"] == {"N": amount}


@ON_ENGINE
@given(amounts(), amounts(0))
@example(Decimal("99999999.99"), Decimal("0.00"))
@example(Decimal("0.10"), Decimal("0.30"))
@example(Decimal("1000.00"), Decimal("90071992.54"))
def test_amounts_survive_every_operation(
    functions: Functions, price: Decimal, setup_fee: Decimal
) -> None:
    expected = (str(plain_decimal(price)), str(plain_decimal(setup_fee)))
    product_id, created = create(functions, str(price), str(setup_fee))
    read = functions.get(product_id)
    renamed = functions.update(product_id, {"name": "The money stays"})
    repriced = functions.update(product_id, f'{{"price":{price}, "setupFee":{setup_fee}}}')
    reread = functions.get(product_id)
    for response in (created, read, renamed, repriced, reread):
        assert (digits(response, "price"), digits(response, "setupFee")) == expected, response


@ON_ENGINE
@given(amounts(), amounts(0))
def test_amounts_survive_replay(functions: Functions, price: Decimal, setup_fee: Decimal) -> None:
    body = as_json(product_body(price=price, setupFee=setup_fee))
    key = {"Idempotency-Key": str(uuid4())}
    created, replayed = functions.create(body, key), functions.create(body, key)
    assert created.body == replayed.body
    assert digits(replayed, "price") == str(plain_decimal(price))
    assert digits(replayed, "setupFee") == str(plain_decimal(setup_fee))


def test_amounts_survive_list(functions_on_table: Functions) -> None:
    amounts_sent = [
        plain_decimal(Decimal(cents).scaleb(-2)) for cents in range(1, CENTS_MAX, 99_999_989)
    ]
    for amount in amounts_sent:
        create(functions_on_table, str(amount), str(amount))
    response = functions_on_table.list(limit=100, offset=1, sort="createdAt")
    assert [product["price"] for product in response.json()["products"]] == amounts_sent[1:]
    for amount in amounts_sent[1:]:
        assert f'"price":{amount},"setupFee":{amount},' in response.body
