"""The product and its representation in the API."""

from dataclasses import FrozenInstanceError, fields
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.models.product import Product, plain_decimal, product_from
from tests.support.products import CREATED_AT, amounts, lines, periods, product

SHOWN = {
    "productId": "PROD-001",
    "name": "Basic",
    "description": "One site with up to five pages.",
    "price": Decimal("19.99"),
    "setupFee": Decimal(1500),
    "currency": "ZAR",
    "period": "yearly",
    "features": ["Five pages", "Contact form"],
    "active": True,
    "version": 1,
    "createdAt": CREATED_AT,
    "updatedAt": CREATED_AT,
}


def test_representation_has_api_names() -> None:
    assert list(product().representation().items()) == list(SHOWN.items())


def test_missing_setup_fee_is_left_out() -> None:
    shown = product(setup_fee=None).representation()
    assert shown == {name: value for name, value in SHOWN.items() if name != "setupFee"}


def test_setup_fee_of_zero_is_shown() -> None:
    assert product(setup_fee=Decimal(0)).representation()["setupFee"] == 0


def test_representation_is_reversible() -> None:
    assert product_from(SHOWN) == product()
    assert product_from({**SHOWN, "setupFee": None}) == product(setup_fee=None)


def test_missing_optional_fields_have_defaults() -> None:
    older = {n: v for n, v in SHOWN.items() if n not in {"version", "setupFee"}}
    assert product_from(older) == product(version=0, setup_fee=None)


@pytest.mark.parametrize("missing", sorted(set(SHOWN) - {"version", "setupFee"}))
def test_missing_required_field_raises_key_error(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        product_from({name: value for name, value in SHOWN.items() if name != missing})


def test_product_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        product().name = "other"  # type: ignore[misc]
    assert not hasattr(product(), "__dict__")
    assert len(fields(Product)) == len(SHOWN)


def test_version_becomes_integer() -> None:
    version = product_from({**SHOWN, "version": Decimal(3)}).version
    assert (version, type(version)) == (3, int)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("19.90"), "19.9"),
        (Decimal("1E+3"), "1000"),
        (Decimal("99999999.99"), "99999999.99"),
        (Decimal("0.00"), "0"),
        (Decimal("0E-9"), "0"),
        (Decimal("0.01"), "0.01"),
        (1000, "1000"),
        (0, "0"),
    ],
)
def test_plain_decimal_has_shortest_form(amount: Decimal | int, text: str) -> None:
    assert str(plain_decimal(amount)) == text


@given(amounts())
def test_plain_decimal_keeps_value(amount: Decimal) -> None:
    shortest = plain_decimal(amount)
    assert shortest == amount
    assert plain_decimal(shortest).as_tuple() == shortest.as_tuple()
    assert not str(shortest).endswith(".0")


@given(
    st.builds(
        Product,
        product_id=st.just("PROD-1"),
        name=lines(),
        description=lines(),
        price=amounts().map(plain_decimal),
        setup_fee=st.none() | amounts(0).map(plain_decimal),
        currency=st.sampled_from(["ZAR", "USD"]),
        period=periods(),
        features=st.lists(lines(), min_size=1).map(tuple),
        active=st.booleans(),
        version=st.integers(0, 10**9),
        created_at=st.just(CREATED_AT),
        updated_at=st.just(CREATED_AT),
    )
)
def test_any_product_survives_its_representation(whole: Product) -> None:
    assert product_from(whole.representation()) == whole
