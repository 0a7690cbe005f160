"""`make soak`: many clients call the functions; in every second round, DynamoDB fails at random.

The clients record when each operation started and ended. Afterwards the history of each product
must be linearizable, and the table must equal the clients' records: no product and no change is
lost, and none is stored twice.
"""

import argparse
import collections
import importlib
import logging
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local.engine import REGION, Engine
from local.table import create_table
from product_lambda.models.product import PageRequest, Product, SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.items import product_in
from product_lambda.repositories.product_repository import (
    ProductRepository,
    ProductTable,
    open_table,
)
from product_tools.functions import FUNCTIONS
from tests.soak.clients import ClientRecords, ProductRecord, soak
from tests.soak.linearizability import Operation, find_order, most_concurrent, smallest_violation
from tests.soak.product_model import Inspect, ProductModel, Response, describe_violation
from tests.support import faulty_dynamodb as faults
from tests.support.events import Functions
from tests.support.faulty_dynamodb import Exchange, Fault, faulty_dynamodb
from tests.support.pages import listed
from tests.support.report import FIGURES, RELIABILITY, table, write_section
from tests.support.workload import function_environment

FAULT_SHARE: Final = 0.15
"""The share of requests to DynamoDB that get a fault, in rounds with faults."""

_TABLE: Final = "products-soak"
_OPERATIONS: Final = 200_000
_OPERATIONS_PER_ROUND: Final = 10_000
_SHOWN_VIOLATIONS: Final = 3
_LONG_DEADLINE_SECONDS: Final = 600  # for a read of a whole list
_FAULTS: Sequence[tuple[str, Fault, int]] = (
    ("delayed by 50 ms", faults.delayed(0.05), 30),
    ("delayed by 1.5 s", faults.delayed(1.5), 1),
    ("no response", faults.hang, 1),
    ("reset", faults.reset, 10),
    ("reset after execution", faults.after_execution(faults.reset), 15),
    ("disconnected", faults.disconnect, 10),
    ("disconnected after execution", faults.after_execution(faults.disconnect), 15),
    ("truncated", faults.truncated_response, 5),
    ("truncated after execution", faults.after_execution(faults.truncated_response), 10),
    ("status 500", faults.error_response("InternalServerError", status=500), 10),
    ("status 500 after execution", faults.after_execution(faults.fixed_response(b"{}", 500)), 10),
    ("status 503 from a proxy", faults.fixed_response(b"<html>503</html>", 503), 5),
    ("throttled", faults.error_response("ProvisionedThroughputExceededException"), 20),
    ("throttled by the account's limit", faults.error_response("ThrottlingException"), 10),
    ("not HTTP", faults.not_http, 5),
)
"""The name, the fault and its weight."""


class FaultInjector:
    """Injects faults into requests to DynamoDB, at random from a seed.

    Attributes:
        injected: how often each fault was injected, by its name.
    """

    def __init__(self, seed: int) -> None:
        self.injected: collections.Counter[str] = collections.Counter()
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._lock = threading.Lock()

    def handle(self, exchange: Exchange) -> None:
        """Pass a request on, or inject one of the faults."""
        with self._lock:
            name: str = "passed on"
            fault: Fault = faults.pass_on
            if self._random.random() < FAULT_SHARE:
                weights = [weight for _, _, weight in _FAULTS]
                name, fault, _ = self._random.choices(_FAULTS, weights)[0]
            self.injected[name] += 1
        fault(exchange)


@dataclass(slots=True)
class Figures:
    """What a run has counted so far.

    Attributes:
        operations: the number of operations in the histories.
        uncertain: the number of operations with an unknown outcome.
        histories: the number of products whose histories were searched for an order.
        longest: the number of operations on one product, at most.
        concurrent: the number of simultaneous operations on one product, at most.
        violations: the number of histories without a valid order.
        products: the number of created products.
        changes: the number of confirmed changes.
        replays: the number of create responses that were replays.
        differences: sentences for each difference between the table and the clients' records.
    """

    operations: int = 0
    uncertain: int = 0
    histories: int = 0
    longest: int = 0
    concurrent: int = 0
    violations: int = 0
    products: int = 0
    changes: int = 0
    replays: int = 0
    differences: list[str] = field(default_factory=list)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def shows_error(self) -> bool:
        """Whether the run has failed."""
        return bool(self.violations or self.differences)

    def add(self, records: ClientRecords) -> None:
        """Count the operations of one round."""
        for history in records.histories.values():
            self.operations += len(history)
            self.uncertain += sum(each.response is None for each in history)
            self.longest = max(self.longest, len(history))
            self.concurrent = max(self.concurrent, most_concurrent(history))
        self.histories += len(records.histories)
        self.products += sum(record.exists for record in records.products.values())
        self.changes += sum(
            len(record.confirmed) + record.prices for record in records.products.values()
        )
        self.replays += records.replays
        self.statuses += records.statuses


def products_without_order(records: ClientRecords) -> list[str]:
    """Return the ids of all products whose history is not linearizable."""
    model = ProductModel()
    return [
        product_id
        for product_id, history in records.histories.items()
        if find_order(model, history) is None
    ]


def description_of_violation(records: ClientRecords, product_id: str) -> str:
    """Return the smallest part of a product's history that no order explains, as text."""
    violation = smallest_violation(ProductModel(), records.histories[product_id])
    assert violation, "this history has an order"
    return describe_violation(product_id, violation)


def inspect_products(records: ClientRecords, stored: Mapping[str, Product]) -> None:
    """Add what the table holds after the run to the history of each product."""
    now = time.monotonic_ns()
    for product_id, history in records.histories.items():
        shown = Response.of_item(stored.get(product_id))
        history.append(Operation(0, now, now, Inspect(), shown))


def stored_products(table: ProductTable) -> dict[str, Product]:
    """Return all products in a table by their ids, active or not."""
    scan = table.client.sync_scan(table.name, consistent_read=True)
    products = [product_in(item) for item in scan if item["PK"].startswith("PRODUCT#")]
    return {product.product_id: product for product in products}


def differences(
    records: ClientRecords, listed: Sequence[Product], stored: Mapping[str, Product]
) -> list[str]:
    """Return one sentence for each difference between the table and the clients' records.

    Args:
        records: what the clients know.
        listed: all products in the list.
        stored: all products in the table, active or not.
    """
    found: list[str] = []
    existing = {name: record for name, record in records.products.items() if record.exists}
    in_list = {product.product_id for product in listed}
    known = {name for name, record in existing.items() if not record.deleted}
    found += [f"{name} is in the list, but no client knows it." for name in in_list - known]
    found += [f"{name} is missing from the list." for name in known - in_list]
    found += [f"{name} is stored, but no client knows it." for name in stored.keys() - existing]
    names = collections.Counter(product.name for product in listed)
    found += [f"{count} products exist for one key." for count in names.values() if count > 1]
    for product_id, record in existing.items():
        product = stored.get(product_id)
        if product is None:
            found.append(f"{product_id} was lost.")
        else:
            found += _product_differences(product, record)
    return found


def _product_differences(product: Product, record: ProductRecord) -> Iterator[str]:
    markers = product.description.split()[1:]
    if len(markers) != len(set(markers)):
        yield f"{product.product_id} contains a change twice."
    if lost := record.confirmed - set(markers):
        yield f"{product.product_id} lost {len(lost)} changes."
    if unknown := set(markers) - record.confirmed - record.uncertain:
        yield f"{product.product_id} contains {len(unknown)} changes that no client knows."
    if product.active == record.deleted:
        yield (
            f"{product.product_id} is {'active' if product.active else 'deleted'},"
            " unlike in the records."
        )
    changes = len(markers) + record.prices
    lowest = 1 + changes + record.deleted
    if not lowest <= product.version <= lowest + record.uncertain_prices:
        yield f"{product.product_id} has version {product.version} after {changes} changes."


def listed_products(items: ProductTable) -> Iterator[Product]:
    """Yield all active products, page by page."""
    repository = ProductRepository(items, Deadline(_LONG_DEADLINE_SECONDS))
    yield from listed(repository, PageRequest(100, SortOrder.OLDEST_FIRST, 0, None))


@contextmanager
def _functions_on_new_table(
    endpoint_url: str, name: str, injector: FaultInjector | None
) -> Iterator[Functions]:
    """Yield the functions on a new table, with the injector between them if there is one."""
    create_table(endpoint_url, name)
    os.environ.update(function_environment(endpoint_url, name))
    handlers = {
        each: importlib.import_module(f"product_lambda.handlers.{each}") for each in FUNCTIONS
    }
    entry = vars(importlib.import_module("product_lambda.handlers.entry"))
    if injector is None:
        entry["TABLE"] = open_table(name, REGION, endpoint_url)
        yield Functions(handlers)
        return
    with faulty_dynamodb(endpoint_url, injector.handle) as proxy:
        entry["TABLE"] = open_table(name, REGION, proxy.endpoint_url)
        yield Functions(handlers)


def main() -> int:
    """Run the soak test; return 1 after a violation, or if the table differs from the records."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument(
        "--operations",
        type=int,
        default=_OPERATIONS,
        help="number of operations; fewer than the default leave the documents unchanged",
    )
    parser.add_argument("--clients", type=int, default=8, help="number of parallel clients")
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(10**6),
        help="seed of operations and faults",
    )
    options = parser.parse_args()

    logging.disable(logging.CRITICAL)  # otherwise every fault would print a stack trace
    injector = FaultInjector(options.seed)
    figures = Figures()
    rounds = 2 * max(1, round(options.operations / _OPERATIONS_PER_ROUND / 2))
    print(f"Seed {options.seed}: {options.operations} operations by {options.clients} clients.")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Engine(Path(folder)) as engine:
        for number in range(rounds):
            name = f"{_TABLE}-{number}"
            has_faults = number % 2 == 1
            with _functions_on_new_table(
                engine.endpoint_url, name, injector if has_faults else None
            ) as functions:
                records = soak(
                    functions,
                    -(-options.operations // rounds),
                    options.clients,
                    options.seed + number * (options.clients + 1),
                )
            judge(records, open_table(name, REGION, engine.endpoint_url), figures)
            print(
                f"Round {number + 1} of {rounds}, {'with' if has_faults else 'without'} faults:"
                f" {figures.operations:,} operations in {time.monotonic() - started:.0f} seconds,"
                f" {figures.violations} violations, {len(figures.differences)} differences.",
                flush=True,
            )
    summary = summary_of(figures, options.clients, options.seed, time.monotonic() - started)
    print(summary.replace("*", ""))
    if options.operations >= _OPERATIONS:
        _write_figures(summary, figures, injector)
    return 1 if figures.shows_error else 0


def judge(records: ClientRecords, items: ProductTable, figures: Figures) -> None:
    """Check one round, print what is wrong, and add it to the figures."""
    figures.add(records)
    stored = stored_products(items)
    found = differences(records, list(listed_products(items)), stored)
    inspect_products(records, stored)
    wrong = products_without_order(records)
    for line in found:
        print(line)
    for product_id in wrong[: max(0, _SHOWN_VIOLATIONS - figures.violations)]:
        print(description_of_violation(records, product_id))
    figures.differences += found
    figures.violations += len(wrong)


def summary_of(figures: Figures, clients: int, seed: int, seconds: float) -> str:
    """Return the figures of a run as a Markdown list."""
    return (
        f"- {figures.operations:,} operations by {clients} parallel clients, half of them with"
        f" faults, seed {seed}\n"
        f"- {figures.uncertain:,} of them with an unknown outcome; the run took"
        f" {seconds:,.0f} seconds\n"
        f"- {figures.products:,} products created ({figures.replays:,} responses were replays),"
        f" {figures.changes:,} changes confirmed\n"
        f"- {figures.histories:,} histories checked, one for each product id: up to"
        f" {figures.longest:,} operations, {figures.concurrent} at the same time\n"
        f"- **{figures.violations:,} violations** of linearizability\n"
        f"- **{len(figures.differences):,} differences** between the records of the clients and"
        " the table"
    )


def _write_figures(summary: str, figures: Figures, injector: FaultInjector) -> None:
    tables = [
        table(("requests to DynamoDB in rounds with faults", "count"), _rows(injector.injected)),
        table(("responses to clients", "count"), _rows(figures.statuses)),
    ]
    write_section(RELIABILITY, "soak", summary)
    write_section(FIGURES, "soak", "\n\n".join(tables))


def _rows(counter: collections.Counter[str]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in counter.most_common()]


if __name__ == "__main__":
    sys.exit(main())
