"""Times and periods in the arguments of commands: a date, a time in UTC, or how long ago."""

import argparse
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

_AGO: Final = re.compile(r"([0-9]{1,5})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FORMS: Final = "30d (also m, h and w), 2026-01-31 or 2026-01-31T09:30Z"


class MomentError(argparse.ArgumentTypeError):
    """A text is no time, or a period has no length; the message is one sentence with the reason."""


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


def add_period(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the options `--since` and `--until`, for `period_of()`.

    Args:
        parser: the parser of the command.
        default: the beginning without `--since`, in one of the `FORMS`; None makes it required.
    """
    now = datetime.now(UTC)
    parser.add_argument(
        "--since",
        type=partial(moment, now=now),
        required=default is None,
        default=default,
        metavar="TIME",
        help=f"the beginning, in UTC: {FORMS}" + (f" (default: {default})" if default else ""),
    )
    parser.add_argument(
        "--until",
        type=partial(moment, now=now, is_end=True),
        default=now,
        metavar="TIME",
        help="the end, in the same forms; a date means its end (default: now)",
    )


def period_of(options: argparse.Namespace) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the period that the options give, in UTC.

    Raises:
        MomentError: it does not begin before it ends.
    """
    since, until = options.since, options.until
    if since >= until:
        raise MomentError(
            f"The period ends before it begins: give a --since before {until}, not {since}."
        )
    return since, until


def timestamp(time: datetime) -> str:
    """Return a time as events have it, such as `2026-01-31T09:30:00.123456Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
