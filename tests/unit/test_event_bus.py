"""The events of changes, and how they are divided into requests within EventBridge's limits."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.profiles  # noqa: F401 (registers the Hypothesis profile)
from local.engine import REGION
from product_lambda.models.change import ProductChange, Write, creation, update
from product_lambda.repositories import aws_client
from product_lambda.repositories.aws_client import Limits, open_client
from product_lambda.repositories.event_bus import (
    MAX_BYTES,
    MAX_ENTRIES,
    Entry,
    entry_for,
    requests_for,
)
from tests.support.products import product, second
from tests.support.stream_records import checked_detail

WRITE = Write("id-1", "2026-01-31T09:35:00.000000Z", "a1b2c3d4e5", sets_updated_at=True)
CHANGE = creation(product(), WRITE)
OVERHEAD = len("bbws.product") + len("ProductCreated")


def sized(size: int) -> Entry:
    """Return an entry of a size in bytes, with characters of three bytes."""
    letters, rest = divmod(size - OVERHEAD, 3)
    return Entry(CHANGE, "€" * letters + "x" * rest)


def largest_change() -> ProductChange:
    """Return the change of the largest product: each character has four bytes in UTF-8."""
    before = product(name="😀" * 200, description="😀" * 4000, features=("😀" * 200,) * 50)
    after = before._replace(name="🙂" * 200, version=2, updated_at=second(1))
    found = update(before, after, WRITE)
    assert found is not None
    return found


@pytest.mark.parametrize("limits", [None, Limits(), Limits(0.5, 1.5, 4)])
def test_client_has_limits(limits: Limits | None) -> None:
    config = open_client("events", REGION, None, limits).meta.config
    # Integration tests of the same process have longer ones.
    default = Limits(aws_client._CONNECT_SECONDS, aws_client._READ_SECONDS, attempts=1)
    connect, read, attempts = limits or default
    assert (config.connect_timeout, config.read_timeout) == (connect, read)
    assert config.retries == {"total_max_attempts": attempts, "mode": "standard"}


def test_size_counts_bytes_of_source_type_and_detail() -> None:
    assert sized(100).size == 100
    assert entry_for(CHANGE).size == OVERHEAD + len(entry_for(CHANGE).detail.encode())


def test_largest_change_fits_in_one_event() -> None:
    assert 100_000 < entry_for(largest_change()).size <= MAX_BYTES


def test_request_has_at_most_ten_entries() -> None:
    assert [len(request) for request in requests_for([sized(100)] * 21)] == [10, 10, 1]


def test_request_is_smaller_than_256_kb() -> None:
    half = (MAX_BYTES + 1) // 2
    fitting, too_much = [sized(half), sized(half - 1)], [sized(half), sized(half)]

    assert [len(request) for request in requests_for(fitting)] == [2]
    assert [len(request) for request in requests_for([*too_much, *fitting])] == [1, 1, 2]
    assert [len(request) for request in requests_for(too_much)] == [1, 1]


def test_no_entries_make_no_request() -> None:
    assert list(requests_for([])) == []


@given(st.lists(st.integers(50, MAX_BYTES), max_size=40))
def test_requests_keep_all_entries_in_order(sizes: Sequence[int]) -> None:
    entries = [sized(size) for size in sizes]

    requests = list(requests_for(entries))

    assert [entry for request in requests for entry in request] == entries
    for request in requests:
        assert 1 <= len(request) <= MAX_ENTRIES
        assert sum(entry.size for entry in request) <= MAX_BYTES


def test_characters_that_queues_reject_are_escaped() -> None:
    entry = entry_for(creation(product(name="a\ufffe\uffffb"), WRITE))

    assert "\\ufffe\\uffff" in entry.detail
    assert not {"\ufffe", "\uffff"} & set(entry.detail)
    assert checked_detail(entry.detail)["after"]["name"] == "a\ufffe\uffffb"
