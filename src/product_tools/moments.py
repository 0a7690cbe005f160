"""Times in the arguments of commands: a date, a time in UTC, or how long ago."""

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO: Final = re.compile(r"([0-9]{1,5})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FORMS: Final = "30d (also m, h and w), 2026-01-31 or 2026-01-31T09:30Z"


class MomentError(argparse.ArgumentTypeError):
    """A text is no time; the message is a sentence with the valid forms, which argparse prints."""


def moment(text: str, now: datetime, *, is_end: bool = False) -> datetime:
    """Return the time that a text means, in UTC; a time without a zone is one in UTC.

    Args:
        text: in one of the `FORMS`.
        now: the current time, with a zone.
        is_end: whether a date means its end instead of its beginning.

    Raises:
        MomentError: it has another form, or is out of range.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return now.astimezone(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            found += timedelta(days=1 if is_end else 0)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (OverflowError, ValueError):
        raise MomentError(f"{text!r} is no time: give {FORMS}.") from None


def timestamp(time: datetime) -> str:
    """Return a time as events have it, such as `2026-01-31T09:30:00.123456Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
