"""The local table and its items match the schema file, on every engine."""

import json
from typing import Any

import pytest
import urllib3
from jsonschema import Draft202012Validator

from local.engine import REGION
from local.errors import LocalError
from local.table import SCHEMA_FILE, create_table
from local.table_upgrade import upgrade_table
from product_lambda.models.product import PageRequest, SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductRepository, open_table
from tests.support.pages import listed
from tests.support.raw_items import dynamodb, raw_product

_SCHEMA: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
_ITEMS = Draft202012Validator(_SCHEMA["item"])
_UNSIGNED = (
    "AWS4-HMAC-SHA256 Credential=local/20260131/eu-west-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
_PRODUCT: dict[str, Any] = {
    "PK": {"S": "PRODUCT#PROD-001"},
    "SK": {"S": "METADATA"},
    "productId": {"S": "PROD-001"},
    "name": {"S": "Basic"},
    "description": {"S": "One site"},
    "price": {"N": "19.99"},
    "currency": {"S": "ZAR"},
    "period": {"S": "yearly"},
    "features": {"L": [{"S": "Five pages"}]},
    "active": {"S": "true"},
    "version": {"N": "1"},
    "createdAt": {"S": "2026-01-31T09:30:00.123456Z"},
    "updatedAt": {"S": "2026-01-31T09:30:00.123456Z"},
    "updatedBy": {"S": "key-1"},
}
_COUNTER: dict[str, Any] = {
    "PK": {"S": "COUNTER#PRODUCT"},
    "SK": {"S": "METADATA"},
    "number": {"N": "12"},
}
_IDEMPOTENCY_RECORD: dict[str, Any] = {
    "PK": {"S": f"IDEMPOTENCY#{'0' * 64}"},
    "SK": {"S": "METADATA"},
    "fingerprint": {"S": "f" * 64},
    "answer": {"S": "{}"},
    "productId": {"S": "PROD-001"},
    "expiresAt": {"N": "1800000000"},
}


@pytest.fixture(params=["engine", "dynamodb_local"])
def endpoint_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def _describe(endpoint_url: str, table_name: str) -> dict[str, Any]:
    response = urllib3.request(
        "POST",
        endpoint_url,
        body=json.dumps({"TableName": table_name}).encode(),
        headers={
            "Authorization": _UNSIGNED,
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.DescribeTable",
        },
    )
    description: dict[str, Any] = response.json()["Table"]
    return description


def _keys(described: dict[str, Any]) -> dict[str, str]:
    return {key["KeyType"]: key["AttributeName"] for key in described["KeySchema"]}


@pytest.mark.parametrize("product_indexes", [True, False])
def test_table_matches_schema(
    endpoint_url: str, request: pytest.FixtureRequest, product_indexes: bool  # noqa: FBT001
) -> None:
    name = f"products-{request.node.name.replace('[', '.').rstrip(']')}"
    create_table(endpoint_url, name, product_indexes=product_indexes)
    create_table(endpoint_url, name, product_indexes=product_indexes)  # it changes nothing
    described = _describe(endpoint_url, name)
    expected = _SCHEMA["table"]
    optional = expected["productIndexes"] if product_indexes else {}

    assert described["TableStatus"] == "ACTIVE"
    assert described["BillingModeSummary"]["BillingMode"] == expected["billingMode"]
    assert _keys(described) == {"HASH": expected["hashKey"], "RANGE": expected["rangeKey"]}
    assert expected["attributes"] | optional.get("attributes", {}) == {
        attribute["AttributeName"]: attribute["AttributeType"]
        for attribute in described["AttributeDefinitions"]
    }
    assert {
        index["IndexName"]: (_keys(index), index["Projection"]["ProjectionType"])
        for index in described["GlobalSecondaryIndexes"]
    } == {
        name: ({"HASH": index["hashKey"], "RANGE": index["rangeKey"]}, index["projection"])
        for name, index in (
            expected["globalSecondaryIndexes"] | optional.get("globalSecondaryIndexes", {})
        ).items()
    }


def test_table_of_earlier_release_gets_indexes_and_keys(engine: str) -> None:
    name = "products-of-earlier-release"
    create_table(engine, name, product_indexes=False)
    client = dynamodb(engine)
    for number, text in enumerate(["b", "A", "c"]):
        item = raw_product(f"PROD-{number}", name={"S": text}, price={"N": str(9 - number)})
        client.put_item(TableName=name, Item=item)
    for _ in range(2):  # the second time, there is nothing to do
        upgrade_table(engine, name)
    repository = ProductRepository(open_table(name, REGION, engine), Deadline(60))
    for sort, expected in ((SortOrder.BY_NAME, "Abc"), (SortOrder.CHEAPEST_FIRST, "cAb")):
        found = listed(repository, PageRequest(2, sort, 0, None))
        assert "".join(product.name for product in found) == expected


def test_failed_upgrade_names_next_step(engine: str) -> None:
    with pytest.raises(LocalError, match="choose another DATA_DIR"):
        upgrade_table(engine, "no-such-table")


def test_item_schema_is_valid() -> None:
    Draft202012Validator.check_schema(_SCHEMA["item"])


@pytest.mark.parametrize(
    "item",
    [
        _PRODUCT,
        _PRODUCT | {"setupFee": {"N": "0"}, "active": {"S": "false"}},
        {name: value for name, value in _PRODUCT.items() if name not in {"version", "updatedBy"}},
        _COUNTER,
        _IDEMPOTENCY_RECORD,
    ],
)
def test_schema_accepts_valid_item(item: dict[str, Any]) -> None:
    _ITEMS.validate(item)


@pytest.mark.parametrize(
    "item",
    [
        {},
        _COUNTER | {"number": {"S": "12"}},
        _COUNTER | {"SK": {"S": "OTHER"}},
        _IDEMPOTENCY_RECORD | {"PK": {"S": "IDEMPOTENCY#the-key-itself"}},
        _IDEMPOTENCY_RECORD | {"expiresAt": {"S": "2026-01-31"}},
        _PRODUCT | {"PK": {"S": "PRODUCT#prod-001"}},
        _PRODUCT | {"active": {"BOOL": True}},
        _PRODUCT | {"createdAt": {"S": "2026-01-31T09:30:00Z"}},
        _PRODUCT | {"features": {"SS": ["Five pages"]}},
        _PRODUCT | {"features": {"L": []}},
        _PRODUCT | {"name": {"S": ""}},
        _PRODUCT | {"period": {"S": "weekly"}},
        _PRODUCT | {"price": {"N": "0.00"}},
        _PRODUCT | {"price": {"N": "19.999"}},
        _PRODUCT | {"price": {"N": "1E+3"}},
        _PRODUCT | {"price": {"S": "19.99"}},
        _PRODUCT | {"setupFee": {"NULL": True}},
        _PRODUCT | {"version": {"N": "0"}},
        _PRODUCT | {"expiresAt": {"N": "1800000000"}},
    ],
)
def test_schema_rejects_invalid_item(item: dict[str, Any]) -> None:
    assert not _ITEMS.is_valid(item)


def test_schema_rejects_invalid_amount() -> None:
    for name in ("price", "setupFee"):
        for amount in ("-1", "NaN", "", "1.", ".5", "100000000"):
            assert not _ITEMS.is_valid(_PRODUCT | {name: {"N": amount}}), (name, amount)
