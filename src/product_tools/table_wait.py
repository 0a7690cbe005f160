"""Waits until a table that DynamoDB creates or restores can be used."""

import os
import time
from typing import TYPE_CHECKING

import boto3

from product_tools.aws_calls import aws_errors_as
from product_tools.wait_display import shown_wait

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TableDescriptionTypeDef

SECONDS_BETWEEN_LOOKS = 10.0
ACTIVE = "ACTIVE"


class TableWaitError(Exception):
    """The table cannot be used; the message is one sentence with the next step."""


def dynamodb_client() -> "DynamoDBClient":
    """Return a client with the region and credentials of the environment variables."""
    return boto3.client("dynamodb", region_name=os.environ.get("AWS_REGION"))


def wait_for_table(client: "DynamoDBClient", table: str, limit_seconds: float) -> None:
    """Wait until a table and its indexes are active, and show for how long.

    A restored table is complete when it is active (DynamoDB Developer Guide, "Restore a table").

    Raises:
        TableWaitError: the table does not exist, or `limit_seconds` have passed.
    """
    deadline = time.monotonic() + limit_seconds
    with shown_wait(f"Waiting for {table}", limit_seconds) as show:
        while unready := _unready(_describe(client, table)):
            if time.monotonic() >= deadline:
                raise TableWaitError(
                    f"{table} is not ready yet ({unready}): look at it in the DynamoDB console, and"
                    " start this command again to continue to wait."
                )
            time.sleep(SECONDS_BETWEEN_LOOKS)
            show()


@aws_errors_as(TableWaitError)
def _describe(client: "DynamoDBClient", table: str) -> "TableDescriptionTypeDef":
    try:
        return client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        raise TableWaitError(
            f"There is no table {table}: check its name and the region, and start the restore."
        ) from None


def _unready(table: "TableDescriptionTypeDef") -> str:
    """Return what is not active yet; an empty text means that nothing is missing."""
    states = {"the table": table["TableStatus"]}
    for index in table.get("GlobalSecondaryIndexes", []):
        states[f"index {index['IndexName']}"] = index["IndexStatus"]
    return ", ".join(f"{name} is {state}" for name, state in states.items() if state != ACTIVE)
