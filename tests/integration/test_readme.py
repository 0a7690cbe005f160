"""Runs what the documents for newcomers tell them to run, as they would, and reads the answers."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
JSON_BLOCK = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
API_KEY = "key-of-the-reader"
SERVES = "make run SEED=1"


def commands_of(document: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = SHELL_BLOCK.findall(text)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server started by the README's own command, once its plans are loaded."""
    settings = f" PORT=0 API_KEY={API_KEY} DATA_DIR={tmp_path_factory.mktemp('products')}"
    log = tmp_path_factory.mktemp("server") / "output.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["bash", "-c", SERVES + settings],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        eventually(lambda: "5 created." in log.read_text() or None, "the plans", seconds=90)
        yield re.findall(r"API +(http://[\d.:]+)/", log.read_text())[0]
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=20)


def test_the_readme_serves_the_api_with_its_first_command() -> None:
    assert commands_of("README.md")[0] == SERVES


def test_the_readme_shows_the_answer_that_its_first_request_gets(address: str) -> None:
    command = next(line for line in commands_of("README.md") if "PROD-001" in line)
    response = json.loads(run(command, address))
    shown = json.loads(JSON_BLOCK.findall(README)[0])
    assert list(response) == list(shown)
    varying = {"description", "features", "createdAt", "updatedAt"}
    assert {name: response[name] for name in response if name not in varying} == {
        name: shown[name] for name in shown if name not in varying
    }


def test_the_readme_shows_a_write_that_works(address: str) -> None:
    command = next(line for line in commands_of("README.md") if "-X PUT" in line)
    before = json.loads(run(f"curl -s {address}/v1.0/products/PROD-002", address))
    response = json.loads(run(command.replace("PROD-001", "PROD-002"), address))
    assert response["price"] == 99.5
    assert response["version"] == before["version"] + 1


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_command_for_developers_is_run_by_ci_or_by_a_test(document: str) -> None:
    run_by_this_file = (SERVES, "curl ")
    untried = [
        command
        for command in commands_of(document)
        if not command.startswith(run_by_this_file) and f"phase {command}\n" not in CI
    ]
    assert untried == []


def run(command: str, address: str) -> str:
    return subprocess.run(
        ["bash", "-c", command.replace("http://127.0.0.1:8000", address)],
        env={**os.environ, "API_KEY": API_KEY},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
