"""The rules of carrying commands out: once, in the state that they meet."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from product_lambda.exceptions import (
    DependencyUnavailableException,
    InternalException,
    ProductServiceException,
)
from product_lambda.models.command import Command, Outcome
from product_lambda.models.product import Revision
from product_lambda.services.command_service import CommandService
from tests.support.fakes import FakeProductStore
from tests.support.products import CREATED_AT, command, draft, product, record

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = "2026-03-01T00:00:00.000000Z"
MONTH = 30 * 24 * 60 * 60


class Setup:
    """A service with its store, and a clock that does not move."""

    def __init__(self, store: FakeProductStore | None = None) -> None:
        self.store = store or FakeProductStore()
        self.service = CommandService(self.store, lambda: START)

    def carry_out(self, **fields: Any) -> Outcome:
        return self.service.carry_out(command(**fields))


@pytest.fixture
def setup() -> Setup:
    return Setup()


def outcome_of(problem: str | None = None) -> Outcome:
    return Outcome(
        hashlib.sha256(b"command command-1").hexdigest(),
        "PROD-001",
        problem,
        int(START.timestamp()) + MONTH,
    )


def test_creation_stores_product(setup: Setup) -> None:
    new = draft(product_id="PROD-001", price=Decimal("0.1"), setup_fee=Decimal(5))
    assert setup.carry_out(draft=new) == outcome_of()
    assert setup.store.products == {
        "PROD-001": product(
            price=Decimal("0.1"),
            setup_fee=Decimal(5),
            features=("Five pages",),
            created_at=NOW,
            updated_at=NOW,
        )
    }
    assert setup.store.authors == {"PROD-001": "key-of-ann"}
    assert setup.store.records == {}
    assert list(setup.store.outcomes.values()) == [outcome_of()]


def test_creation_with_key_stores_its_record(setup: Setup) -> None:
    new = draft(product_id="PROD-001")
    setup.carry_out(draft=new, key_hash="a" * 64, fingerprint="b" * 64)
    created = setup.store.products["PROD-001"]
    expires_at = int(START.timestamp()) + 24 * 60 * 60
    assert setup.store.records == {"a" * 64: record(created, expires_at=expires_at)}


def test_update_changes_product(setup: Setup) -> None:
    setup.store.insert(product(), "author")
    changes = {"price": Decimal("0.1"), "setupFee": None}
    assert setup.carry_out(changes=changes) == outcome_of()
    assert setup.store.products["PROD-001"] == product(
        price=Decimal("0.1"), setup_fee=None, version=2, updated_at=NOW
    )
    assert setup.store.authors == {"PROD-001": "key-of-ann"}


def test_deletion_deactivates_product(setup: Setup) -> None:
    setup.store.insert(product(), "author")
    assert setup.carry_out() == outcome_of()
    assert setup.store.products["PROD-001"] == product(active=False, version=2, updated_at=NOW)


OTHER = frozenset({Revision(7, CREATED_AT)})
REJECTED: dict[str, tuple[str, dict[str, Any]]] = {
    "taken id": ("duplicate-product", {"draft": draft(product_id="PROD-001")}),
    "used key": (
        "idempotency-key-reused",
        {
            "draft": draft(product_id="PROD-002"),
            "product_id": "PROD-002",
            "key_hash": "a" * 64,
            "fingerprint": "c" * 64,
        },
    ),
    "missing product": (
        "product-not-found",
        {"product_id": "PROD-404", "changes": {"name": "N"}},
    ),
    "deletion of missing product": ("product-not-found", {"product_id": "PROD-404"}),
    "other version": ("precondition-failed", {"changes": {"name": "N"}, "expected": OTHER}),
    "deletion of other version": ("precondition-failed", {"expected": OTHER}),
}


@pytest.mark.parametrize(("problem", "fields"), REJECTED.values(), ids=REJECTED.keys())
def test_command_against_the_rules_is_rejected(
    setup: Setup, problem: str, fields: dict[str, Any]
) -> None:
    far = int(START.timestamp()) * 2
    setup.store.insert_once(product(), "author", record(product(), expires_at=far), 0)
    product_id = fields.get("product_id", "PROD-001")
    expected = outcome_of(problem)._replace(product_id=product_id)
    assert setup.carry_out(**fields) == expected
    assert setup.store.products == {"PROD-001": product()}
    assert list(setup.store.outcomes.values()) == [expected]


def test_repeated_command_changes_nothing(setup: Setup) -> None:
    setup.store.insert(product(), "author")
    setup.carry_out(changes={"name": "A"})
    setup.carry_out(command_id="command-2", changes={"name": "B"})
    assert setup.carry_out(changes={"name": "A"}) == outcome_of()
    assert setup.store.products["PROD-001"] == product(name="B", version=3, updated_at=NOW)


def test_rejected_command_stays_rejected(setup: Setup) -> None:
    setup.store.insert(product(active=False), "author")
    assert setup.carry_out(changes={"name": "A"}).problem == "product-not-found"
    setup.carry_out(command_id="command-2", changes={"active": True})
    assert setup.carry_out(changes={"name": "A"}) == outcome_of("product-not-found")
    assert setup.store.products["PROD-001"] == product(version=2, updated_at=NOW)


class FailingStore(FakeProductStore):
    """A store that fails before it writes."""

    def __init__(self, error: ProductServiceException) -> None:
        super().__init__()
        self.error = error

    def update_by(self, *_: object) -> Outcome:
        raise self.error


@pytest.mark.parametrize("error", [DependencyUnavailableException(), InternalException()])
def test_failure_of_store_is_no_outcome(error: ProductServiceException) -> None:
    setup = Setup(FailingStore(error))
    with pytest.raises(type(error)):
        setup.carry_out(changes={"name": "N"})
    assert setup.store.outcomes == {}


def test_command_knows_its_operation() -> None:
    def operation(**fields: Any) -> str:
        found: Command = command(**fields)
        return found.operation

    assert operation() == "delete"
    assert operation(changes={"name": "N"}) == "update"
    assert operation(draft=draft()) == "create"
