"""The differences between two catalogues, in words."""

from decimal import Decimal

from product_tools.catalogue_diff import differences
from product_tools.catalogue_file import Product, writable_fields
from tests.support.factory import product_body


def product(product_id: str, **fields: object) -> Product:
    return writable_fields(product_body(productId=product_id, **fields))


def texts(here: list[Product], there: list[Product], *retired: str) -> list[tuple[str, str]]:
    found = differences(
        {entry["productId"]: entry for entry in here},
        {entry["productId"]: entry for entry in there},
        retired,
    )
    return [(difference.product["productId"], difference.text) for difference in found]


def test_same_products_do_not_differ() -> None:
    assert texts([product("PROD-1", price=Decimal("1E+3"))], [product("PROD-1")]) == []


def test_each_field_differs_with_both_values() -> None:
    old = product("PROD-1", setupFee=Decimal("0.10"), price=Decimal("1E+3"))
    new = product(
        "PROD-1",
        price=Decimal(1299),
        name='Basic "2"',
        description="Two\nlines: é",
        features=["Five pages"],
        currency="NAD",
        period="monthly",
    )
    assert texts([new], [old]) == [
        ("PROD-1", 'name "Basic" → "Basic \\"2\\""'),
        ("PROD-1", r'description "One site with up to five pages." → "Two\nlines: é"'),
        ("PROD-1", "price 1000 → 1299"),
        ("PROD-1", "setupFee 0.10 → none"),
        ("PROD-1", 'currency "ZAR" → "NAD"'),
        ("PROD-1", 'period "yearly" → "monthly"'),
        ("PROD-1", 'features ["Five pages", "Contact form"] → ["Five pages"]'),
    ]


def test_product_of_one_catalogue_differs() -> None:
    here = [product("PROD-3"), product("PROD-1")]
    there = [product("PROD-2")]
    assert texts(here, there, "PROD-3", "PROD-4") == [
        ("PROD-1", "only here"),
        ("PROD-2", "only there"),
        ("PROD-3", "retired there"),
    ]
