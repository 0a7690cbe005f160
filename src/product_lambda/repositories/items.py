"""Converts between products and items of the table: the only place that knows their attributes.

The table belongs to another team, so an item may lack an attribute or break a rule of the API. Such
an item is unreadable: it has flaws, and it becomes no product.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import simplejson

from product_lambda.models.currency import CURRENCIES
from product_lambda.models.product import (
    MAX_AMOUNT,
    MAX_DESCRIPTION,
    MAX_FEATURES,
    MAX_LINE,
    PERIODS,
    IdempotencyRecord,
    Product,
    Revision,
    is_product_id,
    is_timestamp,
    name_key,
    product_from,
)
from product_lambda.utils.response_builder import to_json

type Item = Mapping[str, Any]
"""An item of the table, by attribute."""

ACTIVE: Final = "true"
INACTIVE: Final = "false"
SORT_KEY: Final = "METADATA"
COUNTER_KEY: Final = {"PK": "COUNTER#PRODUCT", "SK": SORT_KEY}
_PRODUCT_PREFIX: Final = "PRODUCT#"
MAX_VERSION: Final = 10**15 - 1  # binary64 holds it exactly, and so does an entity tag
_ZERO: Final = Decimal(0)
_CENT: Final = Decimal("0.01")
# Printable text has no control characters, and isprintable() is faster than a search.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def product_key(product_id: str) -> dict[str, str]:
    """Return the key of a product's item."""
    return {"PK": f"{_PRODUCT_PREFIX}{product_id}", "SK": SORT_KEY}


def product_id_in(key: Item) -> str | None:
    """Return the product id in a key; None for a key that no product of the API can have."""
    product_id = str(key["PK"]).removeprefix(_PRODUCT_PREFIX)
    is_product = is_product_id(product_id) and product_key(product_id).items() <= key.items()
    return product_id if is_product else None


def belongs_to_product(key: Item) -> bool:
    """Return whether a key is that of a product's item, even if no product can have its id."""
    return str(key.get("PK")).startswith(_PRODUCT_PREFIX) and key.get("SK") == SORT_KEY


def record_key(key_hash: str) -> dict[str, str]:
    """Return the key of an idempotency record's item."""
    return {"PK": f"IDEMPOTENCY#{key_hash}", "SK": SORT_KEY}


def product_item(product: Product, author: str) -> dict[str, Any]:
    """Return the item of a product; `author` is the id of the API key of the write."""
    return {
        **product_key(product.product_id),
        **product.representation(),
        "active": ACTIVE if product.active else INACTIVE,
        "nameKey": name_key(product.name),
        "updatedBy": author,
    }


def changed_attributes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of changed fields, which may restore a product; None removes one."""
    attributes = dict(changes)
    if "name" in changes:
        attributes["nameKey"] = name_key(changes["name"])
    if "active" in changes:
        attributes["active"] = ACTIVE
    return attributes


def product_in(item: Item) -> Product:
    """Return the product in an item without flaws."""
    return product_from(
        {
            **item,
            "active": item["active"] == ACTIVE,
            "price": exact_number(item["price"]),
            "setupFee": exact_number(item["setupFee"]) if "setupFee" in item else None,
        }
    )


def revision_in(item: Item) -> Revision | None:
    """Return the revision of an item; None if it has no valid one, so that no tag matches it."""
    version, updated_at = item.get("version", 0), item.get("updatedAt", "")
    if ("version" in item and not _is_version(version)) or not _is_timestamp(updated_at):
        return None
    return Revision(int(version), updated_at)


def flaws_in(item: Item) -> dict[str, str]:
    """Return what makes an item unreadable, by attribute; empty for a readable item.

    An item without `version` is readable: older code wrote it.
    """
    flaws: dict[str, str] = {}
    for attribute, (is_valid, rule) in _RULES.items():
        if attribute not in item:
            if attribute not in _OPTIONAL:
                flaws[attribute] = "is missing"
        elif not is_valid(item[attribute]):
            flaws[attribute] = f"is not {rule}"
    if not flaws and item["PK"] != f"{_PRODUCT_PREFIX}{item['productId']}":
        flaws["productId"] = "is not the id in PK"
    return flaws


def exact_number(number: Decimal | float) -> Decimal:
    """Return the number as it is stored.

    Reads return Decimals. The client decodes the result of UpdateItem as binary64, whose shortest
    decimal text equals the stored number for up to 15 digits (DBL_DIG in ISO C); an amount has
    10. See docs/adr/0003-exact-money.md.
    """
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def record_item(record: IdempotencyRecord) -> dict[str, Any]:
    """Return the item of an idempotency record."""
    return {
        **record_key(record.key_hash),
        "fingerprint": record.fingerprint,
        "productId": record.product.product_id,
        "answer": to_json(record.product.representation()),
        "expiresAt": record.expires_at,
    }


def record_in(key_hash: str, item: Item) -> IdempotencyRecord:
    """Return the idempotency record in an item.

    Raises:
        ValueError, KeyError, TypeError, ArithmeticError: the item is unreadable.
    """
    return IdempotencyRecord(
        key_hash=key_hash,
        fingerprint=item["fingerprint"],
        product=product_from(simplejson.loads(item["answer"], use_decimal=True)),
        expires_at=int(item["expiresAt"]),
    )


def is_number(value: object) -> bool:
    """Return whether a value of an item is a number."""
    return isinstance(value, (Decimal, int, float)) and not isinstance(value, bool)


def _is_amount(value: Any) -> bool:  # noqa: ANN401 (an attribute of any type)
    if not is_number(value):
        return False
    amount = exact_number(value)
    # The range comes first: arithmetic with a large exponent would overflow.
    return amount.is_finite() and _ZERO <= amount <= MAX_AMOUNT and amount == amount.quantize(_CENT)


def _is_price(value: Any) -> bool:  # noqa: ANN401
    return _is_amount(value) and value > 0


def _is_version(value: Any) -> bool:  # noqa: ANN401
    return is_number(value) and 1 <= value <= MAX_VERSION and value == int(value)


def _is_line(value: Any) -> bool:  # noqa: ANN401
    return _is_trimmed(value, MAX_LINE) and (value.isprintable() or _CONTROL.search(value) is None)


def _is_description(value: Any) -> bool:  # noqa: ANN401
    return _is_trimmed(value, MAX_DESCRIPTION) and (
        value.isprintable() or _CONTROL_IN_TEXT.search(value) is None
    )


def _is_trimmed(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value == value.strip()


def _is_features(value: object) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MAX_FEATURES and all(map(_is_line, value))


def _is_timestamp(value: object) -> bool:
    if not isinstance(value, str) or not is_timestamp(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_OPTIONAL: Final = frozenset({"setupFee", "version"})
_RULES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "PK": (lambda value: isinstance(value, str), "text"),
    "SK": (lambda value: value == SORT_KEY, SORT_KEY),
    "productId": (lambda value: isinstance(value, str) and is_product_id(value), "a product id"),
    "name": (_is_line, f"trimmed text of 1 to {MAX_LINE} characters without control characters"),
    "description": (
        _is_description,
        f"trimmed text of 1 to {MAX_DESCRIPTION} characters without control characters",
    ),
    "price": (_is_price, f"a number above 0, at most {MAX_AMOUNT}, with at most 2 decimals"),
    "setupFee": (_is_amount, f"a number from 0 to {MAX_AMOUNT} with at most 2 decimals"),
    "currency": (
        lambda value: isinstance(value, str) and value in CURRENCIES,
        "an ISO 4217 currency code",
    ),
    "period": (lambda value: isinstance(value, str) and value in PERIODS, "a period"),
    "features": (_is_features, f"a list of 1 to {MAX_FEATURES} lines of trimmed text"),
    "active": (lambda value: value in (ACTIVE, INACTIVE), f"{ACTIVE} or {INACTIVE} as text"),
    "version": (_is_version, f"a whole number from 1 to {MAX_VERSION}"),
    "createdAt": (_is_timestamp, "a UTC timestamp such as 2026-01-31T09:30:00.123456Z"),
    "updatedAt": (_is_timestamp, "a UTC timestamp such as 2026-01-31T09:30:00.123456Z"),
}
