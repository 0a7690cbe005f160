"""`make credentials` with states that Terraform itself has written, on the local AWS."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from local.engine import CREDENTIALS
from local.stack import LocalStack
from product_tools.environment_files import StateLocation, state_location
from product_tools.terraform import TERRAFORM_FOLDER, find_terraform

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ROOT = TERRAFORM_FOLDER.parent
PATH_STYLE = "-backend-config=use_path_style=true"  # the engine has no host for each bucket
OUTPUTS = """
output "api_id" { value = "abc123" }
output "stage_name" { value = "v1_0" }
output "api_key" {
  value     = "the key of a writer"
  sensitive = true
}
"""


@pytest.fixture
def place(stack: LocalStack) -> Iterator[StateLocation]:
    """The bucket of DEV's state."""
    place = state_location("dev")
    client: S3Client = stack.client("s3")
    client.create_bucket(
        Bucket=place.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    yield place
    client.delete_object(Bucket=place.bucket, Key=place.key)
    client.delete_bucket(Bucket=place.bucket)


def settings(stack: LocalStack) -> dict[str, str]:
    """Return environment variables with which the commands use the local AWS."""
    return {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": stack.endpoint_url}


def printed_credentials(stack: LocalStack) -> list[str]:
    """Return URL and API key, as a shell has them after the command of the runbooks."""
    command = """
    eval "$(make credentials ENVIRONMENT=dev)"
    printf '%s\\n' "$BASE_URL" "$API_KEY"
    """
    run = subprocess.run(
        ["bash", "-euc", command],
        cwd=ROOT,
        env=settings(stack),
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout.splitlines()


def test_printed_values_reach_deployed_api(stack: LocalStack, place: StateLocation) -> None:
    client: S3Client = stack.client("s3")
    own_state = stack.main_root().folder / "terraform.tfstate"
    client.put_object(Bucket=place.bucket, Key=place.key, Body=own_state.read_bytes())

    base_url, key = printed_credentials(stack)

    read = urllib3.request("GET", f"{base_url}/products", timeout=30)
    write = urllib3.request(
        "POST", f"{base_url}/products", headers={"x-api-key": key}, body=b"{}", timeout=30
    )
    assert (read.status, write.status) == (200, 400)


@pytest.mark.usefixtures("place")
def test_state_of_s3_backend_is_understood(stack: LocalStack, tmp_path: Path) -> None:
    shutil.copyfile(TERRAFORM_FOLDER / "backend.tf", tmp_path / "backend.tf")
    (tmp_path / "outputs.tf").write_text(OUTPUTS)
    backend = TERRAFORM_FOLDER / "environments" / "dev.s3.tfbackend"
    for arguments in (
        ["init", "-input=false", f"-backend-config={backend}", PATH_STYLE],
        ["apply", "-input=false", "-auto-approve"],
    ):
        command = [find_terraform(), *arguments]
        subprocess.run(command, cwd=tmp_path, env=settings(stack), check=True, capture_output=True)

    base_url, key = printed_credentials(stack)

    assert base_url == f"{stack.endpoint_url}/restapis/abc123/v1_0/_user_request_"
    assert key == "the key of a writer"
