"""scripts/fill_name_keys.py: older products get the key of their name, on both engines."""

from typing import Any
from uuid import uuid4

import pytest

import fill_name_keys
from local.engine import REGION
from local.table import create_table
from product_lambda.models.product import PageRequest, SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductRepository, open_table
from product_tools import name_keys
from tests.support.faulty_dynamodb import Exchange, error_response, faulty_dynamodb, pass_on
from tests.support.pages import listed
from tests.support.products import product
from tests.support.raw_items import dynamodb, raw_product

NAMES = {"PROD-1": "Basic", "PROD-2": "ÉLITE", "PROD-3": "Straße", "PROD-4": "\ufdfa" * 200}
BY_NAME = PageRequest(2, SortOrder.BY_NAME, 0, None)


class Table:
    """A table on an engine, with access to its items."""

    def __init__(self, endpoint_url: str) -> None:
        self.name = f"products-{uuid4().hex}"
        self.endpoint_url = endpoint_url
        create_table(endpoint_url, self.name)
        self.client = dynamodb(endpoint_url)
        self.repository = ProductRepository(
            open_table(self.name, REGION, endpoint_url), Deadline(60)
        )

    def put(self, product_id: str, **attributes: Any) -> None:
        self.client.put_item(TableName=self.name, Item=raw_product(product_id, **attributes))

    def items(self) -> dict[str, dict[str, Any]]:
        found = self.client.scan(TableName=self.name)["Items"]
        return {item["PK"]["S"].partition("#")[2]: item for item in found}


@pytest.fixture(params=["engine", "dynamodb_local"])
def table(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, script_environment: None
) -> Table:
    assert script_environment is None
    table = Table(request.getfixturevalue(request.param))
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", table.endpoint_url)
    monkeypatch.setattr(name_keys, "_PAGE_ITEMS", 2)
    return table


def fill(table: Table, *arguments: str) -> int:
    return fill_name_keys.main(["--table", table.name, *arguments])


def put_older_products(table: Table) -> None:
    for product_id, name in NAMES.items():
        table.put(product_id, name={"S": name})


def test_older_products_are_sorted_by_name_afterwards(table: Table) -> None:
    put_older_products(table)
    table.put("PROD-5", name={"S": "Zoo"}, active={"S": "false"})
    assert listed(table.repository, BY_NAME) == []

    assert fill(table) == 0

    found = listed(table.repository, BY_NAME)
    assert [each.name for each in found] == ["Basic", "Straße", "ÉLITE", NAMES["PROD-4"]]
    assert table.items()["PROD-5"]["nameKey"] == {"S": "zoo"}


def test_only_name_key_changes(table: Table) -> None:
    put_older_products(table)
    table.repository.advance_number(3)
    before = table.items()

    assert fill(table) == 0

    after = table.items()
    for product_id in NAMES:
        assert len(after[product_id].pop("nameKey")["S"].encode()) <= 1024
    assert after == before


def test_second_run_writes_nothing(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    put_older_products(table)
    table.repository.insert(product("PROD-6"), "author")

    assert fill(table) == 0
    assert f"{table.name}: 5 products read, 4 got a key\nDone." in capsys.readouterr().out
    assert fill(table) == 0
    assert f"{table.name}: 5 products read, 0 got a key\nDone." in capsys.readouterr().out


def test_outdated_key_is_corrected(table: Table) -> None:
    table.put("PROD-1", name={"S": "New"}, nameKey={"S": "old"})
    assert fill(table) == 0
    assert table.items()["PROD-1"]["nameKey"] == {"S": "new"}


def test_dry_run_only_counts(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    put_older_products(table)
    before = table.items()

    assert fill(table, "--dry-run") == 0

    assert table.items() == before
    printed = capsys.readouterr().out
    assert "4 products read, 4 need a key\nNothing was written: this was a dry run." in printed


def test_products_without_name_are_skipped(
    table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    table.put("PROD-1", name=None)
    table.put("PROD-2", name={"N": "1"})
    table.put("PROD-3")

    assert fill(table) == 0

    assert "3 products read, 1 got a key, 2 have no name" in capsys.readouterr().out
    assert "nameKey" not in table.items()["PROD-1"]


def test_failed_run_can_go_on_where_it_ended(
    table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_older_products(table)
    with faulty_dynamodb(table.endpoint_url) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        server.fail("Scan", error_response("AccessDeniedException", "no"), nth=2)
        assert fill(table) == 1
    printed = capsys.readouterr().err
    last = printed.rpartition("--after ")[2].rstrip(".\n")
    assert last in NAMES
    done = [product_id for product_id, item in table.items().items() if "nameKey" in item]
    assert last in done

    monkeypatch.setenv("AWS_ENDPOINT_URL", table.endpoint_url)
    assert fill(table, "--after", last) == 0
    assert f"{len(NAMES) - len(done)} got a key\nDone." in capsys.readouterr().out
    assert all("nameKey" in item for item in table.items().values())


def test_failure_at_once_says_to_start_again(
    table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with faulty_dynamodb(table.endpoint_url) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        server.fail("Scan", error_response("AccessDeniedException", "no"))
        assert fill(table) == 1
    assert capsys.readouterr().err.endswith("Start the command again.\n")


@pytest.mark.parametrize("changes", [1, 4])
def test_name_that_changes_meanwhile_gets_its_own_key(
    table: Table, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    """Another program renames the product just before each of the first writes of its key."""
    put_older_products(table)
    names = [f"Name {number}" for number in range(changes)]
    pending = iter(names)

    def rename_first(exchange: Exchange) -> None:
        name = next(pending, None)
        if name is not None:
            table.put("PROD-1", name={"S": name})
        pass_on(exchange)

    with faulty_dynamodb(table.endpoint_url) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        monkeypatch.setattr(name_keys, "_PAGE_ITEMS", 100)
        for product_id in NAMES.keys() - {"PROD-1"}:
            table.client.delete_item(
                TableName=table.name,
                Key={"PK": {"S": f"PRODUCT#{product_id}"}, "SK": {"S": "METADATA"}},
            )
        server.fail("UpdateItem", rename_first)
        assert fill(table) == 0
    assert table.items()["PROD-1"]["nameKey"] == {"S": names[-1].lower()}


def test_name_that_changes_all_the_time_ends_run(
    table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table.put("PROD-1")
    numbers = iter(range(1000))

    def rename_first(exchange: Exchange) -> None:
        table.put("PROD-1", name={"S": f"Name {next(numbers)}"})
        pass_on(exchange)

    with faulty_dynamodb(table.endpoint_url) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        server.fail("UpdateItem", rename_first)
        assert fill(table) == 1
    assert "PRODUCT#PROD-1 changes all the time" in capsys.readouterr().err
