"""Runs the commands of README.md and CONTRIBUTING.md as a new developer would."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runbooks import blocks_of_features
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
JSON_BLOCK = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
FIRST_COMMAND = "make run SEED=1"


def commands_of(document: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = SHELL_BLOCK.findall(text)
    return [line for block in blocks for line in block.splitlines() if line]


def commands_of_features() -> list[str]:
    """Return the commands that `tests/e2e/test_runbooks.py` runs."""
    return [line for block in blocks_of_features() for line in block.splitlines()]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("products")


@pytest.fixture(scope="module")
def address(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that the README's first command has started and filled."""
    settings = f" PORT=0 API_KEY= DATA_DIR={data_dir}"
    log = tmp_path_factory.mktemp("server") / "output.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["bash", "-c", FIRST_COMMAND + settings],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        eventually(lambda: "5 created." in log.read_text() or None, "five plans", seconds=90)
        yield re.findall(r"API +(http://[\d.:]+)/", log.read_text())[0]
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=20)


def test_first_command_of_readme_serves_the_api() -> None:
    assert commands_of("README.md")[0] == FIRST_COMMAND


def test_first_request_gets_response_in_readme(address: str) -> None:
    command = next(line for line in commands_of("README.md") if "PROD-001" in line)
    response = json.loads(run(command, address))
    example = json.loads(JSON_BLOCK.findall(README)[0])
    assert list(response) == list(example)
    shortened = {"description", "features", "createdAt", "updatedAt"}
    assert {name: response[name] for name in response if name not in shortened} == {
        name: example[name] for name in example if name not in shortened
    }


def test_write_of_readme_changes_product(address: str, data_dir: Path) -> None:
    key, command, *_ = (
        line for line in commands_of("README.md") if "-X PUT" in line or "API_KEY=" in line
    )
    command = f"{key}; {command}".replace(".local/data", str(data_dir))
    before = json.loads(run(f"curl -s {address}/v1.0/products/PROD-002", address))
    response = json.loads(run(command.replace("PROD-001", "PROD-002"), address))
    assert response["price"] == 99.5
    assert response["version"] == before["version"] + 1


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_command_for_developers_is_tested(document: str) -> None:
    run_by_tests = (
        *(FIRST_COMMAND, "API_KEY=", "curl "),
        *commands_of("docs/clients.md"),
        *commands_of_features(),
    )
    untested = [
        command
        for command in commands_of(document)
        if not command.startswith(run_by_tests) and f"phase {command}\n" not in CI
    ]
    assert untested == []


def run(command: str, address: str) -> str:
    return subprocess.run(
        ["bash", "-c", command.replace("http://127.0.0.1:8000", address)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
