"""Runs a function under AWS's runtime client and reads its CPU time and memory from the system.

It does not decide which events and figures count.
"""

import contextlib
import ctypes
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.runtime_api import Invocation, RuntimeApi


@dataclass(frozen=True, slots=True)
class Function:
    """A deployed function: its unpacked zip and its handler.

    Attributes:
        python: the interpreter of an environment that contains only the runtime client.
        folder: the folder of the unpacked zip.
        handler: `module.function`, as in Lambda's configuration.
    """

    python: Path
    folder: Path
    handler: str


class FunctionProcess:
    """A running function; `running_function` starts and ends it."""

    def __init__(self, process: subprocess.Popen[bytes], api: RuntimeApi, started: float) -> None:
        self._process = process
        self._api = api
        self._started = started
        self._clock = _cpu_clock_of(process.pid)

    def first_response(self, event: bytes) -> tuple[Invocation, float]:
        """Return the first response, and the seconds from the start of the process to it."""
        invocation = self.invoke(event)
        return invocation, invocation.received_at - self._started

    def invoke(self, event: bytes) -> Invocation:
        """Send an event and return the response.

        Raises:
            FunctionFailed: the function reported an error or sent no response in time.
        """
        return self._api.invoke(event)

    def cpu_seconds(self) -> float:
        """Return the user and system time of all threads since the start."""
        return time.clock_gettime(self._clock)

    def peak_memory(self) -> int:
        """Return the peak of the resident memory, in bytes (`VmHWM` in proc(5))."""
        return self._memory("VmHWM")

    def memory(self) -> int:
        """Return the current resident memory, in bytes (`VmRSS` in proc(5))."""
        return self._memory("VmRSS")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise RuntimeError(f"/proc/PID/status has no {name}: run this on Linux")
        return int(found[1]) * 1024


@contextlib.contextmanager
def running_function(
    function: Function,
    environment: Mapping[str, str],
    prefix: Sequence[str] = (),
    seconds: float = 10,
) -> Iterator[FunctionProcess]:
    """Run a function with Lambda's environment variables and those in `environment`.

    `prefix` is the start of a command line that executes the rest of it in the same process;
    `seconds` is how long each response may take.
    """
    with RuntimeApi(seconds) as api:
        variables = {
            "PATH": os.defpath,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_NAME": "measured",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "LAMBDA_TASK_ROOT": str(function.folder),
            "PYTHONDONTWRITEBYTECODE": "1",  # in Lambda the folder is read-only
            "_HANDLER": function.handler,
            **environment,
        }
        command = [*prefix, str(function.python), "-m", "awslambdaric", function.handler]
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=function.folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield FunctionProcess(process, api, started)
        finally:
            process.kill()
            process.wait()


def _cpu_clock_of(pid: int) -> int:
    """Return the CPU-time clock of a process (clock_getcpuclockid in POSIX)."""
    clock = ctypes.c_int()
    error = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return clock.value
