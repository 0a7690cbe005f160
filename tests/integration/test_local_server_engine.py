"""The local AWS as a process: several at once, with or without its parent, never left behind."""

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
from tests.support.local_process import has_ended
from tests.support.waiting import eventually

_TABLE = "things"


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


def _make_table(endpoint_url: str) -> None:
    _client(endpoint_url).sync_create_table(_TABLE, ("PK", "S"), wait=True)


def _own_an_engine(state_dir: Path, parent: Connection) -> None:
    """Run in a process of its own: start an engine, say which, and wait to be killed."""
    with Engine(state_dir) as engine:
        _make_table(engine.endpoint_url)
        _put(engine.endpoint_url, "kept")
        parent.send(engine.pid)
        signal.pause()


def test_what_it_holds_outlives_it(tmp_path: Path) -> None:
    with Engine(tmp_path) as engine:
        _make_table(engine.endpoint_url)
        _put(engine.endpoint_url, "kept")

    with Engine(tmp_path) as engine:
        assert _has(engine.endpoint_url, "kept")


def test_several_run_at_once_and_share_nothing(tmp_path: Path) -> None:
    with Engine(tmp_path / "one") as one, Engine(tmp_path / "two") as two:
        for engine in (one, two):
            _make_table(engine.endpoint_url)
        _put(one.endpoint_url, "of one")

        assert not _has(two.endpoint_url, "of one")


def test_it_ends_with_its_parent_and_saves_first(tmp_path: Path) -> None:
    mine, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    parent = context.Process(target=_own_an_engine, args=(tmp_path, theirs))
    parent.start()
    pid = mine.recv()
    parent.kill()
    parent.join()
    eventually(lambda: has_ended(pid), "the engine to end")

    with Engine(tmp_path) as engine:
        assert _has(engine.endpoint_url, "kept")


def test_one_that_outlives_its_parent_is_found_and_stopped_by_its_folder(tmp_path: Path) -> None:
    engine = Engine(tmp_path, outlives_parent=True)
    engine.start()
    found = running_engine(tmp_path)
    assert found is not None
    assert (found.pid, found.endpoint_url) == (engine.pid, engine.endpoint_url)
    _make_table(found.endpoint_url)
    _put(found.endpoint_url, "kept")

    assert stop_engine(tmp_path)
    assert running_engine(tmp_path) is None
    assert not stop_engine(tmp_path)
    assert engine.wait() == 0
    with Engine(tmp_path) as again:
        assert _has(again.endpoint_url, "kept")


def test_a_folder_where_none_ever_ran_has_none(tmp_path: Path) -> None:
    assert running_engine(tmp_path) is None
    assert not stop_engine(tmp_path)


def test_an_engine_that_is_just_being_started_is_not_there_yet(tmp_path: Path) -> None:
    with (tmp_path / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert running_engine(tmp_path) is None


def test_the_lock_of_a_killed_engine_does_not_last(tmp_path: Path) -> None:
    with Engine(tmp_path) as engine:
        os.kill(engine.pid, signal.SIGKILL)
        assert engine.wait() == -signal.SIGKILL

        assert running_engine(tmp_path) is None
        with Engine(tmp_path) as again:
            assert again.pid != engine.pid


def test_an_engine_that_will_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_SAVE_SECONDS", 0.1)
    engine = Engine(tmp_path, outlives_parent=True)
    engine.start()
    os.kill(engine.pid, signal.SIGSTOP)
    engine.stop()

    assert has_ended(engine.pid)


def test_an_engine_of_another_process_that_will_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_SAVE_SECONDS", 0.1)
    engine = Engine(tmp_path, outlives_parent=True)
    engine.start()
    os.kill(engine.pid, signal.SIGSTOP)

    assert stop_engine(tmp_path)
    assert engine.wait() == -signal.SIGKILL


def test_it_takes_the_port_that_is_asked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Engine(tmp_path / "one", port=port) as engine:
        assert engine.endpoint_url == f"http://127.0.0.1:{port}"

        with pytest.raises(LocalError, match=f"^Port {port} cannot be used .*another port.$"):
            Engine(tmp_path / "two", port=port).start()


def test_with_iam_nobody_else_is_let_in(tmp_path: Path) -> None:
    with Engine(tmp_path, enforce_iam=True) as engine:
        _make_table(engine.endpoint_url)
        stranger = _client(engine.endpoint_url, access_key="nobody")

        with pytest.raises(CredentialsException):
            stranger.sync_put_item(_TABLE, {"PK": "refused"})


def test_a_missing_installation_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "ENGINE_PYTHON", tmp_path / "python")

    with pytest.raises(LocalError, match=r"^The local AWS engine is not installed: run make setup"):
        Engine(tmp_path).start()


def test_a_start_that_fails_is_told_in_one_sentence_with_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "ENGINE_PYTHON", Path(sys.executable))  # has no MiniStack

    with pytest.raises(LocalError, match=r"^The local AWS engine did not start: .*engine\.log say"):
        Engine(tmp_path).start()
    assert "ModuleNotFoundError" in (tmp_path / "engine.log").read_text()
    assert running_engine(tmp_path) is None


def test_an_engine_that_was_never_started_cannot_be_stopped(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        Engine(tmp_path).stop()
