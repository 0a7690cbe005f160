"""The rules of the catalogue: ids, timestamps, versions, idempotency.

They know neither HTTP nor DynamoDB: a `ProductStore` keeps the products.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from product_lambda.exceptions import (
    DuplicateProductException,
    FieldError,
    IdempotencyKeyInFlightException,
    IdempotencyKeyReusedException,
    ProductNotFoundException,
    TimeUpException,
    ValidationException,
)
from product_lambda.models.product import (
    IdempotencyRecord,
    Page,
    PageRequest,
    Product,
    ProductDraft,
    Revision,
)

IDEMPOTENCY_SECONDS: Final = 24 * 60 * 60


class ProductStore(Protocol):
    """Storage of products; `ProductRepository` documents each method and its exceptions."""

    # ruff: disable[D102]
    def get(self, product_id: str) -> Product | None: ...
    def page(self, request: PageRequest) -> Page: ...
    def is_taken(self, product_id: str) -> bool: ...
    def advance_number(self, step: int) -> int: ...
    def insert(self, product: Product, author: str) -> None: ...
    def insert_once(
        self, product: Product, author: str, record: IdempotencyRecord, now: int
    ) -> None: ...
    def find_record(self, key_hash: str) -> IdempotencyRecord | None: ...
    def update(
        self,
        product_id: str,
        changes: Mapping[str, Any],
        expected: frozenset[Revision] | None,
        author: str,
        now: Callable[[], str],
    ) -> Product: ...
    def deactivate(
        self,
        product_id: str,
        expected: frozenset[Revision] | None,
        author: str,
        now: Callable[[], str],
    ) -> None: ...

    # ruff: enable[D102]


class Creation(NamedTuple):
    """A created product; `replayed` if an earlier request with the same key created it."""

    product: Product
    replayed: bool


class ProductService:
    """The operations on the catalogue.

    `now` returns the current time in UTC. Every method also raises
    DependencyUnavailableException if the store does not respond in time.
    """

    def __init__(self, store: ProductStore, now: Callable[[], datetime]) -> None:
        self._products = store
        self._now = now

    def list_products(self, page_request: PageRequest) -> Page:
        """Return a page of the active products, or of the deleted ones.

        Raises:
            ValidationException: the offset is too large to read in time.
        """
        try:
            return self._products.page(page_request)
        except TimeUpException:
            if not page_request.offset:
                raise
            raise ValidationException(
                [FieldError("offset", "takes too long to read; walk the list by nextToken instead")]
            ) from None

    def get_product(self, product_id: str) -> Product:
        """Return an active product; the read is strongly consistent.

        Raises:
            ProductNotFoundException: no active product has this id.
        """
        product = self._products.get(product_id)
        if product is None:
            raise ProductNotFoundException(product_id)
        return product

    def create_product(
        self, draft: ProductDraft, idempotency_key: str | None, author: str
    ) -> Creation:
        """Create a product, at most once for each idempotency key within 24 hours.

        Raises:
            DuplicateProductException: an active or a deleted product has the requested id.
            IdempotencyKeyReusedException: an earlier request used the key with another draft.
            IdempotencyKeyInFlightException: another request with the key is in progress.
        """
        if idempotency_key is None:
            product = self._create(draft, lambda new: self._products.insert(new, author))
            return Creation(product, replayed=False)
        key_hash = hashlib.sha256(idempotency_key.encode()).hexdigest()
        fingerprint = _fingerprint(draft)
        now = int(self._now().timestamp())
        earlier = self._replay(key_hash, fingerprint, now)
        if earlier is not None:
            return Creation(earlier, replayed=True)

        def insert(product: Product) -> None:
            record = IdempotencyRecord(key_hash, fingerprint, product, now + IDEMPOTENCY_SECONDS)
            self._products.insert_once(product, author, record, now)

        try:
            return Creation(self._create(draft, insert), replayed=False)
        except IdempotencyKeyInFlightException:
            earlier = self._replay(key_hash, fingerprint, now)
            if earlier is None:
                raise
            return Creation(earlier, replayed=True)

    def update_product(
        self,
        product_id: str,
        changes: Mapping[str, Any],
        expected: frozenset[Revision] | None,
        author: str,
    ) -> Product:
        """Change fields of a product and return it; `expected` as in `If-Match`.

        Raises:
            ProductNotFoundException: no product has this id, or it is deleted and `changes` do not
                restore it.
            PreconditionFailedException: the product has none of the expected revisions.
        """
        return self._products.update(product_id, changes, expected, author, self._timestamp)

    def delete_product(
        self, product_id: str, expected: frozenset[Revision] | None, author: str
    ) -> None:
        """Take a product out of the catalogue; a repeated deletion succeeds.

        Raises:
            ProductNotFoundException: no product ever had this id.
            PreconditionFailedException: the product has none of the expected revisions.
        """
        self._products.deactivate(product_id, expected, author, self._timestamp)

    def _timestamp(self) -> str:
        return _timestamp(self._now())

    def _create(self, draft: ProductDraft, insert: Callable[[Product], None]) -> Product:
        if draft.product_id is not None:
            product = _new_product(draft, draft.product_id, self._now())
            insert(product)
            return product
        number = self._products.advance_number(1)
        while True:
            product = _new_product(draft, _numbered_id(number), self._now())
            try:
                insert(product)
            except DuplicateProductException:
                # An imported catalogue uses it; the deadline of the request ends the loop.
                number = self._products.advance_number(self._distance_to_free_number(number))
            else:
                return product

    def _distance_to_free_number(self, number: int) -> int:
        """Return how far after a taken number the taken numbers end, by few reads.

        Doubled distances find a free number, and bisection the end of the taken ones before it.
        """

        def is_taken(distance: int) -> bool:
            return self._products.is_taken(_numbered_id(number + distance))

        taken, free = 0, 1
        while is_taken(free):
            taken, free = free, free * 2
        while free - taken > 1:
            middle = (taken + free) // 2
            if is_taken(middle):
                taken = middle
            else:
                free = middle
        return free

    def _replay(self, key_hash: str, fingerprint: str, now: int) -> Product | None:
        record = self._products.find_record(key_hash)
        if record is None or record.expires_at <= now:
            return None
        if record.fingerprint != fingerprint:
            raise IdempotencyKeyReusedException
        return record.product


def _numbered_id(number: int) -> str:
    return f"PROD-{number:03}"


def _new_product(draft: ProductDraft, product_id: str, moment: datetime) -> Product:
    now = _timestamp(moment)
    return Product(
        product_id=product_id,
        name=draft.name,
        description=draft.description,
        price=draft.price,
        setup_fee=draft.setup_fee,
        currency=draft.currency,
        period=draft.period,
        features=draft.features,
        active=True,
        version=1,
        created_at=now,
        updated_at=now,
    )


def _timestamp(moment: datetime) -> str:
    """`2026-01-31T09:30:00.123456Z`: fixed width, so that text order is time order."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _fingerprint(draft: ProductDraft) -> str:
    """SHA-256 of a draft; the order of fields and the notation of numbers do not change it."""
    canonical = json.dumps(draft._asdict(), default=str, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
