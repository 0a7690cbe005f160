"""A function around the snapshot that SnapStart takes: after its import, before its first request.

What is fetched before, all functions that start from the snapshot would share until it is outdated.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from product_tools.repository import REPOSITORY
from tests.integration.conftest import CONFIGURATION
from tests.support.events import gateway_event
from tests.support.stub_server import StubServer, stub_server

# It waits long, so that no test depends on a quiet machine.
PROGRAM = """
import json, sys
from product_lambda.repositories import product_repository
for name in ("_CONNECT_SECONDS", "_READ_SECONDS", "_CALL_SECONDS"):
    setattr(product_repository, name, 60)
from product_lambda.handlers import entry
entry._DEADLINE_SECONDS = 60
from product_lambda.handlers.get_product import handler
print("imported", flush=True)
event = json.loads(sys.stdin.readline())
for _ in range(2):
    print(handler(event, None)["statusCode"], flush=True)
"""
CREDENTIALS = {
    "AccessKeyId": "ASIAOFTHECONTAINER00",
    "SecretAccessKey": "secret",
    "Token": "token-of-the-container",
    "Expiration": f"{datetime.now(UTC) + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}",
}


@pytest.fixture
def aws() -> Iterator[StubServer]:
    """DynamoDB without products, and the endpoint of the container's credentials."""
    with stub_server() as server:
        server.respond("GET /credentials", CREDENTIALS)
        server.respond("POST /", {})
        yield server


def test_credentials_are_fetched_by_the_first_request(aws: StubServer) -> None:
    environment = {
        **CONFIGURATION,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{aws.endpoint_url}/credentials",
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "PYTHONPATH": str(REPOSITORY / "src"),
    }
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as function:
        assert function.stdin
        assert function.stdout
        assert function.stdout.readline() == "imported\n"
        assert aws.requests == []

        function.stdin.write(json.dumps(gateway_event(product_id="PROD-001")) + "\n")
        function.stdin.close()
        lines = function.stdout.read().splitlines()

    assert [line for line in lines if line.isdigit()] == ["404", "404"]
    assert [each.operation for each in aws.requests] == ["GET /credentials", "POST /", "POST /"]
    for request in aws.requests[1:]:
        assert request.headers["x-amz-target"].endswith(".GetItem")
        assert f"Credential={CREDENTIALS['AccessKeyId']}/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == CREDENTIALS["Token"]
