"""Accepts changes for later: a queue keeps them in order until `CommandService` carries them out.

docs/adr/0029-acceptance.md has the reasons.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from product_lambda.exceptions import (
    IdempotencyKeyInFlightException,
    IdempotencyKeyReusedException,
)
from product_lambda.models.command import Acceptance, Command
from product_lambda.models.product import IdempotencyRecord, Product, ProductDraft, Revision
from product_lambda.services.product_service import (
    Creation,
    KeyedCreation,
    ProductService,
    ProductStore,
    sha256,
)


class AcceptanceStore(ProductStore, Protocol):
    """A product store with acceptance records; `CommandRepository` documents each method."""

    # ruff: disable[D102]
    def find_acceptance(self, key_hash: str) -> Acceptance | None: ...
    def accept(self, acceptance: Acceptance, record_hash: str, now: int) -> None: ...
    def insert_unaccepted(
        self, product: Product, author: str, record: IdempotencyRecord, accepted_hash: str, now: int
    ) -> None: ...

    # ruff: enable[D102]


class CommandQueue(Protocol):
    """A queue that keeps the order of the commands of each product."""

    def send(self, command: Command) -> None:
        """Send a command; one with an id that was sent within minutes changes nothing."""


class Author(NamedTuple):
    """Who requests a change: the id of the API key, and the id of the request."""

    api_key_id: str
    request_id: str


class Accepted(NamedTuple):
    """An accepted change: the id of its product, and the id of the request that was accepted."""

    product_id: str
    request_id: str


class AcceptanceService(ProductService):
    """The operations on the catalogue where changes may be accepted for later.

    `now` returns the current time in UTC. Every method also raises DependencyUnavailableException
    if the store or the queue does not respond in time.
    """

    def __init__(
        self, store: AcceptanceStore, queue: CommandQueue, now: Callable[[], datetime]
    ) -> None:
        super().__init__(store, now)
        self._store = store
        self._queue = queue

    def create_product(
        self, draft: ProductDraft, idempotency_key: str | None, author: str
    ) -> Creation:
        """Create a product at once, with the id that an accepted request with its key was given.

        Raises:
            DuplicateProductException, IdempotencyKeyReusedException,
            IdempotencyKeyInFlightException: as in `ProductService`.
        """
        if idempotency_key is None:
            return super().create_product(draft, None, author)
        keyed = self._keyed(draft, idempotency_key)
        accepted_hash = _accepted_hash(keyed)
        acceptance = self._acceptance(keyed)

        def insert_accepted(product: Product) -> None:
            self._store.insert_once(product, author, keyed.record(product), keyed.now)

        def insert(product: Product) -> None:
            self._store.insert_unaccepted(
                product, author, keyed.record(product), accepted_hash, keyed.now
            )

        if acceptance is not None:
            accepted = draft._replace(product_id=acceptance.product_id)
            return self._create_once(accepted, keyed, insert_accepted)
        try:
            return self._create_once(draft, keyed, insert)
        except IdempotencyKeyInFlightException:
            if self._acceptance(keyed) is None:
                raise
            # A request with this key was accepted in the meantime, and has given it an id.
            return self.create_product(draft, idempotency_key, author)

    def accept_creation(
        self, draft: ProductDraft, idempotency_key: str | None, author: Author
    ) -> Accepted | None:
        """Accept a creation; None if an earlier request with the key has created the product.

        All requests with one key get the same ids, and send one command.

        Raises:
            IdempotencyKeyReusedException: an earlier request used the key with another draft.
            IdempotencyKeyInFlightException: another request with the key is in progress.
        """
        if idempotency_key is None:
            product_id = draft.product_id or self._unused_id()
            accepted, command_id = Accepted(product_id, author.request_id), _new_id()
            key_hash = fingerprint = None
        else:
            keyed = self._keyed(draft, idempotency_key)
            acceptance = self._acceptance(keyed) or self._accept(draft, keyed, author)
            if acceptance is None:
                return None
            accepted = Accepted(acceptance.product_id, acceptance.request_id)
            command_id = acceptance.command_id
            key_hash, fingerprint = keyed.key_hash, keyed.fingerprint
        self._queue.send(
            Command(
                command_id,
                accepted.request_id,
                accepted.product_id,
                author.api_key_id,
                draft=draft._replace(product_id=accepted.product_id),
                key_hash=key_hash,
                fingerprint=fingerprint,
            )
        )
        return accepted

    def accept_update(
        self,
        product_id: str,
        changes: Mapping[str, Any],
        expected: frozenset[Revision] | None,
        author: Author,
    ) -> Accepted:
        """Accept a change of a product; whether it can be made is known when it is carried out."""
        return self._send(
            Command(
                _new_id(),
                author.request_id,
                product_id,
                author.api_key_id,
                changes=changes,
                expected=expected,
            )
        )

    def accept_deletion(
        self, product_id: str, expected: frozenset[Revision] | None, author: Author
    ) -> Accepted:
        """Accept a deletion; whether it can be made is known when it is carried out."""
        return self._send(
            Command(
                _new_id(),
                author.request_id,
                product_id,
                author.api_key_id,
                expected=expected,
            )
        )

    def _send(self, command: Command) -> Accepted:
        self._queue.send(command)
        return Accepted(command.product_id, command.request_id)

    def _acceptance(self, keyed: KeyedCreation) -> Acceptance | None:
        """Return the acceptance record of the key.

        Raises:
            IdempotencyKeyReusedException: it belongs to another draft.
        """
        found = self._store.find_acceptance(_accepted_hash(keyed))
        if found is None or found.expires_at <= keyed.now:
            return None
        if found.fingerprint != keyed.fingerprint:
            raise IdempotencyKeyReusedException
        return found

    def _accept(
        self, draft: ProductDraft, keyed: KeyedCreation, author: Author
    ) -> Acceptance | None:
        """Store an acceptance record; None if a request with the key has created the product."""
        if self._replay(keyed) is not None:
            return None
        acceptance = Acceptance(
            _accepted_hash(keyed),
            keyed.fingerprint,
            draft.product_id or self._unused_id(),
            author.request_id,
            _new_id(),
            keyed.expires_at,
        )
        try:
            self._store.accept(acceptance, keyed.key_hash, keyed.now)
        except IdempotencyKeyInFlightException:
            earlier = self._acceptance(keyed)
            if earlier is None and self._replay(keyed) is None:
                raise
            return earlier
        return acceptance


def _accepted_hash(keyed: KeyedCreation) -> str:
    """Return the hash of the acceptance record; no idempotency key has a space."""
    return sha256(f"respond-async {keyed.key}")


def _new_id() -> str:
    return str(uuid4())
