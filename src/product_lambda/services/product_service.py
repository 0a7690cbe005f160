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
    timestamp_of,
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


class KeyedCreation(NamedTuple):
    """A request for a creation with an idempotency key.

    Attributes:
        fingerprint: SHA-256 of the request, hexadecimal.
        now: when it arrived, in seconds since the epoch.
    """

    key: str
    fingerprint: str
    now: int

    @property
    def key_hash(self) -> str:
        """SHA-256 of the idempotency key, hexadecimal."""
        return sha256(self.key)

    @property
    def expires_at(self) -> int:
        """When its record expires, in seconds since the epoch."""
        return self.now + IDEMPOTENCY_SECONDS

    def record(self, product: Product) -> IdempotencyRecord:
        """Return the idempotency record of the creation of `product`."""
        return IdempotencyRecord(self.key_hash, self.fingerprint, product, self.expires_at)


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
        keyed = self._keyed(draft, idempotency_key)

        def insert(product: Product) -> None:
            self._products.insert_once(product, author, keyed.record(product), keyed.now)

        return self._create_once(draft, keyed, insert)

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
        return timestamp_of(self._now())

    def _keyed(self, draft: ProductDraft, idempotency_key: str) -> KeyedCreation:
        return KeyedCreation(idempotency_key, fingerprint_of(draft), int(self._now().timestamp()))

    def _create_once(
        self, draft: ProductDraft, keyed: KeyedCreation, insert: Callable[[Product], None]
    ) -> Creation:
        """Create a product, or return the one that an earlier request with the key created."""
        earlier = self._replay(keyed)
        if earlier is not None:
            return Creation(earlier, replayed=True)
        try:
            return Creation(self._create(draft, insert), replayed=False)
        except IdempotencyKeyInFlightException:
            earlier = self._replay(keyed)
            if earlier is None:
                raise
            return Creation(earlier, replayed=True)

    def _create(self, draft: ProductDraft, insert: Callable[[Product], None]) -> Product:
        if draft.product_id is not None:
            product = new_product(draft, draft.product_id, self._now())
            insert(product)
            return product
        number = self._products.advance_number(1)
        while True:
            product = new_product(draft, _numbered_id(number), self._now())
            try:
                insert(product)
            except DuplicateProductException:
                # An imported catalogue uses it; the deadline of the request ends the loop.
                number = self._products.advance_number(self._distance_to_free_number(number))
            else:
                return product

    def _unused_id(self) -> str:
        """Return the next product number that no product has; it is never given again."""
        number = self._products.advance_number(1)
        while self._products.is_taken(_numbered_id(number)):
            number = self._products.advance_number(self._distance_to_free_number(number))
        return _numbered_id(number)

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

    def _replay(self, keyed: KeyedCreation) -> Product | None:
        record = self._products.find_record(keyed.key_hash)
        if record is None or record.expires_at <= keyed.now:
            return None
        if record.fingerprint != keyed.fingerprint:
            raise IdempotencyKeyReusedException
        return record.product


def _numbered_id(number: int) -> str:
    return f"PROD-{number:03}"


def new_product(draft: ProductDraft, product_id: str, moment: datetime) -> Product:
    """Return the product of a draft, created at `moment`."""
    now = timestamp_of(moment)
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


def fingerprint_of(draft: ProductDraft) -> str:
    """SHA-256 of a draft; the order of fields and the notation of numbers do not change it."""
    canonical = json.dumps(draft._asdict(), default=str, sort_keys=True)
    return sha256(canonical)


def sha256(text: str) -> str:
    """Return the SHA-256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
