"""Calls to AWS by the commands: their time-outs and retries, and each failure as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 (botocore's name; it also stands for a failed look-up of a host)
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
)

CLIENT_CONFIG: Final = Config(
    retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=20
)
"""Time-outs in seconds, and retries, of a call that may be repeated."""


@contextmanager
def aws_errors_as(error_type: type[Exception]) -> Iterator[None]:
    """Turn a failed call to AWS into an error of a command; also a decorator of a function.

    A generator needs the context manager inside, since a decorator ends before its first value.

    Args:
        error_type: the error; its text is one sentence with the next step.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise error_type(aws_error_message(error)) from error


def aws_error_message(error: BotoCoreError | ClientError) -> str:
    """Return one sentence about a failed call to AWS, with the next step."""
    match error:
        case NoCredentialsError():
            return "There are no AWS credentials: sign in to the account, then try again."
        case NoRegionError():
            return "There is no AWS region: set AWS_REGION, then try again."
        case ConnectionError() | HTTPClientError():
            next_step = "check the network and the region, then try again"
        case _:
            next_step = "check the region, the credentials and their permissions"
    reason = " ".join(str(error).split()).rstrip(".")
    return f"The call to AWS failed ({reason}): {next_step}."
