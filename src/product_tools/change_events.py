"""Reads change events, as the audit trail and the queues of consumers hold them.

It knows the form of an event, but no bucket and no queue.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

import simplejson

from product_tools.catalogue_diff import shown_value
from product_tools.catalogue_file import FIELDS

SOURCE: Final = "bbws.product"
KINDS: Final[Mapping[str, str]] = {
    "ProductCreated": "created",
    "ProductUpdated": "changed",
    "ProductDeleted": "retired",
    "ProductRestored": "restored",
    "ProductRemoved": "removed",
}
"""Words for the types of events; `removed` means that the item was taken out of the table."""
_OBVIOUS_IN_CREATION: Final = ("active", "createdAt")


class NotAnEventError(ValueError):
    """A text is no change event; the message says what is wrong, without a full stop."""


class FieldChange(NamedTuple):
    """The change of one field; a value is None where the product had none."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a product.

    Attributes:
        change_id: the same whenever this change is told again.
        product_id: the id of the product.
        version: the version of the product after the change.
        changed_at: the time in UTC, such as `2026-01-31T09:30:00.123456Z`.
        changed_by: the id of the API key; empty if another program made the change.
        kind: one of the words in `KINDS`.
        fields: what has changed.
        knows_before: whether the fields have their former values; a product that was unreadable
            before has none.
    """

    change_id: str
    product_id: str
    version: int
    changed_at: str
    changed_by: str
    kind: str
    fields: tuple[FieldChange, ...]
    knows_before: bool = True

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a whole event of EventBridge, with exact amounts.

        Raises:
            NotAnEventError: it is no JSON, or no event of this service.
        """
        try:
            event: Any = simplejson.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError):
            raise NotAnEventError("it is not JSON") from None
        if not isinstance(event, dict) or event.get("source") != SOURCE:
            raise NotAnEventError(f"it is no event of {SOURCE}")
        try:
            return cls._from_detail(event["detail"], KINDS[event["detail-type"]])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NotAnEventError(f"its event is not complete ({error!r})") from None

    @classmethod
    def _from_detail(cls, detail: Mapping[str, Any], kind: str) -> Self:
        before, after = detail["before"], detail["after"]
        return cls(
            change_id=str(detail["changeId"]),
            product_id=str(detail["productId"]),
            version=int(detail["version"]),
            changed_at=str(detail["changedAt"]),
            changed_by=str(detail.get("changedBy") or ""),
            kind=kind,
            fields=tuple(_field_changes(detail["changedFields"], before or {}, after or {})),
            knows_before=before is not None or kind == KINDS["ProductCreated"],
        )

    @property
    def texts(self) -> list[str]:
        """What has changed, in words: `price 1000 → 1299`, or `price 95` without a value before."""
        if self.kind == KINDS["ProductRemoved"]:
            return []
        hidden = _OBVIOUS_IN_CREATION if self.kind == KINDS["ProductCreated"] else ()
        return [self._text(change) for change in self.fields if change.field not in hidden]

    def _text(self, change: FieldChange) -> str:
        after = shown_value(change.after)
        if self.kind == KINDS["ProductCreated"]:
            return f"{change.field} {after}"
        before = shown_value(change.before) if self.knows_before else "unreadable"
        return f"{change.field} {before} → {after}"


def _field_changes(
    names: list[str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[FieldChange]:
    """Yield the named fields, those of catalogue files first and in their order."""
    order = {name: number for number, name in enumerate(FIELDS)}
    for name in sorted(names, key=lambda name: (order.get(name, len(order)), name)):
        if name != "productId":
            yield FieldChange(name, before.get(name), after.get(name))
