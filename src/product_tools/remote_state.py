"""Reads the outputs of an environment's deployment from its state in S3, without Terraform.

The state contains the API key for writes, so only a few people may read it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import boto3
from botocore.exceptions import ClientError, NoCredentialsError

from product_tools.aws_calls import CLIENT_CONFIG, aws_error_message, aws_errors_as
from product_tools.environment_files import StateLocation, state_location

_STATE_FORMAT = 4  # the format of all Terraform versions since 0.12


class RemoteStateError(Exception):
    """The outputs cannot be read; the text is a sentence with the next step."""


class Credentials(NamedTuple):
    """What a caller of a deployed API needs.

    Attributes:
        base_url: the URL of the API without /products.
        api_key: the API key for writes.
    """

    base_url: str
    api_key: str


@dataclass(frozen=True, slots=True)
class RemoteState:
    """The state of an environment's last apply."""

    environment: str
    location: StateLocation

    @classmethod
    def of(cls, environment: str) -> Self:
        """Return the state of an environment, or of PROD in the second region."""
        return cls(environment, state_location(environment))

    def outputs(self) -> Mapping[str, Any]:
        """Return the outputs by name, including the sensitive ones.

        Raises:
            RemoteStateError: the state cannot be read.
        """
        try:
            state = json.loads(self._read())
            if state["version"] == _STATE_FORMAT:
                return {name: output["value"] for name, output in state["outputs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise RemoteStateError(
            f"{self._address} is not a Terraform state that this command understands: look at the"
            " versions of this object in S3."
        )

    def credentials(self, writer: str | None = None) -> Credentials:
        """Return the URL of the deployed API and an API key for writes.

        Args:
            writer: whose API key, as in the variable `writers`; by default the first writer's.

        Raises:
            RemoteStateError: the state cannot be read, or lacks these outputs.
        """
        outputs = self.outputs()
        try:
            base_url = _base_url(outputs)
            if writer is None:
                return Credentials(base_url, outputs["api_key"])
            keys = outputs["api_keys"]
            if writer not in keys:
                raise RemoteStateError(
                    f"There is no writer {writer} in {self.environment}: choose one of"
                    f" {', '.join(sorted(keys))}, or add the name to the variable writers."
                )
            return Credentials(base_url, keys[writer])
        except KeyError as error:
            raise RemoteStateError(
                f"The state of {self.environment} has no output {error}: deploy first, since the"
                " last apply did not finish or was made by another version."
            ) from None

    @property
    def _address(self) -> str:
        return f"s3://{self.location.bucket}/{self.location.key}"

    @aws_errors_as(RemoteStateError)
    def _read(self) -> bytes:
        where = self.location
        try:
            client = boto3.Session().client("s3", region_name=where.region, config=CLIENT_CONFIG)
            response = client.get_object(
                Bucket=where.bucket, Key=where.key, ExpectedBucketOwner=where.account
            )
            return response["Body"].read()
        except NoCredentialsError:
            raise RemoteStateError(
                f"There are no AWS credentials: sign in to the account {where.account}, then try"
                " again."
            ) from None
        except ClientError as error:
            raise RemoteStateError(self._reason(error)) from error

    def _reason(self, error: ClientError) -> str:
        match error.response.get("Error", {}).get("Code"):
            case "NoSuchKey":
                return f"{self._address} does not exist: deploy {self.environment} first."
            case "NoSuchBucket":
                return (
                    f"The bucket {self.location.bucket} does not exist: run make preflight"
                    f" ENVIRONMENT={self.environment}, which shows what is missing."
                )
            case "AccessDenied":
                return (
                    f"These credentials may not read {self._address}: sign in to the account"
                    f" {self.location.account} with the right s3:GetObject, then try again."
                )
        return aws_error_message(error)


def _base_url(outputs: Mapping[str, Any]) -> str:
    """Return the URL of the API: on an emulator its own endpoint, since api_url is AWS's."""
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint_url is None:
        return str(outputs["api_url"])
    path = f"/restapis/{outputs['api_id']}/{outputs['stage_name']}/_user_request_"
    return endpoint_url.rstrip("/") + path
