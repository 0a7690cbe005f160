"""Tables on both engines, and the functions, imported like Lambda imports them.

The functions read their configuration at import, so it is set here and nowhere else.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import boto3
import pytest

import tests.support.profiles  # noqa: F401 (registers the Hypothesis profile)
from local.engine import CREDENTIALS, REGION
from local.table import create_table
from product_lambda.repositories import aws_client, product_repository
from product_lambda.repositories.product_repository import ProductTable, open_table
from product_lambda.utils.settings import Settings
from product_tools import environment_files
from product_tools.functions import EVENT_FUNCTIONS, FUNCTIONS
from tests.support.events import Functions
from tests.support.fake_product_api import FakeProductApi, Target, serving_fake_api
from tests.support.function_stack import FunctionStack
from tests.support.github_settings import REPOSITORY, GitHubSettings
from tests.support.prepared_account import PreparedAccount
from tests.support.queues import EngineQueue
from tests.support.stub_server import StubServer, stub_server
from tests.support.terraform_files import TerraformFiles

ORIGIN = "https://portal.example"
DEADLINE = "product_lambda.handlers.entry._DEADLINE_SECONDS"
REAL_DEADLINE_SECONDS = 2.5
LONG_DEADLINE_SECONDS = 60
MAX_RESPONSE_SECONDS = 10.0
"""A response takes at most 3 s; the rest is for a busy machine.

Without the deadline, the slow servers of the tests take longer than this.
"""
_GIVE_UP_SECONDS = 3  # enough for a call without a fault, even on a busy machine
REPOSITORY_TIME_OUTS = {
    name: vars(product_repository)[name]
    for name in ("_CONNECT_SECONDS", "_READ_SECONDS", "_CALL_SECONDS")
}
WRITERS = ("create_product", "update_product", "delete_product")
CONFIGURATION = {
    "TABLE_NAME": "products-test",
    "AWS_REGION": REGION,
    "CORS_ALLOWED_ORIGINS": ORIGIN,
    "PRODUCT_INDEXES": "true",
}
EVENT_CONFIGURATION = {
    "AUDIT_BUCKET": "audit-test",
    "AWS_REGION": REGION,
    "DISTRIBUTION_ID": "E2TEST",
    "EVENT_BUS_NAME": "events-test",
    "OPENSEARCH_ENDPOINT": "http://127.0.0.1:9",
    "INVALIDATION_PATHS": "/v1.0/products*",
    "PARKED_QUEUE_URL": "http://127.0.0.1:9/000000000000/parked-test",
    "TABLE_NAME": "products-test",
}
"""Tests replace what the functions have made of it."""


def new_table(endpoint_url: str) -> ProductTable:
    """Create an empty table on an engine."""
    name = f"products-{uuid4().hex}"
    create_table(endpoint_url, name)
    return open_table(name, REGION, endpoint_url)


@pytest.fixture(scope="session", autouse=True)
def _credentials() -> Iterator[None]:
    """Set the credentials; the client reads them at its first call."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        yield


@pytest.fixture(scope="session", autouse=True)
def _long_time_outs() -> Iterator[None]:
    """Wait long for the engines, so that no test depends on a quiet machine."""
    with pytest.MonkeyPatch.context() as constants:
        for name in REPOSITORY_TIME_OUTS:
            constants.setattr(product_repository, name, LONG_DEADLINE_SECONDS)
            constants.setattr(aws_client, name, LONG_DEADLINE_SECONDS)
        yield


@pytest.fixture(scope="session")
def imported_functions() -> Iterator[Functions]:
    """The functions, which wait long for the engines."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in CONFIGURATION.items():
            environment.setenv(name, value)
        functions = Functions(
            {name: importlib.import_module(f"product_lambda.handlers.{name}") for name in FUNCTIONS}
        )
        entry = importlib.import_module("product_lambda.handlers.entry")
        assert entry._DEADLINE_SECONDS == REAL_DEADLINE_SECONDS
        environment.setattr(DEADLINE, LONG_DEADLINE_SECONDS)
        yield functions


@pytest.fixture(scope="session")
def imported_event_functions() -> Iterator[Mapping[str, ModuleType]]:
    """The modules of the functions behind a stream or a queue, by name."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in EVENT_CONFIGURATION.items():
            environment.setenv(name, value)
        yield {
            name: importlib.import_module(f"product_lambda.event_handlers.{name}")
            for name in EVENT_FUNCTIONS
        }


@pytest.fixture
def real_time_outs(
    imported_functions: Functions,  # noqa: ARG001 (it patches the deadline first)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time-outs of the deployed functions, for clients that the test makes afterwards."""
    for name, seconds in REPOSITORY_TIME_OUTS.items():
        monkeypatch.setattr(product_repository, name, seconds)
    monkeypatch.setattr(DEADLINE, REAL_DEADLINE_SECONDS)


@contextmanager
def giving_up() -> Iterator[None]:
    """End each call within three seconds, for faults that send no response.

    Calls before and after it wait long, so that only the fault ends one.
    """
    with pytest.MonkeyPatch.context() as constants:
        constants.setattr(product_repository, "_CALL_SECONDS", _GIVE_UP_SECONDS)
        yield


@pytest.fixture(scope="session")
def shared_table(engine: str) -> ProductTable:
    """A table that tests share; each test uses other ids."""
    return new_table(engine)


@pytest.fixture
def table(engine: str) -> ProductTable:
    """An empty table on the embedded engine."""
    return new_table(engine)


@pytest.fixture
def functions(
    imported_functions: Functions, shared_table: ProductTable, monkeypatch: pytest.MonkeyPatch
) -> Functions:
    """The functions, using the shared table."""
    monkeypatch.setattr("product_lambda.handlers.entry.TABLE", shared_table)
    return imported_functions


@pytest.fixture
def functions_on_table(
    imported_functions: Functions, table: ProductTable, monkeypatch: pytest.MonkeyPatch
) -> Functions:
    """The functions, using an empty table."""
    monkeypatch.setattr("product_lambda.handlers.entry.TABLE", table)
    return imported_functions


@pytest.fixture(scope="session")
def raw_item(engine: str) -> Callable[[ProductTable, str], dict[str, Any]]:
    """A function that reads an item as DynamoDB JSON, by its partition key."""
    client = boto3.client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=engine,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )

    def read(table: ProductTable, partition_key: str) -> dict[str, Any]:
        key = {"PK": {"S": partition_key}, "SK": {"S": "METADATA"}}
        item: dict[str, Any] = client.get_item(TableName=table.name, Key=key)["Item"]
        return item

    return read


@pytest.fixture
def fake() -> Iterator[FakeProductApi]:
    """A product API that can fail on purpose, for tests of commands."""
    with serving_fake_api() as fake_api:
        yield fake_api


@pytest.fixture(params=["fake", "api"])
def target(request: pytest.FixtureRequest) -> Target:
    """An API for tests of commands: first the fake one, then the real one."""
    found: Target = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def script_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the API from the environment, and make the terminal wide enough for tables."""
    for name in ("API_KEY", "BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a command, in seconds; nothing waits for them."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.fixture
def stack(engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionStack]:
    """The functions of DEV, each with version 1 behind its alias, and their alarms."""
    settings = {**CREDENTIALS, "AWS_ENDPOINT_URL": engine, "AWS_REGION": REGION}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    stack = FunctionStack(
        boto3.client("lambda", region_name=REGION), boto3.client("cloudwatch", region_name=REGION)
    )
    stack.create()
    yield stack
    stack.delete()


@pytest.fixture
def stub(engine: str) -> Iterator[StubServer]:
    """A server with fixed responses in front of the local AWS."""
    with stub_server(engine) as stub:
        yield stub


@pytest.fixture
def account(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    stub: StubServer,
    repository: GitHubSettings,  # noqa: ARG001 (no test may ask GitHub itself)
) -> PreparedAccount:
    """An empty account of DEV, as the commands see it through `stub`."""
    files = TerraformFiles(tmp_path / "terraform")
    monkeypatch.setattr(environment_files, "TERRAFORM_FOLDER", files.folder)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", files.account)
    monkeypatch.setenv("AWS_ENDPOINT_URL", stub.endpoint_url)
    return PreparedAccount(files, engine)


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubSettings]:
    """A repository on GitHub without environments, and a token for it."""
    with stub_server() as stub:
        monkeypatch.setenv("GITHUB_API_URL", stub.endpoint_url)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GH_TOKEN", "a-token")
        yield GitHubSettings(stub)


@pytest.fixture(scope="session")
def _shared_queue(engine: str) -> EngineQueue:
    return EngineQueue(engine, fifo=True)


@pytest.fixture
def change_queue(_shared_queue: EngineQueue) -> EngineQueue:
    """The queue of commands, which is empty."""
    _shared_queue.client.purge_queue(QueueUrl=_shared_queue.url)
    return _shared_queue


@pytest.fixture
def switch_on(
    engine: str, imported_functions: Functions, monkeypatch: pytest.MonkeyPatch  # noqa: ARG001
) -> Callable[..., None]:
    """Switch asynchronous writes on, with the queue of a URL."""

    def switch(queue_url: str, endpoint_url: str = engine, **changes: Any) -> None:
        # The functions are imported by now; before, they have no settings.
        handlers = {
            name: importlib.import_module(f"product_lambda.handlers.{name}")
            for name in ("entry", "async_writes", *WRITERS)
        }
        before: Settings = handlers["entry"].SETTINGS
        changed = before._replace(
            change_queue_url=queue_url, aws_endpoint_url=endpoint_url, **changes
        )
        for name in ("entry", *WRITERS):
            monkeypatch.setattr(handlers[name], "SETTINGS", changed)
        handlers["async_writes"]._client.cache_clear()

    return switch


@pytest.fixture
def async_functions(
    functions_on_table: Functions, change_queue: EngineQueue, switch_on: Callable[..., None]
) -> Functions:
    """The functions on an empty table, with asynchronous writes."""
    switch_on(change_queue.url)
    return functions_on_table


@pytest.fixture
def product_creator(imported_event_functions: Mapping[str, ModuleType]) -> ModuleType:
    """The module of the function that carries commands out, on no table yet."""
    return imported_event_functions["product_creator"]
