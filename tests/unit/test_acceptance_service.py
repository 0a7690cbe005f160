"""The rules of accepting changes for later: ids, idempotency keys, and what the queue gets."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest

from product_lambda.exceptions import (
    DependencyUnavailableException,
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    IdempotencyKeyReusedException,
)
from product_lambda.models.command import Acceptance, Command
from product_lambda.models.product import Product, Revision
from product_lambda.services.acceptance_service import AcceptanceService, Accepted, Author
from product_lambda.services.product_service import Creation, ProductService
from tests.support.fakes import FakeProductStore
from tests.support.products import CREATED_AT, draft, product

ANN = Author("key-of-ann", "request-1")
BOB = Author("key-of-bob", "request-2")
START = datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)


class FakeQueue:
    """Keeps the commands; `is_dead` makes the next ones fail."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.is_dead = False

    def send(self, command: Command) -> None:
        if self.is_dead:
            raise DependencyUnavailableException
        self.commands.append(command)


class Setup:
    """A service with its store, its queue, and a clock that does not move."""

    def __init__(self, store: FakeProductStore | None = None) -> None:
        self.store = store or FakeProductStore()
        self.queue = FakeQueue()
        self.now = START
        self.service = AcceptanceService(self.store, self.queue, lambda: self.now)

    def accept(
        self, key: str | None = None, author: Author = ANN, **fields: Any
    ) -> Accepted | None:
        return self.service.accept_creation(draft(**fields), key, author)

    def create(self, key: str | None = None, **fields: Any) -> Creation:
        return self.service.create_product(draft(**fields), key, "key-of-ann")


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_accepted_creation_gets_next_number(setup: Setup) -> None:
    assert setup.accept() == Accepted("PROD-001", "request-1")
    assert setup.accept(author=BOB) == Accepted("PROD-002", "request-2")
    assert setup.store.products == {}


def test_command_of_creation_has_draft_with_id(setup: Setup) -> None:
    setup.accept(name="Pro", price=Decimal("0.1"))
    (command,) = setup.queue.commands
    assert command == Command(
        command_id=command.command_id,
        request_id="request-1",
        product_id="PROD-001",
        author="key-of-ann",
        draft=draft(name="Pro", price=Decimal("0.1"), product_id="PROD-001"),
    )
    assert command.operation == "create"


def test_accepted_creation_keeps_given_id(setup: Setup) -> None:
    assert setup.accept(product_id="PROD-PRO") == Accepted("PROD-PRO", "request-1")
    assert setup.queue.commands[0].draft == draft(product_id="PROD-PRO")
    assert setup.store.number == 0


def test_number_of_accepted_creation_is_not_taken(setup: Setup) -> None:
    for number in range(1, 41):
        setup.store.insert(product(f"PROD-{number:03}"), "author")
    assert setup.accept() == Accepted("PROD-041", "request-1")
    assert setup.accept() == Accepted("PROD-042", "request-1")


def test_command_of_update_has_changes_and_revisions(setup: Setup) -> None:
    revisions = frozenset({Revision(1, CREATED_AT)})
    changes = {"price": Decimal("0.1"), "setupFee": None}
    accepted = setup.service.accept_update("PROD-001", changes, revisions, ANN)
    assert accepted == Accepted("PROD-001", "request-1")
    (command,) = setup.queue.commands
    assert command == Command(
        command_id=command.command_id,
        request_id="request-1",
        product_id="PROD-001",
        author="key-of-ann",
        changes=changes,
        expected=revisions,
    )
    assert command.operation == "update"


def test_command_of_deletion_has_revisions_only(setup: Setup) -> None:
    assert setup.service.accept_deletion("PROD-001", frozenset(), BOB) == Accepted(
        "PROD-001", "request-2"
    )
    (command,) = setup.queue.commands
    assert command == Command(
        command_id=command.command_id,
        request_id="request-2",
        product_id="PROD-001",
        author="key-of-bob",
        expected=frozenset(),
    )
    assert command.operation == "delete"


def test_commands_have_different_ids(setup: Setup) -> None:
    for _ in range(3):
        setup.accept()
        setup.service.accept_update("PROD-001", {"name": "N"}, None, ANN)
        setup.service.accept_deletion("PROD-001", None, ANN)
    assert len({command.command_id for command in setup.queue.commands}) == 9


@pytest.mark.parametrize("key", [None, "a-key"])
def test_dead_queue_is_reported(setup: Setup, key: str | None) -> None:
    setup.queue.is_dead = True
    with pytest.raises(DependencyUnavailableException):
        setup.accept(key)
    with pytest.raises(DependencyUnavailableException):
        setup.service.accept_update("PROD-001", {"name": "N"}, None, ANN)
    with pytest.raises(DependencyUnavailableException):
        setup.service.accept_deletion("PROD-001", None, ANN)


# Idempotency keys


def test_repeated_key_gets_same_ids_and_command(setup: Setup) -> None:
    first = setup.accept("a-key")
    setup.now += timedelta(hours=23, minutes=59)
    assert setup.accept("a-key", BOB) == first == Accepted("PROD-001", "request-1")
    earlier, repeated = setup.queue.commands
    assert repeated == earlier._replace(author="key-of-bob")
    assert setup.store.number == 1


def test_repetition_after_dead_queue_sends_command(setup: Setup) -> None:
    setup.queue.is_dead = True
    with pytest.raises(DependencyUnavailableException):
        setup.accept("a-key")
    setup.queue.is_dead = False
    assert setup.accept("a-key", BOB) == Accepted("PROD-001", "request-1")
    assert len(setup.queue.commands) == 1


def test_command_has_key_of_synchronous_creation(setup: Setup) -> None:
    setup.accept("a-key")
    (command,) = setup.queue.commands
    synchronous = FakeProductStore()
    ProductService(synchronous, lambda: START).create_product(draft(), "a-key", "author")
    (record,) = synchronous.records.values()
    assert (command.key_hash, command.fingerprint) == (record.key_hash, record.fingerprint)


def test_acceptance_record_has_hash_of_its_own(setup: Setup) -> None:
    setup.accept("a-key")
    (command,) = setup.queue.commands
    assert command.fingerprint is not None
    assert list(setup.store.acceptances.values()) == [
        Acceptance(
            key_hash=hashlib.sha256(b"respond-async a-key").hexdigest(),
            fingerprint=command.fingerprint,
            product_id="PROD-001",
            request_id="request-1",
            command_id=command.command_id,
            expires_at=int(START.timestamp()) + 86400,
        )
    ]


def test_key_with_other_draft_is_rejected(setup: Setup) -> None:
    setup.accept("a-key")
    with pytest.raises(IdempotencyKeyReusedException):
        setup.accept("a-key", name="Other")
    assert len(setup.queue.commands) == 1


def test_key_is_forgotten_after_24_hours(setup: Setup) -> None:
    setup.accept("a-key")
    setup.now += timedelta(hours=24)
    assert setup.accept("a-key", BOB, name="Other") == Accepted("PROD-002", "request-2")
    first, second = setup.queue.commands
    assert first.command_id != second.command_id


def test_key_of_created_product_is_not_accepted(setup: Setup) -> None:
    created = setup.create("a-key")
    assert setup.accept("a-key") is None
    assert setup.queue.commands == []
    assert setup.store.number == 1
    assert setup.create("a-key") == Creation(created.product, replayed=True)


def test_key_of_created_product_rejects_other_draft(setup: Setup) -> None:
    setup.create("a-key")
    with pytest.raises(IdempotencyKeyReusedException):
        setup.accept("a-key", name="Other")


def test_synchronous_repetition_uses_accepted_id(setup: Setup) -> None:
    setup.accept("a-key")
    setup.accept("another-key")
    assert setup.create("another-key").product.product_id == "PROD-002"
    assert setup.create("a-key").product.product_id == "PROD-001"
    assert setup.create("a-key").replayed
    assert setup.store.number == 2
    assert setup.store.authors == {"PROD-001": "key-of-ann", "PROD-002": "key-of-ann"}


def test_synchronous_repetition_replaces_expired_record(setup: Setup) -> None:
    setup.create("a-key")
    setup.now += timedelta(days=1, seconds=1)
    setup.accept("a-key", name="Other")
    assert setup.create("a-key", name="Other").product.product_id == "PROD-002"


def test_synchronous_repetition_with_other_draft_is_rejected(setup: Setup) -> None:
    setup.accept("a-key")
    with pytest.raises(IdempotencyKeyReusedException):
        setup.create("a-key", name="Other")
    assert setup.store.products == {}


def test_synchronous_repetition_with_taken_id_is_rejected(setup: Setup) -> None:
    setup.accept("a-key", product_id="PROD-001")
    setup.store.insert(product(), "author")
    with pytest.raises(DuplicateProductException):
        setup.create("a-key", product_id="PROD-001")


def test_synchronous_creation_without_key_needs_no_record(setup: Setup) -> None:
    assert setup.create().product.product_id == "PROD-001"
    assert setup.store.records == {}
    assert setup.store.authors == {"PROD-001": "key-of-ann"}


def test_synchronous_creation_with_key_has_author(setup: Setup) -> None:
    assert setup.create("a-key").product.product_id == "PROD-001"
    assert setup.store.authors == {"PROD-001": "key-of-ann"}


class AcceptingStore(FakeProductStore):
    """Another request with the key is accepted just before the product is stored."""

    def insert_unaccepted(self, new: Product, *arguments: Any) -> None:
        other = Setup(self)
        assert other.accept("a-key", BOB) is not None
        super().insert_unaccepted(new, *arguments)


def test_creation_uses_id_that_was_accepted_meanwhile() -> None:
    setup = Setup(AcceptingStore())
    created = setup.create("a-key")
    assert created.product.product_id == "PROD-002"
    assert setup.store.authors == {"PROD-002": "key-of-ann"}


class CreatingStore(FakeProductStore):
    """Another request with the key creates the product just before this one is accepted."""

    def accept(self, *arguments: Any) -> None:
        Setup(self).create("a-key")
        super().accept(*arguments)


def test_creation_meanwhile_leaves_nothing_to_accept() -> None:
    setup = Setup(CreatingStore())
    assert setup.accept("a-key") is None
    assert setup.queue.commands == []
    assert list(setup.store.products) == ["PROD-002"]


class OvertakenStore(FakeProductStore):
    """Another request with the key is accepted just before this one."""

    def accept(self, *arguments: Any) -> None:
        super().accept(*arguments)
        raise IdempotencyKeyInFlightException


def test_acceptance_meanwhile_gives_its_ids() -> None:
    setup = Setup(OvertakenStore())
    assert setup.accept("a-key") == Accepted("PROD-001", "request-1")
    assert [command.product_id for command in setup.queue.commands] == ["PROD-001"]


class ConflictingStore(FakeProductStore):
    """Transactions conflict with those of another request that leaves no record."""

    def accept(self, *_: object) -> None:
        raise IdempotencyKeyInFlightException

    def insert_unaccepted(self, *_: object) -> None:
        raise IdempotencyKeyInFlightException


def test_conflict_without_record_is_in_flight() -> None:
    setup = Setup(ConflictingStore())
    with pytest.raises(IdempotencyKeyInFlightException):
        setup.accept("a-key")
    with pytest.raises(IdempotencyKeyInFlightException):
        setup.create("a-key")
    assert setup.queue.commands == []


def test_concurrent_requests_with_one_key_get_one_id(setup: Setup) -> None:
    start = Barrier(6)

    def request(number: int) -> str:
        start.wait()
        if number % 2:
            return setup.create("a-key").product.product_id
        accepted = setup.accept("a-key")
        return accepted.product_id if accepted else setup.create("a-key").product.product_id

    with ThreadPoolExecutor(6) as threads:
        (product_id,) = set(threads.map(request, range(6)))
    assert set(setup.store.products) <= {product_id}
    assert {command.product_id for command in setup.queue.commands} <= {product_id}
    assert len({command.command_id for command in setup.queue.commands}) <= 1
