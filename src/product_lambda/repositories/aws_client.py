"""Clients of AWS's services, their errors, and credentials: the only module that knows botocore.

Lambda's runtime provides botocore, so no zip contains it (docs/adr/0028-botocore.md).
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import botocore.session
from botocore import exceptions as errors
from botocore.config import Config
from botocore.parsers import ResponseParserError

from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.repositories.deadline import Deadline

_CONNECT_SECONDS: Final = 1.0
_READ_SECONDS: Final = 3.0
_CALL_SECONDS: Final = 4.0
_SERVER_ERROR: Final = 500  # and above
# Request time-out, conflict of two requests, too many requests (RFC 9110, section 15.5; RFC 6585).
_TEMPORARY_STATUSES: Final = frozenset({408, 409, 429})
_TEMPORARY_CODES: Final = ("Throttl", "RequestTimeout")
"""Parts of codes that are temporary whatever their status, such as 400 or 403."""


class Limits(NamedTuple):
    """The limits of one call of a client.

    Attributes:
        connect_seconds: the longest time for a connection.
        read_seconds: the longest wait for a part of the response.
        attempts: how often the client sends a request until the service accepts it, at most.
    """

    connect_seconds: float = 1.0
    read_seconds: float = 3.0
    attempts: int = 2


class CallRejectedException(Exception):
    """The service rejects a call, and would do so again.

    Attributes:
        code: the service's code of the error, such as `AccessDenied`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TemporaryException(Exception):
    """The service throttles, fails, is unreachable or sends an invalid response.

    An operation raises it for a response that botocore accepts and that lacks what it needs.
    """


def open_client(
    service: str, region: str, endpoint_url: str | None, limits: Limits | None = None
) -> Any:  # noqa: ANN401
    """Make a client for a service, such as `events`; this sends nothing.

    Args:
        service: the name of the service in botocore.
        region: the region of its endpoint.
        endpoint_url: the endpoint of another AWS, such as a local engine; None for AWS itself.
        limits: None for a client that never retries, since `call` does.
    """
    limits = limits or Limits(_CONNECT_SECONDS, _READ_SECONDS, attempts=1)
    return botocore.session.get_session().create_client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=limits.connect_seconds,
            read_timeout=limits.read_seconds,
            retries={"total_max_attempts": limits.attempts, "mode": "standard"},
        ),
    )


def signing_credentials() -> Any:  # noqa: ANN401
    """Return the credentials of this function, for requests that another client signs.

    botocore renews them before they expire.
    """
    return botocore.session.get_session().get_credentials()


def call[T](operation: Callable[[], T], deadline: Deadline) -> T:
    """Return the result of a call, with one retry after a temporary error.

    The service may therefore carry out a call twice, also when only its first response was lost.

    Raises:
        DependencyUnavailableException: the service throttles, fails, is unreachable, sends an
            invalid response, or does not respond before the deadline.
        CallRejectedException: the service rejects the call.
    """
    try:
        return deadline.call(
            lambda: classified(operation),
            timeout=_CALL_SECONDS,
            retry_on=(TemporaryException,),
        )
    except TemporaryException as failure:
        raise DependencyUnavailableException from failure


def classified[T](operation: Callable[[], T]) -> T:
    """Return the result of a call, which runs once.

    Raises:
        TemporaryException: the service throttles, fails, is slow or unreachable, or sends an
            invalid response.
        CallRejectedException: the service rejects the call.
    """
    try:
        return operation()
    except errors.ClientError as failure:
        code = str(failure.response.get("Error", {}).get("Code", ""))
        status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
        is_temporary = status >= _SERVER_ERROR or status in _TEMPORARY_STATUSES
        if is_temporary or any(part in code for part in _TEMPORARY_CODES):
            raise TemporaryException(str(failure)) from failure
        raise CallRejectedException(code) from failure
    except (errors.BotoCoreError, ResponseParserError) as failure:
        raise TemporaryException(str(failure)) from failure
