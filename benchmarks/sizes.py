"""`make sizes`: measures the functions under Lambda's share of a CPU for several memory sizes.

It measures like `make bench`: every function runs under AWS's runtime client. Only the function
has a CPU quota; the engine and the runtime API run outside of it.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import simplejson

from benchmarks import charts, sizes_report
from benchmarks.cpu_quota import Controller, QuotaError, cpu_group, this_machine
from benchmarks.measurement import Observation, observe
from benchmarks.prices import read_prices
from benchmarks.size_costs import (
    MEASURED_SIZES,
    SIZES,
    STACKS,
    Sizes,
    decided,
    megabytes,
    summary_of,
)
from benchmarks.subjects import OURS, Subject, prepared
from local.engine import Engine
from product_lambda.models.product import MAX_DESCRIPTION, MAX_FEATURES, MAX_LINE
from product_lambda.validators.query import MAX_LIMIT
from tests.support.deployed_functions import deployed_environment
from tests.support.function_process import running_function
from tests.support.workload import PRODUCTS, TABLE, event, fill_table

_WARM_UP = 10  # the smallest size takes a tenth of a second for a request
_LARGEST_TABLE = "products-largest"
_LARGEST_FIELDS = {
    # A character of three bytes: with larger ones, no page of this length fits into a response.
    "description": "\u20ac" * MAX_DESCRIPTION,
    "features": ["\u20ac" * MAX_LINE] * MAX_FEATURES,
}


def main() -> int:
    """Measure, write the report, and return 0; 2 where no CPU quota can be set."""
    parser = argparse.ArgumentParser(prog="make sizes", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=3, help="number of processes for each function and size"
    )
    parser.add_argument(
        "--requests", type=int, default=40, help="number of warm requests in each process"
    )
    options = parser.parse_args()
    try:
        controller = this_machine()
    except QuotaError as error:
        print(error, file=sys.stderr)
        return 2

    observations: dict[tuple[int, str, str], list[Observation]] = {}
    loads: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        subjects = [each for each in prepared(Path(folder)) if each.stack in STACKS]
        with Engine(Path(folder) / "engine") as engine:
            fill_table(engine.endpoint_url, TABLE, PRODUCTS)
            largest = _memory_of_largest_page(subjects, engine.endpoint_url)
            for number in range(1, options.rounds + 1):
                print(f"Round {number} of {options.rounds}", file=sys.stderr, flush=True)
                for size, subject, observed in _round(
                    subjects, engine.endpoint_url, controller, options.requests
                ):
                    key = (size, subject.stack, subject.operation)
                    observations.setdefault(key, []).append(observed)
                    loads.append(os.getloadavg()[0])

    sizes = Sizes(
        python=platform.python_version(),
        machine=platform.machine(),
        rounds=options.rounds,
        requests=options.requests,
        cores=os.cpu_count() or 1,
        load=round(Decimal(statistics.mean(loads)), 1),
        largest_page_mb=largest,
        summaries={key: summary_of(values) for key, values in observations.items()},
    )
    MEASURED_SIZES.parent.mkdir(parents=True, exist_ok=True)
    MEASURED_SIZES.write_text(sizes.to_json(), encoding="utf-8")
    sizes_report.write(sizes, read_prices())
    charts.sizes(sizes, read_prices())
    print(f"The default of memory_size should be {decided(sizes, read_prices())} MB.")
    return 0


def _round(
    subjects: Sequence[Subject], endpoint_url: str, controller: Controller, requests: int
) -> Iterator[tuple[int, Subject, Observation]]:
    """Measure every function once in every size, in random order."""
    cases = [(size, subject) for size in SIZES for subject in subjects]
    for size, subject in random.sample(cases, len(cases)):
        with cpu_group(controller, size) as group:
            observed = observe(
                subject, endpoint_url, requests, warm_up=_WARM_UP, prefix=group.prefix
            )
        yield size, subject, observed


def _memory_of_largest_page(subjects: Sequence[Subject], endpoint_url: str) -> Decimal:
    """Return the memory of the list function after the longest page of the largest products.

    Raises:
        SystemExit: the function sent another page.
    """
    fill_table(endpoint_url, _LARGEST_TABLE, MAX_LIMIT, _LARGEST_FIELDS)
    function = next(
        each.function for each in subjects if (each.stack, each.operation) == (OURS, "list")
    )
    request = json.dumps(event("list", query={"limit": str(MAX_LIMIT)})).encode()
    with running_function(function, deployed_environment(endpoint_url, _LARGEST_TABLE)) as process:
        response = simplejson.loads(process.invoke(request).payload)
        peak = process.peak_memory()
    count = simplejson.loads(response["body"]).get("count")
    if count != MAX_LIMIT:
        raise SystemExit(
            f"The largest page had {count} products, not {MAX_LIMIT} (status"
            f" {response['statusCode']}): correct the function, then repeat the run."
        )
    return megabytes(peak)


if __name__ == "__main__":
    sys.exit(main())
