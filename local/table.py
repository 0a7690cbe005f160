"""Creates the products table on a local engine, from `schemas/products.schema.json`.

It creates keys and indexes only. Time to live and backups exist on AWS only, and the service works
without them.
"""

import contextlib
import json
from typing import Any

from pydynox import DynamoDBClient
from pydynox.exceptions import ResourceInUseException

from local.engine import CREDENTIALS, REGION
from product_tools.repository import REPOSITORY

SCHEMA_FILE = REPOSITORY / "schemas" / "products.schema.json"


def create_table(endpoint_url: str, table_name: str, *, product_indexes: bool = True) -> None:
    """Create the table unless it exists, on any engine with DynamoDB's API.

    `product_indexes` adds the indexes by price and by name.

    Raises:
        PydynoxException: the engine rejects the request, or is unreachable.
    """
    table: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())["table"]
    attributes, indexes = table["attributes"], table["globalSecondaryIndexes"]
    if product_indexes:
        attributes = attributes | table["productIndexes"]["attributes"]
        indexes = indexes | table["productIndexes"]["globalSecondaryIndexes"]

    def key(attribute: str) -> tuple[str, str]:
        return attribute, attributes[attribute]

    client = DynamoDBClient(
        region=REGION,
        access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=endpoint_url,
    )
    with contextlib.suppress(ResourceInUseException):  # it exists since an earlier run
        client.sync_create_table(
            table_name,
            partition_key=key(table["hashKey"]),
            sort_key=key(table["rangeKey"]),
            billing_mode=table["billingMode"],
            global_secondary_indexes=[
                {
                    "index_name": name,
                    "hash_key": key(index["hashKey"]),
                    "range_key": key(index["rangeKey"]),
                    "projection": index["projection"],
                }
                for name, index in indexes.items()
            ],
            wait=True,
        )
