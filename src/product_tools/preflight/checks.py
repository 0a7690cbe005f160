"""What a check is, and how checks run: each result is a row, also where a look fails."""

import time
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"})
_ABSENT = frozenset(
    {"NoSuchBucket", "NoSuchEntity", "NotFoundException", "ResourceNotFoundException"}
)
_ASK_FOR_RIGHT = "run it with read rights to this, for example as an administrator"


class Outcome(StrEnum):
    """Whether something is there; `UNCHECKED` is neither found nor missing."""

    FOUND = "found"
    MISSING = "missing"
    UNCHECKED = "unchecked"


class Finding(NamedTuple):
    """What a look has shown.

    Attributes:
        text: what is there, in a few words.
        mend: the next step, where it is not that of the check.
    """

    outcome: Outcome
    text: str
    mend: str | None = None


class NotCheckedError(Exception):
    """A look is not possible.

    Attributes:
        mend: how to make it possible.
    """

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(reason)
        self.mend = mend


class Check(NamedTuple):
    """One check.

    Attributes:
        what: what is looked at, in a few words.
        needed: what must be there.
        mend: the next step if it is missing.
        look: looks, and reads only. It may raise the errors of boto3, and NotCheckedError.
    """

    what: str
    needed: str
    mend: str
    look: Callable[[], Finding]


class Row(NamedTuple):
    """The result of a check; `mend` is empty where nothing is to be done."""

    what: str
    outcome: Outcome
    found: str
    needed: str
    mend: str


def found(text: str) -> Finding:
    """Return that everything is there."""
    return Finding(Outcome.FOUND, text)


def missing(text: str, mend: str | None = None) -> Finding:
    """Return that something is missing."""
    return Finding(Outcome.MISSING, text, mend)


def found_if(condition: object, text: str, otherwise: str | None = None) -> Finding:
    """Return that something is found or missing; `otherwise` is the text if it is missing."""
    return found(text) if condition else missing(text if otherwise is None else otherwise)


def error_code(error: ClientError) -> str:
    """Return AWS's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def results(checks: Iterable[Check], seconds: float) -> Iterator[Row]:
    """Make the checks in their order.

    Args:
        checks: the checks.
        seconds: the time for all of them; later ones stay unchecked.
    """
    deadline = time.monotonic() + seconds
    for check in checks:
        if time.monotonic() < deadline:
            finding = _finding(check)
        else:
            finding = Finding(
                Outcome.UNCHECKED,
                f"not looked at: the {seconds:.0f} s of this run were over",
                "find out why AWS or GitHub is slow from here, then run it again",
            )
        mend = "" if finding.outcome is Outcome.FOUND else finding.mend or check.mend
        yield Row(check.what, finding.outcome, finding.text, check.needed, mend)


def _finding(check: Check) -> Finding:
    try:
        return check.look()
    except NotCheckedError as error:
        return Finding(Outcome.UNCHECKED, str(error), error.mend)
    except ClientError as error:
        return _error_response(error)
    except BotoCoreError as error:
        return _failed_call(error)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        return Finding(
            Outcome.UNCHECKED,
            f"the response is not understood: {error!r}",
            "look by hand, and report this row to the maintainers",
        )


def _error_response(error: ClientError) -> Finding:
    if error_code(error) in _DENIED:
        text = f"not allowed to look: {error.operation_name}"
        return Finding(Outcome.UNCHECKED, text, _ASK_FOR_RIGHT)
    if error_code(error) in _ABSENT:
        return Finding(Outcome.UNCHECKED, "nothing to look at", "mend the rows above first")
    return _failed_call(error)


def _failed_call(error: Exception) -> Finding:
    reason = " ".join(str(error).split())
    return Finding(Outcome.UNCHECKED, f"the call failed: {reason}", "run it again")
