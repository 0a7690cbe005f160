"""The rules that make an item readable, and the conversions of items."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.exceptions import PreconditionFailedException, ProductNotFoundException
from product_lambda.models.currency import CurrencyCode
from product_lambda.models.product import Revision
from product_lambda.repositories.items import (
    exact_number,
    flaws_in,
    product_id_in,
    product_in,
    product_item,
    record_in,
    record_item,
    revision_in,
)
from product_lambda.repositories.product_repository import changed_product, deactivated_product
from tests.support.products import CREATED_AT, amounts, product, record

LINE = "is not trimmed text of 1 to 200 characters without control characters"
DESCRIPTION = "is not trimmed text of 1 to 4000 characters without control characters"
PRICE = "is not a number above 0, at most 99999999.99, with at most 2 decimals"
SETUP_FEE = "is not a number from 0 to 99999999.99 with at most 2 decimals"
FEATURES = "is not a list of 1 to 50 lines of trimmed text"
VERSION = "is not a whole number from 1 to 999999999999999"
TIMESTAMP = "is not a UTC timestamp such as 2026-01-31T09:30:00.123456Z"


def item(**attributes: Any) -> dict[str, Any]:
    """Return the item of a product; `attributes` replace its own."""
    return {**product_item(product(), "author"), **attributes}


@pytest.mark.parametrize(
    ("key", "product_id"),
    [
        ({"PK": "PRODUCT#PROD-001", "SK": "METADATA"}, "PROD-001"),
        ({"PK": "PRODUCT#PROD-001", "SK": "METADATA", "active": "true"}, "PROD-001"),
        ({"PK": "PRODUCT#PROD-001", "SK": "OTHER"}, None),
        ({"PK": "PROD-001", "SK": "METADATA"}, None),
        ({"PK": "PRODUCT#prod-1", "SK": "METADATA"}, None),
        ({"PK": 1, "SK": "METADATA"}, None),
    ],
)
def test_product_id_is_read_from_keys_of_products_only(
    key: dict[str, Any], product_id: str | None
) -> None:
    assert product_id_in(key) == product_id


VALID: dict[str, list[Any]] = {
    "name": ["x", "x" * 200, "\U0001f680" * 200, "a\u200b", "\u202e"],
    "description": ["x", "x" * 4000, "a\n\tb"],
    "price": [Decimal("0.01"), Decimal("99999999.99"), 1, 19.99, Decimal("1E+3")],
    "setupFee": [0, Decimal("0.00"), Decimal("99999999.99"), 0.5],
    "currency": ["ZAR", "EUR", "ZWG"],
    "period": ["monthly", "yearly", "once-off"],
    "features": [["a"], ["a"] * 50, ["x" * 200]],
    "active": ["true", "false"],
    "version": [1, Decimal(7), 3.0, 999_999_999_999_999],
    "createdAt": ["2024-02-29T23:59:59.999999Z"],
    "updatedAt": ["2026-12-31T00:00:00.000000Z"],
    "updatedBy": ["anything", None, 5],
    "other": [b"anything"],
}
INVALID: dict[str, list[tuple[Any, str]]] = {
    "PK": [(5, "is not text")],
    "SK": [("OTHER", "is not METADATA"), (None, "is not METADATA")],
    "productId": [(value, "is not a product id") for value in ("prod-1", "", "PROD-", None)],
    "name": [
        (value, LINE)
        for value in ("", " ", " a", "a ", "x" * 201, "a\nb", "\x7f", "\x85a", 5, b"x")
    ],
    "description": [
        (value, DESCRIPTION) for value in ("", "\n", "x" * 4001, "a\rb", "a\x0bb", "\x00", None)
    ],
    "price": [
        (value, PRICE)
        for value in (
            *(0, -1, Decimal("-0.01"), Decimal(100000000), Decimal("0.001"), 95.12345),
            *(Decimal("1E+125"), Decimal("NaN"), float("inf"), "95", True, None),
        )
    ],
    "setupFee": [
        (value, SETUP_FEE) for value in (Decimal("-0.01"), 100_000_000, 0.001, "0", False, None)
    ],
    "currency": [(value, "is not an ISO 4217 currency code") for value in ("zar", "XXX", "", 5)],
    "period": [(value, "is not a period") for value in ("weekly", "", None)],
    "features": [
        (value, FEATURES)
        for value in ([], ["a"] * 51, "a,b", {"a"}, ["a", ""], ["a", 1], ["x" * 201], None)
    ],
    "active": [(value, "is not true or false as text") for value in (True, "TRUE", "", 1)],
    "version": [
        (value, VERSION) for value in (0, -1, 1.5, Decimal("1.5"), 10**15, "1", True, None)
    ],
    "createdAt": [
        (value, TIMESTAMP)
        for value in (
            *("2026-01-31", "2026-02-30T00:00:00.000000Z", "2026-01-31T24:00:00.000000Z", 5),
            *("2026-01-31T09:30:00.12345Z", "2026-01-31T09:30:00.123456", ""),
        )
    ],
    "updatedAt": [("2026-13-01T00:00:00.000000Z", TIMESTAMP)],
}


def test_item_of_product_is_readable() -> None:
    assert flaws_in(item()) == {}
    assert product_in(item()) == product()


@pytest.mark.parametrize(
    ("attribute", "value"), [(name, value) for name, values in VALID.items() for value in values]
)
def test_valid_attribute_has_no_flaw(attribute: str, value: object) -> None:
    assert flaws_in(item(**{attribute: value})) == {}


@pytest.mark.parametrize(
    ("attribute", "value", "flaw"),
    [(name, value, flaw) for name, cases in INVALID.items() for value, flaw in cases],
)
def test_invalid_attribute_is_a_flaw(attribute: str, value: object, flaw: str) -> None:
    assert flaws_in(item(**{attribute: value})) == {attribute: flaw}


def test_every_missing_attribute_is_a_flaw() -> None:
    assert flaws_in({}) == dict.fromkeys(
        [
            *("PK", "SK", "productId", "name", "description", "price", "currency", "period"),
            *("features", "active", "createdAt", "updatedAt"),
        ],
        "is missing",
    )


def test_product_id_must_be_the_one_of_the_key() -> None:
    assert flaws_in(item(productId="PROD-2")) == {"productId": "is not the id in PK"}
    assert flaws_in(item(PK="PRODUCT#PROD-2")) == {"productId": "is not the id in PK"}


def test_item_without_optional_attributes_is_readable() -> None:
    older = item()
    del older["version"], older["setupFee"]
    assert flaws_in(older) == {}
    assert product_in(older) == product(version=0, setup_fee=None)


def test_every_currency_of_requests_is_readable() -> None:
    from typing import get_args  # noqa: PLC0415

    assert all(flaws_in(item(currency=code)) == {} for code in get_args(CurrencyCode))


@given(amounts())
def test_exact_number_is_the_stored_number(amount: Decimal) -> None:
    assert exact_number(amount) == exact_number(float(amount)) == amount


@pytest.mark.parametrize(
    ("stored", "text"), [(Decimal("1E+3"), "1000"), (19.9, "19.9"), (Decimal("5.00"), "5")]
)
def test_amounts_of_products_have_no_exponent(stored: Decimal | float, text: str) -> None:
    read = product_in(item(price=stored, setupFee=stored))
    assert (str(read.price), str(read.setup_fee)) == (text, text)


@pytest.mark.parametrize(
    ("attributes", "revision"),
    [
        ({}, Revision(1, CREATED_AT)),
        ({"version": Decimal(7)}, Revision(7, CREATED_AT)),
        ({"version": 1.5}, None),
        ({"version": 0}, None),
        ({"version": "1"}, None),
        ({"updatedAt": "2026"}, None),
        ({"updatedAt": 5}, None),
    ],
)
def test_revision_needs_valid_attributes(
    attributes: dict[str, Any], revision: Revision | None
) -> None:
    assert revision_in(item(**attributes)) == revision


def test_revision_of_item_without_version_is_0() -> None:
    older = item()
    del older["version"]
    assert revision_in(older) == Revision(0, CREATED_AT)
    del older["updatedAt"]
    assert revision_in(older) is None


@given(st.sampled_from([None, Decimal("2.50")]))
def test_idempotency_record_survives_its_item(setup_fee: Decimal | None) -> None:
    stored = record(product(setup_fee=setup_fee))
    assert record_in(stored.key_hash, record_item(stored)) == stored


def test_failed_condition_tells_the_time_of_the_newer_change() -> None:
    newer = "2026-04-01T00:00:00.000000Z"
    change = changed_product("PROD-001", {"name": "N"}, None, "author", lambda: CREATED_AT)
    assert change.checked({**product_item(product(), "author"), "updatedAt": newer}) == newer


def test_failed_condition_of_deleted_product_names_it() -> None:
    change = changed_product("PROD-001", {"name": "N"}, None, "author", lambda: CREATED_AT)
    with pytest.raises(ProductNotFoundException, match="PROD-001"):
        change.checked(item(active="false"))


@pytest.mark.parametrize("flaw", [{"name": ""}, {"updatedAt": "yesterday"}])
def test_flaw_that_the_change_repairs_is_not_reported(flaw: dict[str, str]) -> None:
    others: frozenset[Revision] = frozenset()
    change = changed_product("PROD-001", {"name": "N"}, others, "author", lambda: CREATED_AT)
    with pytest.raises(PreconditionFailedException):
        change.checked(item(**flaw))


def test_failed_condition_of_item_without_time_tells_none() -> None:
    change = deactivated_product("PROD-001", None, "author", lambda: CREATED_AT)
    assert change.checked({"active": "true"}) == ""
