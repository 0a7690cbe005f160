"""A short soak test: a few thousand operations, with and without faults of DynamoDB.

`make soak` runs many more. Broken stores show that the judgement of a run detects what it should.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from local.engine import REGION
from product_lambda.models.product import IdempotencyRecord, Product
from product_lambda.repositories.product_repository import ProductTable, open_table
from tests.integration.conftest import LONG_DEADLINE_SECONDS, MAX_RESPONSE_SECONDS
from tests.soak.clients import ClientRecords, ContractViolation, ProductRecord, soak
from tests.soak.linearizability import Operation
from tests.soak.product_model import Create, Fields, Response
from tests.soak.run import (
    FaultInjector,
    Figures,
    description_of_violation,
    differences,
    inspect_products,
    judge,
    listed_products,
    products_without_order,
    stored_products,
    summary_of,
)
from tests.support.events import Functions
from tests.support.fakes import FakeProductStore
from tests.support.faulty_dynamodb import faulty_dynamodb
from tests.support.products import product

SEED = 20_260_131
CLIENTS = 8
OPERATIONS = 3000
OPERATIONS_WITHOUT_FAULTS = 2000


def judged(records: ClientRecords, table: ProductTable) -> tuple[list[str], list[str]]:
    """Return the differences of a table, and the products whose histories have no order."""
    stored = stored_products(table)
    inspect_products(records, stored)
    found = differences(records, list(listed_products(table)), stored)
    return found, products_without_order(records)


@pytest.fixture
def injector() -> FaultInjector:
    return FaultInjector(SEED)


@pytest.fixture
def functions_with_faults(
    engine: str,
    table: ProductTable,
    functions_on_table: Functions,
    injector: FaultInjector,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Functions]:
    with faulty_dynamodb(engine, injector.handle) as proxy:
        proxied = open_table(table.name, REGION, proxy.endpoint_url)
        monkeypatch.setattr("product_lambda.handlers.entry.TABLE", proxied)
        yield functions_on_table


@pytest.mark.usefixtures("real_time_outs")  # a fault may send no response
@pytest.mark.timeout(300)
def test_soak_with_faults_is_linearizable_and_loses_nothing(
    functions_with_faults: Functions, table: ProductTable, injector: FaultInjector
) -> None:
    records = soak(
        functions_with_faults, OPERATIONS, CLIENTS, SEED, max_seconds=MAX_RESPONSE_SECONDS
    )

    assert judged(records, table) == ([], [])
    figures = require_busy(records, OPERATIONS)
    assert figures.uncertain > 0
    for fault in ("passed on", "throttled", "reset", "truncated"):
        assert injector.injected[fault]
    assert any(" 503" in status for status in records.statuses)


@pytest.mark.timeout(300)
def test_soak_without_faults_is_linearizable_and_loses_nothing(
    functions_on_table: Functions, table: ProductTable
) -> None:
    records = soak(
        functions_on_table,
        OPERATIONS_WITHOUT_FAULTS,
        CLIENTS,
        SEED,
        max_seconds=LONG_DEADLINE_SECONDS,
    )

    assert judged(records, table) == ([], [])
    figures = require_busy(records, OPERATIONS_WITHOUT_FAULTS)
    assert figures.uncertain == 0


def require_busy(records: ClientRecords, operations: int) -> Figures:
    """Require that a run has shared its products and got all statuses; return its figures."""
    figures = Figures()
    figures.add(records)
    assert figures.operations >= operations
    assert figures.changes > operations / 5
    assert figures.products > operations / 60
    assert figures.replays > operations / 200
    assert figures.concurrent > 1
    assert {
        "create 201",
        "create 409",
        "delete 204",
        "get 200",
        "get 304",
        "get 404",
        "list 200",
        "update 200",
        "update 404",
        "update 412",
    } <= records.statuses.keys()
    return figures


# Stores that break the contract


class RarelyBrokenStore(FakeProductStore):
    """A store in memory whose every tenth request of one kind goes wrong."""

    def __init__(self) -> None:
        super().__init__()
        self._requests = 0

    def goes_wrong(self) -> bool:
        """Count a request, and return whether it goes wrong."""
        with self._lock:
            self._requests += 1
            return self._requests % 10 == 0


class StaleReads(RarelyBrokenStore):
    """Some reads return the product as it was before the last change."""

    def __init__(self) -> None:
        super().__init__()
        self._earlier: dict[str, Product] = {}

    def get(self, product_id: str) -> Product | None:
        return self._earlier.get(product_id) if self.goes_wrong() else super().get(product_id)

    def update(self, product_id: str, *arguments: Any, **named: Any) -> Product:
        with self._lock:
            earlier = super().get(product_id)
            changed = super().update(product_id, *arguments, **named)
            if earlier:
                self._earlier[product_id] = earlier
            return changed


class LostUpdates(RarelyBrokenStore):
    """Some confirmed updates are not stored."""

    def update(self, product_id: str, *arguments: Any, **named: Any) -> Product:
        with self._lock:
            earlier = super().get(product_id)
            changed = super().update(product_id, *arguments, **named)
            if earlier and self.goes_wrong():
                self.products[product_id] = earlier
            return changed


class RepeatedUpdates(RarelyBrokenStore):
    """Some updates are executed twice."""

    def update(self, product_id: str, *arguments: Any, **named: Any) -> Product:
        with self._lock:
            changed = super().update(product_id, *arguments, **named)
            if self.goes_wrong():
                changes, _, author, now = arguments
                super().update(product_id, changes, None, author, now)
            return changed


class IgnoredPreconditions(RarelyBrokenStore):
    """Updates are executed although the product has another entity tag."""

    def update(self, product_id: str, *arguments: Any, **named: Any) -> Product:
        changes, _, author, now = arguments
        return super().update(product_id, changes, None, author, now, **named)


class RevivedProducts(RarelyBrokenStore):
    """Some deleted products come back."""

    def deactivate(self, product_id: str, *arguments: Any, **named: Any) -> None:
        with self._lock:
            earlier = super().get(product_id)
            super().deactivate(product_id, *arguments, **named)
            if earlier and self.goes_wrong():
                self.products[product_id] = earlier


class OverwritingCreations(RarelyBrokenStore):
    """A creation replaces an existing product with the same id."""

    def insert(self, product: Product, author: str) -> None:
        with self._lock:
            self.products.pop(product.product_id, None)
            super().insert(product, author)


class ForgottenKeys(FakeProductStore):
    """A creation stores no idempotency record."""

    def find_record(self, key_hash: str) -> IdempotencyRecord | None:
        self.records.pop(key_hash, None)
        return None


def soak_in_memory(
    store: FakeProductStore, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> ClientRecords:
    """Run the clients on a store in memory, and inspect its products."""
    monkeypatch.setattr("product_lambda.handlers.entry.ProductRepository", lambda *_: store)
    records = soak(functions, 800, CLIENTS, SEED, max_seconds=LONG_DEADLINE_SECONDS)
    inspect_products(records, store.products)
    return records


def test_soak_of_correct_store_is_linearizable(
    imported_functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = soak_in_memory(FakeProductStore(), imported_functions, monkeypatch)

    assert products_without_order(records) == []


@pytest.mark.parametrize(
    "broken_store",
    [
        StaleReads,
        LostUpdates,
        RepeatedUpdates,
        IgnoredPreconditions,
        RevivedProducts,
        OverwritingCreations,
    ],
)
def test_soak_of_broken_store_shows_violation(
    imported_functions: Functions,
    monkeypatch: pytest.MonkeyPatch,
    broken_store: Callable[[], FakeProductStore],
) -> None:
    records = soak_in_memory(broken_store(), imported_functions, monkeypatch)

    found = products_without_order(records)
    assert found
    lines = description_of_violation(records, found[0]).splitlines()
    assert lines[0] == f"{found[0]} is not linearizable: no order explains these responses."
    assert 4 <= len(lines) <= 3 + len(records.histories[found[0]])


def test_soak_of_store_without_keys_shows_second_product(
    imported_functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ContractViolation, match=r"create of PROD-\d+ returned PROD-\d+"):
        soak_in_memory(ForgottenKeys(), imported_functions, monkeypatch)


def test_violation_is_printed_and_fails_run(
    table: ProductTable, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = Fields("name", "Changes:", Decimal(5))
    created = Response(201, 1, '"tag"', fields)
    records = ClientRecords(
        histories={"PROD-001": [Operation(1, 1_000_000, 3_500_000, Create(fields), created)]}
    )
    figures = Figures()

    judge(records, table, figures)

    assert figures.shows_error
    assert figures.violations == 1
    output = capsys.readouterr().out
    assert "PROD-001 is not linearizable" in output
    assert "stored item -> 404" in output


def test_run_without_error_prints_nothing(
    table: ProductTable, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = Figures()

    judge(ClientRecords(), table, figures)

    assert not figures.shows_error
    assert capsys.readouterr().out == ""


def test_summary_of_large_run_fits_into_document() -> None:
    figures = Figures(
        operations=2_000_016,
        uncertain=60_123,
        histories=123_456,
        longest=1_234,
        concurrent=16,
        products=123_455,
        changes=571_234,
        replays=39_123,
    )

    lines = summary_of(figures, clients=16, seed=999_999, seconds=4155.4).splitlines()

    assert max(map(len, lines)) <= 100
    assert lines[1] == "- 60,123 of them with an unknown outcome; the run took 4,155 seconds"
    assert lines[4:] == [
        "- **0 violations** of linearizability",
        "- **0 differences** between the records of the clients and the table",
    ]


# Differences between the table and the records


def records_of(**fields: object) -> ClientRecords:
    return ClientRecords({"PROD-001": ProductRecord(**fields)})  # type: ignore[arg-type]


def differences_of(records: ClientRecords, stored: Sequence[Product]) -> list[str]:
    active = [each for each in stored if each.active]
    return differences(records, active, {each.product_id: each for each in stored})


def test_equal_record_has_no_differences() -> None:
    stored = product(description="Changes: aa bb", version=3)

    assert differences_of(records_of(confirmed={"aa", "bb"}), [stored]) == []


def test_uncertain_change_may_be_stored() -> None:
    stored = product(description="Changes: aa", version=3, active=False)

    assert differences_of(records_of(uncertain={"aa", "bb"}, deleted=True), [stored]) == []


@pytest.mark.parametrize("version", [3, 4, 5])
def test_uncertain_prices_may_be_stored(version: int) -> None:
    stored = product(description="Changes: aa", version=version)
    records = records_of(confirmed={"aa"}, prices=1, uncertain_prices=2)

    assert differences_of(records, [stored]) == []


def test_id_without_product_needs_no_item() -> None:
    assert differences_of(records_of(exists=False), []) == []


@pytest.mark.parametrize(
    ("stored", "recorded", "difference"),
    [
        ({"description": "Changes:"}, {"confirmed": {"aa"}}, "lost 1 changes"),
        ({"description": "Changes: aa aa", "version": 3}, {"confirmed": {"aa"}}, "a change twice"),
        ({"description": "Changes: aa", "version": 2}, {}, "that no client knows"),
        ({"description": "Changes: aa", "version": 3}, {"confirmed": {"aa"}}, "has version 3"),
        ({"description": "Changes:"}, {"prices": 1}, "has version 1 after 1 changes"),
        ({"description": "Changes:", "version": 3}, {"uncertain_prices": 1}, "has version 3"),
        ({"description": "Changes:", "version": 2}, {"deleted": True}, "active, unlike"),
        ({"description": "Changes:", "active": False}, {}, "deleted, unlike"),
        ({"product_id": "PROD-002", "description": "Changes:"}, {}, "PROD-001 was lost"),
        (
            {"product_id": "PROD-002", "description": "Changes:"},
            {},
            "PROD-002 is in the list, but no client knows it",
        ),
        (
            {"product_id": "PROD-002", "description": "Changes:", "active": False},
            {},
            "PROD-002 is stored, but no client knows it",
        ),
        ({"description": "Changes:", "active": False}, {}, "PROD-001 is missing from the list"),
    ],
    ids=[
        "lost change",
        "repeated change",
        "unknown change",
        "version",
        "lost price",
        "unknown price",
        "not deleted",
        "deleted",
        "lost product",
        "unknown product",
        "unknown deleted product",
        "not in list",
    ],
)
def test_difference_is_reported(
    stored: dict[str, object], recorded: dict[str, object], difference: str
) -> None:
    found = differences_of(records_of(**recorded), [product(**stored)])  # type: ignore[arg-type]

    assert difference in " ".join(found)


def test_two_products_for_one_key_are_reported() -> None:
    stored = [
        product(product_id, name="one key", description="Changes:")
        for product_id in ("PROD-001", "PROD-002")
    ]
    records = ClientRecords({"PROD-001": ProductRecord(), "PROD-002": ProductRecord()})

    assert differences_of(records, stored) == ["2 products exist for one key."]


def test_table_is_read_with_deleted_products(
    table: ProductTable, functions_on_table: Functions
) -> None:
    body = {"name": "n", "description": "d", "price": 19.99, "period": "yearly", "features": ["f"]}
    for product_id in ("PROD-001", "PROD-002"):
        functions_on_table.create({**body, "productId": product_id})
    functions_on_table.delete("PROD-001")

    stored = stored_products(table)

    assert {name: each.active for name, each in stored.items()} == {
        "PROD-001": False,
        "PROD-002": True,
    }
    assert [each.product_id for each in listed_products(table)] == ["PROD-002"]
