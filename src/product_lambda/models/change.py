"""A change of a product: its type, its changed fields, and the product before and after it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from product_lambda.models.product import Product, timestamp_of

SCHEMA_VERSION: Final = "1.0"
_CHANGE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
# The id never changes, and every write of the API changes the other two.
_NEVER_LISTED: Final = frozenset({"productId", "version", "updatedAt"})


def is_change_id(text: str) -> bool:
    """Return whether `text` has the form of a change's id."""
    return _CHANGE_ID.fullmatch(text) is not None


class ChangeType(StrEnum):
    """What happened to a product, by its name in events."""

    CREATED = "ProductCreated"
    UPDATED = "ProductUpdated"
    DELETED = "ProductDeleted"
    RESTORED = "ProductRestored"
    REMOVED = "ProductRemoved"


class Write(NamedTuple):
    """A write to the table, without the products.

    Attributes:
        change_id: the same whenever the same write is delivered again.
        written_at: the time in the table's stream, `2026-01-31T09:30:00.000000Z`.
        author: the id of an API key in the item; None if it has none.
        sets_updated_at: whether the item has another `updatedAt` afterwards. Writes of the API set
            it together with the author; another program may leave both.
    """

    change_id: str
    written_at: str
    author: str | None
    sets_updated_at: bool


@dataclass(frozen=True, slots=True)
class ProductChange:
    """One change of one product.

    Attributes:
        product_id: the product.
        version: its version after the change, or before its removal.
        changed_at: UTC, `2026-01-31T09:30:00.123456Z`; later than the last `updatedAt`.
        changed_by: the id of an API key; None if another program made the change.
        changed_fields: their names in the API, in the order of the representation.
        before: the product before; None for a creation, or if the item was unreadable.
        after: the product afterwards; None if the item was removed from the table.
    """

    change_id: str
    change_type: ChangeType
    product_id: str
    version: int
    changed_at: str
    changed_by: str | None
    changed_fields: tuple[str, ...]
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    def detail(self) -> dict[str, Any]:
        """Return the detail of the event (schemas/product-change.schema.json)."""
        return {
            "schemaVersion": SCHEMA_VERSION,
            "changeId": self.change_id,
            "productId": self.product_id,
            "version": self.version,
            "changedAt": self.changed_at,
            "changedBy": self.changed_by,
            "changedFields": list(self.changed_fields),
            "before": self.before,
            "after": self.after,
        }


def creation(product: Product, write: Write) -> ProductChange:
    """Return the change that a new item makes."""
    return _change(ChangeType.CREATED, None, product, write)


def update(before: Product | None, after: Product, write: Write) -> ProductChange | None:
    """Return the change between two states of a product; None if the API shows none.

    Args:
        before: None if the item was unreadable, so that all fields count as changed.
        after: the product after the write.
        write: the write.
    """
    if before == after:
        return None
    change_type = ChangeType.UPDATED
    if before is not None and before.active != after.active:
        change_type = ChangeType.RESTORED if after.active else ChangeType.DELETED
    return _change(change_type, before, after, write)


def removal(product: Product, write: Write) -> ProductChange:
    """Return the change that the removal of an item makes; nobody knows its author."""
    return _change(ChangeType.REMOVED, product, None, write)


def _change(
    change_type: ChangeType, before: Product | None, after: Product | None, write: Write
) -> ProductChange:
    old = None if before is None else before.representation()
    new = None if after is None else after.representation()
    product = new or old or {}
    return ProductChange(
        change_id=write.change_id,
        change_type=change_type,
        product_id=product["productId"],
        version=product["version"],
        changed_at=_changed_at(before, after, write),
        changed_by=write.author if after is not None and write.sets_updated_at else None,
        changed_fields=_changed_fields(old or {}, new or {}),
        before=old,
        after=new,
    )


def _changed_at(before: Product | None, after: Product | None, write: Write) -> str:
    """Return the time of a change, which is always later than the last `updatedAt`.

    The stream rounds its times down to the second (Amazon DynamoDB API Reference, "StreamRecord"),
    so a removal would otherwise seem to be older than an update in the same second.
    """
    updated_at = after.updated_at if after is not None and write.sets_updated_at else ""
    if updated_at and (before is None or updated_at > before.updated_at):
        return updated_at
    earliest = "" if before is None else _next_microsecond(before.updated_at)
    return max(write.written_at, earliest)


def _next_microsecond(timestamp: str) -> str:
    moment = datetime.fromisoformat(timestamp)
    if moment == datetime.max.replace(tzinfo=UTC):
        return timestamp
    return timestamp_of(moment + timedelta(microseconds=1))


def _changed_fields(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    names = dict.fromkeys((*old, *new))
    return tuple(
        name for name in names if name not in _NEVER_LISTED and old.get(name) != new.get(name)
    )
