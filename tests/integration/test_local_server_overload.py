"""Many clients at once, while the engine of the local server does not respond."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import urllib3
from urllib3 import BaseHTTPResponse

from tests.support.factory import product_body
from tests.support.local_process import KEY, LocalProcess, local_server

_CLIENTS = 64
_MAX_SECONDS = 5  # a response takes at most 3 s; clients that wait for each other take longer


def _send(server: LocalProcess, number: int) -> BaseHTTPResponse:
    """Send one of five requests, each to another function."""
    body = json.dumps(product_body()).encode()
    method, path, content = [
        ("GET", "/products", None),
        ("GET", "/products/PROD-001", None),
        ("POST", "/products", body),
        ("PUT", "/products/PROD-001", b'{"price": 1}'),
        ("DELETE", "/products/PROD-001", None),
    ][number % 5]
    return urllib3.request(
        method,
        f"{server.address}/v1.0{path}",
        body=content,
        headers={"x-api-key": KEY, "Content-Type": "application/json"},
        retries=False,
        timeout=60,
    )


def test_stopped_engine_returns_503_in_time_to_64_clients(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server, ThreadPoolExecutor(_CLIENTS) as clients:
        all_ready = Barrier(_CLIENTS)

        def timed(number: int) -> tuple[BaseHTTPResponse, float]:
            all_ready.wait(timeout=60)
            started = time.monotonic()
            return _send(server, number), time.monotonic() - started

        assert _send(server, 0).status == 200
        os.kill(server.engine_pid, signal.SIGSTOP)
        try:
            results = list(clients.map(timed, range(_CLIENTS)))
        finally:
            os.kill(server.engine_pid, signal.SIGCONT)

        assert {response.status for response, _ in results} == {503}
        assert all("Retry-After" in response.headers for response, _ in results)
        assert max(seconds for _, seconds in results) < _MAX_SECONDS
        assert _send(server, 0).status == 200
