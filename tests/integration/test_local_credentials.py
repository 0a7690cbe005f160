"""`make credentials-local`: the settings of a shell for rehearsals."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import print_local_credentials
from local.deployment import write_description
from local.engine import Engine
from local.stack import Deployment, LocalStack

DEPLOYMENT = Deployment(
    base_url="http://127.0.0.1:1/v1_0",
    api_key="key of $HOME",
    endpoint_url="http://127.0.0.1:1",
    region="eu-west-1",
    environment="dev",
    features=("audit_log",),
    changed=True,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(print_local_credentials, "DEPLOYMENT_FOLDER", tmp_path)
    monkeypatch.setattr(print_local_credentials, "DESCRIPTION_FILE", tmp_path / "deployment.json")
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[Engine]:
    """The engine of a described deployment."""
    write_description(DEPLOYMENT, folder / "deployment.json")
    with Engine(folder / "engine") as engine:
        yield engine


def test_printed_commands_set_up_a_shell(
    running: Engine,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TF_PLUGIN_DIR", "/mirror")

    assert print_local_credentials.main([]) == 0

    commands = f"{capsys.readouterr().out}\nenv -0"
    real = {"AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "token", "AWS_REGION": "af-south-1"}
    shell = subprocess.run(
        ["bash", "-euc", commands],
        env={"PATH": os.environ["PATH"], **real},
        check=True,
        capture_output=True,
        text=True,
    )
    variables = dict(line.split("=", 1) for line in filter(None, shell.stdout.split("\0")))
    assert "AWS_PROFILE" not in variables
    assert "AWS_SESSION_TOKEN" not in variables
    assert variables["AWS_ENDPOINT_URL"] == running.endpoint_url
    assert variables["AWS_CONFIG_FILE"] == variables["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert (variables["AWS_REGION"], variables["ENVIRONMENT"]) == ("eu-west-1", "dev")
    assert (variables["BASE_URL"], variables["API_KEY"]) == (
        DEPLOYMENT.base_url,
        DEPLOYMENT.api_key,
    )
    assert variables["TF_CLI_ARGS_init"].endswith(" -plugin-dir=/mirror")
    values = LocalStack(folder).local_values()
    assert variables["TF_VAR_enable_audit_log"] == "true"
    assert variables["TF_VAR_enable_async_writes"] == "false"
    assert variables["ARCH"] == variables["TF_VAR_architecture"] == values["architecture"]


@pytest.mark.usefixtures("folder")
def test_missing_deployment_names_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_local_credentials.main([]) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "There is no local deployment: run make deploy-local.\n"


def test_stopped_engine_names_next_step(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_description(DEPLOYMENT, folder / "deployment.json")

    assert print_local_credentials.main([]) == 1

    assert capsys.readouterr().err == f"The local AWS of {folder} does not run: deploy again.\n"
