"""Runs the commands of docs/clients.md about accepted writes, with the function of the queue."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from product_lambda.repositories.product_repository import ProductTable
from product_tools.repository import REPOSITORY
from tests.support.command_batches import Context, failed_in, message
from tests.support.events import FunctionResponse, Functions, gateway_event
from tests.support.queues import EngineQueue

SECTION = (
    (REPOSITORY / "docs/clients.md")
    .read_text(encoding="utf-8")
    .partition("\n## Changes for later\n")[2]
    .partition("\n## ")[0]
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


@pytest.fixture
def base_url(async_functions: Functions) -> Iterator[str]:
    """The address of a server that calls the functions, with asynchronous writes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(async_functions.get(self.path.rpartition("/")[2]))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            event = gateway_event(body=body, headers=dict(self.headers.items()))
            self._send(async_functions.call("create_product", event))

        def _send(self, response: FunctionResponse) -> None:
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body.encode())

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1.0"
        server.shutdown()
        thread.join()


@pytest.fixture
def carry_out(
    change_queue: EngineQueue,
    product_creator: ModuleType,
    table: ProductTable,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int], None]:
    """A function that carries out the next commands in the queue."""
    monkeypatch.setattr(product_creator, "TABLE", table)

    def carry_out(count: int) -> None:
        records = [
            message(found["MessageId"], found["Attributes"]["MessageGroupId"], found["Body"])
            for found in change_queue.received(count)
        ]
        assert failed_in(product_creator.handler({"Records": records}, Context())) == []

    return carry_out


def test_commands_of_guide_create_and_read_product(
    base_url: str, carry_out: Callable[[int], None], tmp_path: Path
) -> None:
    def run(command: str) -> str:
        ran = subprocess.run(
            ["bash", "-euc", command],
            cwd=tmp_path,
            env={**os.environ, "BASE_URL": base_url, "API_KEY": "key"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    create, read = blocks("sh")
    (output,) = blocks("text")
    assert run(create).strip() == output.strip()
    carry_out(1)
    assert '"productId":"PROD-001"' in run(read)
    assert run(create).strip() == output.strip()
