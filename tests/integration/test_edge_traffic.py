"""A short run of `make edge`: what readers see through the cache while the catalogue changes."""

import re

import pytest

from benchmarks.edge import missed_aims, summary
from benchmarks.edge_traffic import (
    DELAY_SECONDS,
    WINDOW_SECONDS,
    Plan,
    Run,
    plan_of_day,
    run,
)
from product_tools.repository import REPOSITORY
from tests.integration.conftest import REAL_DEADLINE_SECONDS
from tests.support.optional_tools import skip_test_without
from tests.support.varnish import REQUIREMENT, varnishd

READ = "/products?limit=12"
PRODUCT = "/products/PROD-EDGE-60"


@pytest.fixture(scope="module")
def measured() -> Run:
    """A run of 5 seconds: the change after the first second is invalidated after 4 seconds."""
    if not varnishd():
        skip_test_without(REQUIREMENT)
    reads = [(number / 20, number % 7, (READ, PRODUCT)[number % 2]) for number in range(100)]
    return run(Plan(5, reads, [(1.0, 59)]), invalidates=True, window=0)


def test_readers_see_the_change_after_its_invalidation(measured: Run) -> None:
    assert measured.invalidations == 1
    [change] = measured.changes
    assert change.confirmed is not None
    assert change.confirmed - change.made >= 3
    assert [since for _, _, since in measured.ages() if since is not None] == []


def test_reads_come_from_the_cache(measured: Run) -> None:
    assert len(measured.reads) == 100
    assert measured.wrong == []
    assert measured.requests("list") == measured.requests("get") == 50
    # Once at first, and once after the invalidation if a read followed it.
    for operation in ("list", "get"):
        assert 1 <= measured.origin_requests[operation] <= 2


def test_old_pages_and_wrong_responses_are_noticed(measured: Run) -> None:
    [change] = measured.changes
    read = measured.reads[0]
    late = Run(
        [type(read)(100.0, 0.1, PRODUCT, 200, "old", is_hit=True)],
        [change],
        {(PRODUCT, "old"): {change.product_id: change.version - 1}},
        ["a wrong response"],
        {"list": 0, "get": 0},
    )
    [(_, age, since)] = late.ages()
    assert (age, since) == (100 - change.made, 100 - (change.confirmed or 0))
    late.reads += [type(read)(0.0, 0.1, READ, 200, "", is_hit=False)] * 2
    late.origin_requests["list"] = 1
    assert missed_aims(late, measured) == [
        "a wrong response",
        "Only 50.00% of list reads reached no function: the aim is 99%.",
        f"A read was old {since:.1f} s after the invalidation was confirmed.",
        "The cache was never invalidated.",
    ]


def test_summary_has_a_column_for_each_run(measured: Run) -> None:
    lines = summary(measured, measured).splitlines()
    assert lines[0] == "|  | with invalidation | without |"
    assert "| invalidations | 1 | 1 |" in lines


def test_plan_is_the_same_in_each_run() -> None:
    plan = plan_of_day(20, 5, 20, (0.5,))
    assert plan == plan_of_day(20, 5, 20, (0.5,))
    assert len(plan.changes) == 39
    noon = [moment for moment, _, _ in plan.reads if 9 <= moment < 10]
    night = [moment for moment, _, _ in plan.reads if moment < 1]
    assert len(noon) > len(night)


def test_queue_waits_like_the_deployed_one() -> None:
    text = (REPOSITORY / "terraform" / "edge_cache.tf").read_text(encoding="utf-8")
    found = dict(re.findall(r"(delay_seconds|maximum_batching_window_in_seconds) += (\d+)", text))
    assert found == {
        "delay_seconds": f"{DELAY_SECONDS:g}",
        "maximum_batching_window_in_seconds": f"{WINDOW_SECONDS:g}",
    }


def test_delay_is_longer_than_a_read() -> None:
    assert DELAY_SECONDS > REAL_DEADLINE_SECONDS
