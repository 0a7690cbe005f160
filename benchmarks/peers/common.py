"""Code that all peers share: Pydantic models, entity tags, page tokens, the operations."""

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints
from pydantic.alias_generators import to_camel

PRODUCT_ID_PATTERN = "^PROD-[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?$"
DEFAULT_LIMIT = 50
MAX_LIMIT = 100
SORT_KEY = "METADATA"
INDEX = "ActiveProductsIndex"
COUNTER_KEY = {"PK": "COUNTER#PRODUCT", "SK": SORT_KEY}
AUTHOR = "k1l2m3n4o5"
COMMON_HEADERS = {
    "Access-Control-Allow-Origin": "https://dev.kimmyai.io",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}

type Item = dict[str, Any]


def log_fields(
    operation: str, route: str, status: int, started: float, product_id: str | None = None
) -> dict[str, Any]:
    """Return the fields of the log line of a request, the same as in this service.

    `started` is a value of `time.perf_counter`.
    """
    return {
        "operation": operation,
        "route": route,
        "status": status,
        "duration_ms": round((time.perf_counter() - started) * 1000, 1),
        "product_id": product_id,
    }


Money = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Price = Annotated[Decimal, Field(gt=0, max_digits=10, decimal_places=2)]
SetupFee = Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=2)]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
Period = Literal["monthly", "yearly", "once-off"]


class Product(BaseModel):
    """A product as the API shows it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    product_id: str
    name: str
    description: str
    price: Money
    setup_fee: Money | None = Field(default=None, exclude_if=lambda fee: fee is None)
    currency: str
    period: Period
    features: list[str]
    active: bool
    version: int
    created_at: str
    updated_at: str


class ProductList(BaseModel):
    """A page of the active products."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    products: list[Product]
    count: int
    limit: int
    more_available: bool
    next_token: str | None
    offset: int = 0


class CreateProduct(BaseModel):
    """The body of a create request."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    name: Line
    description: Text
    price: Price
    setup_fee: SetupFee | None = None
    currency: Currency = "ZAR"
    period: Period
    features: list[Line] = Field(min_length=1, max_length=50)


class UpdateProduct(BaseModel):
    """The body of an update request."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    name: Line | None = None
    description: Text | None = None
    price: Price | None = None
    setup_fee: SetupFee | None = None
    currency: Currency | None = None
    period: Period | None = None
    features: list[Line] | None = Field(default=None, min_length=1, max_length=50)


class ProductStore(Protocol):
    """The store of a peer; `Boto3Store` documents each method."""

    # ruff: disable[D102]
    def get(self, product_id: str) -> Item | None: ...
    def page(self, limit: int) -> Sequence[Item]: ...
    def next_number(self) -> int: ...
    def insert(self, item: Item) -> None: ...
    def update(self, product_id: str, changes: Mapping[str, Any]) -> Item | None: ...
    def deactivate(self, product_id: str) -> bool: ...

    # ruff: enable[D102]


class Products:
    """The operations of the API; they return None when a product is missing."""

    def __init__(self, store: ProductStore) -> None:
        self._store = store

    def get(self, product_id: str) -> Product | None:
        """Return an active product."""
        item = self._store.get(product_id)
        return None if item is None or item["active"] != "true" else _product(item)

    def page(self, limit: int) -> ProductList:
        """Return the newest active products."""
        items = self._store.page(limit + 1)
        products = [_product(item) for item in items[:limit]]
        more = len(items) > limit
        return ProductList(
            products=products,
            count=len(products),
            limit=limit,
            more_available=more,
            next_token=_token(products[-1]) if more else None,
        )

    def create(self, body: CreateProduct) -> Product:
        """Create a product with the next number as its id."""
        timestamp = now()
        product = Product(
            product_id=f"PROD-{self._store.next_number():03}",
            active=True,
            version=1,
            created_at=timestamp,
            updated_at=timestamp,
            **body.model_dump(),
        )
        attributes = product.model_dump(by_alias=True)
        key = {"PK": f"PRODUCT#{product.product_id}", "SK": SORT_KEY}
        self._store.insert({**key, **attributes, "active": "true", "updatedBy": AUTHOR})
        return product

    def update(self, product_id: str, body: UpdateProduct) -> Product | None:
        """Change the given fields."""
        changes = body.model_dump(by_alias=True, exclude_unset=True)
        changes |= {"updatedAt": now(), "updatedBy": AUTHOR}
        item = self._store.update(product_id, changes)
        return None if item is None else _product(item)

    def delete(self, product_id: str) -> bool:
        """Make a product inactive; return False when it is missing."""
        return self._store.deactivate(product_id)


def version_tag(product: Product) -> str:
    """Return the entity tag of a product."""
    moment = "".join(filter(str.isdigit, product.updated_at))
    return f'"{product.version}-{moment}"'


def digest_tag(body: str) -> str:
    """Return the entity tag of a page."""
    return f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'


def update_expression(changes: Mapping[str, Any]) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return an update that sets `changes` and increments the version.

    Returns:
        The expression, the attribute names and the attribute values.
    """
    names = {f"#{name}": name for name in (*changes, "version", "active")}
    values = {f":{name}": value for name, value in changes.items()}
    assignments = ", ".join(f"#{name} = :{name}" for name in changes)
    values |= {":zero": 0, ":one": 1, ":is_active": "true"}
    return f"SET {assignments}, #version = if_not_exists(#version, :zero) + :one", names, values


UPDATE_CONDITION = "attribute_exists(PK) AND #active = :is_active"


def now() -> str:
    """Return the current time in the format of `createdAt`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _product(item: Item) -> Product:
    return Product.model_validate({**item, "active": item["active"] == "true"})


def _token(last: Product) -> str:
    cursor = f"-createdAt|{last.created_at}|{last.product_id}"
    return base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("=")
