"""The saved state of the local server: killed processes, a full disk, and damaged files."""

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
import urllib3

from local.engine import Engine
from local.table import create_table
from tests.support.factory import product_body
from tests.support.local_process import (
    KEY,
    LocalProcess,
    failed_start,
    full_disk,
    local_server,
)
from tests.support.waiting import eventually

_SAVE_SECONDS = 10.0  # a save starts 1 s after a write; the rest is for a busy machine
_NO_LAST_SAVE = "The last run ended without its last save: its last changes may be missing.\n"

# A server that cannot write more bytes to a file than the argument, as on a full disk.
_SERVER_ON_FULL_DISK = """
import resource, sys
from local import run
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), unlimited[1]))
try:
    exit_code = run.main()
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
sys.exit(exit_code)
"""


def _state_file(server: LocalProcess) -> Path:
    return server.data_dir / "state" / "dynamodb.json"


def _create(server: LocalProcess) -> str:
    response = urllib3.request(
        "POST", f"{server.address}/v1.0/products", json=product_body(), headers={"x-api-key": KEY}
    )
    assert response.status == 201
    product_id: str = response.json()["productId"]
    return product_id


def _create_saved(server: LocalProcess) -> str:
    """Create a product, and wait until it is saved."""
    product_id = _create(server)
    key = f'"PRODUCT#{product_id}"'.encode()
    file = _state_file(server)
    eventually(lambda: key in file.read_bytes() or None, "the save", seconds=_SAVE_SECONDS)
    return product_id


def _listed(server: LocalProcess) -> set[str]:
    response = urllib3.request("GET", f"{server.address}/v1.0/products")
    return {product["productId"] for product in response.json()["products"]}


def _exit_code(server: LocalProcess) -> int:
    server.process.send_signal(signal.SIGINT)
    return server.process.wait(timeout=30)


def _saved_state(data_dir: Path) -> Path:
    """Run a server until it has saved a product twice, and return its state file."""
    with local_server(data_dir) as server:
        _create_saved(server)
        _create_saved(server)
        assert _exit_code(server) == 0
        return _state_file(server)


@pytest.mark.parametrize("kills_server", [False, True], ids=["engine", "engine and server"])
def test_saved_products_survive_kill(tmp_path: Path, *, kills_server: bool) -> None:
    with local_server(tmp_path / "products") as server:
        created = {_create_saved(server) for _ in range(3)}
        os.kill(server.engine_pid, signal.SIGKILL)
        if kills_server:
            server.process.kill()
        server.process.wait(timeout=30)

    with local_server(tmp_path / "products") as server:
        assert _listed(server) == created
        assert _NO_LAST_SAVE in server.output


def test_save_while_running_has_all_parts_of_state(tmp_path: Path) -> None:
    with Engine(tmp_path / "engine") as engine:
        create_table(engine.endpoint_url, "products-local")
    at_stop = json.loads((tmp_path / "engine" / "state" / "dynamodb.json").read_text())

    with local_server(tmp_path / "products") as server:
        _create_saved(server)
        while_running = json.loads(_state_file(server).read_text())
        assert list(while_running) == list(at_stop)
        assert list(while_running["payload"]) == list(at_stop["payload"])
        (table,) = while_running["payload"]["tables"]["data"].values()
        (expected,) = at_stop["payload"]["tables"]["data"].values()
        assert list(table) == list(expected)


def test_stop_saves_products_of_the_last_second(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        created = {_create(server) for _ in range(3)}
        assert _exit_code(server) == 0

    with local_server(tmp_path / "products") as server:
        assert _listed(server) == created
        assert _NO_LAST_SAVE not in server.output


def test_stop_on_full_disk_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        saved = _create_saved(server)
        content = _state_file(server).read_bytes()
        with full_disk(server.engine_pid):
            for _ in range(3):
                _create(server)
            assert _exit_code(server) == 1

        assert re.fullmatch(
            r"The last changes are not saved \(File too large\): "
            rf"the last good state is {re.escape(str(_state_file(server)))} of [-\d]+ [:\d]+\.",
            server.output.splitlines()[-1],
        )
        assert _state_file(server).read_bytes() == content
        assert "Traceback" not in server.output

    with local_server(tmp_path / "products") as server:
        assert _listed(server) == {saved}
        assert _NO_LAST_SAVE in server.output


def test_full_disk_is_reported_until_there_is_room(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        with full_disk(server.engine_pid):
            created = {_create(server)}
            failed = r"Changes are not saved \(File too large\): make room in .*; the last good "
            eventually(lambda: re.search(failed, server.output), "the message")
        eventually(lambda: "All changes are saved again." in server.output or None, "the message")
        created.add(_create(server))
        assert _exit_code(server) == 0
        assert server.output.count("Changes are not saved") == 1

    with local_server(tmp_path / "products") as server:
        assert _listed(server) == created


def test_stop_on_full_disk_without_changes_succeeds(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        saved = _create_saved(server)
        with full_disk(server.engine_pid):
            assert _listed(server) == {saved}
            assert _exit_code(server) == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda _: b"\x00" * 500,
        lambda _: b"[]",
        lambda _: b"{}",
        lambda _: b'{"__ministack_format__": 2, "payload": ["tables"]}',
        lambda content: content.replace(b'_format__": ', b'_format__": 99'),
    ],
    ids=["truncated", "empty", "zeros", "list", "no payload", "other payload", "newer format"],
)
def test_damaged_state_stops_start_and_is_kept(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    file = _saved_state(tmp_path / "products")
    previous = file.with_name("dynamodb.json.previous")
    file.write_bytes(damage(file.read_bytes()))
    before = (file.read_bytes(), previous.read_bytes())
    exit_code, printed = failed_start(API_KEY=KEY, DATA_DIR=str(tmp_path / "products"))

    assert exit_code == 1
    assert re.fullmatch(
        rf"The state file {re.escape(str(file))} is damaged: run mv \S+ \S+ to go back to the "
        r"state of [-\d]+ [:\d]+, or move both files away to start from nothing\.\n",
        printed,
    )
    assert (file.read_bytes(), previous.read_bytes()) == before


def test_printed_command_goes_back_to_state_before_damage(tmp_path: Path) -> None:
    file = _saved_state(tmp_path / "products")
    file.write_bytes(b"{")
    _, printed = failed_start(API_KEY=KEY, DATA_DIR=str(tmp_path / "products"))
    command = re.findall(r"run (mv .*) to go back", printed)[0]
    subprocess.run(shlex.split(command), check=True)

    with local_server(tmp_path / "products") as server:
        assert "PROD-001" in _listed(server)


def test_state_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    exit_code, printed = failed_start(API_KEY=KEY, DATA_DIR=str(tmp_path))

    assert exit_code == 1
    assert re.fullmatch(
        rf"The state file {re.escape(str(tmp_path))}/state/\w+\.json cannot be read "
        r"\(Not a directory\): make it a file that you can read, then start again\.\n",
        printed,
    )


@pytest.mark.parametrize(
    ("largest_file", "sentence"),
    [
        (0, "The folder {folder} cannot be used (File too large): make room there."),
        (
            25,
            (
                "The API key cannot be stored in {folder}/api-key (File too large): "
                "make it a file that you can write, or set API_KEY."
            ),
        ),
        (
            100,
            (
                "The folder {folder}/state cannot be written (File too large): "
                "make room there, or choose another folder (make run: set DATA_DIR)."
            ),
        ),
    ],
    ids=["lock", "key", "state"],
)
def test_full_disk_at_start_is_one_sentence(
    tmp_path: Path, largest_file: int, sentence: str
) -> None:
    command = ("-c", _SERVER_ON_FULL_DISK, str(largest_file))
    exit_code, printed = failed_start(command=command, API_KEY="", DATA_DIR=str(tmp_path))

    assert (exit_code, printed) == (1, sentence.format(folder=tmp_path) + "\n")
    assert not list(tmp_path.glob("state/*"))
    assert (tmp_path / "api-key").exists() == (largest_file == 100)
