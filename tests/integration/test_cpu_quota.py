"""A real quota of control groups on this machine; other machines let only root set one."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.cpu_quota import CpuGroup, QuotaError, cpu_group, this_machine

# More CPU time than the quota of two periods, whatever else the machine does.
BUSY = "import time\nwhile time.process_time() < 0.02: pass"


@pytest.fixture
def group() -> Iterator[CpuGroup]:
    try:
        controller = this_machine()
    except QuotaError as error:
        pytest.skip(str(error))
    with cpu_group(controller, 128) as running:
        yield running


def test_process_in_group_is_stopped_by_its_quota(group: CpuGroup) -> None:
    subprocess.run([*group.prefix, sys.executable, "-c", BUSY], check=True)

    assert group.throttled_periods() > 0


def test_process_outside_of_group_is_not_stopped(group: CpuGroup) -> None:
    subprocess.run([sys.executable, "-c", BUSY], check=True)

    assert group.throttled_periods() == 0


def test_prefix_keeps_the_process_and_its_arguments(group: CpuGroup) -> None:
    program = "import os, sys; print(os.getpid(), sys.argv[1:])"
    command = [*group.prefix, sys.executable, "-c", program, "two words", "$HOME"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        shown, _ = process.communicate()

    assert shown == f"{process.pid} ['two words', '$HOME']\n"


def test_group_is_gone_after_its_processes(group: CpuGroup) -> None:
    with cpu_group(this_machine(), 256) as second:
        subprocess.run([*second.prefix, sys.executable, "-c", ""], check=True)

    assert not second.folder.exists()
    assert group.folder.exists()
