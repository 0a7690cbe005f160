"""Runs MiniStack on an open socket; `engine.py` starts it in the Python environment of the engine.

That environment holds MiniStack only, so this imports nothing of the repository that needs a
package. MiniStack itself starts empty when a state file is damaged, ignores a failed save, and
saves at a stop only. The functions here replace its own `_load_persisted_state` and `save_all`.

Usage: python -m local.engine_process SOCKET_FD REPORT_FD [stop-at-end-of-input]
[save-while-running], in the folder of the repository. It changes to its HOME, the state's folder.
REPORT_FD is a pipe for sentences about the state, one in each line.
"""

# ruff: noqa: SLF001 (private names of MiniStack, whose version is pinned)

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

# For MiniStack only: its Lambda workers inherit the environment, and keep their own log level.
os.environ["LOG_LEVEL"] = "WARNING"
from hypercorn.asyncio import serve  # type: ignore[import-not-found]
from hypercorn.config import Config  # type: ignore[import-not-found]
from ministack import app as ministack  # type: ignore[import-not-found]
from ministack.core import persistence  # type: ignore[import-not-found]
from ministack.core.responses import (  # type: ignore[import-not-found]
    AccountRegionScopedDict,
)
from ministack.services import dynamodb  # type: ignore[import-not-found]

from local.state_files import StateError, StateFolder, reason_of

del os.environ["LOG_LEVEL"]

KILL_SECONDS = 10  # until a stop that hangs becomes a kill
SAVE_SECONDS = 1.0  # from a write to its save; the save itself takes milliseconds
MAX_SHARE = 0.1  # of the time, for saves of large tables: they stop all requests
TABLES = "dynamodb"
TABLE_STORES = (
    "tags",
    "ttl_settings",
    "pitr_settings",
    "kinesis_destinations",
    "contributor_insights",
    "backups",
    "resource_policies",
    "exports",
    "imports",
)
READS = {
    "BatchGetItem",
    "DescribeTable",
    "GetItem",
    "ListTables",
    "Query",
    "Scan",
    "TransactGetItems",
}


class Saver:
    """Restores the state at the start, and saves it while the engine runs and at its stop."""

    def __init__(self, state: StateFolder, report_fd: int, *, while_running: bool) -> None:
        self.failed = False
        self._state = state
        self._report_fd = report_fd
        self._while_running = while_running
        self._changed = asyncio.Event()
        self._writing = threading.Lock()
        self._stopped = False
        self._saving: asyncio.Task[None] | None = None

    def restore(self) -> None:
        """Restore all services, or end the process: an empty start would lose the saved state."""
        try:
            for service, module in ministack._state_map.items():
                self._state.read(service, partial(_load, service, module))
            if self._while_running:  # a folder that cannot be written fails the start
                self._state.write({TABLES: _encoded(TABLES, _tables())})
            self._state.begin()
        except StateError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(
                f"The folder {self._state.folder} cannot be written ({reason_of(error)}): "
                "make room there, or choose another folder (make run: set DATA_DIR)."
            )
        if self._while_running:
            self._saving = asyncio.get_running_loop().create_task(self._save_changes())

    def note_change(self) -> None:
        """Note that a table may have changed since the last save."""
        self._changed.set()

    def save_all(self, services: Mapping[str, Callable[[], Any]]) -> None:
        """Save all services at the stop, or only the tables if the engine saves while it runs."""
        if self._while_running:
            services = {TABLES: _tables}
        try:
            states = {service: get_state() for service, get_state in services.items()}
            contents = {
                service: _encoded(service, state)
                for service, state in states.items()
                if state is not None  # the service has not been used
            }
            with self._writing:
                self._stopped = True
                self._state.write(
                    {
                        service: content
                        for service, content in contents.items()
                        if not self._state.has(service, content)
                    }
                )
                self._state.end()
        except Exception as error:  # noqa: BLE001 (any error means that changes are lost)
            self.failed = True
            self._report(
                f"The last changes are not saved ({reason_of(error)}): {self._state.last_good()}."
            )

    async def _save_changes(self) -> None:
        """Save the tables a moment after each change, at most once in SAVE_SECONDS."""
        pause, works = SAVE_SECONDS, True
        while True:
            await self._changed.wait()
            await asyncio.sleep(pause)
            self._changed.clear()
            started = time.perf_counter()
            try:
                content = _encoded(TABLES, _tables())  # no request runs meanwhile
                pause = max(SAVE_SECONDS, (time.perf_counter() - started) / MAX_SHARE)
                await asyncio.to_thread(self._write, content)
            except Exception as error:  # noqa: BLE001 (any error means that changes are not saved)
                self._changed.set()
                if works:
                    self._report(
                        f"Changes are not saved ({reason_of(error)}): make room in "
                        f"{self._state.folder}; {self._state.last_good()}."
                    )
                works = False
            else:
                if not works:
                    self._report("All changes are saved again.")
                works = True

    def _write(self, content: bytes) -> None:
        with self._writing:
            if not self._stopped:  # the stop has saved a newer state
                self._state.write({TABLES: content})

    def _fail(self, sentence: str) -> None:
        self._report(sentence)
        raise SystemExit(1)

    def _report(self, sentence: str) -> None:
        line = f"{sentence}\n".encode()
        for descriptor in (self._report_fd, sys.stderr.fileno()):
            try:
                os.write(descriptor, line)
            except OSError:  # the starting process has ended, or the disk of the log is full
                continue


def _load(service: str, module: str, text: str) -> None:
    document = json.loads(text, object_hook=persistence._json_object_hook)
    if document["__ministack_format__"] > persistence._state_format_version(service):
        raise ValueError
    if document["payload"]:
        ministack._get_module(module).load_persisted_state(document["payload"])


def _encoded(service: str, state: object) -> bytes:
    """Return the content of a state file in MiniStack's format."""
    version = persistence._state_format_version(service)
    document = {"__ministack_format__": version, "payload": state}
    return json.dumps(document, default=persistence._json_default).encode()


def _tables() -> dict[str, Any]:
    """Return `dynamodb.get_state()` without its copies, which take six times as long."""
    tables = AccountRegionScopedDict()
    for key, table in dynamodb._tables.all_items():
        stored = {name: part for name, part in table.items() if name != dynamodb._INDEX_MEMBERS}
        tables.set_scoped(*key, stored)
    return {"tables": tables} | {name: getattr(dynamodb, f"_{name}") for name in TABLE_STORES}


def _is_table_write(scope: Mapping[str, Any]) -> bool:
    target = dict(scope.get("headers", ())).get(b"x-amz-target", b"").decode("latin-1")
    service, _, operation = target.partition(".")
    return service.startswith("DynamoDB_") and operation not in READS


async def app(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Pass a request on to MiniStack, and note whether it may have changed a table."""
    try:
        await ministack.app(scope, receive, send)
    finally:
        if _is_table_write(scope):
            saver.note_change()


def stop_at_end_of_input() -> None:
    """Stop as on SIGTERM when the starting process has ended, for any reason."""
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: a thread in a buffered read aborts the exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(KILL_SECONDS)
    os.killpg(0, signal.SIGKILL)


os.chdir(os.environ["HOME"])
socket_fd, report_fd, *options = sys.argv[1:]
saver = Saver(
    StateFolder(Path(persistence.STATE_DIR)),
    int(report_fd),
    while_running="save-while-running" in options,
)
ministack._load_persisted_state = saver.restore
ministack.save_all = saver.save_all
if "stop-at-end-of-input" in options:
    threading.Thread(target=stop_at_end_of_input, daemon=True).start()

config = Config()
config.bind = [f"fd://{socket_fd}"]
# Seconds; longer than clients keep idle connections: Terraform's AWS SDK keeps them for 90 s.
config.keep_alive_timeout = 120
config.graceful_timeout = 0.5  # seconds for open requests at a stop
asyncio.run(serve(app, config))
sys.exit(1 if saver.failed else 0)
