"""Gives a stored table of an earlier release the indexes by price and by name."""

import json
from typing import Any

import urllib3

from local.errors import LocalError
from local.table import SCHEMA_FILE
from product_lambda.models.product import name_key

_HEADERS = {
    # The local engine accepts any signature.
    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260131/eu-west-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
    "Content-Type": "application/x-amz-json-1.0",
}


def upgrade_table(endpoint_url: str, table_name: str) -> None:
    """Write the name keys, then create the missing indexes; a complete table stays as it is.

    Raises:
        LocalError: the engine rejects a request.
    """
    schema = json.loads(SCHEMA_FILE.read_text())["table"]
    wanted = schema["productIndexes"]
    described = _call(endpoint_url, "DescribeTable", TableName=table_name)["Table"]
    existing = {index["IndexName"] for index in described["GlobalSecondaryIndexes"]}
    missing = wanted["globalSecondaryIndexes"].keys() - existing
    if not missing:
        return
    _write_name_keys(endpoint_url, table_name)
    attributes = schema["attributes"] | wanted["attributes"]
    for name in sorted(missing):  # UpdateTable creates one index at a time
        index = wanted["globalSecondaryIndexes"][name]
        keys = [(index["hashKey"], "HASH"), (index["rangeKey"], "RANGE")]
        created = {
            "IndexName": name,
            "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in keys],
            "Projection": {"ProjectionType": index["projection"]},
        }
        _call(
            endpoint_url,
            "UpdateTable",
            TableName=table_name,
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": kind} for key, kind in attributes.items()
            ],
            GlobalSecondaryIndexUpdates=[{"Create": created}],
        )


def _write_name_keys(endpoint_url: str, table_name: str) -> None:
    position: dict[str, Any] = {}
    while True:
        page = _call(
            endpoint_url,
            "Scan",
            TableName=table_name,
            FilterExpression="attribute_exists(active) AND attribute_type(#name, :text)",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues={":text": {"S": "S"}},
            **position,
        )
        for item in page["Items"]:
            _call(
                endpoint_url,
                "UpdateItem",
                TableName=table_name,
                Key={"PK": item["PK"], "SK": item["SK"]},
                UpdateExpression="SET nameKey = :key",
                ExpressionAttributeValues={":key": {"S": name_key(item["name"]["S"])}},
            )
        if "LastEvaluatedKey" not in page:
            return
        position = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _call(endpoint_url: str, operation: str, **request: object) -> dict[str, Any]:
    response = urllib3.request(
        "POST",
        endpoint_url,
        body=json.dumps(request).encode(),
        headers={**_HEADERS, "X-Amz-Target": f"DynamoDB_20120810.{operation}"},
        timeout=60,
        retries=False,
    )
    if response.status != 200:  # noqa: PLR2004
        raise LocalError(
            "The stored table could not be brought up to date: choose another DATA_DIR, or remove"
            f" the products with make reset ({operation}: {response.data.decode()[:200]})."
        )
    document: dict[str, Any] = response.json()
    return document
