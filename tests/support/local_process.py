"""Runs the local server as a process, with its settings in environment variables.

It sends no requests.
"""

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from product_tools.repository import REPOSITORY
from tests.support.waiting import eventually

KEY = "key-of-the-local-server-tests"


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """A running local server.

    Attributes:
        address: for example http://127.0.0.1:8000.
        process: its process, which leads a process group like a job in a terminal.
    """

    address: str
    data_dir: Path
    process: subprocess.Popen[bytes]
    output_file: Path

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        return self.output_file.read_text()

    @property
    def engine_pid(self) -> int:
        """The process id of its engine."""
        return int((self.data_dir / "engine.lock").read_text().split()[0])


@contextmanager
def local_server(
    data_dir: Path, *, command: Sequence[str] = ("-m", "local"), **settings: str
) -> Iterator[LocalProcess]:
    """Run a local server on a free port, with its files in `data_dir`."""
    output_file = data_dir.with_suffix(".out")
    with output_file.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env={**os.environ, "PORT": "0", "API_KEY": KEY, "DATA_DIR": str(data_dir), **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def address() -> str | None:
        printed = output_file.read_text()
        assert process.poll() is None, f"the server did not start:\n{printed}"
        found = re.search(r"Docs +(http://\S+)/docs\n", printed)
        return found and found[1]

    try:
        started = eventually(address, "the server's address", seconds=60)
        yield LocalProcess(started, data_dir, process, output_file)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def failed_start(*, command: Sequence[str] = ("-m", "local"), **settings: str) -> tuple[int, str]:
    """Start a local server that cannot start; return its exit code and its output."""
    completed = subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env={**os.environ, "PORT": "0", **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return completed.returncode, completed.stdout + completed.stderr


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """Let each write to a file fail in a running process, as on a full disk."""
    if not hasattr(resource, "prlimit"):
        pytest.skip("need Linux, which can limit a running process")
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it has ended
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def has_ended(pid: int) -> bool | None:
    """Return True when the process has ended, and None, for `eventually`, while it runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return None
