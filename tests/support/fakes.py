"""A product store in memory, for tests of the rules.

It passes the same contract tests as the real one (tests/integration/test_repository_contract.py),
so it cannot promise more than DynamoDB.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from product_lambda.exceptions import (
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    PreconditionFailedException,
    ProductNotFoundException,
)
from product_lambda.models.product import (
    Cursor,
    IdempotencyRecord,
    Product,
    Revision,
    SortOrder,
    product_from,
)


class FakeProductStore:
    """A `ProductStore` that lives as long as the object.

    Attributes:
        products: by id, including inactive products.
        authors: the author of each product's last change, by product id.
        records: by the hash of the idempotency key.
        number: the last value of the counter.
    """

    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.authors: dict[str, str] = {}
        self.records: dict[str, IdempotencyRecord] = {}
        self.number = 0
        self._lock = threading.RLock()

    def get(self, product_id: str) -> Product | None:
        product = self.products.get(product_id)
        return product if product is not None and product.active else None

    def is_taken(self, product_id: str) -> bool:
        return product_id in self.products

    def page(
        self, sort: SortOrder, after: Cursor | None, limit: int, skip: int = 0
    ) -> list[Product]:
        newest_first = sort is SortOrder.NEWEST_FIRST
        with self._lock:
            active = [product for product in self.products.values() if product.active]
        active.sort(key=_cursor, reverse=newest_first)
        if after is not None:
            active = [
                product
                for product in active
                if (_cursor(product) < after if newest_first else _cursor(product) > after)
            ]
        return active[skip : skip + limit]

    def advance_number(self, step: int) -> int:
        with self._lock:
            self.number += step
            return self.number

    def insert(self, product: Product, author: str) -> None:
        with self._lock:
            if product.product_id in self.products:
                raise DuplicateProductException(product.product_id)
            self.products[product.product_id] = product
            self.authors[product.product_id] = author

    def insert_once(
        self, product: Product, author: str, record: IdempotencyRecord, now: int
    ) -> None:
        with self._lock:
            earlier = self.records.get(record.key_hash)
            if earlier is not None and earlier.expires_at > now:
                raise IdempotencyKeyInFlightException
            self.insert(product, author)
            self.records[record.key_hash] = record

    def find_record(self, key_hash: str) -> IdempotencyRecord | None:
        return self.records.get(key_hash)

    def update(
        self,
        product_id: str,
        changes: Mapping[str, Any],
        expected: frozenset[Revision] | None,
        author: str,
        now: Callable[[], str],
    ) -> Product:
        with self._lock:
            product = self.products.get(product_id)
            if product is None or not (product.active or "active" in changes):
                raise ProductNotFoundException(product_id)
            _require_revision(product, expected)
            written = {"version": product.version + 1, "updatedAt": now()}
            self.products[product_id] = product_from(
                {**product.representation(), **changes, **written}
            )
            self.authors[product_id] = author
            return self.products[product_id]

    def deactivate(
        self,
        product_id: str,
        expected: frozenset[Revision] | None,
        author: str,
        now: Callable[[], str],
    ) -> None:
        with self._lock:
            product = self.products.get(product_id)
            if product is None:
                raise ProductNotFoundException(product_id)
            if not product.active:
                return
            _require_revision(product, expected)
            self.products[product_id] = replace(
                product, active=False, version=product.version + 1, updated_at=now()
            )
            self.authors[product_id] = author


def _cursor(product: Product) -> Cursor:
    return Cursor(product.created_at, product.product_id)


def _require_revision(product: Product, expected: frozenset[Revision] | None) -> None:
    if expected is not None and product.revision not in expected:
        raise PreconditionFailedException(product.product_id)
