"""Makes the products table on a local engine, as `schemas/products.schema.json` states it.

Keys and indexes only: time to live and backups are AWS's, and the service is right without them.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

from pydynox import DynamoDBClient
from pydynox.exceptions import ResourceInUseException

from local.engine import CREDENTIALS, REGION

SCHEMA_FILE = Path(__file__).resolve().parents[1] / "schemas" / "products.schema.json"


def create_table(endpoint_url: str, table_name: str) -> None:
    """Make the table unless it is there already; works on every engine that speaks DynamoDB.

    Raises:
        PydynoxException: the engine refuses, or cannot be reached.
    """
    table: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())["table"]

    def key(attribute: str) -> tuple[str, str]:
        return attribute, table["attributes"][attribute]

    client = DynamoDBClient(
        region=REGION,
        access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=endpoint_url,
    )
    with contextlib.suppress(ResourceInUseException):  # it is there: kept from an earlier run
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
                for name, index in table["globalSecondaryIndexes"].items()
            ],
            wait=True,
        )
