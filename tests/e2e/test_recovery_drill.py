"""The recovery drill of the runbook."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from drill_recovery import FOLDER
from product_tools.repository import REPOSITORY

pytestmark = pytest.mark.timeout(600)


def test_drill_restores_lost_table_from_export(stacks_folder: Path) -> None:
    drill = subprocess.run(
        [
            *(sys.executable, "scripts/drill_recovery.py"),
            *("--packages", str(stacks_folder / "dev" / "packages")),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert drill.returncode == 0, drill.stdout + drill.stderr
    backup = re.search(r"^Backup: (\d+) products in (\S+)\.$", drill.stdout, re.MULTILINE)
    assert backup
    assert int(backup[1]) >= 5
    recovery = re.search(
        r"^The catalogue is complete again, (\d+) s after", drill.stdout, re.MULTILINE
    )
    assert recovery
    assert int(recovery[1]) < 30 * 60
    assert not FOLDER.exists()
