"""The start and the stop of the local server, its state between runs, and its error messages."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from product_tools.repository import REPOSITORY
from tests.support.factory import product_body
from tests.support.local_process import (
    KEY,
    LocalProcess,
    failed_start,
    has_ended,
    local_server,
)
from tests.support.product_api import ProductApi
from tests.support.waiting import eventually

_STOP_SECONDS = 5.0  # a stop takes one second; the rest is for a busy machine

# A server whose functions never return, as on an engine that hangs.
_HANGING_SERVER = """
import pathlib, sys, threading
from local import run
marker = pathlib.Path(sys.argv[1])
hang = lambda event, context: marker.touch() or threading.Event().wait()
run._functions = lambda: {"list_products": hang}
sys.exit(run.main())
"""

# A server that takes the files of a folder for its code.
_RELOADING_SERVER = """
import sys
from local import reload, run
reload._CODE = [sys.argv[1]]
sys.exit(run.main())
"""

_SERVER_WITH_INVALID_TABLE_NAME = """
import sys
from local import run
run._TABLE_NAME = "not the name of a table"
sys.exit(run.main())
"""


def _create(server: LocalProcess) -> str:
    response = urllib3.request(
        "POST", f"{server.address}/v1.0/products", json=product_body(), headers={"x-api-key": KEY}
    )
    assert response.status == 201
    return response.headers["Location"]


def _listed(server: LocalProcess) -> list[str]:
    response = urllib3.request("GET", f"{server.address}/v1.0/products")
    return [product["productId"] for product in response.json()["products"]]


def _seconds_to_stop(server: LocalProcess, stop_signal: int) -> float:
    """Send the signal to the process group, as a terminal does, and expect exit code 0."""
    started = time.monotonic()
    os.killpg(server.process.pid, stop_signal)
    assert server.process.wait(timeout=30) == 0
    return time.monotonic() - started


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_stop_ends_all_processes(tmp_path: Path, stop_signal: int) -> None:
    with local_server(tmp_path / "products") as server:
        _create(server)
        engine_pid = server.engine_pid

        assert _seconds_to_stop(server, stop_signal) < _STOP_SECONDS
        assert has_ended(engine_pid)
        assert "Traceback" not in server.output


def test_stop_does_not_wait_for_slow_client(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            head = f"POST /v1.0/products HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n"
            client.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n".encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 100 ")

            assert _seconds_to_stop(server, signal.SIGTERM) < _STOP_SECONDS
            assert client.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert "Traceback" not in server.output


def test_stop_does_not_wait_for_hanging_function(tmp_path: Path) -> None:
    marker = tmp_path / "called"
    hanging = ("-c", _HANGING_SERVER, str(marker))
    with local_server(tmp_path / "products", command=hanging) as server:
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            client.sendall(b"GET /v1.0/products HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: marker.exists() or None, "the function to be called")
            engine_pid = server.engine_pid

            assert _seconds_to_stop(server, signal.SIGINT) < _STOP_SECONDS
            assert client.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert has_ended(engine_pid)
        assert "Traceback" not in server.output


def test_stop_during_start_prints_no_traceback(tmp_path: Path) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=REPOSITORY,
        env={**os.environ, "PORT": "0", "DATA_DIR": str(tmp_path / "products")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lock = tmp_path / "products" / "engine.lock"
    engine_pid = eventually(lambda: (lock.exists() and lock.read_text()) or None, "the engine")
    starting.send_signal(signal.SIGINT)
    printed, _ = starting.communicate(timeout=30)

    assert starting.returncode == 0
    assert "Traceback" not in printed
    assert has_ended(int(engine_pid.split()[0]))


def test_second_stop_signal_changes_nothing(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        _create(server)
        server.process.send_signal(signal.SIGINT)

        assert _seconds_to_stop(server, signal.SIGINT) < _STOP_SECONDS
        assert "Traceback" not in server.output

    with local_server(tmp_path / "products") as server:
        assert len(_listed(server)) == 1


def test_products_and_key_are_kept_between_runs(tmp_path: Path) -> None:
    data_dir = tmp_path / "products"
    with local_server(data_dir, API_KEY="") as server:
        key = (data_dir / "api-key").read_text()
        assert f"API key  {key}\n" in server.output
        assert key.isalnum()  # so that no command line takes it for an option
        assert stat.S_IMODE((data_dir / "api-key").stat().st_mode) == 0o600
    with local_server(data_dir) as server:
        _create(server)
    with local_server(data_dir, API_KEY="") as server:
        assert f"API key  {key}\n" in server.output
        assert len(_listed(server)) == 1


def test_engine_saves_and_ends_when_server_is_killed(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        _create(server)
        engine_pid = server.engine_pid
        server.process.kill()
        server.process.wait()
        eventually(lambda: has_ended(engine_pid), "the engine to end")

    with local_server(tmp_path / "products") as server:
        assert len(_listed(server)) == 1


def test_unexpected_end_of_engine_is_one_sentence(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        os.kill(server.engine_pid, signal.SIGKILL)

        assert server.process.wait(timeout=30) == 1
        assert server.output.splitlines()[-1] == (
            f"The local AWS engine ended unexpectedly: see {tmp_path / 'products' / 'engine.log'}, "
            "then start the server again."
        )
        assert "Traceback" not in server.output


def test_seed_loads_five_plans(tmp_path: Path) -> None:
    with local_server(tmp_path / "products", SEED="1") as server:
        eventually(lambda: len(_listed(server)) == 5 or None, "five plans")

        assert sorted(_listed(server)) == [f"PROD-00{number}" for number in range(1, 6)]


def test_seed_adds_only_plans_that_never_existed(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        api = ProductApi(f"{server.address}/v1.0", KEY)
        for product_id in ("PROD-001", "PROD-002"):
            api.create_product(product_body(productId=product_id, name="Edited"))
        api.delete_product("PROD-002")
    with local_server(tmp_path / "products", SEED="1") as server:
        summary = "3 created, 1 already active, 1 stays retired."
        eventually(lambda: summary in server.output or None, "the missing plans")

        api = ProductApi(f"{server.address}/v1.0", KEY)
        assert api.get_product("PROD-001").json()["name"] == "Edited"
        assert api.get_product("PROD-002").status == 404
        assert api.create_product(product_body()).json()["productId"] == "PROD-006"


@contextmanager
def _reloading_server(folder: Path) -> Iterator[LocalProcess]:
    """A server with RELOAD=1 that has seen `code.py` in the folder `code`."""
    (folder / "code").mkdir()
    (folder / "code/code.py").touch()
    command = ("-c", _RELOADING_SERVER, str(folder / "code"))
    with local_server(folder / "products", command=command, RELOAD="1") as server:
        yield server


def test_changed_code_restarts_server(tmp_path: Path) -> None:
    with _reloading_server(tmp_path) as server:
        product_id = _create(server).rpartition("/")[2]
        later = time.time() + 60
        os.utime(tmp_path / "code/code.py", (later, later))
        eventually(lambda: server.output.count("API key") == 2 or None, "a second start")

        assert product_id in _listed(server)
        assert "code.py'. Reloading..." in server.output
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0
        assert has_ended(server.engine_pid)


def test_killed_reloader_stops_server(tmp_path: Path) -> None:
    with _reloading_server(tmp_path) as server:
        engine_pid = server.engine_pid
        server.process.kill()

        eventually(lambda: has_ended(engine_pid), "the end of the engine")


def test_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        exit_code, printed = failed_start(PORT=str(port), DATA_DIR=str(tmp_path))

    assert exit_code == 1
    assert printed == (
        f"Port {port} cannot be used (Address already in use): "
        "stop the program that listens there, or choose another port "
        "(make run: set PORT, and for a second server also DATA_DIR).\n"
    )


def test_second_run_on_same_folder_is_one_sentence(tmp_path: Path) -> None:
    with local_server(tmp_path / "products") as server:
        exit_code, printed = failed_start(DATA_DIR=str(tmp_path / "products"))

        assert exit_code == 1
        assert printed == (
            f"The folder {tmp_path / 'products'} is in use by another server: "
            "stop that server, or choose another folder (make run: set DATA_DIR).\n"
        )
        assert _listed(server) == []


def test_data_dir_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    exit_code, printed = failed_start(DATA_DIR=str(file))

    assert exit_code == 1
    assert printed == (
        f"The folder {file} cannot be used (File exists): "
        "choose a writable folder (make run: set DATA_DIR).\n"
    )


def test_unwritable_key_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "api-key").mkdir()
    exit_code, printed = failed_start(API_KEY="", DATA_DIR=str(tmp_path))

    assert exit_code == 1
    assert printed == (
        f"The API key cannot be stored in {tmp_path / 'api-key'} (Is a directory): "
        "make it a file that you can write, or set API_KEY.\n"
    )


@pytest.mark.parametrize("stored", ["", "\n", "short", "x" * 19])
def test_short_key_in_file_is_one_sentence(tmp_path: Path, stored: str) -> None:
    (tmp_path / "api-key").write_text(stored)
    exit_code, printed = failed_start(API_KEY="", DATA_DIR=str(tmp_path))

    assert exit_code == 1
    assert printed == (
        f"The API key in {tmp_path / 'api-key'} must have 20 to 128 characters: "
        "remove the file, and the next start creates one.\n"
    )
    assert (tmp_path / "api-key").read_text() == stored


def test_short_api_key_is_one_sentence(tmp_path: Path) -> None:
    exit_code, printed = failed_start(API_KEY="short", DATA_DIR=str(tmp_path))

    assert (exit_code, printed) == (
        2,
        "The settings cannot be used: API_KEY must have 20 to 128 characters.\n",
    )


def test_failed_table_creation_is_one_sentence(tmp_path: Path) -> None:
    exit_code, printed = failed_start(
        command=("-c", _SERVER_WITH_INVALID_TABLE_NAME), DATA_DIR=str(tmp_path)
    )

    assert exit_code == 1
    assert printed == (
        f"The table could not be created: see {tmp_path / 'engine.log'}, "
        "then start the server again.\n"
    )


def test_invalid_settings_are_one_sentence() -> None:
    exit_code, printed = failed_start(PORT="http", SEED="maybe")

    assert exit_code == 2
    assert printed.startswith("The settings cannot be used: PORT must be")
    assert printed.count("\n") == 1


def test_invalid_log_level_is_one_sentence(tmp_path: Path) -> None:
    exit_code, printed = failed_start(LOG_LEVEL="loud", DATA_DIR=str(tmp_path))

    assert exit_code == 2
    assert "LOG_LEVEL" in printed
    assert printed.count("\n") == 1


def test_missing_package_is_one_sentence() -> None:
    completed = subprocess.run(
        [sys.executable, "-S", "-m", "local"],  # -S: without site-packages
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert completed.returncode == 1
    assert completed.stderr == (
        "The package uvicorn is not installed: start the server with make run.\n"
    )


def test_aws_settings_of_user_are_ignored(tmp_path: Path) -> None:
    settings = {
        "AWS_PROFILE": "company",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "TABLE_NAME": "products-prod",
    }
    with local_server(tmp_path / "products", **settings) as server:
        _create(server)
