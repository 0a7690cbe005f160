"""`make soak`: many clients call the functions while DynamoDB fails at random.

The clients follow the contract of the API. Afterwards the table must equal their records: no
product and no change is lost, and none is stored twice.
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
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final
from uuid import UUID

from local.engine import REGION, Engine
from local.table import create_table
from product_lambda.models.product import Cursor, Product, SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductRepository, open_table
from product_tools.functions import ROUTES
from tests.support import faulty_dynamodb as faults
from tests.support.events import FunctionResponse, Functions
from tests.support.faulty_dynamodb import Exchange, Fault, faulty_dynamodb
from tests.support.report import FIGURES, RELIABILITY, table, write_section
from tests.support.workload import function_environment

FAULT_SHARE: Final = 0.15
"""The share of requests to DynamoDB that get a fault."""

_TABLE = "products-soak"
_OPERATIONS_PER_ROUND = 5000
_MAX_DESCRIPTION = 4000
_MARKER_LENGTH = 13  # with the space before it
_MAX_ATTEMPTS = 200  # for one operation; one attempt in seven fails
_MAX_PAUSE_SECONDS = 0.02
_MAX_RESPONSE_SECONDS = 3  # promised by the contract
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


class ContractViolation(Exception):
    """The service broke its contract; the message says how."""


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
class ProductRecord:
    """The knowledge of the clients about one product.

    Each change appends a unique marker to the description of the product.

    Attributes:
        confirmed: the markers of confirmed changes; the description must contain them all.
        uncertain: the markers of changes that were in progress when the product was deleted.
        deleted: whether a client has started to delete the product.
    """

    confirmed: set[str] = field(default_factory=set)
    uncertain: set[str] = field(default_factory=set)
    deleted: bool = False


@dataclass(slots=True)
class ClientRecords:
    """The knowledge of all clients together.

    Attributes:
        products: the record of each product, by its id.
        statuses: how often each operation got each status.
        replays: the number of create responses that were replays.
    """

    products: dict[str, ProductRecord] = field(default_factory=dict)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    replays: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


type SendAttempt = Callable[[Callable[[], FunctionResponse]], FunctionResponse | None]
"""Sends one attempt; returns None when the outcome is unknown."""


class Client:
    """One client; it retries every unconfirmed operation as the contract prescribes."""

    def __init__(self, functions: Functions, records: ClientRecords, seed: int) -> None:
        self._functions = functions
        self._records = records
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._versions: dict[str, int] = {}

    def run(self, operations: int) -> None:
        """Execute random operations, each until its outcome is known.

        Raises:
            ContractViolation: a response breaks the contract.
        """
        actions: list[tuple[Callable[[], None], int]] = [
            (self._create, 15),
            (self._update, 45),
            (self._get, 25),
            (self._list, 10),
            (self._delete, 5),
        ]
        for _ in range(operations):
            action = self._random.choices([a for a, _ in actions], [w for _, w in actions])[0]
            action()

    def _create(self) -> None:
        key = str(UUID(int=self._random.getrandbits(128), version=4))
        body = {
            "name": key,
            "description": "Changes:",
            "price": self._random.randint(1, 9_999_999_999) / 100,
            "period": "yearly",
            "features": ["One"],
        }
        for send in self._attempts("create", {HTTPStatus.CONFLICT}):
            response = send(lambda: self._functions.create(body, {"Idempotency-Key": key}))
            if response is None or response.status == HTTPStatus.CONFLICT:
                continue
            product_id = response.json()["productId"]
            with self._records.lock:
                self._records.replays += "Idempotency-Replayed" in response.headers
                if product_id in self._records.products:
                    raise ContractViolation(f"The id {product_id} was assigned twice.")
                self._records.products[product_id] = ProductRecord()
            return

    def _update(self) -> None:
        """Append a marker to a description, so that a lost or repeated change stays visible."""
        product_id = self._random_product()
        if product_id is None:
            return
        marker = f"{self._random.getrandbits(48):012x}"
        record = self._records.products[product_id]
        attempted = False
        for send in self._attempts(
            "update", {HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}
        ):
            current = self._known_outcome(
                "get", lambda: self._functions.get(product_id), {HTTPStatus.NOT_FOUND}
            )
            if current.status == HTTPStatus.NOT_FOUND:
                with self._records.lock:
                    self._require_deletion(product_id)
                    if attempted:
                        record.uncertain.add(marker)
                return
            description = current.json()["description"]
            if marker in description:
                with self._records.lock:
                    record.confirmed.add(marker)
                return
            if len(description) + _MARKER_LENGTH > _MAX_DESCRIPTION:
                return
            attempted = True
            update = partial(
                self._functions.update,
                product_id,
                {"description": f"{description} {marker}"},
                {"If-Match": current.headers["ETag"]},
            )
            response = send(update)
            if response is not None and response.status == HTTPStatus.OK:
                with self._records.lock:
                    record.confirmed.add(marker)
                return

    def _get(self) -> None:
        product_id = self._random_product()
        if product_id is None:
            return
        response = self._known_outcome(
            "get", lambda: self._functions.get(product_id), {HTTPStatus.NOT_FOUND}
        )
        if response.status == HTTPStatus.NOT_FOUND:
            with self._records.lock:
                self._require_deletion(product_id)
            return
        version = int(response.headers["ETag"].strip('"'))
        if version < self._versions.get(product_id, 1):
            raise ContractViolation(f"{product_id} went back to version {version}.")
        self._versions[product_id] = version

    def _list(self) -> None:
        page = self._known_outcome("list", lambda: self._functions.list(limit=20), set()).json()
        ids = [product["productId"] for product in page["products"]]
        if len(ids) != len(set(ids)):
            raise ContractViolation("A page contains a product twice.")

    def _delete(self) -> None:
        product_id = self._random_product()
        if product_id is None:
            return
        with self._records.lock:
            self._records.products[product_id].deleted = True  # other clients may now get a 404
        self._known_outcome("delete", lambda: self._functions.delete(product_id), set())

    def _random_product(self) -> str | None:
        with self._records.lock:
            active = [name for name, each in self._records.products.items() if not each.deleted]
        # Only the newest ten, so that several clients change the same product.
        return self._random.choice(active[-10:]) if active else None

    def _require_deletion(self, product_id: str) -> None:
        if not self._records.products[product_id].deleted:
            raise ContractViolation(f"{product_id} is missing, but no client deleted it.")

    def _known_outcome(
        self, operation: str, call: Callable[[], FunctionResponse], expected: Collection[int]
    ) -> FunctionResponse:
        """Retry a call until its outcome is known."""
        for send in self._attempts(operation, expected):
            response = send(call)
            if response is not None:
                return response
        raise AssertionError("unreachable: the attempts end with an exception")

    def _attempts(self, operation: str, expected: Collection[int]) -> Iterator[SendAttempt]:
        """Yield a function that sends one attempt, with a random pause before each retry."""

        def send(call: Callable[[], FunctionResponse]) -> FunctionResponse | None:
            started = time.monotonic()
            response = call()
            seconds = time.monotonic() - started
            with self._records.lock:
                self._records.statuses[f"{operation} {response.status}"] += 1
            if seconds > _MAX_RESPONSE_SECONDS:
                raise ContractViolation(f"{operation} took {seconds:.1f} seconds.")
            if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return None
            if response.status not in {
                *expected,
                HTTPStatus.OK,
                HTTPStatus.CREATED,
                HTTPStatus.NO_CONTENT,
            }:
                raise ContractViolation(f"{operation} returned {response.status}: {response.body}")
            return response

        for attempt in range(_MAX_ATTEMPTS):
            if attempt:
                time.sleep(self._random.uniform(0, _MAX_PAUSE_SECONDS))
            yield send
        raise ContractViolation(f"{operation} did not succeed in {_MAX_ATTEMPTS} attempts.")


def soak(functions: Functions, operations: int, clients: int, seed: int) -> ClientRecords:
    """Run clients in parallel, and return their records.

    Raises:
        ContractViolation: a response breaks the contract.
    """
    records = ClientRecords()
    with ThreadPoolExecutor(clients) as pool:
        futures = [
            pool.submit(Client(functions, records, seed + number).run, operations // clients)
            for number in range(clients)
        ]
        for future in futures:
            future.result()
    return records


def differences(records: ClientRecords, repository: ProductRepository) -> list[str]:
    """Return one sentence for each difference between the table and the clients' records.

    `repository` must read the table without faults.
    """
    found: list[str] = []
    listed = {product.product_id: product for product in _active_products(repository)}
    known = {name for name, record in records.products.items() if not record.deleted}
    found += [f"{name} is in the list, but no client knows it." for name in listed.keys() - known]
    found += [f"{name} is missing from the list." for name in known - listed.keys()]
    names = collections.Counter(product.name for product in listed.values())
    found += [f"{count} products exist for one key." for count in names.values() if count > 1]
    for product_id, record in records.products.items():
        product = repository.get(product_id)
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
    if product.version != 1 + len(markers) + record.deleted:
        yield f"{product.product_id} has version {product.version} after {len(markers)} changes."


def _active_products(repository: ProductRepository) -> Iterator[Product]:
    after: Cursor | None = None
    while page := repository.page(SortOrder.OLDEST_FIRST, after, 100):
        yield from page
        after = Cursor(page[-1].created_at, page[-1].product_id)


@contextmanager
def _functions_with_faults(
    injector: FaultInjector, endpoint_url: str, name: str
) -> Iterator[Functions]:
    """Yield the functions on a new table, with the injector between them."""
    create_table(endpoint_url, name)
    os.environ.update(function_environment(endpoint_url, name))
    handlers = {each: importlib.import_module(f"product_lambda.handlers.{each}") for each in ROUTES}
    entry = importlib.import_module("product_lambda.handlers.entry")
    with faulty_dynamodb(endpoint_url, injector.handle) as proxy:
        vars(entry)["TABLE"] = open_table(name, REGION, proxy.endpoint_url)
        yield Functions(handlers)


def main() -> int:
    """Run the soak test, and return 1 when the table differs from the clients' records."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--operations", type=int, default=50_000, help="number of operations")
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
    statuses: collections.Counter[str] = collections.Counter()
    found: list[str] = []
    products = changes = replays = 0
    rounds = -(-options.operations // _OPERATIONS_PER_ROUND)
    print(f"Seed {options.seed}: {options.operations} operations by {options.clients} clients.")
    with tempfile.TemporaryDirectory() as folder, Engine(Path(folder)) as engine:
        for number in range(rounds):
            name = f"{_TABLE}-{number}"
            with _functions_with_faults(injector, engine.endpoint_url, name) as functions:
                records = soak(
                    functions,
                    options.operations // rounds,
                    options.clients,
                    options.seed + number * options.clients,
                )
            direct_table = open_table(name, REGION, engine.endpoint_url)
            found += differences(records, ProductRepository(direct_table, Deadline(600)))
            statuses += records.statuses
            products += len(records.products)
            changes += sum(len(record.confirmed) for record in records.products.values())
            replays += records.replays
            print(f"Round {number + 1} of {rounds}: {len(found)} differences.", flush=True)
    for line in found:
        print(line)
    summary = (
        f"- {options.operations:,} operations by {options.clients} parallel clients,"
        f" seed {options.seed}\n"
        f"- {products:,} products created ({replays:,} responses were replays),"
        f" {changes:,} changes confirmed\n"
        f"- **{len(found)} differences** between the records of the clients and the table"
    )
    tables = [
        table(("requests to DynamoDB", "count"), _rows(injector.injected)),
        table(("responses to clients", "count"), _rows(statuses)),
    ]
    write_section(RELIABILITY, "soak", summary)
    write_section(FIGURES, "soak", "\n\n".join(tables))
    print(summary.replace("*", ""))
    return 1 if found else 0


def _rows(counter: collections.Counter[str]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in counter.most_common()]


if __name__ == "__main__":
    sys.exit(main())
