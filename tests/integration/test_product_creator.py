"""The function that carries out commands: batches, repeated deliveries, a DynamoDB that fails."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from local.engine import REGION
from product_lambda.models.command import Command
from product_lambda.models.product import Product, Revision
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.items import product_in, product_key
from product_lambda.repositories.product_repository import ProductTable, open_table
from tests.support import faulty_dynamodb as faults
from tests.support.command_batches import Context, batch_of, failed_in, message
from tests.support.faulty_dynamodb import Fault, FaultyDynamoDB, faulty_dynamodb
from tests.support.products import CREATED_AT, command, draft, product
from tests.support.raw_items import dynamodb, raw_product

EXPECTED = frozenset({Revision(1, CREATED_AT)})
OTHER = frozenset({Revision(7, CREATED_AT)})


type Deliver = Callable[..., list[str]]
"""Gives a batch of commands to the function, and returns the ids of those that failed."""


@pytest.fixture
def deliver(
    product_creator: ModuleType, table: ProductTable, monkeypatch: pytest.MonkeyPatch
) -> Deliver:
    """The function on an empty table."""
    monkeypatch.setattr(product_creator, "TABLE", table)

    def deliver(*commands: Command) -> list[str]:
        return failed_in(product_creator.handler(batch_of(commands), Context()))

    return deliver


@pytest.fixture
def proxy(
    engine: str,
    product_creator: ModuleType,
    deliver: Deliver,  # noqa: ARG001 (it puts the function on the table first)
    table: ProductTable,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultyDynamoDB]:
    """A faulty server between the function and its table."""
    with faulty_dynamodb(engine) as server:
        through = open_table(table.name, REGION, server.endpoint_url)
        monkeypatch.setattr(product_creator, "TABLE", through)
        yield server


@pytest.fixture
def stored(table: ProductTable) -> CommandRepository:
    return CommandRepository(table, Deadline(60))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[dict[str, Any]]]:
    """The log records with a message, as their fields."""
    caplog.set_level("INFO", "product_lambda")

    def found(text: str) -> list[dict[str, Any]]:
        return [vars(record) for record in caplog.records if record.message == text]

    return found


def creation(product_id: str, number: int = 1, **fields: Any) -> Command:
    return command(
        command_id=f"{product_id}-create-{number}",
        product_id=product_id,
        draft=draft(product_id=product_id, **fields),
    )


def update(number: int, product_id: str = "PROD-001", **fields: Any) -> Command:
    changes = fields.pop("changes", {"name": f"name {number}"})
    return command(
        command_id=f"{product_id}-{number}", product_id=product_id, changes=changes, **fields
    )


def deletion(number: int, product_id: str = "PROD-001", **fields: Any) -> Command:
    return command(command_id=f"{product_id}-{number}", product_id=product_id, **fields)


def state_of(stored: CommandRepository, product_id: str = "PROD-001") -> Product:
    """Return the product in the table, active or not."""
    item = stored._item(product_key(product_id))
    assert item is not None
    return product_in(item)


def test_commands_are_carried_out_in_order(
    deliver: Deliver, stored: CommandRepository, lines: Callable[[str], list[dict[str, Any]]]
) -> None:
    commands = [
        creation("PROD-001", price=Decimal("0.1")),
        update(1),
        deletion(2),
        update(3, changes={"active": True, "price": Decimal("19.99")}),
    ]
    assert deliver(*commands) == []
    found = state_of(stored)
    assert (found.name, found.price, found.active) == ("name 1", Decimal("19.99"), True)
    assert found.version == 4
    assert [
        (line["operation"], line["command_id"], line["product_id"], line["request_id"])
        for line in lines("command carried out")
    ] == [(each.operation, each.command_id, "PROD-001", "request-1") for each in commands]


def test_author_of_request_is_stored(deliver: Deliver, stored: CommandRepository) -> None:
    def author() -> object:
        item = stored._item(product_key("PROD-001"))
        assert item is not None
        return item["updatedBy"]

    deliver(creation("PROD-001"))
    assert author() == "key-of-ann"
    deliver(update(1, author="key-of-bob"))
    assert author() == "key-of-bob"
    deliver(deletion(2, author="key-of-eve"))
    assert author() == "key-of-eve"


def test_repeated_batch_changes_nothing(deliver: Deliver, stored: CommandRepository) -> None:
    batch = [creation("PROD-001"), update(1), deletion(2), update(3, changes={"active": True})]
    assert deliver(*batch) == []
    before = state_of(stored)
    for _ in range(2):
        assert deliver(*batch) == []
    assert state_of(stored) == before


def test_repeated_deletion_of_deleted_product_keeps_restored_one(
    deliver: Deliver, stored: CommandRepository
) -> None:
    stored.insert(product(active=False), "author")
    batch = [deletion(1), update(2, changes={"active": True})]
    deliver(*batch)
    deliver(*batch)
    assert state_of(stored).active
    assert state_of(stored).version == 2


REJECTED: dict[str, tuple[str, Command]] = {
    "taken id": ("duplicate-product", creation("PROD-001")),
    "missing product": ("product-not-found", update(1, "PROD-404")),
    "deletion of missing product": ("product-not-found", deletion(1, "PROD-404")),
    "other version": ("precondition-failed", update(1, expected=OTHER)),
    "deletion of other version": ("precondition-failed", deletion(1, expected=OTHER)),
}


@pytest.mark.parametrize(("problem", "rejected"), REJECTED.values(), ids=REJECTED.keys())
def test_rejected_command_is_logged_and_not_retried(
    deliver: Deliver,
    stored: CommandRepository,
    lines: Callable[[str], list[dict[str, Any]]],
    problem: str,
    rejected: Command,
) -> None:
    stored.insert(product(), "author")
    after = update(9)
    assert deliver(rejected, after) == []
    (line,) = lines("command rejected")
    assert line["levelname"] == "ERROR"
    assert (line["product_id"], line["command_id"], line["problem"]) == (
        rejected.product_id,
        rejected.command_id,
        problem,
    )
    assert [line["command_id"] for line in lines("command carried out")] == [after.command_id]
    assert state_of(stored).name == "name 9"


def test_rejected_command_stays_rejected(deliver: Deliver, stored: CommandRepository) -> None:
    stored.insert(product(active=False), "author")
    batch = [update(1), update(2, changes={"active": True})]
    deliver(*batch)
    deliver(*batch)
    assert state_of(stored).name == "Basic"
    assert state_of(stored).version == 2


def test_key_of_other_creation_is_rejected(
    deliver: Deliver, lines: Callable[[str], list[dict[str, Any]]]
) -> None:
    keyed: dict[str, Any] = {"key_hash": "a" * 64, "fingerprint": "b" * 64}
    deliver(creation("PROD-001")._replace(**keyed))
    deliver(creation("PROD-002")._replace(**keyed))
    assert [line["problem"] for line in lines("command rejected")] == ["idempotency-key-reused"]


# Messages that are no commands

NO_COMMAND = [
    "",
    "{}",
    "not JSON",
    update(1).message().replace('"commandVersion":1', '"commandVersion":2'),
]


@pytest.mark.parametrize("body", NO_COMMAND)
def test_unknown_message_fails_and_holds_its_product_only(
    product_creator: ModuleType,
    deliver: Deliver,  # noqa: ARG001 (it puts the function on the table)
    stored: CommandRepository,
    lines: Callable[[str], list[dict[str, Any]]],
    body: str,
) -> None:
    batch = batch_of([creation("PROD-001"), update(1), creation("PROD-002")])
    batch["Records"].insert(1, message("unknown", "PROD-001", body))
    failed = failed_in(product_creator.handler(batch, Context()))
    assert failed == ["unknown", "PROD-001-1"]
    assert state_of(stored).name == "Basic"
    assert stored.get("PROD-002") is not None
    assert [line["message_id"] for line in lines("command not carried out")] == ["unknown"]
    assert lines("command rejected") == []


def test_unreadable_item_fails_and_is_not_rejected(
    engine: str, deliver: Deliver, table: ProductTable, stored: CommandRepository
) -> None:
    item = raw_product("PROD-001", price={"N": "-5"})
    dynamodb(engine).put_item(TableName=table.name, Item=item)
    assert deliver(update(1)) == ["PROD-001-1"]
    repair = update(2, changes={"price": Decimal(5)})
    assert deliver(update(1), repair) == ["PROD-001-1", "PROD-001-2"]
    assert deliver(repair) == []
    assert deliver(update(1)) == []
    assert state_of(stored).name == "name 1"


@pytest.mark.parametrize("version", [{"S": "1"}, {"N": "1.5"}, {"BOOL": True}, {"L": []}, None])
def test_unreadable_item_is_deleted(
    engine: str, deliver: Deliver, table: ProductTable, version: dict[str, Any] | None
) -> None:
    client = dynamodb(engine)
    item = raw_product("PROD-001", version=version)
    client.put_item(TableName=table.name, Item=item)
    assert deliver(deletion(1)) == []
    key = {"PK": {"S": "PRODUCT#PROD-001"}, "SK": {"S": "METADATA"}}
    after = client.get_item(TableName=table.name, Key=key)["Item"]
    assert after["active"] == {"S": "false"}
    assert "N" in after["version"]


# A DynamoDB that fails

LOST: dict[str, Fault] = {
    "throttled": faults.error_response("ThrottlingException"),
    "throughput exceeded": faults.error_response("ProvisionedThroughputExceededException"),
    "internal server error": faults.error_response("InternalServerError", status=500),
    "reset": faults.reset,
    "transaction conflict": faults.cancelled_transaction("None", "TransactionConflict"),
}
COMMANDS: dict[str, Command] = {
    "create": creation("PROD-002"),
    "create with key": creation("PROD-002")._replace(key_hash="a" * 64, fingerprint="b" * 64),
    "update": update(1, expected=EXPECTED),
    "delete": deletion(1, expected=EXPECTED),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("fault", LOST.values(), ids=LOST.keys())
def test_command_that_meets_failing_dynamodb_is_tried_again(
    proxy: FaultyDynamoDB, deliver: Deliver, stored: CommandRepository, name: str, fault: Fault
) -> None:
    stored.insert(product(), "author")
    due = COMMANDS[name]
    proxy.fail("TransactWriteItems", fault)
    assert deliver(due) == [due.command_id]
    proxy.fail("TransactWriteItems", faults.pass_on)
    assert deliver(due) == []
    if due.draft is not None:
        assert state_of(stored, "PROD-002").version == 1
    else:
        assert state_of(stored).version == 2


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("lost", [faults.reset, faults.disconnect, faults.truncated_response])
def test_command_with_lost_response_is_carried_out_once(
    proxy: FaultyDynamoDB, deliver: Deliver, stored: CommandRepository, name: str, lost: Fault
) -> None:
    stored.insert(product(), "author")
    due = COMMANDS[name]
    proxy.fail("TransactWriteItems", faults.after_execution(lost), nth=1)
    assert deliver(due) == []
    assert deliver(due) == []
    if due.draft is not None:
        assert state_of(stored, "PROD-002").version == 1
    else:
        assert state_of(stored).version == 2


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError"])
def test_cancelled_command_is_retried_once(
    proxy: FaultyDynamoDB, deliver: Deliver, stored: CommandRepository, reason: str
) -> None:
    stored.insert(product(), "author")
    cancelled = faults.cancelled_transaction("None", reason)
    proxy.fail("TransactWriteItems", cancelled, nth=1)
    assert deliver(update(1)) == []
    assert proxy.count("TransactWriteItems") == 2
    proxy.fail("TransactWriteItems", cancelled)
    assert deliver(update(2)) == ["PROD-001-2"]
    assert proxy.count("TransactWriteItems") == 4


@pytest.mark.parametrize("name", COMMANDS)
def test_command_with_all_responses_lost_is_carried_out_once(
    proxy: FaultyDynamoDB, deliver: Deliver, stored: CommandRepository, name: str
) -> None:
    stored.insert(product(), "author")
    due = COMMANDS[name]
    proxy.fail("TransactWriteItems", faults.after_execution(faults.reset))
    proxy.fail("GetItem", faults.reset)
    assert deliver(due) == [due.command_id]
    proxy.fail("TransactWriteItems", faults.pass_on)
    proxy.fail("GetItem", faults.pass_on)
    assert deliver(due) == []
    assert state_of(stored, due.product_id).version == (1 if due.draft else 2)


def test_failure_holds_later_commands_of_its_product_only(
    proxy: FaultyDynamoDB, deliver: Deliver, stored: CommandRepository
) -> None:
    stored.insert(product(), "author")
    proxy.fail("TransactWriteItems", faults.error_response("ThrottlingException"), nth=1)
    proxy.fail("TransactWriteItems", faults.error_response("ThrottlingException"), nth=2)
    batch = [update(1), update(2), creation("PROD-002"), update(3)]
    assert deliver(*batch) == ["PROD-001-1", "PROD-001-2", "PROD-001-3"]
    assert stored.get("PROD-002") is not None
    assert state_of(stored).version == 1
    assert deliver(update(1), update(2), update(3)) == []
    assert state_of(stored).name == "name 3"


def test_batch_without_time_left_fails_whole(
    product_creator: ModuleType, deliver: Deliver, stored: CommandRepository
) -> None:
    batch = [creation("PROD-001"), creation("PROD-002")]
    response = product_creator.handler(batch_of(batch), Context(milliseconds=900))
    assert failed_in(response) == [each.command_id for each in batch]
    assert stored.get("PROD-001") is None
    assert deliver(*batch) == []


def test_rejection_needs_its_record(
    proxy: FaultyDynamoDB,
    deliver: Deliver,
    stored: CommandRepository,
    lines: Callable[[str], list[dict[str, Any]]],
) -> None:
    stored.insert(product(), "author")
    proxy.fail("PutItem", faults.reset)
    assert deliver(update(1, expected=OTHER)) == ["PROD-001-1"]
    assert lines("command rejected") == []
    proxy.fail("PutItem", faults.pass_on)
    assert deliver(update(1, expected=OTHER)) == []
    assert len(lines("command rejected")) == 1
