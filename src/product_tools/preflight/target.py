"""What the checks look at: an environment's files, and its account as the caller may see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError

from product_tools.aws_calls import aws_errors_as
from product_tools.environment_files import StateLocation, state_location, values
from product_tools.preflight.checks import error_code
from product_tools.preflight.github_api import GitHub

# A look is repeated once; a run with an unreachable service stays within its time.
_CLIENT_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 2}, connect_timeout=4, read_timeout=8
)
_REJECTED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class PreflightError(Exception):
    """No check is possible; the text is a sentence with the next step."""


@dataclass(frozen=True)
class Target:
    """An environment in one region, and clients for its account.

    Attributes:
        deployment: the environment, or PROD in the second region: the name of the files.
        environment: dev, sit or prod.
        values: the values of Terraform's variables.
        region: the region of the deployment.
        state: where its state is.
        github: the repository of this clone.
    """

    deployment: str
    environment: str
    values: Mapping[str, Any]
    region: str
    state: StateLocation
    github: GitHub = field(default_factory=GitHub)
    _session: boto3.Session = field(default_factory=boto3.Session)

    @classmethod
    @aws_errors_as(PreflightError)
    def of(cls, deployment: str) -> Self:
        """Return the target of a deployment.

        Raises:
            PreflightError: the credentials are unusable, for example of an unknown profile.
        """
        known, state = values(deployment), state_location(deployment)
        return cls(deployment, known["environment"], known, known["aws_region"], state)

    @property
    def account(self) -> str:
        """The account of the environment."""
        return self.state.account

    def client(self, service: Any, region: str | None = None) -> Any:  # noqa: ANN401 (as boto3's)
        """Return a client of a service, by default in the region of the deployment."""
        return _client(self._session, service, region or self.region)

    @aws_errors_as(PreflightError)
    def require_account(self) -> None:
        """Check that the credentials are of the environment's account.

        Raises:
            PreflightError: they are not, or AWS rejects them.
        """
        try:
            account = self.client("sts").get_caller_identity()["Account"]
        except NoCredentialsError:
            raise PreflightError(
                f"There are no AWS credentials: sign in to the account {self.account}, then try"
                " again."
            ) from None
        except ClientError as error:
            if error_code(error) not in _REJECTED:
                raise
            raise PreflightError(
                f"AWS rejects the credentials ({error_code(error)}): sign in again; if that does"
                f" not help, enable the region {self.region} in the account {self.account}."
            ) from error
        if account != self.account:
            raise PreflightError(
                f"The credentials are of the account {account}, but {self.deployment} is in"
                f" {self.account}: sign in to that account, then try again."
            )


@cache
def _client(session: boto3.Session, service: Any, region: str) -> Any:  # noqa: ANN401 (as boto3's)
    return session.client(service, region_name=region, config=_CLIENT_CONFIG)
