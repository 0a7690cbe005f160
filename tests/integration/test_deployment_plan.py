"""A plan is made, stored in the local AWS and applied, with a stand-in for Terraform.

The e2e tests do the same with Terraform itself.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

import apply_plan
import check_deployed_code
import plan_deployment
import validate_deployment
import validate_environment
from local.engine import CREDENTIALS, REGION
from product_tools import terraform
from product_tools.functions import function_name
from product_tools.package_sums import lambda_checksum
from tests.support.function_stack import zipped_code
from tests.support.terraform_files import STATE_KEY, state

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient
    from types_boto3_s3 import S3Client

BUCKET = "bbws-terraform-state-dev"
ENVIRONMENT = ["--environment", "dev"]
TERRAFORM = """#!/bin/bash
echo "$*" >> {folder}/calls
env >> {folder}/environment
all=" $* "
case "$all" in
    " version"*) echo '{{"terraform_version": "1.11.4"}}' ;;
    *" ${{FAILING:-nothing}} "*) echo "a reason"; exit 1 ;;
    *" plan "*) echo "a plan that holds the key" > "$(sed 's/.*-out=//; s/ $//' <<< "$all")" ;;
    *" apply "*) cat "${{@: -1:1}}" > {folder}/applied ;;
    *" show -json "*) echo '{{"resource_changes": []}}' ;;
    *" show "*) echo "the plan as text" ;;
esac
"""


class Job:
    """A folder with packages and a stand-in for Terraform, and the bucket of the state."""

    def __init__(self, folder: Path, bucket: "S3Client") -> None:
        self.folder = folder
        self.bucket = bucket
        self.work = folder / "work"
        self.packages = folder / "dist"
        self.packages.mkdir()
        content = zipped_code("1")
        self.digest = hashlib.sha256(content).hexdigest()
        (self.packages / "get_product.zip").write_bytes(content)
        (self.packages / "SHA256SUMS").write_text(f"{self.digest}  get_product.zip\n")

    def add_package(self, name: str) -> None:
        """Add a package with the content of the first one."""
        (self.packages / f"{name}.zip").write_bytes(zipped_code("1"))
        with (self.packages / "SHA256SUMS").open("a") as sums:
            sums.write(f"{self.digest}  {name}.zip\n")

    @property
    def terraform_calls(self) -> list[str]:
        """The arguments of each Terraform run, without the checks of its version."""
        calls = (self.folder / "calls").read_text().splitlines()
        return [call for call in calls if not call.startswith("version ")]

    def stored_keys(self) -> list[str]:
        """Return the keys of all objects in the bucket."""
        return [
            found["Key"] for found in self.bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        ]


@pytest.fixture
def job(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    program = tmp_path / "bin" / "terraform"
    program.parent.mkdir()
    program.write_text(TERRAFORM.format(folder=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": engine, "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    job = Job(tmp_path, client)
    monkeypatch.setattr(terraform, "PLAN_FOLDER", job.work)
    monkeypatch.setattr(plan_deployment, "PACKAGES", job.packages)
    monkeypatch.setattr(apply_plan, "PACKAGES", job.packages)
    yield job
    for key in job.stored_keys():
        client.delete_object(Bucket=BUCKET, Key=key)
    client.delete_bucket(Bucket=BUCKET)


def test_plan_is_shown_and_deleted(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan_deployment.main(ENVIRONMENT) == 0

    assert "Nothing to change." in capsys.readouterr().out
    assert (job.work / "plan.txt").read_text() == "the plan as text\n"
    assert list(job.work.glob("*.tfplan")) == []
    assert job.stored_keys() == []


def test_plan_uses_state_and_values_of_environment(job: Job) -> None:
    assert plan_deployment.main(ENVIRONMENT) == 0

    init, validate, plan, *_ = job.terraform_calls
    assert "-backend-config=environments/dev.s3.tfbackend" in init
    assert validate == "validate"
    assert plan.count("-var-file=") == 1
    assert "-var-file=environments/dev.tfvars" in plan
    assert "-lock=false" in plan


def test_recovery_has_its_own_state_values_and_plans(job: Job) -> None:
    recovery = ["--environment", "prod-recovery"]
    bucket = "bbws-terraform-state-prod-recovery"
    job.bucket.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    try:
        assert plan_deployment.main([*recovery, "--store"]) == 0
        stored = job.bucket.list_objects_v2(Bucket=bucket)["KeyCount"]

        assert apply_plan.main(recovery) == 0
    finally:
        job.bucket.delete_bucket(Bucket=bucket)

    assert stored == 1
    assert job.stored_keys() == []
    init, _, plan, *_ = job.terraform_calls
    assert "-backend-config=environments/prod-recovery.s3.tfbackend" in init
    own = "-var-file=environments/prod-recovery.tfvars"
    assert f" -var-file=environments/prod.tfvars {own} " in plan  # the later file wins


@pytest.mark.usefixtures("job")
def test_plan_of_other_region_is_not_applied_in_recovery(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 0

    assert apply_plan.main(["--environment", "prod-recovery"]) == 1

    assert "is dev.tfplan, not prod-recovery.tfplan" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["", "alerts@example.com"])
def test_plan_gets_variables_that_are_not_empty(
    job: Job, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("TF_VAR_alert_email", address)

    assert plan_deployment.main(ENVIRONMENT) == 0

    variables = set((job.folder / "environment").read_text().splitlines())
    passed = {variable for variable in variables if variable.startswith("TF_VAR_")}
    assert passed == ({f"TF_VAR_alert_email={address}"} if address else set())


def test_plan_uses_mirror_of_provider(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = job.folder / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("TF_PLUGIN_DIR", str(mirror))

    assert plan_deployment.main(ENVIRONMENT) == 0

    assert job.terraform_calls[0].endswith(f" -plugin-dir={mirror}")


def test_summary_is_appended_to_file(job: Job) -> None:
    summary = job.folder / "summary.md"
    summary.write_text("# Before\n")

    assert plan_deployment.main([*ENVIRONMENT, "--summary", str(summary)]) == 0

    assert summary.read_text() == "# Before\n## Plan for DEV\n\nNothing to change.\n"


def test_stored_plan_exists_only_in_bucket(job: Job) -> None:
    assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 0

    digest, name = (job.work / "plan.sha256").read_text().split()
    assert name == "dev.tfplan"
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert job.stored_keys() == [f"2_bbws_product_lambda/plans/{digest}.tfplan"]
    assert [path for path in job.work.rglob("*") if b"the key" in path.read_bytes()] == []


def test_apply_uses_stored_plan_and_deletes_it(job: Job) -> None:
    assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 0

    assert apply_plan.main(ENVIRONMENT) == 0

    assert (job.folder / "applied").read_text() == "a plan that holds the key\n"
    assert job.stored_keys() == []
    assert list(job.work.glob("*.tfplan")) == []


def test_apply_rejects_replaced_plan(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 0
    [key] = job.stored_keys()
    job.bucket.put_object(Bucket=BUCKET, Key=key, Body=b"another plan")

    assert apply_plan.main(ENVIRONMENT) == 1

    assert "not the one that was shown" in capsys.readouterr().err
    assert not (job.folder / "applied").exists()


@pytest.mark.usefixtures("job")
def test_apply_twice_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 0
    assert apply_plan.main(ENVIRONMENT) == 0

    assert apply_plan.main(ENVIRONMENT) == 1

    assert "plan again" in capsys.readouterr().err


def test_failed_apply_keeps_plan_for_retry(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 0

    with monkeypatch.context() as failing:
        failing.setenv("FAILING", "apply")
        assert apply_plan.main(ENVIRONMENT) == 1
    assert list(job.work.glob("*.tfplan")) == []
    assert "if a version of a function has failed, see" in capsys.readouterr().err

    assert apply_plan.main(ENVIRONMENT) == 0


def test_apply_without_stored_plan_is_rejected(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply_plan.main(ENVIRONMENT) == 1

    assert "--store first" in capsys.readouterr().err
    assert not (job.folder / "applied").exists()


@pytest.mark.usefixtures("job")
def test_apply_rejects_plan_of_other_environment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 0

    assert apply_plan.main(["--environment", "sit"]) == 1

    assert "is dev.tfplan, not sit.tfplan" in capsys.readouterr().err


@pytest.mark.parametrize("program", [plan_deployment, apply_plan], ids=["plan", "apply"])
def test_changed_packages_are_rejected(
    job: Job, capsys: pytest.CaptureFixture[str], program: object
) -> None:
    (job.packages / "get_product.zip").write_bytes(b"another")

    assert hasattr(program, "main")
    assert program.main(ENVIRONMENT) == 1

    assert "do not agree" in capsys.readouterr().err
    assert not (job.folder / "calls").exists()


@pytest.mark.parametrize("step", ["init", "validate", "plan", "show"])
def test_failed_terraform_step_is_named(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    monkeypatch.setenv("FAILING", step)

    assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 1

    assert f"terraform {step} failed for dev" in capsys.readouterr().err
    assert job.stored_keys() == []


def test_missing_bucket_is_one_sentence(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    job.bucket.delete_bucket(Bucket=BUCKET)
    try:
        assert plan_deployment.main([*ENVIRONMENT, "--store"]) == 1
        assert "The call to AWS failed" in capsys.readouterr().err
    finally:
        job.bucket.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )


def test_validation_uses_url_and_key_of_environment(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def validation(arguments: list[str]) -> int:
        calls.append(arguments)
        return 3

    outputs = {"api_url": "https://api.example/v1_0", "api_key": "the key"}
    job.bucket.put_object(Bucket=BUCKET, Key=STATE_KEY, Body=state(outputs))
    monkeypatch.setenv("API_KEY", "another key")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setattr(validate_deployment, "main", validation)

    assert validate_environment.main([*ENVIRONMENT, "--budget-ms", "900"]) == 3

    assert calls == [["--base-url", "https://api.example/v1_0", "--budget-ms", "900.0"]]
    assert os.environ["API_KEY"] == "the key"


@pytest.mark.usefixtures("job")
def test_validation_without_state_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate_environment.main(ENVIRONMENT) == 1

    assert capsys.readouterr().err.endswith("deploy dev first.\n")


@pytest.fixture
def function(job: Job) -> Iterator["LambdaClient"]:
    client = boto3.client("lambda", region_name=REGION)
    name = function_name("get_product", "dev")
    created = client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/none",
        Handler="function.handler",
        Code={"ZipFile": (job.packages / "get_product.zip").read_bytes()},
        Publish=True,
    )
    assert created["CodeSha256"] == lambda_checksum(job.digest)
    yield client
    client.delete_function(FunctionName=name)


@pytest.mark.usefixtures("function")
def test_deployed_code_of_packaged_zip_is_accepted(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_deployed_code.main([*ENVIRONMENT, "--packages", str(job.packages)]) == 0

    assert f"version 1 is get_product.zip ({job.digest})" in capsys.readouterr().out


def test_deployed_code_of_other_zip_is_rejected(
    job: Job, function: "LambdaClient", capsys: pytest.CaptureFixture[str]
) -> None:
    function.update_function_code(
        FunctionName=function_name("get_product", "dev"), ZipFile=zipped_code("2"), Publish=True
    )

    assert check_deployed_code.main([*ENVIRONMENT, "--packages", str(job.packages)]) == 1

    assert "version 2 is not get_product.zip" in capsys.readouterr().err


@pytest.mark.usefixtures("function")
def test_zip_of_switched_off_event_function_is_accepted(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.add_package("audit_logger")

    assert check_deployed_code.main([*ENVIRONMENT, "--packages", str(job.packages)]) == 0

    assert "audit_logger" not in capsys.readouterr().out


def test_other_code_of_event_function_is_rejected(
    job: Job, function: "LambdaClient", capsys: pytest.CaptureFixture[str]
) -> None:
    job.add_package("audit_logger")
    name = function_name("audit_logger", "dev")
    function.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/none",
        Handler="function.handler",
        Code={"ZipFile": zipped_code("2")},
        Publish=True,
    )
    function.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    try:
        assert check_deployed_code.main([*ENVIRONMENT, "--packages", str(job.packages)]) == 1
    finally:
        function.delete_function(FunctionName=name)

    assert "version 1 is not audit_logger.zip" in capsys.readouterr().err


def test_missing_function_is_one_sentence(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_deployed_code.main([*ENVIRONMENT, "--packages", str(job.packages)]) == 1

    assert len(capsys.readouterr().err.splitlines()) == 1
