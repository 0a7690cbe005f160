"""The OpenAPI file's schemas of request bodies agree with those of the Pydantic models."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from product_lambda.models.requests import CreateProductRequest, UpdateProductRequest
from tests.support.response_check import openapi_document, resolved

SCHEMAS = openapi_document()["components"]["schemas"]
# Prose differs between the two sides, and defaults have a separate test.
NOT_A_RULE = {"title", "description", "default"}


def _rules(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the rules of a schema in one form, however it is composed."""
    rules = {name: value for name, value in resolved(schema).items() if name not in NOT_A_RULE}
    for part in rules.pop("allOf", []):
        rules |= _rules(part)
    for part in rules.pop("anyOf", []):
        rules |= {"nullable": True} if part == {"type": "null"} else _rules(part)
    if isinstance(rules.get("type"), list):
        rules["type"], _ = rules["type"]
        rules["nullable"] = True
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
def test_body_schema_equals_model(schema: str, model: type[BaseModel]) -> None:
    assert _rules(SCHEMAS[schema]) == _rules(model.model_json_schema())


def test_default_currency_equals_model() -> None:
    described = resolved(SCHEMAS["ProductCreate"]["properties"]["currency"])
    assert described["default"] == CreateProductRequest.model_fields["currency"].default


def test_product_schema_has_rules_of_create_schema() -> None:
    product, create = (_rules(SCHEMAS[name])["properties"] for name in ("Product", "ProductCreate"))
    # A response leaves out a missing fee; a request body may have null.
    del create["setupFee"]["nullable"]
    assert {name: product[name] for name in create} == create
