"""The products table, which another repository creates, against schemas/products.schema.json."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from product_tools.preflight.checks import Check, Finding, error_code, found_if, missing
from product_tools.preflight.target import Target
from product_tools.repository import REPOSITORY

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SCHEMA = REPOSITORY / "schemas" / "products.schema.json"
STREAM_SWITCHES = (
    "enable_change_events",
    "enable_audit_log",
    "enable_cloudfront_cache",
    "enable_opensearch",
)
_INDEX_SWITCH = "enable_product_indexes"
_STREAM_IMAGES = "NEW_AND_OLD_IMAGES"


class _Table:
    """A table, described at the first look."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.name = name
        self.client = client
        self._description: Mapping[str, Any] | None = None

    @property
    def description(self) -> Mapping[str, Any]:
        """DynamoDB's description of the table."""
        if self._description is None:
            self._description = self.client.describe_table(TableName=self.name)["Table"]
        return self._description


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the table, with its stream and indexes where a switch needs them."""
    schema = json.loads(_schema_file(target).read_text("utf-8"))["table"]
    name = target.values.get("table_name") or f"products-{target.environment}"
    table = _Table(target.client("dynamodb"), name)
    ask = "let the schema repository change the table"
    yield Check(
        "Table",
        f"{name}, active",
        "let the schema repository create the table",
        partial(_existence, table),
    )
    keys = _keys_text([schema["hashKey"], schema["rangeKey"]], schema["attributes"])
    yield Check("Table: keys", keys, ask, partial(_keys, table, keys))
    for index, needed in _needed_indexes(schema, target).items():
        yield Check(f"Table: {index}", needed, ask, partial(_index, table, index, needed))
    yield Check(
        "Table: billing",
        schema["billingMode"],
        ask,
        partial(_billing, table, schema["billingMode"]),
    )
    ttl = schema["timeToLive"]["attribute"]
    yield Check("Table: time to live", f"by {ttl}", ask, partial(_time_to_live, table, ttl))
    yield Check("Table: backups", "point-in-time recovery", ask, partial(_backups, table))
    switches = [switch for switch in STREAM_SWITCHES if target.values.get(switch)]
    if switches:
        needed = f"a stream with {_STREAM_IMAGES}, for {', '.join(switches)}"
        yield Check("Table: stream", needed, ask, partial(_stream, table))


def _schema_file(target: Target) -> Path:
    return Path(target.values.get("schema_file") or SCHEMA)


def _needed_indexes(schema: Mapping[str, Any], target: Target) -> dict[str, str]:
    """Return keys and projection of the indexes, by their names."""
    parts = [schema]
    if target.values.get(_INDEX_SWITCH):
        parts.append(schema["productIndexes"])
    types = {name: kind for part in parts for name, kind in part["attributes"].items()}
    return {
        name: _index_text([index["hashKey"], index["rangeKey"]], types, index["projection"])
        for part in parts
        for name, index in part["globalSecondaryIndexes"].items()
    }


def _keys_text(keys: Iterable[str], types: Mapping[str, str]) -> str:
    return " and ".join(f"{key} ({types[key]})" for key in keys)


def _index_text(keys: Iterable[str], types: Mapping[str, str], projection: str) -> str:
    return f"keys {_keys_text(keys, types)}, {projection} attributes"


def _existence(table: _Table) -> Finding:
    try:
        status = table.description["TableStatus"]
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return missing("no such table")
        raise
    return found_if(status == "ACTIVE", f"it is {status}")


def _types(table: _Table) -> dict[str, str]:
    return {
        attribute["AttributeName"]: attribute["AttributeType"]
        for attribute in table.description["AttributeDefinitions"]
    }


def _keys(table: _Table, needed: str) -> Finding:
    text = _keys_text(_key_names(table.description["KeySchema"]), _types(table))
    return found_if(text == needed, text)


def _key_names(key_schema: Any) -> list[str]:  # noqa: ANN401 (a part of DynamoDB's response)
    """Return the partition key, then the sort key."""
    return [key["AttributeName"] for key in sorted(key_schema, key=lambda key: key["KeyType"])]


def _index(table: _Table, name: str, needed: str) -> Finding:
    indexes = {
        index["IndexName"]: index for index in table.description.get("GlobalSecondaryIndexes", [])
    }
    if name not in indexes:
        return missing("no such index")
    index = indexes[name]
    if index["IndexStatus"] != "ACTIVE":
        return missing(f"it is {index['IndexStatus']}", "wait until it is ACTIVE")
    keys, projection = _key_names(index["KeySchema"]), index["Projection"]["ProjectionType"]
    text = _index_text(keys, _types(table), projection)
    return found_if(text == needed, text)


def _billing(table: _Table, expected: str) -> Finding:
    # DynamoDB leaves the summary out for tables that have always been provisioned.
    mode = table.description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    return found_if(mode == expected, mode)


def _time_to_live(table: _Table, expected: str) -> Finding:
    response = table.client.describe_time_to_live(TableName=table.name)
    ttl = response["TimeToLiveDescription"]
    if ttl.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
        return missing("off")
    return found_if(ttl.get("AttributeName") == expected, f"by {ttl.get('AttributeName')}")


def _backups(table: _Table) -> Finding:
    response = table.client.describe_continuous_backups(TableName=table.name)
    recovery = response["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    status = recovery["PointInTimeRecoveryStatus"]
    return found_if(status == "ENABLED", f"point-in-time recovery {status.lower()}")


def _stream(table: _Table) -> Finding:
    stream = table.description.get("StreamSpecification", {})
    if not stream.get("StreamEnabled"):
        return missing("no stream")
    images = stream.get("StreamViewType", "no images")
    return found_if(images == _STREAM_IMAGES, f"a stream with {images}")
