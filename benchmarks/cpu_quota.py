"""Gives a process the share of a CPU that AWS Lambda gives a function of a memory size.

It sets a quota of Linux's control groups, of version 1 or 2, and needs the rights of root. Source:
Linux kernel documentation, "CFS Bandwidth Control" and "Control Group v2".
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MEGABYTES_OF_ONE_CPU = 1769
"""AWS Lambda Developer Guide, "Configure Lambda function memory": at 1,769 MB, one vCPU."""
PERIOD_MICROSECONDS = 20_000
"""Lambda enforces its shares in periods of 20 ms ("Demystifying Serverless Costs on Public
Platforms", arXiv 2506.01283); AWS documents no period."""

_MOUNTS = Path("/proc/self/mounts")
_REMOVAL_SECONDS = 5.0
_POLL_SECONDS = 0.01
# The shell moves itself into the group, then becomes the function, with the same process id.
_ENTER = 'echo $$ > "$0" && exec "$@"'


class QuotaError(Exception):
    """This machine lets nobody, or not this user, limit a CPU."""


@dataclass(frozen=True, slots=True)
class Controller:
    """The control groups that limit CPUs: where they are mounted, and their version (1 or 2)."""

    root: Path
    version: int


@dataclass(frozen=True, slots=True)
class CpuGroup:
    """A control group with a quota.

    Attributes:
        folder: its folder among the control groups.
    """

    folder: Path

    @property
    def prefix(self) -> tuple[str, ...]:
        """Return the start of a command line that puts a command into this group."""
        return ("/bin/sh", "-c", _ENTER, str(self.folder / "cgroup.procs"))

    def throttled_periods(self) -> int:
        """Return the number of periods in which the quota stopped the processes."""
        lines = (self.folder / "cpu.stat").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("nr_throttled "))


def quota_microseconds(megabytes: int) -> int:
    """Return the CPU time in each period that Lambda gives a function of a memory size."""
    return round(PERIOD_MICROSECONDS * megabytes / MEGABYTES_OF_ONE_CPU)


def find_controller(mounts: str) -> Controller:
    """Return the control groups in the text of /proc/self/mounts.

    Raises:
        QuotaError: none of them limits CPUs.
    """
    for line in mounts.splitlines():
        _, folder, kind, options = line.split()[:4]
        root = Path(folder)
        if kind == "cgroup" and "cpu" in options.split(","):
            return Controller(root, 1)
        if kind == "cgroup2" and "cpu" in _controllers(root):
            return Controller(root, 2)
    raise QuotaError("This machine has no control groups that limit a CPU: run this on Linux.")


def this_machine() -> Controller:
    """Return the control groups of this machine.

    Raises:
        QuotaError: they cannot limit a CPU, or this user may not.
    """
    mounts = _MOUNTS.read_text(encoding="utf-8") if _MOUNTS.exists() else ""
    controller = find_controller(mounts)
    with cpu_group(controller, MEGABYTES_OF_ONE_CPU):
        return controller


@contextlib.contextmanager
def cpu_group(controller: Controller, megabytes: int) -> Iterator[CpuGroup]:
    """Create a group with the share of a memory size, and remove it after the processes ended.

    Raises:
        QuotaError: this user may not create it.
    """
    folder = controller.root / f"product-benchmark-{os.getpid()}-{secrets.token_hex(4)}"
    quota, period = quota_microseconds(megabytes), PERIOD_MICROSECONDS
    try:
        if controller.version == 1:
            folder.mkdir()
            (folder / "cpu.cfs_period_us").write_text(str(period), encoding="ascii")
            (folder / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
        else:
            (controller.root / "cgroup.subtree_control").write_text("+cpu", encoding="ascii")
            folder.mkdir()
            (folder / "cpu.max").write_text(f"{quota} {period}", encoding="ascii")
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise QuotaError(
            f"No CPU quota can be set in {controller.root} ({error.strerror}): run this as root."
        ) from None
    try:
        yield CpuGroup(folder)
    finally:
        _remove(folder)


def _controllers(root: Path) -> list[str]:
    file = root / "cgroup.controllers"
    return file.read_text(encoding="ascii").split() if file.exists() else []


def _remove(folder: Path) -> None:
    """Remove a group; the kernel keeps it until the last thread of its processes is gone."""
    deadline = time.monotonic() + _REMOVAL_SECONDS
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return
