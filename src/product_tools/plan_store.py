"""Keeps a Terraform plan in the bucket of the state until it is approved and applied.

A plan holds the state, and the state holds the API key. So a plan is stored only beside the state,
in the bucket of its environment. Others see its text and its checksum.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from product_tools.aws_calls import aws_errors_as
from product_tools.environment_files import state_location

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PREFIX = "2_bbws_product_lambda/plans"


class PlanStoreError(Exception):
    """The plan cannot be stored or read; the text is a sentence with the next step."""


class PlanStore:
    """The stored plans of one environment, each under its own checksum.

    Args:
        environment: the name of the environment, as in the files of terraform/environments.

    Raises:
        PlanStoreError: a call to the bucket fails, in any method.
    """

    @aws_errors_as(PlanStoreError)
    def __init__(self, environment: str) -> None:
        location = state_location(environment)
        self._bucket = location.bucket
        self._client: S3Client = boto3.client("s3", region_name=location.region)

    @aws_errors_as(PlanStoreError)
    def put(self, plan: Path) -> str:
        """Store a plan and return its SHA-256 in hexadecimal."""
        content = plan.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        self._client.put_object(
            Bucket=self._bucket,
            Key=_key(digest),
            Body=content,
            ServerSideEncryption="AES256",
        )
        return digest

    @aws_errors_as(PlanStoreError)
    def fetch(self, digest: str, plan: Path) -> None:
        """Write the plan with this checksum to a file that only the user can read.

        Raises:
            PlanStoreError: the bucket does not hold the plan, or holds another one in its place.
        """
        try:
            content = self._client.get_object(Bucket=self._bucket, Key=_key(digest))["Body"].read()
        except self._client.exceptions.NoSuchKey:
            raise PlanStoreError(
                f"The plan {digest} is not in the bucket {self._bucket}: it has been applied"
                " already, or has expired; plan again."
            ) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise PlanStoreError(
                f"The plan in the bucket {self._bucket} is not the one that was shown: plan again,"
                " and find out who has changed it."
            )
        plan.touch(mode=0o600)
        plan.write_bytes(content)

    @aws_errors_as(PlanStoreError)
    def delete(self, digest: str) -> None:
        """Delete the plan with this checksum."""
        self._client.delete_object(Bucket=self._bucket, Key=_key(digest))


def read_checksum(checksum_file: Path, environment: str) -> str:
    """Return the checksum of the last plan that was shown and stored.

    Raises:
        PlanStoreError: there is no such plan, or it is of another environment.
    """
    try:
        digest, name = checksum_file.read_text().split()
    except FileNotFoundError:
        raise PlanStoreError(
            f"No plan has been stored: run scripts/plan_deployment.py --environment {environment}"
            " --store first."
        ) from None
    if name != f"{environment}.tfplan":
        raise PlanStoreError(
            f"The stored plan is {name}, not {environment}.tfplan: plan for {environment} first."
        )
    return digest


def _key(digest: str) -> str:
    return f"{PREFIX}/{digest}.tfplan"
