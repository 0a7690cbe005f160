"""`print_credentials.py` with a state in the local AWS.

The e2e tests read a state that Terraform itself has written.
"""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

import preflight
import print_credentials
import set_state_lifecycle
import validate_environment
from product_tools import environment_files
from tests.support.stub_server import stub_server
from tests.support.terraform_files import STATE_KEY, TerraformFiles, state, without_credentials

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

DEV = ["--environment", "dev"]
OUTPUTS = {
    "api_url": "https://api.example/v1_0",
    "api_key": "key of $HOME's `owner`",
    "api_keys": {"admin": "key of $HOME's `owner`", "import": "key-of-the-import"},
    "api_id": "abc123",
    "stage_name": "v1_0",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> TerraformFiles:
    """DEV's files, and credentials of its account."""
    files = TerraformFiles(tmp_path / "terraform")
    monkeypatch.setattr(environment_files, "TERRAFORM_FOLDER", files.folder)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", files.account)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", engine)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return files


@pytest.fixture
def s3(files: TerraformFiles) -> "S3Client":
    """A client; the bucket of the state exists and is empty."""
    client: S3Client = boto3.Session().client("s3", region_name="eu-west-1")
    new_bucket(client, files.bucket)
    return client


def new_bucket(client: "S3Client", name: str) -> None:
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the command printed: one line on stderr, and nothing on stdout."""
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    return line


def test_state_is_printed_as_shell_command(
    s3: "S3Client", files: TerraformFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket=files.bucket, Key=STATE_KEY, Body=state(OUTPUTS))

    assert print_credentials.main(DEV) == 0

    [line] = capsys.readouterr().out.splitlines()
    assert shlex.split(line) == [
        "export",
        f"BASE_URL={OUTPUTS['api_url']}",
        f"API_KEY={OUTPUTS['api_key']}",
    ]


def test_key_of_named_writer_is_printed(
    s3: "S3Client", files: TerraformFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket=files.bucket, Key=STATE_KEY, Body=state(OUTPUTS))

    assert print_credentials.main([*DEV, "--writer", "import"]) == 0

    assert "API_KEY=key-of-the-import\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [preflight.main, print_credentials.main, set_state_lifecycle.main, validate_environment.main],
)
def test_syntax_error_in_values_is_one_sentence(
    command: Callable[[list[str]], int],
    files: TerraformFiles,
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = files.folder / "environments" / "dev.tfvars"
    line = len(values.read_text().splitlines()) + 1
    values.write_text(values.read_text() + "aws_region =\n")

    assert command(DEV) == 1

    assert sentence(capsys) == (
        f"{values} has a syntax error at line {line}: correct it; `terraform fmt` shows it, too."
    )


def test_unknown_writer_is_one_sentence(
    s3: "S3Client", files: TerraformFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket=files.bucket, Key=STATE_KEY, Body=state(OUTPUTS))

    assert print_credentials.main([*DEV, "--writer", "nobody"]) == 1

    assert "There is no writer nobody in dev: choose one of admin, import" in sentence(capsys)


def test_url_on_emulator_is_its_endpoint(
    s3: "S3Client",
    files: TerraformFiles,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    s3.put_object(Bucket=files.bucket, Key=STATE_KEY, Body=state(OUTPUTS))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{engine}/")

    assert print_credentials.main(DEV) == 0

    assert f"BASE_URL={engine}/restapis/abc123/v1_0/_user_request_ " in capsys.readouterr().out


def test_state_of_recovery_is_read_from_its_bucket(
    files: TerraformFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recovery = TerraformFiles(tmp_path / "recovery", "prod-recovery")
    monkeypatch.setattr(environment_files, "TERRAFORM_FOLDER", recovery.folder)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", recovery.account)
    client: S3Client = boto3.Session().client("s3", region_name="eu-west-1")
    new_bucket(client, recovery.bucket)
    client.put_object(Bucket=recovery.bucket, Key=STATE_KEY, Body=state(OUTPUTS))

    assert print_credentials.main(["--environment", "prod-recovery"]) == 0

    assert files.bucket != recovery.bucket
    assert "BASE_URL=https://api.example/v1_0 " in capsys.readouterr().out


@pytest.mark.usefixtures("s3")
def test_missing_state_is_one_sentence(
    files: TerraformFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_credentials.main(DEV) == 1

    assert sentence(capsys).startswith(
        f"s3://{files.bucket}/{STATE_KEY} does not exist: deploy dev"
    )


def test_missing_bucket_is_one_sentence(
    files: TerraformFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_credentials.main(DEV) == 1

    assert sentence(capsys).startswith(f"The bucket {files.bucket} does not exist: run make pre")


def test_denied_read_is_one_sentence(
    files: TerraformFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with stub_server() as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stub.endpoint_url)
        stub.deny("*")

        assert print_credentials.main(DEV) == 1

    [request] = stub.requests
    assert request.headers["x-amz-expected-bucket-owner"] == files.account
    assert f"may not read s3://{files.bucket}/{STATE_KEY}: sign in to" in sentence(capsys)


def test_missing_credentials_are_one_sentence(
    files: TerraformFiles,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_credentials(monkeypatch, tmp_path)

    assert print_credentials.main(DEV) == 1

    assert sentence(capsys).startswith(
        f"There are no AWS credentials: sign in to the account {files.account}"
    )


@pytest.mark.usefixtures("files")
def test_unreachable_s3_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")

    assert print_credentials.main(DEV) == 1

    assert sentence(capsys).startswith("The call to AWS failed")


@pytest.mark.parametrize(
    "body",
    [b"no state", b"[]", b'{"version": 3, "outputs": {}}', b'{"version": 4, "outputs": []}'],
    ids=["text", "list", "older format", "outputs"],
)
def test_other_object_than_state_is_one_sentence(
    s3: "S3Client", files: TerraformFiles, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    s3.put_object(Bucket=files.bucket, Key=STATE_KEY, Body=body)

    assert print_credentials.main(DEV) == 1

    assert "is not a Terraform state that this command understands" in sentence(capsys)


def test_state_without_outputs_is_one_sentence(
    s3: "S3Client", files: TerraformFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket=files.bucket, Key=STATE_KEY, Body=state({}))

    assert print_credentials.main(DEV) == 1

    assert "The state of dev has no output 'api_url': deploy first" in sentence(capsys)
