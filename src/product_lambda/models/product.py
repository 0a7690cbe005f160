"""The product and its exact, plain representation; nothing here reads or writes anything."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

PRODUCT_ID_PATTERN: Final = "^PROD-[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?$"
DEFAULT_CURRENCY: Final = "ZAR"


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the API shows it.

    Attributes:
        price: in `currency`, at most two decimals, without trailing zeros.
        setup_fee: a once-off fee in `currency`; None where there is none.
        version: 1 at creation, one more with each change; 0 for an item older than versions.
        created_at: UTC, `2026-01-31T09:30:00.123456Z`.
        updated_at: like `created_at`.
    """

    product_id: str
    name: str
    description: str
    price: Decimal
    setup_fee: Decimal | None
    currency: str
    period: str
    features: tuple[str, ...]
    active: bool
    version: int
    created_at: str
    updated_at: str

    def representation(self) -> dict[str, Any]:
        """The members of the product in the API's JSON; money stays Decimal."""
        members: dict[str, Any] = {
            "productId": self.product_id,
            "name": self.name,
            "description": self.description,
            "price": self.price,
            "setupFee": self.setup_fee,
            "currency": self.currency,
            "period": self.period,
            "features": list(self.features),
            "active": self.active,
            "version": self.version,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }
        if self.setup_fee is None:
            del members["setupFee"]
        return members


def product_from(members: dict[str, Any]) -> Product:
    """The product that `Product.representation` came from.

    Raises:
        KeyError: where a required member is missing.
    """
    setup_fee = members.get("setupFee")
    return Product(
        product_id=members["productId"],
        name=members["name"],
        description=members["description"],
        price=plain_decimal(members["price"]),
        setup_fee=None if setup_fee is None else plain_decimal(setup_fee),
        currency=members.get("currency", DEFAULT_CURRENCY),
        period=members["period"],
        features=tuple(members["features"]),
        active=members["active"],
        version=int(members.get("version", 0)),
        created_at=members["createdAt"],
        updated_at=members["updatedAt"],
    )


def plain_decimal(amount: Decimal | int) -> Decimal:
    """The same amount in its shortest form without an exponent: 19.90 is 19.9, 1E+3 is 1000."""
    return Decimal(format(Decimal(amount).normalize(), "f"))


class ProductDraft(NamedTuple):
    """A product that is wished for: what a client may choose. Without an id, one is given."""

    name: str
    description: str
    price: Decimal
    setup_fee: Decimal | None
    currency: str
    period: str
    features: tuple[str, ...]
    product_id: str | None


class Cursor(NamedTuple):
    """A place in the list: after the product with this creation time and id."""

    created_at: str
    product_id: str


class SortOrder(StrEnum):
    """The orders of the list, by the names they have in the API."""

    NEWEST_FIRST = "-createdAt"
    OLDEST_FIRST = "createdAt"


class PageRequest(NamedTuple):
    """Which part of the list is wanted: from `offset`, or after `cursor` where it is given."""

    limit: int
    sort: SortOrder
    offset: int
    cursor: Cursor | None


class Page(NamedTuple):
    """A part of the list; `following` is where the next one starts, None on the last."""

    products: tuple[Product, ...]
    next_cursor: Cursor | None


class IdempotencyRecord(NamedTuple):
    """What is remembered of a creation.

    Attributes:
        key_hash: sha256 of the idempotency key, in hex.
        fingerprint: sha256 of what was asked for, in hex.
        product: the product as it was answered.
        expires_at: seconds since the epoch; from then on the record counts as absent.
    """

    key_hash: str
    fingerprint: str
    product: Product
    expires_at: int
