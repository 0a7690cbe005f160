"""Stores products with boto3's DynamoDB resource."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.peers.common import (
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


class Boto3Store:
    """A `ProductStore` on boto3."""

    def __init__(self) -> None:
        resource = boto3.resource("dynamodb", config=_CONFIG)
        self._table = resource.Table(os.environ["TABLE_NAME"])

    def get(self, product_id: str) -> Item | None:
        """Return an item with a strongly consistent read; None when it is missing."""
        return self._table.get_item(Key=_key(product_id), ConsistentRead=True).get("Item")

    def page(self, limit: int) -> Sequence[Item]:
        """Return the items of the newest active products."""
        return self._table.query(
            IndexName=INDEX,
            KeyConditionExpression=Key("active").eq("true"),
            ScanIndexForward=False,
            Limit=limit,
        )["Items"]

    def next_number(self) -> int:
        """Increment the counter of products and return it."""
        counted = self._table.update_item(
            Key=COUNTER_KEY,
            UpdateExpression="ADD #number :step",
            ExpressionAttributeNames={"#number": "number"},
            ExpressionAttributeValues={":step": 1},
            ReturnValues="UPDATED_NEW",
        )
        return int(cast("int", counted["Attributes"]["number"]))

    def insert(self, item: Item) -> None:
        """Put an item unless its key exists."""
        self._table.put_item(Item=item, ConditionExpression="attribute_not_exists(PK)")

    def update(self, product_id: str, changes: Mapping[str, Any]) -> Item | None:
        """Update an active product and return its item; None when there is none."""
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
        """Make a product inactive; return False when it is missing."""
        if self.update(product_id, {"active": "false", "updatedAt": now()}) is not None:
            return True
        return self.get(product_id) is not None


def _key(product_id: str) -> dict[str, str]:
    return {"PK": f"PRODUCT#{product_id}", "SK": SORT_KEY}
