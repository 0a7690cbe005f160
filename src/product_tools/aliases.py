"""The alias `live` of each function: its versions, their weights, and a record of the last shift.

Moves one alias at a time. `product_tools.traffic` and `product_tools.rollback` decide when.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config
from botocore.exceptions import WaiterError

from product_tools.aws_calls import aws_errors_as

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_lambda import LambdaClient

ALIAS = "live"

# AWS stores descriptions in this format, so old aliases depend on it. Lambda changes the
# description, version and weights of an alias in one call, so a crash leaves the record valid.
_DESCRIPTION = re.compile(
    r"(?P<phase>shifting|shifted|rolled back) from (?P<source>\d+) to (?P<target>\d+)"
    r" \(shift (?P<number>\d+)\)"
)
_CLIENT_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 6}, connect_timeout=5, read_timeout=20
)


class AliasError(Exception):
    """An alias cannot be read or moved; the message is one sentence with the next step."""


class AliasMovedError(AliasError):
    """Another program has moved the alias since it was read."""


class Phase(StrEnum):
    """Progress of a shift."""

    SHIFTING = "shifting"
    SHIFTED = "shifted"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class ShiftRecord:
    """Record of the last shift, stored in the description of an alias.

    Attributes:
        old_version: the version before the shift.
        new_version: the version after the shift.
        number: the number of the shift; all functions of one shift have the same number.
    """

    phase: Phase
    old_version: str
    new_version: str
    number: int

    @classmethod
    def from_description(cls, description: str) -> Self | None:
        """Parse the description of an alias; return None when it records no shift."""
        match = _DESCRIPTION.fullmatch(description)
        if match is None:
            return None
        phase = Phase(match["phase"])
        old_version, new_version = match["source"], match["target"]
        if phase is Phase.ROLLED_BACK:
            old_version, new_version = new_version, old_version
        return cls(phase, old_version, new_version, int(match["number"]))

    def __str__(self) -> str:
        source, target = self.old_version, self.new_version
        if self.phase is Phase.ROLLED_BACK:
            source, target = target, source
        return f"{self.phase} from {source} to {target} (shift {self.number})"


@dataclass(frozen=True, slots=True)
class Alias:
    """State of the alias of one function.

    Attributes:
        version: the main version; it gets the requests that `weights` leaves.
        weights: the share of requests, from 0 to 1, of each additional version.
        last_shift: record of the last shift; None before the first shift.
        revision: changes with every update of the alias.
    """

    function: str
    version: str
    weights: Mapping[str, float] = field(default_factory=dict)
    last_shift: ShiftRecord | None = None
    revision: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """The share of requests, from 0 to 1, of each version."""
        rest = round(1 - sum(self.weights.values()), 4)
        return {self.version: rest, **self.weights}

    @property
    def is_shifting(self) -> bool:
        """Whether the last shift is neither complete nor rolled back."""
        return self.last_shift is not None and self.last_shift.phase is Phase.SHIFTING

    def __str__(self) -> str:
        shares = (f"{share:.0%} to version {version}" for version, share in self.shares.items())
        return f"{self.function}: {', '.join(shares)}"


def routing(old_version: str, new_version: str, percent: int) -> tuple[str, dict[str, float]]:
    """Return the main version and the weights that send `percent` of requests to the new one."""
    if percent == 100:  # noqa: PLR2004 -- all requests
        return new_version, {}
    return old_version, {new_version: percent / 100}


def latest_shift_number(aliases: Iterable[Alias]) -> int:
    """Return the highest shift number that the aliases record; 0 without a record."""
    return max((alias.last_shift.number for alias in aliases if alias.last_shift), default=0)


@aws_errors_as(AliasError)
def lambda_client() -> "LambdaClient":
    """Return a Lambda client with the region and credentials of the environment variables.

    Raises:
        AliasError: there is no region.
    """
    return boto3.client("lambda", region_name=os.environ.get("AWS_REGION"), config=_CLIENT_CONFIG)


@aws_errors_as(AliasError)
def cloudwatch_client() -> "CloudWatchClient":
    """Return a CloudWatch client with the region and credentials of the environment variables.

    Raises:
        AliasError: there is no region.
    """
    return boto3.client(
        "cloudwatch", region_name=os.environ.get("AWS_REGION"), config=_CLIENT_CONFIG
    )


class Aliases:
    """Reads and moves the alias `live` of functions.

    Raises:
        AliasError: a call to AWS fails, in any method.
    """

    def __init__(self, client: "LambdaClient") -> None:
        self._client = client

    def deployed(self, functions: Iterable[str]) -> list[str]:
        """Return those of the functions that have the alias: some may be switched off."""
        return [function for function in functions if self._has_alias(function)]

    @aws_errors_as(AliasError)
    def read(self, function: str) -> Alias:
        """Read the alias of a function."""
        try:
            response = self._client.get_alias(FunctionName=function, Name=ALIAS)
        except self._client.exceptions.ResourceNotFoundException:
            raise AliasError(
                f"{function} has no alias {ALIAS}: check the environment and the region, and that"
                " the service is deployed there."
            ) from None
        return Alias(
            function,
            response["FunctionVersion"],
            dict(response.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})),
            ShiftRecord.from_description(response.get("Description", "")),
            response["RevisionId"],
        )

    @aws_errors_as(AliasError)
    def move(
        self, current: Alias, version: str, weights: Mapping[str, float], record: ShiftRecord
    ) -> Alias:
        """Change version, weights and record of an alias atomically, unless it has changed.

        Raises:
            AliasMovedError: the alias is no longer as in `current`.
        """
        try:
            response = self._client.update_alias(
                FunctionName=current.function,
                Name=ALIAS,
                FunctionVersion=version,
                RoutingConfig={"AdditionalVersionWeights": dict(weights)},
                Description=str(record),
                RevisionId=current.revision,
            )
        except self._client.exceptions.PreconditionFailedException:
            raise AliasMovedError(
                f"Something else has just moved the alias of {current.function}: "
                "find out who did, then run the command again."
            ) from None
        return Alias(current.function, version, dict(weights), record, response["RevisionId"])

    @aws_errors_as(AliasError)
    def published_versions(self, function: str) -> list[str]:
        """Return the published versions of a function, oldest first."""
        pages = self._client.get_paginator("list_versions_by_function").paginate(
            FunctionName=function
        )
        versions = [item["Version"] for page in pages for item in page["Versions"]]
        return sorted((version for version in versions if version != "$LATEST"), key=int)

    @aws_errors_as(AliasError)
    def newest_version(self, function: str) -> str:
        """Return the highest published version of a function, after waiting until it is active."""
        newest = (self.published_versions(function) or ["0"])[-1]
        try:
            # A version with a SnapStart snapshot needs a minute or two to become active.
            self._client.get_waiter("published_version_active").wait(
                FunctionName=function,
                Qualifier=newest,
                WaiterConfig={"Delay": 1, "MaxAttempts": 300},
            )
        except WaiterError as error:
            reason = str(error.last_response.get("StateReason", error)).rstrip(".")
            raise AliasError(
                f"Version {newest} of {function} is not ready ({reason}): see 'A version that has"
                " failed' in the deployment runbook; deploying the same code again changes nothing."
            ) from error
        return newest

    @aws_errors_as(AliasError)
    def _has_alias(self, function: str) -> bool:
        try:
            self._client.get_alias(FunctionName=function, Name=ALIAS)
        except self._client.exceptions.ResourceNotFoundException:
            return False
        return True
