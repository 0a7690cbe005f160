"""The wait for a restored table: on the engine, and with DynamoDB's responses during a restore."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

import wait_for_table
from local.engine import REGION
from local.table import create_table
from tests.support.faulty_dynamodb import (
    FaultyDynamoDB,
    error_response,
    faulty_dynamodb,
    fixed_response,
)


@pytest.fixture
def restore(engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyDynamoDB]:
    """DynamoDB with other responses on demand."""
    with faulty_dynamodb(engine) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        monkeypatch.setenv("AWS_REGION", REGION)
        yield server


def table_in_state(table: str, index: str) -> bytes:
    indexes = [{"IndexName": "ActiveProductsIndex", "IndexStatus": index}]
    description = {"TableStatus": table, "GlobalSecondaryIndexes": indexes}
    return json.dumps({"Table": description}).encode()


def wait(table: str, *arguments: str) -> int:
    return wait_for_table.main(["--table", table, *arguments])


def test_active_table_ends_the_wait_at_once(
    restore: FaultyDynamoDB, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = f"products-{uuid4().hex}"
    create_table(engine, table)

    assert wait(table) == 0

    assert restore.count("DescribeTable") == 1
    assert f"{table} and its indexes are active." in capsys.readouterr().out


def test_wait_lasts_until_table_and_index_are_active(
    restore: FaultyDynamoDB, sleeps: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    states = [("CREATING", "CREATING")] * 100 + [("ACTIVE", "CREATING"), ("ACTIVE", "ACTIVE")]
    for number, state in enumerate(states, start=1):
        restore.fail("DescribeTable", fixed_response(table_in_state(*state)), nth=number)

    assert wait("products-restored") == 0

    assert sum(sleeps) > 500  # seconds, after which the AWS command line gives up
    assert restore.count("DescribeTable") == len(states)
    assert "Waiting for products-restored, for up to 4:00:00." in capsys.readouterr().out


def test_longest_wait_names_state_and_next_step(
    restore: FaultyDynamoDB, capsys: pytest.CaptureFixture[str]
) -> None:
    restore.fail("DescribeTable", fixed_response(table_in_state("ACTIVE", "CREATING")))

    assert wait("products-restored", "--minutes", "0") == 1

    sentence = capsys.readouterr().err
    assert "products-restored is not ready yet (index ActiveProductsIndex is CREATING)" in sentence
    assert "start this command again" in sentence


@pytest.mark.usefixtures("restore")
def test_missing_table_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert wait("products-never-restored") == 1

    assert "There is no table products-never-restored" in capsys.readouterr().err


def test_denied_call_is_one_sentence(
    restore: FaultyDynamoDB, capsys: pytest.CaptureFixture[str]
) -> None:
    restore.fail("DescribeTable", error_response("AccessDeniedException"))

    assert wait("products-restored") == 1

    [sentence] = capsys.readouterr().err.splitlines()
    assert "AccessDeniedException" in sentence


def test_interrupted_wait_says_that_restore_continues(
    restore: FaultyDynamoDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    restore.fail("DescribeTable", fixed_response(table_in_state("CREATING", "CREATING")))

    assert wait("products-restored") == 130

    assert "the restore continues" in capsys.readouterr().err


def test_missing_region_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    assert wait("products-restored") == 1

    assert "region" in capsys.readouterr().err
