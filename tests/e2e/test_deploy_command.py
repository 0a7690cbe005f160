"""What a person reads whose machine cannot deploy: one sentence each, and what to do."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import TERRAFORM
from product_tools.repository import REPOSITORY
from product_tools.terraform import Root, TerraformError

pytestmark = pytest.mark.usefixtures("stacks_folder")  # Terraform is there when they are


def _deploy(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "deploy_local.py"],
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def _pretend(folder: Path, version: str) -> None:
    program = folder / "terraform"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)


def test_without_terraform_the_person_is_told_to_install_it(tmp_path: Path) -> None:
    response = _deploy(tmp_path)
    assert response.returncode == 1
    assert response.stdout == ""
    assert re.fullmatch(
        r"Terraform was not found: install Terraform 1\.11 or newer .*\.\n", response.stderr
    )


@pytest.mark.parametrize("version", ["0.15.5", "1.9.8", "1.10.5"])
def test_an_old_terraform_is_refused(tmp_path: Path, version: str) -> None:
    _pretend(tmp_path, f'{{"terraform_version": "{version}"}}')
    response = _deploy(tmp_path)
    assert response.returncode == 1
    assert response.stderr.startswith(f"Terraform {version} is too old: install Terraform 1.11")
    assert response.stderr.count("\n") == 1


def test_a_program_that_only_has_terraform_s_name_is_refused(tmp_path: Path) -> None:
    _pretend(tmp_path, "something else")
    response = _deploy(tmp_path)
    assert response.returncode == 1
    assert "does not tell its version" in response.stderr
    assert response.stderr.count("\n") == 1


def test_a_mirror_without_the_provider_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("TF_PLUGIN_DIR", str(tmp_path / "empty"))
    root = Root(TERRAFORM / "table", tmp_path / "root", {}, {})
    with pytest.raises(TerraformError, match="provider could not be had: check the network, or"):
        root.init()


def test_a_mirror_that_is_no_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_PLUGIN_DIR", str(tmp_path / "nowhere"))
    root = Root(TERRAFORM / "table", tmp_path / "root", {}, {})
    with pytest.raises(TerraformError, match="nowhere, which is no folder: name one"):
        root.init()


def test_a_settings_file_that_is_gone_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "gone"))
    Root(TERRAFORM / "table", tmp_path / "root", {}, {}).init()
