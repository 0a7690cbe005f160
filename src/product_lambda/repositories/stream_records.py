"""Reads the records of the table's stream: the item before and after each write.

Source: Amazon DynamoDB API Reference, "Record", "StreamRecord" and "AttributeValue".
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from product_lambda.models.change import (
    ProductChange,
    Write,
    creation,
    is_change_id,
    removal,
    update,
)
from product_lambda.models.product import Product, timestamp_of
from product_lambda.repositories.items import (
    Item,
    belongs_to_product,
    flaws_in,
    product_in,
)

_MAX_AUTHOR: Final = 128  # characters; ids of API keys have 10
_MAX_LOGGED_KEY: Final = 100  # characters


class UnreadableRecordException(Exception):
    """A record cannot be understood; the text is the reason."""


def change_in(record: object) -> ProductChange | None:
    """Return the change of a product that a record holds; None if the API shows no change.

    Records of other items, such as the counter, hold none.

    Raises:
        UnreadableRecordException: the record or its product cannot be understood.
    """
    fields, stored = _parts(record)
    if not belongs_to_product(_image(stored, "Keys")):
        return None
    change_id = fields.get("eventID")
    if not isinstance(change_id, str) or not is_change_id(change_id):
        raise UnreadableRecordException("eventID is no id")
    match fields.get("eventName"):
        case "INSERT":
            new = _image(stored, "NewImage")
            return creation(_product(new), _write(change_id, stored, {}, new))
        case "MODIFY":
            new = _image(stored, "NewImage")
            old = _image_if_readable(stored, "OldImage")
            before = None if flaws_in(old) else product_in(old)
            return update(before, _product(new), _write(change_id, stored, old, new))
        case "REMOVE":
            old = _image(stored, "OldImage")
            return removal(_product(old), _write(change_id, stored, old, {}))
    raise UnreadableRecordException("eventName is not INSERT, MODIFY or REMOVE")


def item_key(record: object) -> str:
    """Return the key of a record's item for the log, shortened; empty if it has none."""
    try:
        key = _image(_parts(record)[1], "Keys")
    except UnreadableRecordException:
        return ""
    return f"{key.get('PK')} {key.get('SK')}"[:_MAX_LOGGED_KEY]


def _parts(record: object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the fields of a record, and those of its part of DynamoDB."""
    fields = _mapping(record, "the record")
    return fields, _mapping(fields.get("dynamodb"), "dynamodb")


def _write(change_id: str, stored: Mapping[str, Any], old: Item, new: Item) -> Write:
    author = new.get("updatedBy")
    is_author = isinstance(author, str) and 0 < len(author) <= _MAX_AUTHOR
    return Write(
        change_id=change_id,
        written_at=_time(stored.get("ApproximateCreationDateTime")),
        author=author if is_author else None,
        sets_updated_at=old.get("updatedAt") != new.get("updatedAt"),
    )


def _product(item: Item) -> Product:
    if flaws := flaws_in(item):
        raise UnreadableRecordException(
            "; ".join(f"{attribute} {flaw}" for attribute, flaw in flaws.items())
        )
    return product_in(item)


def _image(stored: Mapping[str, Any], name: str) -> Item:
    attributes = _mapping(stored.get(name), name)
    return {attribute: _value(value) for attribute, value in attributes.items()}


def _image_if_readable(stored: Mapping[str, Any], name: str) -> Item:
    """Return an image; an empty one, which is no product, if it cannot be read."""
    try:
        return _image(stored, name)
    except UnreadableRecordException:
        return {}


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableRecordException(f"{name} is no object")
    return value


def _time(seconds: object) -> str:
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise UnreadableRecordException("ApproximateCreationDateTime is no number")
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise UnreadableRecordException("ApproximateCreationDateTime is no time") from None
    return timestamp_of(moment)


def _value(typed: object) -> object:
    """Return the value of an attribute in DynamoDB's JSON, such as `{"N": "95.50"}`; exact."""
    if not isinstance(typed, dict) or len(typed) != 1:
        raise UnreadableRecordException("an attribute has no type")
    [(name, value)] = typed.items()
    read = _TYPES.get(name)
    if read is None:
        raise UnreadableRecordException(f"an attribute has the unknown type {name[:10]}")
    try:
        return read(value)
    except (AttributeError, InvalidOperation, TypeError, ValueError, binascii.Error):
        raise UnreadableRecordException(f"an attribute is not of its type {name}") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: object) -> Decimal:
    number = Decimal(_text(value))
    if not number.is_finite():
        raise ValueError
    return number


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _binary(value: object) -> bytes:
    return base64.b64decode(_text(value), validate=True)


def _list_of[T](read: Callable[[object], T]) -> Callable[[Any], list[T]]:
    def read_all(values: Any) -> list[T]:  # noqa: ANN401
        if not isinstance(values, list):
            raise TypeError
        return [read(value) for value in values]

    return read_all


_TYPES: Final[Mapping[str, Callable[[Any], object]]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _flag,
    "NULL": lambda _: None,
    "L": _list_of(_value),
    "M": lambda value: {name: _value(typed) for name, typed in value.items()},
    "SS": lambda value: frozenset(_list_of(_text)(value)),
    "NS": lambda value: frozenset(_list_of(_number)(value)),
    "BS": lambda value: frozenset(_list_of(_binary)(value)),
}
