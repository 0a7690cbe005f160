"""A few thousand operations through bad weather; `make soak` does many more."""

from collections.abc import Iterator

import pytest

from local.engine import REGION
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import (
    ProductRepository,
    ProductTable,
    open_table,
)
from tests.soak.run import Ledger, Record, Weather, differences, soak
from tests.support.events import Functions
from tests.support.faulty_dynamodb import faulty_dynamodb
from tests.support.products import product

SEED = 20_260_131
CLIENTS = 8
OPERATIONS = 3000


@pytest.fixture
def behind(table: ProductTable) -> ProductRepository:
    """The catalogue, past the proxy."""
    return ProductRepository(table, Deadline(600))


@pytest.fixture
def weather() -> Weather:
    return Weather(SEED)


@pytest.fixture
def functions_in_the_weather(
    engine: str,
    table: ProductTable,
    functions_on_table: Functions,
    weather: Weather,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Functions]:
    with faulty_dynamodb(engine, weather.strike) as proxy:
        proxied = open_table(table.name, REGION, proxy.endpoint_url)
        monkeypatch.setattr("product_lambda.handlers.entry.TABLE", proxied)
        yield functions_on_table


@pytest.mark.timeout(300)
def test_clients_and_catalogue_agree_after_thousands_of_operations_through_faults(
    functions_in_the_weather: Functions, behind: ProductRepository, weather: Weather
) -> None:
    ledger = soak(functions_in_the_weather, OPERATIONS, CLIENTS, SEED)

    assert differences(ledger, behind) == []
    confirmed = sum(len(record.tokens) for record in ledger.products.values())
    assert confirmed > OPERATIONS / 4
    assert len(ledger.products) > OPERATIONS / 10
    assert all(weather.seen[fault] for fault in ("passed on", "throttled", "reset", "truncated"))
    assert any(" 503" in status for status in ledger.statuses)


def ledger_of(**members: object) -> Ledger:
    return Ledger({"PROD-001": Record(**members)})  # type: ignore[arg-type]


def test_a_record_that_agrees_has_no_differences(behind: ProductRepository) -> None:
    behind.insert(product(description="Changes: aa bb", version=3), "an-author")

    assert differences(ledger_of(tokens={"aa", "bb"}), behind) == []


def test_a_change_that_nobody_could_confirm_may_have_happened(behind: ProductRepository) -> None:
    behind.insert(product(description="Changes: aa", version=3, active=False), "an-author")

    assert differences(ledger_of(uncertain={"aa", "bb"}, deleted=True), behind) == []


@pytest.mark.parametrize(
    ("stored", "known", "said"),
    [
        ({"description": "Changes:"}, {"tokens": {"aa"}}, "lost 1 changes"),
        ({"description": "Changes: aa aa", "version": 3}, {"tokens": {"aa"}}, "a change twice"),
        ({"description": "Changes: aa", "version": 2}, {}, "that no client knows"),
        ({"description": "Changes: aa", "version": 3}, {"tokens": {"aa"}}, "counts 3"),
        ({"description": "Changes:", "version": 2}, {"deleted": True}, "active, wrongly"),
        ({"description": "Changes:", "active": False}, {}, "deleted, wrongly"),
        ({"product_id": "PROD-002", "description": "Changes:"}, {}, "PROD-001 was lost"),
        (
            {"product_id": "PROD-002", "description": "Changes:"},
            {},
            "PROD-002 is in the list, and no client knows it",
        ),
    ],
)
def test_a_catalogue_that_disagrees_is_noticed(
    behind: ProductRepository, stored: dict[str, object], known: dict[str, object], said: str
) -> None:
    behind.insert(product(**stored), "an-author")  # type: ignore[arg-type]

    assert said in " ".join(differences(ledger_of(**known), behind))


def test_two_products_for_one_key_are_noticed(behind: ProductRepository) -> None:
    for product_id in ("PROD-001", "PROD-002"):
        behind.insert(product(product_id, name="one key", description="Changes:"), "an-author")
    ledger = Ledger({"PROD-001": Record(), "PROD-002": Record()})

    assert differences(ledger, behind) == ["2 products were made for one key."]
