"""Gives stored products the attribute `nameKey`, which the index by name sorts by.

It needs no lock and no pause of the API: each write is conditional on the name that it was made of.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

type Item = Mapping[str, Any]
"""An item in DynamoDB JSON, or its key."""

_PREFIX: Final = "PRODUCT#"
_SORT_KEY: Final = {"S": "METADATA"}
_MAX_ATTEMPTS: Final = 5
_PAGE_ITEMS: Final = 500


class NameKeyError(Exception):
    """A key cannot be written; the message is one sentence with the next step."""


@dataclass(slots=True)
class Counts:
    """What a run has done so far.

    Attributes:
        products: the products that were read.
        filled: the products whose key was missing or wrong; in a dry run, nothing was written.
        skipped: the products without a name, which a change of the name repairs.
        last: the id of the last product that was read, for the next run; empty before the first.
    """

    products: int = 0
    filled: int = 0
    skipped: int = 0
    last: str = ""


def fill_name_keys(
    client: "DynamoDBClient",
    table: str,
    key_of: Callable[[str], str],
    *,
    after: str = "",
    dry_run: bool = False,
) -> Iterator[Counts]:
    """Write the key of every product that lacks it, and yield the counts after each page.

    Args:
        client: the client of DynamoDB.
        table: the name of the table.
        key_of: returns the key of a name.
        after: the product id that an earlier run ended with; empty for all products.
        dry_run: only count.

    Raises:
        NameKeyError: a product changes again and again.
        BotoCoreError, ClientError: DynamoDB fails.
    """
    counts = Counts(last=after)
    request: dict[str, Any] = {
        "TableName": table,
        "Limit": _PAGE_ITEMS,
        "FilterExpression": "begins_with(PK, :prefix) AND SK = :sort_key",
        "ProjectionExpression": "PK, SK, #name, nameKey",
        "ExpressionAttributeNames": {"#name": "name"},
        "ExpressionAttributeValues": {":prefix": {"S": _PREFIX}, ":sort_key": _SORT_KEY},
    }
    if after:
        request["ExclusiveStartKey"] = {"PK": {"S": f"{_PREFIX}{after}"}, "SK": _SORT_KEY}
    while True:
        page = client.scan(**request)
        for item in page["Items"]:
            _fill(client, table, key_of, item, counts, dry_run=dry_run)
        yield counts
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _fill(  # noqa: PLR0913 (one product of a run)
    client: "DynamoDBClient",
    table: str,
    key_of: Callable[[str], str],
    item: Item,
    counts: Counts,
    *,
    dry_run: bool,
) -> None:
    """Count a product, and write its key unless it is right."""
    counts.products += 1
    key = {"PK": item["PK"], "SK": item["SK"]}
    for _ in range(_MAX_ATTEMPTS):
        name = item.get("name", {}).get("S")
        if not name:
            counts.skipped += 1
            break
        if item.get("nameKey") == {"S": key_of(name)}:
            break
        if dry_run or _write(client, table, key, name, key_of(name)):
            counts.filled += 1
            break
        # The name changed meanwhile, by a release that may write no key.
        item = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    else:
        raise NameKeyError(
            f"{item['PK']['S']} changes all the time: start the command again when it is quiet."
        )
    counts.last = str(key["PK"]["S"]).removeprefix(_PREFIX)


def _write(client: "DynamoDBClient", table: str, key: Item, name: str, name_key: str) -> bool:
    """Write a key if the product still has the name; return whether it had."""
    try:
        client.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET nameKey = :key",
            ConditionExpression="#name = :name",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues={":key": {"S": name_key}, ":name": {"S": name}},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True
