"""Accepted writes on their whole way on the engine: queue, deployed function, dead-letter queue."""

import json
import platform
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from local.engine import CREDENTIALS, REGION
from product_lambda.models.command import Command
from product_lambda.repositories.product_repository import ProductTable
from product_lambda.validators.commands import parse_command
from product_tools import packages
from tests.support import faulty_dynamodb as faults
from tests.support.events import Functions
from tests.support.factory import product_body
from tests.support.faulty_dynamodb import FaultyDynamoDB, faulty_dynamodb
from tests.support.queues import EngineQueue
from tests.support.waiting import eventually

ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
ASYNC = {"Prefer": "respond-async"}
TRIES = 3
VISIBILITY_SECONDS = 2  # 60 on AWS

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The zip of the function."""
    folder = tmp_path_factory.mktemp("zips")
    packages.build(ARCHITECTURES[platform.machine()], folder)
    return (folder / "product_creator.zip").read_bytes()


@pytest.fixture
def dead_letters(engine: str) -> EngineQueue:
    return EngineQueue(engine, fifo=True)


@pytest.fixture
def queue(engine: str, dead_letters: EngineQueue) -> EngineQueue:
    """The queue of commands, which gives a message up after three tries."""
    queue = EngineQueue(engine, fifo=True)
    redrive = {"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": TRIES}
    queue.client.set_queue_attributes(
        QueueUrl=queue.url,
        Attributes={
            "RedrivePolicy": json.dumps(redrive),
            "VisibilityTimeout": str(VISIBILITY_SECONDS),
        },
    )
    return queue


@pytest.fixture
def dynamodb(engine: str) -> Iterator[FaultyDynamoDB]:
    """A faulty server between the deployed function and the table."""
    with faulty_dynamodb(engine) as server:
        yield server


@pytest.fixture
def _deployed(
    engine: str, package: bytes, queue: EngineQueue, dynamodb: FaultyDynamoDB, table: ProductTable
) -> Iterator[None]:
    """The deployed function behind the queue."""
    client: Any = boto3.client("lambda", region_name=REGION, endpoint_url=engine)
    name = f"product-creator-{uuid4().hex[:8]}"
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/none",
        Handler="product_lambda.event_handlers.product_creator.handler",
        Code={"ZipFile": package},
        Timeout=30,
        MemorySize=512,
        Environment={
            "Variables": {
                **CREDENTIALS,
                "AWS_ENDPOINT_URL": dynamodb.endpoint_url,
                "AWS_REGION": REGION,
                "LOG_LEVEL": "CRITICAL",
                "TABLE_NAME": table.name,
            }
        },
    )
    mapping = client.create_event_source_mapping(
        FunctionName=name,
        EventSourceArn=queue.arn,
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    yield
    client.delete_event_source_mapping(UUID=mapping["UUID"])
    client.delete_function(FunctionName=name)


@pytest.fixture
def functions(
    _deployed: None,
    functions_on_table: Functions,
    queue: EngineQueue,
    switch_on: Callable[..., None],
) -> Functions:
    """The functions of the API, which send to the queue."""
    switch_on(queue.url)
    return functions_on_table


def found(functions: Functions, product_id: str, **fields: object) -> None:
    """Wait until a product has some values."""

    def shown() -> bool | None:
        response = functions.get(product_id)
        if response.status != 200:
            return None
        product = response.json()
        return True if {name: product[name] for name in fields} == fields else None

    eventually(shown, f"{product_id} with {fields}", seconds=60)


def test_accepted_changes_are_carried_out_in_order(
    functions: Functions, dynamodb: FaultyDynamoDB
) -> None:
    throttled = faults.error_response("ThrottlingException")
    for number, fault in (
        (2, throttled),
        (3, throttled),
        (7, faults.after_execution(faults.reset)),
    ):
        dynamodb.fail("TransactWriteItems", fault, nth=number)
    ids = [functions.create(product_body(), ASYNC).json()["productId"] for _ in range(3)]
    for number in range(1, 5):
        for product_id in ids:
            changed = functions.update(product_id, {"name": f"name {number}"}, ASYNC)
            assert changed.status == 202
    for product_id in ids:
        found(functions, product_id, name="name 4", version=5)
    for product_id in ids:
        assert functions.delete(product_id, ASYNC).status == 202
    for product_id in ids:
        eventually(
            lambda product_id=product_id: functions.get(product_id).status == 404 or None,  # type: ignore[misc]
            f"the deletion of {product_id}",
        )


def test_failing_commands_become_dead_letters_in_order(
    functions: Functions, dynamodb: FaultyDynamoDB, dead_letters: EngineQueue
) -> None:
    dynamodb.fail("TransactWriteItems", faults.error_response("ThrottlingException"))
    functions.create(product_body(productId="PROD-001"), ASYNC)
    for number in range(1, 4):
        functions.update("PROD-001", {"name": f"name {number}"}, ASYNC)
    commands: list[Command] = [
        parse_command(message["Body"]) for message in dead_letters.received(4, seconds=90)
    ]
    assert [command.changes and command.changes["name"] for command in commands] == [
        None,
        "name 1",
        "name 2",
        "name 3",
    ]
    assert functions.get("PROD-001").status == 404
