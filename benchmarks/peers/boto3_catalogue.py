"""A catalogue on boto3's DynamoDB resource."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.peers.catalogue import (
    COUNTER_KEY,
    INDEX,
    SORT_KEY,
    UPDATE_CONDITION,
    Item,
    now,
    update_expression,
)

_CONFIG = Config(connect_timeout=0.5, read_timeout=5.0, retries={"total_max_attempts": 2})
_CONDITION_FAILED = "ConditionalCheckFailedException"


class Boto3Catalogue:
    """The products table, by boto3."""

    def __init__(self) -> None:
        resource = boto3.resource("dynamodb", config=_CONFIG)
        self._table = resource.Table(os.environ["TABLE_NAME"])

    def get(self, product_id: str) -> Item | None:
        """Read a product, as the last write left it."""
        return self._table.get_item(Key=_key(product_id), ConsistentRead=True).get("Item")

    def page(self, limit: int) -> Sequence[Item]:
        """Read the newest active products."""
        return self._table.query(
            IndexName=INDEX,
            KeyConditionExpression=Key("active").eq("true"),
            ScanIndexForward=False,
            Limit=limit,
        )["Items"]

    def next_number(self) -> int:
        """Count one more product."""
        counted = self._table.update_item(
            Key=COUNTER_KEY,
            UpdateExpression="ADD #number :step",
            ExpressionAttributeNames={"#number": "number"},
            ExpressionAttributeValues={":step": 1},
            ReturnValues="UPDATED_NEW",
        )
        return int(cast("int", counted["Attributes"]["number"]))

    def insert(self, item: Item) -> None:
        """Put an item where there is none."""
        self._table.put_item(Item=item, ConditionExpression="attribute_not_exists(PK)")

    def update(self, product_id: str, changes: Mapping[str, Any]) -> Item | None:
        """Change an active product."""
        expression, names, values = update_expression(changes)
        try:
            return self._table.update_item(
                Key=_key(product_id),
                UpdateExpression=expression,
                ConditionExpression=UPDATE_CONDITION,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
            )["Attributes"]
        except ClientError as failed:
            if failed.response["Error"]["Code"] != _CONDITION_FAILED:
                raise
            return None

    def deactivate(self, product_id: str) -> bool:
        """Make a product inactive; False where there is none."""
        if self.update(product_id, {"active": "false", "updatedAt": now()}) is not None:
            return True
        return self.get(product_id) is not None


def _key(product_id: str) -> dict[str, str]:
    return {"PK": f"PRODUCT#{product_id}", "SK": SORT_KEY}
