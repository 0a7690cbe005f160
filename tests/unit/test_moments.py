"""Times in the arguments of commands."""

from datetime import UTC, datetime

import pytest

from product_tools.moments import MomentError, moment, timestamp

NOW = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", "2026-02-13T12:30:00.000000Z"),
        ("90m", "2026-03-15T11:00:00.000000Z"),
        ("12h", "2026-03-15T00:30:00.000000Z"),
        ("2w", "2026-03-01T12:30:00.000000Z"),
        ("0d", "2026-03-15T12:30:00.000000Z"),
        ("2026-01-31", "2026-01-31T00:00:00.000000Z"),
        ("2026-01-31T09:30", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31T09:30:00.5Z", "2026-01-31T09:30:00.500000Z"),
        ("2026-01-31T09:30+02:00", "2026-01-31T07:30:00.000000Z"),
    ],
)
def test_time_in_any_form_is_read_in_utc(text: str, expected: str) -> None:
    assert timestamp(moment(text, NOW)) == expected


def test_date_as_end_means_end_of_day() -> None:
    assert timestamp(moment("2026-01-31", NOW, is_end=True)) == "2026-02-01T00:00:00.000000Z"
    assert timestamp(moment("2026-01-31T09:30", NOW, is_end=True)).startswith("2026-01-31T09:30")


@pytest.mark.parametrize(
    "text", ["", "d", "30", "30y", "-1d", "1.5d", "yesterday", "2026-13-01", "2026-02-30", "٣d"]
)
def test_other_text_is_rejected_with_the_forms(text: str) -> None:
    with pytest.raises(MomentError, match=r"is no time: give 30d .* or 2026-01-31T09:30Z\."):
        moment(text, NOW)
