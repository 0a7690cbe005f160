"""The local AWS as a process: its start, its stop, and its state between runs."""

import fcntl
import multiprocessing
import os
import signal
import socket
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from pydynox import DynamoDBClient
from pydynox.exceptions import CredentialsException

from local import engine as engine_module
from local.engine import CREDENTIALS, REGION, Engine, running_engine, stop_engine
from local.errors import LocalError
from tests.support.local_process import full_disk, has_ended
from tests.support.waiting import eventually

_TABLE = "items"


def _client(
    endpoint_url: str, access_key: str = CREDENTIALS["AWS_ACCESS_KEY_ID"]
) -> DynamoDBClient:
    return DynamoDBClient(
        region=REGION,
        access_key=access_key,
        secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=endpoint_url,
    )


def _put(endpoint_url: str, name: str) -> None:
    _client(endpoint_url).sync_put_item(_TABLE, {"PK": name})


def _has(endpoint_url: str, name: str) -> bool:
    return _client(endpoint_url).sync_get_item(_TABLE, {"PK": name}) is not None


def _create_table(endpoint_url: str) -> None:
    _client(endpoint_url).sync_create_table(_TABLE, ("PK", "S"), wait=True)


def _run_engine(state_dir: Path, parent: Connection) -> None:
    """Start an engine, send its process id, and wait; runs in a separate process."""
    with Engine(state_dir) as engine:
        _create_table(engine.endpoint_url)
        _put(engine.endpoint_url, "kept")
        parent.send(engine.pid)
        signal.pause()


def test_state_is_kept_between_runs(tmp_path: Path) -> None:
    with Engine(tmp_path) as engine:
        _create_table(engine.endpoint_url)
        _put(engine.endpoint_url, "kept")

    with Engine(tmp_path) as engine:
        assert _has(engine.endpoint_url, "kept")


def test_engine_that_does_not_save_starts_empty_again(tmp_path: Path) -> None:
    with Engine(tmp_path) as engine:
        engine.save_nothing()
        _create_table(engine.endpoint_url)

    with Engine(tmp_path) as engine:
        assert not _client(engine.endpoint_url).sync_table_exists(_TABLE)


def test_parallel_engines_share_no_tables(tmp_path: Path) -> None:
    with Engine(tmp_path / "one") as one, Engine(tmp_path / "two") as two:
        for engine in (one, two):
            _create_table(engine.endpoint_url)
        _put(one.endpoint_url, "in one")

        assert not _has(two.endpoint_url, "in one")


def test_engine_saves_and_ends_when_parent_is_killed(tmp_path: Path) -> None:
    receiver, sender = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    parent = context.Process(target=_run_engine, args=(tmp_path, sender))
    parent.start()
    pid = receiver.recv()
    parent.kill()
    parent.join()
    eventually(lambda: has_ended(pid), "the engine to end")

    with Engine(tmp_path) as engine:
        assert _has(engine.endpoint_url, "kept")


def test_engine_is_found_and_stopped_by_its_folder(tmp_path: Path) -> None:
    engine = Engine(tmp_path, outlives_parent=True)
    engine.start()
    found = running_engine(tmp_path)
    assert found is not None
    assert (found.pid, found.endpoint_url) == (engine.pid, engine.endpoint_url)
    _create_table(found.endpoint_url)
    _put(found.endpoint_url, "kept")

    assert stop_engine(tmp_path)
    assert running_engine(tmp_path) is None
    assert not stop_engine(tmp_path)
    assert engine.wait() == 0
    with Engine(tmp_path) as again:
        assert _has(again.endpoint_url, "kept")


def test_empty_folder_has_no_engine(tmp_path: Path) -> None:
    assert running_engine(tmp_path) is None
    assert not stop_engine(tmp_path)


def test_starting_engine_is_not_running(tmp_path: Path) -> None:
    with (tmp_path / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert running_engine(tmp_path) is None


def test_killed_engine_releases_its_lock(tmp_path: Path) -> None:
    with Engine(tmp_path) as engine:
        os.kill(engine.pid, signal.SIGKILL)
        assert engine.wait() == -signal.SIGKILL

        assert running_engine(tmp_path) is None
        with Engine(tmp_path) as again:
            assert again.pid != engine.pid


def test_stop_kills_engine_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_SAVE_SECONDS", 0.1)
    engine = Engine(tmp_path, outlives_parent=True)
    engine.start()
    os.kill(engine.pid, signal.SIGSTOP)
    with pytest.raises(LocalError, match=r"last changes may be missing: .* no earlier state\.$"):
        engine.stop()

    assert has_ended(engine.pid)


def test_stop_on_full_disk_raises_and_keeps_state(tmp_path: Path) -> None:
    with Engine(tmp_path) as engine:
        _create_table(engine.endpoint_url)
        _put(engine.endpoint_url, "kept")
    saved = (tmp_path / "state" / "dynamodb.json").read_bytes()

    engine = Engine(tmp_path)
    engine.start()
    _put(engine.endpoint_url, "lost")
    with full_disk(engine.pid), pytest.raises(LocalError, match=r"^The last changes are not saved"):
        engine.stop()

    assert (tmp_path / "state" / "dynamodb.json").read_bytes() == saved
    with Engine(tmp_path) as again:
        assert again.has_lost_changes
        assert _has(again.endpoint_url, "kept")
    with Engine(tmp_path) as again:
        assert not again.has_lost_changes


def test_stop_by_folder_kills_engine_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_SAVE_SECONDS", 0.1)
    engine = Engine(tmp_path, outlives_parent=True)
    engine.start()
    os.kill(engine.pid, signal.SIGSTOP)

    assert stop_engine(tmp_path)
    assert engine.wait() == -signal.SIGKILL


def test_engine_uses_given_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Engine(tmp_path / "one", port=port) as engine:
        assert engine.endpoint_url == f"http://127.0.0.1:{port}"

        with pytest.raises(LocalError, match=f"^Port {port} cannot be used .*another port .*$"):
            Engine(tmp_path / "two", port=port).start()


def test_enforced_iam_rejects_unknown_key(tmp_path: Path) -> None:
    with Engine(tmp_path, enforce_iam=True) as engine:
        _create_table(engine.endpoint_url)
        unknown = _client(engine.endpoint_url, access_key="unknown")

        with pytest.raises(CredentialsException):
            unknown.sync_put_item(_TABLE, {"PK": "rejected"})


def test_missing_installation_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "ENGINE_PYTHON", tmp_path / "python")

    with pytest.raises(LocalError, match=r"^The local AWS engine is not installed: run make setup"):
        Engine(tmp_path).start()


def test_failed_start_names_log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "ENGINE_PYTHON", Path(sys.executable))  # has no MiniStack

    with pytest.raises(LocalError, match=r"^The local AWS engine did not start: see .*engine\.log"):
        Engine(tmp_path).start()
    assert "ModuleNotFoundError" in (tmp_path / "engine.log").read_text()
    assert running_engine(tmp_path) is None


def test_stop_before_start_raises(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        Engine(tmp_path).stop()
