"""The error messages of deployments: one sentence each, with the next step."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import FEATURES
from product_tools.repository import REPOSITORY
from product_tools.terraform import TERRAFORM_FOLDER, LocalRoot, TerraformError

pytestmark = pytest.mark.usefixtures("stacks_folder")  # then Terraform is installed


def _deploy(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "deploy_local.py", *arguments],
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def _write_program(folder: Path, output: str) -> None:
    program = folder / "terraform"
    program.write_text(f"#!/bin/sh\necho '{output}'\n")
    program.chmod(0o755)


def test_missing_terraform_names_next_step(tmp_path: Path) -> None:
    completed = _deploy(tmp_path)
    assert completed.returncode == 1
    assert completed.stdout == ""
    assert re.fullmatch(
        r"Terraform was not found: install Terraform 1\.11 or newer .*\.\n", completed.stderr
    )


def test_unknown_feature_deploys_nothing(tmp_path: Path) -> None:
    completed = _deploy(tmp_path, "--features", "audit")
    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr == (f"There is no feature audit: give {', '.join(FEATURES)}, or all.\n")


@pytest.mark.parametrize("version", ["0.15.5", "1.9.8", "1.10.5"])
def test_old_terraform_is_rejected(tmp_path: Path, version: str) -> None:
    _write_program(tmp_path, f'{{"terraform_version": "{version}"}}')
    completed = _deploy(tmp_path)
    assert completed.returncode == 1
    assert completed.stderr.startswith(f"Terraform {version} is too old: install Terraform 1.11")
    assert completed.stderr.count("\n") == 1


def test_other_program_named_terraform_is_rejected(tmp_path: Path) -> None:
    _write_program(tmp_path, "something else")
    completed = _deploy(tmp_path)
    assert completed.returncode == 1
    assert "does not report its version" in completed.stderr
    assert completed.stderr.count("\n") == 1


def test_mirror_without_provider_names_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("TF_PLUGIN_DIR", str(tmp_path / "empty"))
    root = LocalRoot(TERRAFORM_FOLDER / "table", tmp_path / "root", {}, {})
    with pytest.raises(
        TerraformError, match="provider could not be installed: check the network, or"
    ):
        root.init()


def test_mirror_that_is_not_a_folder_names_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_PLUGIN_DIR", str(tmp_path / "nowhere"))
    root = LocalRoot(TERRAFORM_FOLDER / "table", tmp_path / "root", {}, {})
    with pytest.raises(TerraformError, match="nowhere, which is not a folder: set it to"):
        root.init()


def test_missing_terraform_settings_file_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "gone"))
    LocalRoot(TERRAFORM_FOLDER / "table", tmp_path / "root", {}, {}).init()
