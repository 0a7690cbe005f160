"""Runs Terraform on an environment's state, and keeps the plan that waits for its approval.

A plan holds the state, and the state holds the API key. So a plan goes where the state is, into the
environment's bucket, and nowhere else; what may be seen by others is its text and its checksum.
"""

import hashlib
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from product_tools.aliases import explained
from product_tools.repository import REPOSITORY
from product_tools.terraform import find_terraform

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

TERRAFORM = REPOSITORY / "terraform"
WORK = REPOSITORY / ".local" / "plan"
PLANS = "2_bbws_product_lambda/plans"


class RemoteTerraformError(Exception):
    """Terraform or the bucket refuses; the text is a sentence that says what to do."""


class RemoteTerraform:
    """Terraform at work on the state of one environment.

    Args:
        environment: its name, which the files in terraform/environments bear.

    Raises:
        TerraformError: Terraform is missing or too old.
        RemoteTerraformError: a step fails, in any method.
    """

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._program = find_terraform()
        WORK.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.plan_file = WORK / f"{environment}.tfplan"
        self.text_file = WORK / "plan.txt"
        self.checksum_file = WORK / "plan.sha256"

    def init(self) -> None:
        """Bring the provider in and reach the state."""
        arguments = ["-input=false", "-reconfigure", "-lockfile=readonly"]
        arguments.append(f"-backend-config=environments/{self._environment}.s3.tfbackend")
        if mirror := os.environ.get("TF_PLUGIN_DIR"):
            arguments.append(f"-plugin-dir={mirror}")
        self._run("init", *arguments)

    def validate(self) -> None:
        """Check the files against the provider's schema."""
        self._run("validate")

    def plan(self) -> None:
        """Plan, and keep the plan in `plan_file`.

        The state is not locked: planning writes nothing to it, and a plan that something else has
        overtaken is refused when it is applied.
        """
        values = f"-var-file=environments/{self._environment}.tfvars"
        self._run("plan", "-input=false", "-lock=false", values, f"-out={self.plan_file}")

    def apply(self) -> None:
        """Carry out the plan in `plan_file`."""
        self._run("apply", "-input=false", "-lock-timeout=5m", str(self.plan_file))

    def plan_as_text(self) -> str:
        """Return the plan as people read it; Terraform leaves sensitive values out."""
        return self._said("show", "-no-color", str(self.plan_file))

    def plan_as_json(self) -> str:
        """Return the whole plan, sensitive values included."""
        return self._said("show", "-json", str(self.plan_file))

    def output(self, name: str) -> str:
        """Return an output of the last apply."""
        return self._said("output", "-raw", name)

    def _run(self, command: str, *arguments: str, capture: bool = False) -> str:
        done = subprocess.run(
            [self._program, f"-chdir={TERRAFORM}", command, *arguments],
            env={**os.environ, "TF_DATA_DIR": str(WORK / "terraform")},
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
            umask=0o077,
        )
        if done.returncode:
            raise RemoteTerraformError(
                f"terraform {command} failed for {self._environment}: mend what it says above,"
                " then try again."
            )
        return done.stdout or ""

    def _said(self, command: str, *arguments: str) -> str:
        return self._run(command, *arguments, capture=True)


class PlanStore:
    """Keeps plans beside the state of one environment, each under its own checksum.

    Raises:
        RemoteTerraformError: the bucket refuses, in any method.
    """

    def __init__(self, environment: str) -> None:
        backend = (TERRAFORM / "environments" / f"{environment}.s3.tfbackend").read_text()
        settings = dict(re.findall(r'^(\w+)\s*=\s*"([^"]*)"$', backend, re.MULTILINE))
        self._bucket = settings["bucket"]
        self._client: S3Client = boto3.client("s3", region_name=settings["region"])

    def put(self, plan: Path) -> str:
        """Store a plan and return its SHA-256, hexadecimal."""
        content = plan.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=_key(digest),
                Body=content,
                ServerSideEncryption="AES256",
            )
        except (BotoCoreError, ClientError) as error:
            raise RemoteTerraformError(explained(error)) from error
        return digest

    def fetch(self, digest: str, plan: Path) -> None:
        """Fetch the plan with a checksum, and check it.

        Raises:
            RemoteTerraformError: there is none, or it is another.
        """
        try:
            content = self._client.get_object(Bucket=self._bucket, Key=_key(digest))["Body"].read()
        except self._client.exceptions.NoSuchKey:
            raise RemoteTerraformError(
                f"The plan {digest} is not in the bucket {self._bucket}: it has been applied"
                " already, or it is too old; plan again."
            ) from None
        except (BotoCoreError, ClientError) as error:
            raise RemoteTerraformError(explained(error)) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise RemoteTerraformError(
                f"The plan in the bucket {self._bucket} is not the one that was shown: plan again,"
                " and find out who has changed it."
            )
        plan.touch(mode=0o600)
        plan.write_bytes(content)

    def forget(self, digest: str) -> None:
        """Delete a plan."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=_key(digest))
        except (BotoCoreError, ClientError) as error:
            raise RemoteTerraformError(explained(error)) from error


def _key(digest: str) -> str:
    return f"{PLANS}/{digest}.tfplan"
