"""Shares of requests during a shift, and the shift records of aliases."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_tools.aliases import Alias, Phase, ShiftRecord, latest_shift_number, routing
from shift_traffic import percentages

VERSIONS = st.integers(1, 10**6).map(str)


@given(percent=st.integers(1, 100))
def test_new_version_gets_percentage_and_old_version_the_rest(percent: int) -> None:
    version, weights = routing("6", "7", percent)
    shares = Alias("bbws-get-product-dev", version, weights).shares

    assert shares.get("7") == percent / 100
    assert shares.get("6", 0) == pytest.approx(1 - percent / 100)
    assert sum(shares.values()) == pytest.approx(1)


def test_full_shift_needs_no_weight() -> None:
    assert routing("6", "7", 100) == ("7", {})


@pytest.mark.parametrize(
    ("text", "steps"), [("100", [100]), ("10,50,100", [10, 50, 100]), ("1,2,100", [1, 2, 100])]
)
def test_rising_percentages_up_to_100_are_valid(text: str, steps: list[int]) -> None:
    assert percentages(text) == steps


@pytest.mark.parametrize("text", ["", "10,50", "50,10,100", "10,10,100", "0,100", "110", "ten"])
def test_other_percentages_are_rejected_with_example(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="10,50,100"):
        percentages(text)


@given(
    record=st.builds(
        ShiftRecord,
        st.sampled_from(Phase),
        old_version=VERSIONS,
        new_version=VERSIONS,
        number=st.integers(1, 10**6),
    )
)
def test_record_survives_description_and_fits_into_it(record: ShiftRecord) -> None:
    assert ShiftRecord.from_description(str(record)) == record
    assert len(str(record)) <= 256


@pytest.mark.parametrize(
    ("phase", "description"),
    [
        (Phase.SHIFTING, "shifting from 6 to 7 (shift 12)"),
        (Phase.SHIFTED, "shifted from 6 to 7 (shift 12)"),
        (Phase.ROLLED_BACK, "rolled back from 7 to 6 (shift 12)"),
    ],
)
def test_description_has_stored_format(phase: Phase, description: str) -> None:
    assert str(ShiftRecord(phase, old_version="6", new_version="7", number=12)) == description


def test_other_description_records_no_shift() -> None:
    assert ShiftRecord.from_description("The version that API Gateway calls.") is None


def test_latest_shift_number_is_highest_of_all_functions() -> None:
    records = [
        None,
        ShiftRecord(Phase.SHIFTED, "1", "2", 4),
        ShiftRecord(Phase.ROLLED_BACK, "2", "3", 5),
    ]

    assert latest_shift_number(Alias("name", "2", last_shift=record) for record in records) == 5
    assert latest_shift_number([Alias("name", "2")]) == 0
