"""Starts and stops the local server with its engine and table, and prints how to use it.

Settings come from the environment: PORT, API_KEY, DATA_DIR, SEED, RELOAD.
"""

import contextlib
import importlib
import logging
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from socket import socket
from types import FrameType

import uvicorn
from pydynox.exceptions import PydynoxException

from local.engine import CREDENTIALS, REGION, Engine
from local.errors import LocalError, SettingsError
from local.gateway import BASE_PATH
from local.http_protocol import HttpProtocol
from local.loopback import HOST, listen
from local.reload import end_with_parent, serve_and_reload
from local.server import LOGGER, Handler, LocalServer, is_function_running
from local.settings import Settings, api_key_error, settings_from
from local.state_files import reason_of, write_file
from local.table import create_table
from local.table_upgrade import upgrade_table
from product_tools.functions import FUNCTIONS
from product_tools.repository import REPOSITORY

_SEED_PROGRAM = REPOSITORY / "scripts" / "seed_products.py"
_TABLE_NAME = "products-local"
_GRACE_SECONDS = 0.5  # for open requests at a stop
_EXIT_STOPPED, _EXIT_FAILED, _EXIT_USAGE = 0, 1, 2
_FIRST_PRODUCT = (
    '{"name": "Basic", "description": "Five pages", "price": 1000, '
    '"period": "yearly", "features": ["One domain"]}'
)


class StopSignals:
    """Records SIGINT and SIGTERM without an interrupt, and stops the server once it is set.

    An exception from a signal handler could occur at any line, and be lost where exceptions are
    suppressed.
    """

    def __init__(self) -> None:
        self.received = False
        self.server: uvicorn.Server | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._record)

    def _record(self, _signal: int, _frame: FrameType | None) -> None:
        self.received = True
        if self.server:
            self.server.should_exit = True


def main() -> int:
    """Serve until a stop signal, and return the exit code."""

    def serve(settings: Settings, stop_signals: StopSignals) -> None:
        with listen(settings.port) as listener:
            if settings.reload:
                serve_and_reload(serve_in_child, listener)
            else:
                _serve(settings, listener, stop_signals)

    return _exit_code_of(serve)


def serve_in_child(sockets: list[socket] | None) -> None:
    """Serve until a stop signal, in a process of `local.reload`."""
    end_with_parent()
    [listener] = sockets or []
    sys.exit(_exit_code_of(lambda settings, stop: _serve(settings, listener, stop)))


def _exit_code_of(serve: Callable[[Settings, StopSignals], None]) -> int:
    stop_signals = StopSignals()
    exit_code = _EXIT_STOPPED
    try:
        serve(settings_from(os.environ), stop_signals)
    except LocalError as error:
        print(error, file=sys.stderr)
        exit_code = _EXIT_USAGE if isinstance(error, SettingsError) else _EXIT_FAILED
    if is_function_running():  # its thread would delay the exit until the engine's time-out
        sys.stdout.flush()
        os._exit(exit_code)
    return exit_code


def _serve(settings: Settings, listener: socket, stop_signals: StopSignals) -> None:
    with _engine(settings.data_dir) as engine:
        api_key = settings.api_key or _stored_api_key(settings.data_dir / "api-key")
        _configure_functions(engine.endpoint_url)
        app = LocalServer(_functions(), api_key)
        engine.wait_until_ready()
        _create_table(engine)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=HttpProtocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,  # type: ignore[arg-type]  # takes floats too
            )
        )
        stop_signals.server = server
        if stop_signals.received:
            return
        address = f"http://{HOST}:{listener.getsockname()[1]}"
        _print_usage(address, api_key, settings.data_dir)
        if engine.has_lost_changes:
            print("The last run ended without its last save: its last changes may be missing.\n")
        _stop_after(engine, server)
        with _seeding(address, api_key) if settings.seed else contextlib.nullcontext():
            server.run(sockets=[listener])  # it repeats stop signals at its end
        if not stop_signals.received:
            raise LocalError(
                f"The local AWS engine ended unexpectedly: see {engine.log_file}, "
                "then start the server again."
            )


def _create_table(engine: Engine) -> None:
    try:
        create_table(engine.endpoint_url, _TABLE_NAME)
        upgrade_table(engine.endpoint_url, _TABLE_NAME)
    except PydynoxException as error:
        raise LocalError(
            f"The table could not be created: see {engine.log_file}, then start the server again."
        ) from error


@contextlib.contextmanager
def _engine(data_dir: Path) -> Iterator[Engine]:
    """Start an engine without a wait for it, and stop it at the end, which saves all products."""
    engine = Engine(data_dir)
    engine.save_while_running(report=LOGGER.error)
    engine.launch()
    try:
        yield engine
    finally:
        engine.stop()


def _stored_api_key(file: Path) -> str:
    """Return the key of earlier runs, or create it in a file that only its owner can read."""
    try:
        if not file.exists():
            write_file(file, secrets.token_hex(20).encode())
        api_key = file.read_text(errors="replace").strip()
    except OSError as error:
        raise LocalError(
            f"The API key cannot be stored in {file} ({reason_of(error)}): "
            "make it a file that you can write, or set API_KEY."
        ) from error
    if error_text := api_key_error(api_key):
        raise LocalError(
            f"The API key in {file} {error_text}: remove the file, and the next start creates one."
        )
    return api_key


def _configure_functions(endpoint_url: str) -> None:
    """Set the environment variables that the functions read at import."""
    for name in list(os.environ):  # the user's settings for the real AWS and the internet
        if name.upper() in {"AWS_PROFILE", "AWS_SESSION_TOKEN", "ALL_PROXY", "HTTP_PROXY"}:
            del os.environ[name]
    os.environ.update(
        CREDENTIALS,
        AWS_REGION=REGION,
        AWS_ENDPOINT_URL=endpoint_url,
        TABLE_NAME=_TABLE_NAME,
        PRODUCT_INDEXES="true",
        CORS_ALLOWED_ORIGINS="*",
    )
    # The server logs one line for each request; with LOG_LEVEL=INFO the functions log theirs, too.
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    LOGGER.setLevel(logging.INFO)


def _functions() -> Mapping[str, Handler]:
    try:
        return {
            name: importlib.import_module(f"product_lambda.handlers.{name}").handler
            for name in FUNCTIONS
        }
    except ValueError as error:  # a sentence about an invalid setting, such as LOG_LEVEL
        raise SettingsError(error) from error


def _print_usage(address: str, api_key: str, data_dir: Path) -> None:
    products = f"{address}/{BASE_PATH}/products"
    headers = " ".join(
        f"-H {shlex.quote(header)}"
        for header in (f"x-api-key: {api_key}", "content-type: application/json")
    )
    print(
        f"The product API runs on this machine; Ctrl-C stops it.\n\n"
        f"  API      {products}\n"
        f"  Docs     {address}/docs\n"
        f"  API key  {api_key}\n"
        f"  Data     {data_dir}\n\n"
        f"Create a product, then list all products:\n\n"
        f"  curl -i {products} {headers} -d '{_FIRST_PRODUCT}'\n"
        f"  curl -i {products}\n"
    )


def _stop_after(engine: Engine, server: uvicorn.Server) -> None:
    """Stop the server when the engine ends."""

    def watch() -> None:
        engine.wait()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _seeding(address: str, api_key: str) -> Iterator[None]:
    """Add those of the five plans that never existed, while the server serves other requests."""
    seeding = subprocess.Popen(
        [sys.executable, _SEED_PROGRAM, "--base-url", f"{address}/{BASE_PATH}", "--only-missing"],
        env={**os.environ, "API_KEY": api_key},
    )
    try:
        yield
    finally:
        seeding.terminate()
        seeding.wait()
