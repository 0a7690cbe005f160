"""Catalogue files: exact numbers, lossless round trips, and all errors in one message."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import simplejson
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from product_tools import catalogue_file
from product_tools.catalogue_file import CatalogueFileError

PLANS = Path(__file__).parents[2] / "catalogue" / "plans.yaml"

LIKE_NUMBERS = ["1e5", "0100", "1_000", "1:30", "19.90", ".5", "-0", "+1", "0x1F", ".inf"]
LIKE_KEYWORDS = ["yes", "null", "~", "=", "<<", "2026-01-31"]
LIKE_SYNTAX = [
    "a: b",
    "- a",
    "# a",
    "'a'",
    '"a',
    "a\n\n  b",
    "a\n",
    "a\tb",
    "🙂",
    "é\u2028b",
    "a\x85b",
]
TEXTS = st.sampled_from(LIKE_NUMBERS + LIKE_KEYWORDS + LIKE_SYNTAX) | st.text(
    st.characters(exclude_categories=["Cs"])
).filter(str.strip)
AMOUNTS = st.decimals(min_value=0, max_value=Decimal("99999999.99"), places=2).map(
    Decimal.normalize
)
PRODUCTS = st.builds(
    lambda **fields: catalogue_file.writable_fields(fields),
    productId=st.integers(1, 10**6).map("PROD-{}".format),
    name=TEXTS,
    description=TEXTS,
    price=AMOUNTS,
    setupFee=st.none() | AMOUNTS,
    currency=st.sampled_from(["ZAR", "NOK"]),
    period=st.sampled_from(["monthly", "yearly", "once-off"]),
    features=st.lists(TEXTS, min_size=1, max_size=3),
)


def product_entry(**fields: object) -> dict[str, object]:
    return {
        "productId": "PROD-001",
        "name": "Basic",
        "description": "A plan.",
        "price": 10,
        "period": "yearly",
        "features": ["One site"],
    } | fields


def errors_of(folder: Path, *entries: object) -> str:
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump({"products": entries}))
    return error_of(path)


def error_of(path: Path) -> str:
    with pytest.raises(CatalogueFileError) as error:
        catalogue_file.read(path)
    return str(error.value)


@pytest.mark.parametrize("ending", [".yaml", ".yml", ".json"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(products=st.lists(PRODUCTS, unique_by=lambda product: str(product["productId"]), max_size=4))
def test_write_and_read_keep_products_and_bytes(
    tmp_path: Path, ending: str, products: list[dict[str, Any]]
) -> None:
    first, second = tmp_path / f"first{ending}", tmp_path / f"second{ending}"
    catalogue_file.write(first, products)
    products_read = catalogue_file.read(first)
    assert products_read == sorted(products, key=lambda product: str(product["productId"]))
    catalogue_file.write(second, reversed(products_read))
    assert second.read_bytes() == first.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(products=st.lists(PRODUCTS, unique_by=lambda product: str(product["productId"]), max_size=4))
def test_other_yaml_reader_gets_same_types(tmp_path: Path, products: list[dict[str, Any]]) -> None:
    path = tmp_path / "catalogue.yaml"
    catalogue_file.write(path, products)
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["products"]:
        assert isinstance(entry["name"], str)
        assert isinstance(entry["price"], int | float)


@pytest.mark.parametrize("ending", [".yaml", ".json"])
@pytest.mark.parametrize("amount", ["19.99", "0.1", "95", "1e3", "0.10000000000000000000000000001"])
def test_read_amount_keeps_every_digit(tmp_path: Path, ending: str, amount: str) -> None:
    path = tmp_path / f"catalogue{ending}"
    entry = simplejson.dumps(product_entry(price="here")).replace('"here"', amount)
    path.write_text(f'{{"products": [{entry}]}}')
    (product,) = catalogue_file.read(path)
    assert type(product["price"]) is Decimal
    assert product["price"] == Decimal(amount)


@pytest.mark.parametrize("amount", ["'19.99'", "true", "0100", "1_000", "1:30", ".inf", "", "[1]"])
def test_read_price_that_is_no_number_is_rejected(tmp_path: Path, amount: str) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(
        "products: [{productId: PROD-1, name: A, description: A, period: yearly, features: [A],"
        f" price: {amount}}}]"
    )
    assert "product 1 (PROD-1): price must be a number such as 1500 or 19.99" in error_of(path)


def test_read_text_tagged_as_number_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text("products: !!float one")
    assert "'one' is not a number" in error_of(path)


def test_read_reports_all_errors_together(tmp_path: Path) -> None:
    message = errors_of(
        tmp_path,
        product_entry(price="10", colour="red"),
        product_entry(productId="PROD-001"),
        "Basic",
        {"productId": "PROD-002", "features": ["A", 1], "setupFee": "free"},
        product_entry(productId=" ", name=True),
    )
    text = "a text, in quotes if it looks like a number, a date, yes or no"
    number = "a number such as 1500 or 19.99, without quotes"
    known = "productId, name, description, price, setupFee, currency, period, features"
    assert message.splitlines()[1:] == [
        f"  - product 1 (PROD-001): price must be {number}",
        f"  - product 1 (PROD-001): unknown field colour (known: {known})",
        "  - product 2 (PROD-001): productId is already used by product 1 (PROD-001)",
        "  - product 3 must be a mapping of fields",
        "  - product 4 (PROD-002): name is missing",
        "  - product 4 (PROD-002): description is missing",
        "  - product 4 (PROD-002): price is missing",
        f"  - product 4 (PROD-002): setupFee must be {number}",
        "  - product 4 (PROD-002): period is missing",
        "  - product 4 (PROD-002): features must be a list of texts",
        f"  - product 5: productId must be {text}",
        f"  - product 5: name must be {text}",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "version: 1\nversion: 2\nproducts: [{price: 1, price: 2}]"),
        ("a.json", '{"version": 1, "version": 2, "products": [{"price": 1, "price": 2}]}'),
    ],
)
def test_read_repeated_key_is_rejected(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    message = error_of(path)
    assert "- version is given twice" in message
    assert "- unknown field version beside products" in message
    assert "- product 1: price is given twice" in message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.yaml", b"products: [", "cannot be parsed; correct this and try again: while parsing"),
        ("a.yaml", b"products: !!python/object:os.system {}", "could not determine a constructor"),
        ("a.yaml", b"products: &a [*a]", "found unconstructable recursive node"),
        (
            "a.yaml",
            b"name: 2026-13-45",
            "cannot be parsed; correct this and try again: month must be in 1..12",
        ),
        ("a.yaml", b"[" * 1000, "cannot be parsed"),
        ("a.yaml", b"", "must hold one mapping with a list named products"),
        ("a.yaml", b"- A", "must hold one mapping with a list named products"),
        ("a.yaml", b"products: {}", "must hold one mapping with a list named products"),
        ("a.yaml", b"products: [\xff]", "is not UTF-8"),
        ("a.json", b"", "cannot be parsed"),
        ("a.json", b'{"products": [{"price": NaN}]}', "cannot be parsed"),
        ("a.json", b"[" * 200_000, "cannot be parsed"),
        ("a.txt", b"products: []", "must end in .yaml, .yml or .json"),
    ],
)
def test_read_invalid_file_is_rejected_with_its_path(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = error_of(path)
    assert expected in message
    assert str(path) in message


def test_read_missing_file_is_rejected_with_its_path(tmp_path: Path) -> None:
    message = error_of(tmp_path / "missing.yaml")
    assert message == (
        f"{tmp_path}/missing.yaml cannot be read (No such file or directory): check the path."
    )


def test_write_to_missing_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogueFileError, match=r"cannot be written \(No such file or directory\): check the path"
    ):
        catalogue_file.write(tmp_path / "missing" / "a.yaml", [])


def test_read_trims_texts_and_sets_defaults(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    entry = product_entry(name=" Basic ", description="Two\nlines\n", features=[" One site\n"])
    path.write_text(yaml.safe_dump({"products": [entry]}))
    assert catalogue_file.read(path) == [
        product_entry(description="Two\nlines", currency="ZAR", setupFee=None)
    ]


def test_plans_are_complete_and_equal_an_export(tmp_path: Path) -> None:
    plans = catalogue_file.read(PLANS)
    assert [
        (plan["productId"], plan["name"], plan["price"], plan["setupFee"]) for plan in plans
    ] == [
        ("PROD-001", "Entry", 95, None),
        ("PROD-002", "Basic", 1000, 1500),
        ("PROD-003", "Standard", 1500, 2500),
        ("PROD-004", "Premium", 2500, 3500),
        ("PROD-005", "Enterprise", 3500, 5000),
    ]
    assert {(plan["currency"], plan["period"]) for plan in plans} == {("ZAR", "yearly")}
    assert "per domain" in " ".join(plans[0]["features"])
    export = tmp_path / "plans.yaml"
    catalogue_file.write(export, plans)
    assert PLANS.read_text(encoding="utf-8").endswith(export.read_text(encoding="utf-8"))
