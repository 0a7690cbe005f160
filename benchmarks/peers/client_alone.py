"""The DynamoDB client only: one strongly consistent read and an empty response."""

import logging
import os
from typing import Any

from pydynox import DynamoDBClient

logging.getLogger("pydynox").setLevel(logging.WARNING)  # no line for each call, as in this service
# Settings and key are repeated here: importing the code that peers share would load Pydantic.
_TABLE = os.environ["TABLE_NAME"]
_CLIENT = DynamoDBClient(
    region=os.environ["AWS_REGION"],
    endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),
    connect_timeout=0.5,
    read_timeout=1.0,
    max_retries=1,
)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Read the product and return an empty document."""
    key = {"PK": f"PRODUCT#{event['pathParameters']['productId']}", "SK": "METADATA"}
    _CLIENT.sync_get_item(_TABLE, key, consistent_read=True)
    return {"statusCode": 200, "headers": {}, "body": "{}", "isBase64Encoded": False}
