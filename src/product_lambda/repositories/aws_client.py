"""Clients of EventBridge and S3, and their errors.

Lambda's runtime provides botocore, so no zip contains it (docs/adr/0028-botocore.md).
"""

from collections.abc import Callable
from typing import Any, Final

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
_TEMPORARY_CODES: Final = frozenset({"RequestThrottled", "Throttling", "ThrottlingException"})


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


def open_client(service: str, region: str, endpoint_url: str | None) -> Any:  # noqa: ANN401
    """Make a client for a service, such as `events`; this sends nothing.

    The client never retries, since `call` does.
    """
    return botocore.session.get_session().create_client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": 1},
        ),
    )


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
            lambda: _classified(operation),
            timeout=_CALL_SECONDS,
            retry_on=(TemporaryException,),
        )
    except TemporaryException as failure:
        raise DependencyUnavailableException from failure


def _classified[T](operation: Callable[[], T]) -> T:
    """Return the result of `operation`; raise our own classes for its errors."""
    try:
        return operation()
    except (errors.ConnectionError, errors.HTTPClientError, ResponseParserError) as failure:
        raise TemporaryException(str(failure)) from failure
    except errors.ClientError as failure:
        code = str(failure.response.get("Error", {}).get("Code", ""))
        status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
        is_temporary = status >= _SERVER_ERROR or status in _TEMPORARY_STATUSES
        if is_temporary or code in _TEMPORARY_CODES:
            raise TemporaryException(str(failure)) from failure
        raise CallRejectedException(code) from failure
