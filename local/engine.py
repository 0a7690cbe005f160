"""Starts and stops MiniStack, the local AWS, as a process on loopback.

It knows processes, ports and folders, but no table and no product.
"""

import contextlib
import errno
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from local.errors import LocalError
from local.loopback import HOST, listen
from local.state_files import StateFolder, reason_of
from product_tools.repository import REPOSITORY

ENGINE_PYTHON = REPOSITORY / ".local" / "engine" / "bin" / "python"
REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
"""The credentials of the account's root user; with `enforce_iam`, others need permissions."""

_START_SECONDS = 30.0
_SAVE_SECONDS = 10.0  # for a stop, which writes the tables; a catalogue takes milliseconds
_REPORT_BYTES = 65536
_REPORT_SECONDS = 1.0
_LOCK_SECONDS = 2.0  # an engine releases its lock within a second after its owner was killed
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """An engine that runs now, started by this or another process."""

    pid: int
    endpoint_url: str


class Engine:
    """One MiniStack, which keeps its tables and other resources in `state_dir` between runs.

    Use it as `with Engine(...) as engine:`, or call `start()` and `stop()`. Several engines can run
    at once, each in its own folder. The folder holds `engine.log`, `engine.lock` and the state.
    The engine saves its state at a stop. Without `save_while_running()`, all changes since its
    start are lost when the engine itself is killed (SIGKILL) or the machine loses power.

    Args:
        state_dir: the folder; it is created when missing.
        port: 0 selects a free port.
        enforce_iam: whether calls need the permissions of their IAM user or role.
        account_id: the 12 digits of the account.
        outlives_parent: whether it runs on after the end of the process that started it, until
            `stop_engine`. Otherwise it ends with that process, also when that process is killed.

    Attributes:
        has_lost_changes: whether the run before this one ended without its last save.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int = 0,
        enforce_iam: bool = False,
        account_id: str = "000000000000",
        outlives_parent: bool = False,
    ) -> None:
        self.state_dir = state_dir.resolve()
        self.log_file = self.state_dir / "engine.log"
        self.endpoint_url = ""
        self.has_lost_changes = False
        self._state = StateFolder(self.state_dir / "state")
        self._port = port
        self._enforce_iam = enforce_iam
        self._account_id = account_id
        self._outlives_parent = outlives_parent
        self._saves_at_stop = True
        self._report: Callable[[str], None] | None = None
        self._is_serving = False
        self._last_report = ""
        self._reader: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the engine's process, which leads its own process group."""
        return self._running().pid

    def save_while_running(self, report: Callable[[str], None]) -> None:
        """Save the tables, and only these, also while the engine runs.

        A save starts at most one second after a write; saves of large tables take up to a tenth of
        the time.

        Args:
            report: called, in a thread, with a sentence when changes cannot be saved, and when they
                are saved again.
        """
        self._report = report

    def save_nothing(self) -> None:
        """End without a save at `stop`: a save of thousands of tables would take too long."""
        self._saves_at_stop = False

    def start(self) -> None:
        """Start the engine and wait until it responds.

        Raises:
            LocalError: it is not installed, its folder or port cannot be used, or it did not start.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the process without a wait for it; its port accepts connections at once.

        Raises:
            LocalError: it is not installed, or its folder or port cannot be used.
        """
        if not ENGINE_PYTHON.exists():
            raise LocalError("The local AWS engine is not installed: run make setup.")
        with locked_folder(self.state_dir) as lock, listen(self._port) as listener:
            port = listener.getsockname()[1]
            self.endpoint_url = f"http://{HOST}:{port}"
            self.has_lost_changes = self._state.has_unsaved_changes
            try:
                lock.truncate(0)
                with self.log_file.open("wb") as log:
                    self._process = self._spawn(listener, lock, log)
                # Not through the file object: its close would write again on a full disk.
                os.write(lock.fileno(), f"{self._process.pid} {port}\n".encode())
            except OSError as error:
                if self._process:
                    self._end(self._process)
                raise _unusable(self.state_dir, error) from error

    def wait_until_ready(self) -> None:
        """Wait until the engine responds.

        Raises:
            LocalError: it has ended or did not respond in time; it is stopped then.
        """
        connection = http.client.HTTPConnection(
            self.endpoint_url.removeprefix("http://"), timeout=_START_SECONDS
        )
        try:
            connection.request("GET", "/_ministack/health")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            self._end(self._running())
            raise LocalError(
                self._last_report
                or f"The local AWS engine did not start: see the last lines of {self.log_file}."
            ) from error
        finally:
            connection.close()
        self._is_serving = True

    def wait(self) -> int:
        """Wait until the engine ends, and return its exit code (negative: a signal's number)."""
        return self._running().wait()

    def stop(self) -> None:
        """Stop the engine after it has saved its state, and all processes that it started.

        Raises:
            LocalError: the state could not be saved.
        """
        process = self._running()
        may_have_changes = self._saves_at_stop and self._is_serving and process.poll() is None
        self._is_serving = False
        self._last_report = ""
        self._end(process)
        if not may_have_changes or process.returncode == 0:
            return
        raise LocalError(
            self._last_report
            or f"The local AWS engine did not stop as it should (see {self.log_file}), "
            f"so its last changes may be missing: {self._state.last_good()}."
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if self._saves_at_stop:
            process.terminate()
        else:
            process.kill()
        try:
            process.wait(_SAVE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _kill_group(process.pid)
        if process.stdin:
            process.stdin.close()
        if self._reader:
            self._reader.join(_REPORT_SECONDS)  # it ends with the engine, which has the pipe

    def _read_reports(self, pipe: IO[bytes]) -> None:
        with pipe:
            while received := pipe.read(_REPORT_BYTES):
                self._last_report = received.decode(errors="replace").splitlines()[-1]
                if self._is_serving and self._report:
                    self._report(self._last_report)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the engine has not been started")
        return self._process

    def _spawn(
        self, listener: socket.socket, lock: IO[str], log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        options = [] if self._outlives_parent else ["stop-at-end-of-input"]
        if self._report:
            options.append("save-while-running")
        environment = self._environment(listener.getsockname()[1])
        readable, writable = os.pipe()
        # Unbuffered: a thread in a buffered read would abort the exit of this process.
        pipe = os.fdopen(readable, "rb", buffering=0)
        self._reader = threading.Thread(target=self._read_reports, args=(pipe,), daemon=True)
        self._reader.start()
        try:
            return subprocess.Popen(
                [
                    *(ENGINE_PYTHON, "-s", "-m", "local.engine_process"),
                    *(f"{listener.fileno()}", f"{writable}", *options),
                ],
                stdin=subprocess.DEVNULL if self._outlives_parent else subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(listener.fileno(), lock.fileno(), writable),
                env=environment,
                cwd=REPOSITORY,
                start_new_session=True,  # Ctrl-C must not end it before the server
            )
        finally:
            os.close(writable)

    def _environment(self, port: int) -> dict[str, str]:
        """Return all settings of MiniStack, without the user's own AWS settings."""
        scratch = self.state_dir / "tmp"
        scratch.mkdir(exist_ok=True)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.state_dir),
            "TMPDIR": str(scratch),
            "GATEWAY_PORT": str(port),
            "AUTH": "true" if self._enforce_iam else "false",
            **CREDENTIALS,
            "MINISTACK_ACCOUNT_ID": self._account_id,
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._state.folder),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.state_dir / "s3"),
            # These would listen on fixed ports, or use the user's containers.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        }


def running_engine(state_dir: Path) -> RunningEngine | None:
    """Return the engine that uses this folder now, or None; any process may have started it."""
    lock_file = state_dir / "engine.lock"
    if not lock_file.exists():
        return None
    with lock_file.open("r+") as lock:
        if _try_lock(lock):
            return None
        pid_and_port = lock.read().split()
    if not pid_and_port:  # it is starting
        return None
    return RunningEngine(int(pid_and_port[0]), f"http://{HOST}:{pid_and_port[1]}")


def stop_engine(state_dir: Path) -> bool:
    """Stop the engine that uses this folder, and all processes that it started.

    Returns:
        Whether an engine was running.
    """
    running = running_engine(state_dir)
    if running is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _SAVE_SECONDS
    while running_engine(state_dir) == running and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _kill_group(running.pid)
    return True


@contextlib.contextmanager
def locked_folder(state_dir: Path) -> Iterator[IO[str]]:
    """Lock the folder's lock file; the engine inherits it, and keeps it locked while it runs."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / "engine.lock").open("a+")
    except OSError as error:
        raise _unusable(state_dir, error) from error
    with lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(lock):
            if time.monotonic() > deadline:
                raise LocalError(
                    f"The folder {state_dir} is in use by another server: "
                    "stop that server, or choose another folder (make run: set DATA_DIR)."
                )
            time.sleep(_POLL_SECONDS)
        yield lock


def _unusable(state_dir: Path, error: OSError) -> LocalError:
    is_full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    next_step = (
        "make room there" if is_full else "choose a writable folder (make run: set DATA_DIR)"
    )
    return LocalError(f"The folder {state_dir} cannot be used ({reason_of(error)}): {next_step}.")


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
