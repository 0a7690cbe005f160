"""Old versions of the functions: which of them nothing needs any more, and their deletion.

Each version that was published with SnapStart costs money while it exists.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from product_tools.aliases import AliasError, Aliases
from product_tools.aws_calls import aws_errors_as

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient


class DeletionError(Exception):
    """A version is not deleted; the message is one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The published versions of a function, oldest first.

    Attributes:
        needed: those that an alias, a roll-back or one of the last releases may need.
        old: all others.
    """

    function: str
    needed: Sequence[str]
    old: Sequence[str]


class VersionStore:
    """Reads and deletes versions of functions.

    Raises:
        AliasError: a call to AWS fails, in any method.
    """

    def __init__(self, client: "LambdaClient") -> None:
        self._client = client
        self._aliases = Aliases(client)

    def sort(self, function: str, newest: int) -> Versions:
        """Tell the needed versions of a function from the old ones.

        Args:
            function: the name of the function.
            newest: how many of the newest versions are needed in any case, at least 1: the newest
                one may still wait for its shift.

        Raises:
            AliasError: a shift is not finished, so that it is open which versions are needed.
        """
        live = self._aliases.read(function)
        if live.is_shifting:
            raise AliasError(
                f"A shift of {function} is not finished, so no version was deleted: finish it with"
                " scripts/shift_traffic.py or scripts/rollback.py, then try again."
            )
        versions = self._aliases.published_versions(function)
        needed = {*versions[-newest:], *self._with_alias(function)}
        if live.last_shift:
            needed |= {live.last_shift.old_version, live.last_shift.new_version}
        return Versions(
            function,
            [version for version in versions if version in needed],
            [version for version in versions if version not in needed],
        )

    @aws_errors_as(AliasError)
    def delete(self, function: str, version: str) -> None:
        """Delete a version.

        Raises:
            DeletionError: Lambda keeps the version, or throttles.
        """
        errors = self._client.exceptions
        try:
            self._client.delete_function(FunctionName=function, Qualifier=version)
        except errors.ResourceNotFoundException:
            pass  # another run has deleted it
        except errors.ResourceConflictException:
            raise DeletionError(
                f"{function}: version {version} stays, since an alias points to it now or Lambda"
                " is changing it: try again later."
            ) from None
        except errors.TooManyRequestsException:
            raise DeletionError(
                f"{function}: version {version} stays, since Lambda throttles: try again in a"
                " minute."
            ) from None

    def _with_alias(self, function: str) -> Iterator[str]:
        """Yield each version that an alias points to, also with a part of the requests."""
        with aws_errors_as(AliasError):
            pages = self._client.get_paginator("list_aliases").paginate(FunctionName=function)
            for alias in (item for page in pages for item in page["Aliases"]):
                yield alias["FunctionVersion"]
                yield from alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
