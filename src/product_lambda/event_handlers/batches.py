"""What the functions behind a stream or a queue share: their deadline, and the log of failures."""

from typing import Any, Final, Protocol

from product_lambda.repositories.deadline import Deadline

_RESERVE_SECONDS: Final = 1.0  # for work outside the calls, and for the response


class Context(Protocol):
    """What the functions use of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until Lambda stops the function."""


type BatchEvent = dict[str, Any]
"""The event of a stream or a queue, with its batch under `Records`."""


def deadline_of(context: Context) -> Deadline:
    """Return the time by which the calls of a batch must end, before Lambda stops the function."""
    return Deadline(context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS)


def causes_of(error: BaseException) -> str:
    """Return an error and its causes for the log, where Lambda shows only the error itself."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__
    return "; ".join(texts)
