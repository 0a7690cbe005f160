"""The alias `live` of each function: where it points, and what the last shift did to it.

It moves one alias at a time; when to move which is for `shift_traffic.py` and `rollback.py` to say.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_lambda import LambdaClient

ALIAS = "live"

# The description is the one part of an alias that Lambda changes together with its version and
# weights, in one call: what it says is true whenever a script is killed.
_NOTE = re.compile(
    r"(?P<phase>shifting|shifted|rolled back) from (?P<before>\d+) to (?P<to>\d+)"
    r" \(shift (?P<shift>\d+)\)"
)
_PATIENCE = Config(
    retries={"mode": "standard", "max_attempts": 6}, connect_timeout=5, read_timeout=20
)


class AliasError(Exception):
    """An alias cannot be read or moved; the text is a sentence that says why and what to do."""


class AliasMovedError(AliasError):
    """Something else has moved an alias since it was read."""


class Phase(StrEnum):
    """How far a shift came."""

    SHIFTING = "shifting"
    SHIFTED = "shifted"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class Note:
    """What an alias's description records of the last shift.

    Attributes:
        shift: the shift's number, the same for all functions that it moves.
        before: the version that the shift began from.
        to: the version that it leads to.
    """

    phase: Phase
    before: str
    to: str
    shift: int

    def __str__(self) -> str:
        versions = (self.before, self.to)
        if self.phase is Phase.ROLLED_BACK:
            versions = (self.to, self.before)
        return f"{self.phase} from {versions[0]} to {versions[1]} (shift {self.shift})"


def note_from(description: str) -> Note | None:
    """Read a description; None when no shift wrote it."""
    match = _NOTE.fullmatch(description)
    if match is None:
        return None
    phase = Phase(match["phase"])
    before, to = match["before"], match["to"]
    if phase is Phase.ROLLED_BACK:
        before, to = to, before
    return Note(phase, before, to, int(match["shift"]))


@dataclass(frozen=True, slots=True)
class Alias:
    """Where one function's alias points.

    Attributes:
        version: the version that gets what `weights` leaves.
        weights: the share of requests, from 0 to 1, that each further version gets.
        note: what the last shift did; None when none has touched it.
        revision: changes with each change of the alias.
    """

    function: str
    version: str
    weights: Mapping[str, float] = field(default_factory=dict)
    note: Note | None = None
    revision: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """The share of requests, from 0 to 1, that each version gets."""
        rest = round(1 - sum(self.weights.values()), 4)
        return {self.version: rest, **self.weights}

    def __str__(self) -> str:
        shares = (f"{share:.0%} to version {version}" for version, share in self.shares.items())
        return f"{self.function}: {', '.join(shares)}"


def routing(before: str, to: str, percent: int) -> tuple[str, dict[str, float]]:
    """Return the version and weights of an alias that sends `percent` of requests to `to`."""
    if percent == 100:  # noqa: PLR2004 -- all of it
        return to, {}
    return before, {to: percent / 100}


def latest_shift(aliases: Iterable[Alias]) -> int:
    """Return the number of the last shift that any of the aliases records; 0 for none."""
    return max((alias.note.shift for alias in aliases if alias.note), default=0)


def lambda_client() -> "LambdaClient":
    """Return a client for the region and credentials that the environment variables give."""
    return boto3.client("lambda", region_name=os.environ.get("AWS_REGION"), config=_PATIENCE)


def cloudwatch_client() -> "CloudWatchClient":
    """Return a client for the region and credentials that the environment variables give."""
    return boto3.client("cloudwatch", region_name=os.environ.get("AWS_REGION"), config=_PATIENCE)


def explained(error: BotoCoreError | ClientError) -> str:
    """Return one sentence for a call to AWS that failed."""
    said = " ".join(str(error).split()).rstrip(".")
    return f"AWS refused ({said}): check the region, the credentials and their rights."


class Aliases:
    """Reads and moves the alias `live` of functions.

    Raises:
        AliasError: AWS refuses a call, in any method.
    """

    def __init__(self, client: "LambdaClient") -> None:
        self._client = client

    def read(self, function: str) -> Alias:
        """Look up where a function's alias points."""
        try:
            found = self._client.get_alias(FunctionName=function, Name=ALIAS)
        except self._client.exceptions.ResourceNotFoundException:
            raise AliasError(
                f"{function} has no alias {ALIAS}: check the environment and the region, and that"
                " the service has been deployed there."
            ) from None
        except (BotoCoreError, ClientError) as error:
            raise AliasError(explained(error)) from error
        return Alias(
            function,
            found["FunctionVersion"],
            dict(found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})),
            note_from(found.get("Description", "")),
            found["RevisionId"],
        )

    def move(self, current: Alias, version: str, weights: Mapping[str, float], note: Note) -> Alias:
        """Point an alias elsewhere, at once and as a whole, if it is still as `current` says.

        Raises:
            AliasMovedError: it is not.
        """
        try:
            moved = self._client.update_alias(
                FunctionName=current.function,
                Name=ALIAS,
                FunctionVersion=version,
                RoutingConfig={"AdditionalVersionWeights": dict(weights)},
                Description=str(note),
                RevisionId=current.revision,
            )
        except self._client.exceptions.PreconditionFailedException:
            raise AliasMovedError(
                f"Something else has just moved the alias of {current.function}: "
                "see who did, then run the command again."
            ) from None
        except (BotoCoreError, ClientError) as error:
            raise AliasError(explained(error)) from error
        return Alias(current.function, version, dict(weights), note, moved["RevisionId"])

    def newest_version(self, function: str) -> str:
        """Return the highest number that has been published of a function, once it can run."""
        try:
            pages = self._client.get_paginator("list_versions_by_function").paginate(
                FunctionName=function
            )
            numbers = [
                int(published["Version"])
                for page in pages
                for published in page["Versions"]
                if published["Version"] != "$LATEST"
            ]
            newest = str(max(numbers, default=0))
            # A version that starts from a snapshot is ready after a minute or two.
            self._client.get_waiter("published_version_active").wait(
                FunctionName=function,
                Qualifier=newest,
                WaiterConfig={"Delay": 1, "MaxAttempts": 300},
            )
        except WaiterError as error:
            raise AliasError(
                f"The newest version of {function} does not become ready ({error}): look at its"
                " state in the Lambda console, then deploy again."
            ) from error
        except (BotoCoreError, ClientError) as error:
            raise AliasError(explained(error)) from error
        return newest
