"""The functions that the commands for local deployments share."""

import json
import stat
from pathlib import Path

import pytest

from local.deployment import one_line_per_step, one_run_at_a_time, write_description
from local.stack import Deployment, LocalStackError


def test_second_run_is_rejected(tmp_path: Path) -> None:
    lock_file = tmp_path / "new folder" / "lock"

    with (
        one_run_at_a_time(lock_file),
        pytest.raises(LocalStackError, match=r"^Another run uses the same deployment: wait"),
        one_run_at_a_time(lock_file),
    ):
        pass


def test_next_run_is_accepted(tmp_path: Path) -> None:
    for _ in range(2):
        with one_run_at_a_time(tmp_path / "lock"):
            pass


def test_description_is_readable_only_for_user(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "deployment.json"
    for key in ("old", "new"):
        write_description(Deployment("http://127.0.0.1:1", key, changed=True), file)

    assert json.loads(file.read_text()) == {"baseUrl": "http://127.0.0.1:1", "apiKey": "new"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_each_step_is_reported_once() -> None:
    steps: list[str] = []
    report = one_line_per_step(steps.append)
    for line in (
        "Planning the table",
        "Deploying the table: 1 of 2",
        "Deploying the table: 2 of 2",
    ):
        report(line)

    assert steps == ["Planning the table", "Deploying the table"]
