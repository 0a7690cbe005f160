"""A function under AWS's own runtime client, as a process whose costs are read from the system.

It decides nothing about what is measured; it starts, invokes, reads and ends.
"""

import contextlib
import ctypes
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.runtime_api import Invocation, RuntimeApi


@dataclass(frozen=True, slots=True)
class Function:
    """What is deployed: an unpacked zip, and the handler in it.

    Attributes:
        python: the interpreter of an environment that holds nothing but the runtime client.
        folder: where the zip is unpacked.
        handler: as in Lambda's configuration, `module.function`.
    """

    python: Path
    folder: Path
    handler: str


class FunctionProcess:
    """A running function."""

    def __init__(self, process: subprocess.Popen[bytes], api: RuntimeApi, started: float) -> None:
        self._process = process
        self._api = api
        self._started = started
        self._clock = _cpu_clock_of(process.pid)

    def first_answer(self, event: bytes) -> tuple[Invocation, float]:
        """Return the first answer, and the seconds from the start of the process to it."""
        invocation = self.invoke(event)
        return invocation, invocation.answered - self._started

    def invoke(self, event: bytes) -> Invocation:
        """Return the answer to an event.

        Raises:
            FunctionFailed: there is none.
        """
        return self._api.invoke(event)

    def cpu_seconds(self) -> float:
        """User and system time of all its threads since it started."""
        return time.clock_gettime(self._clock)

    def peak_memory(self) -> int:
        """The most memory that was ever resident, in bytes (`VmHWM` in proc(5))."""
        return self._memory("VmHWM")

    def memory(self) -> int:
        """The memory that is resident now, in bytes (`VmRSS` in proc(5))."""
        return self._memory("VmRSS")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise RuntimeError(f"the system does not tell {name} of a process")
        return int(found[1]) * 1024


@contextlib.contextmanager
def running(function: Function, environment: Mapping[str, str]) -> Iterator[FunctionProcess]:
    """Start a function with Lambda's environment variables and `environment`; end it afterwards."""
    with RuntimeApi() as api:
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
            "PYTHONDONTWRITEBYTECODE": "1",  # as where a function's folder is read-only
            "_HANDLER": function.handler,
            **environment,
        }
        command = [str(function.python), "-m", "awslambdaric", function.handler]
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
    """The clock that counts a process's CPU time (clock_getcpuclockid in POSIX)."""
    clock = ctypes.c_int()
    error = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return clock.value
