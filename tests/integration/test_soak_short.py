"""A short soak test: a few thousand operations while DynamoDB fails; `make soak` runs many more."""

from collections.abc import Iterator

import pytest

from local.engine import REGION
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import (
    ProductRepository,
    ProductTable,
    open_table,
)
from tests.soak.run import ClientRecords, FaultInjector, ProductRecord, differences, soak
from tests.support.events import Functions
from tests.support.faulty_dynamodb import faulty_dynamodb
from tests.support.products import product

SEED = 20_260_131
CLIENTS = 8
OPERATIONS = 3000


@pytest.fixture
def repository(table: ProductTable) -> ProductRepository:
    """A repository that reads the table without faults."""
    return ProductRepository(table, Deadline(600))


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


@pytest.mark.timeout(300)
def test_table_equals_client_records_after_faults(
    functions_with_faults: Functions, repository: ProductRepository, injector: FaultInjector
) -> None:
    records = soak(functions_with_faults, OPERATIONS, CLIENTS, SEED)

    assert differences(records, repository) == []
    confirmed = sum(len(record.confirmed) for record in records.products.values())
    assert confirmed > OPERATIONS / 4
    assert len(records.products) > OPERATIONS / 10
    for fault in ("passed on", "throttled", "reset", "truncated"):
        assert injector.injected[fault]
    assert any(" 503" in status for status in records.statuses)


def records_of(**fields: object) -> ClientRecords:
    return ClientRecords({"PROD-001": ProductRecord(**fields)})  # type: ignore[arg-type]


def test_equal_record_has_no_differences(repository: ProductRepository) -> None:
    repository.insert(product(description="Changes: aa bb", version=3), "an-author")

    assert differences(records_of(confirmed={"aa", "bb"}), repository) == []


def test_uncertain_change_may_be_stored(repository: ProductRepository) -> None:
    repository.insert(product(description="Changes: aa", version=3, active=False), "an-author")

    assert differences(records_of(uncertain={"aa", "bb"}, deleted=True), repository) == []


@pytest.mark.parametrize(
    ("stored", "recorded", "difference"),
    [
        ({"description": "Changes:"}, {"confirmed": {"aa"}}, "lost 1 changes"),
        ({"description": "Changes: aa aa", "version": 3}, {"confirmed": {"aa"}}, "a change twice"),
        ({"description": "Changes: aa", "version": 2}, {}, "that no client knows"),
        ({"description": "Changes: aa", "version": 3}, {"confirmed": {"aa"}}, "has version 3"),
        ({"description": "Changes:", "version": 2}, {"deleted": True}, "active, unlike"),
        ({"description": "Changes:", "active": False}, {}, "deleted, unlike"),
        ({"product_id": "PROD-002", "description": "Changes:"}, {}, "PROD-001 was lost"),
        (
            {"product_id": "PROD-002", "description": "Changes:"},
            {},
            "PROD-002 is in the list, but no client knows it",
        ),
    ],
    ids=[
        "lost change",
        "repeated change",
        "unknown change",
        "version",
        "not deleted",
        "deleted",
        "lost product",
        "unknown product",
    ],
)
def test_difference_is_reported(
    repository: ProductRepository,
    stored: dict[str, object],
    recorded: dict[str, object],
    difference: str,
) -> None:
    repository.insert(product(**stored), "an-author")  # type: ignore[arg-type]

    assert difference in " ".join(differences(records_of(**recorded), repository))


def test_two_products_for_one_key_are_reported(repository: ProductRepository) -> None:
    for product_id in ("PROD-001", "PROD-002"):
        repository.insert(product(product_id, name="one key", description="Changes:"), "an-author")
    records = ClientRecords({"PROD-001": ProductRecord(), "PROD-002": ProductRecord()})

    assert differences(records, repository) == ["2 products exist for one key."]
