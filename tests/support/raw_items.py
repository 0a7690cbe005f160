"""Items as other programs may write them to the table, in DynamoDB JSON.

A test that needs an unreadable item writes it with these; the repository itself never would.
"""

from typing import Any

import boto3

from local.engine import CREDENTIALS, REGION
from tests.support.products import CREATED_AT

FLAWED_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "name of spaces": {"name": {"S": "  "}},
    "long name": {"name": {"S": "x" * 201}},
    "name with a control character": {"name": {"S": "a\x07b"}},
    "name as a number": {"name": {"N": "1"}},
    "missing description": {"description": None},
    "price below zero": {"price": {"N": "-5"}},
    "price of zero": {"price": {"N": "0"}},
    "price with 5 decimals": {"price": {"N": "95.12345"}},
    "price with 38 digits": {"price": {"N": "95.120000000000000000000000000000000001"}},
    "huge price": {"price": {"N": "1E125"}},
    "price as text": {"price": {"S": "95"}},
    "missing price": {"price": None},
    "set-up fee below zero": {"setupFee": {"N": "-0.01"}},
    "set-up fee of null": {"setupFee": {"NULL": True}},
    "missing currency": {"currency": None},
    "unknown currency": {"currency": {"S": "XXX"}},
    "unknown period": {"period": {"S": "weekly"}},
    "features as text": {"features": {"S": "a,b"}},
    "features as a set": {"features": {"SS": ["a", "b"]}},
    "no features": {"features": {"L": []}},
    "missing features": {"features": None},
    "feature as a number": {"features": {"L": [{"S": "a"}, {"N": "1"}]}},
    "version 1.5": {"version": {"N": "1.5"}},
    "version below zero": {"version": {"N": "-1"}},
    "version of zero": {"version": {"N": "0"}},
    "version as text": {"version": {"S": "1"}},
    "huge version": {"version": {"N": "1E15"}},
    "missing updatedAt": {"updatedAt": None},
    "updatedAt without a time": {"updatedAt": {"S": "2026-01-31"}},
    "createdAt without a time": {"createdAt": {"S": "2026-01-31"}},
    "createdAt of no day": {"createdAt": {"S": "2026-02-30T00:00:00.000000Z"}},
    "missing productId": {"productId": None},
    "other productId": {"productId": {"S": "PROD-OTHER"}},
}
"""Changes to a readable item that make it unreadable, by name; None removes the attribute."""


def dynamodb(endpoint_url: str) -> Any:
    """Return boto3's client of an engine, which sends items unchanged."""
    return boto3.client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=endpoint_url,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def raw_product(product_id: str, **attributes: Any) -> dict[str, Any]:
    """Return the item of a product; `attributes` replace its own, and None removes one."""
    item = {
        "PK": {"S": f"PRODUCT#{product_id}"},
        "SK": {"S": "METADATA"},
        "productId": {"S": product_id},
        "name": {"S": "Basic"},
        "description": {"S": "One site with up to five pages."},
        "price": {"N": "95.5"},
        "currency": {"S": "ZAR"},
        "period": {"S": "yearly"},
        "features": {"L": [{"S": "Five pages"}]},
        "active": {"S": "true"},
        "version": {"N": "1"},
        "createdAt": {"S": CREATED_AT},
        "updatedAt": {"S": CREATED_AT},
        "updatedBy": {"S": "a1b2c3d4e5"},
        **attributes,
    }
    return {name: value for name, value in item.items() if value is not None}
