"""A product store in memory, for tests of the rules.

It passes the same contract tests as the real one (tests/integration/test_repository_contract.py),
so it cannot promise more than DynamoDB.
"""

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from product_lambda.exceptions import (
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    IdempotencyKeyReusedException,
    PreconditionFailedException,
    ProductNotFoundException,
)
from product_lambda.models.command import Acceptance, Command, Outcome
from product_lambda.models.product import (
    Cursor,
    IdempotencyRecord,
    Page,
    PageRequest,
    Product,
    Revision,
    SortOrder,
    name_key,
    product_from,
)


class FakeProductStore:
    """A store for all services that lives as long as the object.

    Attributes:
        products: by id, including inactive products.
        authors: the author of each product's last change, by product id.
        records: by the hash of the idempotency key.
        acceptances: by the hash that stands for the idempotency key.
        outcomes: by the hash that stands for the command's id.
        number: the last value of the counter.
    """

    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.authors: dict[str, str] = {}
        self.records: dict[str, IdempotencyRecord] = {}
        self.acceptances: dict[str, Acceptance] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.number = 0
        self._lock = threading.RLock()

    def get(self, product_id: str) -> Product | None:
        product = self.products.get(product_id)
        return product if product is not None and product.active else None

    def is_taken(self, product_id: str) -> bool:
        return product_id in self.products

    def page(self, request: PageRequest) -> Page:
        with self._lock:
            products = [
                product
                for product in self.products.values()
                if product.active is not request.deleted
                and request.filters.match(product.representation())
            ]

        def order(product: Product) -> tuple[object, str]:
            return _ordered(_position(product, request.sort), request.sort), product.product_id

        products.sort(key=order, reverse=not request.sort.is_ascending)
        if request.cursor is not None:
            after = _ordered(request.cursor.position, request.sort), request.cursor.product_id
            products = [
                product
                for product in products
                if (order(product) > after if request.sort.is_ascending else order(product) < after)
            ]
        page = tuple(products[request.offset : request.offset + request.limit])
        if len(products) <= request.offset + request.limit:
            return Page(page, None)
        return Page(page, Cursor(_position(page[-1], request.sort), page[-1].product_id))

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

    def find_acceptance(self, key_hash: str) -> Acceptance | None:
        return self.acceptances.get(key_hash)

    def accept(self, acceptance: Acceptance, record_hash: str, now: int) -> None:
        with self._lock:
            earlier = self.acceptances.get(acceptance.key_hash)
            created = self.records.get(record_hash)
            if _is_valid(earlier, now) or _is_valid(created, now):
                raise IdempotencyKeyInFlightException
            self.acceptances[acceptance.key_hash] = acceptance

    def insert_unaccepted(
        self, product: Product, author: str, record: IdempotencyRecord, accepted_hash: str, now: int
    ) -> None:
        with self._lock:
            if _is_valid(self.acceptances.get(accepted_hash), now):
                raise IdempotencyKeyInFlightException
            self.insert_once(product, author, record, now)

    def find_outcome(self, command_hash: str) -> Outcome | None:
        return self.outcomes.get(command_hash)

    def decide(self, outcome: Outcome) -> Outcome:
        return self.outcomes.setdefault(outcome.command_hash, outcome)

    def insert_by(
        self,
        outcome: Outcome,
        product: Product,
        author: str,
        record: IdempotencyRecord | None,
        now: int,
    ) -> Outcome:
        def write() -> None:
            if record is None:
                self.insert(product, author)
                return
            try:
                self.insert_once(product, author, record, now)
            except IdempotencyKeyInFlightException:
                earlier = self.records[record.key_hash]
                if (earlier.fingerprint, earlier.product.product_id) != (
                    record.fingerprint,
                    product.product_id,
                ):
                    raise IdempotencyKeyReusedException from None

        return self._write_by(outcome, write)

    def update_by(self, outcome: Outcome, command: Command, now: Callable[[], str]) -> Outcome:
        def write() -> None:
            changes = command.changes or {}
            self.update(command.product_id, changes, command.expected, command.author, now)

        return self._write_by(outcome, write)

    def deactivate_by(self, outcome: Outcome, command: Command, now: Callable[[], str]) -> Outcome:
        def write() -> None:
            self.deactivate(command.product_id, command.expected, command.author, now)

        return self._write_by(outcome, write)

    def _write_by(self, outcome: Outcome, write: Callable[[], None]) -> Outcome:
        with self._lock:
            if outcome.command_hash not in self.outcomes:
                write()
            return self.decide(outcome)

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
            self.products[product_id] = product._replace(
                active=False, version=product.version + 1, updated_at=now()
            )
            self.authors[product_id] = author


def _is_valid(record: Acceptance | IdempotencyRecord | None, now: int) -> bool:
    return record is not None and record.expires_at > now


def _position(product: Product, sort: SortOrder) -> str:
    return {
        "createdAt": product.created_at,
        "price": str(product.price),
        "name": name_key(product.name),
    }[sort.field]


def _ordered(position: str, sort: SortOrder) -> Decimal | str:
    return Decimal(position) if sort.field == "price" else position


def _require_revision(product: Product, expected: frozenset[Revision] | None) -> None:
    if expected is not None and product.revision not in expected:
        raise PreconditionFailedException(product.product_id)
