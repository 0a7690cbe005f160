"""Every item that the repository writes fits schemas/products.schema.json."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from product_lambda.models.product import IdempotencyRecord
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductTable
from product_tools.repository import REPOSITORY
from tests.support.events import API_KEY_ID, Functions, gateway_event
from tests.support.factory import product_body
from tests.support.products import acceptance, outcome, product

type RawItem = Callable[[ProductTable, str], dict[str, Any]]

SCHEMA = json.loads((REPOSITORY / "schemas/products.schema.json").read_text())["item"]
VALIDATOR = Draft202012Validator(SCHEMA)
LATER = "2026-03-01T00:00:00.000000Z"
ITEM = {
    "PK": {"S": "PRODUCT#PROD-001"},
    "SK": {"S": "METADATA"},
    "productId": {"S": "PROD-001"},
    "name": {"S": "Basic"},
    "description": {"S": "One site with up to five pages."},
    "price": {"N": "19.99"},
    "setupFee": {"N": "1500"},
    "currency": {"S": "ZAR"},
    "period": {"S": "yearly"},
    "features": {"L": [{"S": "Five pages"}, {"S": "Contact form"}]},
    "active": {"S": "true"},
    "nameKey": {"S": "basic"},
    "version": {"N": "1"},
    "createdAt": {"S": "2026-01-31T09:30:00.123456Z"},
    "updatedAt": {"S": "2026-01-31T09:30:00.123456Z"},
    "updatedBy": {"S": "key-of-ann"},
}


@pytest.fixture
def repository(table: ProductTable) -> CommandRepository:
    return CommandRepository(table, Deadline(60))


def test_inserted_product_fits_schema(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    VALIDATOR.validate(ITEM)
    repository.insert(product(), "key-of-ann")
    assert raw_item(table, "PRODUCT#PROD-001") == ITEM


def test_product_without_setup_fee_has_no_attribute(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    repository.insert(product(setup_fee=None), "key-of-ann")
    item = raw_item(table, "PRODUCT#PROD-001")
    assert item == {name: value for name, value in ITEM.items() if name != "setupFee"}
    VALIDATOR.validate(item)


def test_changed_product_fits_schema(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    repository.insert(product(), "key-of-ann")
    changes = {"price": Decimal("0.1"), "setupFee": None, "features": ["One"]}
    repository.update("PROD-001", changes, None, "key-of-bob", lambda: LATER)
    item = raw_item(table, "PRODUCT#PROD-001")
    VALIDATOR.validate(item)
    expected = ITEM | {
        "price": {"N": "0.1"},
        "features": {"L": [{"S": "One"}]},
        "version": {"N": "2"},
        "updatedAt": {"S": LATER},
        "updatedBy": {"S": "key-of-bob"},
    }
    assert item == {name: value for name, value in expected.items() if name != "setupFee"}


def test_deactivated_product_fits_schema(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    repository.insert(product(), "key-of-ann")
    repository.deactivate("PROD-001", None, "key-of-bob", lambda: LATER)
    item = raw_item(table, "PRODUCT#PROD-001")
    VALIDATOR.validate(item)
    assert item == ITEM | {
        "active": {"S": "false"},
        "version": {"N": "2"},
        "updatedAt": {"S": LATER},
        "updatedBy": {"S": "key-of-bob"},
    }


def test_restored_and_renamed_product_fits_schema(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    repository.insert(product(active=False), "key-of-ann")
    changes = {"active": True, "name": "ÉLITE"}
    repository.update("PROD-001", changes, None, "key-of-bob", lambda: LATER)
    item = raw_item(table, "PRODUCT#PROD-001")
    VALIDATOR.validate(item)
    assert item == ITEM | {
        "name": {"S": "ÉLITE"},
        "nameKey": {"S": "élite"},
        "version": {"N": "2"},
        "updatedAt": {"S": LATER},
        "updatedBy": {"S": "key-of-bob"},
    }


def test_counter_fits_schema(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    repository.advance_number(3)
    item = raw_item(table, "COUNTER#PRODUCT")
    VALIDATOR.validate(item)
    key = {"PK": {"S": "COUNTER#PRODUCT"}, "SK": {"S": "METADATA"}}
    assert item == {**key, "number": {"N": "3"}}


def test_record_fits_schema(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    record = IdempotencyRecord("a" * 64, "b" * 64, product(), 2000)
    repository.insert_once(product(), "key-of-ann", record, 1000)
    item = raw_item(table, f"IDEMPOTENCY#{'a' * 64}")
    VALIDATOR.validate(item)
    response = json.loads(item.pop("answer")["S"], parse_float=Decimal)
    assert response == product().representation()
    assert item == {
        "PK": {"S": f"IDEMPOTENCY#{'a' * 64}"},
        "SK": {"S": "METADATA"},
        "productId": {"S": "PROD-001"},
        "fingerprint": {"S": "b" * 64},
        "expiresAt": {"N": "2000"},
    }
    assert raw_item(table, "PRODUCT#PROD-001") == ITEM


def test_acceptance_fits_schema(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    repository.accept(acceptance(), "a" * 64, 1000)
    item = raw_item(table, f"IDEMPOTENCY#{'d' * 64}")
    VALIDATOR.validate(item)
    assert item == {
        "PK": {"S": f"IDEMPOTENCY#{'d' * 64}"},
        "SK": {"S": "METADATA"},
        "productId": {"S": "PROD-001"},
        "fingerprint": {"S": "b" * 64},
        "requestId": {"S": "request-1"},
        "commandId": {"S": "command-1"},
        "expiresAt": {"N": "2000"},
    }


@pytest.mark.parametrize(
    ("problem", "attributes"),
    [(None, {}), ("duplicate-product", {"problem": {"S": "duplicate-product"}})],
)
def test_outcome_fits_schema(
    repository: CommandRepository,
    table: ProductTable,
    raw_item: RawItem,
    problem: str | None,
    attributes: dict[str, Any],
) -> None:
    repository.decide(outcome(problem=problem))
    item = raw_item(table, f"IDEMPOTENCY#{'e' * 64}")
    VALIDATOR.validate(item)
    assert item == {
        "PK": {"S": f"IDEMPOTENCY#{'e' * 64}"},
        "SK": {"S": "METADATA"},
        "productId": {"S": "PROD-001"},
        "expiresAt": {"N": "3000"},
        **attributes,
    }


def test_product_of_command_fits_schema(
    repository: CommandRepository, table: ProductTable, raw_item: RawItem
) -> None:
    repository.insert_by(outcome(), product(), "key-of-ann", None, 1000)
    assert raw_item(table, "PRODUCT#PROD-001") == ITEM


def test_items_of_functions_fit_schema(
    functions_on_table: Functions, table: ProductTable, raw_item: RawItem
) -> None:
    created = functions_on_table.create(product_body(), {"Idempotency-Key": "a-key"})
    assert created.status == 201
    item = raw_item(table, "PRODUCT#PROD-001")
    VALIDATOR.validate(item)
    VALIDATOR.validate(raw_item(table, "COUNTER#PRODUCT"))
    assert item["updatedBy"] == {"S": API_KEY_ID}
    assert "updatedBy" not in created.json()


def test_updated_by_is_key_of_last_writer(
    functions_on_table: Functions, table: ProductTable, raw_item: RawItem
) -> None:
    """The emulator's API Gateway sends no key id, so no end-to-end test shows this."""
    assert functions_on_table.create(product_body()).status == 201
    change = gateway_event(product_id="PROD-001", body='{"price": 5}')
    change["requestContext"]["identity"]["apiKeyId"] = "key-of-bob"
    assert functions_on_table.call("update_product", change).status == 200
    assert raw_item(table, "PRODUCT#PROD-001")["updatedBy"] == {"S": "key-of-bob"}


@pytest.mark.parametrize(
    "changes",
    [
        {"price": {"S": "19.99"}},
        {"price": {"N": "0"}},
        {"active": {"BOOL": True}},
        {"createdAt": {"S": "2026-01-31T09:30:00Z"}},
        {"version": {"N": "0"}},
        {"expiresAt": {"N": "1"}},
    ],
)
def test_schema_rejects_other_items(changes: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(ITEM | changes)
