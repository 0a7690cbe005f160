"""The recovery drill, run as the runbook says: a lost table is rebuilt, and its time is told."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from drill_recovery import FOLDER
from product_tools.repository import REPOSITORY

pytestmark = pytest.mark.timeout(600)


def test_a_lost_table_is_rebuilt_from_an_export_and_the_catalogue_is_whole(
    stacks_folder: Path,
) -> None:
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
    lost = re.search(r"^Backup: (\d+) products in (\S+)\.$", drill.stdout, re.MULTILINE)
    assert lost
    assert int(lost[1]) >= 5
    told = re.search(r"^The catalogue is whole again, (\d+) s after", drill.stdout, re.MULTILINE)
    assert told
    assert int(told[1]) < 30 * 60
    assert not FOLDER.exists()
