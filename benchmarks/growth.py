"""`make growth`: measures the cost of a page, by its depth and by the size of the catalogue.

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
from product_lambda.models.product import Cursor, PageRequest, SortOrder
from product_lambda.repositories.product_repository import open_table
from product_lambda.validators.query import next_token
from tests.support.faulty_dynamodb import Exchange, faulty_dynamodb
from tests.support.report import FIGURES, PERFORMANCE, table, write_section
from tests.support.workload import (
    MONTHLY,
    created_at,
    event,
    fill_table,
    function_environment,
    product_id,
)

SIZES = (100, 10_000, 100_000)
PLACES = ("first", "middle", "last")
OFFSETS = (0, 10, 100, 500, 1000)
SEARCHES = {
    "sort=price": ((("currency", "ZAR"), ("sort", "price")), False),
    "minPrice, maxPrice, sort=price": (
        (("currency", "ZAR"), ("sort", "price"), ("minPrice", "110"), ("maxPrice", "160")),
        False,
    ),
    "name, sort=name": ((("name", "HOSTING"), ("sort", "name")), False),
    "1 in 100 matches": ((("period", "monthly"),), True),
}
"""By their heads: the query, and whether the function looks through products that do not match."""
_OFFSET_SIZE = 10_000
_LIMIT = 50
_MS = 1e3
_COLUMNS = ("units", "CPU, ms", "latency, ms")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list.

    Attributes:
        size: the number of products in the catalogue.
        query: pairs of a parameter and its value.
        count: the number of products on the page.
    """

    size: int
    query: tuple[tuple[str, str], ...]
    count: int = _LIMIT


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one page: latency and CPU time in seconds, and DynamoDB's read units."""

    latency: Figure
    cpu: Figure
    read_units: float


class ReadUnitMeter:
    """Passes requests on to DynamoDB and adds up the read units of its responses."""

    def __init__(self) -> None:
        self.read_units = 0.0

    def pass_on(self, exchange: Exchange) -> None:
        """Pass one request on and count its read units."""
        status, _, body = exchange.forward()
        self.read_units += json.loads(body)["ConsumedCapacity"]["CapacityUnits"]
        exchange.respond(status, body)


class ListFunction:
    """The list function on the tables of one endpoint."""

    def __init__(self, endpoint_url: str) -> None:
        self._entry = importlib.import_module("product_lambda.handlers.entry")
        self._handler = importlib.import_module("product_lambda.handlers.list_products").handler
        self._tables = {size: open_table(_table_name(size), REGION, endpoint_url) for size in SIZES}

    def read(self, page: Page) -> None:
        """Read a page.

        Raises:
            SystemExit: the page has another number of products.
        """
        vars(self._entry)["TABLE"] = self._tables[page.size]
        query = {"limit": str(_LIMIT), **dict(page.query)}
        response = self._handler(event("list", query=query), None)
        count = json.loads(response["body"]).get("count")
        if count != page.count:
            raise SystemExit(
                f"The page at {query} of {page.size:,} products had {count} products, not"
                f" {page.count} (status {response['statusCode']}): correct the function, then"
                " repeat the run."
            )


def main() -> int:
    """Measure, and write the tables and the charts."""
    parser = argparse.ArgumentParser(prog="make growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="number of requests for each page")
    options = parser.parse_args()
    logging.disable(logging.WARNING)

    by_place = {
        (size, place): Page(size, (("nextToken", _token_after(number + 1)),))
        for size in SIZES
        for place, number in (("first", size), ("middle", size // 2), ("last", _LIMIT))
    }
    by_offset = {depth: Page(_OFFSET_SIZE, (("offset", str(depth)),)) for depth in OFFSETS}
    by_token = {
        depth: Page(_OFFSET_SIZE, (("nextToken", _token_after(_OFFSET_SIZE + 1 - depth)),))
        for depth in OFFSETS
    }
    by_search = {
        (size, search): Page(size, query, min(_LIMIT, size // MONTHLY) if lookup else _LIMIT)
        for size in SIZES
        for search, (query, lookup) in SEARCHES.items()
    }
    pages = [
        *(*by_place.values(), *by_offset.values(), *by_token.values()),
        *by_search.values(),
    ]
    with dynamodb_local(heap_megabytes=1024) as endpoint_url:
        for size in SIZES:
            print(f"Filling a table with {size:,} products ...", flush=True)
            fill_table(endpoint_url, _table_name(size), size)
        os.environ.update(function_environment(endpoint_url, _table_name(SIZES[0])))
        costs = costs_of(pages, endpoint_url, options.rounds)
    _write(
        {key: costs[page] for key, page in by_place.items()},
        {depth: costs[page] for depth, page in by_offset.items()},
        {depth: costs[page] for depth, page in by_token.items()},
        {key: costs[page] for key, page in by_search.items()},
        options.rounds,
    )
    return 0


def costs_of(pages: Sequence[Page], endpoint_url: str, rounds: int) -> dict[Page, Cost]:
    """Read each page once through the meter, then `rounds` times in random order."""
    units: dict[Page, float] = {}
    meter = ReadUnitMeter()
    with faulty_dynamodb(endpoint_url, meter.pass_on) as proxy:
        metered = ListFunction(proxy.endpoint_url)
        for page in pages:
            before = meter.read_units
            metered.read(page)
            units[page] = meter.read_units - before
    direct = ListFunction(endpoint_url)
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
    by_search: Mapping[tuple[int, str], Cost],
    rounds: int,
) -> None:
    conditions = f"Pages of {_LIMIT} products: read units, and medians of {rounds} requests."
    places = {place: f"{place} page, by nextToken" for place in PLACES}
    searches = {search: search for search in SEARCHES}
    summary = f"{_summary_table(by_place, places)}\n\n{_summary_table(by_search, searches)}"
    write_section(PERFORMANCE, "growth", f"{conditions}\n\n{summary}")
    explanation = (
        "DynamoDB Local counts the read units; CPU is the CPU time of the function. Latency has the"
        "\nquartiles in brackets."
    )
    tables = "\n\n".join(
        [
            _size_table("page by nextToken", by_place),
            _depth_table(by_offset, by_token),
            _size_table("first page of a search", by_search),
        ]
    )
    write_section(FIGURES, "growth", f"{conditions}\n{explanation}\n\n{tables}")
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
        f"Read units of a page, by its depth ({_OFFSET_SIZE:,} products)",
        "products before the page",
        "read units",
        {"by offset": _points(by_offset), "by nextToken": _points(by_token)},
    )


def _summary_table(costs: Mapping[tuple[int, str], Cost], columns: Mapping[str, str]) -> str:
    """Return the table of read units and median latency, one row per size of the catalogue."""
    heads = ("products in the catalogue", *columns.values())
    rows = [(f"{size:,}", *(_summary(costs[size, column]) for column in columns)) for size in SIZES]
    return table(heads, rows)


def _summary(cost: Cost) -> str:
    return f"{cost.read_units:g} units, {cost.latency.median * _MS:.1f} ms"


def _size_table(head: str, costs: Mapping[tuple[int, str], Cost]) -> str:
    return table(
        ("products", head, *_COLUMNS),
        [(f"{size:,}", name, *_cells(cost)) for (size, name), cost in costs.items()],
    )


def _depth_table(by_offset: Mapping[int, Cost], by_token: Mapping[int, Cost]) -> str:
    return table(
        (
            "products before the page",
            *(f"{column}, by {way}" for way in ("offset", "nextToken") for column in _COLUMNS),
        ),
        [(f"{depth:,}", *_cells(by_offset[depth]), *_cells(by_token[depth])) for depth in OFFSETS],
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


def _table_name(size: int) -> str:
    return f"products-{size}"


def _token_after(number: int) -> str:
    """Return the token for the page after product `number`, newest first."""
    return next_token(
        Cursor(created_at(number), product_id(number)),
        PageRequest(1, SortOrder.NEWEST_FIRST, 0, None),
    )


if __name__ == "__main__":
    sys.exit(main())
