"""The Makefile: the list of targets, and the settings of `make run`."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))


def make(*arguments: str) -> str:
    command = ["make", "--directory", str(ROOT), "--no-print-directory", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_make_lists_all_targets_with_help() -> None:
    listed = re.findall(r"^  make ([a-z0-9-]+) +\S.*$", make(), re.MULTILINE)

    assert sorted(listed) == sorted(targets())


def test_make_inside_make_prints_no_directory() -> None:
    environment = {name: os.environ[name] for name in ("HOME", "PATH")}  # of no make
    nested = subprocess.run(
        ["make", "--eval", "nested: ; @bash -c 'make help'", "nested"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert nested.stdout == make("help")


def test_all_targets_are_phony() -> None:
    phony = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)

    assert targets() == {name for names in phony for name in names.replace("\\", "").split()}


def test_run_passes_settings_to_server() -> None:
    commands = make(
        "--dry-run", "run", "PORT=8123", "API_KEY=a key", "DATA_DIR=a folder", "SEED=1", "RELOAD=1"
    )

    assert "PORT='8123' API_KEY='a key' DATA_DIR='a folder' SEED='1' RELOAD='1' exec" in commands


def test_reset_passes_folder() -> None:
    assert "DATA_DIR='a folder' .venv/bin/python -m local.reset" in make(
        "--dry-run", "reset", "DATA_DIR=a folder"
    )


def test_deployment_passes_features() -> None:
    assert "deploy_local.py --features audit_log,async_writes" in make(
        "--dry-run", "deploy-local", "FEATURES=audit_log,async_writes"
    )


@pytest.mark.parametrize("target", ["preflight", "credentials"])
def test_missing_environment_names_next_step(target: str) -> None:
    command = ["make", "--directory", str(ROOT), target, "ENVIRONMENT="]
    run = subprocess.run(command, check=False, capture_output=True, text=True)

    assert run.returncode == 2
    assert "bootstrap" not in run.stdout
    assert f"ENVIRONMENT is not set: run make {target} ENVIRONMENT=dev." in run.stderr


def test_environment_is_passed_on() -> None:
    assert "preflight.py --environment sit" in make("--dry-run", "preflight", "ENVIRONMENT=sit")
    credentials = make("--dry-run", "credentials", "ENVIRONMENT=sit", "WRITER=shop")
    assert "print_credentials.py --environment sit --writer shop" in " ".join(
        credentials.replace("\\", "").split()
    )


def test_run_omits_empty_settings() -> None:
    assert "PORT=" not in make("--dry-run", "run", "PORT=")
