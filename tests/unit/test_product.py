"""The product and its representation in the API."""

from decimal import Decimal
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.models.product import (
    MAX_NAME_KEY,
    NO_FILTERS,
    Filters,
    Product,
    SortOrder,
    comparable,
    name_key,
    plain_decimal,
    product_from,
)
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
    with pytest.raises(AttributeError):
        product().name = "other"  # type: ignore[misc]
    assert not hasattr(product(), "__dict__")
    assert len(Product._fields) == len(SHOWN)


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


# Names for sorting and searching

EXPANDING = "\ufdfa"  # NFKC makes 18 characters of it, of 33 bytes in UTF-8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Basic", "basic"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Café", "café"),
        ("Cafe\u0301", "café"),
        ("\uff37\uff30", "wp"),
        ("\u2163 \ufb01le \u2460", "iv file 1"),
        ("ДОМЕН", "домен"),
        ("🚀", "🚀"),
    ],
)
def test_comparable_name_has_no_case_or_variants(name: str, expected: str) -> None:
    assert comparable(name) == name_key(name) == expected


@given(lines())
def test_comparable_name_is_the_same_in_other_forms(name: str) -> None:
    for form in ("NFC", "NFD"):
        assert comparable(normalize(form, name)) == comparable(name)
    if name.isascii():
        assert comparable(name.upper()) == comparable(name.lower()) == comparable(name)


def test_comparable_name_is_the_same_in_both_cases() -> None:
    # U+0390 has a composed lower case and a decomposed upper case.
    assert comparable("\u0390") == comparable("\u0390".upper())


@given(lines() | st.text(st.sampled_from([EXPANDING, "a", "é", "🚀"]), min_size=1, max_size=200))
def test_name_key_is_longest_beginning_that_fits(name: str) -> None:
    key, whole = name_key(name), comparable(name)
    assert whole.startswith(key)
    assert 1 <= len(key.encode()) <= 1024
    following = whole[len(key) : len(key) + 1]
    assert not following or len((key + following).encode()) > 1024


@given(st.lists(st.text(st.sampled_from([EXPANDING, "b", "🚀"]), min_size=1, max_size=200)))
def test_name_keys_have_the_order_of_comparable_names(names: list[str]) -> None:
    """Cut names never change their order: at most they become equal."""
    by_name = sorted(names, key=comparable)
    keys = [name_key(name) for name in by_name]
    assert keys == sorted(keys) == sorted(keys, key=str.encode)


@given(lines(), st.integers(0, 200))
def test_key_of_beginning_begins_key_of_name(name: str, length: int) -> None:
    """So an index by keys finds every name that has a beginning."""
    beginning = name[:length]
    if comparable(name).startswith(comparable(beginning)):
        assert name_key(name).startswith(name_key(beginning))


# Filters


FIELDS = {"currency": "ZAR", "period": "monthly", "price": Decimal("95.5"), "name": "Straße One"}


@pytest.mark.parametrize(
    "filters",
    [
        NO_FILTERS,
        Filters(currency="ZAR"),
        Filters(period="monthly"),
        Filters(min_price=Decimal("95.5")),
        Filters(max_price=Decimal("95.50")),
        Filters(name="STRASSE"),
        Filters("ZAR", "monthly", Decimal(95), Decimal(96), "straße one"),
    ],
)
def test_product_with_filtered_fields_matches(filters: Filters) -> None:
    assert filters.match(FIELDS)


@pytest.mark.parametrize(
    "filters",
    [
        Filters(currency="USD"),
        Filters(period="yearly"),
        Filters(min_price=Decimal("95.51")),
        Filters(max_price=Decimal("95.49")),
        Filters(name="one"),
        Filters("ZAR", "monthly", Decimal(95), Decimal(96), "straße one more"),
    ],
)
def test_product_with_another_field_does_not_match(filters: Filters) -> None:
    assert not filters.match(FIELDS)


@pytest.mark.parametrize("name", ["currency", "period", "price", "name"])
@pytest.mark.parametrize("value", [None, 7, "", [], True])
def test_item_with_wrong_type_does_not_match(name: str, value: object) -> None:
    filters = Filters("ZAR", "monthly", Decimal(0), Decimal(96), "straße")
    assert filters.match(FIELDS)
    assert not filters.match({**FIELDS, name: value})
    without = {each: FIELDS[each] for each in FIELDS if each != name}
    assert not filters.match(without)


def test_position_by_name_is_a_key_of_at_most_its_size() -> None:
    valid, invalid = ["a", "a" * MAX_NAME_KEY], ["", "a" * (MAX_NAME_KEY + 1), "é" * MAX_NAME_KEY]
    assert all(map(SortOrder.BY_NAME.has_position, valid))
    assert not any(map(SortOrder.BY_NAME.has_position, invalid))
