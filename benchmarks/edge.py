"""`make edge`: measures a day of traffic through the edge cache, with and without invalidation.

It ends with an error if too many reads reach a function, or if a reader sees something old or wrong
after an invalidation.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence

from benchmarks.edge_traffic import (
    DELAY_SECONDS,
    EDGE_CACHE_SECONDS,
    LISTS,
    PRODUCTS,
    READERS,
    WINDOW_SECONDS,
    Run,
    plan_of_day,
    run,
)
from benchmarks.figures import percentile
from product_tools.repository import REPOSITORY
from tests.support.report import PERFORMANCE, table, write_section
from tests.support.varnish import REQUIREMENT, varnishd

MEASURED = REPOSITORY / "benchmarks" / "measured" / "edge.json"
LEAST_HIT_RATIO = 0.99
MOST_SECONDS = 2
"""The oldest that a reader may see once the invalidation is confirmed."""

_QUIET, _BUSY = 20, 240  # reads a second, at night and at noon
_BURSTS = (0.3, 0.7)
_MS = 1000


def main() -> int:
    """Measure both runs, write the figures and the chart; return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="make edge", description=__doc__)
    parser.add_argument("--seconds", type=int, default=180, help="the length of a day")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if not varnishd():
        print(f"make edge needs {REQUIREMENT}.", file=sys.stderr)
        return 2
    plan = plan_of_day(options.seconds, _QUIET, _BUSY, _BURSTS)
    runs: list[Run] = []
    for invalidates in (True, False):
        kind = "with" if invalidates else "without"
        print(f"{len(plan.reads):,} reads, {kind} invalidation: {options.seconds} s", flush=True)
        runs.append(run(plan, invalidates=invalidates))
    missed = missed_aims(runs[0], runs[1])
    conditions = (
        f"{len(plan.reads):,} reads by {READERS:,} readers in {options.seconds} s, from {_QUIET} a"
        f" second at night to {_BUSY} at noon and\n{3 * _BUSY} in two bursts:"
        f" {len(LISTS)} pages of the list and {PRODUCTS} products. {len(plan.changes)} changes,"
        f" most of them a new price list.\nThe cache keeps a page for {EDGE_CACHE_SECONDS} s; the"
        f" queue delays a change by {DELAY_SECONDS:g} s and gathers changes for"
        f" {WINDOW_SECONDS:g} s."
    )
    write_section(PERFORMANCE, "edge", f"{conditions}\n\n{summary(*runs)}")
    MEASURED.write_text(document_of(runs[0]), encoding="utf-8")

    from benchmarks import charts  # noqa: PLC0415 (without matplotlib, the rest can be tested)

    charts.ages({"with invalidation": highest(runs[0]), "without": highest(runs[1])})
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def missed_aims(measured: Run, without: Run) -> list[str]:
    """Return a sentence for each aim that was missed."""
    missed = [*measured.wrong[:10], *without.wrong[:10]]
    ratio = measured.hit_ratio("list")
    if ratio < LEAST_HIT_RATIO:
        missed.append(f"Only {ratio:.2%} of list reads reached no function: the aim is 99%.")
    late = [since for _, _, since in measured.ages() if since is not None]
    if late and max(late) > MOST_SECONDS:
        missed.append(f"A read was old {max(late):.1f} s after the invalidation was confirmed.")
    if not measured.invalidations:
        missed.append("The cache was never invalidated.")
    return missed


def summary(measured: Run, without: Run) -> str:
    """Return the table of both runs."""
    columns = [_column(measured), _column(without)]
    names = list(columns[0])
    return table(
        ("", "with invalidation", "without"),
        [(name, *(column[name] for column in columns)) for name in names],
    )


def _column(each: Run) -> dict[str, str]:
    latencies = [read.seconds * _MS for read in each.reads]
    found = each.ages()
    ages = [age for _, age, _ in found]
    late = [since for _, _, since in found if since is not None]
    reached = each.origin_requests
    return {
        "list reads that reach no function": f"{each.hit_ratio('list'):.2%}",
        "reads by id that reach no function": f"{each.hit_ratio('get'):.2%}",
        "reads at the origin, list and by id": f"{reached['list']:,} and {reached['get']:,}",
        "invalidations": f"{each.invalidations}",
        "latency of a reader, p50 and p99, ms": _two(latencies, 50, 99),
        "reads of something old": f"{len(ages):,} ({len(ages) / len(each.reads):.1%})",
        "their age, p50 and p99, s": _two(ages, 50, 99),
        "their age, worst, s": f"{max(ages, default=0):.1f}",
        "of these, begun after the invalidation was confirmed": (
            f"{len(late)}" if each.invalidations else ""
        ),
        "wrong responses, and reads with a key from the cache": f"{len(each.wrong)}",
    }


def _two(values: Sequence[float], first: float, second: float) -> str:
    if not values:
        return "none"
    return f"{percentile(values, first):.1f} and {percentile(values, second):.1f}"


def highest(each: Run) -> list[tuple[float, float]]:
    """Return the highest age of what readers saw, for each second of a run."""
    by_second = {int(read.started): 0.0 for read in each.reads}
    for read, age, _ in each.ages():
        second = int(read.started)
        by_second[second] = max(by_second[second], age)
    return [(float(second), age) for second, age in sorted(by_second.items())]


def document_of(measured: Run) -> str:
    """Return the figures that other commands use, as JSON."""
    operations = {
        operation: {
            "requests": measured.requests(operation),
            "origin_requests": measured.origin_requests[operation],
        }
        for operation in ("list", "get")
    }
    document = {
        "operations": operations,
        "changes": len(measured.changes),
        "invalidations": measured.invalidations,
    }
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
