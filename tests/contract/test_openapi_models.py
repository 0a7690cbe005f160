"""The OpenAPI file's schemas of request bodies against those that the models generate."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from product_lambda.models.requests import CreateProductRequest, UpdateProductRequest
from tests.support.judge import openapi_document, resolved

SCHEMAS = openapi_document()["components"]["schemas"]
# Prose, which each side writes for its own readers, and defaults, which have a test of their own.
NOT_A_RULE = {"title", "description", "default"}


def _rules(schema: dict[str, Any]) -> dict[str, Any]:
    """The rules of a schema, said the same way for OpenAPI 3.0 and for JSON Schema 2020-12."""
    rules = {name: value for name, value in resolved(schema).items() if name not in NOT_A_RULE}
    for part in rules.pop("allOf", []):
        rules |= _rules(part)
    for part in rules.pop("anyOf", []):
        rules |= {"nullable": True} if part == {"type": "null"} else _rules(part)
    if rules.get("exclusiveMinimum") is True:
        rules["exclusiveMinimum"] = rules.pop("minimum")
    if "items" in rules:
        rules["items"] = _rules(rules["items"])
    if "properties" in rules:
        rules["properties"] = {name: _rules(part) for name, part in rules["properties"].items()}
    if "required" in rules:
        rules["required"] = set(rules["required"])
    return {
        name: Decimal(str(value)) if isinstance(value, float) else value
        for name, value in rules.items()
    }


@pytest.mark.parametrize(
    ("schema", "model"),
    [("ProductCreate", CreateProductRequest), ("ProductUpdate", UpdateProductRequest)],
)
def test_a_body_is_described_as_the_model_checks_it(schema: str, model: type[BaseModel]) -> None:
    assert _rules(SCHEMAS[schema]) == _rules(model.model_json_schema())


def test_the_default_currency_is_described_as_the_model_has_it() -> None:
    described = SCHEMAS["ProductCreate"]["properties"]["currency"]["default"]
    assert described == CreateProductRequest.model_fields["currency"].default


def test_a_product_is_described_like_what_it_is_made_from() -> None:
    product, create = (_rules(SCHEMAS[name])["properties"] for name in ("Product", "ProductCreate"))
    # An answer leaves out a fee that there is not, where a body may say null.
    del create["setupFee"]["nullable"]
    assert {name: product[name] for name in create} == create
