"""The shares of requests that versions get during a shift, and what an alias records of it."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_tools.aliases import Alias, Note, Phase, latest_shift, note_from, routing
from shift_traffic import percentages

VERSIONS = st.integers(1, 10**6).map(str)


@given(percent=st.integers(1, 100))
def test_the_new_version_gets_its_percentage_and_the_old_one_the_rest(percent: int) -> None:
    version, weights = routing("6", "7", percent)
    shares = Alias("bbws-get-product-dev", version, weights).shares

    assert shares.get("7") == percent / 100
    assert shares.get("6", 0) == pytest.approx(1 - percent / 100)
    assert sum(shares.values()) == pytest.approx(1)


def test_all_requests_go_to_the_new_version_without_a_weight() -> None:
    assert routing("6", "7", 100) == ("7", {})


@pytest.mark.parametrize(
    ("text", "steps"), [("100", [100]), ("10,50,100", [10, 50, 100]), ("1,2,100", [1, 2, 100])]
)
def test_rising_percentages_up_to_100_are_steps(text: str, steps: list[int]) -> None:
    assert percentages(text) == steps


@pytest.mark.parametrize("text", ["", "10,50", "50,10,100", "10,10,100", "0,100", "110", "ten"])
def test_other_steps_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="10,50,100"):
        percentages(text)


@given(
    note=st.builds(
        Note, st.sampled_from(Phase), before=VERSIONS, to=VERSIONS, shift=st.integers(1, 10**6)
    )
)
def test_what_is_recorded_is_read_back_and_fits_into_a_description(note: Note) -> None:
    assert note_from(str(note)) == note
    assert len(str(note)) <= 256


def test_a_roll_back_is_recorded_in_the_direction_that_it_went() -> None:
    note = Note(Phase.ROLLED_BACK, before="6", to="7", shift=12)

    assert str(note) == "rolled back from 7 to 6 (shift 12)"


def test_a_description_of_another_hand_records_no_shift() -> None:
    assert note_from("The version that API Gateway calls.") is None


def test_the_latest_shift_is_the_highest_that_any_function_took_part_in() -> None:
    notes = [None, Note(Phase.SHIFTED, "1", "2", 4), Note(Phase.ROLLED_BACK, "2", "3", 5)]

    assert latest_shift(Alias("name", "2", note=note) for note in notes) == 5
    assert latest_shift([Alias("name", "2")]) == 0
