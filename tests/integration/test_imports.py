"""The imports of each function, since each package makes its cold start longer."""

import json
import os
import subprocess
import sys
import sysconfig

import pytest

from local.engine import CREDENTIALS
from product_tools.functions import EVENT_FUNCTIONS, FUNCTIONS
from product_tools.repository import REPOSITORY
from tests.integration.conftest import CONFIGURATION, EVENT_CONFIGURATION
from tests.support.events import as_json, gateway_event
from tests.support.factory import product_body
from tests.support.faulty_dynamodb import unused_endpoint

READ = {"pydynox", "simplejson"}
WRITE = READ | {
    "annotated_types",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
}
IMPORTS = {
    "list_products": READ,
    "get_product": READ,
    "delete_product": READ,
    "create_product": WRITE,
    "update_product": WRITE,
}
# botocore uses certifi where it is installed, which is not so in Lambda's runtime.
CLIENT = {"botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"}
EVENT_IMPORTS = {
    "audit_logger": CLIENT | {"aws_lambda_powertools", "typing_extensions"},
    "cache_invalidator": CLIENT | {"aws_lambda_powertools", "typing_extensions"},
    "change_publisher": CLIENT | {"simplejson"},
    # Powertools looks for botocore, to name itself in the requests of its clients.
    "product_creator": WRITE | {"aws_lambda_powertools", "botocore", "jmespath"},
    "search_indexer": CLIENT
    | {"charset_normalizer", "events", "idna", "opensearchpy", "requests", "simplejson"}
    | {"socks"},  # where it is installed, as the package of the browser's driver requires
}
PROGRAM = """
import importlib, json, sys
importlib.import_module(f"product_lambda.{sys.argv[1]}")
site_packages = sys.argv[2]
print(json.dumps(sorted({
    name.partition(".")[0]
    for name, module in list(sys.modules.items())
    if (getattr(module, "__file__", None) or "").startswith(site_packages)
})))
"""


def imported_by(module: str) -> set[str]:
    """Return the third-party packages that importing a module of the functions loads."""
    site_packages = sysconfig.get_path("platlib")
    settings = {**CREDENTIALS, **CONFIGURATION, **EVENT_CONFIGURATION}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, site_packages],
        env={**os.environ, **settings, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ran.stdout)) - MEASURING


REQUEST = """
import importlib, json, sys
handler = importlib.import_module(f"product_lambda.handlers.{sys.argv[1]}").handler
print(handler(json.loads(sys.argv[2]), None)["statusCode"], *sorted(sys.modules))
"""


def loaded_by_request(function: str, headers: dict[str, str], queue_url: str) -> set[str]:
    """Return the modules that are loaded after a write that meets a dead DynamoDB and SQS."""
    event = gateway_event(product_id="PROD-001", body=as_json(WRITES[function]), headers=headers)
    endpoint = unused_endpoint()
    ran = subprocess.run(
        [sys.executable, "-c", REQUEST, function, json.dumps(event)],
        env={
            **os.environ,
            **CREDENTIALS,
            **CONFIGURATION,
            "AWS_ENDPOINT_URL": endpoint,
            "CHANGE_QUEUE_URL": queue_url,
            "PYTHONPATH": str(REPOSITORY / "src"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    status, *modules = ran.stdout.splitlines()[-1].split()
    assert status == "503"
    return set(modules)


# Loaded by the measurement of coverage.
MEASURING = {"coverage", "a1_coverage", "_virtualenv", "pytest_cov"}


@pytest.mark.parametrize("function", IMPORTS)
def test_function_imports_only_what_it_needs(function: str) -> None:
    assert imported_by(f"handlers.{function}") == IMPORTS[function]


@pytest.mark.parametrize("function", EVENT_IMPORTS)
def test_event_function_imports_only_what_it_needs(function: str) -> None:
    assert imported_by(f"event_handlers.{function}") == EVENT_IMPORTS[function]


def test_imports_of_all_functions_are_checked() -> None:
    assert IMPORTS.keys() | EVENT_IMPORTS.keys() == {*FUNCTIONS, *EVENT_FUNCTIONS}


@pytest.mark.parametrize("function", IMPORTS)
def test_loaded_function_collects_garbage(function: str) -> None:
    program = f"import gc, product_lambda.handlers.{function}; assert gc.isenabled()"
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **CREDENTIALS, **CONFIGURATION, "PYTHONPATH": str(REPOSITORY / "src")},
        check=True,
    )


WRITES: dict[str, object] = {
    "create_product": product_body(),
    "update_product": {"name": "New"},
    "delete_product": None,
}
OF_ASYNC_WRITES = {
    "product_lambda.handlers.async_writes",
    "product_lambda.models.command",
    "product_lambda.repositories.command_items",
    "product_lambda.repositories.command_repository",
    "product_lambda.services.acceptance_service",
    "product_lambda.validators.preferences",
}
OF_QUEUES = {"botocore", "product_lambda.repositories.queues"}
ASYNC = {"Prefer": "respond-async"}
QUEUE_URL = "http://127.0.0.1/1/changes.fifo"


@pytest.mark.parametrize("function", WRITES)
def test_write_without_switch_loads_nothing_of_it(function: str) -> None:
    loaded = loaded_by_request(function, ASYNC, "")
    assert loaded.isdisjoint(OF_ASYNC_WRITES | OF_QUEUES)


@pytest.mark.parametrize("function", WRITES)
def test_write_loads_queue_only_on_preference(function: str) -> None:
    loaded = loaded_by_request(function, {}, QUEUE_URL)
    assert loaded >= OF_ASYNC_WRITES
    assert loaded.isdisjoint(OF_QUEUES)
    # A creation needs a number first, and DynamoDB is dead, too.
    if function != "create_product":
        assert loaded_by_request(function, ASYNC, QUEUE_URL) >= OF_QUEUES


@pytest.mark.parametrize("missing", sorted(CONFIGURATION.keys() - {"PRODUCT_INDEXES"}))
def test_function_without_settings_does_not_start(missing: str) -> None:
    environment = {n: v for n, v in {**os.environ, **CONFIGURATION}.items() if n != missing}
    ran = subprocess.run(
        [sys.executable, "-c", "import product_lambda.handlers.get_product"],
        env={**environment, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert f"The configuration is not complete: set {missing} to" in ran.stderr
