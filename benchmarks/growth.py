"""`make growth`: what a page of the list costs, however deep it is and however large the catalogue.

It measures on AWS's DynamoDB Local, which counts read units as AWS does.
"""

import argparse
import importlib
import json
import logging
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import charts
from benchmarks.figures import Figure, figure_of
from local.dynamodb_local import dynamodb_local
from local.engine import REGION
from product_lambda.models.product import Cursor, SortOrder
from product_lambda.repositories.product_repository import open_table
from product_lambda.validators.query import next_token
from tests.support.faulty_dynamodb import Exchange, faulty_dynamodb
from tests.support.report import PERFORMANCE, table, write_section
from tests.support.workload import event, fill_table, function_environment, moment_of, product_id

SIZES = (100, 10_000, 100_000)
PLACES = ("first", "middle", "last")
OFFSETS = (0, 10, 100, 500, 1000)
_OFFSET_SIZE = 10_000
_LIMIT = 50
_MS = 1e3
_COLUMNS = ("units", "CPU, ms", "latency, ms")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a catalogue: how many products that has, and the query that asks for the page."""

    size: int
    parameter: str
    value: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What one page costs: the caller's seconds, our CPU seconds, and DynamoDB's read units."""

    latency: Figure
    cpu: Figure
    read_units: float


class Meter:
    """Passes requests on to DynamoDB and adds up the read units of its answers."""

    def __init__(self) -> None:
        self.read_units = 0.0

    def pass_on(self, exchange: Exchange) -> None:
        """Pass one request on."""
        status, _, body = exchange.forward()
        self.read_units += json.loads(body)["ConsumedCapacity"]["CapacityUnits"]
        exchange.reply(status, body)


class Lister:
    """The list function, on the tables of one endpoint."""

    def __init__(self, endpoint_url: str) -> None:
        self._entry = importlib.import_module("product_lambda.handlers.entry")
        self._handler = importlib.import_module("product_lambda.handlers.list_products").handler
        self._tables = {size: open_table(_table_of(size), REGION, endpoint_url) for size in SIZES}

    def read(self, page: Page) -> None:
        """Read a page.

        Raises:
            SystemExit: it is not full.
        """
        vars(self._entry)["TABLE"] = self._tables[page.size]
        query = {"limit": str(_LIMIT), page.parameter: page.value}
        response = self._handler(event("list", query=query), None)
        if json.loads(response["body"]).get("count") != _LIMIT:
            raise SystemExit(f"A page was not full; status {response['statusCode']}.")


def main() -> int:
    """Measure, and write the tables and charts."""
    parser = argparse.ArgumentParser(prog="make growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="requests for each kind of page")
    options = parser.parse_args()
    logging.disable(logging.WARNING)

    by_place = {
        (size, place): Page(size, "nextToken", _token_after(number + 1))
        for size in SIZES
        for place, number in (("first", size), ("middle", size // 2), ("last", _LIMIT))
    }
    by_offset = {depth: Page(_OFFSET_SIZE, "offset", str(depth)) for depth in OFFSETS}
    by_token = {
        depth: Page(_OFFSET_SIZE, "nextToken", _token_after(_OFFSET_SIZE + 1 - depth))
        for depth in OFFSETS
    }
    pages = [*by_place.values(), *by_offset.values(), *by_token.values()]
    with dynamodb_local(heap_megabytes=1024) as endpoint_url:
        for size in SIZES:
            print(f"Filling a table with {size:,} products ...", flush=True)
            fill_table(endpoint_url, _table_of(size), size)
        os.environ.update(function_environment(endpoint_url, _table_of(SIZES[0])))
        costs = costs_of(pages, endpoint_url, options.rounds)
    _write(
        {key: costs[page] for key, page in by_place.items()},
        {depth: costs[page] for depth, page in by_offset.items()},
        {depth: costs[page] for depth, page in by_token.items()},
        options.rounds,
    )
    return 0


def costs_of(pages: Sequence[Page], endpoint_url: str, rounds: int) -> dict[Page, Cost]:
    """Read each page once through a meter, then in random order, round after round."""
    units: dict[Page, float] = {}
    meter = Meter()
    with faulty_dynamodb(endpoint_url, meter.pass_on) as proxy:
        metered = Lister(proxy.endpoint_url)
        for page in pages:
            before = meter.read_units
            metered.read(page)
            units[page] = meter.read_units - before
    direct = Lister(endpoint_url)
    latencies: dict[Page, list[float]] = {page: [] for page in pages}
    cpu: dict[Page, list[float]] = {page: [] for page in pages}
    for page in pages:
        direct.read(page)
    for _ in range(rounds):
        for page in random.sample(pages, len(pages)):
            started, used = time.perf_counter(), time.process_time()
            direct.read(page)
            latencies[page].append(time.perf_counter() - started)
            cpu[page].append(time.process_time() - used)
    return {
        page: Cost(figure_of(latencies[page]), figure_of(cpu[page]), units[page]) for page in pages
    }


def _write(
    by_place: Mapping[tuple[int, str], Cost],
    by_offset: Mapping[int, Cost],
    by_token: Mapping[int, Cost],
    rounds: int,
) -> None:
    how = (
        f"Pages of {_LIMIT} products; medians of {rounds} requests, the quartiles in brackets."
        " Units are the read units that DynamoDB Local counts, CPU is the function's own."
    )
    rows = [
        (f"{size:,}", place, *_cells(by_place[size, place])) for size in SIZES for place in PLACES
    ]
    by_size = table(("products", "page by nextToken", "units", "CPU, ms", "latency, ms"), rows)
    by_depth = table(
        (
            "products before the page",
            *(f"{what}, by {way}" for way in ("offset", "nextToken") for what in _COLUMNS),
        ),
        [(f"{depth:,}", *_cells(by_offset[depth]), *_cells(by_token[depth])) for depth in OFFSETS],
    )
    write_section(PERFORMANCE, "growth", f"{how}\n\n{by_size}\n\n{by_depth}")
    charts.lines(
        "growth-size",
        "Read units of a page, by the size of the catalogue",
        "products in the catalogue",
        "read units",
        {
            f"{place} page, by nextToken": [
                (size, by_place[size, place].read_units) for size in SIZES
            ]
            for place in PLACES
        },
    )
    charts.lines(
        "growth-depth",
        f"Read units of a page, by how deep it is ({_OFFSET_SIZE:,} products)",
        "products before the page",
        "read units",
        {"by offset": _points(by_offset), "by nextToken": _points(by_token)},
    )


def _cells(cost: Cost) -> tuple[str, str, str]:
    return f"{cost.read_units:g}", f"{cost.cpu.median * _MS:.1f}", _text(cost.latency)


def _points(costs: Mapping[int, Cost]) -> Sequence[tuple[float, float]]:
    return [(depth, cost.read_units) for depth, cost in costs.items() if depth]


def _text(figure: Figure) -> str:
    median, lower, upper = (
        f"{value * _MS:.1f}" for value in (figure.median, figure.lower, figure.upper)
    )
    return f"{median} ({lower}-{upper})"


def _table_of(size: int) -> str:
    return f"products-{size}"


def _token_after(number: int) -> str:
    """The token of the page that starts after product `number`, newest first."""
    return next_token(Cursor(moment_of(number), product_id(number)), SortOrder.NEWEST_FIRST)


if __name__ == "__main__":
    sys.exit(main())
