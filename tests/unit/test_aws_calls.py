"""Failed calls to AWS: which error of a command each becomes, and its sentence."""

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)

from product_tools.aws_calls import aws_errors_as

URL = "https://sqs.eu-west-1.amazonaws.com/"
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no\nright."}}, "GetQueueUrl")
NETWORK = "check the network and the region, then try again."
RIGHTS = "check the region, the credentials and their permissions."


class CommandError(Exception):
    """An error of a command."""


def fail(error: Exception) -> None:
    with aws_errors_as(CommandError):
        raise error


@pytest.mark.parametrize(
    ("error", "start", "next_step"),
    [
        (NoCredentialsError(), "There are no AWS", "sign in to the account, then try again."),
        (NoRegionError(), "There is no AWS region", "set AWS_REGION, then try again."),
        (DENIED, "The call to AWS failed (An error occurred (AccessDenied)", RIGHTS),
        (EndpointConnectionError(endpoint_url=URL), "The call to AWS failed (Could not", NETWORK),
        (ConnectTimeoutError(endpoint_url=URL), "The call to AWS failed (Connect time", NETWORK),
        (ReadTimeoutError(endpoint_url=URL), "The call to AWS failed (Read timeout", NETWORK),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_failed_call_is_one_sentence_with_next_step(
    error: BotoCoreError | ClientError, start: str, next_step: str
) -> None:
    with pytest.raises(CommandError) as raised:
        fail(error)
    sentence = str(raised.value)
    assert sentence.startswith(start)
    assert sentence.endswith(f": {next_step}")
    assert "\n" not in sentence
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [CommandError("mine"), OSError("disk full")], ids=type)
def test_other_error_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        fail(error)
    assert raised.value is error


def test_decorated_function_fails_in_the_same_way_each_time() -> None:
    @aws_errors_as(CommandError)
    def call() -> None:
        raise DENIED

    for _ in range(2):
        with pytest.raises(CommandError):
            call()
