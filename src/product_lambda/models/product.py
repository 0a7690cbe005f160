"""The product, its representation in JSON, and the values that describe pages and records."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple, get_args

PRODUCT_ID_PATTERN: Final = "^PROD-[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?$"
MAX_PRODUCT_ID: Final = 37  # characters
DEFAULT_CURRENCY: Final = "ZAR"
MAX_AMOUNT: Final = Decimal("99999999.99")
MAX_LINE: Final = 200  # characters of a name or a feature
MAX_DESCRIPTION: Final = 4000  # characters
MAX_FEATURES: Final = 50
MAX_NAME_KEY: Final = 1024  # bytes; the limit of DynamoDB for a sort key
Period = Literal["monthly", "yearly", "once-off"]
PERIODS: Final = frozenset(get_args(Period))

_PRODUCT_ID: Final = re.compile(PRODUCT_ID_PATTERN.removeprefix("^").removesuffix("$"))
_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")

_PRICE: Final = re.compile(r"(0|[1-9][0-9]{0,7})(\.[0-9]?[1-9])?")


def is_product_id(text: str) -> bool:
    """Return whether `text` has the form of a product id."""
    return _PRODUCT_ID.fullmatch(text) is not None


def is_timestamp(text: str) -> bool:
    """Return whether `text` has the form of a timestamp such as 2026-01-31T09:30:00.123456Z."""
    return _TIMESTAMP.fullmatch(text) is not None


def timestamp_of(moment: datetime) -> str:
    """Return a time in UTC as `2026-01-31T09:30:00.123456Z`; text order is time order."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def comparable(name: str) -> str:
    """Return a name without differences of case and of compatible characters.

    Sorting and searching compare names in this form. Source: The Unicode Standard, section 3.13,
    "Default Caseless Matching"; the second normalization composes what case folding took apart.
    """
    # Imported here because only writes and searches of names need it.
    from unicodedata import normalize  # noqa: PLC0415

    return normalize("NFKC", normalize("NFKC", name).casefold())


def name_key(name: str) -> str:
    """Return the beginning of the comparable form that fits in a sort key of DynamoDB.

    NFKC makes up to 18 characters of one, so 200 characters can exceed the limit
    (docs/adr/0015-name-keys.md).
    """
    return comparable(name).encode()[:MAX_NAME_KEY].decode(errors="ignore")


class Revision(NamedTuple):
    """One state of a product.

    The version alone repeats when the table is restored to an earlier time; together with the time
    of the change it does not.
    """

    version: int
    updated_at: str


class Product(NamedTuple):
    """A product as the API returns it.

    Attributes:
        price: in `currency`, at most two decimals, without trailing zeros.
        setup_fee: a once-off fee in `currency`; None for no fee.
        version: 1 at creation, +1 with each change; 0 for an item that has no version.
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

    @property
    def revision(self) -> Revision:
        """The state that this product is in."""
        return Revision(self.version, self.updated_at)

    def representation(self) -> dict[str, Any]:
        """Return the fields of the product by their JSON names; money stays Decimal."""
        fields: dict[str, Any] = {
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
            del fields["setupFee"]
        return fields


def product_from(fields: dict[str, Any]) -> Product:
    """Return the product of a representation, the inverse of `Product.representation`.

    Raises:
        KeyError: a required field is missing.
    """
    setup_fee = fields.get("setupFee")
    return Product(
        product_id=fields["productId"],
        name=fields["name"],
        description=fields["description"],
        price=plain_decimal(fields["price"]),
        setup_fee=None if setup_fee is None else plain_decimal(setup_fee),
        currency=fields["currency"],
        period=fields["period"],
        features=tuple(fields["features"]),
        active=fields["active"],
        version=int(fields.get("version", 0)),
        created_at=fields["createdAt"],
        updated_at=fields["updatedAt"],
    )


def plain_decimal(amount: Decimal | int) -> Decimal:
    """Return an amount in its shortest form without an exponent: 19.90 as 19.9, 1E+3 as 1000."""
    shortest = Decimal(amount).normalize()
    # A normalized integer such as 1E+3 may have an exponent; an int has none.
    return Decimal(int(shortest)) if shortest == shortest.to_integral_value() else shortest


class ProductDraft(NamedTuple):
    """Input for a new product; without a `product_id` the service gives the next number."""

    name: str
    description: str
    price: Decimal
    setup_fee: Decimal | None
    currency: str
    period: str
    features: tuple[str, ...]
    product_id: str | None


class Cursor(NamedTuple):
    """A position in the list: after the product with this id.

    Attributes:
        position: the product's value in the sort order, as text: its creation time, its price
            without an exponent, or the key of its name.
    """

    position: str
    product_id: str


class SortOrder(StrEnum):
    """The sort orders of the list, by their names in the API."""

    NEWEST_FIRST = "-createdAt"
    OLDEST_FIRST = "createdAt"
    CHEAPEST_FIRST = "price"
    DEAREST_FIRST = "-price"
    BY_NAME = "name"
    BY_NAME_DESCENDING = "-name"

    @property
    def field(self) -> str:
        """The field that the products are sorted by: createdAt, price or name."""
        return self.removeprefix("-")

    @property
    def is_ascending(self) -> bool:
        """Whether the smallest value comes first."""
        return not self.startswith("-")

    def has_position(self, position: str) -> bool:
        """Return whether a cursor in this order can have the position."""
        match self.field:
            case "createdAt":
                return is_timestamp(position)
            case "price":
                return _PRICE.fullmatch(position) is not None
            case _:
                return 0 < len(position.encode()) <= MAX_NAME_KEY


class Filters(NamedTuple):
    """What the products of a page have in common; None allows any value.

    Attributes:
        min_price: in `currency`, inclusive.
        max_price: like `min_price`.
        name: the beginning of the name, in any case.
    """

    currency: str | None = None
    period: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    name: str | None = None

    def match(self, fields: Mapping[str, Any]) -> bool:
        """Return whether a product matches; of the item in the table, it may be unreadable."""
        return (
            (self.currency is None or fields.get("currency") == self.currency)
            and (self.period is None or fields.get("period") == self.period)
            and (self.name is None or _begins(fields.get("name"), self.name))
            and self._match_price(fields.get("price"))
        )

    def _match_price(self, price: object) -> bool:
        if self.min_price is None and self.max_price is None:
            return True
        return (
            isinstance(price, Decimal)
            and (self.min_price is None or price >= self.min_price)
            and (self.max_price is None or price <= self.max_price)
        )


def _begins(name: object, beginning: str) -> bool:
    return isinstance(name, str) and comparable(name).startswith(comparable(beginning))


NO_FILTERS: Final = Filters()


class PageRequest(NamedTuple):
    """A request for a page: `limit` products from `offset`, or after `cursor` if there is one.

    Attributes:
        deleted: whether the page is of the deleted products, not of the active ones.
    """

    limit: int
    sort: SortOrder
    offset: int
    cursor: Cursor | None
    filters: Filters = NO_FILTERS
    deleted: bool = False


class Page(NamedTuple):
    """A page of the list; `next_cursor` is the start of the next page, None on the last page.

    A page before the last one is full, unless a search with filters ran out of time.
    """

    products: tuple[Product, ...]
    next_cursor: Cursor | None


class IdempotencyRecord(NamedTuple):
    """The record of a creation with an idempotency key.

    Attributes:
        key_hash: SHA-256 of the idempotency key, hexadecimal.
        fingerprint: SHA-256 of the request, hexadecimal.
        product: the product in the response.
        expires_at: seconds since the epoch; an expired record is ignored.
    """

    key_hash: str
    fingerprint: str
    product: Product
    expires_at: int
