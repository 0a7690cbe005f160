"""`make soak`: clients that follow the contract, while what is between us and DynamoDB misbehaves.

Afterwards the catalogue must be what the clients' own records say: nothing lost, nothing twice.
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
from tests.support import faulty_dynamodb as faults
from tests.support.events import FunctionResponse, Functions
from tests.support.faulty_dynamodb import Exchange, Fault, faulty_dynamodb
from tests.support.report import RELIABILITY, table, write_section
from tests.support.workload import function_environment

FAULT_SHARE: Final = 0.15
"""Of all requests to DynamoDB."""
FUNCTIONS: Final = (
    "list_products",
    "get_product",
    "create_product",
    "update_product",
    "delete_product",
)

_TABLE = "products-soaked"
_OPERATIONS_A_ROUND = 5000
_LONGEST_DESCRIPTION = 4000
_TOKEN_LENGTH = 13
_PATIENCE = 200  # attempts at one operation; each fails once in seven times
_PAUSE_SECONDS = 0.02
_LONGEST_SECONDS = 3  # within which the contract promises an answer
_FAULTS: Sequence[tuple[str, Fault, int]] = (
    ("delayed by 50 ms", faults.slow(0.05), 30),
    ("delayed by 1.5 s", faults.slow(1.5), 1),
    ("never answered", faults.hang, 1),
    ("reset", faults.reset, 10),
    ("reset after it was carried out", faults.after(faults.reset), 15),
    ("dropped", faults.hang_up, 10),
    ("dropped after it was carried out", faults.after(faults.hang_up), 15),
    ("truncated", faults.truncated, 5),
    ("truncated after it was carried out", faults.after(faults.truncated), 10),
    ("answered 500", faults.rejected("InternalServerError", status=500), 10),
    ("answered 500 after it was carried out", faults.after(faults.answered(b"{}", 500)), 10),
    ("answered 503 by a proxy", faults.answered(b"<html>503</html>", 503), 5),
    ("throttled", faults.rejected("ProvisionedThroughputExceededException"), 20),
    ("throttled by the account's limit", faults.rejected("ThrottlingException"), 10),
    ("answered with what is no HTTP", faults.not_http, 5),
)


class ContractBroken(Exception):
    """The service did what its contract rules out; the text says what."""


class Weather:
    """Decides, at random from a seed, what happens to each request on its way to DynamoDB."""

    def __init__(self, seed: int) -> None:
        self.seen: collections.Counter[str] = collections.Counter()
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._lock = threading.Lock()

    def strike(self, exchange: Exchange) -> None:
        """Pass a request on, or let one of the faults happen to it."""
        with self._lock:
            name: str = "passed on"
            fault: Fault = faults.pass_on
            if self._random.random() < FAULT_SHARE:
                weights = [weight for _, _, weight in _FAULTS]
                name, fault, _ = self._random.choices(_FAULTS, weights)[0]
            self.seen[name] += 1
        fault(exchange)


@dataclass(slots=True)
class Record:
    """What a client knows for certain of a product, and what it cannot know.

    Attributes:
        tokens: one for each change that was confirmed; the description holds them all.
        uncertain: tokens of changes that were under way when the product was deleted.
    """

    tokens: set[str] = field(default_factory=set)
    uncertain: set[str] = field(default_factory=set)
    deleted: bool = False


@dataclass(slots=True)
class Ledger:
    """What all clients know together."""

    products: dict[str, Record] = field(default_factory=dict)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    replays: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client:
    """One client; it repeats what was not confirmed, as the contract tells it to."""

    def __init__(self, functions: Functions, ledger: Ledger, seed: int) -> None:
        self._functions = functions
        self._ledger = ledger
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._seen: dict[str, int] = {}

    def work(self, operations: int) -> None:
        """Carry operations out, each until its outcome is known.

        Raises:
            ContractBroken: an answer that the contract rules out.
        """
        actions: list[tuple[Callable[[], None], int]] = [
            (self._create, 15),
            (self._change, 45),
            (self._read, 25),
            (self._browse, 10),
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
        for reply in self._attempts("create", {HTTPStatus.CONFLICT}):
            response = reply(lambda: self._functions.create(body, {"Idempotency-Key": key}))
            if response is None or response.status == HTTPStatus.CONFLICT:
                continue
            product_id = response.json()["productId"]
            with self._ledger.lock:
                self._ledger.replays += "Idempotency-Replayed" in response.headers
                if product_id in self._ledger.products:
                    raise ContractBroken(f"The id {product_id} was given twice.")
                self._ledger.products[product_id] = Record()
            return

    def _change(self) -> None:
        """Add a token to a description: a change that is lost, or made twice, shows for ever."""
        product_id = self._some_product()
        if product_id is None:
            return
        token = f"{self._random.getrandbits(48):012x}"
        record = self._ledger.products[product_id]
        tried = False
        for reply in self._attempts(
            "update", {HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}
        ):
            found = self._settled(
                "get", lambda: self._functions.get(product_id), {HTTPStatus.NOT_FOUND}
            )
            if found.status == HTTPStatus.NOT_FOUND:
                with self._ledger.lock:
                    self._require_deletion(product_id)
                    if tried:
                        record.uncertain.add(token)
                return
            description = found.json()["description"]
            if token in description:
                with self._ledger.lock:
                    record.tokens.add(token)
                return
            if len(description) + _TOKEN_LENGTH > _LONGEST_DESCRIPTION:
                return
            tried = True
            change = partial(
                self._functions.update,
                product_id,
                {"description": f"{description} {token}"},
                {"If-Match": found.headers["ETag"]},
            )
            response = reply(change)
            if response is not None and response.status == HTTPStatus.OK:
                with self._ledger.lock:
                    record.tokens.add(token)
                return

    def _read(self) -> None:
        product_id = self._some_product()
        if product_id is None:
            return
        found = self._settled(
            "get", lambda: self._functions.get(product_id), {HTTPStatus.NOT_FOUND}
        )
        if found.status == HTTPStatus.NOT_FOUND:
            with self._ledger.lock:
                self._require_deletion(product_id)
            return
        version = int(found.headers["ETag"].strip('"'))
        if version < self._seen.get(product_id, 1):
            raise ContractBroken(f"{product_id} went back to version {version}.")
        self._seen[product_id] = version

    def _browse(self) -> None:
        page = self._settled("list", lambda: self._functions.list(limit=20), set()).json()
        ids = [product["productId"] for product in page["products"]]
        if len(ids) != len(set(ids)):
            raise ContractBroken("A page shows a product twice.")

    def _delete(self) -> None:
        product_id = self._some_product()
        if product_id is None:
            return
        with self._ledger.lock:
            self._ledger.products[product_id].deleted = True  # others may see it from now on
        self._settled("delete", lambda: self._functions.delete(product_id), set())

    def _some_product(self) -> str | None:
        with self._ledger.lock:
            active = [name for name, each in self._ledger.products.items() if not each.deleted]
        # The latest few, so that clients meet at the same products.
        return self._random.choice(active[-10:]) if active else None

    def _require_deletion(self, product_id: str) -> None:
        if not self._ledger.products[product_id].deleted:
            raise ContractBroken(f"{product_id} is gone, and nobody has deleted it.")

    def _settled(
        self, operation: str, call: Callable[[], FunctionResponse], expected: Collection[int]
    ) -> FunctionResponse:
        for reply in self._attempts(operation, expected):
            response = reply(call)
            if response is not None:
                return response
        raise AssertionError("unreachable: the attempts end with an exception")

    def _attempts(
        self, operation: str, expected: Collection[int]
    ) -> Iterator[Callable[[Callable[[], FunctionResponse]], FunctionResponse | None]]:
        """Ways to send one attempt; each gives None where the outcome is unknown."""

        def send(call: Callable[[], FunctionResponse]) -> FunctionResponse | None:
            started = time.monotonic()
            response = call()
            took = time.monotonic() - started
            with self._ledger.lock:
                self._ledger.statuses[f"{operation} {response.status}"] += 1
            if took > _LONGEST_SECONDS:
                raise ContractBroken(f"{operation} took {took:.1f} seconds.")
            if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return None
            if response.status not in {
                *expected,
                HTTPStatus.OK,
                HTTPStatus.CREATED,
                HTTPStatus.NO_CONTENT,
            }:
                raise ContractBroken(f"{operation} answered {response.status}: {response.body}")
            return response

        for attempt in range(_PATIENCE):
            if attempt:
                time.sleep(self._random.uniform(0, _PAUSE_SECONDS))
            yield send
        raise ContractBroken(f"{operation} did not succeed in {_PATIENCE} attempts.")


def soak(functions: Functions, operations: int, clients: int, seed: int) -> Ledger:
    """Let clients work side by side, and return what they know in the end.

    Raises:
        ContractBroken: an answer that the contract rules out.
    """
    ledger = Ledger()
    with ThreadPoolExecutor(clients) as pool:
        work = [
            pool.submit(Client(functions, ledger, seed + number).work, operations // clients)
            for number in range(clients)
        ]
        for each in work:
            each.result()
    return ledger


def differences(ledger: Ledger, behind: ProductRepository) -> list[str]:
    """What the catalogue holds otherwise than the clients know, a sentence each.

    Args:
        ledger: what the clients know.
        behind: the catalogue, past whatever misbehaves.
    """
    found: list[str] = []
    listed = {product.product_id: product for product in _all_active(behind)}
    known = {name for name, record in ledger.products.items() if not record.deleted}
    found += [f"{name} is in the list, and no client knows it." for name in listed.keys() - known]
    found += [f"{name} is missing from the list." for name in known - listed.keys()]
    names = collections.Counter(product.name for product in listed.values())
    found += [f"{count} products were made for one key." for count in names.values() if count > 1]
    for product_id, record in ledger.products.items():
        product = behind.get(product_id)
        if product is None:
            found.append(f"{product_id} was lost.")
        else:
            found += _faults_of(product, record)
    return found


def _faults_of(product: Product, record: Record) -> Iterator[str]:
    tokens = product.description.split()[1:]
    if len(tokens) != len(set(tokens)):
        yield f"{product.product_id} holds a change twice."
    if lost := record.tokens - set(tokens):
        yield f"{product.product_id} lost {len(lost)} changes."
    if strange := set(tokens) - record.tokens - record.uncertain:
        yield f"{product.product_id} holds {len(strange)} changes that no client knows."
    if product.active == record.deleted:
        yield f"{product.product_id} is {'active' if product.active else 'deleted'}, wrongly."
    if product.version != 1 + len(tokens) + record.deleted:
        yield f"{product.product_id} counts {product.version} for {len(tokens)} changes."


def _all_active(behind: ProductRepository) -> Iterator[Product]:
    after: Cursor | None = None
    while page := behind.page(SortOrder.OLDEST_FIRST, after, 100):
        yield from page
        after = Cursor(page[-1].created_at, page[-1].product_id)


@contextmanager
def _functions_behind(weather: Weather, endpoint_url: str, name: str) -> Iterator[Functions]:
    """The functions, with the weather between them and a new table."""
    create_table(endpoint_url, name)
    os.environ.update(function_environment(endpoint_url, name))
    functions = {
        each: importlib.import_module(f"product_lambda.handlers.{each}") for each in FUNCTIONS
    }
    entry = importlib.import_module("product_lambda.handlers.entry")
    with faulty_dynamodb(endpoint_url, weather.strike) as proxy:
        vars(entry)["TABLE"] = open_table(name, REGION, proxy.endpoint_url)
        yield Functions(functions)


def main() -> int:
    """Soak as the command line asks; 1 where the catalogue and the clients disagree."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--operations", type=int, default=50_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()

    logging.disable(logging.CRITICAL)  # a line for each of thousands of faults tells nothing
    weather = Weather(options.seed)
    statuses: collections.Counter[str] = collections.Counter()
    disagreements: list[str] = []
    products = changes = replays = 0
    rounds = -(-options.operations // _OPERATIONS_A_ROUND)
    print(f"Seed {options.seed}: {options.operations} operations by {options.clients} clients.")
    with tempfile.TemporaryDirectory() as folder, Engine(Path(folder)) as engine:
        for number in range(rounds):
            name = f"{_TABLE}-{number}"
            with _functions_behind(weather, engine.endpoint_url, name) as functions:
                ledger = soak(
                    functions,
                    options.operations // rounds,
                    options.clients,
                    options.seed + number * options.clients,
                )
            table_behind = open_table(name, REGION, engine.endpoint_url)
            disagreements += differences(ledger, ProductRepository(table_behind, Deadline(600)))
            statuses += ledger.statuses
            products += len(ledger.products)
            changes += sum(len(record.tokens) for record in ledger.products.values())
            replays += ledger.replays
            print(
                f"Round {number + 1} of {rounds}: {len(disagreements)} disagreements.", flush=True
            )
    for line in disagreements:
        print(line)
    summary = (
        f"{options.operations:,} operations by {options.clients} clients at once, seed"
        f" {options.seed}: {products:,} products created ({replays:,} answers were replays),"
        f" {changes:,} changes confirmed, **{len(disagreements)} disagreements** between the"
        " clients' records and the catalogue."
    )
    parts = [
        summary,
        table(("what happened to requests to DynamoDB", "times"), _counted(weather.seen)),
        table(("what the clients were answered", "times"), _counted(statuses)),
    ]
    write_section(RELIABILITY, "soak", "\n\n".join(parts))
    print(summary.replace("*", ""))
    return 1 if disagreements else 0


def _counted(counter: collections.Counter[str]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in counter.most_common()]


if __name__ == "__main__":
    sys.exit(main())
