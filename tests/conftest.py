"""The API over HTTP and the two engines with DynamoDB's protocol, for all tests.

Each worker of a parallel run starts its own of each, at first use.
"""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from local.dynamodb_local import dynamodb_local as run_dynamodb_local
from local.dynamodb_local import missing_requirement
from local.engine import Engine
from tests.support import longest_first
from tests.support.optional_tools import skip_test_without
from tests.support.product_api import ProductApi
from tests.support.waiting import eventually

# A shell that starts pytest in the background or by nohup makes it ignore these signals, and its
# child processes would inherit that.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

_ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest modules first; pytest-randomly has shuffled all modules before."""
    longest_first.sort(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each reason for skipped tests once, with the number of tests."""
    skipped: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]) for report in skipped if report.longrepr)  # type: ignore[index]
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"{tests} tests {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductApi]:
    """The API of PRODUCT_API_BASE_URL and PRODUCT_API_KEY if they are set, else a local server."""
    if base_url := os.environ.get("PRODUCT_API_BASE_URL"):
        yield ProductApi(base_url, os.environ["PRODUCT_API_KEY"])
        return
    folder = tmp_path_factory.mktemp("local-server")
    port, key = _free_port(), "key-of-the-contract-tests"
    settings = {"PORT": str(port), "API_KEY": key, "DATA_DIR": str(folder / "products")}
    base_url = f"http://127.0.0.1:{port}/v1.0"
    with _running([sys.executable, "-m", "local"], _ROOT, settings, f"{base_url}/products", folder):
        yield ProductApi(base_url, key)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint URL of the engine: PRODUCT_ENGINE_URL if it is set, else a new engine."""
    if "PRODUCT_ENGINE_URL" in os.environ:
        yield os.environ["PRODUCT_ENGINE_URL"]
        return
    with Engine(tmp_path_factory.mktemp("engine")) as running:
        yield running.endpoint_url


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    """The endpoint URL of DynamoDB Local: PRODUCT_DYNAMODB_LOCAL_URL if it is set, else a new one.

    Without Java its tests are skipped, and fail in CI.
    """
    if "PRODUCT_DYNAMODB_LOCAL_URL" in os.environ:
        yield os.environ["PRODUCT_DYNAMODB_LOCAL_URL"]
        return
    if missing := missing_requirement():
        skip_test_without(missing)
    with run_dynamodb_local() as url:
        yield url


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _running(
    command: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    url: str,
    log_folder: Path,
) -> Iterator[None]:
    """Run a server; it is ready when `url` sends any response."""
    log = log_folder / "output.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def response() -> bool | None:
        assert server.poll() is None, f"the server stopped at once:\n{log.read_text()}"
        try:
            urllib3.request("GET", url, retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            return None
        return True

    try:
        eventually(response, f"a response from {url}", seconds=60)
        yield
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
