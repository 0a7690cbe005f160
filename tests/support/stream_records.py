"""Records of the table's stream, as Lambda delivers them, and the events that come from them."""

import json
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

from jsonschema import Draft202012Validator

from product_lambda.models.product import Product
from product_lambda.repositories.items import product_item
from product_tools.repository import REPOSITORY

SCHEMA = json.loads(
    (REPOSITORY / "schemas/product-change.schema.json").read_text("utf-8"), parse_float=Decimal
)
AUTHOR = "a1b2c3d4e5"
STREAMED_AT = 1769852100  # 2026-01-31T09:35:00Z
_VALIDATOR = Draft202012Validator(SCHEMA)

type RawItem = dict[str, dict[str, Any]]
"""An item in DynamoDB JSON."""


class LambdaContext(NamedTuple):
    """The context of a function that Lambda stops after some time."""

    seconds: float = 60

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until then."""
        return int(self.seconds * 1000)


def image(product: Product, author: str = AUTHOR) -> RawItem:
    """Return the item of a product in DynamoDB JSON."""
    return {name: _typed(value) for name, value in product_item(product, author).items()}


def record(old: RawItem | None, new: RawItem | None, **fields: Any) -> dict[str, Any]:
    """Return the record of a write; `fields` replace its own.

    Args:
        old: the item before; None for a new item.
        new: the item afterwards; None for a removed item.
        fields: by their names in the record or under `dynamodb`; None removes one.
    """
    item = new or old or {}
    stored: dict[str, Any] = {
        "ApproximateCreationDateTime": STREAMED_AT,
        "Keys": {name: item[name] for name in ("PK", "SK") if name in item},
        "NewImage": new,
        "OldImage": old,
        "SequenceNumber": "100000000000000000001",
        "SizeBytes": 500,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    whole: dict[str, Any] = {
        "eventID": uuid4().hex,
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:1:table/products-dev/stream/2026",
    }
    for name, value in fields.items():
        (stored if name in stored else whole)[name] = value
    whole["dynamodb"] = {name: value for name, value in stored.items() if value is not None}
    return {name: value for name, value in whole.items() if value is not None}


def checked_detail(text: str) -> dict[str, Any]:
    """Return the detail of an event, with exact numbers, after a check against the schema."""
    detail: dict[str, Any] = json.loads(text, parse_float=Decimal)
    check_detail(detail)
    return detail


def check_detail(detail: dict[str, Any]) -> None:
    """Check the detail of an event against the schema.

    The schema lets consumers meet unknown members; an event of this version has none.
    """
    _VALIDATOR.validate(detail)
    assert detail.keys() == SCHEMA["properties"].keys()
    for product in (detail["before"], detail["after"]):
        if product is not None:
            assert product.keys() <= SCHEMA["$defs"]["product"]["properties"].keys()


def _typed(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": str(value)}
        case list():
            return {"L": [_typed(each) for each in value]}
    raise AssertionError(value)
